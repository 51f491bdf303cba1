//! Reading into several buffers at once.

use std::{io, os::fd::RawFd};

use libc::iovec;
use uring_sys as sys;

use super::{offset::Offset, vectors::Vectors};
use crate::{
    abi::{
        cqe::Cqe,
        sqe::{Sqe, ZERO},
        token::RingId,
    },
    op::address,
    operation::{Operation, buf::BufMut, fd::OpFd, result::bytes},
};

fn entry(fd: RawFd, (vectors, count): (*const iovec, u32), offset: Offset) -> Sqe {
    Sqe::from_raw(sys::io_uring_sqe {
        opcode: sys::IORING_OP_READV,
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
        entry(fd, (vectors, count), offset)
    }
}

/// Reads into several buffers, one after the other.
///
/// - **Result:** how many bytes were read in all, 0 at the end of the file; the descriptor; the
///   buffers, each told how much of it was filled.
/// - **Completes:** once.
/// - **Blocks:** on a terminal, and on other files that can be polled but not told to do without
///   waiting, such as those of FUSE: see the
///   [table](crate::op#what-can-block-the-thread-that-submits).
/// - **Since:** Linux 5.1.
/// - **Manual:** [`preadv(2)`], [`io_uring_prep_readv(3)`].
///
/// ```
/// use std::fs::File;
/// use uring::{At, Ring, op};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring: Ring<op::Nop> = Ring::builder().build()?;
/// let file = File::open("/proc/self/exe")?;
/// let buffers = vec![Vec::with_capacity(4), Vec::with_capacity(60)];
/// let (read, _, buffers) = ring.run(op::Readv::new(&file, buffers, At(0)));
/// assert_eq!(read?, 64);
/// assert_eq!(buffers[0], b"\x7fELF"); // the first is filled before the second
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// As [`Read`](super::Read); `EINVAL` for more than 1024 buffers.
///
/// [`preadv(2)`]: https://man7.org/linux/man-pages/man2/preadv.2.html
/// [`io_uring_prep_readv(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_readv.3.html
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Debug)]
pub struct Readv<F, B> {
    fd: F,
    bufs: Vec<B>,
    offset: Offset,
    vectors: Vectors,
}

impl<F: OpFd, B: BufMut> Readv<F, B> {
    /// Reads from `fd` into `bufs`, starting `offset`: [`At`](super::At),
    /// [`Current`](super::Current) or a [`Position`](super::Position).
    pub fn new(fd: F, bufs: Vec<B>, offset: impl Into<Offset>) -> Self {
        Self { fd, bufs, offset: offset.into(), vectors: Vectors::default() }
    }
}

// SAFETY: the entry points to the vectors and they to the buffers, which `BufMut` vouches for; the
// descriptor is held; all stay here until `finish`. It completes once, and posts nothing else.
unsafe impl<F: OpFd, B: BufMut> Operation for Readv<F, B> {
    type Item = ();
    type Output = (io::Result<usize>, F, Vec<B>);

    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        let Self { fd, bufs, offset, vectors } = self;
        offset.settle(fd.target());
        let regions = bufs.iter_mut().map(|buf| buf.region_mut().cast_const());
        *sqe = entry(-1, vectors.fill(regions), *offset);
        fd.target().write_to(sqe);
    }

    unsafe fn item(_this: *mut Self, _cqe: Cqe) {}

    unsafe fn finish(mut self, cqe: Cqe) -> Self::Output {
        // SAFETY: nothing is needed.
        let result = self.offset.explain(unsafe { bytes(cqe) });
        if let Ok(bytes) = result {
            for (buf, share) in self.bufs.iter_mut().zip(self.vectors.shares(bytes)) {
                // SAFETY: the kernel filled the buffers in order, each to the length it was told.
                unsafe { buf.set_filled(share) };
            }
        }
        (result, self.fd, self.bufs)
    }

    fn refuse(self, error: io::Error) -> Self::Output {
        (Err(error), self.fd, self.bufs)
    }

    fn ring(&self) -> Option<RingId> {
        self.fd.ring()
    }
}
