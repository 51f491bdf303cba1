//! What can be waited for.

use std::io;

use crate::abi::{cast::unsigned, cqe::Cqe};

bitflags::bitflags! {
    /// What to wait for, and what was there: the events of [`poll(2)`].
    ///
    /// ```
    /// use uring::{PollEvents, Ring, op::Poll};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Ok(_) = uring::check() else { return Ok(()) };
    /// let mut ring: Ring<uring::op::Nop> = Ring::builder().build()?;
    /// let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    /// drop(theirs);
    /// let wanted = PollEvents::IN | PollEvents::RDHUP;
    /// let events = ring.run(Poll::new(&ours, wanted)).0?;
    /// assert!(events.contains(PollEvents::HUP)); // what was not asked for, but is always told
    /// # Ok(()) }
    /// ```
    /// [`poll(2)`]: https://man7.org/linux/man-pages/man2/poll.2.html
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct PollEvents: u32 {
        /// There is data to read.
        #[doc(alias = "POLLIN")]
        const IN = unsigned(libc::EPOLLIN);
        /// There is urgent data.
        #[doc(alias = "POLLPRI")]
        const PRI = unsigned(libc::EPOLLPRI);
        /// There is room to write.
        #[doc(alias = "POLLOUT")]
        const OUT = unsigned(libc::EPOLLOUT);
        /// An error; always reported.
        #[doc(alias = "POLLERR")]
        const ERR = unsigned(libc::EPOLLERR);
        /// Hung up; always reported.
        #[doc(alias = "POLLHUP")]
        const HUP = unsigned(libc::EPOLLHUP);
        /// The peer has finished writing.
        #[doc(alias = "POLLRDHUP")]
        const RDHUP = unsigned(libc::EPOLLRDHUP);

        const _ = !0; // bits newer than this crate survive
    }
}

/// The events of a completion.
pub(super) fn events(cqe: Cqe) -> io::Result<PollEvents> {
    cqe.result().map(PollEvents::from_bits_retain)
}
