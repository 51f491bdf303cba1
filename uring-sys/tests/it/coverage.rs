//! Is everything there? The table, the source and the list of names have the same items.

use std::collections::{BTreeMap, BTreeSet};

use uring_sys as sys;

use crate::accessors::{self, RUST_ONLY};
use crate::sources::this_crate;
use crate::table::{self, Fact};

/// The files of the crate. That none is forgotten is a test below.
const FILES: [(&str, &str); 12] = [
    ("bpf", include_str!("../../src/bpf.rs")),
    ("buf_ring", include_str!("../../src/buf_ring.rs")),
    ("cqe", include_str!("../../src/cqe.rs")),
    ("enter", include_str!("../../src/enter.rs")),
    ("msg", include_str!("../../src/msg.rs")),
    ("opcode", include_str!("../../src/opcode.rs")),
    ("query", include_str!("../../src/query.rs")),
    ("register", include_str!("../../src/register.rs")),
    ("setup", include_str!("../../src/setup.rs")),
    ("sqe", include_str!("../../src/sqe.rs")),
    ("syscall", include_str!("../../src/syscall.rs")),
    ("zcrx", include_str!("../../src/zcrx.rs")),
];

/// Structs that the table lacks, with why.
const NOT_IN_THE_TABLE: [(&str, &str); 7] = [
    ("__kernel_timespec", "of linux/time_types.h"),
    ("io_uring_sqe128", "ours, for the array `cmd`"),
    ("io_uring_cqe32", "ours, for the array `big_cqe`"),
    ("io_uring_probe_with_ops", "ours, for the array `ops`"),
    ("io_uring_task_restriction_with", "ours, for the array `restrictions`"),
    ("io_uring_bpf_ctx_socket", "ours, for a struct without a name"),
    ("io_uring_bpf_ctx_open", "ours, for a struct without a name"),
];

/// Items that the kernel's own header has, but not the header that the table is of.
/// `linux-raw-sys` checks them.
const BEYOND_THE_TABLE: [&str; 13] = [
    "io_uring_sqe.write_stream",
    "io_uring_napi.opcode",
    "io_uring_napi.op_param",
    "IORING_NOP_FILE",
    "IORING_NOP_FIXED_FILE",
    "IORING_NOP_FIXED_BUFFER",
    "IORING_NOP_TW",
    "IO_URING_NAPI_REGISTER_OP",
    "IO_URING_NAPI_STATIC_ADD_ID",
    "IO_URING_NAPI_STATIC_DEL_ID",
    "IO_URING_NAPI_TRACKING_DYNAMIC",
    "IO_URING_NAPI_TRACKING_STATIC",
    "IO_URING_NAPI_TRACKING_INACTIVE",
];

/// The public items of the source, each with its documentation; fields are `struct.field`.
fn source() -> BTreeMap<String, String> {
    let mut items = BTreeMap::new();
    for (_, text) in FILES {
        let (mut docs, mut of) = (String::new(), String::new());
        for line in text.lines() {
            let code = line.trim_start();
            if let Some(doc) = code.strip_prefix("///") {
                docs.push_str(doc);
                docs.push('\n');
                continue;
            }
            let name = |rest: &str| {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                rest[..end.unwrap_or(rest.len())].to_owned()
            };
            if let Some(rest) = line.strip_prefix("pub const ").filter(|rest| rest.contains(": ")) {
                items.insert(name(rest), docs.clone());
            } else if let Some(rest) = line.strip_prefix("pub struct ") {
                of = name(rest);
                items.insert(of.clone(), docs.clone());
            } else if let Some(rest) = line.strip_prefix("    pub ").filter(|_| !of.is_empty()) {
                let field = name(rest.trim_start_matches("r#"));
                items.insert(format!("{of}.{field}"), docs.clone());
            } else if line == "}" {
                of.clear();
            }
            if !code.starts_with("#[") {
                docs.clear();
            }
        }
    }
    // Methods are `pub const fn`, and would look like fields; `impl` blocks are no structs, though.
    assert!(!items.keys().any(|name| name.ends_with(".const")));
    items
}

