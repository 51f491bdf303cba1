//! The submission queue: we write entries and the tail, the kernel moves the head.

use std::{
    fmt,
    ptr::NonNull,
    sync::atomic::{AtomicU32, Ordering},
};

use uring_sys as sys;

use super::Map;
use crate::{SetupFlags, SqFlags, Sqe};

/// The submission queue is full; the entry comes back.
#[derive(Debug)]
pub struct PushError(pub Sqe);

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the submission queue is full; submit, then push {:?} again", self.0.opcode())
    }
}

impl std::error::Error for PushError {}

/// Our side of the submission queue. `head` and `tail` run free and wrap.
#[derive(Debug)]
pub(crate) struct Sq {
    entries: NonNull<sys::io_uring_sqe>,
    mask: u32,
    capacity: u32,
    /// Where the next entry goes; the kernel knows it after `publish`.
    tail: u32,
    /// The kernel's head as last read; only ever behind.
    head: u32,
    view: View,
}

/// The words of the queue that we share with the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    khead: NonNull<AtomicU32>,
    ktail: NonNull<AtomicU32>,
    kflags: NonNull<AtomicU32>,
}

impl View {
    #[inline]
    fn khead(&self) -> &AtomicU32 {
        // SAFETY: `as_ref` asks for an aligned, initialised value that outlives the borrow, and for
        // no mutable alias: `Map::at` checked place and alignment, the mapping is held by the ring,
        // which whoever has a view holds or borrows, and the kernel accesses the word atomically,
        // as we do.
        unsafe { self.khead.as_ref() }
    }

    #[inline]
    fn ktail(&self) -> &AtomicU32 {
        // SAFETY: as for `khead`.
        unsafe { self.ktail.as_ref() }
    }

    #[inline]
    pub(crate) fn flags(&self) -> SqFlags {
        // SAFETY: as for `khead`.
        let flags = unsafe { self.kflags.as_ref() };
        // Relaxed: the bits are hints, and whoever acts on them enters the kernel. SQPOLL's
        // NEED_WAKEUP needs the full fence that `Gate::enter` has.
        SqFlags::from_bits_retain(flags.load(Ordering::Relaxed))
    }

    /// How many published entries the kernel has not consumed.
    #[inline]
    pub(crate) fn published(&self) -> u32 {
        // Relaxed: our own store. Acquire pairs with the kernel's release of the head.
        let tail = self.ktail().load(Ordering::Relaxed);
        tail.wrapping_sub(self.khead().load(Ordering::Acquire))
    }
}

impl Sq {
    pub(crate) fn new(rings: &Map, entries: &Map, params: &sys::io_uring_params) -> Self {
        let off = &params.sq_off;
        let capacity = params.sq_entries;
        // SAFETY: `Map::at` checked that a u32 lies there; the kernel wrote it before `mmap`.
        let mask = unsafe { rings.at::<u32>(off.ring_mask, 1).read() };
        assert_eq!(mask, capacity - 1, "the kernel's mask fits its number of entries");
        if params.flags & SetupFlags::NO_SQARRAY.bits() == 0 {
            let array = rings.at::<u32>(off.array, capacity);
            for index in 0..capacity {
                // Entries are used in order, so the indirection is the identity, set once.
                // SAFETY: `add` stays inside, since `Map::at` checked room for `capacity` numbers.
                let place = unsafe { array.add(index as usize) };
                // SAFETY: the place is ours to write: the kernel reads it only in `enter`.
                unsafe { place.write(index) };
            }
        }
        let mut sq = Self {
            entries: entries.at(0, capacity),
            mask,
            capacity,
            tail: 0,
            head: 0,
            view: View {
                khead: rings.at(off.head, 1),
                ktail: rings.at(off.tail, 1),
                kflags: rings.at(off.flags, 1),
            },
        };
        sq.tail = sq.ktail().load(Ordering::Relaxed);
        sq.head = sq.tail;
        sq
    }

    fn khead(&self) -> &AtomicU32 {
        self.view.khead()
    }

