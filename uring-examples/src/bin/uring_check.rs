//! Says what this machine's io_uring can do, or why it is not there and what to do.

use std::process::ExitCode;

use uring_examples::{Args, Failure, locked_memory_limit, print_line, run};

const HELP: &str = "\
Says what this machine's io_uring can do, or why it is not there and what to do.

Usage: uring_check

  -h, --help   print this

The exit code is 0 if a ring can be made, else 1.
";

/// The sizes of a ring for which nothing was asked, and what they take: 64 bytes an entry, 16 a
/// completion, a page of counters.
const ENTRIES: u64 = 256;
const COMPLETIONS: u64 = 4096;
const RING_BYTES: u64 = ENTRIES * 64 + COMPLETIONS * 16 + 4096;

fn check(mut args: Args) -> Result<(), Failure> {
    if args.flag()?.is_some() {
        return Err(args.unknown());
    }
    args.no_operands()?;
    let memory = match locked_memory_limit() {
        Ok(None) => "no limit".to_owned(),
        Ok(Some(limit)) => {
            format!("{} KiB for all rings of this user: {} rings", limit >> 10, limit / RING_BYTES)
        }
        Err(error) => format!("the limit is unknown: {error}"),
    };
    let ring = format!(
        "ring:       {} KiB with {ENTRIES} entries and {COMPLETIONS} completions, the default\n\
         locked:     {memory}",
        RING_BYTES >> 10
    );
    match uring::check() {
        Ok(support) => {
            print_line(&format!("{support}\n{ring}"));
            Ok(())
        }
        Err(error) => {
            print_line(&ring);
            Err(Failure::new("io_uring is not available", &error))
        }
    }
}

fn main() -> ExitCode {
    run("uring_check", HELP, check)
}
