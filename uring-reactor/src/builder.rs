//! The settings of loops.

use std::{
    collections::VecDeque,
    marker::PhantomData,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    thread,
};

use uring::{Ring, SetupFlags, Support};

use crate::{
    birth::Birth,
    clock::Clock,
    end::EndHook,
    error::BuildError,
    event_loop::{
        EventLoop,
        state::State,
        target::{Dest, Targets},
    },
    home::Home,
    op::LoopOp,
    remote::{shared::Shared, wakeup::Bell},
    stats::{Report, Stats},
    task::Tasks,
    timer::Timers,
};

/// What a loop needs, all of Linux 6.1; multishot receives and buffer rings are older.
const REQUIRED: SetupFlags = SetupFlags::SINGLE_ISSUER.union(SetupFlags::DEFER_TASKRUN);

/// Finds out whether this machine can run event loops, by making a ring and asking it.
///
/// # Errors
///
/// [`BuildError`] says what is missing, and what to do.
pub fn check() -> Result<Support, BuildError> {
    let support = uring::check().map_err(BuildError::Ring)?;
    suffices(support.flags, || support.release.clone())?;
    Ok(support)
}

fn suffices(flags: SetupFlags, release: impl FnOnce() -> String) -> Result<(), BuildError> {
    let missing = REQUIRED.difference(flags);
    if missing.is_empty() {
        return Ok(());
    }
    Err(BuildError::TooOld { missing, release: release() })
}

/// Makes an [`EventLoop`] or a [`Reactor`](crate::Reactor).
#[must_use = "settings do nothing until `build` is called"]
#[derive(Debug)]
pub struct Builder<T> {
    pub(crate) settings: Settings,
    makes: PhantomData<fn() -> T>,
}

/// The settings themselves.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) entries: u32,
    pub(crate) completions: u32,
    pub(crate) operations: u32,
    pub(crate) buffers: u16,
    pub(crate) buffer_bytes: u32,
    pub(crate) loops: usize,
    pub(crate) share_workers: bool,
    pub(crate) name: String,
    pub(crate) on_loop_end: EndHook,
}

impl<T> Builder<T> {
    pub(crate) fn new() -> Self {
        let settings = Settings {
            entries: 256,
            completions: 4096,
            operations: 16_384,
            buffers: 1024,
            buffer_bytes: 4096,
            loops: 1,
            share_workers: false,
            name: "uring-loop".into(),
            on_loop_end: EndHook::default(),
        };
        Self { settings, makes: PhantomData }
    }

    /// How many entries one submission holds; more than that in one turn takes another system call.
    /// The default is 256.
    pub fn entries(mut self, entries: u32) -> Self {
        self.settings.entries = entries;
        self
    }

    /// How many completions are kept until they are read. The default is 4096; a large one is worth
    /// its memory, because multishot operations end when it overflows.
    pub fn completions(mut self, completions: u32) -> Self {
        self.settings.completions = completions;
        self
    }

    /// How many operations may be in flight on a loop. The default is 16384; a connection takes one
    /// or two.
    pub fn operations(mut self, operations: u32) -> Self {
        self.settings.operations = operations;
        self
    }

    /// The buffers that a loop receives into: `buffers`, a power of two, of `buffer_bytes` each.
    /// The default is 1024 of 4096.
    pub fn buffers(mut self, buffers: u16, buffer_bytes: u32) -> Self {
        self.settings.buffers = buffers;
        self.settings.buffer_bytes = buffer_bytes;
        self
    }
}

impl Settings {
    pub(crate) fn build_state(
        &self,
        workers: Option<BorrowedFd<'_>>,
    ) -> Result<Box<State>, BuildError> {
        if self.operations == 0 {
            return Err(BuildError::BadSettings("a loop has room for at least one operation"));
        }
        let mut settings = Ring::<LoopOp, Dest>::builder()
            .entries(self.entries)
            .completions(self.completions)
            .operations(self.operations.saturating_add(1)); // and the bell
        if let Some(fd) = workers {
            settings = settings.share_workers_of(fd);
        }
        let mut ring = settings.build().map_err(BuildError::Ring)?;
        let flags = ring.setup_flags();
        suffices(flags, || uring::check().map_or_else(|e| e.to_string(), |s| s.release))?;
        let pool = ring.pool(self.buffers, self.buffer_bytes).map_err(BuildError::Pool)?;
        let (sender, commands) = crossbeam_channel::unbounded();
        let birth = Birth::here().map_err(BuildError::System)?;
        let bell = Bell::new().map_err(BuildError::System)?;
        let home = Home::new();
        let shared = Shared::new(bell, flags, thread::current().id(), birth);
        let mut state = Box::new(State {
            ring,
            pool,
            targets: Targets::default(),
            timers: Timers::new(home),
            tasks: Tasks::new(home),
            pokes: VecDeque::new(),
            waiting: VecDeque::new(),
            refused: VecDeque::new(),
            bell_armed: false,
            commands,
            sender,
            shared: Arc::new(shared),
            home,
            clock: Clock::default(),
            stats: Stats::default(),
            stale_seen: 0,
            refusals: 0,
            stopping: None,
            draining: std::collections::HashSet::new(),
            drained: false,
            report: Report::default(),
        });
        state.arm_bell();
        Ok(state)
    }
}

impl Builder<EventLoop> {
    /// Makes the loop, for this thread.
    ///
    /// # Errors
    ///
    /// [`BuildError`] says what is missing, and what to do.
    pub fn build(self) -> Result<EventLoop, BuildError> {
        EventLoop::with_signal(self.settings.build_state(None)?).map_err(BuildError::System)
    }

    /// Makes the loop share the worker threads of another ring.
    ///
    /// # Errors
    ///
    /// [`BuildError`] says what is missing, and what to do.
    pub fn build_sharing_workers_of(self, ring: BorrowedFd<'_>) -> Result<EventLoop, BuildError> {
        EventLoop::with_signal(self.settings.build_state(Some(ring))?).map_err(BuildError::System)
    }
}

impl EventLoop {
    /// Settings for a new loop.
    pub fn builder() -> Builder<Self> {
        Builder::new()
    }

    /// Another descriptor of the loop's ring, to share its worker threads with a loop elsewhere.
    pub(crate) fn ring_fd(&mut self) -> Result<OwnedFd, BuildError> {
        self.state().ring.as_fd().try_clone_to_owned().map_err(BuildError::System)
    }
}
