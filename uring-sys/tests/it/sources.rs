//! What this crate says, compared row by row with three other sources.

use std::any::TypeId;
use std::collections::BTreeSet;
use std::mem::{offset_of, size_of};

use uring_sys as sys;

use crate::items::{
    for_all_constants, for_newer_fields, for_newer_structs, for_structs_of_linux_raw_sys,
};
use crate::table::{self, Fact, Facts, agree};
use crate::{accessors, header};

/// A constant as C's `long long` holds it; `None` for what a source does not have.
trait Constant {
    fn value(self) -> Option<i64>;
}

/// Stands for everything that a source does not have.
#[derive(Clone, Copy)]
struct Missing;

impl Constant for Missing {
    fn value(self) -> Option<i64> {
        None
    }
}

impl Constant for u64 {
    fn value(self) -> Option<i64> {
        // The masks of 64 bits are negative in C's `long long`.
        Some(i64::from_ne_bytes(self.to_ne_bytes()))
    }
}

impl Constant for usize {
    fn value(self) -> Option<i64> {
        i64::try_from(self).ok()
    }
}

macro_rules! constants_from {
    ($($type:ty)*) => {$(
        impl Constant for $type {
            fn value(self) -> Option<i64> {
                Some(i64::from(self))
            }
        }
    )*};
}
constants_from!(u8 u16 u32 i32);

macro_rules! constants_from_enums {
    ($($type:ident)*) => {$(
        impl Constant for linux_raw_sys::io_uring::$type {
            fn value(self) -> Option<i64> {
                (self as u32).value()
            }
        }
    )*};
}
constants_from_enums! {
    io_uring_sqe_flags_bit io_uring_op io_uring_msg_ring_flags io_uring_register_op io_wq_type
    io_uring_register_pbuf_ring_flags io_uring_register_restriction_op io_uring_socket_op
    io_uring_zcrx_area_flags io_uring_napi_op io_uring_napi_tracking_strategy
    _bindgen_ty_1 _bindgen_ty_2 _bindgen_ty_3 _bindgen_ty_4
}

fn size_of_pointee<T>(_: *const T) -> u64 {
    bytes(size_of::<T>())
}

pub(crate) fn bytes(size: usize) -> u64 {
    u64::try_from(size).expect("a size fits")
}

fn layout<T>() -> Fact {
    Fact::Layout { size: bytes(size_of::<T>()), align: bytes(align_of::<T>()) }
}

macro_rules! constants_of_this_crate {
    ($($name:ident,)*) => {
        vec![$((stringify!($name), sys::$name.value())),*]
    };
}

macro_rules! structs_of_this_crate {
    ($($name:ident { $($field:ident),* })*) => {
        vec![$(
            (stringify!($name).to_owned(), layout::<sys::$name>()),
        )*]
    };
}

macro_rules! fields_of {
    ($krate:path; $($name:ident { $($field:ident),* })*) => {{
        use $krate as krate;
        vec![$($({
            let value = std::mem::MaybeUninit::<krate::$name>::uninit();
            let pointer = value.as_ptr();
            let member = concat!(stringify!($name), ".", stringify!($field));
            let fact = Fact::Member {
                offset: bytes(offset_of!(krate::$name, $field)),
                // SAFETY: `&raw` of a field wants the struct in bounds, which `value` is; nothing
                // is read.
                size: Some(size_of_pointee(unsafe { &raw const (*pointer).$field })),
            };
            (member.to_owned(), fact)
        },)*)*]
    }};
}

macro_rules! fields_of_this_crate {
    ($($rest:tt)*) => { fields_of!(uring_sys; $($rest)*) };
}

macro_rules! fields_of_linux_raw_sys {
    ($($rest:tt)*) => { fields_of!(linux_raw_sys::io_uring; $($rest)*) };
}

