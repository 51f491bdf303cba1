//! Closing a descriptor.

use std::{
    io,
    mem::MaybeUninit,
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
    /// Which file it was when the kernel was asked; `None` before that.
    file: Option<FileId>,
}

impl Close {
    /// Closes `fd`.
    pub fn new(fd: impl Into<OwnedFd>) -> Self {
        Self { fd: fd.into(), file: None }
    }
}

// SAFETY: the descriptor is owned until the kernel has taken it.
unsafe impl Operation for Close {
    type Item = ();
    type Output = io::Result<()>;

    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        let Self { fd, file } = self;
        *file = FileId::of(fd.as_raw_fd());
        *sqe = entry(fd.as_raw_fd());
    }

    unsafe fn item(&mut self, _cqe: Cqe) {}

    unsafe fn finish(self, cqe: Cqe) -> io::Result<()> {
        let Self { fd, file } = self;
        let result = cqe.result().map(drop);
        // Linux takes the descriptor out of the table before anything can fail, and a file's own
        // flush may fail with any number: closing it again would hit a stranger. An entry that
        // never ran has left it there. The result does not tell these two apart; the file does.
        let taken = match file {
            None => false,
            Some(file) => result.is_ok() || FileId::of(fd.as_raw_fd()) != Some(file),
        };
        if taken {
            let _closed = fd.into_raw_fd();
        }
        result
    }
}

/// Which file a descriptor names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId {
    device: (u32, u32),
    inode: u64,
}

impl FileId {
    /// Asks without blocking: what the kernel has cached is enough.
    fn of(fd: RawFd) -> Option<Self> {
        const HERE: i32 = libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC;
        let mut stat = MaybeUninit::<libc::statx>::zeroed();
        // SAFETY: the path is a string that ends, and the call writes one `statx`, which it gets.
        let answer =
            unsafe { libc::statx(fd, c"".as_ptr(), HERE, libc::STATX_INO, stat.as_mut_ptr()) };
        // SAFETY: zeroes are a valid `statx`, and the kernel writes valid ones.
        let stat = unsafe { stat.assume_init() };
        let device = (stat.stx_dev_major, stat.stx_dev_minor);
        (answer == 0).then_some(Self { device, inode: stat.stx_ino })
    }
}
