//! The operations in flight, each where it stays until its terminal completion.
//!
//! All the unsafe code of ownership is here. Two halves: `ops` is memory that the kernel may write,
//! one fixed allocation that never moves and over which no reference is ever made; `slots` is
//! ordinary data that the kernel never sees.

use std::{
    cell::UnsafeCell,
    mem::MaybeUninit,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::token::{Class, GENERATION_MASK, OpId, Token};

/// Operations that were leaked because the kernel did not give them back in time.
static LEAKED: AtomicU64 = AtomicU64::new(0);

/// How many operations this process has leaked: those that were still in flight when their ring was
/// dropped and that the kernel did not give back within five seconds.
#[must_use]
pub fn leaked_operations() -> u64 {
    LEAKED.load(Ordering::Relaxed)
}

/// An operation that the kernel may be writing into.
type Cell<O> = UnsafeCell<MaybeUninit<O>>;

/// Ends the list of free slots.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Slot<C> {
    generation: u32,
    /// The next free slot, if this one is free.
    next: u32,
    /// `Some` while the operation is in flight.
    ctx: Option<C>,
}

/// A fixed number of places for operations and their contexts.
pub(crate) struct Table<O, C> {
    ops: NonNull<[Cell<O>]>,
    slots: Box<[Slot<C>]>,
    free: u32,
    live: u32,
    /// What is added to a slot's number to make an index of a token: tables that share a ring have
    /// ranges of their own.
    base: u32,
}

impl<O, C> Table<O, C> {
    /// A table of `capacity` places whose tokens start at index `base` and at `generation`.
    pub(crate) fn new(capacity: u32, base: u32, generation: u32) -> Self {
        assert!(base.checked_add(capacity).is_some(), "fewer than 2^32 operations share a ring");
        let ops: Box<[MaybeUninit<Cell<O>>]> = Box::new_uninit_slice(capacity as usize);
        // SAFETY: an `UnsafeCell<MaybeUninit<_>>` needs no initialisation.
        let ops = unsafe { ops.assume_init() };
        let slot = |index| Slot {
            generation: generation & GENERATION_MASK,
            next: if index + 1 == capacity { NONE } else { index + 1 },
            ctx: None,
        };
        Self {
            // A raw pointer: a `Box` would claim that nobody else reaches its memory.
            ops: NonNull::from(Box::leak(ops)),
            slots: (0..capacity).map(slot).collect(),
            free: if capacity == 0 { NONE } else { 0 },
            live: 0,
            base,
        }
    }

    pub(crate) const fn live(&self) -> u32 {
        self.live
    }

    pub(crate) fn capacity(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(NONE)
    }

    pub(crate) fn room(&self) -> u32 {
        self.capacity() - self.live
    }

    /// The generation that a later table over the same indices has to start at; `None` if this one
    /// has no places, and so has used none.
    pub(crate) fn next_generation(&self) -> Option<u32> {
        self.slots.iter().map(|slot| slot.generation).max().map(|last| last + 1)
    }

    /// The place of an operation. It is never turned into a reference while the kernel may use it.
    #[inline]
    fn place(&self, slot: u32) -> *mut O {
        assert!((slot as usize) < self.slots.len());
        // SAFETY: `add` stays inside: `ops` has as many places as `slots`, and the number is
        // smaller.
        let cell = unsafe { self.ops.cast::<Cell<O>>().add(slot as usize) };
        UnsafeCell::raw_get(cell.as_ptr()).cast::<O>()
    }

    /// Puts an operation where it stays, lets `prepare` see it there, and says its token. `None` if
    /// the table is full; then `pair` is untouched.
    ///
    /// If `prepare` panics, the place is free again and the operation is dropped.
    #[inline]
    pub(crate) fn insert(
        &mut self,
        pair: &mut Option<(O, C)>,
        prepare: impl FnOnce(&mut O, Token),
    ) -> Option<Token> {
        let slot = self.free;
        if slot == NONE {
            return None;
        }
        let (op, ctx) = pair.take()?;
        let entry = &mut self.slots[slot as usize];
        self.free = entry.next;
        entry.ctx = Some(ctx);
        let token = Token::operation(self.base + slot, entry.generation);
        self.live += 1;
        let place = self.place(slot);
        // SAFETY: the place is aligned, inside the table, and free, so nothing is overwritten.
        unsafe { place.write(op) };
        let undo = Undo { table: self, slot };
        // SAFETY: the operation was written above, and the kernel does not know of it before the
        // entry is submitted: for the length of this call the reference is the only access.
        prepare(unsafe { &mut *place }, token);
        std::mem::forget(undo);
        Some(token)
    }

    /// The slot of a live operation, or `None` for a token that is stale, foreign or made up.
    #[inline]
    pub(crate) fn find(&self, token: Token) -> Option<u32> {
        if token.class() != Class::OPERATION {
            return None;
        }
        let slot = token.index().wrapping_sub(self.base);
        let entry = self.slots.get(slot as usize)?;
        (entry.generation == token.generation() && entry.ctx.is_some()).then_some(slot)
    }

    /// A live operation, for a completion that is not its last, and its context.
    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<(&mut O, &mut C)> {
        let place = self.place(slot);
        let ctx = self.slots[slot as usize].ctx.as_mut()?;
        // SAFETY: the slot has a context, so an operation was written to it and not taken out. It
        // is borrowed for a completion with MORE: by the contract of `Operation`, `item` does not
        // touch what the kernel may write, and buffers lie outside of the value or, in operations
        // with such completions, in a pool.
        Some((unsafe { &mut *place }, ctx))
    }

