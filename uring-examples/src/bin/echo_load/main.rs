//! Loads an echo server, and checks what comes back.
//!
//! - `main`: the command line.
//! - `load`: the ring: the turn, and what each completion means.
//! - `opening`: connecting, some at a time.
//! - `connection`: what one connection may do next, and what it measures; no I/O.
//! - `pattern`: the bytes that are sent, and how they are checked.
//! - `report`: what was measured, for people and as JSON.

mod connection;
mod load;
mod opening;
mod options;
mod pattern;
mod report;

use std::process::ExitCode;

use load::Load;
use options::{HELP, Options};
use uring::OpCode;
use uring_examples::{Args, Failure, Signals, print_result, raise_descriptor_limit, run};

fn measure(args: Args) -> Result<(), Failure> {
    let options = Options::parse(args)?;
    let signals =
        Signals::block().map_err(|e| Failure::new("cannot wait for signals with signalfd", &e))?;
    let descriptors = raise_descriptor_limit()
        .map_err(|e| Failure::new("cannot raise the limit of open files", &e))?;
    if u64::from(options.all_connections()) + 16 > descriptors {
        return Err(Failure::Failed(format!(
            "{} connections need more than the {descriptors} descriptors that are allowed; raise \
             `ulimit -n`, or ask for fewer",
            options.all_connections()
        )));
    }
    let support = uring::check().map_err(|e| Failure::new("io_uring is not available", &e))?;
    // Multishot receive has no bit of its own. SEND_ZC came with the same kernel.
    if !support.has(OpCode::SEND_ZC) {
        let text = "the kernel is too old for multishot receive; it needs Linux 6.0 or newer";
        return Err(Failure::Failed(text.to_owned()));
    }
    let report = Load::new(&options)?.run(&signals)?;
    signals.unblock();
    let text = if options.json { report.json(&options) } else { report.text(&options) };
    print_result(&format!("{text}\n"))?;
    if report.errors() > 0 { Err(Failure::Told) } else { Ok(()) }
}

fn main() -> ExitCode {
    run("echo_load", HELP, measure)
}
