//! All that a loop is made of, and the ways to change it.

use std::{
    any::Any,
    collections::{HashSet, VecDeque},
    io, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use crossbeam_channel::{Receiver, Sender};
use uring::{Offset, OpId, Operation, Pool, Reason, Rejected, Ring, op};

use super::{
    Cx,
    command::Command,
    place::Place,
    source::{SourceEvent, SourceId},
    target::{Dest, Target, Targets},
};
use crate::{
    clock::Clock,
    home::Home,
    op::{LoopOp, LoopOutput},
    remote::shared::Shared,
    stats::{Report, Stats},
    task::Tasks,
    timer::Timers,
};

/// What a timer does when it is due.
pub(crate) enum Alarm {
    Call(Box<dyn FnOnce(&mut Cx<'_>)>),
    Source(Place, u32),
    Cancel(Place),
}

/// Who waits for room.
pub(crate) enum Waiter {
    /// An operation that goes by itself: boxed, because most who wait are sources.
    Op(Box<(LoopOp, Dest)>),
    /// A source that wants to be told.
    Source(Place),
}

pub(crate) struct State {
    pub(crate) ring: Ring<LoopOp, Dest>,
    /// After the ring: its operations hold the pool until they are drained.
    pub(crate) pool: Pool,
    pub(crate) targets: Targets,
    pub(crate) timers: Timers<Alarm>,
    pub(crate) tasks: Tasks,
    /// Sources that asked to be called in the next turn.
    pub(crate) pokes: VecDeque<Place>,
    /// Who found the ring full, oldest first.
    pub(crate) waiting: VecDeque<Waiter>,
    /// Operations that ended without the kernel, for the next turn: no callback runs inside
    /// another's call.
    pub(crate) refused: VecDeque<(LoopOutput, Dest)>,
    /// Whether the read on the bell is in flight. While it is not, its place in the ring stays
    /// free, and the loop does not sleep.
    pub(crate) bell_armed: bool,
    pub(crate) commands: Receiver<Command>,
    pub(crate) sender: Sender<Command>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) home: Home,
    pub(crate) clock: Clock,
    pub(crate) stats: Stats,
    /// How much of the ring's own count of stale completions is in `stats`.
    pub(crate) stale_seen: u64,
    /// How often refusals were told in a row while the loop ends, and nothing else happened.
    pub(crate) refusals: u32,
    /// When the shutdown has to be over, once it has begun.
    pub(crate) stopping: Option<Instant>,
    /// Sources that still deliver what they have, while the loop shuts down.
    pub(crate) draining: HashSet<Place>,
    /// Their time is over: nobody drains any more.
    pub(crate) drained: bool,
    pub(crate) report: Report,
}

/// How often in a row an ending loop tells refusals to callbacks that answer by submitting again.
const REFUSALS_MAX: u32 = 256;

/// Where the read on the bell reports to.
pub(crate) const BELL: Dest = Dest::of(Place::NOWHERE, 0);

impl State {
    /// Puts the read on the bell that other threads end by ringing it.
    pub(crate) fn arm_bell(&mut self) {
        let read = op::Read::new(self.shared.bell.eventfd(), [0; 8], Offset::kernel_position());
        // if the kernel takes nothing now, the next turn tries again
        self.bell_armed = self.ring.submit(LoopOp::Bell(read), BELL).is_ok();
    }

    /// Where a target of this loop is; nowhere, if the id is another loop's.
    pub(crate) fn place(&self, id: SourceId) -> Place {
        if id.home == self.home { id.place } else { Place::NOWHERE }
    }

    /// The name of a place for users.
    pub(crate) fn id(&self, place: Place) -> SourceId {
        SourceId { place, home: self.home }
    }

    /// How many more operations can be in flight: the bell has a place of its own.
    pub(crate) fn room(&self) -> u32 {
        let bell = u32::from(!self.bell_armed);
        self.ring.capacity().saturating_sub(self.ring.in_flight() + bell)
    }

    /// Submits for a source, or for a closure before the shutdown; while the loop shuts down, what
    /// is submitted is cancelled at once, but that of a source that drains.
    pub(crate) fn submit(
        &mut self,
        op: LoopOp,
        dest: Dest,
    ) -> Result<OpId, Rejected<LoopOp, Dest>> {
        if self.room() == 0 {
            self.stats.full += 1;
            let reason = Reason::Full { capacity: self.ring.capacity() - 1 };
            return Err(Rejected { op, ctx: dest, reason });
        }
        let id = self.ring.submit(op, dest)?;
        self.stats.submissions += 1;
        if self.stopping.is_some() && !self.draining.contains(&dest.place) {
            // if this fails, the deadline of the shutdown ends it
            let _cancelled = self.ring.cancel(id);
        }
        Ok(id)
    }

    /// Submits, now or as soon as there is room, after those that wait already. While the loop
    /// shuts down it refuses: who submits without end must not hold the end up.
    pub(crate) fn submit_or_wait(&mut self, op: LoopOp, dest: Dest) {
        if self.stopping.is_some() {
            self.refuse(op, dest, io::Error::from_raw_os_error(libc::ECANCELED));
        } else if self.waiting.is_empty() {
            let left = self.try_submit(op, dest);
            self.waiting.extend(left.map(|left| Waiter::Op(Box::new(left))));
        } else {
            self.stats.full += 1;
            self.waiting.push_back(Waiter::Op(Box::new((op, dest))));
        }
    }

    /// Submits; what there is no room for comes back. An operation that can never go is refused.
    fn try_submit(&mut self, op: LoopOp, dest: Dest) -> Option<(LoopOp, Dest)> {
        match self.submit(op, dest) {
            Ok(id) => self.targets.set_op(dest.place, id),
            Err(Rejected { op, ctx, reason: Reason::Full { .. } | Reason::Kernel(_) }) => {
                return Some((op, ctx));
            }
            Err(Rejected { op, ctx, reason }) => self.refuse(op, ctx, reason.into()),
        }
        None
    }

    /// Ends an operation that the kernel has not seen; its target hears of it in the next turn.
    pub(crate) fn refuse(&mut self, op: LoopOp, dest: Dest, error: io::Error) {
        self.refused.push_back((op.refuse(error), dest));
    }

    /// Whether somebody is to be told of a refusal. Callbacks that answer each by submitting again
    /// are left alone after a while, while the loop ends, until something else happens.
    pub(crate) fn has_refusals(&self) -> bool {
        !self.refused.is_empty() && self.refusals < REFUSALS_MAX
    }

    /// Tells a source when there is room, after those that wait already.
    pub(crate) fn wait_for_room(&mut self, source: Place) {
        if self.targets.begin_waiting(source) {
            self.waiting.push_back(Waiter::Source(source));
        }
    }

    /// Submits what found the ring full and tells who waits, in their order, as far as there is
    /// room now. Who is told may take it or leave it.
    pub(crate) fn serve_waiting(&mut self) {
        // those that wait again have their turn in the next one
        for _ in 0..self.waiting.len() {
            if self.room() == 0 {
                return;
            }
            match self.waiting.pop_front() {
                Some(Waiter::Op(waiter)) => {
                    let (op, dest) = *waiter;
                    if let Some(left) = self.try_submit(op, dest) {
                        self.waiting.push_front(Waiter::Op(Box::new(left)));
                        return;
                    }
                    self.stats.drained += 1;
                }
                Some(Waiter::Source(source)) if self.targets.end_waiting(source) => {
                    self.stats.drained += 1;
                    self.call_source(source, SourceEvent::Room);
                }
                // it was removed meanwhile
                Some(Waiter::Source(_)) => {}
                None => return,
            }
        }
    }

    /// Asks to end the operation of a target, whether it is in flight or still waits for room.
    pub(crate) fn cancel(&mut self, id: Place) {
        if let Some(op) = self.targets.op(id) {
            // The queue was full and the kernel takes nothing: the next turn reports why.
            let _cancelled = self.ring.cancel(op);
            return;
        }
        let here = |waiter: &Waiter| match waiter {
            Waiter::Op(waiter) => waiter.1.place == id,
            Waiter::Source(_) => false,
        };
        let at = self.waiting.iter().position(here);
        if let Some(Waiter::Op(waiter)) = at.and_then(|at| self.waiting.remove(at)) {
            let (op, dest) = *waiter;
            self.refuse(op, dest, io::Error::from_raw_os_error(libc::ECANCELED));
        }
    }

    /// Calls user code. A panic ends there, and is counted; the default hook has printed it.
    pub(crate) fn guard<R>(&mut self, call: impl FnOnce(&mut Cx<'_>) -> R) -> Option<R> {
        let result = catch(|| call(&mut Cx { state: &mut *self }));
        self.stats.panics += u64::from(result.is_none());
        result
    }

    /// Drops user data, whose own drop may panic.
    pub(crate) fn discard<T>(&mut self, value: T) {
        self.guard(|_| drop(value));
    }

    /// Removes a target and its timer.
    pub(crate) fn remove(&mut self, id: Place) -> Option<Target> {
        if let Some(timer) = self.targets.timer(id) {
            self.timers.cancel(timer);
        }
        if !self.draining.is_empty() {
            self.draining.remove(&id);
        }
        self.targets.remove(id)
    }
}

/// Calls user code; `None` if it panicked.
pub(crate) fn catch<R>(call: impl FnOnce() -> R) -> Option<R> {
    let result = catch_unwind(AssertUnwindSafe(call));
    result.map_err(drop_payload).ok()
}

/// What a panic carried may panic in its turn when it is dropped; then it is leaked.
fn drop_payload(payload: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(again);
    }
}
