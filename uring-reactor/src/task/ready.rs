//! Tasks that were woken.

use parking_lot::Mutex;

use crate::{
    home::Home,
    sync::{AtomicBool, Ordering},
};

/// Names a task of a loop, to [`abort`](crate::Cx::abort) it. To another loop it means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Task {
    pub(super) key: usize,
    pub(super) serial: u64,
    pub(super) home: Home,
}

/// The tasks that were woken, in that order. Any thread may push.
#[derive(Debug, Default)]
pub(crate) struct Ready(Mutex<Vec<Task>>);

impl Ready {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    pub(super) fn push(&self, task: Task) {
        self.0.lock().push(task);
    }

    /// Moves the oldest into `batch`, at most `budget`.
    pub(super) fn take(&self, budget: usize, batch: &mut Vec<Task>) {
        let mut ready = self.0.lock();
        let count = ready.len().min(budget);
        batch.extend(ready.drain(..count));
    }
}

/// Set from the wake to the poll, so that a task is queued once.
pub(crate) struct Queued(AtomicBool);

impl Queued {
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(true))
    }

    /// The task is woken; says whether it has to be queued.
    pub(crate) fn must_queue(&self) -> bool {
        // Release pairs with the acquire in `clear`: a poll after it sees what came before.
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// The task is about to be polled: a wake from here on queues it again.
    pub(crate) fn clear(&self) {
        // A swap, not a store: a wake that found the flag set leaves its news to this poll, which
        // must see them. Acquire pairs with the release in `must_queue`.
        self.0.swap(false, Ordering::AcqRel);
    }
}
