//! The end of a loop.

use std::{
    io, mem,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    copy,
    source::SourceEvent,
    state::{State, Waiter, catch},
    turn::Sleep,
};
use crate::{end::Cause, stats::Report};

/// How long a loop that ends waits before it cancels what is in flight once more.
const AGAIN: Duration = Duration::from_millis(100);

/// How long, after the deadline, the kernel may take to give back what it can give back at once.
const LAST_CALL: Duration = Duration::from_millis(20);

/// How long, after the deadline, sources that drained may take to hear of their end. It is over
/// when all have heard.
const LAST_WORDS: Duration = Duration::from_millis(500);

impl State {
    pub(crate) fn begin_shutdown(&mut self, deadline: Instant) {
        if let Some(earlier) = self.stopping {
            self.stopping = Some(earlier.min(deadline));
            return;
        }
        self.stopping = Some(deadline);
        self.shared.stops();
        for future in self.tasks.drain() {
            self.discard(future);
        }
        for source in self.targets.sources() {
            self.call_source(source, SourceEvent::Shutdown);
        }
        for waiter in mem::take(&mut self.waiting) {
            match waiter {
                Waiter::Op(waiter) => {
                    let (op, dest) = *waiter;
                    self.refuse(op, dest, io::Error::from_raw_os_error(libc::ECANCELED));
                }
                // it may have something to finish with
                Waiter::Source(_) => self.waiting.push_back(waiter),
            }
        }
        self.cancel_all();
    }

    /// Cancels what is in flight; while sources drain, only what belongs to closures.
    fn cancel_all(&mut self) {
        // if this fails, it is tried again, until the deadline
        if self.draining.is_empty() {
            let _cancelled = self.ring.cancel_all();
            return;
        }
        for op in self.targets.ops() {
            let _cancelled = self.ring.cancel(op);
        }
    }

    /// The time of those that drain is over: each is told, and has a moment to put an end to it.
    fn end_drains(&mut self, now: Instant) {
        self.drained = true;
        for source in std::mem::take(&mut self.draining) {
            self.call_source(source, SourceEvent::Shutdown);
        }
        self.cancel_all();
        self.stopping = Some(now + LAST_WORDS);
    }

    /// Whether a callback is still to be called.
    fn owes_results(&self) -> bool {
        let bell = u32::from(self.bell_armed);
        self.ring.in_flight() > bell || self.has_refusals() || !self.draining.is_empty()
    }

    /// Runs until all operations have ended, or until the deadline, which a command may move.
    fn reap(&mut self) -> io::Result<()> {
        let mut again = Instant::now() + AGAIN;
        loop {
            let now = Instant::now();
            let deadline = self.stopping.unwrap_or(now);
            let draining = !self.draining.is_empty();
            if draining && now >= deadline {
                self.end_drains(now);
                continue;
            }
            if !self.owes_results() || now >= deadline {
                return Ok(());
            }
            if now >= again {
                // a cancel may miss an operation that is on its way to a worker thread
                self.cancel_all();
                again = now + AGAIN;
            }
            self.turn(Sleep::Soundly, Some(again))?;
            if draining && self.draining.is_empty() {
                self.cancel_all();
            }
        }
    }
}

/// How the loop ends.
impl State {
    /// Whether this is the process that the loop was made in.
    pub(crate) fn check_here(&self) -> io::Result<()> {
        if self.shared.birth.is_elsewhere() {
            return Err(io::Error::from_raw_os_error(libc::EEXIST)); // as the ring says it
        }
        Ok(())
    }

    /// The kernel gave an error that no loop survives: from now on handles say so.
    pub(crate) fn has_failed(&self, error: &io::Error) {
        self.shared.ends(Cause::Kernel(Arc::new(copy(error))));
    }

