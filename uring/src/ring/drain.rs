//! The end of what is in flight: take back, cancel, reap; free nothing that did not come back.

use std::{
    io,
    time::{Duration, Instant},
};

use super::engine::{self, Claim, Core};
use crate::{
    Operation, SetupFlags,
    table::Table,
    token::{Class, Token},
};

/// How long a ring that is dropped waits for its operations.
pub(crate) const BOUND: Duration = Duration::from_secs(5);

/// Ends the operations of `table`, until `deadline`. What is live afterwards, the table leaks.
pub(crate) fn until<O: Operation, C>(core: &mut Core, table: &mut Table<O, C>, deadline: Instant) {
    // A forked child shares the ring with its parent, and has no mapping of it: it must touch
    // nothing.
    if table.live() == 0 || core.raw.fd().is_foreign() {
        return;
    }
    take_back(core, table);
    if cancel_all(core, table).is_err() {
        return;
    }
    loop {
        // completions that a scope met belong to this table too
        while let Some(cqe) = core.outer.pop_front().or_else(|| core.pop()) {
            if let Claim::Ours(slot) = core.claim(table, &cqe) {
                drop(engine::event(table, slot, cqe));
            }
        }
        if table.live() == 0 || Instant::now() >= deadline {
            return;
        }
        if core.wait(1, Some(deadline)).is_err() {
            return;
        }
    }
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
    take_back(core, table);
    while table.live() > 0 {
        if cancel_all(core, table).is_err() {
            wait_or_abort(core);
        }
        reap(core, table);
    }
    std::mem::forget(unwinding_aborts);
}

/// Waits for completions until there are some for `table`, and takes them.
fn reap<O: Operation, C>(core: &mut Core, table: &mut Table<O, C>) {
    let before = table.live();
    while table.live() == before {
        wait_or_abort(core);
        while let Some(cqe) = core.pop() {
            match core.claim(table, &cqe) {
                Claim::Ours(slot) => drop(engine::event(table, slot, cqe)),
                Claim::Internal => {}
                Claim::Unknown => core.outer.push_back(cqe),
            }
        }
    }
}

/// Waits for one completion. The wait itself must not fail: somebody's stack is lent to the kernel.
pub(crate) fn wait_or_abort(core: &mut Core) {
    if let Err(error) = core.wait(1, None) {
        abort(&format!("the kernel does not give borrowed memory back: {error}"));
    }
}

/// Takes back what was queued and not consumed: the kernel has never seen these operations.
///
/// Not if there are entries of somebody else among them: a ring's own, queued before its scope
/// began. Their order matters; all go out with the next enter then, and are cancelled.
fn take_back<O: Operation, C>(core: &mut Core, table: &mut Table<O, C>) {
    let thread = core.raw.setup_flags().contains(SetupFlags::SQPOLL);
    let mut mine = Vec::new();
    let mut others = false;
    core.raw.sq().each_waiting(thread, |user_data| {
        let token = Token::from_user_data(user_data);
        match table.find(token) {
            Some(slot) => mine.push(slot),
            None => others |= token.class() == Class::OPERATION,
        }
    });
    if others {
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
    core.flush()
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
