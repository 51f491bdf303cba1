//! Writing several buffers at once.

use std::os::fd::RawFd;

use libc::iovec;
use uring_sys as sys;

use super::{offset::Offset, vectors::Vectors};
use crate::{
    abi::sqe::{Sqe, ZERO},
    op::address,
    operation::{buf::Buf, fd::OpFd, one_shot::one_shot},
};

fn entry(fd: RawFd, (vectors, count): (*const iovec, u32), offset: Offset) -> Sqe {
    Sqe::from_raw(sys::io_uring_sqe {
        opcode: sys::IORING_OP_WRITEV,
        fd,
        off: offset.raw(),
        addr: address(vectors),
        len: count,
        ..ZERO
    })
}

impl Sqe {
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
        entry(fd, (vectors, count), offset)
    }
}

/// Writes several buffers, one after the other.
///
/// - **Result:** how many bytes were written in all; the descriptor; the buffers.
/// - **Completes:** once.
/// - **Blocks:** on a terminal, and on other files that can be polled but not told to do without
///   waiting, such as those of FUSE: see the
///   [table](crate::op#what-can-block-the-thread-that-submits).
/// - **Since:** Linux 5.1.
/// - **Manual:** [`pwritev(2)`], [`io_uring_prep_writev(3)`].
///
/// ```
/// use std::fs;
/// use uring::{At, Ring, op};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring: Ring<op::Nop> = Ring::builder().build()?;
/// # let path = std::env::temp_dir().join(format!("uring-doc-writev-{}", std::process::id()));
/// let file = fs::File::create(&path)?;
/// let parts = vec![&b"head "[..], b"and body"];
/// let (written, _, _) = ring.run(op::Writev::new(&file, parts, At(0)));
/// assert_eq!(written?, 13);
/// # assert_eq!(fs::read(&path)?, b"head and body");
/// # fs::remove_file(&path)?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// As [`Write`](super::Write); `EINVAL` for more than 1024 buffers.
///
/// [`pwritev(2)`]: https://man7.org/linux/man-pages/man2/pwritev.2.html
/// [`io_uring_prep_writev(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_writev.3.html
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Debug)]
pub struct Writev<F, B> {
    fd: F,
    bufs: Vec<B>,
    offset: Offset,
    vectors: Vectors,
}

impl<F: OpFd, B: Buf> Writev<F, B> {
    /// Writes `bufs` to `fd`, starting `offset`: [`At`](super::At),
    /// [`Current`](super::Current) or a [`Position`](super::Position).
    pub fn new(fd: F, bufs: Vec<B>, offset: impl Into<Offset>) -> Self {
        Self { fd, bufs, offset: offset.into(), vectors: Vectors::default() }
    }
}

one_shot! {
    // SAFETY: the entry points to the vectors and they to the buffers, which `Buf` vouches for.
    unsafe impl[F: OpFd, B: Buf] Operation for Writev<F, B> {
        entry: |Self { fd, bufs, offset, vectors }| {
            offset.settle(fd.target());
            entry(-1, vectors.fill(bufs.iter().map(Buf::region)), *offset)
        },
        on: fd,
        result: bytes -> usize,
        explained: offset,
        held: (fd: F, bufs: Vec<B>),
    }
}
