//! Door 2: operations that borrow their operands.

use std::{io, marker::PhantomData, time::Instant};

use super::{
    chain::Chain,
    drain,
    engine::{Engine, is_internal},
    error::{Reason, Rejected},
    event::Event,
    table::{Entry, Table, TooMany},
};
use crate::{abi::token::OpId, operation::Operation};

/// A ring for the length of one call, whose operations may borrow: see
/// [`Ring::scope`](crate::Ring::scope).
///
/// It cannot leave the closure that it is lent to, and everything that it started has ended when
/// that call returns.
///
/// # What the compiler refuses
///
/// To use a buffer while an operation has it:
///
/// ```compile_fail,E0502
/// # use uring::{At, Ring, op};
/// # let mut ring: Ring<op::Nop> = Ring::builder().build().unwrap();
/// # let file = std::fs::File::open("/dev/zero").unwrap();
/// let mut buffer = [0; 16];
/// ring.scope(1, |s| {
///     s.submit(op::Read::new(&file, &mut buffer[..], At(0)), ()).unwrap();
///     println!("{buffer:?}");
/// });
/// ```
///
/// To close a descriptor while an operation has it:
///
/// ```compile_fail,E0505
/// # use uring::{At, Ring, op};
/// # let mut ring: Ring<op::Nop> = Ring::builder().build().unwrap();
/// let file = std::fs::File::open("/dev/zero").unwrap();
/// let mut buffer = [0; 16];
/// ring.scope(1, |s| {
///     s.submit(op::Read::new(&file, &mut buffer[..], At(0)), ()).unwrap();
///     drop(file);
/// });
/// ```
///
/// To smuggle the scope out:
///
/// ```compile_fail,E0521
/// # use uring::{Ring, Scope, op::Nop};
/// # let mut ring: Ring<Nop> = Ring::builder().build().unwrap();
/// let mut out: Option<&mut Scope<'_, Nop, ()>> = None;
/// ring.scope(1, |s| out = Some(s));
/// ```
///
/// To swap the scopes of two rings, so that one would wait for the other's operations:
///
/// ```compile_fail,E0521
/// # use uring::{Ring, op::Nop};
/// # let mut a: Ring<Nop> = Ring::builder().build().unwrap();
/// # let mut b: Ring<Nop> = Ring::builder().build().unwrap();
/// a.scope::<Nop, (), _>(1, |x| b.scope::<Nop, (), _>(1, |y| std::mem::swap(x, y)));
/// ```
///
/// To move the scope out of its reference and forget it:
///
/// ```compile_fail,E0507
/// # use uring::{Ring, op::Nop};
/// # let mut ring: Ring<Nop> = Ring::builder().build().unwrap();
/// ring.scope::<Nop, (), _>(1, |s| std::mem::forget(*s));
/// ```
///
/// To use the ring inside of its own scope:
///
/// ```compile_fail,E0499
/// # use uring::{Ring, op::Nop};
/// # let mut ring: Ring<Nop> = Ring::builder().build().unwrap();
/// ring.scope::<Nop, (), _>(1, |s| {
///     ring.run(Nop::new()).unwrap();
/// });
/// ```
#[derive(Debug)]
pub struct Scope<'s, P: Operation, X> {
    engine: &'s mut Engine,
    table: Table<'s, P, X>,
    /// So many places were asked for that there is no table.
    refused: Option<TooMany>,
    /// Makes `'s` invariant: two scopes are never of one type.
    _brand: PhantomData<fn(&'s ()) -> &'s ()>,
}

impl<'s, P: Operation, X> Scope<'s, P, X> {
    const fn new(engine: &'s mut Engine, table: Table<'s, P, X>, refused: Option<TooMany>) -> Self {
        Self { engine, table, refused, _brand: PhantomData }
    }

    /// Queues an operation; it starts with the next [`wait`](Self::wait).
    ///
    /// # Errors
    ///
    /// As [`Ring::submit`](crate::Ring::submit); [`Reason::TooMany`](crate::Reason::TooMany) if the
    /// scope was asked for more operations than there is memory for.
    pub fn submit(&mut self, op: P, ctx: X) -> Result<OpId, Rejected<P, X>> {
        let answer = self.engine.submit(&mut self.table, op, ctx);
        answer.map_err(|rejected| self.told(rejected))
    }

    /// Queues operations that run one after the other, all of them or none.
    ///
    /// # Errors
    ///
    /// As [`Ring::chain`](crate::Ring::chain) and [`submit`](Self::submit).
    pub fn chain(
        &mut self,
        build: impl FnOnce(&mut Chain<P, X>),
    ) -> Result<Vec<OpId>, Rejected<Vec<(P, X)>>> {
        let mut chain = Chain::new();
        build(&mut chain);
        let answer = chain.submit(self.engine, &mut self.table);
        answer.map_err(|rejected| self.told(rejected))
    }

