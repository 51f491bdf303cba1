//! Receiving from a socket.

use std::os::fd::RawFd;

use uring_sys as sys;

use super::flags::MsgFlags;
use crate::{
    abi::sqe::{Sqe, ZERO},
    op::address,
    operation::{
        buf::{BufMut, extent},
        fd::OpFd,
        one_shot::one_shot,
    },
};

fn entry(fd: RawFd, (addr, len): (*const u8, u32), flags: MsgFlags, ioprio: u16) -> Sqe {
    Sqe::from_raw(sys::io_uring_sqe {
        opcode: sys::IORING_OP_RECV,
        ioprio,
        fd,
        addr: address(addr),
        len,
        op_flags: flags.bits(),
        ..ZERO
    })
}

impl Sqe {
    /// An entry that receives up to `length` bytes: see [`Recv`].
    ///
    /// # Safety
    ///
    /// Until the completion has been taken:
    /// - `length` bytes from `buffer` can be written, and nothing else reads, writes or frees them;
    /// - `fd` stays open.
    ///
    /// With [`MsgFlags::TRUNC`] the result may count bytes that were not written.
    #[doc(alias = "io_uring_prep_recv")]
    #[inline]
    pub unsafe fn recv(fd: RawFd, buffer: *mut u8, length: u32, flags: MsgFlags) -> Self {
        entry(fd, (buffer, length), flags, 0)
    }
}

/// Receives from a connected socket.
///
/// - **Result:** how many bytes were received; the socket; the buffer. A `Vec` then holds exactly
///   these bytes. 0 comes after the peer of a stream has finished, for an empty datagram, and for
///   an empty buffer.
/// - **Completes:** once.
/// - **Since:** Linux 5.6.
/// - **Manual:** [`recv(2)`], [`io_uring_prep_recv(3)`].
///
/// ```
/// use std::{io::Write, os::unix::net::UnixStream};
/// use uring::{Ring, op};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring: Ring<op::Nop> = Ring::builder().build()?;
/// let (mut ours, theirs) = UnixStream::pair()?;
/// ours.write_all(b"hello")?;
/// let (received, _, buffer) = ring.run(op::Recv::new(&theirs, Vec::with_capacity(4096)));
/// assert_eq!(received?, 5); // 0 would be the end of the stream
/// assert_eq!(buffer, b"hello"); // a `Vec` is as long as what has arrived
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Those of [`recv(2)`]; `ECANCELED` if it was cancelled.
///
/// [`recv(2)`]: https://man7.org/linux/man-pages/man2/recv.2.html
/// [`io_uring_prep_recv(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_recv.3.html
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Debug)]
pub struct Recv<F, B> {
    fd: F,
    buf: B,
    flags: MsgFlags,
    poll_first: bool,
}

impl<F: OpFd, B: BufMut> Recv<F, B> {
    /// Receives from `fd` into `buf`.
    pub const fn new(fd: F, buf: B) -> Self {
        Self { fd, buf, flags: MsgFlags::empty(), poll_first: false }
    }

    /// Waits for data before trying: saves a doomed attempt on an empty socket. Since Linux 5.19.
    #[doc(alias = "IORING_RECVSEND_POLL_FIRST")]
    pub const fn poll_first(mut self) -> Self {
        self.poll_first = true;
        self
    }

    /// Completes only when the buffer is full, or the peer has finished. Since Linux 5.18.
    #[doc(alias = "MSG_WAITALL")]
    pub const fn wait_all(self) -> Self {
        self.flags(MsgFlags::WAITALL)
    }

    /// Leaves the data in the socket.
    #[doc(alias = "MSG_PEEK")]
    pub const fn peek(self) -> Self {
        self.flags(MsgFlags::PEEK)
    }

    /// Fails with `EAGAIN` instead of waiting for data.
    #[doc(alias = "MSG_DONTWAIT")]
    pub const fn dont_wait(self) -> Self {
        self.flags(MsgFlags::DONTWAIT)
    }

    /// Receives out-of-band data.
    #[doc(alias = "MSG_OOB")]
    pub const fn out_of_band(self) -> Self {
        self.flags(MsgFlags::OOB)
    }

    // Not public: with `MSG_TRUNC` the result counts bytes that were not written to the buffer.
    const fn flags(mut self, flags: MsgFlags) -> Self {
        self.flags = self.flags.union(flags);
        self
    }
}

one_shot! {
    // SAFETY: the entry points to the buffer, which `BufMut` vouches for; no flag that this type
    // can have makes the kernel count bytes that it did not write.
    unsafe impl[F: OpFd, B: BufMut] Operation for Recv<F, B> {
        entry: |Self { fd: _, buf, flags, poll_first }| {
            let ioprio = if *poll_first { sys::IORING_RECVSEND_POLL_FIRST } else { 0 };
            entry(-1, extent(buf.region_mut()), *flags, ioprio)
        },
        on: fd,
        result: bytes -> usize,
        fills: buf,
        held: (fd: F, buf: B),
    }
}
