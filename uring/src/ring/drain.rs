//! The end of what is in flight: take back, cancel, reap; free nothing that did not come back.

use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    thread,
    time::{Duration, Instant},
};

use super::{
    engine::{Engine, is_internal},
    table::Table,
};
use crate::{abi::token::Token, kernel, operation::Operation};

/// How long a ring that is dropped waits for its operations.
pub(super) const BOUND: Duration = Duration::from_secs(5);

/// How long to wait for an end before the kernel is asked again. It doubles.
const PATIENCE: Duration = Duration::from_millis(1);
const PATIENCE_MAX: Duration = Duration::from_millis(100);

/// Ends the operations of `table`, until `deadline`. What is live afterwards, the table leaks.
pub(super) fn until<O: Operation, C>(
    engine: &mut Engine,
    table: &mut Table<'_, O, C>,
    deadline: Instant,
) {
    // A forked child shares the ring with its parent, and has no mapping of it: it touches nothing.
    if table.live() == 0 || engine.raw.fd().is_forked() {
        return;
    }
    let mut panics = Panics::default();
    // nothing goes on after the ring: all that was queued can be forgotten
    take_back(engine, table, false, &mut panics);
    // completions that a scope met belong to this table too
    while let Some(cqe) = engine.pop_met() {
        if let Some(found) = engine.claim(table, &cqe) {
            panics.catch(|| drop(engine.event(table, found, cqe)));
        }
    }
    end(engine, table, |_| deadline, true, &mut panics);
    panics.resume();
}

/// Ends the operations of a scope, however long it takes: what they borrow is about to end. What
/// panicked meanwhile is for the caller to let go on.
pub(super) fn completely<O: Operation, C>(
    engine: &mut Engine,
    table: &mut Table<'_, O, C>,
) -> Panics {
    // In a forked child nothing is in flight: the kernel works for the parent's memory. The table
    // leaks what it has.
    let mut panics = Panics::default();
    if table.live() == 0 || engine.raw.fd().is_forked() {
        return panics;
    }
    let unwinding_aborts = AbortOnUnwind;
    take_back(engine, table, true, &mut panics);
    // as long as the kernel answers; with errors alone, not for ever
    end(engine, table, |heard| heard + BOUND, false, &mut panics);
    // a child that was forked meanwhile is as one that was forked before
    if table.live() > 0 && !engine.raw.fd().is_forked() {
        abort("the kernel does not give borrowed memory back");
    }
    std::mem::forget(unwinding_aborts);
    panics
}

/// Cancels and reaps until nothing is live, or until the deadline: it is told the time at which the
/// kernel last answered without an error.
///
/// One round of cancels is not enough: the kernel does not find a link that has not started, which
/// the end of a hard link before it starts, and it misses a worker that is about to begin. So it is
/// asked again as soon as something has ended, but no more than half of the time goes into asking;
/// and after a while if nothing ends. An error ends nothing: what fails now may work later.
///
/// With `all`, one entry asks for everything on the ring (5.19): a chain of thousands ends link by
/// link, and would take thousands of entries a link otherwise. Where that ends nothing twice, each
/// is asked for: once it may come before the next link has started.
fn end<O: Operation, C>(
    engine: &mut Engine,
    table: &mut Table<'_, O, C>,
    deadline: impl Fn(Instant) -> Instant,
    all: bool,
    panics: &mut Panics,
) {
    let mut heard = kernel::now();
    let mut patience = PATIENCE;
    let mut at_once = false;
    let mut in_vain = 0;
    // what is dropped here may fork: nothing comes back in the child
    while table.live() > 0 && !engine.raw.fd().is_forked() {
        let begun = kernel::now();
        if begun >= deadline(heard) {
            return;
        }
        // what it does not take now is asked for again below
        let until = Some(deadline(heard));
        let _asked =
            if at_once { engine.cancel_any(until) } else { cancel_all(engine, table, until) };
        let asked = kernel::now();
        let before = table.live();
        // a miss of the next link costs no more than a hit: it has started by the next request
        let next_link = at_once && in_vain == 0;
        let mut again = asked + if next_link { asked - begun } else { patience };
        if !next_link {
            patience = PATIENCE_MAX.min(patience * 2);
        }
        loop {
            let waited = engine.wait(1, Some(again.min(deadline(heard))));
            reap(engine, table, panics);
            let now = kernel::now();
            if table.live() < before {
                patience = PATIENCE;
                again = asked + (asked - begun);
            } else if waited.is_err() {
                kernel::sleep(PATIENCE.min(deadline(heard).saturating_duration_since(now)));
            }
            if waited.is_ok() {
                heard = now;
            }
            if table.live() == 0 || now >= again || now >= deadline(heard) {
                break;
            }
        }
        // after the first round, and as long as that ends something
        in_vain = if table.live() < before { 0 } else { in_vain + 1 };
        at_once = all && (in_vain == 0 || (at_once && in_vain < 2));
    }
}

