//! The completion queue: the kernel writes entries and the tail, we move the head.

use std::{
    ptr::NonNull,
    sync::atomic::{AtomicU32, Ordering},
};

use uring_sys as sys;

use super::cursors::Place;
use crate::{abi::cqe::Cqe, kernel::map::RingMemory};

/// Our side of the completion queue.
#[derive(Debug)]
pub(crate) struct Cq {
    entries: NonNull<sys::io_uring_cqe>,
    mask: u32,
    at: Place,
    /// The head that the kernel knows. Behind ours, it has yet to learn what was read.
    released: u32,
    khead: NonNull<AtomicU32>,
    ktail: NonNull<AtomicU32>,
    koverflow: NonNull<AtomicU32>,
}

impl Cq {
    pub(super) fn new(memory: &RingMemory, params: &sys::io_uring_params, at: Place) -> Self {
        let off = &params.cq_off;
        // SAFETY: `ring` checked that a u32 lies there; the kernel wrote it before `mmap`.
        let mask = unsafe { memory.ring::<u32>(off.ring_mask, 1).read() };
        assert_eq!(mask, params.cq_entries - 1, "the kernel's mask fits its number of entries");
        let mut cq = Self {
            entries: memory.ring(off.cqes, params.cq_entries),
            mask,
            at,
            released: 0,
            khead: memory.ring(off.head, 1),
            ktail: memory.ring(off.tail, 1),
            koverflow: memory.ring(off.overflow, 1),
        };
        cq.released = cq.khead().load(Ordering::Relaxed);
        cq.at.cq_head.set(cq.released);
        cq
    }

    #[inline]
    fn khead(&self) -> &AtomicU32 {
        // SAFETY: `as_ref` asks for an aligned, initialised value that outlives the borrow, and for
        // no mutable alias: `ring` checked place and alignment, the mapping is held by the ring
        // that holds `self`, and the kernel accesses the word atomically, as we do. Callers have
        // checked that this is no forked child, which has no mapping.
        unsafe { self.khead.as_ref() }
    }

    #[inline]
    fn ktail(&self) -> &AtomicU32 {
        // SAFETY: as for `khead`.
        unsafe { self.ktail.as_ref() }
    }

    /// How many completions the kernel could not keep at all, since the ring was made.
    pub(super) fn lost(&self) -> u32 {
        if self.at.is_forked() {
            return 0;
        }
        // SAFETY: as for `khead`.
        unsafe { self.koverflow.as_ref() }.load(Ordering::Relaxed)
    }

    /// How many completions can be read: 0 in a forked child.
    #[inline]
    pub(super) fn ready(&self) -> u32 {
        if self.at.is_forked() {
            return 0;
        }
        // Acquire pairs with the kernel's release of the tail: the entries are written by then.
        self.ktail().load(Ordering::Acquire).wrapping_sub(self.at.cq_head.get())
    }

    /// Finds the next completions to read, when all that were known have been. Tells the kernel
    /// what was read so far: once for all of them.
    ///
    /// No more than half of the queue are found at once, so that the kernel has room for new ones
    /// while the old ones are dealt with.
    #[inline(never)]
    fn find_more(&mut self) -> u32 {
        self.release();
        let more = self.ready().min(self.mask / 2 + 1);
        self.at.cq_left.set(more);
        more
    }

    /// Reads the next completion. The kernel learns of it with others, by
    /// [`release`](Self::release).
    #[inline]
    pub(super) fn take(&mut self) -> Option<Cqe> {
        let mut left = self.at.cq_left.get();
        if left == 0 {
            left = self.find_more();
            if left == 0 {
                return None;
            }
        }
        let head = self.at.cq_head.get();
        // SAFETY: `add` stays inside the array: the index is masked, and the array has mask + 1.
        let entry = unsafe { self.entries.add((head & self.mask) as usize) };
        self.at.cq_left.set(left - 1);
        self.at.cq_head.set(head.wrapping_add(1));
        // SAFETY: what was counted as left was written before the tail that we acquired, and stays
        // unchanged until the head is stored.
        Some(Cqe::new(unsafe { entry.read() }))
    }

    /// Lets the kernel reuse what was taken, if it does not know yet.
    #[inline]
    pub(super) fn release(&mut self) {
        let head = self.at.cq_head.get();
        if head != self.released && !self.at.is_forked() {
            self.released = head;
            // Release pairs with the kernel's acquire of the head: our reads come first.
            self.khead().store(head, Ordering::Release);
        }
    }
}

/// The completions that can be read now, in order; made by [`RawRing::completions`].
///
/// The kernel learns what was read when this is dropped: one store for the whole batch; if it is
/// forgotten, with the next batch or the next enter of the ring. Completions that were not read
/// stay in the queue.
///
/// [`RawRing::completions`]: crate::RawRing::completions
#[derive(Debug)]
pub struct Completions<'r> {
    cq: &'r mut Cq,
    /// Where the next one is: the cursor's value, kept here so that a loop keeps it in a register.
    head: u32,
}

impl<'r> Completions<'r> {
    #[inline]
    pub(super) fn new(cq: &'r mut Cq) -> Self {
        cq.at.cq_left.set(cq.ready());
        let head = cq.at.cq_head.get();
        Self { cq, head }
    }
}

impl Iterator for Completions<'_> {
    type Item = Cqe;

    #[inline]
    fn next(&mut self) -> Option<Cqe> {
        let at = &self.cq.at;
        let left = at.cq_left.get();
        if left == 0 {
            return None;
        }
        at.cq_left.set(left - 1);
        // SAFETY: `add` stays inside the array: the index is masked, and the array has mask + 1.
        let entry = unsafe { self.cq.entries.add((self.head & self.cq.mask) as usize) };
        self.head = self.head.wrapping_add(1);
        // At once, not in the drop: who forgets this must not get the same completions again.
        at.cq_head.set(self.head);
        // SAFETY: what was counted as left was written before the tail that we acquired, and stays
        // unchanged until the head is stored.
        Some(Cqe::new(unsafe { entry.read() }))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.cq.at.cq_left.get() as usize;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Completions<'_> {}

impl Drop for Completions<'_> {
    #[inline]
    fn drop(&mut self) {
        self.cq.release();
    }
}
