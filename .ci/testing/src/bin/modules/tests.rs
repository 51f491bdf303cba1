//! Small made-up crates.

use crate::{
    check::{circles, imports},
    lex,
    parse::{Modules, modules},
};

fn tree(files: &[(&str, &str)]) -> Modules {
    let read = |file: &str| {
        files.iter().find(|(name, _)| *name == file).map(|(_, text)| (*text).to_owned())
    };
    modules("src", &read).expect("all files are there")
}

/// The imports that are in circles, as `FILE:LINE FROM TO`.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    let lines = circles(&tree(files)).into_iter().filter(|line| line.contains(" imports "));
    lines.map(|line| line.replace(": circle:", "").replace(" imports from", "")).collect()
}

fn hidden(files: &[(&str, &str)]) -> Vec<String> {
    imports(&tree(files))
}

#[test]
fn modules_that_import_in_one_direction_are_no_circle() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c; pub use a::A;"),
        ("a.rs", "use crate::{b::B, c::C}; use std::fmt; pub struct A;"),
        ("b.rs", "use crate::c::C; pub struct B;"),
        ("c.rs", "use other::a::A; pub struct C;"),
    ];
    assert_eq!(found(&files), [""; 0]);
    assert_eq!(hidden(&files), [""; 0]);
}

#[test]
fn two_modules_that_import_each_other_are_a_circle_and_a_third_is_not_in_it() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "\nuse crate::b::B;\npub struct A;"),
        ("b.rs", "use crate::a::A;\npub struct B;"),
        ("c.rs", "use crate::a::A; use crate::b::B;"),
    ];
    assert_eq!(found(&files), ["src/a.rs:2 a b", "src/b.rs:1 b a"]);
    assert_eq!(circles(&tree(&files))[0], "src/a.rs:1: circle: of a, b");
}

#[test]
fn a_circle_through_the_facade_is_found_and_each_import_has_its_right_path() {
    let files = [
        ("lib.rs", "mod low; mod ring;\npub use low::Low; pub use ring::{Ring, Chain as Links};"),
        ("low.rs", "pub struct Low;\nuse crate::{Ring};"),
        ("ring/mod.rs", "mod owned; mod chain; pub use owned::Ring; pub use chain::Chain;"),
        ("ring/owned.rs", "use crate::Low;\nuse crate::ring::chain::Chain; pub struct Ring;"),
        ("ring/chain.rs", "\n\nuse crate::Links;\npub struct Chain;"),
    ];
    assert_eq!(
        found(&files),
        ["src/low.rs:2 low ring::owned", "src/ring/owned.rs:1 ring::owned low"]
    );
    let wrong = [
        "low.rs:2: import: crate::Ring is only handed on: write crate::ring::Ring",
        "ring/chain.rs:3: import: crate::Links is only handed on: write crate::ring::chain::Chain",
        "ring/owned.rs:1: import: crate::Low is only handed on: write crate::low::Low",
    ];
    assert_eq!(hidden(&files), wrong.map(|line| format!("src/{line}")));
}

#[test]
fn a_circle_through_super_is_found() {
    let files = [
        ("lib.rs", "mod ring;"),
        ("ring/mod.rs", "mod a; mod b;"),
        ("ring/a.rs", "use super::b::B;"),
        ("ring/b.rs", "mod deep; pub struct B;"),
        ("ring/b/deep.rs", "use super::super::a;"),
    ];
    // b and b::deep are one folder, but only one of them is in the circle
    assert_eq!(found(&files), [""; 0]);
    let mut files = files;
    files[3].1 = "use super::a::A; pub struct B; mod deep;";
    assert_eq!(
        found(&files),
        ["src/ring/a.rs:1 ring::a ring::b", "src/ring/b.rs:1 ring::b ring::a"]
    );
}

#[test]
fn grouped_imports_each_have_their_line() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::{\n    b::{self, B},\n    c::{\n        C, D as E,\n    },\n};"),
        ("b.rs", "use {crate::a::A, std::fmt};"),
        ("c.rs", "pub use self::d::C;\nmod d { use super::super::{a, b}; pub struct C; }"),
    ];
    let circle = ["src/a.rs:2 a b", "src/a.rs:4 a c::d", "src/b.rs:1 b a", "src/c.rs:2 c::d a"];
    assert_eq!(found(&files)[..3], circle[..3]);
    assert!(found(&files).iter().any(|line| line == circle[3]), "{:?}", found(&files));
}

#[test]
fn a_renamed_import_is_followed_to_what_it_names() {
    let files = [
        ("lib.rs", "mod a; mod b; pub use a::A as Alpha; pub(crate) use a as first;"),
        ("a.rs", "use crate::b as second;\nfn f() { second::g(); } pub struct A;"),
        ("b.rs", "use crate::Alpha as Mine;\npub fn g() {}"),
    ];
    assert_eq!(found(&files), ["src/a.rs:1 a b", "src/b.rs:1 b a"]);
    let mut files = files;
    files[2].1 = "use crate::first::A;\npub fn g() {}";
    assert_eq!(found(&files), ["src/a.rs:1 a b", "src/b.rs:1 b a"]);
    let wrong = "src/b.rs:1: import: crate::first::A is only handed on: write crate::a::A";
    assert_eq!(hidden(&files), [wrong]);
}

