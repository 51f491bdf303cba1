//! The submission queue: we write entries and the tail, the kernel moves the head.

use std::{
    fmt,
    ptr::NonNull,
    sync::atomic::{AtomicU32, Ordering},
};

use uring_sys as sys;

use super::{cursors::Place, enter::SqFlags};
use crate::{abi::sqe::Sqe, kernel::map::RingMemory, setup::flags::SetupFlags};

/// The submission queue is full; the entry comes back.
#[derive(Debug)]
pub struct PushError(pub Sqe);

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the submission queue is full; submit, then push {:?} again", self.0.opcode())
    }
}

impl std::error::Error for PushError {}

/// Our side of the submission queue.
#[derive(Debug)]
pub(crate) struct Sq {
    entries: NonNull<sys::io_uring_sqe>,
    mask: u32,
    capacity: u32,
    view: View,
}

/// The words of the queue that we share with the kernel, and where we are.
#[derive(Clone, Debug)]
pub(crate) struct View {
    khead: NonNull<AtomicU32>,
    ktail: NonNull<AtomicU32>,
    kflags: NonNull<AtomicU32>,
    at: Place,
}

impl View {
    #[inline]
    fn khead(&self) -> &AtomicU32 {
        // SAFETY: `as_ref` asks for an aligned, initialised value that outlives the borrow, and for
        // no mutable alias: `ring` checked place and alignment, the mapping is held by the ring,
        // which whoever has a view holds or borrows, and the kernel accesses the word atomically,
        // as we do. Callers have checked that this is no forked child, which has no mapping.
        unsafe { self.khead.as_ref() }
    }

    #[inline]
    fn ktail(&self) -> &AtomicU32 {
        // SAFETY: as for `khead`.
        unsafe { self.ktail.as_ref() }
    }

    /// Whether this process was forked from the one that made the ring: then the queue is not
    /// there.
    #[inline]
    pub(super) fn is_forked(&self) -> bool {
        self.at.is_forked()
    }

    /// Whether the kernel can be entered as it is: see [`Place::is_plain`].
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.at.is_plain()
    }

    /// What the kernel says of the submission side; nothing in a forked child.
    pub(super) fn flags(&self) -> SqFlags {
        if self.is_forked() { SqFlags::empty() } else { self.flags_here() }
    }

    /// The same where it is known that this is no forked child.
    #[inline]
    pub(super) fn flags_here(&self) -> SqFlags {
        // SAFETY: as for `khead`.
        let flags = unsafe { self.kflags.as_ref() };
        // Relaxed: the bits are hints, and whoever acts on them enters the kernel. SQPOLL's
        // NEED_WAKEUP needs the full fence that `Gate::enter` has.
        SqFlags::from_bits_retain(flags.load(Ordering::Relaxed))
    }

    /// How many published entries the kernel has not consumed. Not for a forked child.
    #[inline]
    pub(super) fn published(&self) -> u32 {
        // Relaxed: our own store. Acquire pairs with the kernel's release of the head.
        let tail = self.ktail().load(Ordering::Relaxed);
        tail.wrapping_sub(self.khead().load(Ordering::Acquire))
    }
}

impl Sq {
    pub(super) fn new(memory: &RingMemory, params: &sys::io_uring_params, at: Place) -> Self {
        let off = &params.sq_off;
        let capacity = params.sq_entries;
        // SAFETY: `ring` checked that a u32 lies there; the kernel wrote it before `mmap`.
        let mask = unsafe { memory.ring::<u32>(off.ring_mask, 1).read() };
        assert_eq!(mask, capacity - 1, "the kernel's mask fits its number of entries");
        if params.flags & SetupFlags::NO_SQARRAY.bits() == 0 {
            let array = memory.ring::<u32>(off.array, capacity);
            for index in 0..capacity {
                // Entries are used in order, so the indirection is the identity, set once.
                // SAFETY: `add` stays inside, since `ring` checked room for `capacity` numbers.
                let place = unsafe { array.add(index as usize) };
                // SAFETY: the place is ours to write: the kernel reads it only in `enter`.
                unsafe { place.write(index) };
            }
        }
        let view = View {
            khead: memory.ring(off.head, 1),
            ktail: memory.ring(off.tail, 1),
            kflags: memory.ring(off.flags, 1),
            at,
        };
        let tail = view.ktail().load(Ordering::Relaxed);
        view.at.sq_tail.set(tail);
        view.at.sq_limit.set(tail.wrapping_add(capacity));
        Self { entries: memory.entries(capacity), mask, capacity, view }
    }

