//! As much JSON as rustdoc's index has: objects, arrays, texts and whole numbers.

/// A value; an object keeps the order of its fields.
#[derive(Debug, PartialEq)]
pub(crate) enum Json {
    Number(i64),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The value that `text` is.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text;
        let value = value(&mut rest)?;
        let rest = rest.trim_start();
        if rest.is_empty() { Ok(value) } else { Err(unexpected("the end", rest)) }
    }

    /// A field of an object.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        let Self::Object(fields) = self else { return None };
        fields.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// An element of an array.
    pub(crate) fn element(&self, place: usize) -> Option<&Self> {
        let Self::Array(elements) = self else { return None };
        elements.get(place)
    }

    /// A whole number that is not negative.
    pub(crate) fn number(&self) -> Option<usize> {
        let Self::Number(number) = self else { return None };
        usize::try_from(*number).ok()
    }

    pub(crate) fn text(&self) -> Option<&str> {
        let Self::Text(text) = self else { return None };
        Some(text)
    }
}

fn unexpected(wanted: &str, found: &str) -> String {
    let found: String = found.chars().take(20).collect();
    format!("{wanted} is expected, and there is `{found}`")
}

fn token(rest: &mut &str, token: char) -> bool {
    match rest.trim_start().strip_prefix(token) {
        Some(after) => {
            *rest = after;
            true
        }
        None => false,
    }
}

fn value(rest: &mut &str) -> Result<Json, String> {
    if token(rest, '{') {
        return Ok(Json::Object(list(rest, '}', field)?));
    }
    if token(rest, '[') {
        return Ok(Json::Array(list(rest, ']', value)?));
    }
    if token(rest, '"') {
        return text(rest).map(Json::Text);
    }
    let start = rest.trim_start();
    let end = start.find(|c: char| c != '-' && !c.is_ascii_digit()).unwrap_or(start.len());
    let (digits, after) = start.split_at(end);
    *rest = after;
    digits.parse().map(Json::Number).map_err(|_| unexpected("a value", start))
}

fn field(rest: &mut &str) -> Result<(String, Json), String> {
    if !token(rest, '"') {
        return Err(unexpected("a field", rest));
    }
    let name = text(rest)?;
    if !token(rest, ':') {
        return Err(unexpected("`:`", rest));
    }
    Ok((name, value(rest)?))
}

fn list<T>(
    rest: &mut &str,
    end: char,
    one: fn(&mut &str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let mut all = Vec::new();
    if token(rest, end) {
        return Ok(all);
    }
    loop {
        all.push(one(rest)?);
        if token(rest, end) {
            return Ok(all);
        }
        if !token(rest, ',') {
            return Err(unexpected("`,`", rest));
        }
    }
}

/// A text, behind its first quote.
fn text(rest: &mut &str) -> Result<String, String> {
    let mut out = String::new();
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                *rest = &rest[at + 1..];
                return Ok(out);
            }
            '\\' => match chars.next().map(|(_, c)| c) {
                Some(c @ ('"' | '\\' | '/')) => out.push(c),
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('t') => out.push('\t'),
                // names and paths have no others
                _ => return Err(unexpected("an escape", &rest[at..])),
            },
            c => out.push(c),
        }
    }
    Err("a text has no end".to_owned())
}