    /// Reaps what is in flight until the deadline of the shutdown; what is left is leaked, and
    /// counted.
    pub(crate) fn finish(mut self: Box<Self>, mut result: io::Result<()>) -> (Cause, Report) {
        if self.shared.birth.is_elsewhere() {
            return self.abandon();
        }
        if result.is_ok() {
            result = self.reap();
        }
        if result.is_ok() && self.owes_results() {
            // what was cancelled last has ended, and only has to be fetched
            result = self.turn(Sleep::No, None);
        }
        let cause = match result {
            Ok(()) => Cause::Shutdown,
            Err(error) => Cause::Kernel(Arc::new(error)),
        };
        // first: who is called below must not be sent here again
        self.shared.ends(cause.clone());
        if cause.is_failure() {
            self.report.failed_loops = 1;
            self.salvage();
        }
        self.call_the_last();
        (cause, self.close())
    }

    /// The kernel has failed the loop. Nothing new goes out, but everybody is told whom it can
    /// still tell.
    fn salvage(&mut self) {
        let deadline = Instant::now() + LAST_CALL;
        self.begin_shutdown(deadline);
        loop {
            let before = self.ring.in_flight();
            let waited = self.ring.wait(1, Some(deadline));
            self.run_completions();
            let nothing_comes = waited.is_err() && self.ring.in_flight() == before;
            if nothing_comes || !self.owes_results() || Instant::now() >= deadline {
                break;
            }
        }
    }

    /// Runs the commands that were sent before the handles knew of the end, and tells those whose
    /// operations came too late. Both may go on for ever, and are bounded.
    fn call_the_last(&mut self) {
        self.stopping.get_or_insert_with(Instant::now);
        for _ in 0..self.commands.len() {
            self.run_command();
        }
        while self.has_refusals() {
            self.run_refused();
        }
    }

    /// Takes the loop apart.
    fn close(self: Box<Self>) -> Report {
        let State {
            mut report,
            mut stats,
            ring,
            pool,
            mut targets,
            mut timers,
            mut tasks,
            waiting,
            refused,
            commands,
            shared,
            bell_armed,
            ..
        } = *self;
        let in_flight = ring.in_flight() - u32::from(bell_armed);
        // the bell always comes back: it is a poll of an eventfd
        let close = || ring.close(Instant::now() + LAST_CALL).min(in_flight);
        let leaked = catch(close).unwrap_or(in_flight);
        report.leaked = leaked.into();
        report.cancelled += u64::from(in_flight - leaked);
        // User data last: what it does when it is dropped must not touch the loop. Each piece by
        // itself, because the drop of each may panic.
        let mut discard = |panicked: Option<()>| stats.panics += u64::from(panicked.is_none());
        let queued = commands.len(); // senders may be faster than this
        report.lost += (queued + targets.callbacks()) as u64;
        commands.try_iter().take(queued).for_each(|command| discard(catch(|| drop(command))));
        discard(catch(|| drop(commands)));
        waiting.into_iter().for_each(|op| discard(catch(|| drop(op))));
        refused.into_iter().for_each(|output| discard(catch(|| drop(output))));
        timers.drain().for_each(|alarm| discard(catch(|| drop(alarm))));
        tasks.drain().into_iter().for_each(|future| discard(catch(|| drop(future))));
        targets.drain().into_iter().for_each(|target| discard(catch(|| drop(target))));
        drop(pool);
        report.stats = stats;
        shared.published.store(&stats);
        report
    }

    /// In a forked child: gives back what is the child's alone, the descriptors and the memory of
    /// the ring, and leaks the rest. What users keep may talk to the parent's peers when dropped.
    fn abandon(self: Box<Self>) -> (Cause, Report) {
        let State {
            ring,
            pool,
            targets,
            timers,
            tasks,
            waiting,
            refused,
            commands,
            sender,
            shared,
            stats,
            ..
        } = *self;
        drop(ring); // which touches nothing of the parent's
        drop(pool);
        mem::forget((targets, timers, tasks, waiting, refused, commands, sender, shared));
        (Cause::Forked, Report { failed_loops: 1, stats, ..Report::default() })
    }
}
