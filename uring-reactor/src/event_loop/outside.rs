//! Telling somebody who waits outside of the loop that it has something to do.

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::{AsFd, AsRawFd as _, BorrowedFd},
};

use crate::remote::wakeup::{Bell, eventfd};

/// `IORING_REGISTER_EVENTFD` of `include/uapi/linux/io_uring.h`.
const REGISTER_EVENTFD: libc::c_uint = 4;

/// An eventfd that the kernel signals when the ring has something, and that is rung with the bell,
/// for whoever polls.
///
/// Neither alone is enough, nor is the ring's own descriptor: the ring has a read on the bell, and
/// Linux 6.18 was seen to pass the ring of one eventfd on to another, or to who sleeps on the
/// ring's descriptor, the first time only.
#[derive(Debug)]
pub(super) struct Signal {
    eventfd: File,
    registered: bool,
}

impl Signal {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { eventfd: File::from(eventfd(libc::EFD_NONBLOCK)?), registered: false })
    }

    /// What came until now is about to be looked at: only what comes from now on counts.
    pub(super) fn reset(&mut self, ring: BorrowedFd<'_>, bell: &Bell) -> io::Result<()> {
        if !self.registered {
            register(ring, self.eventfd.as_fd())?;
            bell.ring_also(self.eventfd.try_clone()?);
            self.registered = true;
        }
        // it fails if nothing was signalled
        let _count = self.eventfd.read(&mut [0; 8]);
        Ok(())
    }
}

impl AsFd for Signal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }
}

#[expect(unsafe_code, reason = "the ring has no method for it")]
fn register(ring: BorrowedFd<'_>, eventfd: BorrowedFd<'_>) -> io::Result<()> {
    let (ring, number) = (ring.as_raw_fd(), eventfd.as_raw_fd());
    // SAFETY: the call reads one descriptor, of which the kernel takes a reference of its own.
    let answer = unsafe {
        libc::syscall(libc::SYS_io_uring_register, ring, REGISTER_EVENTFD, &raw const number, 1)
    };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
