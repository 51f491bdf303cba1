//! Closing a descriptor.

use std::{
    io,
    os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd},
    sync::atomic::{AtomicU64, Ordering},
};

use uring_sys as sys;

use crate::{
    abi::{
        cqe::Cqe,
        sqe::{Sqe, SqeFlags, ZERO},
        token::RingId,
    },
    kernel,
    operation::Operation,
};

/// Descriptors that were left open because nobody can tell whose they are.
static LEAKED: AtomicU64 = AtomicU64::new(0);

/// How many descriptors [`Close`] operations of this process have left to their fate: their close
/// ended in an error that does not tell whether the kernel had taken them.
///
/// It is an upper bound: most of them are closed. See [`Close`].
#[must_use]
pub fn leaked_descriptors() -> u64 {
    LEAKED.load(Ordering::Relaxed)
}

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
/// A worker thread closes it, because a socket that lingers and a file that is written back keep
/// whoever closes them waiting. Where that cannot be, [`in_place`](Self::in_place) saves the
/// worker.
///
/// - **Result:** nothing.
/// - **Completes:** once.
/// - **Blocks:** only [`in_place`](Self::in_place): while a socket lingers, or another file's last
///   write-back takes.
/// - **Since:** Linux 5.6.
/// - **Manual:** [`close(2)`], [`io_uring_prep_close(3)`].
///
/// ```
/// use uring::{Ring, op};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring: Ring<op::Nop> = Ring::builder().build()?;
/// let file = std::fs::File::open("/proc/self/comm")?;
/// ring.run(op::Close::new(file))?; // what std does in `drop`, but with the error
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Those of [`close(2)`], which are the file's last write-back: it is closed then. `ECANCELED` if
/// it was cancelled, in a chain that was broken, or if
/// [no worker could be started](crate::op#errors-that-are-not-the-operations-own): the kernel has
/// not closed it then. A socket or a pipe is closed nevertheless, by the thread of the ring, unless
/// it lingers, which would keep that waiting. Of other files no error tells for certain, because a
/// file's own write-back may fail with any number, and to close a number twice would hit whoever
/// got it next. So these are no longer touched after an error, and [`leaked_descriptors`] counts
/// them.
///
/// An operation that the kernel has never seen (rejected, or taken back when its ring was dropped)
/// closes its descriptor by its drop.
///
/// [`close(2)`]: https://man7.org/linux/man-pages/man2/close.2.html
/// [`io_uring_prep_close(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_close.3.html
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Debug)]
pub struct Close {
    fd: OwnedFd,
    in_place: bool,
    /// Nothing is written back, so that nothing but a close that never started ends in `ECANCELED`.
    cancels_tell: bool,
}

impl Close {
    /// Closes `fd`.
    pub fn new(fd: impl Into<OwnedFd>) -> Self {
        Self { fd: fd.into(), in_place: false, cancels_tell: false }
    }

    /// Closes it in the thread that submits: for files whose close has nothing to wait for, such as
    /// sockets that do not linger, pipes, and files of local disks.
    pub const fn in_place(mut self) -> Self {
        self.in_place = true;
        self
    }
}

// SAFETY: the descriptor is owned until the kernel has taken it. The entry has no pointers,
// completes once, and posts nothing else.
unsafe impl Operation for Close {
    type Item = ();
    type Output = io::Result<()>;

    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        let Self { fd, in_place, cancels_tell } = self;
        *sqe = entry(fd.as_raw_fd());
        // asked now: once the kernel has the entry, the number may be somebody else's
        *cancels_tell = kernel::is_socket_or_pipe(fd.as_raw_fd()) == Ok(true);
        if !*in_place {
            sqe.add_flags(SqeFlags::ASYNC);
        }
    }

    unsafe fn item(_this: *mut Self, _cqe: Cqe) {}

    unsafe fn finish(self, cqe: Cqe) -> io::Result<()> {
        let result = cqe.result().map(drop);
        let untouched = self.cancels_tell && cqe.raw_result() == -libc::ECANCELED;
        if untouched && kernel::lingers(self.fd.as_raw_fd()) != Some(true) {
            return result; // it was not taken, and is closed here
        }
        // taken by the kernel, or perhaps taken: not ours to close in either case
        let _number = self.fd.into_raw_fd();
        if result.is_err() {
            LEAKED.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    fn refuse(self, error: io::Error) -> io::Result<()> {
        Err(error)
    }

    fn ring(&self) -> Option<RingId> {
        None
    }
}