/// Takes the completions that are there, and keeps those of others.
fn reap<O: Operation, C>(engine: &mut Engine, table: &mut Table<'_, O, C>, panics: &mut Panics) {
    while let Some(cqe) = engine.pop() {
        match engine.claim(table, &cqe) {
            Some(found) => panics.catch(|| drop(engine.event(table, found, cqe))),
            None if is_internal(&cqe) => {}
            None => engine.keep_met(cqe),
        }
    }
}

/// Waits for a completion. The wait itself must not fail: somebody's stack is lent to the kernel.
pub(super) fn wait_or_abort(engine: &mut Engine) {
    if let Err(error) = engine.wait(1, None) {
        abort(&format!("the kernel does not give borrowed memory back: {error}"));
    }
}

/// Takes back what was queued and not consumed: the kernel has never seen these operations.
///
/// With `all_mine`, only if there are no entries of somebody else among them, such as those that a
/// ring queued before its scope began: their order matters, and they must go out. What stays queued
/// goes out with the next enter, and is cancelled.
fn take_back<O: Operation, C>(
    engine: &mut Engine,
    table: &mut Table<'_, O, C>,
    all_mine: bool,
    panics: &mut Panics,
) {
    let thread = engine.has_submission_thread();
    let mut mine = Vec::new();
    let mut others = false;
    engine.raw.sq().each_waiting(thread, |user_data| {
        let token = Token::from_user_data(user_data);
        if table.owns(token) {
            mine.push(token);
        } else {
            others = true;
        }
    });
    if others && all_mine {
        return;
    }
    engine.raw.sq().take_back_all(thread);
    for token in mine {
        if let Some(found) = table.find(token) {
            let taken_back = table.remove(found);
            panics.catch(|| drop(taken_back));
        }
    }
}

/// Asks to cancel everything that is live, and hands the requests to the kernel; a submission
/// thread takes them when it comes to it.
pub(super) fn cancel_all<O: Operation, C>(
    engine: &mut Engine,
    table: &Table<'_, O, C>,
    until: Option<Instant>,
) -> io::Result<()> {
    for token in table.tokens() {
        engine.cancel(token, until)?;
    }
    engine.flush(0, until)
}

fn abort(why: &str) -> ! {
    eprintln!("uring: {why}; ending the process, because going on would be a use after free");
    std::process::abort()
}

/// The first panic of what is called and dropped while operations end. The others end all the same;
/// then it goes on.
#[derive(Default)]
#[must_use]
pub(super) struct Panics(Option<Box<dyn Any + Send>>);

impl Panics {
    fn catch(&mut self, call: impl FnOnce()) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(call)) {
            match self.0 {
                None => self.0 = Some(payload),
                Some(_) => drop_payload(payload),
            }
        }
    }

    pub(super) fn resume(self) {
        match self.0 {
            Some(payload) if !thread::panicking() => resume_unwind(payload),
            Some(payload) => drop_payload(payload),
            None => {}
        }
    }
}

/// What a panic carried may panic in its turn when it is dropped; then it is leaked.
fn drop_payload(payload: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
}

/// A destructor that panics while borrowed memory is out must not let the frame go.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        abort("a destructor panicked while a scope was ending");
    }
}
