//! Receiving again and again with one submission.

use std::{io, os::fd::RawFd};

use uring_sys as sys;

use super::flags::MsgFlags;
use crate::{
    abi::{
        cqe::Cqe,
        sqe::{Sqe, SqeFlags, ZERO},
        token::RingId,
    },
    operation::{Operation, fd::OpFd},
    pool::{Pool, buf::RecvBuf},
};

fn entry(fd: RawFd, group: u16, flags: MsgFlags) -> Sqe {
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
    /// An entry that receives again and again into the buffers of `pool`: see [`RecvMulti`]. Its
    /// completions are turned into buffers by [`Pool::take`].
    ///
    /// # Safety
    ///
    /// Until the completion without `MORE` has been taken:
    /// - `pool` is not dropped, and is a pool of the ring that the entry is pushed to;
    /// - `fd` stays open.
    #[doc(alias = "io_uring_prep_recv_multishot")]
    pub unsafe fn recv_multi(fd: RawFd, pool: &Pool, flags: MsgFlags) -> Self {
        entry(fd, pool.group(), flags)
    }
}

/// Receives again and again, each time into a buffer of a [`Pool`] that the kernel picks when data
/// is there: one submission for the life of a connection, and memory only for data that arrived.
///
/// - **Result:** each item is a [`RecvBuf`]; the end is the last buffer, `None` when the peer has
///   finished, or an error; and the socket. A datagram of no bytes ends it too: with a buffer of no
///   bytes, not with `None`. (A message of no bytes on a `SOCK_SEQPACKET` socket looks as the end,
///   as it does to [`recv(2)`]; and a datagram socket that was shut down for reading ends with
///   buffers of no bytes.)
/// - **Completes:** with an item for each arrival, until a completion without `MORE`. That may
///   carry a buffer: then, and after `ENOBUFS`, submit it again.
/// - **Since:** Linux 6.0.
/// - **Manual:** [`recv(2)`], [`io_uring_prep_recv_multishot(3)`].
///
/// ```
/// use std::{io::Write, os::unix::net::UnixStream};
/// use uring::{Event, Ring, op::RecvMulti};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # match uring::check() { Ok(it) if it.has(uring::OpCode::SEND_ZC) => {} _ => return Ok(()) }
/// let mut ring: Ring<RecvMulti<UnixStream>> = Ring::builder().build()?;
/// let pool = ring.pool(16, 4096)?;
/// let (mut ours, theirs) = UnixStream::pair()?;
/// ring.submit(RecvMulti::new(theirs, &pool), ())?;
/// ours.write_all(b"hello")?;
/// ring.wait(1, None)?;
/// let Some(Event::Item { item: buffer, .. }) = ring.next() else { panic!("it goes on") };
/// assert_eq!(&buffer[..], b"hello"); // dropped, the buffer goes back to the pool
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Those of [`recv(2)`]; `ENOBUFS` when the pool is empty, even if no data is there; `EINVAL`
/// before Linux 6.0; `ECANCELED` if it was cancelled.
///
/// [`recv(2)`]: https://man7.org/linux/man-pages/man2/recv.2.html
/// [`io_uring_prep_recv_multishot(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_recv_multishot.3.html
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
// belongs to the ring; the socket is held too. It has no pointers, and posts nothing but its own
// completions.
unsafe impl<F: OpFd> Operation for RecvMulti<F> {
    type Item = RecvBuf;
    type Output = (io::Result<Option<RecvBuf>>, F);

    #[inline]
    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        let Self { fd, pool } = self;
        *sqe = entry(-1, pool.group(), MsgFlags::empty());
        fd.target().write_to(sqe);
    }

    #[inline]
    unsafe fn item(this: *mut Self, cqe: Cqe) -> RecvBuf {
        // SAFETY: `this` points to an operation, whose memory the kernel does not write.
        let pool = unsafe { &(*this).pool };
        // SAFETY: the caller's contract: a completion of this operation, passed once.
        match unsafe { pool.take(cqe) } {
            Ok(Some(buf)) => buf,
            Ok(None) | Err(_) => pool.empty(),
        }
    }

    #[inline]
    unsafe fn finish(self, cqe: Cqe) -> Self::Output {
        // SAFETY: the caller's contract: a completion of this operation, passed once.
        let mut result = unsafe { self.pool.take(cqe) };
        // The kernel says the same of an empty datagram and of a peer that has finished; the socket
        // tells which it can have been. Rare: once a connection.
        if let Ok(None) = result {
            if self.fd.target().is_datagram_socket() {
                result = Ok(Some(self.pool.empty()));
            }
        }
        (result, self.fd)
    }

    fn refuse(self, error: io::Error) -> Self::Output {
        (Err(error), self.fd)
    }

    fn ring(&self) -> Option<RingId> {
        Some(self.pool.ring())
    }
}
