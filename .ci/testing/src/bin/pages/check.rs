//! What a page says, and what is there.

use std::collections::BTreeSet;

use crate::{
    Sources,
    markdown::{self, Item, What},
};

/// Every word of these is looked up.
const PAGES: [&str; 2] = ["ARCHITECTURE.md", "CONTRIBUTING.md"];
/// The page that names all modules.
const MODULES: &str = PAGES[0];
/// The gate, which lists its steps.
const GATE: &str = ".ci/run";
/// Files that a folder's row, or the crate's heading, stands for.
const UNNAMED: [&str; 4] = ["lib.rs", "mod.rs", "main.rs", "tests.rs"];

/// What was found wrong, a line each, and what was looked at.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) faults: Vec<String>,
    pub(crate) summary: String,
}

pub(crate) fn run(sources: &Sources) -> Report {
    let repo = Repo::new(sources);
    let mut faults = Vec::new();
    let mut looked_at = 0;
    for name in PAGES {
        let Some(page) = sources.get(name) else {
            faults.push(format!("{name}:1: the page is not there"));
            continue;
        };
        let items = markdown::items(page);
        looked_at += items.len();
        let mut found = Page { repo: &repo, name, base: None, covered: Vec::new(), faults: vec![] };
        found.read(&items);
        if name == MODULES {
            found.missing();
        }
        faults.append(&mut found.faults);
    }
    for (name, page) in sources.iter().filter(|(name, _)| name.ends_with(".md")) {
        for Item { line, what } in markdown::items(page) {
            if let What::Link(target) = what {
                if !repo.leads(name, &target) {
                    faults.push(format!("{name}:{line}: the link to {target} leads nowhere"));
                }
            }
        }
    }
    let operations = repo.operations();
    for (path, name) in &operations {
        if !repo.is_tested(name) {
            faults.push(format!(
                "{path}:1: no test in uring/tests/it names `op::{name}`: see CONTRIBUTING.md"
            ));
        }
    }
    // A check that finds nothing to check is broken.
    if operations.is_empty() {
        faults.push("uring/src/op:1: no operation found; mend the check of the pages".to_owned());
    }
    let summary = format!("{looked_at} claims and {} operations hold", operations.len());
    Report { faults, summary }
}

/// What is there.
struct Repo<'s> {
    sources: &'s Sources,
    words: BTreeSet<&'s str>,
}

impl<'s> Repo<'s> {
    fn new(sources: &'s Sources) -> Self {
        let code = sources.iter().filter(|(path, _)| !path.ends_with(".md"));
        let words = code.flat_map(|(_, text)| text.split(|sign| !is_word(sign)));
        Self { sources, words: words.collect() }
    }

    /// Whether there is such a file or folder; a segment like `<family>` is any, and a file's name
    /// alone is that of a file anywhere.
    fn has(&self, path: &str) -> bool {
        if !path.contains('/')
            && self.sources.keys().any(|file| file.rsplit('/').next() == Some(path))
        {
            return true;
        }
        let wanted: Vec<_> = path.trim_end_matches('/').split('/').collect();
        self.sources.keys().any(|file| {
            let parts: Vec<_> = file.split('/').collect();
            let is = |(wanted, part): (&&str, &&str)| wanted == part || fits(wanted, part);
            parts.len() >= wanted.len() && wanted.iter().zip(&parts).all(is)
        })
    }

