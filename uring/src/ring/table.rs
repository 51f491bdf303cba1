//! The operations in flight, each where it stays until its terminal completion.
//!
//! All the unsafe code of ownership is here. An operation lies in memory that the kernel may write,
//! at a place that never moves, and it is reached by raw pointers alone: no reference to it is made
//! from its preparation on, and none over its place. Its context lies beside it; the kernel never
//! sees that.

use std::{
    cell::UnsafeCell,
    marker::PhantomData,
    mem::MaybeUninit,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::abi::token::{GENERATION_MASK, Token};

/// Operations that were leaked because the kernel did not give them back in time.
static LEAKED: AtomicU64 = AtomicU64::new(0);

/// How many operations this process has leaked: those that the kernel had not given back five
/// seconds after their ring was dropped, or by the time that [`Ring::close`](crate::Ring::close)
/// was given; and in a forked child those of its parent that the child has dropped.
#[must_use]
pub fn leaked_operations() -> u64 {
    LEAKED.load(Ordering::Relaxed)
}

/// Ends the list of free places.
const NONE: u32 = u32::MAX;

/// The token of a free place. Its index is that of no place, so that it is found at none.
const FREE: Token = Token::IGNORED;

/// A place for an operation and its context.
pub(super) struct Entry<O, C> {
    /// The operation's token, or [`FREE`]: one comparison tells class, generation and life.
    token: Token,
    /// Of the next operation here.
    generation: u32,
    /// The next free place, if this one is free.
    next: u32,
    ctx: MaybeUninit<C>,
    op: UnsafeCell<MaybeUninit<O>>,
}

impl<O, C> Entry<O, C> {
    pub(super) const fn vacant() -> Self {
        Self {
            token: FREE,
            generation: 0,
            next: NONE,
            ctx: MaybeUninit::uninit(),
            op: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }
}

/// Where a live operation is; made by [`Table::find`], and good until the table is changed.
#[derive(Clone, Copy)]
pub(super) struct Found {
    slot: u32,
}

/// A table that was not made: there is no memory for so many operations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooMany(pub(crate) u32);

/// A fixed number of places for operations and their contexts.
pub(crate) struct Table<'t, O, C> {
    entries: NonNull<Entry<O, C>>,
    capacity: u32,
    /// How many places have ever been used; those behind were never written.
    fresh: u32,
    free: u32,
    live: u32,
    /// What is added to a place's number to make an index of a token: tables that share a ring have
    /// ranges of their own.
    base: u32,
    /// Where places that were never used start.
    generation: u32,
    /// How many places the table's own allocation has; 0 if the places are lent to it.
    allocated: usize,
    _lent: PhantomData<&'t mut ()>,
}

impl<O, C> Table<'static, O, C> {
    /// A table of `capacity` places whose tokens start at index `base` and at `generation`.
    pub(crate) fn new(capacity: u32, base: u32, generation: u32) -> Result<Self, TooMany> {
        // the last indices are those of the ring's own tokens
        if base.checked_add(capacity).is_none_or(|end| end >= NONE - 1) {
            return Err(TooMany(capacity));
        }
        let mut memory: Vec<Entry<O, C>> = Vec::new();
        memory.try_reserve_exact(capacity as usize).map_err(|_| TooMany(capacity))?;
        // A raw pointer: a `Vec` would claim that nobody else reaches its memory.
        let mut memory = std::mem::ManuallyDrop::new(memory);
        let entries = NonNull::new(memory.as_mut_ptr()).unwrap_or(NonNull::dangling());
        Ok(Self::over(entries, capacity, base, generation, memory.capacity()))
    }
}

impl<'t, O, C> Table<'t, O, C> {
    /// A table of the one place that is lent to it.
    pub(super) fn of_one(entry: &'t mut Entry<O, C>, base: u32, generation: u32) -> Self {
        Self::over(NonNull::from(entry), 1, base, generation, 0)
    }

    /// A table without a place.
    pub(super) const fn of_none(generation: u32) -> Self {
        Self::over(NonNull::dangling(), 0, 0, generation, 0)
    }

    const fn over(
        entries: NonNull<Entry<O, C>>,
        capacity: u32,
        base: u32,
        generation: u32,
        allocated: usize,
    ) -> Self {
        Self {
            entries,
            capacity,
            fresh: 0,
            free: NONE,
            live: 0,
            base,
            generation: generation & GENERATION_MASK,
            allocated,
            _lent: PhantomData,
        }
    }

