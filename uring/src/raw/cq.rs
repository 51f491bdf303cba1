//! The completion queue: the kernel writes entries and the tail, we move the head.

use std::{
    ptr::NonNull,
    sync::atomic::{AtomicU32, Ordering},
};

use uring_sys as sys;

use super::Map;
use crate::Cqe;

/// Our side of the completion queue. `head` and `tail` run free and wrap.
#[derive(Debug)]
pub(crate) struct Cq {
    entries: NonNull<sys::io_uring_cqe>,
    mask: u32,
    head: u32,
    /// The kernel's tail as last read; only ever behind.
    tail: u32,
    khead: NonNull<AtomicU32>,
    ktail: NonNull<AtomicU32>,
    koverflow: NonNull<AtomicU32>,
}

impl Cq {
    pub(crate) fn new(rings: &Map, params: &sys::io_uring_params) -> Self {
        let off = &params.cq_off;
        // SAFETY: `Map::at` checked that a u32 lies there; the kernel wrote it before `mmap`.
        let mask = unsafe { rings.at::<u32>(off.ring_mask, 1).read() };
        assert_eq!(mask, params.cq_entries - 1, "the kernel's mask fits its number of entries");
        let mut cq = Self {
            entries: rings.at(off.cqes, params.cq_entries),
            mask,
            head: 0,
            tail: 0,
            khead: rings.at(off.head, 1),
            ktail: rings.at(off.tail, 1),
            koverflow: rings.at(off.overflow, 1),
        };
        cq.head = cq.khead().load(Ordering::Relaxed);
        cq.tail = cq.head;
        cq
    }

    #[inline]
    fn khead(&self) -> &AtomicU32 {
        // SAFETY: `as_ref` asks for an aligned, initialised value that outlives the borrow, and for
        // no mutable alias: `Map::at` checked place and alignment, the mapping is held by the ring
        // that holds `self`, and the kernel accesses the word atomically, as we do.
        unsafe { self.khead.as_ref() }
    }

    #[inline]
    fn ktail(&self) -> &AtomicU32 {
        // SAFETY: as for `khead`.
        unsafe { self.ktail.as_ref() }
    }

    /// How many completions the kernel could not keep at all, since the ring was made.
    pub(crate) fn lost(&self) -> u32 {
        // SAFETY: as for `khead`.
        unsafe { self.koverflow.as_ref() }.load(Ordering::Relaxed)
    }

    /// How many completions can be read.
    #[inline]
    pub(crate) fn ready(&mut self) -> u32 {
        // Acquire pairs with the kernel's release of the tail: the entries are written by then.
        self.tail = self.ktail().load(Ordering::Acquire);
        self.tail.wrapping_sub(self.head)
    }

    /// Reads the next completion, and leaves it to [`release`](Self::release) to tell the kernel.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<Cqe> {
        if self.head == self.tail && self.ready() == 0 {
            return None;
        }
        // SAFETY: `add` stays inside the array: the index is masked, and the array has mask + 1.
        let entry = unsafe { self.entries.add((self.head & self.mask) as usize) };
        self.head = self.head.wrapping_add(1);
        // SAFETY: entries between head and tail were written before the tail that we acquired, and
        // stay unchanged until the head is stored.
        Some(Cqe::new(unsafe { entry.read() }))
    }

    /// Lets the kernel reuse what was taken.
    #[inline]
    pub(crate) fn release(&mut self) {
        // Release pairs with the kernel's acquire of the head: our reads come first.
        self.khead().store(self.head, Ordering::Release);
    }
}

/// The completions that can be read now, in order; made by [`RawRing::completions`].
///
/// The kernel learns what was read when this is dropped: one store for the whole batch. Completions
/// that were not read stay in the queue.
///
/// [`RawRing::completions`]: crate::RawRing::completions
#[doc(alias = "io_uring_for_each_cqe")]
#[doc(alias = "io_uring_cq_advance")]
#[doc(alias = "io_uring_peek_batch_cqe")]
#[derive(Debug)]
pub struct Completions<'r> {
    cq: &'r mut Cq,
    /// Where the next one is: `cq.head`, kept here so that a loop keeps it in a register.
    head: u32,
    /// The tail when the batch was begun.
    end: u32,
}

impl<'r> Completions<'r> {
    #[inline]
    pub(crate) fn new(cq: &'r mut Cq) -> Self {
        cq.ready();
        let (head, end) = (cq.head, cq.tail);
        Self { cq, head, end }
    }
}

impl Iterator for Completions<'_> {
    type Item = Cqe;

    #[inline]
    fn next(&mut self) -> Option<Cqe> {
        if self.head == self.end {
            return None;
        }
        // SAFETY: `add` stays inside the array: the index is masked, and the array has mask + 1.
        let entry = unsafe { self.cq.entries.add((self.head & self.cq.mask) as usize) };
        self.head = self.head.wrapping_add(1);
        // At once, not in the drop: who forgets this must not get the same completions again.
        self.cq.head = self.head;
        // SAFETY: entries between head and tail were written before the tail that we acquired, and
        // stay unchanged until the head is stored.
        Some(Cqe::new(unsafe { entry.read() }))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end.wrapping_sub(self.head) as usize;
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
