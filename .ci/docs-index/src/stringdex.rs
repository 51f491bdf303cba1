//! The files below `search.index`, as rustdoc writes them since 1.91.
//!
//! `root.js` calls `rr_` with an object that has a field for each column. A column's values are in
//! files named after the column and a hash; `H` lists the hashes, `N` how many values each file
//! has, and `E` which rows are empty. Each file calls `rd_` with a text whose characters are bytes,
//! or `rb_` with base64 of the bytes.

use std::{
    collections::{BTreeSet, VecDeque},
    fs,
    path::{Path, PathBuf},
};

use crate::json::Json;

/// What is wrong with the index, and in which file.
pub(crate) fn unknown(file: &Path, why: &str) -> String {
    format!(
        "the format of rustdoc's index is not known: {}: {why}; teach .ci/docs-index what this \
         rustdoc writes",
        file.display()
    )
}

/// The root of an index: which columns there are.
pub(crate) struct Root {
    folder: PathBuf,
    file: PathBuf,
    columns: Json,
}

impl Root {
    /// Reads `root.js` of the docs in `doc`.
    pub(crate) fn read(doc: &Path) -> Result<Self, String> {
        let folder = doc.join("search.index");
        let file = folder.join("root.js");
        let script = read(&file)?;
        let columns = argument(&script, "rr_")
            .and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string()))
            .and_then(|text| Json::parse(&text))
            .map_err(|why| unknown(&file, &why))?;
        Ok(Self { folder, file, columns })
    }

    /// The values of a column, one for each row; empty ones too, but for those after the last.
    pub(crate) fn column(&self, name: &str) -> Result<Vec<Vec<u8>>, String> {
        let unknown_root = |why: &str| unknown(&self.file, &format!("column {name}: {why}"));
        let field = |key: &str| {
            let column = self.columns.field(name).ok_or_else(|| unknown_root("is not there"))?;
            let text = column.field(key).and_then(Json::text);
            text.ok_or_else(|| unknown_root(&format!("{key} is not there")))
        };
        let counts = hex_numbers(field("N")?.as_bytes()).map_err(|why| unknown_root(&why))?;
        let hashes = base64(field("H")?.as_bytes()).map_err(|why| unknown_root(&why))?;
        let empty = base64(field("E")?.as_bytes()).map_err(|why| unknown_root(&why))?;
        let empty = bitmap(&empty).map_err(|why| unknown_root(&why))?;
        // 6 bytes until 1.95, 5 in 1.97
        let length = hashes.len().checked_div(counts.len()).unwrap_or(0);
        if length == 0 || hashes.len() != counts.len() * length {
            return Err(unknown_root("it has no hash for each file"));
        }
        let mut rows = Vec::new();
        for (hash, count) in hashes.chunks_exact(length).zip(counts) {
            let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            let file = self.folder.join(name).join(format!("{hash}.js"));
            let script = read(&file)?;
            let bytes = argument(&script, "rd_")
                .or_else(|_| base64(&argument(&script, "rb_")?))
                .map_err(|why| unknown(&file, &why))?;
            let values = values(&bytes).map_err(|why| unknown(&file, &why))?;
            if values.len() != count {
                let why = format!("{count} values are announced, and {} there", values.len());
                return Err(unknown(&file, &why));
            }
            for value in values {
                while empty.contains(&rows.len()) {
                    rows.push(Vec::new());
                }
                rows.push(value);
            }
        }
        Ok(rows)
    }
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| unknown(file, &error.to_string()))
}

/// The bytes of the text that a script calls `function` with.
fn argument(script: &str, function: &str) -> Result<Vec<u8>, String> {
    let start = script.strip_prefix(function).and_then(|rest| rest.strip_prefix('('));
    let mut chars = start.ok_or_else(|| format!("no call of {function}"))?.chars();
    let quote = chars.next().filter(|c| matches!(c, '"' | '\'')).ok_or("no text")?;
    let mut bytes = Vec::new();
    let mut utf8 = [0; 4];
    while let Some(c) = chars.next() {
        let c = match c {
            c if c == quote => return Ok(bytes),
            '\\' => match chars.next().ok_or("no end")? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'v' => '\u{b}',
                '0' => '\0',
                digits @ ('x' | 'u') => {
                    let length = if digits == 'x' { 2 } else { 4 };
                    let hex: String = chars.by_ref().take(length).collect();
                    let code = u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32);
                    code.ok_or_else(|| format!("no character: {hex}"))?
                }
                c => c,
            },
            c => c,
        };
        // In the root it is text; in a column each character is a byte.
        if function == "rr_" {
            bytes.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes());
        } else {
            bytes.push(u8::try_from(c).map_err(|_| format!("no byte: {c:?}"))?);
        }
    }
    Err("no end".to_owned())
}