#[test]
fn paths_in_the_code_count_like_imports() {
    let files = [
        ("lib.rs", "mod a; mod b; pub use b::B;"),
        ("a.rs", "pub fn f() {\n    let b: crate::B = super::b::B::new();\n}"),
        ("b.rs", "use crate::a;\nimpl B { fn g() { a::f(); <B as Into<u8>>::into(::c::d()); } }"),
    ];
    assert_eq!(found(&files), ["src/a.rs:2 a b", "src/b.rs:1 b a"]);
    let wrong = "src/a.rs:2: import: crate::B is only handed on: write crate::b::B";
    assert_eq!(hidden(&files), [wrong]);
}

#[test]
fn a_star_hands_on_what_is_defined_behind_it() {
    let files = [
        ("lib.rs", "mod a; mod b; pub use a::*; pub use b::*;"),
        ("a.rs", "use crate::B; pub struct A;"), // its own import of B is not handed on
        ("b.rs", "use crate::a::*; pub struct B;"),
    ];
    assert_eq!(found(&files), ["src/a.rs:1 a b", "src/b.rs:1 b a"]);
    let wrong = "src/a.rs:1: import: crate::B is only handed on: write crate::b::B";
    assert_eq!(hidden(&files), [wrong]);
}

#[test]
fn the_front_of_a_folder_is_for_those_outside_and_only_for_what_is_inside() {
    let files = [
        ("lib.rs", "mod a; mod ring; mod user;"),
        ("a.rs", "pub struct A;"),
        ("user.rs", "use crate::ring::Ring;\nuse crate::ring::A;"),
        ("ring/mod.rs", "mod owned; mod chain; pub use owned::Ring; pub(crate) use crate::a::A;"),
        ("ring/owned.rs", "pub struct Ring;"),
        ("ring/chain.rs", "use super::Ring;"),
    ];
    let wrong = [
        "ring/chain.rs:1: import: super::Ring is only handed on: write crate::ring::owned::Ring",
        "user.rs:2: import: crate::ring::A is only handed on: write crate::a::A",
    ];
    assert_eq!(hidden(&files), wrong.map(|line| format!("src/{line}")));
}

#[test]
fn comments_strings_macros_and_tests_are_left_out() {
    let b = r####"
        //! [`crate::A`], use crate::a::A;
        /* use crate::a::A; /* nested */ use crate::a::A; */
        const S: &str = "use crate::a::A;"; const R: &[u8] = br##"use "crate"::a::A;"#"##;
        const C: char = '"'; const Q: char = '\''; fn f<'a>(x: &'a str) { b'"'; }
        macro_rules! m { () => { use crate::a::A; $crate::A::new() }; }
        #[cfg(test)]
        use crate::a::{A};
        #[cfg(all(loom, test))]
        #[allow(dead_code)]
        fn g<T, U>() { crate::A::new(); }
        #[test]
        fn h() { crate::A::new(); }
        struct F { #[cfg(test)] a: crate::A, b: u8 }
        pub struct B;
        #[cfg(test)]
        mod tests;
        #[cfg(test)]
        mod more { use crate::A; }
    "####;
    let mut files = [
        ("lib.rs", "mod a; mod b; pub use a::A;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", b),
    ];
    assert_eq!(found(&files), [""; 0]);
    assert_eq!(hidden(&files), [""; 0]);
    // and what stands behind all of that is seen again
    let more = format!("{b} #[cfg(not(test))] use crate::A;");
    files[2].1 = &more;
    assert_eq!(found(&files), ["src/a.rs:1 a b", "src/b.rs:20 b a"]);
    assert_eq!(hidden(&files).len(), 1);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let read = |file: &str| (file == "lib.rs").then(|| "mod a;".to_owned());
    let error = modules("src", &read).expect_err("there is no a.rs");
    assert_eq!(error, "src/a.rs: no such file, nor a/mod.rs");
}

#[test]
fn words_and_signs_have_their_lines() {
    let source = "a::b\n/*\n*/ r#c \"\n\" d '\\n' 'x' &'e f r#\"\n\"\"# 1.0";
    let tokens = lex::tokens(source);
    let seen: Vec<_> = tokens.iter().map(|t| (t.line, t.text.as_str())).collect();
    let wanted = [(1, "a"), (1, "::"), (1, "b"), (3, "c"), (4, "d"), (4, "&"), (4, "f")];
    assert_eq!(seen[..7], wanted);
    assert_eq!(seen[7..], [(5, "1"), (5, "."), (5, "0")]);
}
