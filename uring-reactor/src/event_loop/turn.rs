//! One turn of a loop: see the crate's documentation for its steps.

use std::{io, time::Instant};

use uring::{Cqe, Event, SqFlags};

use super::{
    command::Command,
    place::Place,
    source::{Source, SourceEvent},
    state::{Alarm, BELL, State},
    target::{Arrival, Dest, Target},
};
use crate::{stats::Stats, task};

/// How much of each kind a turn does before it goes on: one chatty source must not starve the
/// others.
const BUDGET: usize = 256;

/// How a turn waits if there is nothing to do.
#[derive(Clone, Copy)]
pub(crate) enum Sleep<'m> {
    No,
    /// Signals do not end it.
    Soundly,
    /// A signal ends it; with a mask, only with these blocked.
    Lightly(Option<&'m libc::sigset_t>),
}

/// Whether an operation ended because it was cancelled; worker threads are interrupted.
fn was_cancelled(cqe: Cqe) -> bool {
    let errno = cqe.result().err().and_then(|error| error.raw_os_error());
    matches!(errno, Some(libc::ECANCELED | libc::EINTR))
}

impl State {
    /// Runs one turn. It sleeps, until `until` at the latest, if there is nothing to do.
    pub(crate) fn turn(&mut self, sleep: Sleep<'_>, until: Option<Instant>) -> io::Result<()> {
        self.run_ready();
        self.go(sleep, until)
    }

    /// The first half of a turn: calls what can be called now, and says whether there was any.
    pub(crate) fn run_ready(&mut self) -> bool {
        self.clock.moves();
        self.stats.turns += 1;
        let called = |stats: &Stats| stats.commands + stats.polls + stats.timers + stats.drained;
        let before = called(&self.stats);
        let queued = !self.pokes.is_empty() || self.has_refusals();
        self.run_commands();
        self.run_tasks();
        self.run_timers();
        self.run_pokes();
        self.run_refused();
        self.serve_waiting();
        queued || called(&self.stats) != before
    }

