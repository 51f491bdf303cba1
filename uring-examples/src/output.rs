//! Printing that does not panic when nobody reads: `echo_ring | head -1` goes on serving.

use std::io::{self, Write};

/// Prints a line on standard output at once, also into a pipe.
pub fn print_line(line: &str) {
    write_out(format!("{line}\n").as_bytes());
}

/// Prints a line on standard error.
pub fn print_error(line: &str) {
    // nowhere is left to tell of a failure
    let _ = io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// Writes to standard output at once. That nobody reads is no error.
pub fn write_out(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}