    #[inline]
    pub(crate) const fn live(&self) -> u32 {
        self.live
    }

    pub(crate) const fn capacity(&self) -> u32 {
        self.capacity
    }

    pub(crate) const fn room(&self) -> u32 {
        self.capacity - self.live
    }

    #[inline]
    pub(crate) const fn is_full(&self) -> bool {
        self.live == self.capacity
    }

    /// The generation that a later table over the same indices has to start at.
    pub(crate) fn next_generation(&self) -> u32 {
        let used = (0..self.fresh).map(|slot| {
            // SAFETY: the place was written when it was first used, and is plain data.
            unsafe { (*self.entry(slot)).generation }
        });
        used.max().map_or(self.generation, |last| (last + 1) & GENERATION_MASK)
    }

    /// The place of this number, which is smaller than the capacity.
    #[inline]
    fn entry(&self, slot: u32) -> *mut Entry<O, C> {
        debug_assert!(slot < self.capacity);
        self.entries.as_ptr().wrapping_add(slot as usize)
    }

    /// Where the operation is, in the place of this number.
    #[inline]
    fn op(&self, slot: u32) -> *mut O {
        // SAFETY: the place is inside of the allocation; only an address is made.
        let cell = unsafe { &raw mut (*self.entry(slot)).op };
        UnsafeCell::raw_get(cell.cast_const()).cast::<O>()
    }

    /// Where its context is.
    #[inline]
    fn ctx(&self, slot: u32) -> *mut C {
        // SAFETY: as for `op`.
        unsafe { &raw mut (*self.entry(slot)).ctx }.cast::<C>()
    }

    /// Takes a free place: the last that became free, or one that was never used.
    #[inline]
    fn vacate(&mut self) -> u32 {
        assert!(!self.is_full(), "room was made");
        let slot = self.free;
        if slot == NONE {
            let slot = self.fresh;
            // SAFETY: fewer places are live than there are and none is in the list, so there is one
            // that was never used: inside of the allocation, and nobody's.
            unsafe { self.entry(slot).write(Entry::vacant()) };
            // SAFETY: as above.
            unsafe { (*self.entry(slot)).generation = self.generation };
            self.fresh += 1;
            return slot;
        }
        // SAFETY: a place in the list was written when it was first used, and is plain data.
        self.free = unsafe { (*self.entry(slot)).next };
        slot
    }

    /// Puts an operation where it stays. There has to be room.
    #[inline(always)]
    pub(super) fn insert<'u>(&'u mut self, op: O, ctx: C) -> Placed<'u, 't, O, C> {
        let slot = self.vacate();
        let entry = self.entry(slot);
        // SAFETY: the place is aligned, inside the table, and free, so nothing is overwritten.
        unsafe { self.op(slot).write(op) };
        // SAFETY: as above; the kernel never sees this part.
        unsafe { self.ctx(slot).write(ctx) };
        // SAFETY: plain data of a place that was written when it was first used.
        let token = Token::operation(self.base + slot, unsafe { (*entry).generation });
        // SAFETY: as above.
        unsafe { (*entry).token = token };
        self.live += 1;
        Placed { slot, token, table: self }
    }

    /// A live operation, or `None` for a token that is stale, foreign or made up.
    #[inline]
    pub(super) fn find(&self, token: Token) -> Option<Found> {
        let slot = token.index().wrapping_sub(self.base);
        if slot >= self.fresh {
            return None;
        }
        // SAFETY: a place that was used was written then, and is plain data.
        let there = unsafe { (*self.entry(slot)).token };
        (there == token).then_some(Found { slot })
    }

    /// A live operation, for a completion that is not its last, and its context.
    #[inline]
    pub(super) fn get(&mut self, Found { slot }: Found) -> (*mut O, &mut C) {
        // SAFETY: a place that was found holds an operation and its context; the reference covers
        // the context alone, and borrows the table.
        let ctx = unsafe { &mut *self.ctx(slot) };
        (self.op(slot), ctx)
    }

    /// Takes an operation out: after its terminal completion, or if it was never submitted.
    #[inline(always)]
    pub(super) fn remove(&mut self, Found { slot }: Found) -> (O, C) {
        let entry = self.entry(slot);
        // SAFETY: a place that was found is inside of the allocation, and this is plain data.
        debug_assert!(unsafe { (*entry).token } != FREE, "found, and removed since");
        // SAFETY: as above.
        unsafe { (*entry).token = FREE };
        // SAFETY: as above.
        let generation = unsafe { &mut (*entry).generation };
        *generation = (*generation + 1) & GENERATION_MASK;
        // SAFETY: as above.
        unsafe { (*entry).next = self.free };
        self.free = slot;
        self.live -= 1;
        // SAFETY: the place held an operation and its context; its token is gone, so that it is not
        // found again and this happens once.
        let ctx = unsafe { self.ctx(slot).read() };
        // SAFETY: as above. The kernel no longer uses the operation, says the caller.
        (unsafe { self.op(slot).read() }, ctx)
    }

    /// The token of each live operation.
    pub(super) fn tokens(&self) -> impl Iterator<Item = Token> + '_ {
        (0..self.fresh).filter_map(|slot| {
            // SAFETY: a place that was used was written then, and is plain data.
            let token = unsafe { (*self.entry(slot)).token };
            (token != FREE).then_some(token)
        })
    }

    pub(crate) fn owns(&self, token: Token) -> bool {
        self.find(token).is_some()
    }
}

