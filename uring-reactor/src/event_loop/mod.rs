//! A loop: as the thread that it runs on has it, and as a callback sees it.
//!
//! Callbacks get the loop that they are kept in, so that the two know each other. Both stand here,
//! and below is what they are made of.

use std::{
    fmt, io,
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use outside::Signal;
use state::State;
use turn::Sleep;

use crate::{clock::after, end::Cause, here::set_loop_thread, stats::Report};

pub(crate) mod command;
pub(crate) mod cx;
mod outside;
pub(crate) mod place;
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
    /// For whoever waits outside; a loop of a reactor has none.
    signal: Option<Signal>,
}

/// How long a loop that is dropped waits for its operations.
const DROP_LIMIT: Duration = Duration::from_secs(5);

impl EventLoop {
    /// A loop that nobody waits for from outside.
    pub(crate) const fn of(state: Box<State>) -> Self {
        Self { state: Some(state), signal: None }
    }

    /// A loop that somebody may wait for from outside.
    pub(crate) fn with_signal(state: Box<State>) -> io::Result<Self> {
        Ok(Self { state: Some(state), signal: Some(Signal::new()?) })
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
    /// After the shutdown of the loop has begun, turns go on as long as they are called:
    /// [`run`](Self::run) or a drop ends it.
    ///
    /// # Errors
    ///
    /// Those of `io_uring_enter(2)` that no loop survives: from then on its handles say that it has
    /// ended. `EEXIST` in a forked child.
    pub fn turn(&mut self, until: Option<Instant>) -> io::Result<()> {
        let sleep = if until.is_some() { Sleep::Soundly } else { Sleep::No };
        self.turn_by(sleep, until)
    }

    /// As [`turn`](Self::turn), but a signal ends the sleep, which without `until` has no end. With
    /// `mask`, exactly the signals in it are blocked while it sleeps, as [`ppoll(2)`] does it: how
    /// a program takes signals only there, and none is lost.
    ///
    /// # Errors
    ///
    /// As [`turn`](Self::turn), and `EINTR` if a signal was handled: what had completed by then was
    /// called. If operations went out in the same turn, the kernel does not tell, and the turn just
    /// ends early.
    ///
    /// [`ppoll(2)`]: https://man7.org/linux/man-pages/man2/ppoll.2.html
    pub fn turn_interruptible(
        &mut self,
        until: Option<Instant>,
        mask: Option<&libc::sigset_t>,
    ) -> io::Result<()> {
        self.turn_by(Sleep::Lightly(mask), until)
    }

    fn turn_by(&mut self, sleep: Sleep<'_>, until: Option<Instant>) -> io::Result<()> {
        let state = self.state();
        set_loop_thread(true);
        let result = state.check_here().and_then(|()| {
            state.shared.bell.doze.get_up(); // it may have been left to be waited for
            // who waits for what a closure does must hear of it before the loop sleeps
            let sleep = if state.run_ready() { Sleep::No } else { sleep };
            state.go(sleep, until)
        });
        set_loop_thread(false);
        self.tell(result)
    }

    /// Hands what is queued to the kernel, so that the loop can be waited for from outside: until
    /// the next turn its descriptor polls readable when there is something to do. The result is
    /// when a turn is due even if it does not: at the nearest timer, or at once if there is
    /// something to do already.
    ///
    /// This is how another loop drives this one: wait for the descriptor ([`AsFd`]) to be readable,
    /// until that time; [`turn`](Self::turn) without a time; this again.
    ///
    /// ```
    /// use std::{os::fd::{AsFd, AsRawFd}, time::{Duration, Instant}};
    /// use uring_reactor::EventLoop;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Ok(_) = uring_reactor::check() else { return Ok(()) };
    /// let mut event_loop = EventLoop::builder().build()?;
    /// event_loop.with(|cx| {
    ///     cx.after(Duration::from_millis(1), |cx| { cx.handle().shutdown(Duration::ZERO).ok(); });
    /// });
    /// while !event_loop.with(|cx| cx.is_stopping()) {
    ///     let until = event_loop.prepare_wait()?;
    ///     let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    ///     // here epoll, mio or a graphical toolkit would wait for this and for others
    ///     let mut fd = libc::pollfd {
    ///         fd: event_loop.as_fd().as_raw_fd(),
    ///         events: libc::POLLIN,
    ///         revents: 0,
    ///     };
    ///     let millis = left.map_or(-1, |left| left.as_millis().min(1000) as i32 + 1);
    ///     // SAFETY: it is one descriptor.
    ///     unsafe { libc::poll(&mut fd, 1, millis) };
    ///     event_loop.turn(None)?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`turn`](Self::turn).
    pub fn prepare_wait(&mut self) -> io::Result<Option<Instant>> {
        let Self { state: Some(state), signal } = self else { unreachable!("as in `state`") };
        state.clock.moves();
        let result = state.check_here().and_then(|()| {
            if let Some(signal) = signal {
                signal.reset(state.ring.as_fd(), &state.shared.bell)?;
            }
            state.prepare_wait()
        });
        self.tell(result)
    }

    /// The handles hear of an error that no loop survives.
    fn tell<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.state().has_failed(error);
            }
        })
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
        set_loop_thread(true);
        let mut result = Ok(());
        while result.is_ok() && state.stopping.is_none() {
            result = state.check_here().and_then(|()| state.turn(Sleep::Soundly, None));
        }
        let ends = state.finish(result);
        set_loop_thread(false);
        ends
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

/// A descriptor to wait for, with [`prepare_wait`](EventLoop::prepare_wait). It is always the same,
/// for level- and edge-triggered waits.
impl AsFd for EventLoop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signal.as_ref().expect("users have only loops with one").as_fd()
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
