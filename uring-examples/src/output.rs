//! Printing that does not panic when nobody reads.
//!
//! What a program says on the way, and what it was run for, are different things: `echo_ring |
//! head -1` goes on serving, while `uring_check > /dev/full` has failed.

use std::io::{self, Write};

use crate::{
    failure::{Failure, reason},
    signals::die_of_sigpipe,
};

/// Prints a line on standard output at once, also into a pipe. That nobody reads is no error.
pub fn print_line(line: &str) {
    let _ = write_out(&format!("{line}\n"));
}

/// Prints a line on standard error.
pub fn print_error(line: &str) {
    // nowhere is left to tell of a failure
    let _ = io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// Prints what the program was run for.
///
/// If nobody reads, it ends the process as `SIGPIPE` does, without a word.
///
/// # Errors
///
/// If it cannot be written: a full disk, for example.
pub fn print_result(text: &str) -> Result<(), Failure> {
    write_out(text).map_err(|error| unwritten(&error))
}

/// The failure to write to standard output; does not return if nobody reads it.
pub fn unwritten(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        die_of_sigpipe(); // no news for the user, but for the shell
    }
    Failure::Failed(format!("write error: {}", reason(error)))
}

fn write_out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
