//! An allocator that counts, and that can keep freed memory to see who still writes into it.
//!
//! A test binary makes it its own: `#[global_allocator] static ALLOCATOR: Allocator = Allocator;`.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    fmt, ptr, slice,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering},
};

/// What freed memory is filled with.
pub const FREED: u8 = 0xdb;

/// How many freed blocks can be kept; what is freed beyond is freed for good.
const KEPT_MAX: usize = 1 << 15;

thread_local! {
    // without destructors, so they are there until the thread is gone
    /// Of this thread alone: the test harness has one of its own.
    static COUNT: Cell<u64> = const { Cell::new(0) };
    /// Whether the allocations of this thread count for all that were told to.
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

/// Relaxed: numbers, which order nothing.
static ALL_COUNTED: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicUsize = AtomicUsize::new(0);

static KEEPING: AtomicBool = AtomicBool::new(false);
static NEXT: AtomicUsize = AtomicUsize::new(0);
static KEPT: [Kept; KEPT_MAX] = [const { Kept::empty() }; KEPT_MAX];

/// A freed block. The address stays a pointer, so that a leak checker finds it.
struct Kept {
    start: AtomicPtr<u8>,
    size: AtomicUsize,
    align: AtomicUsize,
}

impl Kept {
    const fn empty() -> Self {
        let start = AtomicPtr::new(ptr::null_mut());
        Self { start, size: AtomicUsize::new(0), align: AtomicUsize::new(0) }
    }
}

/// The system's allocator, watched.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allocator;

fn count(bytes: usize) {
    COUNT.set(COUNT.get() + 1);
    if COUNTED.get() {
        ALL_COUNTED.fetch_add(1, Ordering::Relaxed);
    }
    LIVE.fetch_add(bytes, Ordering::Relaxed);
}

// SAFETY: memory comes from `System` and goes back to it with the same layout, at once or later;
// counting allocates nothing and does not unwind.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's contract is this call's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's contract is this call's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        if KEEPING.load(Ordering::Relaxed) {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            if let Some(kept) = KEPT.get(number) {
                // SAFETY: the block is ours, and its owner has given it up.
                unsafe { start.write_bytes(FREED, layout.size()) };
                kept.size.store(layout.size(), Ordering::Relaxed);
                kept.align.store(layout.align(), Ordering::Relaxed);
                kept.start.store(start, Ordering::Release);
                return;
            }
        }
        // SAFETY: the caller's contract is this call's.
        unsafe { System.dealloc(start, layout) };
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        if !KEEPING.load(Ordering::Relaxed) {
            LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
            // SAFETY: the caller's contract is this call's.
            return unsafe { System.realloc(start, layout, size) };
        }
        // SAFETY: the caller vouches for the size, and the alignment is that of a valid layout.
        let larger = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the caller vouches that the size is not 0.
        let place = unsafe { System.alloc(larger) };
        if !place.is_null() {
            // SAFETY: both blocks have that many bytes and are different blocks.
            unsafe { place.copy_from_nonoverlapping(start, layout.size().min(size)) };
            // SAFETY: the caller gives the old block up.
            unsafe { self.dealloc(start, layout) };
        }
        place
    }
}

/// How many allocations this thread has made, growing included.
#[must_use]
pub fn allocations() -> u64 {
    COUNT.get()
}

/// Counts the allocations of this thread for [`counted_allocations`] from now on.
pub fn count_this_thread() {
    COUNTED.set(true);
}

/// How many allocations the threads have made that called [`count_this_thread`].
#[must_use]
pub fn counted_allocations() -> u64 {
    ALL_COUNTED.load(Ordering::Relaxed)
}

/// How many bytes this process holds.
#[must_use]
pub fn live_bytes() -> usize {
    LIVE.load(Ordering::Relaxed)
}

/// Keeps what is freed from now on, filled with [`FREED`], until this is dropped.
#[derive(Debug)]
pub struct Quarantine(());

/// A byte of freed memory that somebody has changed.
#[derive(Debug)]
pub struct LateWrite {
    size: usize,
    offset: usize,
    byte: u8,
}

impl fmt::Display for LateWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, offset, byte } = self;
        write!(f, "byte {offset} of a freed block of {size} has become {byte:#x}")
    }
}

impl Quarantine {
    /// One at a time: only in an isolated test.
    ///
    /// # Panics
    ///
    /// If there is one.
    #[must_use = "it ends when it is dropped"]
    pub fn start() -> Self {
        assert!(!KEEPING.swap(true, Ordering::Relaxed), "one quarantine at a time");
        Self(())
    }

    /// The first byte of freed memory that has changed.
    #[must_use]
    pub fn late_write(&self) -> Option<LateWrite> {
        let count = NEXT.load(Ordering::Relaxed).min(KEPT_MAX);
        KEPT[..count].iter().find_map(|kept| {
            let start = kept.start.load(Ordering::Acquire);
            let size = kept.size.load(Ordering::Relaxed);
            // SAFETY: the block is kept, and was filled.
            let bytes = unsafe { slice::from_raw_parts(start, size) };
            let offset = bytes.iter().position(|byte| *byte != FREED)?;
            Some(LateWrite { size, offset, byte: bytes[offset] })
        })
    }