/// Numbers in digits of four bits; the last digit of each is above 95.
fn hex_numbers(mut bytes: &[u8]) -> Result<Vec<usize>, String> {
    let mut numbers = Vec::new();
    while !bytes.is_empty() {
        numbers.push(hex_number(&mut bytes)?);
    }
    Ok(numbers)
}

fn hex_number(bytes: &mut &[u8]) -> Result<usize, String> {
    let mut number: usize = 0;
    loop {
        let (&digit, rest) = bytes.split_first().ok_or("a number has no end")?;
        *bytes = rest;
        number = number.checked_mul(16).ok_or("a number is too large")? | usize::from(digit & 0xf);
        if digit >= 96 {
            return Ok(number);
        }
    }
}

/// The values of a file: a length and bytes, or one digit for one of the last sixteen values.
fn values(mut bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut all = Vec::new();
    let mut last: VecDeque<Vec<u8>> = VecDeque::new();
    while let Some(&first) = bytes.first() {
        if (48..64).contains(&first) {
            bytes = &bytes[1..];
            let again = last.get(usize::from(first - 48)).ok_or("a value is not there again")?;
            all.push(again.clone());
            continue;
        }
        let length = hex_number(&mut bytes)?;
        let (value, rest) = bytes.split_at_checked(length).ok_or("a value has no end")?;
        bytes = rest;
        all.push(value.to_vec());
        last.push_front(value.to_vec());
        last.truncate(16);
    }
    Ok(all)
}

fn base64(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let (mut bits, mut buffer) = (0, 0_u32);
    for &c in text.iter().take_while(|&&c| c != b'=') {
        let six = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return Err(format!("no base64: {:?}", char::from(c))),
        };
        buffer = (buffer << 6 | u32::from(six)) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            let [byte, ..] = (buffer >> bits).to_le_bytes();
            bytes.push(byte);
        }
    }
    Ok(bytes)
}

/// The set of numbers that <https://github.com/RoaringBitmap/RoaringFormatSpec> describes.
fn bitmap(bytes: &[u8]) -> Result<BTreeSet<usize>, String> {
    let mut set = BTreeSet::new();
    let mut reader = Reader(bytes);
    let has_runs = match reader.u16()? {
        0x303a => false,
        0x303b => true,
        cookie => return Err(format!("no set of rows begins with {cookie:#x}")),
    };
    let containers = if has_runs {
        reader.u16()? + 1
    } else {
        reader.skip(2)?;
        reader.u32()?
    };
    let runs = if has_runs { reader.take(containers.div_ceil(8))? } else { &[] };
    let mut heads = Vec::new();
    for _ in 0..containers {
        heads.push((reader.u16()?, reader.u16()? + 1));
    }
    if !has_runs || containers >= 4 {
        reader.skip(4 * containers)?; // where each container begins: they follow each other
    }
    for (place, (key, count)) in heads.into_iter().enumerate() {
        let high = key << 16;
        if runs.get(place / 8).is_some_and(|byte| byte >> (place % 8) & 1 == 1) {
            for _ in 0..reader.u16()? {
                let (start, more) = (reader.u16()?, reader.u16()?);
                set.extend(high + start..=high + start + more);
            }
        } else if count >= 4096 {
            for (at, byte) in reader.take(8192)?.iter().enumerate() {
                set.extend(
                    (0..8).filter(|bit| byte >> bit & 1 == 1).map(|bit| high + at * 8 + bit),
                );
            }
        } else {
            for _ in 0..count {
                set.insert(high + reader.u16()?);
            }
        }
    }
    Ok(set)
}

/// Takes little-endian numbers off the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or("a set of rows has no end")?;
        self.0 = rest;
        Ok(taken)
    }

    fn skip(&mut self, bytes: usize) -> Result<(), String> {
        self.take(bytes).map(drop)
    }

    fn u8(&mut self) -> Result<usize, String> {
        self.take(1).map(|bytes| usize::from(bytes[0]))
    }

    fn u16(&mut self) -> Result<usize, String> {
        Ok(self.u8()? | self.u8()? << 8)
    }

    fn u32(&mut self) -> Result<usize, String> {
        Ok(self.u16()? | self.u16()? << 16)
    }
}
