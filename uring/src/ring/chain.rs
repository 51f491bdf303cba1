//! Operations that run one after the other.

use super::engine::Core;
use crate::{OpId, Operation, Reason, Rejected, SqeFlags, table::Table};

/// Operations that [`Ring::chain`](crate::Ring::chain) or [`Scope::chain`](crate::Scope::chain)
/// submits together, each starting when the one before it has ended.
///
/// If one fails, those behind it end with `ECANCELED`; a read or write that moves less than it was
/// asked for counts as failed, so do not let what follows depend on the amount. If the kernel
/// refuses one without starting it (`EINVAL`, such as for an opcode that it does not have), none
/// runs: those before it end with `ECANCELED` too. The links are kept in one submission: a chain
/// never straddles two.
///
/// - **Since:** Linux 5.3.
/// - **Manual:**
///   [`io_uring_enter(2)`](https://man7.org/linux/man-pages/man2/io_uring_enter.2.html).
#[doc(alias = "IOSQE_IO_LINK")]
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
    pub(crate) fn submit(
        self,
        core: &mut Core,
        table: &mut Table<O, C>,
    ) -> Result<Vec<OpId>, Rejected<Vec<(O, C)>>> {
        let Self { links, hard } = self;
        match reserve(core, table, &links) {
            Ok(()) => {}
            Err(reason) => return Err(Rejected { op: links, ctx: (), reason }),
        }
        let link = if hard { SqeFlags::HARD_LINK } else { SqeFlags::LINK };
        let last = links.len();
        let mut ids = Vec::with_capacity(last);
        // If a `prepare` panics, the links before it must not run without it.
        let started = Started { core, table, ids: &mut ids };
        for (number, pair) in (1..).zip(links) {
            let flags = if number == last { SqeFlags::empty() } else { link };
            let id = started.core.place(started.table, &mut Some(pair), flags);
            started.ids.push(id.expect("room for the whole chain was reserved"));
        }
        std::mem::forget(started);
        Ok(ids)
    }
}

fn reserve<O: Operation, C>(
    core: &mut Core,
    table: &Table<O, C>,
    links: &[(O, C)],
) -> Result<(), Reason> {
    let max = core.raw.entries().min(table.capacity());
    let count = u32::try_from(links.len()).unwrap_or(u32::MAX);
    if count > max {
        return Err(Reason::ChainTooLong { links: links.len(), max });
    }
    if links.iter().any(|(op, _)| op.ring().is_some_and(|ring| ring != core.raw.id())) {
        return Err(Reason::ForeignRing);
    }
    if count > table.room() {
        return Err(Reason::Full { capacity: table.capacity() });
    }
    if count > core.raw.submissions_room() {
        core.flush(count).map_err(Reason::Kernel)?;
    }
    if count > core.raw.submissions_room() {
        let busy = std::io::Error::from_raw_os_error(libc::EBUSY);
        return Err(Reason::Kernel(busy));
    }
    Ok(())
}

/// The links that were placed so far; dropped only if one of them panicked.
struct Started<'c, O: Operation, C> {
    core: &'c mut Core,
    table: &'c mut Table<O, C>,
    ids: &'c mut Vec<OpId>,
}

impl<O: Operation, C> Drop for Started<'_, O, C> {
    fn drop(&mut self) {
        let count = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        self.core.raw.sq().take_back(count);
        for id in self.ids.drain(..) {
            if let Some(slot) = self.table.find(id.0) {
                drop(self.table.remove(slot));
            }
        }
    }
}
