//! Where a call comes from: the process that has the loops, or a child of it.

use std::{io, process};

/// The process that a thing was made in. In a forked child there are no loops to wait for, and
/// locks that they held stay locked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Home(u32);

impl Home {
    pub(crate) fn here() -> Self {
        Self(process::id())
    }

    pub(crate) fn is_here(self) -> bool {
        self.0 == process::id()
    }

    /// An error in a forked child.
    pub(crate) fn check(self) -> io::Result<()> {
        if self.is_here() {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::NotConnected,
            "the event loop runs in the process that forked this one; build a Reactor here",
        ))
    }
}
