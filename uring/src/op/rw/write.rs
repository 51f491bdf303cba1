//! Writing one buffer.

use std::os::fd::RawFd;

use uring_sys as sys;

use super::offset::Offset;
use crate::{
    abi::sqe::{Sqe, ZERO},
    op::address,
    operation::{
        buf::{Buf, extent},
        fd::OpFd,
        one_shot::one_shot,
    },
};

fn entry(fd: RawFd, (addr, len): (*const u8, u32), offset: Offset) -> Sqe {
    Sqe::from_raw(sys::io_uring_sqe {
        opcode: sys::IORING_OP_WRITE,
        fd,
        off: offset.raw(),
        addr: address(addr),
        len,
        ..ZERO
    })
}

impl Sqe {
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
        entry(fd, (buffer, length), offset)
    }
}

/// Writes a buffer.
///
/// - **Result:** how many bytes were written, which may be fewer than there are; the descriptor;
///   the buffer.
/// - **Completes:** once. At most 2,147,479,552 bytes are moved.
/// - **Blocks:** on a terminal, and on other files that can be polled but not told to do without
///   waiting, such as those of FUSE: see the
///   [table](crate::op#what-can-block-the-thread-that-submits).
/// - **Since:** Linux 5.6.
/// - **Manual:** [`pwrite(2)`], [`io_uring_prep_write(3)`].
///
/// ```
/// use std::fs;
/// use uring::{At, Ring, op};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring: Ring<op::Nop> = Ring::builder().build()?;
/// # let path = std::env::temp_dir().join(format!("uring-doc-write-{}", std::process::id()));
/// let file = fs::File::create(&path)?;
/// let text = "written at the start".as_bytes();
/// let (written, _, _) = ring.run(op::Write::new(&file, text, At(0)));
/// assert_eq!(written?, text.len()); // it may be less: a full disk, a limit
/// # assert_eq!(fs::read(&path)?, text);
/// # fs::remove_file(&path)?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Those of [`pwrite(2)`]; `InvalidInput` for [`Current`](super::Current) on a regular file or
/// block device; `ECANCELED` or `EINTR` if it was cancelled. Writing to a pipe or a socket that
/// nobody reads raises `SIGPIPE`, which Rust programs ignore by default.
///
/// [`pwrite(2)`]: https://man7.org/linux/man-pages/man2/pwrite.2.html
/// [`io_uring_prep_write(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_write.3.html
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Debug)]
pub struct Write<F, B> {
    fd: F,
    buf: B,
    offset: Offset,
}

impl<F: OpFd, B: Buf> Write<F, B> {
    /// Writes `buf` to `fd`, starting `offset`: [`At`](super::At),
    /// [`Current`](super::Current) or a [`Position`](super::Position).
    pub fn new(fd: F, buf: B, offset: impl Into<Offset>) -> Self {
        Self { fd, buf, offset: offset.into() }
    }
}

one_shot! {
    // SAFETY: the entry points to the buffer, which `Buf` vouches for.
    unsafe impl[F: OpFd, B: Buf] Operation for Write<F, B> {
        entry: |Self { fd, buf, offset }| {
            offset.settle(fd.target());
            entry(-1, extent(buf.region()), *offset)
        },
        on: fd,
        result: bytes -> usize,
        explained: offset,
        held: (fd: F, buf: B),
    }
}
