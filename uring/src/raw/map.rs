//! Memory shared with the kernel: mapped, kept out of forked children, unmapped.

use std::{io, os::fd::RawFd, process, ptr::NonNull};

/// A mapping that the kernel writes into.
#[derive(Debug)]
pub(crate) struct Map {
    start: NonNull<u8>,
    bytes: usize,
    /// The process that made it: a forked child has a hole, or something else, at this address.
    owner: u32,
}

impl Map {
    /// Maps `bytes` of a ring at `offset` (one of `IORING_OFF_*`).
    pub(crate) fn of_ring(fd: RawFd, offset: u64, bytes: usize) -> io::Result<Self> {
        Self::new(fd, offset, bytes, libc::MAP_SHARED | libc::MAP_POPULATE)
    }

    /// Maps `bytes` of zeroed memory, starting on a page.
    pub(crate) fn anonymous(bytes: usize) -> io::Result<Self> {
        Self::new(-1, 0, bytes, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS)
    }

    fn new(fd: RawFd, offset: u64, bytes: usize, flags: i32) -> io::Result<Self> {
        let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: no address is asked for, so no existing mapping can be replaced.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, fd, offset) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast::<u8>())
            .ok_or_else(|| io::Error::other("mmap returned the null page"))?;
        let map = Self { start, bytes, owner: process::id() };
        // A child that inherits the rings could submit into its parent's, or read its completions.
        // SAFETY: the range is the mapping made above; the advice changes only what fork does.
        if unsafe { libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_DONTFORK) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(map)
    }

    pub(crate) const fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// The place of a `T`, `offset` bytes from the start.
    ///
    /// # Panics
    ///
    /// If a `T` there would not be aligned or would not be inside: the kernel's offsets are wrong.
    pub(crate) fn at<T>(&self, offset: u32, count: u32) -> NonNull<T> {
        let offset = offset as usize;
        let wanted = size_of::<T>().checked_mul(count as usize).and_then(|n| n.checked_add(offset));
        assert!(wanted.is_some_and(|end| end <= self.bytes), "the kernel's offset is outside");
        // SAFETY: `add` asks that the offset stays inside the allocation: asserted above.
        let place = unsafe { self.start.add(offset) }.cast::<T>();
        assert!(place.is_aligned(), "the kernel's offset is not aligned");
        place
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        if process::id() != self.owner {
            return;
        }
        // SAFETY: the range was mapped by `new` and is unmapped only here. Whoever points into it
        // (the queues, the pool) holds this value and goes with it.
        let answer = unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
        debug_assert_eq!(answer, 0, "munmap: {}", io::Error::last_os_error());
    }
}
