//! Asking for the end of other operations.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, RawFd},
};

use uring_sys as sys;

use crate::{
    abi::{
        cqe::Cqe,
        sqe::{Sqe, ZERO},
        token::{OpId, RingId},
    },
    operation::Operation,
};

const fn entry(fd: RawFd, user_data: u64, flags: u32) -> Sqe {
    Sqe::from_raw(sys::io_uring_sqe {
        opcode: sys::IORING_OP_ASYNC_CANCEL,
        fd,
        addr: user_data,
        op_flags: flags,
        ..ZERO
    })
}

impl Sqe {
    /// An entry that asks to cancel the operation with this `user_data`: see [`Cancel`].
    #[doc(alias = "io_uring_prep_cancel64")]
    #[doc(alias = "io_uring_prep_cancel")]
    pub const fn cancel(user_data: u64) -> Self {
        entry(-1, user_data, 0)
    }

    /// An entry that asks to cancel everything on a descriptor. Since Linux 5.19.
    #[doc(alias = "io_uring_prep_cancel_fd")]
    pub const fn cancel_fd(fd: RawFd) -> Self {
        entry(fd, 0, sys::IORING_ASYNC_CANCEL_FD | sys::IORING_ASYNC_CANCEL_ALL)
    }

    /// An entry that asks to cancel everything on the ring. Since Linux 5.19.
    #[doc(alias = "IORING_ASYNC_CANCEL_ANY")]
    pub const fn cancel_any() -> Self {
        entry(-1, 0, sys::IORING_ASYNC_CANCEL_ANY | sys::IORING_ASYNC_CANCEL_ALL)
    }
}

/// Asks to cancel operations that are in flight, and says how that went.
///
/// It is a request: each of them still completes, with its real result. To cancel without caring
/// for the answer, [`Ring::cancel`](crate::Ring::cancel) is simpler.
///
/// - **Result:** how many operations were found.
/// - **Completes:** once.
/// - **Since:** Linux 5.5; all of a descriptor or of the ring 5.19.
/// - **Manual:** [`io_uring_prep_cancel(3)`].
///
/// ```
/// use std::time::Duration;
/// use uring::{Event, Ring, op};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring: Ring<op::Timeout> = Ring::builder().build()?;
/// let id = ring.submit(op::Timeout::new(Duration::from_secs(3600)), ())?;
/// let found = ring.run(op::Cancel::one(id))?;
/// assert_eq!(found, 1);
/// ring.wait(1, None)?; // what was cancelled still comes back
/// let Some(Event::Done { output, .. }) = ring.next() else { panic!("it has ended") };
/// let error = output.unwrap_err();
/// assert_eq!(error.raw_os_error(), Some(125)); // ECANCELED
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// `ENOENT` if the one that was meant is not in flight, `EALREADY` if it already runs where it
/// cannot be stopped, such as a disk transfer.
///
/// [`io_uring_prep_cancel(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_cancel.3.html
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Clone, Copy, Debug)]
pub struct Cancel {
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    One(OpId),
    Fd(RawFd),
    Any,
}

impl Cancel {
    /// Asks to cancel one operation.
    pub const fn one(id: OpId) -> Self {
        Self { what: What::One(id) }
    }

    /// Asks to cancel everything on a descriptor. Since Linux 5.19.
    ///
    /// If the descriptor is closed before this is submitted, it finds nothing, or what uses the
    /// number by then.
    pub fn fd(fd: BorrowedFd<'_>) -> Self {
        Self { what: What::Fd(fd.as_raw_fd()) }
    }

    /// Asks to cancel everything on the ring. Since Linux 5.19.
    pub const fn any() -> Self {
        Self { what: What::Any }
    }
}

// SAFETY: the entry has no pointers, and the descriptor is only compared; what it cancels still
// completes.
unsafe impl Operation for Cancel {
    type Item = ();
    type Output = io::Result<u32>;

    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        let Self { what } = self;
        *sqe = match *what {
            What::One(id) => Sqe::cancel(id.user_data()),
            What::Fd(fd) => Sqe::cancel_fd(fd),
            What::Any => Sqe::cancel_any(),
        };
    }

    unsafe fn item(_this: *mut Self, _cqe: Cqe) {}

    unsafe fn finish(self, cqe: Cqe) -> io::Result<u32> {
        match self.what {
            // the kernel answers 0 for the one that was named
            What::One(_) => cqe.result().map(|_| 1),
            What::Fd(_) | What::Any => cqe.result(),
        }
    }

    fn refuse(self, error: io::Error) -> io::Result<u32> {
        Err(error)
    }

    fn ring(&self) -> Option<RingId> {
        match self.what {
            What::One(id) => Some(id.ring()),
            What::Fd(_) | What::Any => None,
        }
    }
}