    /// How many bytes are kept.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let count = NEXT.load(Ordering::Relaxed).min(KEPT_MAX);
        KEPT[..count].iter().map(|kept| kept.size.load(Ordering::Relaxed)).sum()
    }

    /// Checks that nobody has written into freed memory.
    ///
    /// # Panics
    ///
    /// If somebody has, with `what` was going on; and if more was freed than can be kept.
    #[track_caller]
    pub fn assert_untouched(&self, what: &dyn fmt::Display) {
        assert!(NEXT.load(Ordering::Relaxed) < KEPT_MAX, "{what}: too much was freed to keep it");
        if let Some(late) = self.late_write() {
            panic!("{what}: {late}");
        }
    }
}

impl Drop for Quarantine {
    fn drop(&mut self) {
        KEEPING.store(false, Ordering::Relaxed);
        let count = NEXT.swap(0, Ordering::Relaxed).min(KEPT_MAX);
        for kept in &KEPT[..count] {
            let start = kept.start.swap(ptr::null_mut(), Ordering::Relaxed);
            let size = kept.size.load(Ordering::Relaxed);
            let align = kept.align.load(Ordering::Relaxed);
            let layout = Layout::from_size_align(size, align).expect("it was one");
            // SAFETY: the block was allocated with this layout, and its owner gave it up.
            unsafe { System.dealloc(start, layout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{hint::black_box, thread};

    use super::*;
    use crate::isolated;

    #[global_allocator]
    static ALLOCATOR: Allocator = Allocator;

    #[test]
    fn each_allocation_and_each_growth_counts_for_its_thread() {
        let before = allocations();
        let mut bytes = black_box(Vec::<u8>::with_capacity(8));
        assert_eq!(allocations(), before + 1);
        bytes.reserve_exact(64);
        assert_eq!(allocations(), before + 2);
        black_box(vec![0_u8; 4096]);
        assert_eq!(allocations(), before + 3);
        thread::spawn(|| black_box(vec![1_u8])).join().expect("no panic");
        let before = allocations();
        drop(bytes);
        assert_eq!(allocations(), before, "a free is no allocation");
    }

    #[test]
    fn only_threads_that_were_told_to_count_are_added_up() {
        isolated!();
        assert_eq!(counted_allocations(), 0);
        black_box(Box::new(1_u64));
        assert_eq!(counted_allocations(), 0);
        let counted = || {
            count_this_thread();
            black_box(Box::new(1_u64));
        };
        thread::spawn(counted).join().expect("no panic");
        let others = counted_allocations();
        assert!(others >= 1);
        count_this_thread();
        black_box(Box::new(1_u64));
        assert_eq!(counted_allocations(), others + 1);
    }

    #[test]
    fn the_bytes_that_are_held_are_those_of_the_blocks() {
        isolated!();
        let before = live_bytes();
        let mut bytes = Vec::<u8>::with_capacity(1000);
        assert_eq!(live_bytes(), before + 1000);
        bytes.reserve_exact(3000);
        assert_eq!(live_bytes(), before + 3000);
        let zeroed = black_box(vec![0_u8; 500]);
        assert_eq!(live_bytes(), before + 3500);
        drop((bytes, zeroed));
        assert_eq!(live_bytes(), before);
        let quarantine = Quarantine::start();
        let mut kept = Vec::<u8>::with_capacity(100);
        kept.reserve_exact(200);
        drop(kept);
        assert_eq!(live_bytes(), before, "what is kept was given back");
        drop(quarantine);
        assert_eq!(live_bytes(), before);
    }

    #[test]
    fn a_late_write_is_found_and_told() {
        isolated!();
        let quarantine = Quarantine::start();
        let mut bytes = black_box(vec![1_u8; 100]);
        // SAFETY: the place is within the block.
        let place = unsafe { bytes.as_mut_ptr().add(7) };
        let kept = quarantine.bytes();
        drop(bytes);
        assert_eq!(quarantine.bytes(), kept + 100);
        quarantine.assert_untouched(&"before");
        // SAFETY: the quarantine keeps the block, and nobody else looks at it.
        unsafe { place.write_volatile(0x22) };
        let late = quarantine.late_write().expect("it has changed").to_string();
        assert_eq!(late, "byte 7 of a freed block of 100 has become 0x22");
        // SAFETY: as above.
        unsafe { place.write_volatile(FREED) };
        quarantine.assert_untouched(&"after");
    }

    #[test]
    fn a_block_that_grows_leaves_its_old_place_in_quarantine() {
        isolated!();
        let mut bytes = black_box(vec![5_u8; 100]);
        let quarantine = Quarantine::start();
        let old = bytes.as_ptr();
        bytes.reserve_exact(4000);
        assert_ne!(bytes.as_ptr(), old);
        assert!(bytes.iter().all(|byte| *byte == 5), "its bytes have come along");
        assert_eq!(quarantine.bytes(), 100);
    }
}
