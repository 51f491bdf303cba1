//! What must not be.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    parse::{Modules, Name, Written},
    resolve::{absolute, follow},
};

/// Who imports whom, and where first.
type Edges<'m> = BTreeMap<&'m Name, BTreeMap<Name, usize>>;

fn show(name: &[String]) -> String {
    if name.is_empty() { "lib".to_owned() } else { name.join("::") }
}

fn edges(modules: &Modules) -> Edges<'_> {
    let mut edges = Edges::new();
    for (here, module) in modules {
        let written = module.imports.iter().map(|import| &import.path).chain(&module.paths);
        for Written { segments, line } in written {
            let Some(path) = absolute(modules, here, segments) else { continue };
            let Some(found) = follow(modules, &path) else { continue };
            let there = found.module;
            // lib.rs has no code, and what is inside of each other is one thing
            if there.is_empty() || there.starts_with(here) || here.starts_with(&there) {
                continue;
            }
            let first = edges.entry(here).or_default().entry(there).or_insert(*line);
            *first = (*first).min(*line);
        }
    }
    edges
}

/// All that can be reached from `from` by at least one import.
fn reached<'e>(edges: &'e Edges<'_>, from: &Name) -> BTreeSet<&'e Name> {
    let mut seen = BTreeSet::new();
    let mut next: Vec<_> = edges.get(from).into_iter().flat_map(BTreeMap::keys).collect();
    while let Some(name) = next.pop() {
        if seen.insert(name) {
            next.extend(edges.get(name).into_iter().flat_map(BTreeMap::keys));
        }
    }
    seen
}

/// Circles of imports: each with its members, and the imports among them.
pub(crate) fn circles(modules: &Modules) -> Vec<String> {
    let edges = edges(modules);
    let reached: BTreeMap<_, _> = edges.keys().map(|name| (*name, reached(&edges, name))).collect();
    let mutual = |a: &Name, b: &Name| {
        let reaches = |a: &Name, b: &Name| reached.get(a).is_some_and(|all| all.contains(b));
        reaches(a, b) && reaches(b, a)
    };
    let mut done = BTreeSet::new();
    let mut circles = Vec::new();
    for (name, all) in &reached {
        if !all.contains(name) || done.contains(name) {
            continue;
        }
        let members: Vec<_> = reached.keys().copied().filter(|other| mutual(name, other)).collect();
        let shown: Vec<_> = members.iter().map(|member| show(member)).collect();
        let file = &modules[*name].file;
        circles.push(format!("{file}:1: circle: of {}", shown.join(", ")));
        for member in &members {
            let inside = edges[*member].iter().filter(|(other, _)| members.contains(other));
            for (other, line) in inside {
                let (file, here, there) = (&modules[*member].file, show(member), show(other));
                circles.push(format!("{file}:{line}: circle: {here} imports from {there}"));
            }
        }
        done.extend(members);
    }
    circles
}

/// Paths through names that were handed on: what to write instead.
pub(crate) fn imports(modules: &Modules) -> Vec<String> {
    let mut wrong = BTreeSet::new();
    for (here, module) in modules {
        if here.is_empty() {
            continue; // lib.rs is what hands on
        }
        let imports = module.imports.iter().map(|import| &import.path);
        let from_root =
            |path: &&Written| ["crate", "super", "self"].contains(&path.segments[0].as_str());
        for written in imports.chain(&module.paths).filter(from_root) {
            let Some(path) = absolute(modules, here, &written.segments) else { continue };
            if let Some(better) = better(modules, here, &path) {
                let (file, line) = (&module.file, written.line);
                let (is, better) = (written.segments.join("::"), better.join("::"));
                let text = format!("import: {is} is only handed on: write crate::{better}");
                wrong.insert((file, line, text));
            }
        }
    }
    wrong.into_iter().map(|(file, line, text)| format!("{file}:{line}: {text}")).collect()
}

/// The path that names who defines a thing, or the front of a folder that this is not in.
fn better(modules: &Modules, here: &[String], path: &[String]) -> Option<Vec<String>> {
    let found = follow(modules, path)?;
    let hides = |by: &Name| {
        let own = by == here; // what a module has imported it may name
        !own && (here.starts_with(by) || !found.module.starts_with(by))
    };
    let last = found.steps.iter().rposition(|step| hides(&step.by))?;
    Some(found.steps[last].to.clone())
}