    /// Says of a scope without a table why it has no room.
    fn told<T, U>(&self, mut rejected: Rejected<T, U>) -> Rejected<T, U> {
        if let Some(TooMany(operations)) = self.refused {
            rejected.reason = Reason::TooMany { operations };
        }
        rejected
    }

    /// Asks the kernel to end an operation; the result still comes, exactly once.
    ///
    /// # Errors
    ///
    /// As [`Ring::cancel`](crate::Ring::cancel).
    pub fn cancel(&mut self, id: OpId) -> io::Result<()> {
        self.engine.cancel_one(&self.table, id)
    }

    /// Submits what is queued and waits until [`next`](Self::next) has `min` completions or the
    /// time is `until`; says how many there are, those of the ring's own operations included.
    ///
    /// # Errors
    ///
    /// As [`Ring::wait`](crate::Ring::wait).
    pub fn wait(&mut self, min: u32, until: Option<Instant>) -> io::Result<u32> {
        self.engine.wait(min, until)
    }

    /// As [`wait`](Self::wait), but a signal ends the wait: see
    /// [`Ring::wait_interruptible`](crate::Ring::wait_interruptible).
    ///
    /// # Errors
    ///
    /// As [`Ring::wait_interruptible`](crate::Ring::wait_interruptible).
    pub fn wait_interruptible(
        &mut self,
        min: u32,
        until: Option<Instant>,
        mask: Option<&libc::sigset_t>,
    ) -> io::Result<u32> {
        self.engine.wait_interruptible(min, until, mask)
    }

    /// The next thing that has happened in this scope, if there is one; never a system call.
    #[expect(clippy::should_implement_trait, reason = "an event borrows the scope it comes from")]
    pub fn next(&mut self) -> Option<Event<'_, P, X>> {
        loop {
            let cqe = self.engine.pop()?;
            match self.engine.claim(&self.table, &cqe) {
                Some(found) => return Some(self.engine.event(&mut self.table, found, cqe)),
                None if is_internal(&cqe) => {}
                // the ring's own, or nobody's: the ring will tell
                None => self.engine.keep_met(cqe),
            }
        }
    }

    /// How many operations are in flight.
    #[must_use]
    pub const fn in_flight(&self) -> u32 {
        self.table.live()
    }

    /// The operation that was submitted last, if the kernel has not seen it; or if this is a child
    /// that was forked by what the operation yielded: there is no queue here, and the kernel works
    /// for the parent's memory.
    fn take_back(&mut self, id: OpId) -> Option<P> {
        let found = self.table.find(id.token)?;
        let thread = self.engine.has_submission_thread();
        let forked = self.engine.raw.fd().is_forked();
        if !forked && !self.engine.raw.sq().take_back_last(id.user_data(), thread) {
            return None;
        }
        Some(self.table.remove(found).0)
    }
}

impl<P: Operation, X> Drop for Scope<'_, P, X> {
    fn drop(&mut self) {
        let panics = drain::completely(self.engine, &mut self.table);
        self.engine.scope_generation = self.table.next_generation();
        panics.resume();
    }
}

/// Lends a scope to `body`. The scope stays in this frame, so nobody can forget it.
pub(super) fn enter<P: Operation, X, R>(
    engine: &mut Engine,
    base: u32,
    capacity: u32,
    body: impl for<'s> FnOnce(&mut Scope<'s, P, X>) -> R,
) -> R {
    let (table, refused) = match Table::new(capacity, base, engine.scope_generation) {
        Ok(table) => (table, None),
        Err(too_many) => (Table::of_none(engine.scope_generation), Some(too_many)),
    };
    body(&mut Scope::new(engine, table, refused))
}

/// Runs one operation to its end. Allocates nothing: the operation lies in this frame.
pub(super) fn run<P: Operation>(engine: &mut Engine, base: u32, op: P) -> P::Output {
    let mut entry = Entry::vacant();
    let table = Table::of_one(&mut entry, base, engine.scope_generation);
    let mut scope = Scope::<P, ()>::new(engine, table, None);
    let id = match scope.submit(op, ()) {
        Ok(id) => id,
        Err(Rejected { op, reason, .. }) => return op.refuse(reason.into()),
    };
    loop {
        if let Err(error) = scope.wait(1, None) {
            if let Some(op) = scope.take_back(id) {
                return op.refuse(error);
            }
            // The operation is in flight, and there is no result but its own. If the kernel keeps
            // failing, that ends the process.
            drain::wait_or_abort(scope.engine);
        }
        while let Some(event) = scope.next() {
            if let Event::Done { output, .. } = event {
                return output;
            }
        }
    }
}
