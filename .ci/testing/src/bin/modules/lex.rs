//! Words and signs of a source, with their lines; without comments and literals.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) line: usize,
    /// An identifier, or one sign; `::` is one.
    pub(crate) text: String,
}

impl Token {
    pub(crate) fn is(&self, text: &str) -> bool {
        self.text == text
    }

    pub(crate) fn is_word(&self) -> bool {
        self.text.starts_with(|first: char| first == '_' || first.is_alphabetic())
    }
}

struct Lexer<'s> {
    rest: &'s str,
    line: usize,
}

impl Lexer<'_> {
    /// Takes this many bytes.
    fn skip(&mut self, bytes: usize) {
        let (taken, rest) = self.rest.split_at(bytes.min(self.rest.len()));
        self.line += taken.matches('\n').count();
        self.rest = rest;
    }

    /// Takes all up to and with `end`, or everything.
    fn skip_past(&mut self, end: &str) {
        self.skip(self.rest.find(end).map_or(self.rest.len(), |at| at + end.len()));
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        loop {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.skip(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.skip(2);
            } else {
                let Some(first) = self.rest.chars().next() else { return };
                self.skip(first.len_utf8());
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// Behind the opening quote: to the closing one.
    fn quoted(&mut self, quote: char) {
        while let Some(first) = self.rest.chars().next() {
            let escaped = if first == '\\' { self.rest[1..].chars().next() } else { None };
            self.skip(first.len_utf8() + escaped.map_or(0, char::len_utf8));
            if first == quote {
                return;
            }
        }
    }

    /// A string that starts here, with any of its prefixes.
    fn string(&mut self) -> bool {
        let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|prefix| {
            let after = self.rest.strip_prefix(prefix).unwrap_or_default();
            let hashes = if prefix.ends_with('r') { after.trim_start_matches('#') } else { after };
            hashes.starts_with('"')
        });
        let Some(prefix) = prefix else { return false };
        self.skip(prefix.len());
        if prefix.ends_with('r') {
            let hashes = self.rest.len() - self.rest.trim_start_matches('#').len();
            self.skip(hashes + 1);
            self.skip_past(&format!("\"{}", "#".repeat(hashes)));
        } else {
            self.skip(1);
            self.quoted('"');
        }
        true
    }

    /// Behind a `'`: a lifetime, or the rest of a character.
    fn tick(&mut self) {
        let mut chars = self.rest.chars();
        let word = |c: char| c == '_' || c.is_alphanumeric();
        if chars.next().is_some_and(word) && chars.next() != Some('\'') {
            self.skip(self.rest.find(|c| !word(c)).unwrap_or(self.rest.len()));
        } else {
            self.quoted('\'');
        }
    }
}

pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer { rest: source, line: 1 };
    let mut tokens = Vec::new();
    while let Some(first) = lexer.rest.chars().next() {
        if lexer.rest.starts_with("//") {
            lexer.skip_past("\n");
        } else if lexer.rest.starts_with("/*") {
            lexer.block_comment();
        } else if first.is_whitespace() {
            lexer.skip(first.len_utf8());
        } else if lexer.string() {
        } else if first == '\'' || lexer.rest.starts_with("b'") {
            lexer.skip(lexer.rest.find('\'').unwrap_or_default() + 1);
            lexer.tick();
        } else {
            let word = |c: char| c == '_' || c.is_alphanumeric();
            let raw = if lexer.rest.starts_with("r#") { 2 } else { 0 };
            lexer.skip(raw);
            let length = lexer.rest.find(|c| !word(c)).unwrap_or(lexer.rest.len());
            let length = match length {
                0 if lexer.rest.starts_with("::") => 2,
                0 => first.len_utf8(),
                length => length,
            };
            tokens.push(Token { line: lexer.line, text: lexer.rest[..length].to_owned() });
            lexer.skip(length);
        }
    }
    tokens
}
