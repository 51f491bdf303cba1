//! From a path as it is written to the module that defines what it names.

use crate::parse::{Import, Module, Modules, Name};

/// A name that a module hands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Who hands it on.
    pub(crate) by: Name,
    /// The path without this step, from the crate's root.
    pub(crate) to: Vec<String>,
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Who defines it.
    pub(crate) module: Name,
    /// Whose `use` it came through.
    pub(crate) steps: Vec<Step>,
}

/// The path from the crate's root, if it is not one of another crate.
pub(crate) fn absolute(modules: &Modules, here: &[String], path: &[String]) -> Option<Vec<String>> {
    let first = path.first()?;
    let mut base = here.to_vec();
    match first.as_str() {
        "crate" => return Some(path[1..].to_vec()),
        "self" => return Some([&base, &path[1..]].concat()),
        "super" => {
            let up = path.iter().take_while(|segment| *segment == "super").count();
            base.truncate(base.len().checked_sub(up)?);
            return Some([&base, &path[up..]].concat());
        }
        _ => base.push(first.clone()),
    }
    let imported = |import: &Import| import.name == *first && import.path.segments != *path;
    let known = modules.contains_key(&base) || modules.get(here)?.imports.iter().any(imported);
    known.then(|| [here, path].concat())
}

/// The import of a module that brings this name, and the rest of the path behind it.
fn handed_on(modules: &Modules, by: &[String], name: &str) -> Option<Option<Vec<String>>> {
    let module: &Module = modules.get(by)?;
    let named = module.imports.iter().find(|import| import.name == name);
    if let Some(import) = named {
        return Some(absolute(modules, by, &import.path.segments));
    }
    if module.defined.iter().any(|defined| defined == name) {
        return None;
    }
    // `pub use inner::*`
    module.imports.iter().filter(|import| import.name == "*").find_map(|import| {
        let mut from = absolute(modules, by, &import.path.segments)?;
        from.pop();
        let inner = modules.get(&from)?;
        let has = inner.defined.iter().any(|defined| defined == name)
            || inner.imports.iter().any(|import| import.public && import.name == name);
        from.push(name.to_owned());
        has.then_some(Some(from))
    })
}

/// Follows a path from the crate's root; `None` if it leads out of the crate.
pub(crate) fn follow(modules: &Modules, path: &[String]) -> Option<Found> {
    let mut path = path.to_vec();
    let mut steps: Vec<Step> = Vec::new();
    'again: loop {
        let mut module = Name::new();
        for at in 0..path.len() {
            let inner = path[..=at].to_vec();
            if modules.contains_key(&inner) {
                module = inner;
                continue;
            }
            match handed_on(modules, &module, &path[at]) {
                Some(None) => return None,
                Some(Some(to)) => {
                    let to = [&to, &path[at + 1..]].concat();
                    // a glob and its own module: the name is defined there, after all
                    if steps.iter().any(|step| step.to == to) || to == path {
                        return Some(Found { module, steps });
                    }
                    steps.push(Step { by: module, to: to.clone() });
                    path = to;
                    continue 'again;
                }
                None => return Some(Found { module, steps }),
            }
        }
        return Some(Found { module, steps });
    }
}
