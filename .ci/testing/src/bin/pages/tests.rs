//! A small made-up repository, and one thing wrong in it at a time.

use crate::{Sources, check};

const ARCHITECTURE: &str = "\
# The layers

See [how](CONTRIBUTING.md#steps), `Ring::submit` and `uring/src/op/net/`.

### `uring/src`

| module | what |
| --- | --- |
| `ring` | `Ring` |
| `op/net/` | sockets |
";

const CONTRIBUTING: &str = "\
`.ci/run tidy` first, then `uring/src/op/<family>/<operation>.rs`, with `one_shot!`, and `mod.rs`.

<!-- file: uring/src/op/net/send.rs -->
```rust
impl Operation for Send {}
fn send() {}
```

<!-- part of: uring/src/op/net/send.rs -->
```rust
fn send() {}
```
";

fn repository() -> Sources {
    let files = [
        ("ARCHITECTURE.md", ARCHITECTURE),
        ("CONTRIBUTING.md", CONTRIBUTING),
        (".ci/run", "steps=(tidy fmt)\n"),
        ("uring/src/lib.rs", "mod ring; mod op;"),
        ("uring/src/ring.rs", "pub struct Ring; fn submit() {} macro_rules! one_shot {}"),
        ("uring/src/op/mod.rs", "mod net;"),
        ("uring/src/op/net/mod.rs", "mod send;"),
        ("uring/src/op/net/send.rs", "impl Operation for Send {}\nfn send() {}\n"),
        ("uring/tests/it/all.rs", "op::Send::new()"),
    ];
    files.map(|(path, text)| (path.to_owned(), text.to_owned())).into()
}

/// The faults of the repository in which `from` is replaced by `to` in one file.
#[track_caller]
fn faults(path: &str, from: &str, to: &str) -> Vec<String> {
    let mut sources = repository();
    let text = sources.get_mut(path).expect("such a file");
    assert!(text.contains(from), "{from}");
    *text = text.replace(from, to);
    check::run(&sources).faults
}

#[test]
fn what_is_true_has_no_faults() {
    assert_eq!(check::run(&repository()).faults, Vec::<String>::new());
}

#[test]
fn each_thing_that_is_not_there_is_told_with_its_line() {
    for (page, from, to, fault) in [
        ("ARCHITECTURE.md", "Ring::submit", "Ring::sumbit", "ARCHITECTURE.md:3: `Ring::sumbit`"),
        ("ARCHITECTURE.md", "op/net/`.", "op/nets/`.", "ARCHITECTURE.md:3: `uring/src/op/nets/`"),
        ("ARCHITECTURE.md", "CONTRIBUTING.md#", "HOW.md#", "ARCHITECTURE.md:3: the link to HOW"),
        ("ARCHITECTURE.md", "| `ring`", "| `rings`", "ARCHITECTURE.md:9: there is no module"),
        ("ARCHITECTURE.md", "`ring` |", "ring |", "ARCHITECTURE.md:1: no row names the module"),
        ("ARCHITECTURE.md", "`Ring` |", "`Ring |", "ARCHITECTURE.md:9: a backtick"),
        ("CONTRIBUTING.md", "run tidy", "run tody", "CONTRIBUTING.md:1: .ci/run has no step"),
        ("CONTRIBUTING.md", "op/<family>", "ops/<family>", "CONTRIBUTING.md:1: `uring/src/ops/<"),
        ("CONTRIBUTING.md", "`mod.rs`", "`mud.rs`", "CONTRIBUTING.md:1: `mud.rs` is not there"),
        ("CONTRIBUTING.md", "one_shot!", "oneshot!", "CONTRIBUTING.md:1: `oneshot!`: no source"),
        ("CONTRIBUTING.md", "part of: uring", "part of: ring", "CONTRIBUTING.md:9: ring/src/op"),
    ] {
        let found = faults(page, from, to);
        assert!(found.iter().any(|line| line.starts_with(fault)), "{fault}: {found:?}");
    }
}

#[test]
fn a_source_that_changed_makes_its_copy_wrong() {
    let found = faults("uring/src/op/net/send.rs", "fn send() {}", "fn send(more: u8) {}");
    let [whole, part] = found.as_slice() else { panic!("{found:?}") };
    assert!(whole.starts_with("CONTRIBUTING.md:3: the block is no longer uring"), "{whole}");
    assert!(part.starts_with("CONTRIBUTING.md:9: the block is no longer part"), "{part}");
    // a part is whole lines
    let found = faults("uring/src/op/net/send.rs", "\nfn send", "\npub fn send");
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn a_module_without_a_row_and_an_operation_without_a_test_are_told() {
    let mut sources = repository();
    sources.insert("uring/src/table.rs".to_owned(), String::new());
    let recv = "impl<F> Operation for Recv<F> {}";
    sources.insert("uring/src/op/net/recv.rs".to_owned(), recv.to_owned());
    let found = check::run(&sources).faults;
    let [module, operation] = found.as_slice() else { panic!("{found:?}") };
    assert!(module.contains("no row names the module uring/src/table.rs"), "{module}");
    assert!(operation.starts_with("uring/src/op/net/recv.rs:1: no test"), "{operation}");
    assert!(operation.contains("`op::Recv`"), "{operation}");
    // a name that only begins with it is another one
    assert_eq!(faults("uring/tests/it/all.rs", "op::Send", "op::SendMsg").len(), 1);
}

#[test]
fn a_check_that_finds_no_operation_says_that_it_is_broken() {
    let found = faults("uring/src/op/net/send.rs", "Operation for", "Operator of");
    assert!(found.iter().any(|line| line.contains("mend the check")), "{found:?}");
}
