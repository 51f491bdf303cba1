//! The completion queue: the kernel writes entries and the tail, we move the head.

use std::{
    marker::PhantomData,
    ptr::NonNull,
    sync::atomic::{AtomicU32, Ordering},
};

use uring_sys as sys;

use super::cursors::{Cursors, Place};
use crate::{abi::cqe::Cqe, kernel::map::RingMemory};

/// Our side of the completion queue.
#[derive(Debug)]
pub(crate) struct Cq {
    entries: NonNull<sys::io_uring_cqe>,
    mask: u32,
    at: Place,
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
        let cq = Self {
            entries: memory.ring(off.cqes, params.cq_entries),
            mask,
            at,
            khead: memory.ring(off.head, 1),
            ktail: memory.ring(off.tail, 1),
            koverflow: memory.ring(off.overflow, 1),
        };
        let head = cq.khead().load(Ordering::Relaxed);
        cq.at.cq_head.set(head);
        cq.at.cq_end.set(head);
        cq.at.cq_released.set(head);
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
    fn find_more(&self) -> bool {
        self.release();
        let more = self.ready().min(self.mask / 2 + 1);
        self.at.cq_end.set(self.at.cq_head.get().wrapping_add(more));
        more > 0
    }

    /// The completion that is next; there has to be one.
    #[inline]
    fn read(&self) -> Cqe {
        let head = self.at.cq_head.get();
        // SAFETY: `add` stays inside the array: the index is masked, and the array has mask + 1.
        let entry = unsafe { self.entries.add((head & self.mask) as usize) };
        self.at.cq_head.set(head.wrapping_add(1));
        // SAFETY: what lies before the end was written before the tail that we acquired, and stays
        // unchanged until the head is stored. In a forked child nothing does: it
        // finds head and end equal.
        Cqe::new(unsafe { entry.read() })
    }

    /// Reads the next completion. The kernel learns of it with others, when
    /// [`release`](Self::release) is called: before a wait, at the latest.
    #[inline]
    pub(super) fn take(&self) -> Option<Cqe> {
        if self.at.cq_head.get() == self.at.cq_end.get() && !self.find_more() {
            return None;
        }
        Some(self.read())
    }

    /// Lets the kernel reuse what was taken, if it does not know yet.
    #[inline]
    pub(super) fn release(&self) {
        release(&self.at, self.khead);
    }

    /// What can release completions from elsewhere.
    pub(super) fn releaser(&self) -> Releaser {
        Releaser { khead: self.khead, at: self.at.clone() }
    }
}

/// Releases completions for who enters the kernel apart from the queue.
#[derive(Debug)]
pub(super) struct Releaser {
    khead: NonNull<AtomicU32>,
    at: Place,
}

impl Releaser {
    /// Lets the kernel reuse what was taken, if it does not know yet: whoever waits must not be
    /// told of completions that were read.
    #[inline]
    pub(super) fn release(&self) {
        release(&self.at, self.khead);
    }
}

/// Tells the kernel what was read, if it does not know yet. In a forked child there is nothing that
/// it does not know.
#[inline]
fn release(at: &Cursors, khead: NonNull<AtomicU32>) {
    let head = at.cq_head.get();
    if head != at.cq_released.get() {
        at.cq_released.set(head);
        // SAFETY: as in `Cq::khead`: whoever has the pointer holds or borrows the ring.
        let khead = unsafe { khead.as_ref() };
        // Release pairs with the kernel's acquire of the head: our reads come first.
        khead.store(head, Ordering::Release);
    }
}

/// The completions that can be read now, in order; made by [`RawRing::completions`].
///
/// The kernel learns what was read when this is dropped: one store for the whole batch; if it is
/// forgotten, with the next batch or the next enter of the ring. Completions that were not read
/// stay in the queue.
///
/// ```
/// use uring::{RawRing, Sqe};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring = RawRing::builder().entries(8).build()?;
/// for number in 0..3 {
///     ring.push(Sqe::nop().with_user_data(number))?;
/// }
/// ring.submit_and_wait(3)?;
/// let mut sum = 0;
/// for cqe in ring.completions() {
///     sum += cqe.user_data();
/// }
/// assert_eq!(sum, 3);
/// # Ok(()) }
/// ```
/// [`RawRing::completions`]: crate::RawRing::completions
#[derive(Debug)]
pub struct Completions<'r> {
    cq: &'r Cq,
    // Copies of what the queue has, so that a loop keeps them in registers.
    at: &'r Cursors,
    entries: NonNull<sys::io_uring_cqe>,
    mask: u32,
    /// Nobody else reads completions meanwhile.
    _queue: PhantomData<&'r mut Cq>,
}

impl<'r> Completions<'r> {
    #[inline]
    pub(super) fn new(cq: &'r mut Cq) -> Self {
        let cq = &*cq;
        let at: &Cursors = &cq.at;
        let end = if cq.at.is_forked() {
            at.cq_head.get()
        } else {
            // Acquire pairs with the kernel's release of the tail: the entries are written by then.
            cq.ktail().load(Ordering::Acquire)
        };
        at.cq_end.set(end);
        Self { cq, at, entries: cq.entries, mask: cq.mask, _queue: PhantomData }
    }
}

impl Iterator for Completions<'_> {
    type Item = Cqe;

    #[inline]
    fn next(&mut self) -> Option<Cqe> {
        let head = self.at.cq_head.get();
        if head == self.at.cq_end.get() {
            return None;
        }
        // SAFETY: `add` stays inside the array: the index is masked, and the array has mask + 1.
        let entry = unsafe { self.entries.add((head & self.mask) as usize) };
        // At once, not in the drop: who forgets this must not get the same completions again.
        self.at.cq_head.set(head.wrapping_add(1));
        // SAFETY: as in `Cq::read`.
        Some(Cqe::new(unsafe { entry.read() }))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.at.cq_end.get().wrapping_sub(self.at.cq_head.get()) as usize;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Completions<'_> {}

impl Drop for Completions<'_> {
    #[inline]
    fn drop(&mut self) {
        release(self.at, self.cq.khead);
    }
}