/// The names of the members that have a setter.
pub(crate) fn setters() -> BTreeSet<&'static str> {
    let mut setters = BTreeSet::new();
    for (_, text) in FILES {
        for line in text.lines().map(str::trim_start) {
            if let Some(rest) = line.strip_prefix("pub const fn set_") {
                setters.extend(rest.split('(').next());
            } else if let Some((name, rest)) = line.split_once(", set_") {
                if rest.split(':').next() == Some(name) {
                    setters.insert(name);
                }
            }
        }
    }
    setters
}

#[test]
fn every_file_of_the_crate_is_read() {
    let modules: Vec<&str> = include_str!("../../src/lib.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'))
        .collect();
    assert_eq!(modules, FILES.map(|(name, _)| name));
}

#[test]
fn the_source_and_the_list_have_the_same_items() {
    let listed: BTreeSet<String> = this_crate().into_keys().collect();
    let extra = |name: &str| {
        let item = name.split('.').next().unwrap_or(name);
        NOT_IN_THE_TABLE.iter().any(|(extra, _)| *extra == item)
    };
    let source: BTreeSet<String> = source().into_keys().filter(|name| !extra(name)).collect();
    let difference: Vec<_> = source.symmetric_difference(&listed).collect();
    assert!(difference.is_empty(), "in `src` or in `items.rs`, but not in both: {difference:?}");
}

#[test]
fn the_table_and_the_crate_have_the_same_items() {
    let mut ours: BTreeSet<String> = this_crate().into_keys().collect();
    ours.extend(accessors::members().into_keys());
    for name in RUST_ONLY {
        assert!(ours.remove(name), "{name} is not in this crate any more");
    }
    for name in BEYOND_THE_TABLE {
        assert!(ours.remove(name), "{name} is not in this crate any more");
    }
    let table: BTreeSet<String> = table::rows().into_keys().collect();
    let difference: Vec<_> = table.symmetric_difference(&ours).collect();
    assert!(difference.is_empty(), "in the table or in the crate, but not in both: {difference:?}");
}

#[test]
fn what_the_table_lacks_is_in_the_source() {
    let source = source();
    for (name, why) in NOT_IN_THE_TABLE {
        assert!(source.contains_key(name), "{name}, {why}, is not in this crate any more");
        assert!(!table::rows().contains_key(name), "{name} is in the table, and not {why}");
    }
    // linux/time_types.h, as bindgen sees it.
    use linux_raw_sys::general::__kernel_timespec as raw;
    assert_eq!(size_of::<sys::__kernel_timespec>(), size_of::<raw>());
    assert_eq!(align_of::<sys::__kernel_timespec>(), align_of::<raw>());
    assert_eq!(
        std::mem::offset_of!(sys::__kernel_timespec, tv_nsec),
        std::mem::offset_of!(raw, tv_nsec)
    );
}

#[test]
fn every_item_says_since_when() {
    let table = table::rows();
    for (name, docs) in source() {
        assert!(!docs.is_empty(), "{name} has no documentation");
        let limit = docs.contains("One more than the last");
        let field = name.contains('.') || matches!(table.get(&name), Some(Fact::Member { .. }));
        if !limit && !field {
            // A doc may wrap between the words.
            let words: Vec<_> = docs.split_whitespace().collect();
            let since = words.windows(3).find(|three| three[..2] == ["Since", "Linux"]);
            let numbers = |version: &str| {
                let mut parts = version.trim_end_matches(['.', ',', ';', ':', ')']).split('.');
                parts.all(|part| part.parse::<u8>().is_ok())
            };
            assert!(since.is_some_and(|three| numbers(three[2])), "{name}: since when?");
        }
    }
}
