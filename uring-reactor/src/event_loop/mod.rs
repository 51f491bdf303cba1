//! A loop: as the thread that it runs on has it, and as a callback sees it.
//!
//! Callbacks get the loop that they are kept in, so that the two know each other. Both stand here,
//! and below is what they are made of.

use std::{
    fmt, io,
    time::{Duration, Instant},
};

use state::State;

use crate::{clock::after, end::Cause, stats::Report};

pub(crate) mod command;
pub(crate) mod cx;
pub(crate) mod shutdown;
pub(crate) mod source;
pub(crate) mod state;
pub(crate) mod target;
pub(crate) mod turn;

/// A loop that runs on the thread that made it. [`Reactor`](crate::Reactor) runs several on threads
/// of their own.
///
/// ```
/// use std::time::Duration;
/// use uring_reactor::EventLoop;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring_reactor::check() else { return Ok(()) };
/// let mut event_loop = EventLoop::builder().build()?;
/// event_loop.with(|cx| {
///     cx.after(Duration::from_millis(1), |cx| {
///         cx.handle().shutdown(Duration::ZERO).ok();
///     });
/// });
/// let report = event_loop.run()?;
/// assert_eq!(report.leaked, 0);
/// # Ok(()) }
/// ```
///
/// Dropping it shuts it down as [`shutdown`](Self::shutdown) does, within five seconds: every
/// callback runs, a pending one with `ECANCELED`. In a forked child a drop calls nobody and touches
/// nothing of the parent's.
pub struct EventLoop {
    /// Taken by its end.
    state: Option<Box<State>>,
}

/// How long a loop that is dropped waits for its operations.
const DROP_LIMIT: Duration = Duration::from_secs(5);

impl EventLoop {
    pub(crate) const fn of(state: Box<State>) -> Self {
        Self { state: Some(state) }
    }

    pub(crate) fn state(&mut self) -> &mut State {
        self.state.as_mut().expect("only what consumes the loop takes it")
    }

    /// Calls `call` with the loop, to submit the first operations.
    pub fn with<R>(&mut self, call: impl FnOnce(&mut Cx<'_>) -> R) -> R {
        let state = self.state();
        state.clock.moves(); // since the last turn
        call(&mut Cx { state })
    }

    /// Runs one turn. If it finds nothing to call, it sleeps until there is, or until `until` at
    /// the latest; without `until` it does not sleep. For programs that have a loop of their own.
    ///
    /// # Errors
    ///
    /// Those of `io_uring_enter(2)` that no loop survives: from then on its handles say that it has
    /// ended. `EEXIST` in a forked child.
    pub fn turn(&mut self, until: Option<Instant>) -> io::Result<()> {
        let state = self.state();
        let result = state.check_here().and_then(|()| {
            // who waits for what a closure does must hear of it before the loop sleeps
            let called = state.run_ready();
            state.go(until.is_some() && !called, until)
        });
        result.inspect_err(|error| state.has_failed(error))
    }

    /// Runs until [`Handle::shutdown`](crate::Handle::shutdown), and says how it ended.
    ///
    /// # Errors
    ///
    /// Those of `io_uring_enter(2)` that no loop survives, such as `EBADR`: a completion was lost.
    pub fn run(self) -> io::Result<Report> {
        match self.run_to_end() {
            (Cause::Kernel(error), _) => Err(copy(&error)),
            (_, report) => Ok(report),
        }
    }

    /// The same, with the report in any case.
    pub(crate) fn run_to_end(mut self) -> (Cause, Report) {
        let mut state = self.state.take().expect("only what consumes the loop takes it");
        let mut result = Ok(());
        while result.is_ok() && state.stopping.is_none() {
            result = state.check_here().and_then(|()| state.turn(true, None));
        }
        state.finish(result)
    }

    /// Ends the loop within `limit`, as [`Handle::shutdown`](crate::Handle::shutdown) does for one
    /// that runs.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn shutdown(mut self, limit: Duration) -> io::Result<Report> {
        let handle = self.handle();
        // the receiver is in `self`, so the command arrives
        let _sent = handle.shutdown(limit);
        self.run()
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        let Some(mut state) = self.state.take() else { return };
        let here = state.check_here();
        if here.is_ok() {
            state.begin_shutdown(after(DROP_LIMIT));
        }
        let _nobody_asks = state.finish(here);
    }
}

/// An error of the kernel once more, for somebody else.
pub(crate) fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(errno) => io::Error::from_raw_os_error(errno),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

/// The loop that a callback runs on.
///
/// What is submitted goes out with the turn's one enter, so that nothing here makes a system call;
/// only if the submission queue is full, what is in it is handed to the kernel at once.
pub struct Cx<'l> {
    pub(crate) state: &'l mut State,
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = self.state.as_ref().map(|state| state.stats);
        f.debug_struct("EventLoop").field("stats", &stats).finish_non_exhaustive()
    }
}

impl fmt::Debug for Cx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx").field("stats", &self.state.stats).finish_non_exhaustive()
    }
}
