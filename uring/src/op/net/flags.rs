//! The flags of sends and receives.

use crate::abi::cast::unsigned;

bitflags::bitflags! {
    /// The flags of [`send(2)`] and [`recv(2)`].
    ///
    /// An operation has a method for each that makes sense for it; a raw entry takes them all:
    ///
    /// ```
    /// use std::os::{fd::AsRawFd, unix::net::UnixStream};
    /// use uring::{MsgFlags, RawRing, Sqe};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Ok(_) = uring::check() else { return Ok(()) };
    /// let mut ring = RawRing::builder().entries(8).build()?;
    /// let (ours, _theirs) = UnixStream::pair()?;
    /// let text: &'static [u8] = b"hello";
    /// let flags = MsgFlags::NOSIGNAL | MsgFlags::WAITALL;
    /// // SAFETY: the bytes are there for ever; the socket stays open until the completion, below.
    /// let entry = unsafe { Sqe::send(ours.as_raw_fd(), text.as_ptr(), 5, flags) };
    /// ring.push(entry)?;
    /// ring.submit_and_wait(1)?;
    /// assert_eq!(ring.pop().expect("one was waited for").result()?, 5);
    /// # Ok(()) }
    /// ```
    /// [`send(2)`]: https://man7.org/linux/man-pages/man2/send.2.html
    /// [`recv(2)`]: https://man7.org/linux/man-pages/man2/recv.2.html
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct MsgFlags: u32 {
        /// Out-of-band data.
        #[doc(alias = "MSG_OOB")]
        const OOB = unsigned(libc::MSG_OOB);
        /// Leaves the data in the socket.
        #[doc(alias = "MSG_PEEK")]
        const PEEK = unsigned(libc::MSG_PEEK);
        /// The whole datagram's length is returned, even if it was cut.
        #[doc(alias = "MSG_TRUNC")]
        const TRUNC = unsigned(libc::MSG_TRUNC);
        /// Fails with `EAGAIN` instead of waiting.
        #[doc(alias = "MSG_DONTWAIT")]
        const DONTWAIT = unsigned(libc::MSG_DONTWAIT);
        /// Completes only when the whole buffer was moved. The kernel retries short sends for it
        /// since Linux 5.18.
        #[doc(alias = "MSG_WAITALL")]
        const WAITALL = unsigned(libc::MSG_WAITALL);
        /// A send to a closed peer fails with `EPIPE` and raises no signal.
        #[doc(alias = "MSG_NOSIGNAL")]
        const NOSIGNAL = unsigned(libc::MSG_NOSIGNAL);
        /// More data follows soon.
        #[doc(alias = "MSG_MORE")]
        const MORE = unsigned(libc::MSG_MORE);

        const _ = !0; // bits newer than this crate survive
    }
}
