//! Sending on a socket.

use std::os::fd::RawFd;

use uring_sys as sys;

use super::flags::MsgFlags;
use crate::{
    abi::sqe::{Sqe, ZERO},
    op::address,
    operation::{
        buf::{Buf, extent},
        fd::OpFd,
        one_shot::one_shot,
    },
};

fn entry(fd: RawFd, (addr, len): (*const u8, u32), flags: MsgFlags) -> Sqe {
    Sqe::from_raw(sys::io_uring_sqe {
        opcode: sys::IORING_OP_SEND,
        fd,
        addr: address(addr),
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
        entry(fd, (buffer, length), flags)
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
/// ```
/// use std::{io::Read, os::unix::net::UnixStream};
/// use uring::{Ring, op};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring: Ring<op::Nop> = Ring::builder().build()?;
/// let (ours, mut theirs) = UnixStream::pair()?;
/// let (sent, _, _) = ring.run(op::Send::new(&ours, &b"hello"[..]).wait_all());
/// assert_eq!(sent?, 5);
/// # let mut buffer = [0; 5];
/// # theirs.read_exact(&mut buffer)?;
/// # assert_eq!(&buffer, b"hello");
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Those of [`send(2)`]: `EPIPE` or `ECONNRESET` if the peer is gone.
///
/// [`send(2)`]: https://man7.org/linux/man-pages/man2/send.2.html
/// [`io_uring_prep_send(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_send.3.html
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

one_shot! {
    // SAFETY: the entry points to the buffer, which `Buf` vouches for.
    unsafe impl[F: OpFd, B: Buf] Operation for Send<F, B> {
        entry: |Self { fd: _, buf, flags }| entry(-1, extent(buf.region()), *flags),
        on: fd,
        result: bytes -> usize,
        held: (fd: F, buf: B),
    }
}
