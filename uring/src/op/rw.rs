//! Reading and writing one buffer.

use std::{io, os::fd::RawFd};

use uring_sys as sys;

use super::{address, transferred};
use crate::{Buf, BufMut, Cqe, OpFd, Operation, RingId, Sqe, buf::clamp, sqe::ZERO};

/// Where in a file a transfer starts: [`At`] a byte, or at the [`Current`] position.
///
/// A type, because the kernel's 0 means byte 0 and its -1 means the position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Offset(u64);

impl Offset {
    /// The kernel's form.
    #[must_use]
    pub const fn raw(self) -> u64 {
        self.0
    }
}

/// At this byte of the file; the file's own position is neither used nor moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct At(pub u64);

/// At the file's position, which moves; also for pipes, sockets and terminals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Current;

impl From<At> for Offset {
    /// Offsets over `i64::MAX` stay too large for the kernel, which answers `EINVAL`; only the one
    /// number that would mean the position is replaced by its neighbour.
    fn from(at: At) -> Self {
        Self(at.0.min(u64::MAX - 1))
    }
}

impl From<Current> for Offset {
    fn from(Current: Current) -> Self {
        Self(u64::MAX)
    }
}

/// A read or a write of one buffer: they differ in the opcode alone.
const fn transfer(opcode: u8, fd: RawFd, addr: u64, len: u32, offset: Offset) -> Sqe {
    Sqe::from_raw(sys::io_uring_sqe { opcode, fd, off: offset.raw(), addr, len, ..ZERO })
}

impl Sqe {
    /// An entry that reads up to `length` bytes: see [`Read`].
    ///
    /// # Safety
    ///
    /// Until the completion has been taken:
    /// - `length` bytes from `buffer` can be written, and nothing else reads, writes or frees them;
    /// - `fd` stays open.
    #[doc(alias = "io_uring_prep_read")]
    #[inline]
    pub unsafe fn read(fd: RawFd, buffer: *mut u8, length: u32, offset: Offset) -> Self {
        transfer(sys::IORING_OP_READ, fd, address(buffer), length, offset)
    }

    /// An entry that writes up to `length` bytes: see [`Write`].
    ///
    /// # Safety
    ///
    /// Until the completion has been taken:
    /// - `length` bytes from `buffer` can be read, and nothing changes or frees them;
    /// - `fd` stays open.
    #[doc(alias = "io_uring_prep_write")]
    #[inline]
    pub unsafe fn write(fd: RawFd, buffer: *const u8, length: u32, offset: Offset) -> Self {
        transfer(sys::IORING_OP_WRITE, fd, address(buffer), length, offset)
    }
}

/// Reads into a buffer.
///
/// - **Result:** how many bytes were read, 0 at the end of the file; the descriptor; the buffer. A
///   `Vec` then holds exactly these bytes.
/// - **Completes:** once. At most 2,147,479,552 bytes are moved.
/// - **Since:** Linux 5.6.
/// - **Manual:** [`pread(2)`], [`io_uring_prep_read(3)`].
///
/// # Errors
///
/// Those of [`pread(2)`]; `ECANCELED` or `EINTR` if it was cancelled.
///
/// [`pread(2)`]: https://man7.org/linux/man-pages/man2/pread.2.html
/// [`io_uring_prep_read(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_read.3.html
#[doc(alias = "IORING_OP_READ")]
#[doc(alias = "io_uring_prep_read")]
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Debug)]
pub struct Read<F, B> {
    fd: F,
    buf: B,
    offset: Offset,
}

impl<F: OpFd, B: BufMut> Read<F, B> {
    /// Reads from `fd` into `buf`, starting `offset` ([`At`] or [`Current`]).
    pub fn new(fd: F, buf: B, offset: impl Into<Offset>) -> Self {
        Self { fd, buf, offset: offset.into() }
    }
}

// SAFETY: the entry points to the buffer, which `BufMut` vouches for, and names the descriptor,
// which is held; both stay here until `finish`.
unsafe impl<F: OpFd, B: BufMut> Operation for Read<F, B> {
    type Item = ();
    type Output = (io::Result<usize>, F, B);

    #[inline]
    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        let Self { fd, buf, offset } = self;
        let len = clamp(buf.buf_capacity());
        *sqe = transfer(sys::IORING_OP_READ, -1, address(buf.buf_mut_ptr()), len, *offset);
        fd.set(sqe);
    }

    unsafe fn item(&mut self, _cqe: Cqe) {}

    #[inline]
    unsafe fn finish(mut self, cqe: Cqe) -> Self::Output {
        let result = transferred(cqe);
        if let Ok(bytes) = result {
            // SAFETY: the kernel wrote this many bytes, and was asked for no more than there are.
            unsafe { self.buf.set_filled(bytes) };
        }
        (result, self.fd, self.buf)
    }

    fn ring(&self) -> Option<RingId> {
        self.fd.ring()
    }
}

/// Writes a buffer.
///
/// - **Result:** how many bytes were written, which may be fewer than there are; the descriptor;
///   the buffer.
/// - **Completes:** once. At most 2,147,479,552 bytes are moved.
/// - **Since:** Linux 5.6.
/// - **Manual:** [`pwrite(2)`], [`io_uring_prep_write(3)`].
///
/// # Errors
///
/// Those of [`pwrite(2)`]; `ECANCELED` or `EINTR` if it was cancelled. Writing to a pipe or a
/// socket that nobody reads raises `SIGPIPE`, which Rust programs ignore by default.
///
/// [`pwrite(2)`]: https://man7.org/linux/man-pages/man2/pwrite.2.html
/// [`io_uring_prep_write(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_write.3.html
#[doc(alias = "IORING_OP_WRITE")]
#[doc(alias = "io_uring_prep_write")]
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Debug)]
pub struct Write<F, B> {
    fd: F,
    buf: B,
    offset: Offset,
}

impl<F: OpFd, B: Buf> Write<F, B> {
    /// Writes `buf` to `fd`, starting `offset` ([`At`] or [`Current`]).
    pub fn new(fd: F, buf: B, offset: impl Into<Offset>) -> Self {
        Self { fd, buf, offset: offset.into() }
    }
}

// SAFETY: the entry points to the buffer, which `Buf` vouches for, and names the descriptor, which
// is held; both stay here until `finish`.
unsafe impl<F: OpFd, B: Buf> Operation for Write<F, B> {
    type Item = ();
    type Output = (io::Result<usize>, F, B);

    #[inline]
    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        let Self { fd, buf, offset } = self;
        let len = clamp(buf.buf_len());
        *sqe = transfer(sys::IORING_OP_WRITE, -1, address(buf.buf_ptr()), len, *offset);
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
