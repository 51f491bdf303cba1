//! Operations that run one after the other.

use std::io;

use super::{
    engine::{Engine, forked},
    error::{Reason, Rejected},
    table::Table,
};
use crate::{
    abi::{sqe::SqeFlags, token::OpId},
    operation::Operation,
};

/// Operations that [`Ring::chain`](crate::Ring::chain) or [`Scope::chain`](crate::Scope::chain)
/// submits together, each starting when the one before it has ended.
///
/// If one fails, those behind it end with `ECANCELED`; a read or write that moves less than it was
/// asked for counts as failed, so do not let what follows depend on the amount. So does a
/// [`Timeout`](crate::op::Timeout) whose time is up, while an [`Fsync`](crate::op::Fsync) or a
/// [`Shutdown`](crate::op::Shutdown) that failed does not, since Linux 6.0. [`hard`](Self::hard)
/// links hold all the same. If the kernel refuses one without starting it (`EINVAL`, such as for an
/// opcode that it does not have), none runs: those before it end with `ECANCELED` too. The links
/// are kept in one submission: a chain never straddles two.
///
/// ```
/// use std::time::Duration;
/// use uring::{Event, Ring, op::Timeout};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring: Ring<Timeout, &str> = Ring::builder().build()?;
/// ring.chain(|chain| {
///     chain.then(Timeout::new(Duration::from_millis(2)), "a pause");
///     chain.then(Timeout::new(Duration::from_millis(1)), "a second one, when the first is over");
///     chain.hard(); // to the kernel, a time that is up is a failure
/// })?;
/// ring.wait(2, None)?;
/// while let Some(Event::Done { ctx, output, .. }) = ring.next() {
///     println!("{ctx}: {output:?}");
///     output?;
/// }
/// # Ok(()) }
/// ```
/// - **Since:** Linux 5.3.
/// - **Manual:**
///   [`io_uring_enter(2)`](https://man7.org/linux/man-pages/man2/io_uring_enter.2.html).
#[derive(Debug)]
pub struct Chain<O, C> {
    links: Vec<(O, C)>,
    hard: bool,
}

impl<O: Operation, C> Chain<O, C> {
    pub(crate) const fn new() -> Self {
        Self { links: Vec::new(), hard: false }
    }

    /// Adds an operation to the end.
    pub fn then(&mut self, op: O, ctx: C) -> &mut Self {
        self.links.push((op, ctx));
        self
    }

    /// Lets the operations behind one that failed run all the same. Since Linux 5.5.
    #[doc(alias = "IOSQE_IO_HARDLINK")]
    pub const fn hard(&mut self) -> &mut Self {
        self.hard = true;
        self
    }

    /// Submits all or nothing.
    pub(super) fn submit(
        self,
        engine: &mut Engine,
        table: &mut Table<'_, O, C>,
    ) -> Result<Vec<OpId>, Rejected<Vec<(O, C)>>> {
        let Self { links, hard } = self;
        if let Err(reason) = reserve(engine, table, &links) {
            return Err(Rejected { op: links, ctx: (), reason });
        }
        let link = if hard { SqeFlags::HARD_LINK } else { SqeFlags::LINK };
        let last = links.len();
        // If a `prepare` panics, the links before it must not run without it.
        let mut started = Started { engine, table, ids: Vec::with_capacity(last) };
        let mut links = links.into_iter();
        for number in 1..=last {
            let Some((op, ctx)) = links.next() else { break };
            let flags = if number == last { SqeFlags::empty() } else { link };
            match started.engine.place(started.table, op, ctx, flags) {
                Ok(id) => started.ids.push(id),
                Err(pair) => return Err(started.none(pair, links)),
            }
        }
        Ok(started.all())
    }
}

fn reserve<O: Operation, C>(
    engine: &mut Engine,
    table: &Table<'_, O, C>,
    links: &[(O, C)],
) -> Result<(), Reason> {
    let max = engine.raw.entries().min(table.capacity());
    let count = u32::try_from(links.len()).unwrap_or(u32::MAX);
    if count > max {
        return Err(Reason::ChainTooLong { links: links.len(), max });
    }
    if links.iter().any(|(op, _)| op.ring().is_some_and(|ring| ring != engine.raw.id())) {
        return Err(Reason::OtherRing);
    }
    if count > table.room() {
        return Err(Reason::Full { capacity: table.capacity() });
    }
    if count > engine.raw.submissions_room() {
        engine.flush(count, None).map_err(Reason::Kernel)?;
    }
    if count > engine.raw.submissions_room() {
        let busy = io::Error::from_raw_os_error(libc::EBUSY);
        return Err(Reason::Kernel(busy));
    }
    Ok(())
}

/// The links that were placed so far; dropped with some only if one of them panicked.
struct Started<'c, 't, O: Operation, C> {
    engine: &'c mut Engine,
    table: &'c mut Table<'t, O, C>,
    ids: Vec<OpId>,
}

impl<O: Operation, C> Started<'_, '_, O, C> {
    fn all(mut self) -> Vec<OpId> {
        std::mem::take(&mut self.ids)
    }

    /// Gives all links back, in a child that a `prepare` has forked.
    #[cold]
    fn none(mut self, pair: (O, C), left: impl Iterator<Item = (O, C)>) -> Rejected<Vec<(O, C)>> {
        let ids = std::mem::take(&mut self.ids);
        let placed = ids.iter().filter_map(|id| self.table.find(id.token));
        let placed: Vec<_> = placed.collect();
        let mut links: Vec<_> = placed.into_iter().map(|found| self.table.remove(found)).collect();
        links.push(pair);
        links.extend(left);
        let Rejected { reason, .. } = forked(((), ()));
        Rejected { op: links, ctx: (), reason }
    }
}

impl<O: Operation, C> Drop for Started<'_, '_, O, C> {
    fn drop(&mut self) {
        let count = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        self.engine.raw.sq().take_back(count);
        for id in self.ids.drain(..) {
            if let Some(found) = self.table.find(id.token) {
                drop(self.table.remove(found));
            }
        }
    }
}
