//! The table of expected facts, `tests/abi.tsv`.

use std::collections::BTreeMap;

/// What a source says about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    /// A constant, as C's `long long` holds it.
    Value(i64),
    /// A struct, in bytes.
    Layout { size: u64, align: u64 },
    /// A member of a struct, in bytes. Arrays without a length have the size 0, and sources that
    /// cannot tell a size have `None`.
    Member { offset: u64, size: Option<u64> },
}

/// Facts by name; members are named `struct.member`.
pub(crate) type Facts = BTreeMap<String, Fact>;

/// The rows of the table.
pub(crate) fn rows() -> Facts {
    let mut rows = Facts::new();
    for line in include_str!("../abi.tsv").lines().filter(|line| !line.starts_with('#')) {
        let (name, fact) = row(line).unwrap_or_else(|| panic!("not a row: {line:?}"));
        assert!(rows.insert(name.to_owned(), fact).is_none(), "twice in the table: {name}");
    }
    rows
}

/// One row: of the table, or of what the C program prints, which has the same form.
pub(crate) fn row(line: &str) -> Option<(&str, Fact)> {
    let mut columns = line.split('\t');
    let (kind, name, value) = (columns.next()?, columns.next()?, columns.next()?);
    let rest = columns.next()?;
    let fact = match kind {
        "const" => Fact::Value(value.parse().ok()?),
        "struct" => Fact::Layout {
            size: value.parse().ok()?,
            align: rest.strip_prefix("bytes, align ")?.parse().ok()?,
        },
        "field" => Fact::Member {
            offset: value.parse().ok()?,
            size: Some(rest.strip_suffix(" bytes")?.parse().ok()?),
        },
        _ => return None,
    };
    Some((name, fact))
}

/// Whether a header that may be older or newer than ours says the same as we do.
///
/// Two things change from header to header without a break, and only these are let pass:
/// - the names of the limits (`IORING_OP_LAST`) have other values;
/// - reserved bytes become members, so that what is left of them shrinks.
pub(crate) fn agree(name: &str, ours: Fact, theirs: Fact) -> bool {
    match (ours, theirs) {
        (Fact::Value(ours), Fact::Value(theirs)) => {
            ours == theirs || (is_limit(name) && theirs.abs_diff(ours) < 32)
        }
        (
            Fact::Member { offset: a, size: Some(size_a) },
            Fact::Member { offset: b, size: Some(size_b) },
        ) if is_reserved(name) => {
            let contains = |a, size_a, b, size_b| a <= b && b + size_b <= a + size_a;
            contains(a, size_a, b, size_b) || contains(b, size_b, a, size_a)
        }
        (
            Fact::Member { offset: a, size: Some(size_a) },
            Fact::Member { offset: b, size: Some(size_b) },
        ) => a == b && (size_a == size_b || size_a == 0 || size_b == 0),
        (Fact::Member { offset: a, .. }, Fact::Member { offset: b, .. }) => a == b,
        (ours, theirs) => ours == theirs,
    }
}

fn is_limit(name: &str) -> bool {
    name.ends_with("_LAST") || name.ends_with("_QUERY_MAX")
}

fn is_reserved(name: &str) -> bool {
    let member = name.rsplit('.').next().unwrap_or(name).trim_start_matches('_');
    ["resv", "rsvd", "pad"].iter().any(|prefix| member.starts_with(prefix))
}

#[test]
fn the_table_has_as_many_rows_as_the_newest_header_has_items() {
    let count = |wanted: fn(&Fact) -> bool| rows().values().filter(|fact| wanted(fact)).count();
    // Counted in liburing's headers at 27255f4c.
    assert_eq!(count(|fact| matches!(fact, Fact::Value(_))), 270);
    assert_eq!(count(|fact| matches!(fact, Fact::Layout { .. })), 44);
    assert_eq!(count(|fact| matches!(fact, Fact::Member { .. })), 270);
}

#[test]
fn headers_may_differ_in_limits_and_reserved_bytes_only() {
    let member = |offset, size| Fact::Member { offset, size: Some(size) };
    assert!(agree("IORING_OP_LAST", Fact::Value(65), Fact::Value(63)));
    assert!(!agree("IORING_OP_NOP", Fact::Value(0), Fact::Value(1)));
    assert!(agree("io_uring_buf_reg.resv", member(20, 20), member(16, 24)));
    assert!(!agree("io_uring_buf_reg.resv", member(20, 20), member(24, 24)));
    assert!(!agree("io_uring_buf_reg.flags", member(14, 2), member(14, 4)));
    assert!(!agree("io_uring_buf_reg.flags", member(14, 2), member(12, 2)));
    let layout = |size, align| Fact::Layout { size, align };
    assert!(!agree("io_uring_cqe", layout(16, 8), layout(32, 8)));
    assert!(!agree("io_uring_cqe", layout(16, 8), layout(16, 4)));
}
