//! What can be looked at here, but not run: the targets that are refused, and the registers that a
//! system call does not keep on other processors.

use std::{collections::BTreeSet, env, process::Command};

const LIB: &str = include_str!("../../src/lib.rs");
const SYSCALL: &str = include_str!("../../src/syscall.rs");

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

/// The registers that the system call of an architecture is said to change, and the options.
fn changed(arch: &str) -> (BTreeSet<String>, &'static str) {
    let function = format!("#[cfg(target_arch = \"{arch}\")]\n#[inline]\nunsafe fn syscall6");
    let block = between(between(SYSCALL, &function, "narrow(result)"), "asm!(", ");\n");
    let registers = block.split("lateout(\"").skip(1).filter_map(|rest| rest.split('"').next());
    (registers.map(str::to_owned).collect(), between(block, "options(", ")"))
}

fn names(letter: char, count: u32) -> impl Iterator<Item = String> {
    (0..count).map(move |number| format!("{letter}{number}"))
}

#[test]
fn a_system_call_names_every_register_that_the_kernel_does_not_keep() {
    // The AMD64 supplement of the System V ABI, A.2.1: rcx, r11, and rax for the result.
    let lost = ["rax", "rcx", "r11"].map(str::to_owned);
    assert_eq!(changed("x86_64"), (lost.into(), "nostack, preserves_flags"));

    // Documentation/arch/arm64/sve.rst, section 3: of Z0..Z31 all but the first 128 bits, all of
    // P0..P15, and FFR, in which no compiler keeps a value. NZCV and FPSR are kept.
    let lost = names('v', 32).chain(names('p', 16)).chain(["x0".to_owned()]);
    assert_eq!(changed("aarch64"), (lost.collect(), "nostack, preserves_flags"));

    // Documentation/arch/riscv/vector.rst, section 3, and the calling convention of the V extension
    // that it refers to: v0 to v31, vl and vtype. The last two are flags to `asm!`.
    let lost = names('v', 32).chain(["a0".to_owned()]);
    assert_eq!(changed("riscv64"), (lost.collect(), "nostack"));
}