    /// Takes an operation out: after its terminal completion, or if it was never submitted.
    #[inline]
    pub(crate) fn remove(&mut self, slot: u32) -> Option<(O, C)> {
        let place = self.place(slot);
        let entry = &mut self.slots[slot as usize];
        let ctx = entry.ctx.take()?;
        entry.generation = (entry.generation + 1) & GENERATION_MASK;
        entry.next = self.free;
        self.free = slot;
        self.live -= 1;
        // SAFETY: the context was there, so the place holds an operation; it is gone now, so this
        // happens once. The kernel no longer uses it, says the caller.
        Some((unsafe { place.read() }, ctx))
    }

    /// The token of each live operation.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = Token> + '_ {
        (0u32..)
            .zip(&self.slots)
            .filter(|(_, entry)| entry.ctx.is_some())
            .map(|(slot, entry)| Token::operation(self.base + slot, entry.generation))
    }

    pub(crate) fn owns(&self, id: OpId) -> bool {
        self.find(id.0).is_some()
    }
}

/// Frees the place of an operation whose `prepare` panicked.
struct Undo<'t, O, C> {
    table: &'t mut Table<O, C>,
    slot: u32,
}

impl<O, C> Drop for Undo<'_, O, C> {
    fn drop(&mut self) {
        drop(self.table.remove(self.slot));
    }
}

impl<O, C> Drop for Table<O, C> {
    fn drop(&mut self) {
        if self.live > 0 {
            // The kernel may still write into these: they stay for ever.
            LEAKED.fetch_add(self.live.into(), Ordering::Relaxed);
            for slot in &mut self.slots {
                std::mem::forget(slot.ctx.take());
            }
            return;
        }
        // SAFETY: the pointer came from `Box::leak`, and with no live operation the kernel has no
        // address in it. The contents are `MaybeUninit` and are not dropped.
        drop(unsafe { Box::from_raw(self.ops.as_ptr()) });
    }
}

impl<O, C> std::fmt::Debug for Table<O, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} operations in flight", self.live, self.slots.len())
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, collections::HashMap, rc::Rc};

    use super::*;

    fn put<O, C>(table: &mut Table<O, C>, op: O, ctx: C) -> Option<Token> {
        table.insert(&mut Some((op, ctx)), |_, _| {})
    }

    #[test]
    fn a_full_table_leaves_the_operation_with_the_caller() {
        let mut table = Table::new(1, 0, 0);
        let first = put(&mut table, "first", ()).unwrap();
        let mut pair = Some(("second", ()));
        assert!(table.insert(&mut pair, |_, _| panic!("not prepared")).is_none());
        assert_eq!(pair, Some(("second", ())));
        let slot = table.find(first).unwrap();
        table.remove(slot);
    }

    #[test]
    fn a_token_is_never_found_again_after_its_operation_ended() {
        let mut table = Table::new(2, 100, 5);
        let first = put(&mut table, 1, 'a').unwrap();
        let slot = table.find(first).unwrap();
        assert_eq!(table.remove(slot), Some((1, 'a')));
        assert_eq!(table.find(first), None);
        let second = put(&mut table, 2, 'b').unwrap();
        assert_eq!(second.index(), first.index(), "the place is used again");
        assert_eq!(table.find(first), None, "but the generation tells them apart");
        assert_eq!(table.find(Token::operation(0, 5)), None, "below the range of this table");
        assert_eq!(table.find(Token::operation(102, 5)), None, "above it");
        let slot = table.find(second).unwrap();
        table.remove(slot);
    }

    #[test]
    fn generations_wrap_without_spilling_into_the_class() {
        let mut table = Table::new(1, 0, GENERATION_MASK);
        let last = put(&mut table, (), ()).unwrap();
        table.remove(table.find(last).unwrap());
        let wrapped = put(&mut table, (), ()).unwrap();
        assert_eq!(wrapped.generation(), 0);
        assert!(wrapped.class() == last.class());
        table.remove(table.find(wrapped).unwrap());
    }

    #[test]
    fn an_operation_stays_at_the_address_that_prepare_saw() {
        let mut table = Table::new(64, 0, 0);
        let mut seen = HashMap::new();
        for number in 0..64_u64 {
            let token = table.insert(&mut Some((number, ())), |op, token| {
                seen.insert(token.user_data(), std::ptr::from_mut(op) as usize);
            });
            assert!(token.is_some());
        }
        let mut table = Box::new(table); // the table itself moves, the operations do not
        for (user_data, address) in seen {
            let slot = table.find(Token::from_user_data(user_data)).unwrap();
            assert_eq!(table.place(slot) as usize, address);
            table.remove(slot);
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
        let mut table = Table::new(2, 0, 0);
        alive.set(1);
        put(&mut table, Counted(alive.clone()), ()).unwrap();
        drop(table);
        assert_eq!(alive.get(), 1, "not dropped: the kernel may still write into it");
        assert!(leaked_operations() > before);
    }

    #[test]
    fn a_panic_in_prepare_frees_the_place() {
        let mut table = Table::new(1, 0, 0);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            table.insert(&mut Some((vec![1], ())), |_, _| panic!("prepare"))
        }));
        assert!(result.is_err());
        assert_eq!(table.live(), 0);
        let token = put(&mut table, vec![2], ()).unwrap();
        table.remove(table.find(token).unwrap());
    }
}
