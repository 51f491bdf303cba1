//! Where a transfer starts.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};

use crate::{
    kernel::{self, Seek},
    operation::fd::Target,
};

/// Where in a file a transfer starts: [`At`] a byte, or at the [`Current`] position of what has no
/// bytes to count.
///
/// A type, because the kernel's 0 means byte 0 and its -1 means the position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Offset(Start);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Start {
    Byte(u64),
    /// The kernel's position, because the caller says so.
    Kernel,
    /// The kernel's position, if the file turns out to have none.
    Current,
    /// The file turned out to have one.
    Refused,
}

impl Offset {
    /// The kernel's form.
    #[must_use]
    pub const fn raw(self) -> u64 {
        match self.0 {
            Start::Byte(at) => at,
            Start::Kernel | Start::Current => u64::MAX,
            // negative, as the kernel sees it, and not -1: on a file with a position, EINVAL
            Start::Refused => 1 << 63,
        }
    }

    /// The position of the file as the kernel keeps it, whatever the file is: -1 in the kernel's
    /// form.
    ///
    /// On regular files and block devices the kernel does not keep it: after a write that a limit
    /// or a full disk cut short, after direct I/O, and with several transfers in flight the
    /// position stays where it was, and the next write overwrites what was written while each of
    /// them reports success. [`Position`] counts by itself.
    #[must_use]
    pub const fn kernel_position() -> Self {
        Self(Start::Kernel)
    }

    /// Looks whether the file has a position that the kernel does not keep.
    #[inline]
    pub(super) fn settle(&mut self, target: Target) {
        if self.0 == Start::Current && target.has_position() {
            self.0 = Start::Refused;
        }
    }

    /// Says in words why a transfer was refused.
    #[inline]
    pub(crate) fn explain(self, result: io::Result<usize>) -> io::Result<usize> {
        if self.0 != Start::Refused || result.is_ok() {
            return result;
        }
        let text = "the kernel does not keep the position of a regular file or block device; use \
                    `At` or `Position` in place of `Current`";
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    }
}

/// At this byte of the file; the file's own position is neither used nor moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct At(pub u64);

/// What comes next in a pipe, a socket, a terminal: files that have no position.
///
/// On regular files and block devices the transfer fails with `InvalidInput`, because the kernel
/// does not keep their position: see [`Offset::kernel_position`]. It is looked up with `fstat(2)`
/// for each transfer; a [`Position`] knows it once and for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Current;

/// Where we are in a file: counted here, since the kernel does not do it reliably. For files
/// without a position it is the [`Current`] one, so that one loop serves both.
///
/// ```
/// use uring::{Position, Ring, op};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring = Ring::<op::Nop>::builder().build()?;
/// let file = std::fs::File::open("/proc/self/exe")?;
/// let mut position = Position::of(&file)?;
/// for _ in 0..2 {
///     let (result, _, buffer) = ring.run(op::Read::new(&file, [0; 512], &position));
///     let bytes = result?;
///     position.advance(bytes);
///     println!("{:?}", &buffer[..bytes.min(4)]);
/// }
/// assert_eq!(position.bytes(), Some(1024));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position(Option<u64>);

impl Position {
    /// Where the descriptor is now.
    ///
    /// # Errors
    ///
    /// Those of `fstat(2)` and `lseek(2)`.
    pub fn of(fd: impl AsFd) -> io::Result<Self> {
        if !has_position(&fd)? {
            return Ok(Self(None));
        }
        let raw = fd.as_fd().as_raw_fd();
        match kernel::seek(raw, Seek::Here) {
            Ok(at) => Ok(Self(Some(at))),
            // regular files that are streams all the same: some of the kernel's own
            Err(libc::ESPIPE) => Ok(Self(None)),
            Err(errno) => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    /// Counts what a transfer has moved.
    pub const fn advance(&mut self, bytes: usize) {
        if let Some(at) = &mut self.0 {
            *at = at.saturating_add(bytes as u64);
        }
    }

    /// The byte of the file; `None` for files without a position.
    #[must_use]
    pub const fn bytes(&self) -> Option<u64> {
        self.0
    }

    /// Tells the kernel: whoever shares the open file, such as the next command of a shell, goes on
    /// there. Not for what was written in append mode, which goes to the end wherever that is.
    ///
    /// # Errors
    ///
    /// Those of `lseek(2)`.
    pub fn publish(&self, fd: impl AsFd) -> io::Result<()> {
        let Some(at) = self.0 else { return Ok(()) };
        let moved = kernel::seek(fd.as_fd().as_raw_fd(), Seek::To(at));
        moved.map(drop).map_err(io::Error::from_raw_os_error)
    }
}

fn has_position(fd: impl AsFd) -> io::Result<bool> {
    kernel::has_position(fd.as_fd().as_raw_fd()).map_err(io::Error::from_raw_os_error)
}

impl From<At> for Offset {
    /// Offsets over `i64::MAX` stay too large for the kernel, which answers `EINVAL`; only the one
    /// number that would mean the position is replaced by its neighbour.
    fn from(at: At) -> Self {
        Self(Start::Byte(at.0.min(u64::MAX - 1)))
    }
}

impl From<Current> for Offset {
    fn from(Current: Current) -> Self {
        Self(Start::Current)
    }
}

impl From<&Position> for Offset {
    fn from(position: &Position) -> Self {
        position.0.map_or(Self::kernel_position(), |at| At(at).into())
    }
}
