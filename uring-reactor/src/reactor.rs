//! Loops on threads of their own.

use std::{
    fmt, io, mem,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam_channel::bounded;
use parking_lot::{Condvar, Mutex};

use crate::{
    builder::{Builder, Settings},
    clock::after,
    end::{Cause, EndHook, LoopEnd},
    error::BuildError,
    event_loop::{EventLoop, state::catch},
    remote::handle::Handle,
    stats::{Report, Stats},
};

/// How long a reactor that is dropped waits for its operations.
const DROP_LIMIT: Duration = Duration::from_secs(5);

/// How long beyond the limit of a shutdown its loops may take to say so.
const GRACE: Duration = Duration::from_secs(1);

/// As many processors as Linux can have. More loops than processors are only in each other's way.
const LOOPS_MAX: usize = 8192;

struct Running {
    handle: Handle,
    thread: JoinHandle<()>,
}

/// The loops that have ended, in that order.
#[derive(Default)]
struct Ends {
    list: Mutex<Vec<LoopEnd>>,
    one_more: Condvar,
}

impl Ends {
    fn add(&self, end: LoopEnd) {
        self.list.lock().push(end);
        self.one_more.notify_all();
    }
}

/// Event loops, each with a ring of its own, on threads of their own.
///
/// Dropping it shuts it down, as [`shutdown`](Self::shutdown) with five seconds does; only that
/// says how it went.
/// On a thread of one of its loops, which cannot wait for itself, both only ask that loop to end.
/// In a forked child, which has no loops, both return at once and touch nothing.
///
/// A loop that ends by itself, because the kernel gave an error that no loop survives, is told by
/// [`wait`](Self::wait), by [`on_loop_end`](Builder::on_loop_end), and by whatever is asked of its
/// handles.
///
/// ```no_run
/// use uring_reactor::Reactor;
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let reactor = Reactor::builder().loops(2).build()?;
///     // .. listeners on it; somebody calls `Handle::shutdown` ..
///     reactor.wait()?; // else the process ends with an error, which says why
///     Ok(())
/// }
/// ```
pub struct Reactor {
    loops: Vec<Running>,
    next: AtomicUsize,
    ends: Arc<Ends>,
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
        if settings.loops > LOOPS_MAX {
            return Err(BuildError::TooManyLoops(settings.loops));
        }
        if settings.name.contains('\0') {
            return Err(BuildError::BadName(settings.name.clone()));
        }
        let ends = Arc::default();
        let mut reactor = Self { loops: Vec::new(), next: AtomicUsize::new(0), ends };
        let mut workers = None;
        for number in 0..settings.loops {
            let (running, fd) = start_loop(settings, number, workers.take(), &reactor.ends)?;
            reactor.loops.push(running);
            workers = fd;
        }
        Ok(reactor)
    }

    /// A way to one of the loops, in turns. Loops that have ended, or have begun to, are passed
    /// over as long as there are others.
    pub fn handle(&self) -> &Handle {
        let count = self.loops.len();
        // Relaxed: only the distribution depends on it
        let first = self.next.fetch_add(1, Ordering::Relaxed) % count;
        let in_turns = (first..count).chain(0..first);
        let live = in_turns.clone().find(|number| self.loops[*number].handle.takes_work());
        // when none is left, any says why
        &self.loops[live.unwrap_or(first)].handle
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

    /// Waits until all loops have ended because they were asked to, or until the first has ended
    /// for another reason.
    ///
    /// On a thread of one of its loops it does not wait, and only tells what has happened.
    ///
    /// # Errors
    ///
    /// The [`LoopEnd`] says which loop has ended and why, and has its report; the other loops go
    /// on. In a forked child, which has no loops, it comes at once.
    pub fn wait(&self) -> Result<(), LoopEnd> {
        if self.is_elsewhere() {
            return Err(self.not_here());
        }
        let may_wait = !self.handles().any(Handle::is_current);
        let mut list = self.ends.list.lock();
        loop {
            if let Some(failed) = list.iter().find(|end| end.cause.is_failure()) {
                return Err(failed.clone());
            }
            if list.len() >= self.loops.len() || !may_wait {
                return Ok(());
            }
            self.ends.one_more.wait(&mut list);
        }
    }

    /// Ends all loops within `limit`: cancels what is in flight, waits for it, closes the rings,
    /// and says how that went, loops that had ended before included. Every callback has run by
    /// then, unless its operation is leaked or the report calls it lost. A loop that a callback
    /// holds up is given a second more, and then counts as failed.
    pub fn shutdown(mut self, limit: Duration) -> Report {
        self.end(limit)
    }

    fn end(&mut self, limit: Duration) -> Report {
        if self.is_elsewhere() {
            let LoopEnd { report, .. } = self.not_here();
            // the threads are the parent's: there is nobody to join here
            mem::forget(mem::take(&mut self.loops));
            return *report;
        }
        for running in &self.loops {
            // one that has ended already has left its report
            let _sent = running.handle.shutdown(limit);
        }
        let deadline: Instant = after(limit.saturating_add(GRACE));
        let others = self.handles().filter(|handle| !handle.is_current()).count();
        let mut list = self.ends.list.lock();
        while list.len() < others {
            if self.ends.one_more.wait_until(&mut list, deadline).timed_out() {
                break;
            }
        }
        let mut ends = mem::take(&mut *list);
        drop(list);
        let mut all = Report::default();
        for (number, Running { handle, thread }) in self.loops.drain(..).enumerate() {
            if let Some(at) = ends.iter().position(|end| end.number == number) {
                all += *ends.swap_remove(at).report;
                // it has nothing left to do
                let _ended = thread.join();
            } else {
                all.failed_loops += 1;
                all.stats += handle.stats();
            }
        }
        all
    }

    /// Whether this is a forked child of the process that the loops run in.
    fn is_elsewhere(&self) -> bool {
        self.loops.first().is_some_and(|first| first.handle.shared.birth.is_elsewhere())
    }

    /// What to say in a forked child.
    fn not_here(&self) -> LoopEnd {
        let report = Report {
            failed_loops: self.loops.len() as u64,
            stats: self.stats(),
            ..Report::default()
        };
        let thread = self.loops[0].thread.thread().name().unwrap_or_default().to_owned();
        LoopEnd { number: 0, thread, cause: Cause::Forked, report: Box::new(report) }
    }
}

impl Builder<Reactor> {
    /// How many loops there are, each on a thread of its own: 1 to 8192. The default is 1.
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

    /// Is told of each loop that ends, whatever the reason, as the last thing on its thread; what
    /// it panics with ends there.
    ///
    /// Without a hook, an end that nobody asked for is printed to standard error, in one line: a
    /// server that has lost a loop must not look as if all were well.
    pub fn on_loop_end(mut self, hook: impl Fn(&LoopEnd) + Send + Sync + 'static) -> Self {
        self.settings.on_loop_end = EndHook(Arc::new(hook));
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
    ends: &Arc<Ends>,
) -> Result<(Running, Option<OwnedFd>), BuildError> {
    let (ready, is_ready) = bounded(1);
    let name = format!("{}-{number}", settings.name);
    let called = name.clone();
    let (settings, ends) = (settings.clone(), Arc::clone(ends));
    let run = move || {
        let made = settings.build_state(workers.as_ref().map(AsFd::as_fd));
        drop(workers);
        let made = made.and_then(|state| {
            let mut event_loop = EventLoop::of(state);
            let fd = if settings.share_workers { Some(event_loop.ring_fd()?) } else { None };
            Ok((event_loop, fd))
        });
        match made {
            Ok((mut event_loop, fd)) => {
                let handle = event_loop.handle();
                // if nobody listens any more, nobody wants the loop
                if ready.send(Ok((handle.clone(), fd))).is_ok() {
                    let (cause, report) = run_guarded(event_loop, &handle);
                    let report = Box::new(report);
                    let end = LoopEnd { number, thread: called, cause, report };
                    catch(|| (settings.on_loop_end.0)(&end));
                    ends.add(end);
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
        Ok((handle, fd)) => Ok((Running { handle, thread }, fd)),
        Err(error) => {
            let _ended = thread.join();
            Err(error)
        }
    }
}

/// Runs a loop to its end; a panic of the loop itself is one.
fn run_guarded(event_loop: EventLoop, handle: &Handle) -> (Cause, Report) {
    catch(|| event_loop.run_to_end()).unwrap_or_else(|| {
        handle.shared.ends(Cause::Panicked);
        let report = Report { failed_loops: 1, stats: handle.stats(), ..Report::default() };
        (Cause::Panicked, report)
    })
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
