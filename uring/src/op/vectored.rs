//! Reading and writing several buffers at once.

use std::{fmt, io, os::fd::RawFd};

use libc::iovec;
use uring_sys as sys;

use super::{Offset, address, transferred};
use crate::{Buf, BufMut, Cqe, OpFd, Operation, RingId, Sqe, sqe::ZERO};

fn transfer(opcode: u8, fd: RawFd, vectors: *const iovec, count: u32, offset: Offset) -> Sqe {
    Sqe::from_raw(sys::io_uring_sqe {
        opcode,
        fd,
        off: offset.raw(),
        addr: address(vectors),
        len: count,
        ..ZERO
    })
}

impl Sqe {
    /// An entry that reads into `count` buffers: see [`Readv`].
    ///
    /// # Safety
    ///
    /// Until the completion has been taken:
    /// - `vectors` points to `count` vectors, which do not move or change;
    /// - their memory can be written, and nothing else reads, writes or frees it;
    /// - `fd` stays open.
    #[doc(alias = "io_uring_prep_readv")]
    pub unsafe fn readv(fd: RawFd, vectors: *const iovec, count: u32, offset: Offset) -> Self {
        transfer(sys::IORING_OP_READV, fd, vectors, count, offset)
    }

    /// An entry that writes `count` buffers: see [`Writev`].
    ///
    /// # Safety
    ///
    /// Until the completion has been taken:
    /// - `vectors` points to `count` vectors, which do not move or change;
    /// - their memory can be read, and nothing changes or frees it;
    /// - `fd` stays open.
    #[doc(alias = "io_uring_prep_writev")]
    pub unsafe fn writev(fd: RawFd, vectors: *const iovec, count: u32, offset: Offset) -> Self {
        transfer(sys::IORING_OP_WRITEV, fd, vectors, count, offset)
    }
}

/// The kernel's list of buffers, built when the operation sits where it stays.
#[derive(Default)]
struct Vectors(Vec<iovec>);

impl Vectors {
    fn fill(&mut self, parts: impl Iterator<Item = (*mut u8, usize)>) -> (*const iovec, u32) {
        self.0.clear();
        self.0.extend(parts.map(|(base, len)| iovec { iov_base: base.cast(), iov_len: len }));
        // more than 1024 the kernel refuses with EINVAL; a number that large cannot wrap to fewer
        (self.0.as_ptr(), u32::try_from(self.0.len()).unwrap_or(u32::MAX))
    }
}

impl fmt::Debug for Vectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} vectors", self.0.len())
    }
}

/// Reads into several buffers, one after the other.
///
/// - **Result:** how many bytes were read in all, 0 at the end of the file; the descriptor; the
///   buffers, each told how much of it was filled.
/// - **Completes:** once.
/// - **Since:** Linux 5.1.
/// - **Manual:** [`preadv(2)`], [`io_uring_prep_readv(3)`].
///
/// # Errors
///
/// Those of [`preadv(2)`]; `EINVAL` for more than 1024 buffers.
///
/// [`preadv(2)`]: https://man7.org/linux/man-pages/man2/preadv.2.html
/// [`io_uring_prep_readv(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_readv.3.html
#[doc(alias = "IORING_OP_READV")]
#[doc(alias = "io_uring_prep_readv")]
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Debug)]
pub struct Readv<F, B> {
    fd: F,
    bufs: Vec<B>,
    offset: Offset,
    vectors: Vectors,
}

impl<F: OpFd, B: BufMut> Readv<F, B> {
    /// Reads from `fd` into `bufs`, starting `offset` ([`At`](super::At) or
    /// [`Current`](super::Current)).
    pub fn new(fd: F, bufs: Vec<B>, offset: impl Into<Offset>) -> Self {
        Self { fd, bufs, offset: offset.into(), vectors: Vectors::default() }
    }
}

// SAFETY: the entry points to the vectors and they to the buffers, which `BufMut` vouches for; the
// descriptor is held; all stay here until `finish`.
unsafe impl<F: OpFd, B: BufMut> Operation for Readv<F, B> {
    type Item = ();
    type Output = (io::Result<usize>, F, Vec<B>);

    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        let Self { fd, bufs, offset, vectors } = self;
        let parts = bufs.iter_mut().map(|buf| (buf.buf_mut_ptr(), buf.buf_capacity()));
        let (vectors, count) = vectors.fill(parts);
        *sqe = transfer(sys::IORING_OP_READV, -1, vectors, count, *offset);
        fd.set(sqe);
    }

    unsafe fn item(&mut self, _cqe: Cqe) {}

    unsafe fn finish(mut self, cqe: Cqe) -> Self::Output {
        let result = transferred(cqe);
        if let Ok(mut left) = result {
            for buf in &mut self.bufs {
                let bytes = left.min(buf.buf_capacity());
                left -= bytes;
                // SAFETY: the kernel fills the buffers in order, each to its capacity.
                unsafe { buf.set_filled(bytes) };
            }
        }
        (result, self.fd, self.bufs)
    }

    fn ring(&self) -> Option<RingId> {
        self.fd.ring()
    }
}

/// Writes several buffers, one after the other.
///
/// - **Result:** how many bytes were written in all; the descriptor; the buffers.
/// - **Completes:** once.
/// - **Since:** Linux 5.1.
/// - **Manual:** [`pwritev(2)`], [`io_uring_prep_writev(3)`].
///
/// # Errors
///
/// Those of [`pwritev(2)`]; `EINVAL` for more than 1024 buffers.
///
/// [`pwritev(2)`]: https://man7.org/linux/man-pages/man2/pwritev.2.html
/// [`io_uring_prep_writev(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_writev.3.html
#[doc(alias = "IORING_OP_WRITEV")]
#[doc(alias = "io_uring_prep_writev")]
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Debug)]
pub struct Writev<F, B> {
    fd: F,
    bufs: Vec<B>,
    offset: Offset,
    vectors: Vectors,
}

impl<F: OpFd, B: Buf> Writev<F, B> {
    /// Writes `bufs` to `fd`, starting `offset` ([`At`](super::At) or [`Current`](super::Current)).
    pub fn new(fd: F, bufs: Vec<B>, offset: impl Into<Offset>) -> Self {
        Self { fd, bufs, offset: offset.into(), vectors: Vectors::default() }
    }
}

// SAFETY: the entry points to the vectors and they to the buffers, which `Buf` vouches for; the
// descriptor is held; all stay here until `finish`.
unsafe impl<F: OpFd, B: Buf> Operation for Writev<F, B> {
    type Item = ();
    type Output = (io::Result<usize>, F, Vec<B>);

    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        let Self { fd, bufs, offset, vectors } = self;
        let parts = bufs.iter().map(|buf| (buf.buf_ptr().cast_mut(), buf.buf_len()));
        let (vectors, count) = vectors.fill(parts);
        *sqe = transfer(sys::IORING_OP_WRITEV, -1, vectors, count, *offset);
        fd.set(sqe);
    }

    unsafe fn item(&mut self, _cqe: Cqe) {}

    unsafe fn finish(self, cqe: Cqe) -> Self::Output {
        (transferred(cqe), self.fd, self.bufs)
    }

    fn ring(&self) -> Option<RingId> {
        self.fd.ring()
    }
}
