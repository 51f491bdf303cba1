//! The modules of a crate, and the paths in each.

use std::collections::BTreeMap;

use crate::lex::{self, Token};

/// The path of a module: empty for `lib.rs`.
pub(crate) type Name = Vec<String>;

/// A path as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

/// An import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) path: Written,
    /// The name that it gets here; `*` for all of them.
    pub(crate) name: String,
    /// Whether others may see it, at least those near.
    pub(crate) public: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Module {
    pub(crate) file: String,
    pub(crate) imports: Vec<Import>,
    /// Paths in the code.
    pub(crate) paths: Vec<Written>,
    /// Names that are defined here, or within an item that is.
    pub(crate) defined: Vec<String>,
}

pub(crate) type Modules = BTreeMap<Name, Module>;

/// Reads a crate from `lib.rs` on; `read` gives the text of a file below `folder`, if it is there.
pub(crate) fn modules(
    folder: &str,
    read: &dyn Fn(&str) -> Option<String>,
) -> Result<Modules, String> {
    let mut parser = Parser { folder, read, modules: BTreeMap::new() };
    let text = read("lib.rs").ok_or_else(|| format!("{folder}/lib.rs: it cannot be read"))?;
    parser.file("lib.rs", "", &[], &text)?;
    Ok(parser.modules)
}

struct Parser<'r> {
    folder: &'r str,
    read: &'r dyn Fn(&str) -> Option<String>,
    modules: Modules,
}

impl Parser<'_> {
    /// A file, and the folder of its children: with a `/` at its end, or empty.
    fn file(&mut self, file: &str, below: &str, name: &[String], text: &str) -> Result<(), String> {
        let tokens = lex::tokens(text);
        self.module(file, below, name, &tokens)
    }

    fn child(&mut self, below: &str, name: &[String], child: &Token) -> Result<(), String> {
        let stem = format!("{below}{}", child.text);
        let name = [name, std::slice::from_ref(&child.text)].concat();
        for file in [format!("{stem}.rs"), format!("{stem}/mod.rs")] {
            if let Some(text) = (self.read)(&file) {
                return self.file(&file, &format!("{stem}/"), &name, &text);
            }
        }
        Err(format!("{}/{stem}.rs: no such file, nor {stem}/mod.rs", self.folder))
    }

    fn module(
        &mut self,
        file: &str,
        below: &str,
        name: &[String],
        tokens: &[Token],
    ) -> Result<(), String> {
        let file = format!("{}/{file}", self.folder);
        let mut module = Module { file: file.clone(), ..Module::default() };
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let next =
                |ahead: usize, text: &str| tokens.get(at + ahead).is_some_and(|t| t.is(text));
            if token.is("#") && next(1, "!") && next(2, "[") {
                let end = group(tokens, at + 2);
                if for_tests(&tokens[at + 3..end - 1]) {
                    return Ok(());
                }
                at = end;
            } else if token.is("#") && next(1, "[") {
                let end = group(tokens, at + 1);
                let tests = for_tests(&tokens[at + 2..end - 1]);
                at = if tests { item(tokens, end) } else { end };
            } else if token.is("macro_rules") && next(1, "!") {
                at = group(tokens, at + 3);
            } else if token.is("mod") && next(2, ";") {
                self.child(below, name, &tokens[at + 1])?;
                at += 3;
            } else if token.is("mod") && next(2, "{") {
                let (child, end) = (&tokens[at + 1], group(tokens, at + 2));
                let name = [name, std::slice::from_ref(&child.text)].concat();
                let below = format!("{below}{}/", child.text);
                let inside = &tokens[at + 3..end - 1];
                let relative = &file[self.folder.len() + 1..];
                self.module(relative, &below, &name, inside)?;
                at = end;
            } else if token.is("use") && !next(1, "<") {
                let end =
                    tokens[at..].iter().position(|t| t.is(";")).map_or(tokens.len(), |n| at + n);
                let public = at > 0 && (tokens[at - 1].is("pub") || tokens[at - 1].is(")"));
                let mut found = Vec::new();
                imports(&tokens[at + 1..end], &[], &mut found);
                let found = found.into_iter().map(|(path, name)| Import { path, name, public });
                module.imports.extend(found);
                at = end + 1;
            } else if token.is_word() && next(1, "::") {
                at = path(tokens, at, &mut module.paths);
            } else {
                let defines = ["struct", "enum", "union", "trait", "type", "fn", "const", "static"];
                if defines.iter().any(|word| token.is(word)) {
                    module.defined.extend(tokens.get(at + 1).map(|token| token.text.clone()));
                }
                at += 1;
            }
        }
        self.modules.insert(name.to_vec(), module);
        Ok(())
    }
}

