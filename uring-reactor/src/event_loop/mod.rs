//! A loop: as the thread that it runs on has it, and as a callback sees it.
//!
//! Callbacks get the loop that they are kept in, so that the two know each other. Both stand here,
//! and below is what they are made of.

use std::{
    fmt, io,
    time::{Duration, Instant},
};

use state::State;

use crate::stats::Report;

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
pub struct EventLoop {
    pub(crate) state: State,
}

impl EventLoop {
    /// Calls `call` with the loop, to submit the first operations.
    pub fn with<R>(&mut self, call: impl FnOnce(&mut Cx<'_>) -> R) -> R {
        call(&mut Cx { state: &mut self.state })
    }

    /// Runs one turn. If it finds nothing to call, it sleeps until there is, or until `until` at
    /// the latest; without `until` it does not sleep. For programs that have a loop of their own.
    ///
    /// # Errors
    ///
    /// Those of `io_uring_enter(2)` that no loop survives.
    pub fn turn(&mut self, until: Option<Instant>) -> io::Result<()> {
        // who waits for what a closure does must hear of it before the loop sleeps
        let called = self.state.run_ready();
        self.state.go(until.is_some() && !called, until)
    }

    /// Runs until [`Handle::shutdown`](crate::Handle::shutdown), and says how it ended.
    ///
    /// # Errors
    ///
    /// Those of `io_uring_enter(2)` that no loop survives, such as `EBADR`: a completion was lost.
    pub fn run(mut self) -> io::Result<Report> {
        let mut result = Ok(());
        while result.is_ok() && self.state.stopping.is_none() {
            result = self.state.turn(true, None);
        }
        self.finish(result)
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

/// The loop that a callback runs on.
///
/// What is submitted goes out with the turn's one enter, so that nothing here makes a system call;
/// only if the submission queue is full, what is in it is handed to the kernel at once.
pub struct Cx<'l> {
    pub(crate) state: &'l mut State,
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop").field("stats", &self.state.stats).finish_non_exhaustive()
    }
}

impl fmt::Debug for Cx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx").field("stats", &self.state.stats).finish_non_exhaustive()
    }
}