/// What this crate says: all constants, structs and fields.
pub(crate) fn this_crate() -> Facts {
    let constants: Vec<(&str, Option<i64>)> = for_all_constants!(constants_of_this_crate);
    let mut facts: Facts = constants
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Fact::Value(value.expect("an integer"))))
        .collect();
    facts.extend(for_structs_of_linux_raw_sys!(structs_of_this_crate));
    facts.extend(for_newer_structs!(structs_of_this_crate));
    facts.extend(for_structs_of_linux_raw_sys!(fields_of_this_crate));
    facts.extend(for_newer_structs!(fields_of_this_crate));
    facts.extend(for_newer_fields!(fields_of_this_crate));
    facts
}

/// What this crate says about the members of C: those that are methods here are included, and what
/// is only a Rust name is not.
pub(crate) fn this_crate_in_c() -> Facts {
    let mut facts = this_crate();
    facts.extend(accessors::members());
    facts.retain(|name, _| !accessors::RUST_ONLY.contains(&name.as_str()));
    facts
}

/// Stands in for each constant that `linux-raw-sys` does not have, in a scope further out: a name
/// that the inner glob does not bring is looked up there.
macro_rules! missing_constants {
    ($($name:ident,)*) => {
        #[allow(dead_code, reason = "those that are not missing are not used")]
        mod missing {
            $(pub(super) const $name: super::Missing = super::Missing;)*
        }
    };
}
for_all_constants!(missing_constants);

macro_rules! constants_of_linux_raw_sys {
    ($($name:ident,)*) => {
        vec![$((stringify!($name), $name.value())),*]
    };
}

macro_rules! structs_of_linux_raw_sys {
    ($($name:ident { $($field:ident),* })*) => {
        vec![$(
            (stringify!($name).to_owned(), layout::<linux_raw_sys::io_uring::$name>()),
        )*]
    };
}

#[allow(unused_imports, reason = "once all names are in `linux-raw-sys`, none is missing")]
fn constants_of_linux_raw_sys() -> Vec<(&'static str, Option<i64>)> {
    use missing::*;
    {
        use linux_raw_sys::io_uring::io_uring_msg_ring_flags::*;
        use linux_raw_sys::io_uring::io_uring_napi_op::*;
        use linux_raw_sys::io_uring::io_uring_napi_tracking_strategy::*;
        use linux_raw_sys::io_uring::io_uring_op::*;
        use linux_raw_sys::io_uring::io_uring_register_op::*;
        use linux_raw_sys::io_uring::io_uring_register_pbuf_ring_flags::*;
        use linux_raw_sys::io_uring::io_uring_register_restriction_op::*;
        use linux_raw_sys::io_uring::io_uring_socket_op::*;
        use linux_raw_sys::io_uring::io_uring_sqe_flags_bit::*;
        use linux_raw_sys::io_uring::io_uring_zcrx_area_flags::*;
        use linux_raw_sys::io_uring::io_wq_type::*;
        use linux_raw_sys::io_uring::*;
        for_all_constants!(constants_of_linux_raw_sys)
    }
}

/// What the crate `linux-raw-sys` says, made by bindgen from the kernel's header.
fn linux_raw_sys() -> Facts {
    let mut facts: Facts = constants_of_linux_raw_sys()
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), Fact::Value(value?))))
        .collect();
    facts.extend(for_structs_of_linux_raw_sys!(structs_of_linux_raw_sys));
    facts.extend(for_structs_of_linux_raw_sys!(fields_of_linux_raw_sys));
    facts.extend(accessors::members_of_linux_raw_sys());

    // Two things are not the header's, but bindgen's and time's; both are named, so that a change
    // is noticed. The macro `(~0U)` became an `i32`:
    let alloc = facts.insert("IORING_FILE_INDEX_ALLOC".to_owned(), Fact::Value(0xffff_ffff));
    assert_eq!(alloc, Some(Fact::Value(-1)));
    // and the kernel split the last word of this struct, which liburing, and so the table, has as
    // one of 64 bits. The size is the same, and the kernel copies from any address.
    let napi = facts.insert("io_uring_napi".to_owned(), Fact::Layout { size: 16, align: 8 });
    assert_eq!(napi, Some(Fact::Layout { size: 16, align: 4 }));
    facts
}

