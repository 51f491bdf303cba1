//! Door 2: operations that borrow their operands.

use std::{io, time::Instant};

use super::{
    Chain, Event, drain,
    engine::{self, Claim, Core},
};
use crate::{OpId, Operation, Rejected, SetupFlags, table::Table};

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
    core: &'s mut Core,
    table: Table<P, X>,
    /// Makes `'s` invariant: two scopes are never of one type.
    _brand: std::marker::PhantomData<fn(&'s ()) -> &'s ()>,
}

impl<P: Operation, X> Scope<'_, P, X> {
    /// Queues an operation; it starts with the next [`wait`](Self::wait).
    ///
    /// # Errors
    ///
    /// As [`Ring::submit`](crate::Ring::submit).
    pub fn submit(&mut self, op: P, ctx: X) -> Result<OpId, Rejected<P, X>> {
        self.core.submit(&mut self.table, op, ctx)
    }

    /// Queues operations that run one after the other, all of them or none.
    ///
    /// # Errors
    ///
    /// As [`Ring::chain`](crate::Ring::chain).
    pub fn chain(
        &mut self,
        build: impl FnOnce(&mut Chain<P, X>),
    ) -> Result<Vec<OpId>, Rejected<Vec<(P, X)>>> {
        let mut chain = Chain::new();
        build(&mut chain);
        chain.submit(self.core, &mut self.table)
    }

    /// Asks the kernel to end an operation; the result still comes, exactly once.
    ///
    /// # Errors
    ///
    /// As [`Ring::cancel`](crate::Ring::cancel).
    pub fn cancel(&mut self, id: OpId) -> io::Result<()> {
        if self.table.owns(id) { self.core.cancel(id.0) } else { Ok(()) }
    }

    /// Submits what is queued and waits until [`next`](Self::next) has `min` completions or the
    /// time is `until`; says how many there are, those of the ring's own operations included.
    ///
    /// # Errors
    ///
    /// As [`Ring::wait`](crate::Ring::wait).
    pub fn wait(&mut self, min: u32, until: Option<Instant>) -> io::Result<u32> {
        self.core.wait(min, until)
    }

    /// The next thing that has happened in this scope, if there is one; never a system call.
    #[expect(clippy::should_implement_trait, reason = "an event borrows the scope it comes from")]
    pub fn next(&mut self) -> Option<Event<'_, P, X>> {
        loop {
            let cqe = self.core.pop()?;
            match self.core.claim(&self.table, &cqe) {
                Claim::Ours(slot) => return engine::event(&mut self.table, slot, cqe),
                Claim::Internal => {}
                // the ring's own, or nobody's: the ring will tell
                Claim::Unknown => self.core.outer.push_back(cqe),
            }
        }
    }

    /// How many operations are in flight.
    #[must_use]
    pub const fn in_flight(&self) -> u32 {
        self.table.live()
    }

    /// The operation that was submitted last, if the kernel has not seen it.
    fn take_back(&mut self, id: OpId) -> Option<P> {
        let slot = self.table.find(id.0)?;
        let thread = self.core.raw.setup_flags().contains(SetupFlags::SQPOLL);
        if !self.core.raw.sq().take_back_last(id.user_data(), thread) {
            return None;
        }
        self.table.remove(slot).map(|(op, _)| op)
    }
}

impl<P: Operation, X> Drop for Scope<'_, P, X> {
    fn drop(&mut self) {
        drain::completely(self.core, &mut self.table);
        if let Some(next) = self.table.next_generation() {
            self.core.scope_generation = next;
        }
    }
}

/// Lends a scope to `body`. The scope stays in this frame, so nobody can forget it.
pub(crate) fn enter<P: Operation, X, R>(
    core: &mut Core,
    base: u32,
    capacity: u32,
    body: impl for<'s> FnOnce(&mut Scope<'s, P, X>) -> R,
) -> R {
    let table = Table::new(capacity, base, core.scope_generation);
    let mut scope = Scope { core, table, _brand: std::marker::PhantomData };
    body(&mut scope)
}

/// Runs one operation to its end.
pub(crate) fn run<P: Operation>(core: &mut Core, base: u32, op: P) -> P::Output {
    enter::<P, (), _>(core, base, 1, |scope| {
        let id = match scope.submit(op, ()) {
            Ok(id) => id,
            Err(Rejected { op, reason, .. }) => return op.refuse(reason.errno()),
        };
        loop {
            if let Err(error) = scope.wait(1, None) {
                if let Some(op) = scope.take_back(id) {
                    return op.refuse(error.raw_os_error().unwrap_or(libc::EIO));
                }
                // The operation is in flight, and there is no result but its own. If the kernel
                // keeps failing, that ends the process.
                drain::wait_or_abort(scope.core);
            }
            while let Some(event) = scope.next() {
                if let Event::Done { output, .. } = event {
                    return output;
                }
            }
        }
    })
}
