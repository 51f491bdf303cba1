//! The end of what is in flight: take back, cancel, reap; free nothing that did not come back.

use std::{
    io,
    time::{Duration, Instant},
};

use super::engine::{self, Claim, Core};
use crate::{Operation, SetupFlags, table::Table, token::Token};

/// How long a ring that is dropped waits for its operations.
pub(crate) const BOUND: Duration = Duration::from_secs(5);

/// How long the answer to a cancel is waited for before the next one. It doubles.
const PATIENCE: Duration = Duration::from_millis(1);
const PATIENCE_MAX: Duration = Duration::from_millis(100);

/// Ends the operations of `table`, until `deadline`. What is live afterwards, the table leaks.
pub(crate) fn until<O: Operation, C>(core: &mut Core, table: &mut Table<O, C>, deadline: Instant) {
    // A forked child shares the ring with its parent, and has no mapping of it: it must touch
    // nothing.
    if table.live() == 0 || core.raw.fd().is_foreign() {
        return;
    }
    // nothing goes on after the ring: all that was queued can be forgotten
    take_back(core, table, false);
    // completions that a scope met belong to this table too
    while let Some(cqe) = core.outer.pop_front() {
        if let Claim::Ours(slot) = core.claim(table, &cqe) {
            drop(engine::event(table, slot, cqe));
        }
    }
    // An error leaves operations live: then they are leaked.
    let _ended = end(core, table, Some(deadline));
}

/// Ends the operations of a scope, however long it takes: what they borrow is about to end.
pub(crate) fn completely<O: Operation, C>(core: &mut Core, table: &mut Table<O, C>) {
    if table.live() == 0 {
        return;
    }
    if core.raw.fd().is_foreign() {
        abort("a scope was left in a forked child");
    }
    let unwinding_aborts = AbortOnUnwind;
    take_back(core, table, true);
    while end(core, table, None).is_err() {
        wait_or_abort(core);
    }
    std::mem::forget(unwinding_aborts);
}

/// Cancels and reaps until nothing is live, or until the deadline.
///
/// One round of cancels is not enough: the kernel does not find a link that has not started, which
/// the end of a hard link before it starts, and it misses a worker that is about to begin.
fn end<O: Operation, C>(
    core: &mut Core,
    table: &mut Table<O, C>,
    deadline: Option<Instant>,
) -> io::Result<()> {
    let mut patience = PATIENCE;
    while table.live() > 0 {
        cancel_all(core, table)?;
        core.wait(0, None)?;
        let again = Instant::now() + patience;
        patience = PATIENCE_MAX.min(patience * 2);
        loop {
            reap(core, table);
            let now = Instant::now();
            if deadline.is_some_and(|deadline| now >= deadline) {
                return Ok(());
            }
            if table.live() == 0 || now >= again {
                break;
            }
            core.wait(1, Some(deadline.map_or(again, |deadline| deadline.min(again))))?;
        }
    }
    Ok(())
}

/// Takes the completions that are there, and keeps those of others.
fn reap<O: Operation, C>(core: &mut Core, table: &mut Table<O, C>) {
    while let Some(cqe) = core.pop() {
        match core.claim(table, &cqe) {
            Claim::Ours(slot) => drop(engine::event(table, slot, cqe)),
            Claim::Internal => {}
            Claim::Unknown => core.outer.push_back(cqe),
        }
    }
}

/// Waits for a completion. The wait itself must not fail: somebody's stack is lent
/// to the kernel.
pub(crate) fn wait_or_abort(core: &mut Core) {
    if let Err(error) = core.wait(1, None) {
        abort(&format!("the kernel does not give borrowed memory back: {error}"));
    }
}

/// Takes back what was queued and not consumed: the kernel has never seen these operations.
///
/// With `all_mine`, only if there are no entries of somebody else among them, such as those that a
/// ring queued before its scope began: their order matters, and they must go out. What stays queued
/// goes out with the next enter, and is cancelled.
fn take_back<O: Operation, C>(core: &mut Core, table: &mut Table<O, C>, all_mine: bool) {
    let thread = core.raw.setup_flags().contains(SetupFlags::SQPOLL);
    let mut mine = Vec::new();
    let mut others = false;
    core.raw.sq().each_waiting(thread, |user_data| {
        match table.find(Token::from_user_data(user_data)) {
            Some(slot) => mine.push(slot),
            None => others = true,
        }
    });
    if others && all_mine {
        return;
    }
    core.raw.sq().take_back_all(thread);
    for slot in mine {
        drop(table.remove(slot));
    }
}

pub(crate) fn cancel_all<O: Operation, C>(core: &mut Core, table: &Table<O, C>) -> io::Result<()> {
    for token in table.tokens() {
        core.cancel(token)?;
    }
    core.flush(core.raw.entries())
}

fn abort(why: &str) -> ! {
    eprintln!("uring: {why}; ending the process, because going on would be a use after free");
    std::process::abort()
}

/// A destructor that panics while borrowed memory is out must not let the frame go.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        abort("a destructor panicked while a scope was ending");
    }
}