/// The place behind the group whose opening bracket is at `start`.
fn group(tokens: &[Token], start: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// Whether an attribute leaves its item to tests: `cfg(test)`, `cfg(all(test, ..))`, `test`.
fn for_tests(attribute: &[Token]) -> bool {
    let text: Vec<_> = attribute.iter().map(|token| token.text.as_str()).collect();
    match text[..] {
        ["test"] | ["cfg", "(", "test", ")"] => true,
        ["cfg", "(", "all", "(", ..] => {
            let end = group(attribute, 3) - 1;
            let (mut at, mut found) = (4, false);
            while at < end {
                found |= text[at] == "test";
                at = if text[at] == "(" { group(attribute, at) } else { at + 1 };
            }
            found
        }
        _ => false,
    }
}

/// The place behind the item, the field or the arm at `start`, with its other attributes.
fn item(tokens: &[Token], start: usize) -> usize {
    let mut at = start;
    while tokens.get(at).is_some_and(|token| token.is("#")) {
        at = group(tokens, at + 1);
    }
    let words: Vec<_> = tokens[at..].iter().take(6).map(|token| token.text.as_str()).collect();
    let is = |kinds: &[&str]| words.iter().any(|word| kinds.contains(word));
    let to_semicolon = matches!(words[..], ["use" | "let" | "const" | "static" | "type", ..])
        || (words.first() == Some(&"pub") && is(&["use", "const", "static", "type"]));
    let to_semicolon = to_semicolon && !is(&["fn"]);
    let is_item = is(&["fn", "mod", "impl", "struct", "enum", "union", "trait", "macro_rules"]);
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            ";" => return at + 1,
            "," if !is_item && !to_semicolon => return at + 1,
            ")" | "]" | "}" => return at,
            "{" if !to_semicolon => {
                at = group(tokens, at);
                return at;
            }
            "(" | "[" | "{" => at = group(tokens, at),
            _ => at += 1,
        }
    }
    at
}

/// A path in the code; gives the place behind it.
fn path(tokens: &[Token], start: usize, paths: &mut Vec<Written>) -> usize {
    // `<T as Trait>::name`, `::extern_crate::name`, `$crate::name`
    let before = start.checked_sub(1).map(|at| tokens[at].text.as_str());
    let foreign = matches!(before, Some("::" | "$"));
    let mut segments = vec![tokens[start].text.clone()];
    let mut at = start + 1;
    while tokens.get(at).is_some_and(|t| t.is("::"))
        && tokens.get(at + 1).is_some_and(Token::is_word)
    {
        segments.push(tokens[at + 1].text.clone());
        at += 2;
    }
    if segments.len() > 1 && !foreign {
        paths.push(Written { segments, line: tokens[start].line });
    }
    at
}

/// The leaves of what stands between `use` and `;`, with their names.
fn imports(tree: &[Token], before: &[String], found: &mut Vec<(Written, String)>) {
    let mut segments = before.to_vec();
    let mut at = 0;
    while let Some(token) = tree.get(at) {
        if token.is("{") {
            let end = group(tree, at) - 1;
            let mut from = at + 1;
            let mut place = from;
            while place <= end {
                if place == end || tree[place].is(",") {
                    if from < place {
                        imports(&tree[from..place], &segments, found);
                    }
                    from = place + 1;
                    place += 1;
                } else {
                    place = if tree[place].is("{") { group(tree, place) } else { place + 1 };
                }
            }
            return;
        }
        if token.is("as") {
            break;
        }
        // `use ::name`: another crate
        if token.is("::") && segments.is_empty() {
            return;
        }
        if !token.is("::") {
            segments.push(token.text.clone());
        }
        at += 1;
    }
    let Some(last) = tree.get(at.saturating_sub(1)) else { return };
    // `use a::{self, b}` imports `a`
    if segments.len() > 1 && last.is("self") {
        segments.pop();
    }
    let alias = tree.get(at + 1).map(|token| token.text.clone());
    let name = alias.or_else(|| segments.last().cloned()).unwrap_or_default();
    found.push((Written { segments, line: last.line }, name));
}
