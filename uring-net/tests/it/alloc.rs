//! An allocator that counts.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

static COUNT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Whether the allocations of this thread count: those of the test harness do not.
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    // no destructor, so it is there until the thread is gone
    if COUNTED.with(Cell::get) {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts the allocations of this thread from now on.
pub(crate) fn count_this_thread() {
    COUNTED.set(true);
}

static LIVE: AtomicUsize = AtomicUsize::new(0);

pub(crate) struct Allocator;

// SAFETY: memory comes from `System` and goes back to it with the same layout.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's contract is this call's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's contract is this call's.
        unsafe { System.dealloc(start, layout) };
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        LIVE.fetch_add(size, Ordering::Relaxed);
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's contract is this call's.
        unsafe { System.realloc(start, layout, size) }
    }
}

/// How many allocations the threads that count have made.
pub(crate) fn allocations() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

/// How many bytes this process holds.
pub(crate) fn live_bytes() -> usize {
    LIVE.load(Ordering::Relaxed)
}