    /// The second half: submits, waits, and calls what has completed.
    pub(crate) fn go(&mut self, sleep: Sleep<'_>, until: Option<Instant>) -> io::Result<()> {
        if !self.bell_armed {
            self.arm_bell();
        }
        self.pool.reclaim();
        let entered = self.enter(sleep, until);
        match entered {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        self.run_completions();
        self.publish();
        entered.map(drop)
    }

    /// Makes the ring's descriptor tell when a turn has something to do, and says when one has even
    /// if it does not tell.
    pub(crate) fn prepare_wait(&mut self) -> io::Result<Option<Instant>> {
        if !self.bell_armed {
            self.arm_bell();
        }
        let ready = self.enter(Sleep::No, None)?;
        self.publish();
        // as before a sleep: from here on, who sends a command rings
        self.shared.bell.doze.lie_down();
        if ready > 0 || !self.may_sleep() {
            self.shared.bell.doze.get_up();
            return Ok(Some(self.clock.now()));
        }
        Ok([self.timers.next(), self.deadline_ahead()].into_iter().flatten().min())
    }

    /// The deadline of a shutdown wakes once: whoever turns the loop by hand may go on after it.
    fn deadline_ahead(&self) -> Option<Instant> {
        self.stopping.filter(|deadline| *deadline > self.clock.now())
    }

    /// Shows the counters to other threads.
    fn publish(&mut self) {
        self.stats.waiting = self.waiting.len() as u64;
        self.shared.published.store(&self.stats);
    }

    fn run_commands(&mut self) {
        for _ in 0..BUDGET {
            if !self.run_command() {
                break;
            }
        }
    }

    /// Runs the oldest command; says whether there was one.
    pub(crate) fn run_command(&mut self) -> bool {
        let Ok(command) = self.commands.try_recv() else { return false };
        self.stats.commands += 1;
        self.refusals = 0;
        match command {
            Command::Run(call) => {
                self.guard(call);
            }
            Command::Poke(source) => self.call_source(self.place(source), SourceEvent::Poked),
            Command::Shutdown(deadline) => self.begin_shutdown(deadline),
        }
        true
    }

    fn run_tasks(&mut self) {
        let batch = self.tasks.take_ready(&self.shared, BUDGET);
        for &task in &batch {
            let Some((mut future, waker)) = self.tasks.borrow(task) else { continue };
            self.stats.polls += 1;
            // a task that panicked has ended
            let done = self.guard(|_| task::poll(&mut future, &waker)).unwrap_or(true);
            let gone = if done {
                self.tasks.abort(task);
                Some(future)
            } else {
                self.tasks.restore(task, future)
            };
            self.discard(gone);
        }
        self.tasks.put_back(batch);
    }

    fn run_timers(&mut self) {
        if self.timers.next().is_none() {
            return; // and no clock is read
        }
        let now = self.clock.now();
        self.timers.begin(now);
        for _ in 0..BUDGET {
            let Some(alarm) = self.timers.pop_due(now) else { break };
            self.stats.timers += 1;
            match alarm {
                Alarm::Call(call) => {
                    self.guard(call);
                }
                Alarm::Source(source, tag) => {
                    self.call_source(source, SourceEvent::Timer { tag });
                }
                Alarm::Cancel(id) => self.cancel(id),
            }
        }
        self.timers.end();
    }

    fn run_pokes(&mut self) {
        // those that are poked meanwhile have their turn in the next one
        for _ in 0..self.pokes.len().min(BUDGET) {
            if let Some(source) = self.pokes.pop_front() {
                self.call_source(source, SourceEvent::Poked);
            }
        }
    }

    pub(crate) fn run_refused(&mut self) {
        // All, without a budget: commands that submit more than it while the loop shuts down would
        // never let it end. Those that are refused meanwhile have their turn in the next one.
        if !self.has_refusals() {
            return;
        }
        self.refusals += u32::from(self.stopping.is_some());
        for _ in 0..self.refused.len() {
            if let Some((output, dest)) = self.refused.pop_front() {
                if self.stopping.is_some() {
                    self.report.cancelled += 1;
                }
                self.dispatch(dest, Arrival::Done(output));
            }
        }
    }

    /// Whether all that is left to do comes with a completion or over the bell.
    fn may_sleep(&self) -> bool {
        self.pokes.is_empty()
            && !self.has_refusals()
            && self.bell_armed
            // what waits for room goes when a completion makes some
            && (self.waiting.is_empty() || self.room() == 0)
            && self.is_idle()
    }

    fn is_idle(&self) -> bool {
        self.commands.is_empty() && self.shared.ready.is_empty()
    }

    /// The one system call of a turn, if there is something to submit, to fetch or to wait for.
    /// Says how much there is to look at.
    fn enter(&mut self, how: Sleep<'_>, until: Option<Instant>) -> io::Result<u32> {
        if self.ring.sq_flags().contains(SqFlags::CQ_OVERFLOW) {
            self.stats.overflows += 1;
        }
        let nearest = self.timers.next();
        let mut sleep = !matches!(how, Sleep::No) && self.may_sleep();
        if sleep {
            self.publish();
            self.shared.bell.doze.lie_down();
            sleep = self.is_idle();
        }
        let until = [nearest, until, self.deadline_ahead()].into_iter().flatten().min();
        let result = match how {
            Sleep::Lightly(mask) if sleep => self.ring.wait_interruptible(1, until, mask),
            _ => self.ring.wait(sleep.into(), until),
        };
        self.clock.moves();
        self.shared.bell.doze.get_up();
        self.stats.enters = self.ring.stats().enters;
        self.stats.stale += self.ring.stats().stale - self.stale_seen;
        self.stale_seen = self.ring.stats().stale;
        match result {
            // the kernel is short of something: what has completed is dispatched, then again
            Err(e) if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EBUSY)) => Ok(1),
            result => result,
        }
    }

    pub(crate) fn run_completions(&mut self) {
        for _ in 0..BUDGET {
            let Some(event) = self.ring.next() else { break };
            match event {
                Event::Item { id, ctx, item, .. } => {
                    let dest = *ctx;
                    self.stats.completions += 1;
                    if !self.targets.contains(dest.place) {
                        // nobody is left to end it; if this fails, its next item tries again
                        let _cancelled = self.ring.cancel(id);
                    }
                    self.dispatch(dest, Arrival::Item(item));
                }
                Event::Done { ctx: BELL, cqe, .. } => {
                    // ours, and nobody's operation
                    self.stats.wakeups += u64::from(cqe.raw_result() > 0);
                    self.arm_bell();
                }
                Event::Done { ctx: dest, output, cqe, .. } => {
                    self.stats.completions += 1;
                    self.count_end(cqe);
                    self.dispatch(dest, Arrival::Done(output));
                }
                _ => {}
            }
        }
    }

    fn count_end(&mut self, cqe: Cqe) {
        if self.stopping.is_none() {
            return;
        }
        self.refusals = 0;
        if was_cancelled(cqe) {
            self.report.cancelled += 1;
        } else {
            self.report.completed += 1;
        }
    }

    fn dispatch(&mut self, dest: Dest, arrival: Arrival) {
        let id = dest.place;
        match (self.targets.borrow(id), arrival) {
            (Some(Target::Source(source)), arrival) => {
                let tag = dest.tag;
                let event = match arrival {
                    Arrival::Item(item) => SourceEvent::Item { tag, item },
                    Arrival::Done(output) => SourceEvent::Done { tag, output },
                };
                self.run_source(id, source, event);
            }
            (Some(Target::Once(call)), Arrival::Done(output)) => {
                self.remove(id);
                self.guard(|cx| call(output, cx));
            }
            (Some(Target::Many(mut call)), arrival) => {
                let last = matches!(arrival, Arrival::Done(_));
                let panicked = self.guard(|cx| call(arrival, cx)).is_none();
                if panicked && !last {
                    self.cancel(id);
                }
                if panicked || last {
                    self.remove(id);
                    self.discard(call);
                } else if let Some(removed) = self.targets.restore(id, Target::Many(call)) {
                    self.discard(removed);
                }
            }
            // items of an operation that was asked for its output only
            (Some(target @ Target::Once(_)), Arrival::Item(item)) => {
                self.targets.restore(id, target);
                self.discard(item);
            }
            (Some(Target::Busy) | None, arrival) => {
                self.stats.stale += 1;
                match arrival {
                    Arrival::Item(item) => self.discard(item),
                    Arrival::Done(output) => self.discard(output),
                }
            }
        }
    }

    pub(crate) fn call_source(&mut self, id: Place, event: SourceEvent) {
        match self.targets.borrow(id) {
            Some(Target::Source(source)) => self.run_source(id, source, event),
            Some(target) => {
                self.targets.restore(id, target);
            }
            None => {}
        }
    }

    fn run_source(&mut self, id: Place, mut source: Box<dyn Source>, event: SourceEvent) {
        let panicked = self.guard(|cx| source.on_event(event, cx)).is_none();
        if panicked {
            // its invariants may be broken: it does not get another event
            self.remove(id);
            self.discard(source);
        } else if let Some(removed) = self.targets.restore(id, Target::Source(source)) {
            self.discard(removed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cancel_interrupted_in_a_worker_was_cancelled() {
        // ECANCELED is 125 and EINTR 4 in errno(3), ERESTARTSYS 512 in include/linux/errno.h
        let cqe = |res| Cqe::new(uring_sys::io_uring_cqe { res, ..Default::default() });
        for res in [-125, -4, -512] {
            assert!(was_cancelled(cqe(res)), "{res}");
        }
        // EPIPE, and success with and without bytes
        for res in [-32, 0, 4] {
            assert!(!was_cancelled(cqe(res)), "{res}");
        }
    }
}
