//! The items and the aliases of an index, with their paths.

use std::{fs, path::Path};

use crate::{
    json::Json,
    stringdex::{Root, unknown},
};

/// An item that the search can lead to.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) krate: String,
    pub(crate) name: String,
    /// `uring::op`: the module that the item is in; empty for a crate.
    pub(crate) module: String,
    /// The type or trait that the item is in.
    pub(crate) parent: Option<String>,
    /// rustdoc's number for what it is: a module, a structure, a method.
    pub(crate) kind: usize,
    pub(crate) deprecated: bool,
    pub(crate) unstable: bool,
    pub(crate) described: bool,
}

impl Item {
    /// As the search shows it: `uring::op::Read::new`.
    pub(crate) fn path(&self) -> String {
        let parts = [Some(&self.module), self.parent.as_ref(), Some(&self.name)];
        let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        parts.join("::").trim_start_matches("::").to_owned()
    }
}

/// A name that an item can be found by, and which item, by its place in [`Index::items`].
#[derive(Debug)]
pub(crate) struct Alias {
    pub(crate) name: String,
    pub(crate) item: usize,
}

/// What rustdoc's search knows, in the order of its rows.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) items: Vec<Item>,
    pub(crate) aliases: Vec<Alias>,
}

impl Index {
    /// Reads the index of the docs in `doc`.
    pub(crate) fn read(doc: &Path) -> Result<Self, String> {
        if fs::metadata(doc).is_err() {
            return Err(format!("{}: there are no docs; run cargo doc first", doc.display()));
        }
        let root = Root::read(doc)?;
        let names = texts(root.column("name")?);
        let entries = texts(root.column("entry")?);
        let paths = texts(root.column("path")?);
        let aliases = texts(root.column("alias")?);
        let described = root.column("desc")?;
        let wrong = |column: &str, row: usize, why: &str| {
            unknown(&doc.join("search.index").join(column), &format!("row {row}: {why}"))
        };
        let name = |row: usize| names.get(row).cloned();
        // The whole path of the module in a row.
        let module = |row: usize| -> Option<String> {
            let name = name(row)?;
            let path = Json::parse(paths.get(row)?).ok()?;
            let outer = path.element(1)?.text()?;
            Some(if outer.is_empty() { name } else { format!("{outer}::{name}") })
        };

        let mut items = Vec::new();
        let mut place_of_row = vec![None; names.len()];
        for (row, entry) in entries.iter().enumerate().filter(|(_, entry)| !entry.is_empty()) {
            let item = Json::parse(entry).ok().and_then(|entry| {
                let number = |place| entry.element(place).and_then(Json::number);
                // rows are counted from one there, and zero is none
                let other = |place| number(place).map(|row| row.checked_sub(1));
                Some(Item {
                    krate: name(number(0)?)?,
                    name: name(row)?,
                    module: other(2)?.map_or(Some(String::new()), module)?,
                    parent: match other(4)? {
                        Some(row) => Some(name(row)?),
                        None => None,
                    },
                    kind: number(1)?,
                    deprecated: number(6)? == 1,
                    unstable: number(7)? == 1,
                    described: described.get(row).is_some_and(|text| !text.is_empty()),
                })
            });
            let item = item.ok_or_else(|| wrong("entry", row, &format!("`{entry}`")))?;
            place_of_row[row] = Some(items.len());
            items.push(item);
        }
        let mut found = Vec::new();
        for (row, target) in aliases.iter().enumerate().filter(|(_, target)| !target.is_empty()) {
            let alias = target.parse().ok().and_then(|target: usize| {
                let item = (*place_of_row.get(target)?)?;
                Some(Alias { name: name(row)?, item })
            });
            found.push(alias.ok_or_else(|| wrong("alias", row, &format!("`{target}`")))?);
        }
        if items.is_empty() || names.iter().all(String::is_empty) {
            return Err(wrong("entry", 0, "no item is there"));
        }
        Ok(Self { items, aliases: found })
    }
}

/// Names and paths are text; whatever is not would not be found either.
fn texts(column: Vec<Vec<u8>>) -> Vec<String> {
    column.into_iter().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}