    /// Whether a link of a page leads to something; those to elsewhere are not looked at.
    fn leads(&self, page: &str, target: &str) -> bool {
        let path = target.split('#').next().unwrap_or_default();
        if path.is_empty() || path.contains("://") {
            return true;
        }
        let mut parts: Vec<_> = page.split('/').collect();
        parts.pop();
        for part in path.trim_end_matches('/').split('/') {
            match part {
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        self.has(&parts.join("/"))
    }

    /// The operations, by file.
    fn operations(&self) -> Vec<(&'s str, &'s str)> {
        let files = self.sources.iter().filter(|(path, _)| path.starts_with("uring/src/op/"));
        files
            .flat_map(|(path, text)| {
                let names = text.split("Operation for ").skip(1);
                let names = names.filter_map(|rest| rest.split(|sign| !is_word(sign)).next());
                names.map(move |name| (path.as_str(), name))
            })
            .collect()
    }

    fn is_tested(&self, operation: &str) -> bool {
        let name = format!("op::{operation}");
        let mut tests = self.sources.iter().filter(|(path, _)| path.starts_with("uring/tests/it/"));
        tests.any(|(_, text)| {
            let mut after = text.split(&name).skip(1);
            after.any(|rest| !rest.starts_with(is_word))
        })
    }
}

fn is_word(sign: char) -> bool {
    sign == '_' || sign.is_alphanumeric()
}

/// Whether `<..>` with something before or behind it, such as `<operation>.rs`, stands for `part`.
fn fits(wanted: &str, part: &str) -> bool {
    let Some((before, rest)) = wanted.split_once('<') else { return false };
    let Some((_, behind)) = rest.split_once('>') else { return false };
    part.len() > before.len() + behind.len() && part.starts_with(before) && part.ends_with(behind)
}

/// A page that is read.
struct Page<'r, 's> {
    repo: &'r Repo<'s>,
    name: &'r str,
    /// The folder that the heading names.
    base: Option<String>,
    /// What the rows named: paths without `.rs`, or folders with a slash.
    covered: Vec<String>,
    faults: Vec<String>,
}

impl Page<'_, '_> {
    fn say(&mut self, line: usize, fault: &str) {
        self.faults.push(format!("{}:{line}: {fault}", self.name));
    }

    fn read(&mut self, items: &[Item]) {
        let mut source = None;
        for Item { line, what } in items {
            match what {
                What::Heading(code) => {
                    self.base = code.ends_with("/src").then(|| code.clone());
                    self.code(*line, code);
                }
                What::Cell(code) if self.base.is_some() && self.name == MODULES => {
                    self.module(*line, code);
                }
                What::Cell(code) | What::Code(code) => self.code(*line, code),
                What::Source(text) => source = Some((*line, text)),
                What::Block(text) => {
                    if let Some((line, comment)) = source.take() {
                        self.block(line, comment, text);
                    }
                }
                What::Link(_) => {}
                What::Torn => self.say(*line, "a backtick without a partner on its line"),
            }
        }
    }

    fn module(&mut self, line: usize, name: &str) {
        let Some(base) = &self.base else { return };
        let path = format!("{base}/{name}");
        let is_there = if name.ends_with('/') {
            self.repo.has(&path)
        } else {
            let ends = [".rs", "/mod.rs", "/main.rs"];
            ends.iter().any(|end| self.repo.sources.contains_key(&format!("{path}{end}")))
        };
        if !is_there {
            self.say(line, &format!("there is no module `{name}` in {base}"));
        }
        self.covered.push(path);
    }

    /// The modules that no row named.
    fn missing(&mut self) {
        let sources = self.repo.sources;
        for path in sources.keys().filter(|path| path.ends_with(".rs")) {
            let Some((crate_folder, file)) = path.split_once("/src/") else { continue };
            let is_unnamed = UNNAMED.contains(&file.rsplit('/').next().unwrap_or(file));
            let is_crate = sources.contains_key(&format!("{crate_folder}/src/lib.rs"));
            let named = self.covered.iter().any(|known| match known.strip_suffix('/') {
                Some(folder) => path.starts_with(&format!("{folder}/")),
                None => path.trim_end_matches(".rs") == known,
            });
            if is_crate && !is_unnamed && !named {
                self.say(1, &format!("no row names the module {path}"));
            }
        }
    }

    /// A path, a name, steps of the gate, or something that nobody can look up.
    fn code(&mut self, line: usize, code: &str) {
        if let Some(steps) = code.strip_prefix(GATE).filter(|steps| steps.starts_with(' ')) {
            let gate = self.repo.sources.get(GATE).map_or("", String::as_str);
            let known = gate.split("steps=(").nth(1).and_then(|list| list.split(')').next());
            let known: Vec<_> = known.unwrap_or_default().split_whitespace().collect();
            for step in steps.split_whitespace().filter(|step| !known.contains(step)) {
                self.say(line, &format!("{GATE} has no step `{step}`"));
            }
        } else if is_path(code) {
            let in_base = self.base.as_ref().map(|base| format!("{base}/{code}"));
            if !self.repo.has(code) && !in_base.is_some_and(|path| self.repo.has(&path)) {
                self.say(line, &format!("`{code}` is not there"));
            }
        } else if is_name(code) {
            let mut words = code.split(|sign| !is_word(sign)).filter(|word| !word.is_empty());
            if let Some(word) = words.find(|word| !self.repo.words.contains(word)) {
                self.say(line, &format!("`{code}`: no source has the word {word}"));
            }
        }
    }

    fn block(&mut self, line: usize, comment: &str, text: &str) {
        let part = comment.strip_prefix("part of: ");
        let Some(path) = part.or_else(|| comment.strip_prefix("file: ")) else { return };
        let whole = part.is_none();
        let Some(source) = self.repo.sources.get(path) else {
            return self.say(line, &format!("{path} is not there"));
        };
        let is_there = if whole { source == text } else { has_lines(source, text) };
        if !is_there {
            let part = if whole { "" } else { "part of " };
            self.say(line, &format!("the block is no longer {part}{path}: copy it again"));
        }
    }
}

/// Whether the lines of `text` follow each other somewhere in `source`.
fn has_lines(source: &str, text: &str) -> bool {
    source.match_indices(text).any(|(at, _)| at == 0 || source[..at].ends_with('\n'))
}

fn is_path(code: &str) -> bool {
    let signs = |sign: char| is_word(sign) || "/.-<>".contains(sign);
    let ends = [".md", ".rs", ".toml", ".tsv"];
    code.chars().all(signs)
        && !code.starts_with(['/', '<'])
        && (code.contains('/') || ends.iter().any(|end| code.ends_with(end) && code.len() > 5))
}

fn is_name(code: &str) -> bool {
    let code = code.trim_end_matches("()").trim_end_matches('!');
    code.split("::").all(|word| {
        word.starts_with(|sign: char| is_word(sign) && !sign.is_numeric())
            && word.chars().all(is_word)
    })
}
