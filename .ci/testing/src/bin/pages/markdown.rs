//! As much Markdown as is looked at.

/// Something on a page, and on which line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) line: usize,
    pub(crate) what: What,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Code in a heading.
    Heading(String),
    /// Code in the first cell of a table's row.
    Cell(String),
    /// Code elsewhere.
    Code(String),
    /// Where a link leads.
    Link(String),
    /// What the next block of code is: the comment's text.
    Source(String),
    /// A block of code.
    Block(String),
    /// A backtick without a partner on its line.
    Torn,
}

pub(crate) fn items(page: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let mut lines = (1..).zip(page.lines());
    while let Some((line, text)) = lines.next() {
        let mut add = |what| items.push(Item { line, what });
        if let Some(fence) = fence(text) {
            let code = lines.by_ref().map(|(_, text)| text).take_while(|text| !closes(text, fence));
            add(What::Block(code.flat_map(|text| [text, "\n"]).collect()));
        } else if let Some(comment) = text.trim().strip_prefix("<!-- ") {
            add(What::Source(comment.trim_end_matches("-->").trim().to_owned()));
        } else {
            inline(text, &mut add);
        }
    }
    items
}

/// The backticks that open a block.
fn fence(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let length = text.find(|sign| sign != '`').unwrap_or(text.len());
    (length >= 3).then_some(&text[..length])
}

fn closes(text: &str, fence: &str) -> bool {
    text.trim() == fence
}

fn inline(text: &str, add: &mut impl FnMut(What)) {
    let heading = text.starts_with('#');
    // the cell of a row that starts with `|` ends at the second one outside of code
    let mut bars = 0;
    let mut parts = text.split('`').enumerate().peekable();
    while let Some((number, part)) = parts.next() {
        if number % 2 == 0 {
            bars += part.matches('|').count();
            for link in part.split("](").skip(1) {
                let target = link.split(')').next().unwrap_or_default();
                add(What::Link(target.to_owned()));
            }
        } else if parts.peek().is_none() {
            add(What::Torn);
        } else if heading {
            add(What::Heading(part.to_owned()));
        } else if text.starts_with('|') && bars == 1 {
            add(What::Cell(part.to_owned()));
        } else {
            add(What::Code(part.to_owned()));
        }
    }
}
