//! A small executor for futures that stay on the loop.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Wake, Waker},
    thread,
};

use slab::Slab;

use ready::{Queued, Task};

use crate::{home::Home, remote::shared::Shared};

pub(crate) mod ready;

/// A future that stays on the loop.
pub(crate) type Local = Pin<Box<dyn Future<Output = ()>>>;

struct Woken {
    task: Task,
    queued: Queued,
    shared: Arc<Shared>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // in a forked child nobody polls it, and the lock of the queue may be held for ever
        if self.shared.birth.is_elsewhere() || !self.queued.must_queue() {
            return;
        }
        self.shared.ready.push(self.task);
        if thread::current().id() != self.shared.thread {
            self.shared.bell.ring();
        }
    }
}

struct Entry {
    serial: u64,
    future: Option<Local>,
    woken: Arc<Woken>,
}

/// The futures of one loop.
pub(crate) struct Tasks {
    home: Home,
    entries: Slab<Entry>,
    serial: u64,
    /// Taken from `Ready` in one go, so that a task that wakes itself goes to the back of the
    /// queue.
    batch: Vec<Task>,
}

impl Tasks {
    pub(crate) const fn new(home: Home) -> Self {
        Self { home, entries: Slab::new(), serial: 0, batch: Vec::new() }
    }

    /// Takes a future, to be polled in the next turn.
    pub(crate) fn spawn(&mut self, shared: &Arc<Shared>, future: Local) -> Task {
        self.serial += 1;
        let entry = self.entries.vacant_entry();
        let task = Task { key: entry.key(), serial: self.serial, home: self.home };
        let queued = Queued::new();
        let woken = Arc::new(Woken { task, queued, shared: Arc::clone(shared) });
        entry.insert(Entry { serial: task.serial, future: Some(future), woken });
        shared.ready.push(task);
        task
    }

    /// Takes a task out; its future comes back to be dropped.
    pub(crate) fn abort(&mut self, task: Task) -> Option<Local> {
        let found = self.entries.get(task.key).filter(|entry| entry.serial == task.serial);
        found.filter(|_| task.home == self.home)?;
        self.entries.remove(task.key).future
    }

    /// The tasks to poll in this turn, at most `budget`; the others stay queued.
    pub(crate) fn take_ready(&mut self, shared: &Shared, budget: usize) -> Vec<Task> {
        let mut batch = std::mem::take(&mut self.batch);
        shared.ready.take(budget, &mut batch);
        batch
    }

    /// Gives the vector of `take_ready` back, for its memory.
    pub(crate) fn put_back(&mut self, mut batch: Vec<Task>) {
        batch.clear();
        self.batch = batch;
    }

    /// Takes a task's future out, to be polled.
    pub(crate) fn borrow(&mut self, task: Task) -> Option<(Local, Waker)> {
        let entry = self.entries.get_mut(task.key).filter(|e| e.serial == task.serial)?;
        entry.woken.queued.clear();
        Some((entry.future.take()?, Waker::from(Arc::clone(&entry.woken))))
    }

    /// Puts a future back that is not ready, unless it was aborted meanwhile.
    pub(crate) fn restore(&mut self, task: Task, future: Local) -> Option<Local> {
        match self.entries.get_mut(task.key).filter(|e| e.serial == task.serial) {
            Some(entry) => {
                entry.future = Some(future);
                None
            }
            None => Some(future),
        }
    }

    /// Takes everything out.
    pub(crate) fn drain(&mut self) -> Vec<Local> {
        self.entries.drain().filter_map(|entry| entry.future).collect()
    }
}

/// Polls once.
pub(crate) fn poll(future: &mut Local, waker: &Waker) -> bool {
    future.as_mut().poll(&mut Context::from_waker(waker)).is_ready()
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tasks", self.entries.len())
    }
}
