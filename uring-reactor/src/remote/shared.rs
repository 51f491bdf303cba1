//! What a loop shares with its handles and its tasks.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::ThreadId,
};

use uring::SetupFlags;

use super::wakeup::Bell;
use crate::{birth::Birth, end::Cause, stats::Published, task::ready::Ready};

/// What other threads know of a loop.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) bell: Bell,
    pub(crate) published: Published,
    pub(crate) ready: Ready,
    pub(crate) flags: SetupFlags,
    pub(crate) thread: ThreadId,
    pub(crate) birth: Birth,
    stopping: AtomicBool,
    cause: OnceLock<Cause>,
}

impl Shared {
    pub(crate) fn new(bell: Bell, flags: SetupFlags, thread: ThreadId, birth: Birth) -> Self {
        Self {
            bell,
            published: Published::default(),
            ready: Ready::default(),
            flags,
            thread,
            birth,
            stopping: AtomicBool::new(false),
            cause: OnceLock::new(),
        }
    }

    /// Why there is no loop for this process, if there is none.
    pub(crate) fn ended(&self) -> Option<Cause> {
        if self.birth.is_elsewhere() { Some(Cause::Forked) } else { self.cause.get().cloned() }
    }

    /// The loop has begun to end.
    pub(crate) fn stops(&self) {
        // Relaxed: whoever sees it late gives work to a loop that still answers
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// The loop ends, and this is why: the first cause counts.
    pub(crate) fn ends(&self, cause: Cause) {
        self.stops();
        let _earlier = self.cause.set(cause);
    }

    /// Whether new work has a future on the loop.
    pub(crate) fn takes_work(&self) -> bool {
        !self.birth.is_elsewhere() && !self.stopping.load(Ordering::Relaxed)
    }
}
