//! What a callback can do.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use uring::{AnyOperation, OpId, Operation, Pool, Reason, Rejected};

use super::{
    Cx,
    source::{Source, SourceId},
    state::Alarm,
    target::{Arrival, Dest, Target},
};
use crate::{
    clock::later,
    op::{LoopItem, LoopOp, LoopOutput},
    stats::Stats,
    task::ready::Task,
    timer::TimerId,
};

impl Cx<'_> {
    /// Submits an operation; `callback` runs with its output, exactly once, unless the loop has to
    /// leak the operation at its end.
    ///
    /// If as many operations are in flight as the loop was made for, it waits for room. The result
    /// names the operation, to [`cancel`](Self::cancel) it.
    pub fn submit<O, F>(&mut self, op: O, callback: F) -> SourceId
    where
        O: Operation<Item: 'static, Output: 'static> + 'static,
        F: FnOnce(O::Output, &mut Cx<'_>) + 'static,
    {
        let call = move |output: LoopOutput, cx: &mut Cx<'_>| {
            if let LoopOutput::Any(output) = output {
                if let Ok(output) = output.downcast::<O>() {
                    callback(output, cx);
                }
            }
        };
        let place = self.state.targets.insert(Target::Once(Box::new(call)));
        self.state.submit_or_wait(LoopOp::Any(AnyOperation::new(op)), Dest::of(place, 0));
        self.state.id(place)
    }

    /// Submits an operation that is cancelled when the time is `deadline`; `callback` then gets
    /// `ECANCELED` or `EINTR`, or the result if that was faster.
    pub fn submit_before<O, F>(&mut self, deadline: Instant, op: O, callback: F) -> SourceId
    where
        O: Operation<Item: 'static, Output: 'static> + 'static,
        F: FnOnce(O::Output, &mut Cx<'_>) + 'static,
    {
        let id = self.submit(op, callback);
        if self.state.targets.contains(id.place) {
            let timer = self.state.timers.insert(deadline, Alarm::Cancel(id.place));
            self.state.targets.set_timer(id.place, timer);
        }
        id
    }

    /// Submits an operation that yields several times; `callback` runs with each item (`Ok`) and,
    /// as the last, with the output (`Err`).
    pub fn submit_multi<O, F>(&mut self, op: O, mut callback: F) -> SourceId
    where
        O: Operation<Item: 'static, Output: 'static> + 'static,
        F: FnMut(Result<O::Item, O::Output>, &mut Cx<'_>) + 'static,
    {
        let call = move |arrival: Arrival, cx: &mut Cx<'_>| match arrival {
            Arrival::Item(LoopItem::Any(item)) => {
                if let Ok(item) = item.downcast::<O>() {
                    callback(Ok(item), cx);
                }
            }
            Arrival::Done(LoopOutput::Any(output)) => {
                if let Ok(output) = output.downcast::<O>() {
                    callback(Err(output), cx);
                }
            }
            Arrival::Item(_) | Arrival::Done(_) => {}
        };
        let place = self.state.targets.insert(Target::Many(Box::new(call)));
        self.state.submit_or_wait(LoopOp::Any(AnyOperation::new(op)), Dest::of(place, 0));
        self.state.id(place)
    }

    /// Asks to end an operation. Its callback still runs, exactly once, with the real result.
    /// Nothing happens if it has ended already.
    pub fn cancel(&mut self, id: SourceId) {
        self.state.cancel(self.state.place(id));
    }

    /// Asks to end an operation of a source.
    pub fn cancel_op(&mut self, id: OpId) {
        // The queue was full and the kernel takes nothing: the next turn reports why.
        let _cancelled = self.state.ring.cancel(id);
    }

    /// Puts an object on the loop that operations can report to.
    pub fn add_source(&mut self, source: impl Source) -> SourceId {
        let place = self.state.targets.insert(Target::Source(Box::new(source)));
        self.state.id(place)
    }

    /// Puts an object on the loop that knows its own id from the start.
    pub fn add_source_with<S: Source>(&mut self, make: impl FnOnce(SourceId) -> S) -> SourceId {
        let source = make(self.state.id(self.state.targets.upcoming()));
        self.add_source(source)
    }

    /// Takes a source off the loop and drops it; in its own call, after that. Completions of its
    /// operations are dropped with what they carry: cancel what is in flight first.
    pub fn remove_source(&mut self, id: SourceId) {
        let place = self.state.place(id);
        if self.state.targets.is_source(place) {
            let target = self.state.remove(place);
            self.state.discard(target);
        }
    }

    /// Submits an operation that reports to a source under `tag`. Allocates nothing.
    ///
    /// # Errors
    ///
    /// [`Rejected`] gives it back if as many operations are in flight as the loop was made for, or
    /// if the source is another loop's. [`wait_for_room`](Self::wait_for_room) tells when to try
    /// again.
    pub fn submit_for(
        &mut self,
        source: SourceId,
        tag: u32,
        op: impl Into<LoopOp>,
    ) -> Result<OpId, Rejected<LoopOp>> {
        if source.home != self.state.home {
            return Err(Rejected { op: op.into(), ctx: (), reason: Reason::OtherRing });
        }
        let result = self.state.submit(op.into(), Dest::of(source.place, tag));
        result.map_err(|Rejected { op, reason, .. }| Rejected { op, ctx: (), reason })
    }

    /// Tells a source once when there is room for an operation:
    /// [`SourceEvent::Room`](crate::SourceEvent::Room). For one whose operation came back, or that
    /// has stopped making work, such as a listener that accepts no more.
    ///
    /// All who wait for room wait in one queue, operations of closures among them, and nothing
    /// ticks meanwhile. A source is told when its turn has come and there is a place; if it does
    /// not take it, the next is told. One that submits without waiting, such as in the call that
    /// tells it of an end, may use the place that this end has left. To wait twice is to wait once.
    pub fn wait_for_room(&mut self, source: SourceId) {
        let place = self.state.place(source);
        if self.state.targets.is_source(place) {
            self.state.wait_for_room(place);
        }
    }

    /// Calls a source soon, in this turn or the next, and not inside of this call:
    /// [`SourceEvent::Poked`](crate::SourceEvent::Poked).
    pub fn poke(&mut self, source: SourceId) {
        self.state.pokes.push_back(self.state.place(source));
    }

    /// Counts a multishot operation that ended early and was submitted again.
    pub fn count_rearm(&mut self) {
        self.state.stats.rearms += 1;
    }

    /// The loop's clock: it is read once a turn, and again when the loop has been in the kernel.
    /// Timers and deadlines go by it.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.state.clock.now()
    }

    /// Calls `call` at a time; if that is past, when the loop next looks at its timers. A timer
    /// that sets itself again for a time that is past runs once a turn.
    pub fn at(&mut self, time: Instant, call: impl FnOnce(&mut Cx<'_>) + 'static) -> TimerId {
        self.state.timers.insert(time, Alarm::Call(Box::new(call)))
    }

    /// Calls `call` after a time, counted from [`now`](Self::now).
    pub fn after(&mut self, time: Duration, call: impl FnOnce(&mut Cx<'_>) + 'static) -> TimerId {
        self.at(later(self.now(), time), call)
    }

    /// Tells a source when the time has come:
    /// [`SourceEvent::Timer`](crate::SourceEvent::Timer). Allocates nothing.
    pub fn timer_for(&mut self, source: SourceId, tag: u32, time: Instant) -> TimerId {
        self.state.timers.insert(time, Alarm::Source(self.state.place(source), tag))
    }

    /// Cancels a timer; says whether it had not fired yet.
    pub fn cancel_timer(&mut self, id: TimerId) -> bool {
        let alarm = self.state.timers.cancel(id);
        let found = alarm.is_some();
        self.state.discard(alarm);
        found
    }

    /// Runs a future on the loop. It may wake from any thread.
    pub fn spawn(&mut self, future: impl Future<Output = ()> + 'static) -> Task {
        let shared = Arc::clone(&self.state.shared);
        self.state.tasks.spawn(&shared, Box::pin(future))
    }

    /// Drops a task's future, if it has not ended.
    pub fn abort(&mut self, task: Task) {
        let future = self.state.tasks.abort(task);
        self.state.discard(future);
    }

    /// The buffers that the loop receives into.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.state.pool
    }

    /// How many more operations can be in flight.
    #[must_use]
    pub fn room(&self) -> u32 {
        self.state.room()
    }

    /// Calls what a user gave, such as a factory that a source has. A panic ends there and is
    /// counted, as one of a callback is, and so is one of what it panicked with.
    pub fn catch<R>(&mut self, call: impl FnOnce(&mut Cx<'_>) -> R) -> Option<R> {
        self.state.guard(call)
    }

    /// Lets a source deliver what it has before the loop ends: while the loop shuts down, what the
    /// source has in flight and submits is not cancelled, and the loop goes on until the source is
    /// removed. At the deadline of the shutdown it is told
    /// [`SourceEvent::Shutdown`](crate::SourceEvent::Shutdown) once more, and its time is over.
    ///
    /// Says whether the loop waits: not if it does not shut down, or if the time is over already.
    pub fn drain_first(&mut self, source: SourceId) -> bool {
        let in_time = self.state.stopping.is_some() && !self.state.drained;
        let place = self.state.place(source);
        let waits = in_time && self.state.targets.is_source(place);
        if waits {
            self.state.draining.insert(place);
        }
        waits
    }

    /// Whether the loop is shutting down. What a source submits now goes out and is cancelled at
    /// once, unless it [drains first](Self::drain_first); other operations end with `ECANCELED`
    /// without going out.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.state.stopping.is_some()
    }

    /// What the loop has done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats { waiting: self.state.waiting.len() as u64, ..self.state.stats }
    }
}
