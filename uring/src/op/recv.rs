//! Receiving from a socket.

use std::{io, os::fd::RawFd};

use uring_sys as sys;

use super::{MsgFlags, address, transferred};
use crate::{
    BufMut, Cqe, OpFd, Operation, Pool, RecvBuf, RingId, Sqe, SqeFlags, buf::clamp, sqe::ZERO,
};

fn entry(fd: RawFd, addr: u64, len: u32, flags: MsgFlags) -> Sqe {
    Sqe::from_raw(sys::io_uring_sqe {
        opcode: sys::IORING_OP_RECV,
        fd,
        addr,
        len,
        op_flags: flags.bits(),
        ..ZERO
    })
}

fn multishot(fd: RawFd, group: u16, flags: MsgFlags) -> Sqe {
    Sqe::from_raw(sys::io_uring_sqe {
        opcode: sys::IORING_OP_RECV,
        flags: SqeFlags::BUFFER_SELECT.bits(),
        ioprio: sys::IORING_RECV_MULTISHOT,
        fd,
        op_flags: flags.bits(),
        buf_index: group,
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
        entry(fd, address(buffer), length, flags)
    }

    /// An entry that receives again and again into the buffers of `pool`: see [`RecvMulti`]. Its
    /// completions are turned into buffers by [`Pool::take`].
    ///
    /// # Safety
    ///
    /// Until the completion without `MORE` has been taken:
    /// - `pool` is not dropped, and is a pool of the ring that the entry is pushed to;
    /// - `fd` stays open.
    #[doc(alias = "io_uring_prep_recv_multishot")]
    pub unsafe fn recv_multishot(fd: RawFd, pool: &Pool, flags: MsgFlags) -> Self {
        multishot(fd, pool.group(), flags)
    }
}

/// Receives from a connected socket.
///
/// - **Result:** how many bytes were received, 0 after the peer has finished; the socket; the
///   buffer. A `Vec` then holds exactly these bytes.
/// - **Completes:** once.
/// - **Since:** Linux 5.6.
/// - **Manual:** [`recv(2)`], [`io_uring_prep_recv(3)`].
///
/// # Errors
///
/// Those of [`recv(2)`]; `ECANCELED` if it was cancelled.
///
/// [`recv(2)`]: https://man7.org/linux/man-pages/man2/recv.2.html
/// [`io_uring_prep_recv(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_recv.3.html
#[doc(alias = "IORING_OP_RECV")]
#[doc(alias = "io_uring_prep_recv")]
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

// SAFETY: the entry points to the buffer, which `BufMut` vouches for, and names the socket, which
// is held; both stay here until `finish`.
unsafe impl<F: OpFd, B: BufMut> Operation for Recv<F, B> {
    type Item = ();
    type Output = (io::Result<usize>, F, B);

    #[inline]
    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        let Self { fd, buf, flags, poll_first } = self;
        let len = clamp(buf.buf_capacity());
        *sqe = entry(-1, address(buf.buf_mut_ptr()), len, *flags);
        if *poll_first {
            sqe.set_ioprio(sys::IORING_RECVSEND_POLL_FIRST);
        }
        fd.set(sqe);
    }

    unsafe fn item(&mut self, _cqe: Cqe) {}

    #[inline]
    unsafe fn finish(mut self, cqe: Cqe) -> Self::Output {
        let result = transferred(cqe);
        if let Ok(bytes) = result {
            // SAFETY: the kernel wrote this many bytes (no flag that this type can have makes it
            // count others), and was asked for no more than there are.
            unsafe { self.buf.set_filled(bytes) };
        }
        (result, self.fd, self.buf)
    }

    fn ring(&self) -> Option<RingId> {
        self.fd.ring()
    }
}

/// Receives again and again, each time into a buffer of a [`Pool`] that the kernel picks when data
/// is there: one submission for the life of a connection, and memory only for data that arrived.
///
/// - **Result:** each item is a [`RecvBuf`]; the end is the last buffer, `None` when the peer has
///   finished, or an error; and the socket.
/// - **Completes:** with an item for each arrival, until a completion without `MORE`. That may
///   carry data: then, and after `ENOBUFS`, submit it again.
/// - **Since:** Linux 6.0.
/// - **Manual:** [`recv(2)`], [`io_uring_prep_recv_multishot(3)`].
///
/// # Errors
///
/// Those of [`recv(2)`]; `ENOBUFS` when the pool is empty, even if no data is there; `EINVAL`
/// before Linux 6.0; `ECANCELED` if it was cancelled.
///
/// [`recv(2)`]: https://man7.org/linux/man-pages/man2/recv.2.html
/// [`io_uring_prep_recv_multishot(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_recv_multishot.3.html
#[doc(alias = "IORING_OP_RECV")]
#[doc(alias = "IORING_RECV_MULTISHOT")]
#[doc(alias = "io_uring_prep_recv_multishot")]
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Debug)]
pub struct RecvMulti<F> {
    fd: F,
    pool: Pool,
}

impl<F: OpFd> RecvMulti<F> {
    /// Receives from `fd` into the buffers of `pool`.
    pub fn new(fd: F, pool: &Pool) -> Self {
        Self { fd, pool: pool.clone() }
    }
}

// SAFETY: the entry names the group of the pool, which is held until `finish` and, `ring` says,
// belongs to the ring; the socket is held too.
unsafe impl<F: OpFd> Operation for RecvMulti<F> {
    type Item = RecvBuf;
    type Output = (io::Result<Option<RecvBuf>>, F);

    #[inline]
    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        let Self { fd, pool } = self;
        *sqe = multishot(-1, pool.group(), MsgFlags::empty());
        fd.set(sqe);
    }

    #[inline]
    unsafe fn item(&mut self, cqe: Cqe) -> RecvBuf {
        // SAFETY: the caller's contract: a completion of this operation, passed once.
        match unsafe { self.pool.take(cqe) } {
            Ok(Some(buf)) => buf,
            // nothing arrived, yet more may follow: an empty datagram
            Ok(None) | Err(_) => self.pool.empty(),
        }
    }

    #[inline]
    unsafe fn finish(self, cqe: Cqe) -> Self::Output {
        // SAFETY: the caller's contract: a completion of this operation, passed once.
        (unsafe { self.pool.take(cqe) }, self.fd)
    }

    fn ring(&self) -> Option<RingId> {
        Some(self.pool.ring())
    }
}