/// An operation that was put into the table, and that the kernel does not know of yet. If it is
/// dropped, as by a `prepare` that panics, the place is free again and the operation is gone.
pub(super) struct Placed<'u, 't, O, C> {
    table: &'u mut Table<'t, O, C>,
    slot: u32,
    token: Token,
}

impl<O, C> Placed<'_, '_, O, C> {
    /// The operation, where it stays.
    #[inline(always)]
    pub(super) fn op(&mut self) -> &mut O {
        // SAFETY: the operation was written when `self` was made, and the kernel does not know of
        // it: the borrow of `self` is the only access.
        unsafe { &mut *self.table.op(self.slot) }
    }

    pub(super) const fn token(&self) -> Token {
        self.token
    }

    /// Takes the operation out again.
    #[cold]
    pub(super) fn take_back(self) -> (O, C) {
        let mut this = std::mem::ManuallyDrop::new(self);
        let found = Found { slot: this.slot };
        this.table.remove(found)
    }

    /// Leaves the operation in the table: from now on the kernel may know of it.
    #[inline(always)]
    pub(super) fn keep(self) -> Token {
        let token = self.token;
        std::mem::forget(self);
        token
    }
}

impl<O, C> Drop for Placed<'_, '_, O, C> {
    #[cold]
    fn drop(&mut self) {
        drop(self.table.remove(Found { slot: self.slot }));
    }
}

impl<O, C> Drop for Table<'_, O, C> {
    fn drop(&mut self) {
        if self.live > 0 {
            // The kernel may still write into these: they stay for ever, contexts and all. (Only in
            // a forked child, which the kernel writes nothing for, are they lent.)
            LEAKED.fetch_add(self.live.into(), Ordering::Relaxed);
        } else if self.allocated > 0 {
            // SAFETY: the pointer and the capacity are those of the `Vec` in `new`; with no live
            // operation the kernel has no address in it, and there is nothing to drop.
            drop(unsafe { Vec::from_raw_parts(self.entries.as_ptr(), 0, self.allocated) });
        }
    }
}

