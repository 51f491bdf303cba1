//! Loops on threads of their own.

use std::{
    fmt, io,
    os::fd::{AsFd, OwnedFd},
    sync::atomic::{AtomicUsize, Ordering},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use crate::{
    builder::{Builder, Settings},
    clock::after,
    error::BuildError,
    event_loop::EventLoop,
    remote::handle::Handle,
    stats::{Report, Stats},
};

/// How long a reactor that is dropped waits for its operations.
const DROP_LIMIT: Duration = Duration::from_secs(5);

/// How long beyond the limit of a shutdown its loops may take to say so.
const GRACE: Duration = Duration::from_secs(1);

struct Running {
    handle: Handle,
    report: Receiver<io::Result<Report>>,
    thread: JoinHandle<()>,
}

/// Event loops, each with a ring of its own, on threads of their own.
///
/// Dropping it shuts it down, as [`shutdown`](Self::shutdown) with five seconds does; only that
/// says how it went.
/// On a thread of one of its loops, which cannot wait for itself, both only ask that loop to end.
pub struct Reactor {
    loops: Vec<Running>,
    next: AtomicUsize,
}

impl Reactor {
    /// Settings for a new reactor.
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }

    fn start(settings: &Settings) -> Result<Self, BuildError> {
        if settings.loops == 0 {
            return Err(BuildError::BadSettings(
                "a reactor has at least one loop; 0 were asked for",
            ));
        }
        let mut reactor = Self { loops: Vec::new(), next: AtomicUsize::new(0) };
        let mut workers = None;
        for number in 0..settings.loops {
            let (running, fd) = start_loop(settings, number, workers.take())?;
            reactor.loops.push(running);
            workers = fd;
        }
        Ok(reactor)
    }

    /// A way to one of the loops, in turns.
    pub fn handle(&self) -> &Handle {
        // Relaxed: only the distribution depends on it
        let number = self.next.fetch_add(1, Ordering::Relaxed) % self.loops.len();
        &self.loops[number].handle
    }

    /// The ways to all loops.
    pub fn handles(&self) -> impl ExactSizeIterator<Item = &Handle> {
        self.loops.iter().map(|running| &running.handle)
    }

    /// What all loops have done so far, as each told when it last fell asleep or finished a turn.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut all = Stats::default();
        for handle in self.handles() {
            all += handle.stats();
        }
        all
    }

    /// Ends all loops within `limit`: cancels what is in flight, waits for it, closes the rings,
    /// and says how that went. Every callback has run by then, unless its operation is leaked. A
    /// loop that a callback holds up is given a second more, and then counts as failed.
    pub fn shutdown(mut self, limit: Duration) -> Report {
        self.end(limit)
    }

    fn end(&mut self, limit: Duration) -> Report {
        for running in &self.loops {
            // one that has ended already has left its report
            let _sent = running.handle.shutdown(limit);
        }
        let deadline: Instant = after(limit.saturating_add(GRACE));
        let mut all = Report::default();
        for Running { handle, report, thread } in self.loops.drain(..) {
            let report = if handle.is_current() {
                Err(RecvTimeoutError::Timeout)
            } else {
                report.recv_deadline(deadline)
            };
            if !matches!(report, Err(RecvTimeoutError::Timeout)) {
                // it has nothing left to do, and how it panicked was printed
                let _ended = thread.join();
            }
            match report {
                Ok(Ok(report)) => all += report,
                Ok(Err(_)) | Err(_) => {
                    all.failed_loops += 1;
                    all.stats += handle.stats();
                }
            }
        }
        all
    }
}

impl Builder<Reactor> {
    /// How many loops there are, each on a thread of its own. The default is one.
    pub fn loops(mut self, loops: usize) -> Self {
        self.settings.loops = loops;
        self
    }

    /// Lets all loops share the worker threads of the first.
    #[doc(alias = "IORING_SETUP_ATTACH_WQ")]
    pub fn share_workers(mut self) -> Self {
        self.settings.share_workers = true;
        self
    }

    /// What the threads are called; a number is added. The default is `uring-loop`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// Makes the loops and starts their threads.
    ///
    /// # Errors
    ///
    /// [`BuildError`] says what is missing, and what to do. No thread is left behind.
    pub fn build(self) -> Result<Reactor, BuildError> {
        Reactor::start(&self.settings)
    }
}

/// Starts a loop on a thread of its own, which makes the ring that it uses; the descriptor is for
/// the next loop to share workers with.
fn start_loop(
    settings: &Settings,
    number: usize,
    workers: Option<OwnedFd>,
) -> Result<(Running, Option<OwnedFd>), BuildError> {
    let (ready, is_ready) = bounded(1);
    let (done, report) = bounded(1);
    let name = format!("{}-{number}", settings.name);
    let settings = settings.clone();
    let share = settings.share_workers;
    let run = move || {
        let made = settings.build_state(workers.as_ref().map(AsFd::as_fd));
        drop(workers);
        let made = made.and_then(|state| {
            let event_loop = EventLoop { state };
            let fd = if share { Some(event_loop.ring_fd()?) } else { None };
            Ok((event_loop, fd))
        });
        match made {
            Ok((mut event_loop, fd)) => {
                // if nobody listens any more, nobody wants the loop
                if ready.send(Ok((event_loop.handle(), fd))).is_ok() {
                    let _heard = done.send(event_loop.run());
                }
            }
            Err(error) => {
                let _heard = ready.send(Err(error));
            }
        }
    };
    let thread = thread::Builder::new().name(name).spawn(run).map_err(BuildError::System)?;
    let gone = || BuildError::System(io::Error::other("the thread of a loop ended at once"));
    match is_ready.recv().unwrap_or_else(|_| Err(gone())) {
        Ok((handle, fd)) => Ok((Running { handle, report, thread }, fd)),
        Err(error) => {
            let _ended = thread.join();
            Err(error)
        }
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        if !self.loops.is_empty() {
            self.end(DROP_LIMIT);
        }
    }
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor")
            .field("loops", &self.loops.len())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
