//! Says what this machine's io_uring can do, or why it is not there and what to do.

use std::{io, process::ExitCode};

use uring::{RawRing, Unavailable};
use uring_examples::{
    Args, Failure, locked_memory_limit, print_result, run, with_locked_memory_limit,
};

const HELP: &str = "\
Says what this machine's io_uring can do, or why it is not there and what to do.

Usage: uring_check

  -h, --help   print this
  --version    print the version

The exit code is 0 if a ring works, else 1.
";

/// The sizes of a ring for which nothing was asked, and what they take: 64 bytes an entry, 16 a
/// completion, a page of counters.
const ENTRIES: u64 = 256;
const COMPLETIONS: u64 = 4096;
const RING_BYTES: u64 = ENTRIES * 64 + COMPLETIONS * 16 + 4096;

/// What the limit of locked memory is to rings, told by making one where nothing may be locked.
///
/// Neither the limit nor the kernel's release says it: kernels count rings, do not, and do again,
/// and never those of privileged users.
fn locked_memory(limit: io::Result<Option<u64>>) -> String {
    let limit = match limit {
        Ok(Some(limit)) => limit,
        Ok(None) => return "no limit".to_owned(),
        Err(error) => return format!("the limit is unknown: {error}"),
    };
    let kib = limit >> 10;
    match with_locked_memory_limit(0, || RawRing::builder().build().map(drop)) {
        Ok(Ok(())) => format!("{kib} KiB, but not for rings here: one was made with a limit of 0"),
        Ok(Err(error)) if matches!(error.reason, Unavailable::Memlock { .. }) => {
            format!("{kib} KiB for all rings of this user: {} at most", limit / RING_BYTES)
        }
        Ok(Err(_)) => format!("the limit is {kib} KiB"),
        Err(error) => format!("the limit is {kib} KiB, and cannot be lowered to try it: {error}"),
    }
}

fn check(mut args: Args) -> Result<(), Failure> {
    if args.flag()?.is_some() {
        return Err(args.unknown());
    }
    args.no_operands()?;
    let report = format!(
        "ring:       {} KiB with {ENTRIES} entries and {COMPLETIONS} completions, the default\n\
         locked:     {}",
        RING_BYTES >> 10,
        locked_memory(locked_memory_limit())
    );
    match uring::check() {
        Ok(support) => print_result(&format!(
            "{support}
{report}
"
        )),
        Err(error) => {
            print_result(&format!(
                "{report}
"
            ))?;
            Err(Failure::new("io_uring is not available", &error))
        }
    }
}

fn main() -> ExitCode {
    run("uring_check", HELP, check)
}
