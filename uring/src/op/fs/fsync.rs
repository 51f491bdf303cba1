//! Bringing what was written to a file to its disk.

use std::os::fd::RawFd;

use uring_sys as sys;

use crate::{
    abi::sqe::{Sqe, ZERO},
    operation::{fd::OpFd, one_shot::one_shot},
};

bitflags::bitflags! {
    /// What a raw [`Sqe::fsync`] brings to the disk. [`Fsync`] has a method for it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct FsyncFlags: u32 {
        /// The data, and what is needed to read it again: `fdatasync(2)`. Since Linux 5.1.
        #[doc(alias = "IORING_FSYNC_DATASYNC")]
        const DATA_ONLY = sys::IORING_FSYNC_DATASYNC;

        const _ = !0; // bits newer than this crate survive
    }
}

// `off` and `len` are the range; zeroes are the whole file.
fn entry(fd: RawFd, flags: FsyncFlags) -> Sqe {
    Sqe::from_raw(sys::io_uring_sqe {
        opcode: sys::IORING_OP_FSYNC,
        fd,
        op_flags: flags.bits(),
        ..ZERO
    })
}

impl Sqe {
    /// An entry that brings a whole file to its disk: see [`Fsync`].
    ///
    /// # Safety
    ///
    /// `fd` stays open until the completion has been taken.
    #[doc(alias = "io_uring_prep_fsync")]
    pub unsafe fn fsync(fd: RawFd, flags: FsyncFlags) -> Self {
        entry(fd, flags)
    }
}

/// Brings what was written to a file to its disk.
///
/// It is sure of those writes only that have completed before it starts. So submit it after their
/// completions, or behind them in a [chain](crate::Chain). The name of a new file is not part of
/// the file: for that, sync its folder too.
///
/// A worker thread does it, and waits for the disk.
///
/// - **Result:** nothing; the file.
/// - **Completes:** once.
/// - **Since:** Linux 5.1.
/// - **Manual:** [`fsync(2)`], [`io_uring_prep_fsync(3)`].
///
/// ```
/// use std::fs;
/// use uring::{At, Ring, op};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring: Ring<op::Nop> = Ring::builder().build()?;
/// # let path = std::env::temp_dir().join(format!("uring-doc-fsync-{}", std::process::id()));
/// let file = fs::File::create(&path)?;
/// let (written, _, _) = ring.run(op::Write::new(&file, &b"to be kept"[..], At(0)));
/// written?;
/// let (synced, _) = ring.run(op::Fsync::new(&file));
/// synced?; // what was written is on the disk
/// # fs::remove_file(&path)?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Those of [`fsync(2)`]: `EINVAL` if it is a pipe or a socket, which have no disk. In a chain a
/// sync that failed does not keep what stands behind it from starting, since Linux 6.0: put nothing
/// there that relies on it.
///
/// [`fsync(2)`]: https://man7.org/linux/man-pages/man2/fsync.2.html
/// [`io_uring_prep_fsync(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_fsync.3.html
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Debug)]
pub struct Fsync<F> {
    file: F,
    flags: FsyncFlags,
}

impl<F: OpFd> Fsync<F> {
    /// Brings `file` to its disk, with all that is known about it, such as its times.
    pub const fn new(file: F) -> Self {
        Self { file, flags: FsyncFlags::empty() }
    }

    /// Leaves out what is not needed to read the data again, such as the times: `fdatasync(2)`.
    #[doc(alias = "IORING_FSYNC_DATASYNC")]
    pub const fn data_only(mut self) -> Self {
        self.flags = self.flags.union(FsyncFlags::DATA_ONLY);
        self
    }
}

one_shot! {
    // SAFETY: the entry has no pointers.
    unsafe impl[F: OpFd] Operation for Fsync<F> {
        entry: |Self { file: _, flags }| entry(-1, *flags),
        on: file,
        result: nothing -> (),
        held: (file: F),
    }
}
