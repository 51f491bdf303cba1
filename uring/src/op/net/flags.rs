//! The flags of sends and receives.

use crate::abi::cast::unsigned;

bitflags::bitflags! {
    /// The flags of [`send(2)`] and [`recv(2)`].
    ///
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
