//! The targets that are refused.

use std::{collections::BTreeSet, env, process::Command};

const LIB: &str = include_str!("../../src/lib.rs");

/// What stands between the first `from` and the next `to`.
fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let (_, behind) = text.split_once(from).unwrap_or_else(|| panic!("no {from:?}"));
    let (inside, _) = behind.split_once(to).unwrap_or_else(|| panic!("no {to:?} behind {from:?}"));
    inside
}

/// What the compiler says of a target, whether or not it can build for it.
fn cfg(target: &str) -> Option<BTreeSet<String>> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(["--print", "cfg", "--target", target]).output().ok()?;
    assert!(output.status.success(), "{target}: {output:?}");
    Some(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

#[test]
fn targets_with_small_pointers_or_big_endian_or_another_kernel_are_refused() {
    let conditions = between(LIB, "#[cfg(not(all(", ")))]\ncompile_error!(");
    let needed: Vec<_> = conditions.split(", ").map(|one| one.replace(" = ", "=")).collect();
    let targets = [
        ("x86_64-unknown-linux-gnu", true),
        ("x86_64-unknown-linux-musl", true),
        ("aarch64-unknown-linux-gnu", true),
        ("riscv64gc-unknown-linux-gnu", true),
        ("loongarch64-unknown-linux-gnu", true),
        ("powerpc64le-unknown-linux-gnu", true),
        ("mips64el-unknown-linux-gnuabi64", true),
        ("i686-unknown-linux-gnu", false),
        ("x86_64-unknown-linux-gnux32", false),
        ("armv7-unknown-linux-gnueabihf", false),
        ("aarch64-unknown-linux-gnu_ilp32", false),
        ("aarch64_be-unknown-linux-gnu", false),
        ("powerpc64-unknown-linux-gnu", false),
        ("s390x-unknown-linux-gnu", false),
        ("aarch64-linux-android", false),
        ("x86_64-unknown-freebsd", false),
        ("aarch64-apple-darwin", false),
    ];
    for (target, supported) in targets {
        let Some(cfg) = cfg(target) else { skip!("no rustc to ask about targets") };
        assert_eq!(needed.iter().all(|one| cfg.contains(one)), supported, "{target}: {needed:?}");
    }
}
