//! What the search should answer and does not.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    index::{Index, Item},
    search,
};

/// The docs-only module for C names that the crate has nothing for.
const NOT_YET: &str = "::porting::not_yet";

/// What was found wrong, a line each, and what was looked at.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) faults: Vec<String>,
    pub(crate) summary: String,
}

/// Checks the names in `names`, and the aliases in the sources of `crates`, against the docs.
pub(crate) fn run(doc: &Path, names: &Path, crates: &[PathBuf]) -> Result<Report, String> {
    let index = Index::read(doc)?;
    let list =
        fs::read_to_string(names).map_err(|error| format!("{}: {error}", names.display()))?;
    let (mut faults, asked) = answers(&index, &list, &names.display().to_string());
    let mut written = 0;
    for folder in crates {
        let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy();
        let krate = name.replace('-', "_");
        if !index.items.iter().any(|item| item.krate == krate) {
            return Err(format!("{}: no docs of {krate}; run cargo doc first", doc.display()));
        }
        let aliases = aliases(&folder.join("src"))?;
        written += aliases.values().map(Vec::len).sum::<usize>();
        faults.extend(lost(&index, &krate, &aliases));
    }
    // A check that finds nothing to check is broken.
    if asked == 0 {
        return Err(format!("{}: no name is there", names.display()));
    }
    if written == 0 && !crates.is_empty() {
        return Err("no alias is written in these crates; mend .ci/docs-index".to_owned());
    }
    let summary = format!(
        "{asked} names lead where they should, and {written} aliases are found, of the {} that the \
         docs have",
        index.aliases.len()
    );
    Ok(Report { faults, summary })
}

/// Each line of the list: a name, and the item that the search has to show first.
fn answers(index: &Index, list: &str, file: &str) -> (Vec<String>, usize) {
    let mut faults = Vec::new();
    let mut asked = BTreeMap::new();
    for (number, line) in list.lines().enumerate() {
        let mut words = line.split_whitespace();
        let name = match words.next() {
            Some(name) if !name.starts_with('#') => name,
            _ => continue,
        };
        let mut say = |what: String| faults.push(format!("{file}:{}: {name}: {what}", number + 1));
        let (Some(path), None) = (words.next(), words.next()) else {
            say("a line is NAME PATH".to_owned());
            continue;
        };
        if let Some(before) = asked.insert(name, number + 1) {
            say(format!("it stands in line {before} already"));
            continue;
        }
        if !index.items.iter().any(|item| item.path() == path) {
            say(format!("there is no item {path} in the docs: name the one that does it now"));
            continue;
        }
        let krate = path.split("::").next().unwrap_or(path);
        let hits = search::hits(index, krate, name);
        match hits.first().map(|item| item.path()) {
            None => say(format!(
                "the search does not find it: write #[doc(alias = \"{name}\")] on the `pub use` \
                 that makes {path} public, or on the item if that is a method, a flag or a module"
            )),
            Some(first) if first != path => say(format!(
                "the search leads to {first} first, not to {path}: take the alias away from one, \
                 or name the other here"
            )),
            Some(_) => {
                let missing = |item: &&&Item| item.path().ends_with(NOT_YET);
                let there = hits.iter().find(|item| !missing(item));
                if let (Some(page), Some(there)) = (hits.iter().find(missing), there) {
                    say(format!(
                        "it is there, as {}: take the alias away from {}",
                        there.path(),
                        page.path()
                    ));
                }
            }
        }
    }
    (faults, asked.len())
}

/// Where each alias is written: `FILE:LINE`.
type Written = BTreeMap<String, Vec<String>>;

/// The aliases that are written more often than the index has them.
fn lost(index: &Index, krate: &str, aliases: &Written) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, places) in aliases {
        let ours = |item: usize| index.items[item].krate == krate;
        let found = index.aliases.iter().filter(|alias| alias.name == *name && ours(alias.item));
        let found = found.count();
        if found >= places.len() {
            continue;
        }
        let times = |number: usize| match number {
            1 => "once".to_owned(),
            number => format!("{number} times"),
        };
        for place in places {
            faults.push(format!(
                "{place}: alias: {name} is written {} and found {found} times: rustdoc drops it \
                 from private items, and from an item that a `pub use` shows elsewhere: move it to \
                 the outermost `pub use`",
                times(places.len())
            ));
        }
    }
    faults
}

/// The aliases in the Rust files below `folder`, but for those that a macro puts in.
fn aliases(folder: &Path) -> Result<Written, String> {
    let fault = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    let mut written = Written::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).and_then(|all| all.collect::<io::Result<Vec<_>>>());
        let mut paths: Vec<PathBuf> =
            entries.map_err(|error| fault(&folder, error))?.iter().map(|e| e.path()).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path).map_err(|error| fault(&path, error))?;
                for (name, line) in aliases_in(&text) {
                    written.entry(name).or_default().push(format!("{}:{line}", path.display()));
                }
            }
        }
    }
    Ok(written)
}

/// Each alias in a file, and its line.
pub(crate) fn aliases_in(text: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    // whether the lines are inside `doc(alias(...))`
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.starts_with("//") {
            continue;
        }
        let mut rest = match line.split_once("doc(alias") {
            Some((_, rest)) => rest,
            None if inside => line,
            None => continue,
        };
        while let Some((_, after)) = rest.split_once('"') {
            let Some((name, after)) = after.split_once('"') else { break };
            found.push((name.to_owned(), number + 1));
            rest = after;
        }
        inside = !rest.contains(")]");
    }
    found
}
