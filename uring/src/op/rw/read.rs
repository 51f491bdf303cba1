//! Reading into one buffer.

use std::os::fd::RawFd;

use uring_sys as sys;

use super::offset::Offset;
use crate::{
    abi::sqe::{Sqe, ZERO},
    op::address,
    operation::{
        buf::{BufMut, extent},
        fd::OpFd,
        one_shot::one_shot,
    },
};

fn entry(fd: RawFd, (addr, len): (*const u8, u32), offset: Offset) -> Sqe {
    Sqe::from_raw(sys::io_uring_sqe {
        opcode: sys::IORING_OP_READ,
        fd,
        off: offset.raw(),
        addr: address(addr),
        len,
        ..ZERO
    })
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
        entry(fd, (buffer, length), offset)
    }
}

/// Reads into a buffer.
///
/// - **Result:** how many bytes were read, 0 at the end of the file; the descriptor; the buffer. A
///   `Vec` then holds exactly these bytes.
/// - **Completes:** once. At most 2,147,479,552 bytes are moved.
/// - **Blocks:** on a terminal, and on other files that can be polled but not told to do without
///   waiting, such as those of FUSE: see the
///   [table](crate::op#what-can-block-the-thread-that-submits).
/// - **Since:** Linux 5.6.
/// - **Manual:** [`pread(2)`], [`io_uring_prep_read(3)`].
///
/// ```
/// use std::fs::File;
/// use uring::{At, Ring, op};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring: Ring<op::Nop> = Ring::builder().build()?;
/// let file = File::open("/proc/self/exe")?;
/// let mut magic = [0; 4];
/// let (read, _, _) = ring.run(op::Read::new(&file, &mut magic[..], At(0)));
/// assert_eq!(read?, 4);
/// assert_eq!(&magic, b"\x7fELF");
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Those of [`pread(2)`]; `InvalidInput` for [`Current`](super::Current) on a regular file or block
/// device; `ECANCELED` or `EINTR` if it was cancelled.
///
/// [`pread(2)`]: https://man7.org/linux/man-pages/man2/pread.2.html
/// [`io_uring_prep_read(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_read.3.html
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Debug)]
pub struct Read<F, B> {
    fd: F,
    buf: B,
    offset: Offset,
}

impl<F: OpFd, B: BufMut> Read<F, B> {
    /// Reads from `fd` into `buf`, starting `offset`: [`At`](super::At),
    /// [`Current`](super::Current) or a [`Position`](super::Position).
    pub fn new(fd: F, buf: B, offset: impl Into<Offset>) -> Self {
        Self { fd, buf, offset: offset.into() }
    }
}

one_shot! {
    // SAFETY: the entry points to the buffer, which `BufMut` vouches for.
    unsafe impl[F: OpFd, B: BufMut] Operation for Read<F, B> {
        entry: |Self { fd, buf, offset }| {
            offset.settle(fd.target());
            entry(-1, extent(buf.region_mut()), *offset)
        },
        on: fd,
        result: bytes -> usize,
        explained: offset,
        fills: buf,
        held: (fd: F, buf: B),
    }
}
