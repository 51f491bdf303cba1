//! All that a loop is made of, and the ways to change it.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use crossbeam_channel::{Receiver, Sender};
use uring::{OpId, Operation, Pool, Reason, Rejected, Ring, op};

use crate::{
    Cx, LoopOp, Report, SourceId, Stats,
    command::Command,
    handle::Shared,
    target::{Dest, Target, Targets},
    task::Tasks,
    timer::Timers,
};

/// What a timer does when it is due.
pub(crate) enum Alarm {
    Call(Box<dyn FnOnce(&mut Cx<'_>)>),
    Source(SourceId, u32),
    Cancel(SourceId),
}

pub(crate) struct State {
    pub(crate) ring: Ring<LoopOp, Dest>,
    /// After the ring: its operations hold the pool until they are drained.
    pub(crate) pool: Pool,
    pub(crate) targets: Targets,
    pub(crate) timers: Timers<Alarm>,
    pub(crate) tasks: Tasks,
    /// Sources that asked to be called in the next turn.
    pub(crate) pokes: VecDeque<SourceId>,
    /// Operations that found the ring full.
    pub(crate) waiting: VecDeque<(LoopOp, Dest)>,
    pub(crate) commands: Receiver<Command>,
    pub(crate) sender: Sender<Command>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) stats: Stats,
    /// How much of the ring's own count of stale completions is in `stats`.
    pub(crate) stale_seen: u64,
    /// When the shutdown has to be over, once it has begun.
    pub(crate) stopping: Option<Instant>,
    pub(crate) report: Report,
}

/// The place of the bell among the destinations: no target ever has this generation.
pub(crate) const BELL: Dest = Dest { key: u32::MAX, generation: 0, tag: 0 };

impl State {
    /// Puts the read on the bell that other threads end by ringing it.
    pub(crate) fn arm_bell(&mut self) {
        let read = op::Read::new(self.shared.bell.eventfd(), [0; 8], uring::Current);
        self.submit_or_wait(LoopOp::Bell(read), BELL);
    }

    /// Submits; while the loop shuts down, what is submitted is cancelled at once.
    pub(crate) fn submit(
        &mut self,
        op: LoopOp,
        dest: Dest,
    ) -> Result<OpId, Rejected<LoopOp, Dest>> {
        let id = self.ring.submit(op, dest)?;
        self.stats.submissions += 1;
        if self.stopping.is_some() {
            // if this fails, the deadline of the shutdown ends it
            let _cancelled = self.ring.cancel(id);
        }
        Ok(id)
    }

    /// Submits, now or as soon as there is room. An operation that can never go is refused to its
    /// target.
    pub(crate) fn submit_or_wait(&mut self, op: LoopOp, dest: Dest) {
        match self.submit(op, dest) {
            Ok(id) => self.targets.set_op(dest.id(), id),
            Err(Rejected { op, ctx, reason: Reason::Full { .. } | Reason::Kernel(_) }) => {
                self.waiting.push_back((op, ctx));
            }
            Err(Rejected { op, ctx, .. }) => {
                let output = op.refuse(libc::EINVAL);
                self.finish(ctx, output);
            }
        }
    }

    /// Submits what found the ring full, as far as there is room now.
    pub(crate) fn retry_waiting(&mut self) {
        for _ in 0..self.waiting.len() {
            if self.ring.in_flight() == self.ring.capacity() {
                break;
            }
            if let Some((op, dest)) = self.waiting.pop_front() {
                self.submit_or_wait(op, dest);
            }
        }
    }

    /// Asks to end the operation of a target, whether it is in flight or still waits for room.
    pub(crate) fn cancel(&mut self, id: SourceId) {
        if let Some(op) = self.targets.op(id) {
            // The queue was full and the kernel takes nothing: the next turn reports why.
            let _cancelled = self.ring.cancel(op);
            return;
        }
        let here = |(_, dest): &(LoopOp, Dest)| dest.id() == id;
        if let Some((op, dest)) =
            self.waiting.iter().position(here).and_then(|at| self.waiting.remove(at))
        {
            let output = op.refuse(libc::ECANCELED);
            self.finish(dest, output);
        }
    }

    /// Calls user code. A panic ends there, and is counted; the default hook has printed it.
    pub(crate) fn guard<R>(&mut self, call: impl FnOnce(&mut Cx<'_>) -> R) -> Option<R> {
        let result = catch_unwind(AssertUnwindSafe(|| call(&mut Cx { state: &mut *self })));
        if result.is_err() {
            self.stats.panics += 1;
        }
        result.ok()
    }

    /// Drops user data, whose own drop may panic.
    pub(crate) fn discard<T>(&mut self, value: T) {
        self.guard(|_| drop(value));
    }

    /// Removes a target and its timer.
    pub(crate) fn remove(&mut self, id: SourceId) -> Option<Target> {
        if let Some(timer) = self.targets.timer(id) {
            self.timers.cancel(timer);
        }
        self.targets.remove(id)
    }
}
