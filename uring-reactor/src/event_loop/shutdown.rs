//! The end of a loop.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{
    EventLoop,
    source::SourceEvent,
    state::{State, catch},
};
use crate::stats::Report;

/// How long a loop that ends waits before it cancels what is in flight once more.
const AGAIN: Duration = Duration::from_millis(100);

/// How long, after the deadline, the kernel may take to give back what it can give back at once.
const LAST_CALL: Duration = Duration::from_millis(20);

impl State {
    pub(crate) fn begin_shutdown(&mut self, deadline: Instant) {
        if let Some(earlier) = self.stopping {
            self.stopping = Some(earlier.min(deadline));
            return;
        }
        self.stopping = Some(deadline);
        for future in self.tasks.drain() {
            self.discard(future);
        }
        for source in self.targets.sources() {
            self.call_source(source, SourceEvent::Shutdown);
        }
        for (op, dest) in std::mem::take(&mut self.waiting) {
            self.refuse(op, dest, io::Error::from_raw_os_error(libc::ECANCELED));
        }
        self.cancel_all();
    }

    fn cancel_all(&mut self) {
        // if this fails, it is tried again, until the deadline
        let _cancelled = self.ring.cancel_all();
    }

    /// Whether a callback is still to be called.
    fn owes_results(&self) -> bool {
        let bell = u32::from(self.bell_armed);
        self.ring.in_flight() > bell || !self.waiting.is_empty() || !self.refused.is_empty()
    }

    /// Runs until all operations have ended, or until the deadline, which a command may move.
    fn reap(&mut self) -> io::Result<()> {
        let mut again = Instant::now() + AGAIN;
        loop {
            let now = Instant::now();
            let deadline = self.stopping.unwrap_or(now);
            if !self.owes_results() || now >= deadline {
                return Ok(());
            }
            if now >= again {
                // a cancel may miss an operation that is on its way to a worker thread
                self.cancel_all();
                again = now + AGAIN;
            }
            self.turn(true, Some(again))?;
        }
    }
}

impl EventLoop {
    /// Reaps what is in flight until the deadline of the shutdown; what is left is leaked, and
    /// counted.
    pub(crate) fn finish(mut self, mut result: io::Result<()>) -> io::Result<Report> {
        if result.is_ok() {
            result = self.state.reap();
        }
        if result.is_ok() && self.state.owes_results() {
            // what was cancelled last has ended, and only has to be fetched
            result = self.state.turn(false, None);
        }
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
        } = self.state;
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
        result.map(|()| report)
    }
}