    fn ktail(&self) -> &AtomicU32 {
        self.view.ktail()
    }

    pub(crate) fn flags(&self) -> SqFlags {
        self.view.flags()
    }

    pub(crate) const fn view(&self) -> &View {
        &self.view
    }

    /// Where the next entry goes, or `None` if the queue is full.
    #[inline]
    pub(crate) fn slot(&mut self) -> Option<NonNull<Sqe>> {
        if self.tail.wrapping_sub(self.head) == self.capacity {
            // Acquire pairs with the kernel's release of the head: it has read the entry by then.
            self.head = self.khead().load(Ordering::Acquire);
            if self.tail.wrapping_sub(self.head) == self.capacity {
                return None;
            }
        }
        let index = (self.tail & self.mask) as usize;
        // SAFETY: `add` stays inside the array: `index` is masked, and the array has mask + 1.
        let slot = unsafe { self.entries.add(index) };
        Some(slot.cast()) // `Sqe` is transparent over the kernel's struct
    }

    /// Writes an entry into the next slot.
    #[inline]
    pub(crate) fn push(&mut self, entry: Sqe) -> Result<(), PushError> {
        let Some(slot) = self.slot() else { return Err(PushError(entry)) };
        // SAFETY: the slot is inside the mapping, aligned, and not read by the kernel before the
        // tail is published.
        unsafe { slot.write(entry) };
        self.advance();
        Ok(())
    }

    /// Counts the entry that was written to the [`slot`](Self::slot).
    #[inline]
    pub(crate) const fn advance(&mut self) {
        self.tail = self.tail.wrapping_add(1);
    }

    /// Forgets the last `count` entries, which were not published.
    pub(crate) fn take_back(&mut self, count: u32) {
        debug_assert!(count <= self.tail.wrapping_sub(self.ktail().load(Ordering::Relaxed)));
        self.tail = self.tail.wrapping_sub(count);
    }

    /// Shows the entries to the kernel.
    #[inline]
    pub(crate) fn publish(&mut self) {
        // Release pairs with the kernel's acquire of the tail: it must see the entries first.
        self.ktail().store(self.tail, Ordering::Release);
    }

    /// How many entries the kernel has not consumed.
    #[inline]
    pub(crate) fn waiting(&self) -> u32 {
        self.tail.wrapping_sub(self.khead().load(Ordering::Acquire))
    }

    pub(crate) fn room(&self) -> u32 {
        self.capacity - self.waiting()
    }

    /// Tells the `user_data` of each entry that can be taken back: of those that the kernel has not
    /// consumed, or, while a submission thread may be reading them, of those not published.
    pub(crate) fn each_waiting(&self, thread: bool, mut each: impl FnMut(u64)) {
        let mut at = self.consumed(thread);
        while at != self.tail {
            // SAFETY: `add` stays inside the array: the index is masked.
            let entry = unsafe { self.entries.add((at & self.mask) as usize) };
            // SAFETY: entries from the head to the tail were written by us and are not changed by
            // the kernel.
            each(unsafe { entry.as_ref() }.user_data);
            at = at.wrapping_add(1);
        }
    }

    /// Takes back the last entry, if it has this `user_data` and `each_waiting` tells it.
    pub(crate) fn take_back_last(&mut self, user_data: u64, thread: bool) -> bool {
        let mut last = None;
        self.each_waiting(thread, |each| last = Some(each));
        if last != Some(user_data) {
            return false;
        }
        self.tail = self.tail.wrapping_sub(1);
        // Release as in `publish`.
        self.ktail().store(self.tail, Ordering::Release);
        true
    }

    /// Takes back the entries that `each_waiting` tells.
    pub(crate) fn take_back_all(&mut self, thread: bool) {
        self.tail = self.consumed(thread);
        // Release as in `publish`; with a submission thread this stores what is there already.
        self.ktail().store(self.tail, Ordering::Release);
    }

    fn consumed(&self, thread: bool) -> u32 {
        if thread { self.ktail() } else { self.khead() }.load(Ordering::Acquire)
    }
}
