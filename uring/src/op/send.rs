//! Sending on a socket.

use std::{io, os::fd::RawFd};

use uring_sys as sys;

use super::{address, transferred};
use crate::{Buf, Cqe, OpFd, Operation, RingId, Sqe, buf::clamp, cast::unsigned, sqe::ZERO};

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

fn entry(fd: RawFd, addr: u64, len: u32, flags: MsgFlags) -> Sqe {
    Sqe::from_raw(sys::io_uring_sqe {
        opcode: sys::IORING_OP_SEND,
        fd,
        addr,
        len,
        op_flags: flags.bits(),
        ..ZERO
    })
}

impl Sqe {
    /// An entry that sends up to `length` bytes: see [`Send`]. Unlike there, `flags` are taken as
    /// they are: [`MsgFlags::NOSIGNAL`] is for the caller to set.
    ///
    /// # Safety
    ///
    /// Until the completion has been taken:
    /// - `length` bytes from `buffer` can be read, and nothing changes or frees them;
    /// - `fd` stays open.
    ///
    /// With `MSG_ZEROCOPY` among the flags the buffer is read even after the completion, until the
    /// socket's error queue says that it is done.
    #[doc(alias = "io_uring_prep_send")]
    #[inline]
    pub unsafe fn send(fd: RawFd, buffer: *const u8, length: u32, flags: MsgFlags) -> Self {
        entry(fd, address(buffer), length, flags)
    }
}

/// Sends on a connected socket.
///
/// - **Result:** how many bytes were sent, which may be fewer than there are unless
///   [`wait_all`](Self::wait_all) was asked for; the socket; the buffer.
/// - **Completes:** once.
/// - **Since:** Linux 5.6.
/// - **Manual:** [`send(2)`], [`io_uring_prep_send(3)`].
///
/// Keep one send in flight on a stream socket: the kernel may run several out of order.
/// [`MsgFlags::NOSIGNAL`] is always set.
///
/// # Errors
///
/// Those of [`send(2)`]: `EPIPE` or `ECONNRESET` if the peer is gone.
///
/// [`send(2)`]: https://man7.org/linux/man-pages/man2/send.2.html
/// [`io_uring_prep_send(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_send.3.html
#[doc(alias = "IORING_OP_SEND")]
#[doc(alias = "io_uring_prep_send")]
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Debug)]
pub struct Send<F, B> {
    fd: F,
    buf: B,
    flags: MsgFlags,
}

impl<F: OpFd, B: Buf> Send<F, B> {
    /// Sends `buf` on `fd`.
    pub const fn new(fd: F, buf: B) -> Self {
        Self { fd, buf, flags: MsgFlags::NOSIGNAL }
    }

    /// Completes only when everything was sent, or on an error. Since Linux 5.18.
    #[doc(alias = "MSG_WAITALL")]
    pub const fn wait_all(self) -> Self {
        self.flags(MsgFlags::WAITALL)
    }

    /// Says that more data follows soon, so that small segments wait for it.
    #[doc(alias = "MSG_MORE")]
    pub const fn more(self) -> Self {
        self.flags(MsgFlags::MORE)
    }

    /// Fails with `EAGAIN` instead of waiting for room.
    #[doc(alias = "MSG_DONTWAIT")]
    pub const fn dont_wait(self) -> Self {
        self.flags(MsgFlags::DONTWAIT)
    }

    /// Sends the last byte out of band.
    #[doc(alias = "MSG_OOB")]
    pub const fn out_of_band(self) -> Self {
        self.flags(MsgFlags::OOB)
    }

    // Not public: `MSG_ZEROCOPY` would let the kernel read the buffer after the completion.
    const fn flags(mut self, flags: MsgFlags) -> Self {
        self.flags = self.flags.union(flags);
        self
    }
}

// SAFETY: the entry points to the buffer, which `Buf` vouches for, and names the socket, which is
// held; both stay here until `finish`.
unsafe impl<F: OpFd, B: Buf> Operation for Send<F, B> {
    type Item = ();
    type Output = (io::Result<usize>, F, B);

    #[inline]
    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        let Self { fd, buf, flags } = self;
        *sqe = entry(-1, address(buf.buf_ptr()), clamp(buf.buf_len()), *flags);
        fd.set(sqe);
    }

    unsafe fn item(&mut self, _cqe: Cqe) {}

    #[inline]
    unsafe fn finish(self, cqe: Cqe) -> Self::Output {
        (transferred(cqe), self.fd, self.buf)
    }

    fn ring(&self) -> Option<RingId> {
        self.fd.ring()
    }
}