    pub(super) const fn view(&self) -> &View {
        &self.view
    }

    #[inline]
    fn tail(&self) -> u32 {
        self.view.at.sq_tail.get()
    }

    /// Whether another entry can be written: never in a forked child.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.tail() != self.view.at.sq_limit.get() || self.find_room()
    }

    #[cold]
    fn find_room(&self) -> bool {
        let room = self.room();
        self.view.at.sq_limit.set(self.tail().wrapping_add(room));
        room > 0
    }

    /// Writes an entry where the next one goes.
    #[inline]
    pub(crate) fn push(&mut self, entry: Sqe) -> Result<(), PushError> {
        if !self.has_room() {
            return Err(PushError(entry));
        }
        let tail = self.tail();
        // SAFETY: `add` stays inside the array: the index is masked, and the array has mask + 1.
        let place = unsafe { self.entries.add((tail & self.mask) as usize) };
        // SAFETY: the place is inside the mapping, aligned, and not read by the kernel before the
        // tail is published; `Sqe` is transparent over the kernel's struct.
        unsafe { place.cast::<Sqe>().write(entry) };
        self.view.at.sq_tail.set(tail.wrapping_add(1));
        Ok(())
    }

    /// Forgets the last `count` entries, which were not published.
    pub(crate) fn take_back(&mut self, count: u32) {
        if !self.view.is_forked() {
            self.view.at.sq_tail.set(self.tail().wrapping_sub(count));
        }
    }

    /// Shows the entries to the kernel. Not for a forked child.
    #[inline]
    pub(super) fn publish(&mut self) {
        // Release pairs with the kernel's acquire of the tail: it must see the entries first.
        self.view.ktail().store(self.tail(), Ordering::Release);
    }

    /// [`publish`](Self::publish), if there is a queue: a forked child has none.
    pub(super) fn show(&mut self) {
        if !self.view.is_forked() {
            self.publish();
        }
    }

    /// How many entries the kernel has not consumed; none in a forked child.
    #[inline]
    pub(super) fn waiting(&self) -> u32 {
        if self.view.is_forked() {
            return 0;
        }
        // Acquire pairs with the kernel's release of the head: it has read the entry by then.
        self.tail().wrapping_sub(self.view.khead().load(Ordering::Acquire))
    }

    /// How many entries can be written; none in a forked child.
    pub(super) fn room(&self) -> u32 {
        if self.view.is_forked() { 0 } else { self.capacity - self.waiting() }
    }

    /// Tells the `user_data` of each entry that can be taken back: of those that the kernel has not
    /// consumed, or, while a submission thread may be reading them, of those not published.
    pub(crate) fn each_waiting(&self, thread: bool, mut each: impl FnMut(u64)) {
        let mut at = self.consumed(thread);
        while at != self.tail() {
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
        self.view.at.sq_tail.set(self.tail().wrapping_sub(1));
        self.publish();
        true
    }

    /// Takes back the entries that `each_waiting` tells.
    pub(crate) fn take_back_all(&mut self, thread: bool) {
        self.view.at.sq_tail.set(self.consumed(thread));
        self.publish(); // with a submission thread this stores what is there already
    }

    fn consumed(&self, thread: bool) -> u32 {
        if thread { self.view.ktail() } else { self.view.khead() }.load(Ordering::Acquire)
    }
}
