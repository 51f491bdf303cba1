//! Closing a descriptor.

use std::{
    io,
    os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd},
};

use uring_sys as sys;

use crate::{Cqe, Operation, Sqe, sqe::ZERO};

fn entry(fd: RawFd) -> Sqe {
    Sqe::from_raw(sys::io_uring_sqe { opcode: sys::IORING_OP_CLOSE, fd, ..ZERO })
}

impl Sqe {
    /// An entry that closes a descriptor: see [`Close`].
    ///
    /// # Safety
    ///
    /// `fd` is the caller's to close, and is not used after the entry was submitted.
    #[doc(alias = "io_uring_prep_close")]
    pub unsafe fn close(fd: RawFd) -> Self {
        entry(fd)
    }
}

/// Closes a descriptor without blocking the submitting thread.
///
/// It does not end what is in flight on the file: cancel that first.
///
/// - **Result:** nothing. The descriptor is closed whatever the result is; an error is that of the
///   last write-back.
/// - **Completes:** once.
/// - **Since:** Linux 5.6.
/// - **Manual:** [`close(2)`], [`io_uring_prep_close(3)`].
///
/// # Errors
///
/// Those of [`close(2)`]; `ECANCELED` in a chain that was broken, and then it is closed by a plain
/// `close(2)`.
///
/// [`close(2)`]: https://man7.org/linux/man-pages/man2/close.2.html
/// [`io_uring_prep_close(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_close.3.html
#[doc(alias = "IORING_OP_CLOSE")]
#[doc(alias = "io_uring_prep_close")]
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Debug)]
pub struct Close {
    fd: OwnedFd,
}

impl Close {
    /// Closes `fd`.
    pub fn new(fd: impl Into<OwnedFd>) -> Self {
        Self { fd: fd.into() }
    }
}

// SAFETY: the descriptor is owned until the kernel has taken it.
unsafe impl Operation for Close {
    type Item = ();
    type Output = io::Result<()>;

    fn prepare(&mut self, sqe: &mut Sqe) {
        let Self { fd } = self;
        *sqe = entry(fd.as_raw_fd());
    }

    unsafe fn item(&mut self, _cqe: Cqe) {}

    unsafe fn finish(self, cqe: Cqe) -> io::Result<()> {
        // Linux takes the descriptor out of the table before anything can fail: closing it again
        // would hit a stranger. Only an entry that never ran has left it there.
        if cqe.raw_result() != -libc::ECANCELED {
            let _closed = self.fd.into_raw_fd();
        }
        cqe.result().map(drop)
    }
}
