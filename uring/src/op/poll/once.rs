//! Waiting for readiness once.

use std::{io, os::fd::RawFd};

use uring_sys as sys;

use super::events::{PollEvents, events};
use crate::{
    abi::{
        cqe::Cqe,
        sqe::{Sqe, ZERO},
        token::RingId,
    },
    operation::{Operation, fd::OpFd},
};

/// The entry of both ways to poll.
pub(super) const fn entry(fd: RawFd, events: PollEvents, len: u32) -> Sqe {
    Sqe::from_raw(sys::io_uring_sqe {
        opcode: sys::IORING_OP_POLL_ADD,
        fd,
        len,
        op_flags: events.bits(),
        ..ZERO
    })
}

impl Sqe {
    /// An entry that waits for readiness: see [`Poll`].
    ///
    /// # Safety
    ///
    /// `fd` stays open until the completion has been taken.
    #[doc(alias = "io_uring_prep_poll_add")]
    pub const unsafe fn poll_add(fd: RawFd, events: PollEvents) -> Self {
        entry(fd, events, 0)
    }
}

/// Waits until a descriptor is ready.
///
/// - **Result:** the events that are there; the descriptor.
/// - **Completes:** once.
/// - **Blocks:** on a file of FUSE, whose server is asked.
/// - **Since:** Linux 5.1; events in the upper 16 bits 5.9.
/// - **Manual:** [`poll(2)`], [`io_uring_prep_poll_add(3)`].
///
/// ```
/// use std::{io::Write, os::unix::net::UnixStream};
/// use uring::{Ring, op::{self, PollEvents}};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring: Ring<op::Nop> = Ring::builder().build()?;
/// let (mut ours, theirs) = UnixStream::pair()?;
/// ours.write_all(b"x")?;
/// let (ready, _) = ring.run(op::Poll::new(&theirs, PollEvents::IN));
/// assert!(ready?.contains(PollEvents::IN)); // a read of `theirs` does not block
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// `EBADF`; `ECANCELED` if it was cancelled. Files that cannot be polled, such as regular ones, are
/// no error: they count as ready.
///
/// [`poll(2)`]: https://man7.org/linux/man-pages/man2/poll.2.html
/// [`io_uring_prep_poll_add(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_poll_add.3.html
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Debug)]
pub struct Poll<F> {
    fd: F,
    events: PollEvents,
}

impl<F: OpFd> Poll<F> {
    /// Waits until one of `events` is there.
    pub const fn new(fd: F, events: PollEvents) -> Self {
        Self { fd, events }
    }
}

// SAFETY: the descriptor is held until `finish`; there is no other operand, and it posts nothing
// but its own completions.
unsafe impl<F: OpFd> Operation for Poll<F> {
    type Item = ();
    type Output = (io::Result<PollEvents>, F);

    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        let Self { fd, events } = self;
        *sqe = entry(-1, *events, 0);
        fd.target().write_to(sqe);
    }

    unsafe fn item(_this: *mut Self, _cqe: Cqe) {}

    unsafe fn finish(self, cqe: Cqe) -> Self::Output {
        (events(cqe), self.fd)
    }

    fn refuse(self, error: io::Error) -> Self::Output {
        (Err(error), self.fd)
    }

    fn ring(&self) -> Option<RingId> {
        self.fd.ring()
    }
}
