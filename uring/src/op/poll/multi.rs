//! Hearing of readiness again and again.

use std::{io, os::fd::RawFd};

use uring_sys as sys;

use super::{
    events::{PollEvents, events},
    once::entry,
};
use crate::{
    abi::{cqe::Cqe, sqe::Sqe, token::RingId},
    operation::{Operation, fd::OpFd},
};

impl Sqe {
    /// An entry that reports readiness again and again: see [`PollMulti`].
    ///
    /// # Safety
    ///
    /// `fd` stays open until the completion without `MORE` has been taken.
    #[doc(alias = "io_uring_prep_poll_multishot")]
    pub const unsafe fn poll_multi(fd: RawFd, events: PollEvents) -> Self {
        entry(fd, events, sys::IORING_POLL_ADD_MULTI)
    }
}

/// Reports each time that a descriptor becomes ready.
///
/// - **Result:** each item is the events that are there; the end is the last ones or an error, and
///   the descriptor.
/// - **Completes:** with an item for each change, until a completion without `MORE`: after an
///   error, and when the completion queue overflowed. Submit it again then.
/// - **Blocks:** on a file of FUSE, whose server is asked.
/// - **Since:** Linux 5.13.
/// - **Manual:** [`poll(2)`], [`io_uring_prep_poll_multishot(3)`].
///
/// ```
/// use std::{io::Write, os::unix::net::UnixStream};
/// use uring::{Event, Ring, op::{PollEvents, PollMulti}};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # match uring::check() { Ok(it) if it.has(uring::OpCode::MSG_RING) => {} _ => return Ok(()) }
/// let mut ring: Ring<PollMulti<UnixStream>> = Ring::builder().build()?;
/// let (mut ours, theirs) = UnixStream::pair()?;
/// ring.submit(PollMulti::new(theirs, PollEvents::IN), ())?;
/// ring.wait(0, None)?;
/// ours.write_all(b"x")?;
/// ring.wait(1, None)?;
/// let Some(Event::Item { item: ready, .. }) = ring.next() else { panic!("it goes on") };
/// assert!(ready?.contains(PollEvents::IN));
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// As [`Poll`](super::Poll); `EINVAL` before Linux 5.13.
///
/// [`poll(2)`]: https://man7.org/linux/man-pages/man2/poll.2.html
/// [`io_uring_prep_poll_multishot(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_poll_multishot.3.html
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Debug)]
pub struct PollMulti<F> {
    fd: F,
    events: PollEvents,
}

impl<F: OpFd> PollMulti<F> {
    /// Reports each time that one of `events` comes.
    pub const fn new(fd: F, events: PollEvents) -> Self {
        Self { fd, events }
    }
}

// SAFETY: the descriptor is held until `finish`; there is no other operand, and it posts nothing
// but its own completions.
unsafe impl<F: OpFd> Operation for PollMulti<F> {
    type Item = io::Result<PollEvents>;
    type Output = (io::Result<PollEvents>, F);

    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        let Self { fd, events } = self;
        *sqe = entry(-1, *events, sys::IORING_POLL_ADD_MULTI);
        fd.target().write_to(sqe);
    }

    unsafe fn item(_this: *mut Self, cqe: Cqe) -> Self::Item {
        events(cqe)
    }

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