/// The rows of which `source` says something else than this crate.
fn differences(ours: &Facts, source: &str, theirs: &Facts) -> Vec<String> {
    ours.iter()
        .filter_map(|(name, &ours)| {
            let &theirs = theirs.get(name)?;
            (!agree(name, ours, theirs))
                .then(|| format!("{name}: here {ours:?}, {source} {theirs:?}"))
        })
        .collect()
}

#[test]
fn every_row_of_the_table_is_as_the_table_says() {
    let (ours, table) = (this_crate_in_c(), table::rows());
    for (name, expected) in &table {
        let ours = ours.get(name).unwrap_or_else(|| panic!("{name} is not in this crate"));
        match (ours, expected) {
            // An array without a length is one with a length here, or none.
            (Fact::Member { offset, .. }, Fact::Member { offset: expected, size: Some(0) }) => {
                assert_eq!(offset, expected, "{name}");
            }
            _ => assert_eq!(ours, expected, "{name}"),
        }
    }
}

#[test]
fn linux_raw_sys_agrees() {
    let theirs = linux_raw_sys();
    assert!(theirs.len() > 400, "only {} rows of linux-raw-sys were found", theirs.len());
    let differences = differences(&this_crate_in_c(), "linux-raw-sys", &theirs);
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn the_headers_of_this_machine_agree() {
    let headers = header::on_this_machine();
    if headers.is_empty() {
        skip!("no header of io_uring and no C compiler: install linux-libc-dev and gcc");
    }
    for (name, mut theirs) in headers {
        // As for `linux-raw-sys`: newer kernel headers have two halves in place of its last word.
        if let Some(Fact::Layout { align, .. }) = theirs.get_mut("io_uring_napi") {
            *align = 8;
        }
        assert!(theirs.len() > 150, "only {} rows of {name} were found", theirs.len());
        let differences = differences(&this_crate_in_c(), name, &theirs);
        assert!(differences.is_empty(), "{differences:#?}");
    }
}

#[test]
fn no_row_is_unchecked() {
    let ours: BTreeSet<String> = this_crate_in_c().into_keys().collect();
    let mut sources = vec![("tests/abi.tsv", table::rows()), ("linux-raw-sys", linux_raw_sys())];
    sources.extend(header::on_this_machine());

    let mut unchecked = ours.clone();
    let mut only_table = ours.clone();
    for (source, facts) in &sources {
        let checked: BTreeSet<_> = ours.iter().filter(|name| facts.contains_key(*name)).collect();
        println!("{:4} of {} rows checked by {source}", checked.len(), ours.len());
        unchecked.retain(|name| !facts.contains_key(name));
        if *source != "tests/abi.tsv" {
            only_table.retain(|name| !facts.contains_key(name));
        }
    }
    println!("{:4} checked by the table alone, being newer than all others", only_table.len());
    println!("{:4} unchecked", unchecked.len());
    assert!(unchecked.is_empty(), "{unchecked:?}");
}

#[test]
fn names_that_linux_raw_sys_gained_are_compared() {
    // A struct of the second list that `linux-raw-sys` has by now belongs into the first one.
    macro_rules! missing_structs {
        ($($name:ident { $($field:ident),* })*) => {{
            mod missing {
                $(
                    #[allow(non_camel_case_types, reason = "stands in for a struct of C")]
                    #[allow(dead_code, reason = "unused once linux-raw-sys has the name")]
                    pub(super) type $name = crate::sources::Missing;
                )*
            }
            #[allow(unused_imports, reason = "once all names are there, none is missing")]
            use missing::*;
            {
                #[allow(unused_imports, reason = "while all names are missing, none is here")]
                use linux_raw_sys::io_uring::*;
                vec![$((stringify!($name), TypeId::of::<$name>())),*]
            }
        }};
    }
    for (name, type_id) in for_newer_structs!(missing_structs) {
        assert!(
            type_id == TypeId::of::<Missing>(),
            "linux-raw-sys has {name}: move it to the other list in items.rs"
        );
    }
}
