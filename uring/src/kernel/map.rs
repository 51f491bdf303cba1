//! Memory that is shared with the kernel, and what a forked child finds in its place.
//!
//! One mechanism tells a child that it is one: a page that the kernel wipes at `fork` carries a
//! mark, and where the mark is gone, nothing of the parent's is touched. No process id is
//! compared: those repeat, across namespaces even between a parent and its child.

use std::{
    io,
    os::fd::RawFd,
    ptr::NonNull,
    rc::Rc,
    sync::atomic::{AtomicU64, Ordering},
};

/// What the mark says in the process that made the memory.
const MADE_HERE: u64 = 1;

/// The errno of every call on a ring in a process that was forked from the one that made it: what
/// the kernel, too, answers to whoever is not the ring's issuer.
pub(crate) const FORKED: i32 = libc::EEXIST;

/// A mapping: a place and a size.
#[derive(Debug)]
struct Span {
    start: NonNull<u8>,
    bytes: usize,
}

impl Span {
    fn map(fd: RawFd, offset: u64, bytes: usize, flags: i32, advice: i32) -> io::Result<Self> {
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
        let span = Self { start, bytes };
        // SAFETY: the range is the mapping made above; the advice changes only what fork does.
        if unsafe { libc::madvise(start.as_ptr().cast(), bytes, advice) } != 0 {
            let error = io::Error::last_os_error();
            span.unmap();
            return Err(error);
        }
        Ok(span)
    }

    /// The place of `count` values of `T`, `offset` bytes from the start.
    ///
    /// # Panics
    ///
    /// If they would not be aligned or not be inside: the kernel's offsets are wrong.
    fn at<T>(&self, offset: u32, count: u32) -> NonNull<T> {
        let offset = offset as usize;
        let wanted = size_of::<T>().checked_mul(count as usize).and_then(|n| n.checked_add(offset));
        assert!(wanted.is_some_and(|end| end <= self.bytes), "the kernel's offset is outside");
        // SAFETY: `add` asks that the offset stays inside the allocation: asserted above.
        let place = unsafe { self.start.add(offset) }.cast::<T>();
        assert!(place.is_aligned(), "the kernel's offset is not aligned");
        place
    }

    fn unmap(&self) {
        // SAFETY: the range was mapped by `map`, and its owner unmaps it once, in its drop. Whoever
        // points into it (the queues, the pool) holds the owner and goes with it.
        let answer = unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
        debug_assert_eq!(answer, 0, "munmap: {}", io::Error::last_os_error());
    }
}

/// Zeroed memory of this process's own, starting on a page. A forked child finds zeroes again.
#[derive(Debug)]
pub(crate) struct Private {
    span: Span,
    /// Behind what was asked for, in the same mapping.
    mark: NonNull<AtomicU64>,
}

impl Private {
    pub(crate) fn new(bytes: usize) -> io::Result<Self> {
        let too_large = || io::Error::from_raw_os_error(libc::ENOMEM);
        let before = bytes.checked_next_multiple_of(size_of::<u64>()).ok_or_else(too_large)?;
        let all = before.checked_add(size_of::<u64>()).ok_or_else(too_large)?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let span = Span::map(-1, 0, all, flags, libc::MADV_WIPEONFORK)?;
        // SAFETY: `add` stays inside: the mapping has eight bytes behind `before`.
        let mark = unsafe { span.start.add(before) }.cast::<AtomicU64>();
        let private = Self { span, mark };
        private.mark().store(MADE_HERE, Ordering::Relaxed);
        Ok(private)
    }

    fn mark(&self) -> &AtomicU64 {
        // SAFETY: `as_ref` asks for an aligned, initialised value that outlives the borrow and is
        // not changed but atomically: the mapping starts on a page and the mark on a multiple of
        // eight; zeroes are a valid number; `self` owns the mapping, and nobody else has the place.
        unsafe { self.mark.as_ref() }
    }

    /// Whether this process was forked from the one that made the memory, which was wiped then.
    #[inline]
    pub(crate) fn is_wiped(&self) -> bool {
        // Relaxed: what the kernel wipes at fork, the child sees from its first instruction on.
        self.mark().load(Ordering::Relaxed) != MADE_HERE
    }

    pub(crate) const fn start(&self) -> NonNull<u8> {
        self.span.start
    }

    /// The place of `count` values of `T`, `offset` bytes from the start.
    pub(crate) fn at<T>(&self, offset: u32, count: u32) -> NonNull<T> {
        self.span.at(offset, count)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        self.span.unmap(); // in a forked child too: there it is the child's own
    }
}

/// The queues of a ring. A forked child has holes in their place, so that it can neither submit
/// into its parent's ring nor read its completions.
#[derive(Debug)]
pub(crate) struct RingMemory {
    rings: Span,
    entries: Span,
    birth: Rc<Private>,
}

impl RingMemory {
    /// Maps the memory of ring `fd`: `ring_bytes` for the queues' words and the completions,
    /// `entry_bytes` for the entries. `birth` is what a child finds wiped.
    pub(crate) fn map(
        fd: RawFd,
        ring_bytes: usize,
        entry_bytes: usize,
        birth: Rc<Private>,
    ) -> io::Result<Self> {
        let map = |offset, bytes| {
            let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
            Span::map(fd, offset, bytes, flags, libc::MADV_DONTFORK)
        };
        let rings = map(uring_sys::IORING_OFF_SQ_RING, ring_bytes)?;
        match map(uring_sys::IORING_OFF_SQES, entry_bytes) {
            Ok(entries) => Ok(Self { rings, entries, birth }),
            Err(error) => {
                rings.unmap();
                Err(error)
            }
        }
    }

    /// The place of `count` values of `T` among the queues' words and the completions.
    pub(crate) fn ring<T>(&self, offset: u32, count: u32) -> NonNull<T> {
        self.rings.at(offset, count)
    }

    /// The place of `count` values of `T` among the entries.
    pub(crate) fn entries<T>(&self, count: u32) -> NonNull<T> {
        self.entries.at(0, count)
    }
}

impl Drop for RingMemory {
    fn drop(&mut self) {
        // a forked child has nothing there, or something of its own
        if !self.birth.is_wiped() {
            self.rings.unmap();
            self.entries.unmap();
        }
    }
}
