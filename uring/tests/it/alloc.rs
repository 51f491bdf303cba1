//! An allocator that counts, and that can keep freed memory to see who still writes into it.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    fmt, ptr, slice,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering},
};

/// What freed memory is filled with.
pub(crate) const FREED: u8 = 0xdb;

/// How many freed blocks can be kept; what is freed beyond is freed for good.
const KEPT_MAX: usize = 1 << 15;

thread_local! {
    /// Of this thread alone: the test harness has one of its own.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

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

pub(crate) struct Allocator;

// SAFETY: memory comes from `System` and goes back to it with the same layout, at once or later.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller's contract is this call's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
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
        COUNT.set(COUNT.get() + 1);
        if !KEEPING.load(Ordering::Relaxed) {
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

/// How many allocations this thread has made.
pub(crate) fn allocations() -> u64 {
    COUNT.get()
}

/// Keeps what is freed from now on, filled with [`FREED`], until this is dropped.
pub(crate) struct Quarantine(());

/// A byte of freed memory that somebody has changed.
#[derive(Debug)]
pub(crate) struct LateWrite {
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
    pub(crate) fn start() -> Self {
        assert!(!KEEPING.swap(true, Ordering::Relaxed), "one quarantine at a time");
        Self(())
    }

    /// The first byte of freed memory that has changed.
    pub(crate) fn late_write(&self) -> Option<LateWrite> {
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
    pub(crate) fn bytes(&self) -> usize {
        let count = NEXT.load(Ordering::Relaxed).min(KEPT_MAX);
        KEPT[..count].iter().map(|kept| kept.size.load(Ordering::Relaxed)).sum()
    }

    #[track_caller]
    pub(crate) fn assert_untouched(&self, what: &dyn fmt::Display) {
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

/// What `LeakSanitizer` leaves out: the tests of what a ring does with operations that the kernel
/// kept, or that it cannot ask for. It leaks them.
// SAFETY: the name is reserved for this purpose, and nobody else in this binary has it.
#[unsafe(no_mangle)]
extern "C" fn __lsan_default_suppressions() -> *const std::ffi::c_char {
    c"leak:a_context_that_panics_in_its_drop_frees_nothing_that_is_in_flight
leak:a_filter_that_comes_after_the_ring_is_an_error_and_neither_a_hang_nor_an_abort
leak:closing_a_ring_at_once_says_what_is_still_out"
        .as_ptr()
}
