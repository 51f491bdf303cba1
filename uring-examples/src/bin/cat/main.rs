//! Writes files to standard output, as `cat(1)` does.
//!
//! - `main`: the command line, one file after the other, the errors.
//! - `place`: a file, and where in it the next transfer goes.
//! - `copy`: the ring: reads and writes that borrow their buffers, one at a time or many at once.
//!
//! No signal is blocked or handled: Ctrl-C ends it wherever it waits, also in `open(2)` of a FIFO
//! that nobody writes to, and the shell is told by which signal. A program that has to do something
//! at the end reads its signals, as `echo_ring` does.

mod copy;
mod place;

use std::{ffi::OsStr, fs::File, io, os::fd::AsFd, process::ExitCode};

use copy::{Broken, Copier};
use place::{Place, is_output};
use uring_examples::{Args, Failure, print_error, reason, refusal, run, unwritten};

const HELP: &str = "\
Writes files to standard output, one after the other, through io_uring.

Usage: cat [FILE...]

  FILE         a file, a pipe, a device; `-` or none at all is standard input
  -u           nothing is held back, which is so anyway
  --           what follows are files
  -h, --help   print this
  --version    print the version

A file that cannot be read is told, and the others are written; the exit code is then 1.
";

/// Opens a file and writes it to the output.
fn write_file(copier: &mut Copier, name: &OsStr) -> Result<(), Broken> {
    let file = if name == "-" {
        // a duplicate has its position in common with standard input
        io::stdin().as_fd().try_clone_to_owned().map(File::from)
    } else {
        File::open(name)
    };
    let mut input = file.and_then(Place::input).map_err(Broken::Input)?;
    // Only now, after the files before have been written: they may have made it longer.
    if is_output(&input, copier.output()).map_err(Broken::Input)? {
        return Err(Broken::Input(io::Error::other("input file is output file")));
    }
    copier.copy(&mut input)
}

/// A name as a shell would take it, without what could confuse people or their terminal.
fn quoted(name: &OsStr) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./+,@%^".contains(c);
    match name.to_str() {
        Some(text) if !text.is_empty() && text.chars().all(plain) => text.to_owned(),
        Some(text) if !text.chars().any(|c| c.is_control() || c == '\'') => format!("'{text}'"),
        _ => format!("{name:?}"),
    }
}

fn cat(mut args: Args) -> Result<(), Failure> {
    while let Some(flag) = args.flag()? {
        if flag != "-u" {
            return Err(args.unknown());
        }
    }
    let mut names = args.operands();
    if names.is_empty() {
        names.push("-".into());
    }
    let mut copier = Copier::new()?;
    let mut failed = false;
    for name in &names {
        match write_file(&mut copier, name) {
            Ok(()) => {}
            Err(Broken::Input(error) | Broken::Output(error)) if refusal(&error).is_some() => {
                return Err(Failure::new("io_uring is not available", &error));
            }
            Err(Broken::Input(error)) => {
                print_error(&format!("cat: {}: {}", quoted(name), reason(&error)));
                failed = true;
            }
            Err(Broken::Output(error)) => return Err(unwritten(&error)),
        }
    }
    // a file system may tell of an error as late as now
    copier.close().map_err(|error| unwritten(&error))?;
    if failed { Err(Failure::Told) } else { Ok(()) }
}

fn main() -> ExitCode {
    run("cat", HELP, cat)
}
