//! The formats as the rustdoc of this machine writes them, and what is said of a small crate.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{check, index::Index, json::Json, search};

/// A folder that is removed with the value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // Relaxed: only the number matters.
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("docs-index-{}-{number}", process::id()));
        fs::create_dir_all(folder.join("toy/src")).unwrap();
        Self(folder)
    }

    /// The docs of a crate `toy` of this text.
    fn docs(&self, source: &str) -> PathBuf {
        let (file, out) = (self.0.join("toy/src/lib.rs"), self.0.join("doc"));
        fs::write(&file, source).unwrap();
        let mut rustdoc = Command::new(env::var_os("RUSTDOC").unwrap_or_else(|| "rustdoc".into()));
        rustdoc.arg("--edition=2024").arg("--crate-name=toy").arg("-o").arg(&out).arg(&file);
        let output = rustdoc.output().expect("rustdoc runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        out
    }

    fn check(&self, doc: &Path, names: &str) -> Vec<String> {
        let list = self.0.join("names");
        fs::write(&list, names).unwrap();
        let report = check::run(doc, &list, &[self.0.join("toy")]).unwrap();
        let folder = format!("{}/", self.0.display());
        report.faults.iter().map(|fault| fault.replace(&folder, "")).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

const TOY: &str = r#"//! A toy.
mod inner {
    /// Reads.
    pub struct Read;
    impl Read {
        /// Makes one.
        #[doc(alias = "prep_read_into")]
        pub fn new() -> Self {
            Self
        }
    }
    /// An entry.
    pub struct Entry;
    impl Entry {
        /// A long name.
        #[doc(alias = "prep_read")]
        pub fn read_it() {}
    }
    #[doc(alias = "lost")]
    fn hidden() {}
}
#[doc(alias("prep_read", "OP_READ", "other::Read"))]
pub use inner::Read;
pub use inner::Entry;
/// Names of others.
pub mod types {
    /// A page.
    #[doc(alias = "types::Fd")]
    pub mod here {}
}
/// Pages.
pub mod porting {
    /// Not yet.
    #[doc(alias = "prep_splice")]
    pub mod not_yet {}
}
"#;

fn paths(index: &Index, name: &str) -> Vec<String> {
    search::hits(index, "toy", name).iter().map(|item| item.path()).collect()
}

#[test]
fn the_index_of_this_rustdoc_is_read() {
    let folder = Folder::new();
    let index = Index::read(&folder.docs(TOY)).unwrap();
    // an alias on a `pub use`, on a method, on a module
    assert_eq!(paths(&index, "OP_READ"), ["toy::Read"]);
    assert_eq!(paths(&index, "prep_read_into"), ["toy::Read::new"]);
    assert_eq!(paths(&index, "prep_splice"), ["toy::porting::not_yet"]);
    // a name of its own, without case and underscores
    assert_eq!(paths(&index, "readit"), ["toy::Entry::read_it"]);
    // the shorter name comes first
    assert_eq!(paths(&index, "prep_read"), ["toy::Read", "toy::Entry::read_it"]);
    // with a path, only what is in such a module
    assert_eq!(paths(&index, "types::Fd"), ["toy::types::here"]);
    assert_eq!(paths(&index, "toy::Read"), ["toy::Read"]);
    assert_eq!(paths(&index, "other::Read"), [""; 0]);
    assert_eq!(paths(&index, "prep"), [""; 0]);
}

#[test]
fn a_list_that_is_right_has_no_faults() {
    let folder = Folder::new();
    let doc = folder.docs(&TOY.replace("#[doc(alias = \"lost\")]", ""));
    let list = "# comment\n\nprep_read toy::Read\nprep_splice toy::porting::not_yet\n";
    assert_eq!(folder.check(&doc, list), [""; 0]);
}

#[test]
fn each_fault_names_its_line_and_what_to_do() {
    let folder = Folder::new();
    let doc = folder.docs(TOY);
    let list = "prep_nothing toy::Read\nprep_read toy::Entry::read_it\nOP_READ toy::Gone\n\
                OP_READ\nprep_read toy::Read\n";
    let faults = folder.check(&doc, list);
    let starts = [
        "names:1: prep_nothing: the search does not find it: write #[doc(alias = \"prep_nothing\")",
        "names:2: prep_read: the search leads to toy::Read first, not to toy::Entry::read_it",
        "names:3: OP_READ: there is no item toy::Gone in the docs",
        "names:4: OP_READ: a line is NAME PATH",
        "names:5: prep_read: it stands in line 2 already",
        // it stands on a private function
        "toy/src/lib.rs:19: alias: lost is written once and found 0 times",
    ];
    assert_eq!(faults.len(), starts.len(), "{faults:#?}");
    for (fault, start) in faults.iter().zip(starts) {
        assert!(fault.starts_with(start), "{fault}");
    }
}

#[test]
fn what_is_there_must_leave_the_page_of_what_is_not() {
    let folder = Folder::new();
    let doc = folder.docs(&TOY.replace("\"OP_READ\"", "\"prep_splice\""));
    let faults = folder.check(&doc, "prep_splice toy::Read\n");
    let wanted = "names:1: prep_splice: it is there, as toy::Read: take the alias away from \
                  toy::porting::not_yet";
    assert_eq!(faults[0], wanted);
}

#[test]
fn a_format_that_is_not_known_is_an_error() {
    let folder = Folder::new();
    let doc = folder.docs(TOY);
    let root = doc.join("search.index/root.js");
    let known = fs::read_to_string(&root).unwrap();
    let error = |text: &str| {
        fs::write(&root, text).unwrap();
        Index::read(&doc).unwrap_err()
    };
    for broken in ["", "xx_('{}')", "rr_('{}')", "rr_('{\"name\":{}}')"] {
        let error = error(broken);
        assert!(error.starts_with("the format of rustdoc's index is not known: "), "{error}");
        assert!(error.contains("root.js"), "{error}");
    }
    let column = known.find("\"name\":{").expect("names have a column");
    let counts = column + known[column..].find("\"N\":\"").expect("it has counts") + 5;
    // `b` is a number, and `A` the first digit of one: a file without hash, and values without file
    for digit in ["b", "A"] {
        let error = error(&format!("{}{digit}{}", &known[..counts], &known[counts..]));
        assert!(error.starts_with("the format of rustdoc's index is not known: "), "{error}");
    }
    fs::remove_file(&root).unwrap();
    assert!(Index::read(&doc).unwrap_err().contains("root.js: No such file"));
    let none = Index::read(&folder.0.join("none")).unwrap_err();
    assert!(none.ends_with("none: there are no docs; run cargo doc first"), "{none}");
}

#[test]
fn aliases_are_found_in_sources() {
    let source = "#[doc(alias = \"one\")]\n// #[doc(alias = \"comment\")]\n#[doc(alias(\"two\", \
                  \"three\"))]\n#[doc(alias(\n    \"four\",\n    \"five\",\n))]\nlet x = \"six\";\n\
                  #[doc(alias = $alias)]\nlet y = \"seven\";\n";
    let found = check::aliases_in(source);
    let found: Vec<_> = found.iter().map(|(name, line)| (name.as_str(), *line)).collect();
    assert_eq!(found, [("one", 1), ("two", 3), ("three", 3), ("four", 5), ("five", 6)]);
}

#[test]
fn json_is_read_and_broken_json_is_not() {
    let value = Json::parse(r#"{"a":[1,-2,"x\"\\\n"],"b":{},"c":[]}"#).unwrap();
    assert_eq!(value.field("a").unwrap().element(0).unwrap().number(), Some(1));
    assert_eq!(value.field("a").unwrap().element(1).unwrap().number(), None);
    assert_eq!(value.field("a").unwrap().element(2).unwrap().text(), Some("x\"\\\n"));
    assert_eq!(value.field("b"), Some(&Json::Object(Vec::new())));
    for broken in ["", "{", "[1,", "[1 2]", "\"x", "{\"a\"}", "{1:2}", "x", "[] 1", "\"\\q\""] {
        assert!(Json::parse(broken).is_err(), "{broken}");
    }
}