impl<O, C> std::fmt::Debug for Table<'_, O, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} operations in flight", self.live, self.capacity)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, collections::HashMap, rc::Rc};

    use super::*;

    fn table<O, C>(capacity: u32, base: u32, generation: u32) -> Table<'static, O, C> {
        Table::new(capacity, base, generation).unwrap()
    }

    fn put<O, C>(table: &mut Table<'_, O, C>, op: O, ctx: C) -> Token {
        table.insert(op, ctx).keep()
    }

    fn take<O, C>(table: &mut Table<'_, O, C>, token: Token) -> Option<(O, C)> {
        let found = table.find(token)?;
        Some(table.remove(found))
    }

    #[test]
    fn a_table_is_full_when_each_place_is_taken_and_never_before() {
        let mut table = table(3, 0, 0);
        let first = put(&mut table, 1, ());
        let second = put(&mut table, 2, ());
        assert!(!table.is_full());
        assert_eq!(take(&mut table, first), Some((1, ())));
        let third = put(&mut table, 3, ());
        assert_eq!(third.index(), first.index(), "a place that became free is used first");
        let fourth = put(&mut table, 4, ());
        assert!(table.is_full());
        assert_eq!(table.room(), 0);
        for (token, op) in [(second, 2), (third, 3), (fourth, 4)] {
            assert_eq!(take(&mut table, token), Some((op, ())));
        }
    }

    #[test]
    fn sizes_without_memory_or_indices_are_refused() {
        assert!(Table::<[u8; 1 << 40], ()>::new(u32::MAX - 2, 0, 0).is_err(), "no memory");
        assert!(Table::<u8, ()>::new(u32::MAX, 0, 0).is_err(), "the ring's own tokens");
        assert!(Table::<u8, ()>::new(2, u32::MAX - 2, 0).is_err(), "no indices");
        assert!(Table::<u8, ()>::new(0, 0, 0).is_ok());
    }

    #[test]
    fn no_token_of_another_class_is_ever_found() {
        let mut table = table(2, 0, 0);
        let freed = put(&mut table, 0, ());
        take(&mut table, freed).unwrap();
        let live = put(&mut table, 1, ());
        for class in (0..16_u64).filter(|class| *class != 1) {
            for user_data in [live.user_data(), freed.user_data(), 0, 1] {
                let forged = user_data & ((1 << 60) - 1) | class << 60;
                assert!(!table.owns(Token::from_user_data(forged)), "{forged:#x}");
            }
        }
        take(&mut table, live).unwrap();
    }

    #[test]
    fn a_token_is_never_found_again_after_its_operation_ended() {
        let mut table = table(2, 100, 5);
        let first = put(&mut table, 1, 'a');
        assert_eq!(take(&mut table, first), Some((1, 'a')));
        assert!(!table.owns(first));
        let second = put(&mut table, 2, 'b');
        assert_eq!(second.index(), first.index(), "the place is used again");
        assert!(!table.owns(first), "but the generation tells them apart");
        assert!(!table.owns(Token::operation(0, 5)), "below the range of this table");
        assert!(!table.owns(Token::operation(101, 5)), "never used");
        assert!(!table.owns(Token::operation(102, 5)), "above it");
        take(&mut table, second).unwrap();
    }

    #[test]
    fn generations_wrap_without_spilling_into_the_class() {
        let mut table = table(1, 0, GENERATION_MASK);
        let last = put(&mut table, (), ());
        take(&mut table, last).unwrap();
        let wrapped = put(&mut table, (), ());
        assert_eq!(wrapped.generation(), 0);
        assert!(wrapped.class() == last.class());
        take(&mut table, wrapped).unwrap();
    }

    #[test]
    fn an_operation_stays_at_the_address_that_prepare_saw() {
        let mut table = table(64, 0, 0);
        let mut seen = HashMap::new();
        for number in 0..64_u64 {
            let mut placed = table.insert(number, ());
            let address = std::ptr::from_mut(placed.op()) as usize;
            seen.insert(placed.keep().user_data(), address);
        }
        let mut table = Box::new(table); // the table itself moves, the operations do not
        for (user_data, address) in seen {
            let found = table.find(Token::from_user_data(user_data)).unwrap();
            assert_eq!(table.get(found).0 as usize, address);
            table.remove(found);
        }
    }

    #[test]
    fn a_dropped_table_leaks_what_is_live_and_counts_it() {
        let alive = Rc::new(Cell::new(0));
        struct Counted(Rc<Cell<i32>>);
        impl Drop for Counted {
            fn drop(&mut self) {
                self.0.set(self.0.get() - 1);
            }
        }
        let before = leaked_operations();
        let mut table = table(2, 0, 0);
        alive.set(1);
        put(&mut table, Counted(alive.clone()), ());
        drop(table);
        assert_eq!(alive.get(), 1, "not dropped: the kernel may still write into it");
        assert!(leaked_operations() > before);
    }

    #[test]
    fn a_panic_in_prepare_frees_the_place() {
        let mut table = table(1, 0, 0);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _placed = table.insert(vec![1], ());
            panic!("prepare");
        }));
        assert!(result.is_err());
        assert_eq!(table.live(), 0);
        let token = put(&mut table, vec![2], ());
        assert_eq!(take(&mut table, token), Some((vec![2], ())));
    }
}
