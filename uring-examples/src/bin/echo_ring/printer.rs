//! Lines for people, printed through the ring: a terminal may be stopped, and a pipe full, and the
//! server does not wait for them.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    rc::Rc,
};

use uring::{Offset, OnWorker, Operation, Position, op};
use uring_examples::Failure;

/// Prints on a worker thread of the kernel.
pub(crate) type Print = OnWorker<op::Write<Rc<File>, Vec<u8>>>;

pub(crate) struct Printer {
    stdout: Rc<File>,
    stderr: Rc<File>,
    /// How many lines are being printed: a terminal that is stopped takes none.
    printing: u32,
}

impl Printer {
    pub(crate) fn new() -> Result<Self, Failure> {
        let [stdout, stderr] = [duplicate(io::stdout())?, duplicate(io::stderr())?];
        Ok(Self { stdout: Rc::new(stdout), stderr: Rc::new(stderr), printing: 0 })
    }

    pub(crate) const fn is_printing(&self) -> bool {
        self.printing > 0
    }

    /// A line for standard output, to be submitted unless it could be written at once.
    pub(crate) fn line(&mut self, line: &str) -> Option<Print> {
        self.print(self.stdout.clone(), format!("{line}\n").into())
    }

    /// The same, for standard error.
    pub(crate) fn error(&mut self, line: &str) -> Option<Print> {
        self.print(self.stderr.clone(), format!("{line}\n").into())
    }

    fn print(&mut self, to: Rc<File>, text: Vec<u8>) -> Option<Print> {
        // A file on a disk takes it at once. It has a position, which both streams may have in
        // common (`> log 2>&1`), and of which only a plain write takes care.
        if Position::of(&to).is_ok_and(|position| position.bytes().is_some()) {
            let _ = (&*to).write_all(&text); // a full disk is no reason not to serve
            return None;
        }
        self.printing += 1;
        Some(op::Write::new(to, text, Offset::kernel_position()).on_worker())
    }

    /// A write has ended. Submit what is left of it, if there is something.
    pub(crate) fn written(
        &mut self,
        (result, to, mut text): <Print as Operation>::Output,
        cancelled: bool,
    ) -> Option<Print> {
        self.printing -= 1;
        match result {
            Ok(length) if length > 0 && length < text.len() => {
                text.drain(..length);
                self.print(to, text)
            }
            // nobody cancelled it: there can be no worker thread
            Err(error) if error.raw_os_error() == Some(libc::ECANCELED) && !cancelled => {
                let _ = (&*to).write_all(&text);
                None
            }
            _ => None, // that nobody reads is no error
        }
    }
}

fn duplicate(stream: impl AsFd) -> Result<File, Failure> {
    let fd = stream.as_fd().try_clone_to_owned();
    fd.map(File::from).map_err(|e| Failure::new("cannot duplicate a descriptor", &e))
}
