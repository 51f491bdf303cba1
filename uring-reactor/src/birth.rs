//! Whether this is still the process that a loop was made in.
//!
//! A forked child has no loop threads, and finds locks as they were at the fork, held by threads
//! that it does not have. So whoever is about to touch what threads share looks here first: a page
//! that the kernel wipes at `fork` says which process this is. No process id is compared: those
//! repeat.

use std::{
    io, ptr,
    sync::atomic::{AtomicPtr, AtomicU64, Ordering},
};

/// The page, once somebody has needed it. Not a `OnceLock`: a fork may come while one is filled.
static PAGE: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());

/// How many of this process and its ancestors have written a number into the page.
static PROCESSES: AtomicU64 = AtomicU64::new(0);

/// The process that something was made in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Birth {
    page: &'static AtomicU64,
    process: u64,
}

impl Birth {
    /// This process.
    pub(crate) fn here() -> io::Result<Self> {
        let page = page()?;
        let found = page.load(Ordering::Relaxed);
        if found != 0 {
            return Ok(Self { page, process: found });
        }
        // Relaxed: a number says nothing of other memory. A child counts on from its parent's.
        let next = PROCESSES.fetch_add(1, Ordering::Relaxed) + 1;
        let process = match page.compare_exchange(0, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => next,
            Err(other) => other,
        };
        Ok(Self { page, process })
    }

    /// Whether this is another process: one that was forked from it.
    pub(crate) fn is_elsewhere(self) -> bool {
        self.page.load(Ordering::Relaxed) != self.process
    }
}

/// A page that is zero after a fork.
#[expect(unsafe_code, reason = "the standard library maps no memory")]
fn page() -> io::Result<&'static AtomicU64> {
    const BYTES: usize = 4096;
    let known = PAGE.load(Ordering::Acquire);
    if !known.is_null() {
        // SAFETY: it leads to the start of a mapping that is never taken away, zeroed or written by
        // atomics only, and the acquire pairs with the release below.
        return Ok(unsafe { &*known });
    }
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: no address is asked for, so no mapping is replaced.
    let start = unsafe { libc::mmap(ptr::null_mut(), BYTES, protection, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the range is the mapping made above; the advice changes only what fork does.
    let advised = unsafe { libc::madvise(start, BYTES, libc::MADV_WIPEONFORK) };
    let error = io::Error::last_os_error();
    let start = start.cast::<AtomicU64>();
    // Release: who finds the pointer finds the mapping advised.
    let first = || {
        PAGE.compare_exchange(ptr::null_mut(), start, Ordering::AcqRel, Ordering::Acquire)
            .map_or_else(|other| other, |_| start)
    };
    let chosen = if advised == 0 { first() } else { ptr::null_mut() };
    if chosen != start {
        // SAFETY: the mapping was made above, and nobody else knows it.
        unsafe { libc::munmap(start.cast(), BYTES) };
    }
    if chosen.is_null() {
        return Err(error);
    }
    // SAFETY: as at the top, for this one or for the one that another thread was faster with.
    Ok(unsafe { &*chosen })
}
