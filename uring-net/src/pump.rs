//! The only file that knows operations: it moves a connection's bytes between queues and kernel.

use std::{
    cell::Cell,
    fmt,
    net::Shutdown::{Both, Write},
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use socket2::SockRef;
use uring_reactor::{
    Cx, Fd, LoopItem, LoopOp, LoopOutput, Source, SourceEvent, SourceId, TimerId,
    uring::{
        AnyOperation, OpId, Payload, PollEvents, Reason, RecvBuf, Rejected, Slice,
        op::{Poll, Recv, RecvMulti, Send, Shutdown},
    },
};

use crate::{
    core::{End, Outbox, Step, errno},
    deadline::Deadline,
    error::{Cause, Failure},
    home,
    limits::Caps,
    loads::Load,
    sys,
};

/// Tags of a connection's operations and timers.
const RECV: u32 = 0;
const SEND: u32 = 1;
const DEADLINE: u32 = 2;
const ENDING: u32 = 3;
const RETRY: u32 = 4;
const WATCH: u32 = 5;

/// How often within its limit the progress of a connection that was closed is looked at.
const LOOKS: u32 = 4;

/// How long a peer that was told the end may be silent before its connection is closed: what it
/// sends after that would be answered by a reset, which may destroy what it has not read yet.
const QUIET: Duration = Duration::from_secs(1);

/// The same while the loop shuts down.
const QUIET_AT_SHUTDOWN: Duration = Duration::from_millis(20);

/// How often [`QUIET`] may pass with a peer that goes on sending.
const LINGER_LOOKS: u32 = 30;

/// How many bytes are read and dropped after a close.
const IGNORED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// When a connection that ends cancels again what is still in flight: a cancel misses an operation
/// that the kernel has just taken up again.
const CANCEL_AGAIN: Duration = Duration::from_millis(100);

/// When an operation is tried again that found the ring full.
const FULL_AGAIN: Duration = Duration::from_millis(20);

/// What a front end makes of a connection's events.
pub(crate) trait Front: 'static {
    /// Bytes arrived.
    fn received(&mut self, link: &mut Link, cx: &mut Cx<'_>, data: Payload);
    /// No more bytes will arrive.
    fn read_ended(&mut self, link: &mut Link, cx: &mut Cx<'_>, end: End);
    /// Bytes went out.
    fn sent(&mut self, link: &mut Link, cx: &mut Cx<'_>, bytes: usize);
    /// The connection has come to its loop, or somebody wants it to look around.
    fn poked(&mut self, link: &mut Link, cx: &mut Cx<'_>);
    /// The deadline of the connection has passed.
    fn expired(&mut self, link: &mut Link, cx: &mut Cx<'_>);
    /// The loop shuts down: what is queued now goes out, and nothing after it.
    fn stopping(&mut self, link: &mut Link);
    /// The connection will be gone in a moment, by this.
    fn failing(&mut self, cause: Cause);
    /// The connection is gone, and what ended it early, if something did.
    fn closed(&mut self, cx: &mut Cx<'_>, failure: Option<Failure>);
}

/// The state of the receiving operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Receiving {
    /// None is in flight.
    Idle,
    Armed(OpId),
    /// It was asked to end in this turn of the loop, because nobody takes what it brings.
    Ending(OpId, u64),
    /// The peer has finished, or the connection failed.
    Over,
}

/// How far the end of a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Closing {
    No,
    /// Send what is queued and the end; what the peer still sends is dropped.
    Flush,
    /// Everything went out, and the front end was told. What the peer still sends is dropped.
    Linger,
    /// Stop now.
    Abort,
}

/// A connection on its loop.
pub(crate) struct Link {
    pub(crate) id: SourceId,
    fd: Fd,
    pub(crate) out: Outbox,
    pub(crate) deadline: Deadline,
    receiving: Receiving,
    sending: Option<OpId>,
    /// The send was asked to end.
    send_cancelled: bool,
    /// A poll for a reset, from the first pause on: nothing else would tell of it.
    watching: Option<OpId>,
    watched: bool,
    /// What goes out next, and found the ring full.
    held: Option<Box<LoopOp>>,
    /// The ring was full: try again after a while.
    retry: bool,
    closing: Closing,
    /// What ended it early.
    cause: Option<Cause>,
    /// The front end wants no more data for now.
    pub(crate) paused: bool,
    caps: Caps,
    throttled: bool,
    /// The pool was empty: receive once into memory of our own, even if there are buffers again. A
    /// busy neighbour may take all of them in each turn, and this one would try in vain in each.
    starved: bool,
    /// Bytes that arrived after the close.
    ignored: usize,
    /// The peer may not send any longer.
    lingered: bool,
    /// The user has had the descriptor, and may have changed how it closes.
    exposed: Cell<bool>,
    /// Counts the connection on its loop, until its front end was told of the end.
    load: Option<Load>,
    /// It has come to its end, and nothing is left for the drop.
    ended: bool,
}

impl Link {
    /// Queues bytes to send; gives them back if nothing can go out any more. While buffers are
    /// short, what would hold one is copied: a peer that does not read must not starve the others.
    pub(crate) fn send(&mut self, cx: &Cx<'_>, data: Payload) -> Result<(), Payload> {
        let data = match data {
            Payload::Received(buf) if is_short(cx) => Payload::Vec(buf.to_vec()),
            data => data,
        };
        if self.closing == Closing::Abort {
            return Err(data);
        }
        self.out.push(data)
    }

    /// The socket, for the user.
    pub(crate) fn expose(&self) -> BorrowedFd<'_> {
        self.exposed.set(true);
        self.fd.as_fd()
    }

    /// Whether the user may have changed how the socket closes.
    fn was_exposed(&self) -> bool {
        self.exposed.get() || matches!(self.fd, Fd::Shared(_))
    }

    /// The socket, for a question.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Whether the front end has closed the connection, or an error has.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing != Closing::No
    }

    pub(crate) fn close(&mut self) {
        if self.closing == Closing::No && self.was_exposed() {
            let limit = SockRef::from(&self.fd).linger();
            if limit.is_ok_and(|limit| limit == Some(Duration::ZERO)) {
                return self.abort(); // as close(2) would
            }
        }
        self.out.finish();
        if self.closing == Closing::No {
            self.closing = Closing::Flush;
        }
    }

    pub(crate) fn abort(&mut self) {
        self.fail(Cause::Aborted);
    }

    /// Whether enough went out for more to be queued.
    pub(crate) fn has_room(&self) -> bool {
        self.out.bytes() <= self.caps.outbound / 2
    }

    fn fail(&mut self, cause: Cause) {
        if self.closing == Closing::Linger {
            self.lingered = true; // everything was sent, and told
            return;
        }
        self.cause.get_or_insert(cause);
        self.closing = Closing::Abort;
    }

    /// Whether receiving should go on.
    fn wants_data(&mut self) -> bool {
        // what goes out has the first claim to a place in the ring, this one's own if need be
        if self.held.is_some() {
            return false;
        }
        match self.closing {
            Closing::No => !self.paused && !self.is_throttled(),
            Closing::Flush | Closing::Linger => !self.lingered && self.ignored < IGNORED_BYTES_MAX,
            Closing::Abort => false,
        }
    }

    /// Whether so much is queued that nothing more is received.
    fn is_throttled(&mut self) -> bool {
        // hysteresis: stop above the cap, go on below half of it
        let limit = if self.throttled { self.caps.outbound / 2 } else { self.caps.outbound };
        self.throttled = self.caps.hold_back && self.out.bytes() > limit;
        self.throttled
    }

    fn receive(&mut self, cx: &mut Cx<'_>) {
        let wants = self.wants_data();
        match self.receiving {
            Receiving::Idle if wants => self.arm(cx),
            Receiving::Armed(op) if !wants => self.cancel_receive(cx, op),
            _ => {}
        }
    }

    fn cancel_receive(&mut self, cx: &mut Cx<'_>, op: OpId) {
        cx.cancel_op(op);
        self.receiving = Receiving::Ending(op, cx.stats().turns);
    }

    fn arm(&mut self, cx: &mut Cx<'_>) {
        let op: LoopOp = if self.starved {
            let bytes = cx.pool().buffer_bytes() as usize;
            Recv::new(self.fd.clone(), Vec::with_capacity(bytes)).into()
        } else {
            RecvMulti::new(self.fd.clone(), cx.pool()).into()
        };
        match cx.submit_for(self.id, RECV, op) {
            Ok(op) => {
                self.starved = false;
                self.receiving = Receiving::Armed(op);
            }
            Err(rejected) if may_go_later(&rejected) => self.retry = true,
            Err(_) => self.fail(Cause::Os(libc::EINVAL)),
        }
    }

    /// Looks for a reset while nothing is received. A stream has a reader, who finds out.
    fn watch(&mut self, cx: &mut Cx<'_>) {
        if self.watched || matches!(self.fd, Fd::Shared(_)) {
            return;
        }
        let poll = Poll::new(self.fd.clone(), PollEvents::HUP | PollEvents::ERR);
        match cx.submit_for(self.id, WATCH, LoopOp::Any(AnyOperation::new(poll))) {
            Ok(op) => {
                self.watching = Some(op);
                self.watched = true;
            }
            Err(_) => self.retry = true,
        }
    }

    fn watch_ended(&mut self) {
        self.watching = None;
        // without an error both sides have finished, and what they sent is there to be read
        if let Ok(Some(error)) = SockRef::from(&self.fd).take_error() {
            self.fail(Cause::Os(errno(&error)));
        }
    }

    fn transmit(&mut self, cx: &mut Cx<'_>) {
        let op = match (self.held.take(), self.out.next()) {
            (Some(op), _) => *op, // and the outbox has no next one meanwhile
            (None, Some(Step::Send(data))) => Send::new(self.fd.clone(), data).wait_all().into(),
            (None, Some(Step::SendPart(part))) => {
                let send = Send::new(self.fd.clone(), *part).wait_all();
                LoopOp::Any(AnyOperation::new(send)) // a box for each slice
            }
            (None, Some(Step::Finish)) => Shutdown::new(self.fd.clone(), Write).into(),
            (None, None) => return,
        };
        match cx.submit_for(self.id, SEND, op) {
            Ok(op) => self.sending = Some(op),
            Err(rejected) if may_go_later(&rejected) => {
                self.held = Some(Box::new(rejected.op));
                self.retry = true;
            }
            Err(_) => self.fail(Cause::Os(libc::EINVAL)),
        }
    }

    fn is_over(&self) -> bool {
        let nothing_in_flight = self.sending.is_none()
            && self.watching.is_none()
            && matches!(self.receiving, Receiving::Idle | Receiving::Over);
        let nothing_to_do = match self.closing {
            Closing::No => self.receiving == Receiving::Over && self.out.is_done(),
            Closing::Flush => false,
            Closing::Linger => self.receiving == Receiving::Over || self.lingered,
            Closing::Abort => true,
        };
        nothing_in_flight && nothing_to_do
    }

    /// Asks to end what is in flight after an abort.
    fn cancel(&mut self, cx: &mut Cx<'_>) {
        if let Receiving::Armed(op) = self.receiving {
            self.cancel_receive(cx, op);
        }
        if !self.send_cancelled {
            if let Some(op) = self.sending {
                cx.cancel_op(op);
                self.send_cancelled = true;
            }
        }
    }

    /// What was asked to end and has not ended is asked again.
    fn cancel_again(&mut self, cx: &mut Cx<'_>) {
        self.send_cancelled = false;
        if let Receiving::Ending(op, _) = self.receiving {
            self.cancel_receive(cx, op);
        }
    }

    /// Something arrived. If that was asked to end in a turn before the last, the cancel has missed
    /// it.
    fn insist(&mut self, cx: &mut Cx<'_>) {
        if let Receiving::Ending(op, turn) = self.receiving {
            if cx.stats().turns > turn + 1 {
                self.cancel_receive(cx, op);
            }
        }
    }

    /// What was accepted and is lost when the connection ends by `cause` now.
    fn lost(&self, cause: Cause) -> usize {
        let unsent = self.out.unsent();
        let reset_by_us = match cause {
            Cause::Aborted | Cause::Stalled => true,
            // what the kernel has, it goes on sending
            Cause::Stopped => unsent > 0,
            Cause::Os(_) => false,
        };
        if !reset_by_us {
            return unsent;
        }
        let kernel = usize::try_from(sys::unacknowledged(self.fd())).unwrap_or(0);
        // what is in flight was counted, and the kernel may have some of it
        unsent + kernel.saturating_sub(self.out.flying() + usize::from(self.out.has_finished()))
    }

    /// What ended the connection early, and what that costs.
    fn failure(&self) -> Option<Failure> {
        let cause = self.cause?;
        let lost = self.lost(cause) as u64;
        let is_clean = lost == 0 && matches!(cause, Cause::Aborted | Cause::Stopped);
        (!is_clean).then_some(Failure { cause, lost })
    }

    /// The end of the socket, as far as it does not come with its last descriptor: handles of it may
    /// live on, and so may operations.
    fn disconnect(&mut self, failure: Option<Failure>) {
        self.ended = true;
        // A stream that was cut off must not look complete.
        let cut = failure.is_some_and(|Failure { cause, lost }| match cause {
            Cause::Os(_) => lost > 0, // else it was the peer
            Cause::Aborted | Cause::Stalled | Cause::Stopped => true,
        });
        // each fails if the connection is no more
        let _ended = if cut || self.cause == Some(Cause::Aborted) {
            sys::reset(self.fd())
        } else if matches!(self.fd, Fd::Shared(_)) || !self.is_over() {
            SockRef::from(&self.fd).shutdown(Both)
        } else {
            Ok(())
        };
        if self.was_exposed() {
            linger_elsewhere(self.fd());
        }
    }
}

/// Lets the kernel wait for a peer, if somebody asked for a close that waits: it would be the loop
/// that waits.
fn linger_elsewhere(fd: BorrowedFd<'_>) {
    let socket = SockRef::from(&fd);
    if socket.linger().is_ok_and(|limit| limit.is_some_and(|limit| !limit.is_zero())) {
        let _set = socket.set_linger(None); // an option of every socket
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("fd", &self.fd)
            .field("receiving", &self.receiving)
            .field("closing", &self.closing)
            .field("queued", &self.out.bytes())
            .finish_non_exhaustive()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if self.closing == Closing::Linger {
            self.disconnect(None);
            return;
        }
        // Its front end has panicked, or the loop ended without it. Operations may hold the socket:
        // without this a silent peer would never hear.
        let cause = *self.cause.get_or_insert(Cause::Aborted);
        let lost = self.lost(cause) as u64;
        if let Some(load) = self.load.as_ref().filter(|_| lost > 0) {
            load.lose(lost);
        }
        self.disconnect(Some(Failure { cause, lost }));
    }
}

/// Whether an operation was refused for want of a place in the ring.
const fn may_go_later(rejected: &Rejected<LoopOp>) -> bool {
    matches!(rejected.reason, Reason::Full { .. } | Reason::Kernel(_))
}

/// Whether fewer than a quarter of the loop's buffers are with the kernel.
pub(crate) fn is_short(cx: &Cx<'_>) -> bool {
    let pool = cx.pool();
    pool.available() < pool.buffers().div_ceil(4)
}

/// What is looked at while a connection ends.
struct Ending {
    timer: TimerId,
    /// For this; a later phase has a timer of its own.
    phase: Closing,
}

/// A connection and its front end, as the loop sees them.
pub(crate) struct Pump<F> {
    /// First: its handles learn why before the drop of the link ends the socket. None after it was
    /// told of the end.
    front: Option<F>,
    link: Link,
    ending: Option<Ending>,
    /// What the last look at the end has found: bytes that went out, or came in.
    seen: u64,
    /// How many looks have found the same, or that the peer goes on.
    looks: u32,
    /// The loop has said that it shuts down.
    stopping: bool,
    /// Tries again what found the ring full.
    retry: Option<TimerId>,
}

/// Puts a connection on the loop.
pub(crate) fn start<F: Front>(
    cx: &mut Cx<'_>,
    fd: Fd,
    caps: Caps,
    load: Load,
    front: F,
) -> SourceId {
    home::this_is_a_loop();
    let id = cx.add_source_with(|id| Pump {
        link: Link {
            id,
            fd,
            out: Outbox::default(),
            deadline: Deadline::default(),
            receiving: Receiving::Idle,
            sending: None,
            send_cancelled: false,
            watching: None,
            watched: false,
            held: None,
            retry: false,
            closing: Closing::No,
            cause: None,
            paused: false,
            caps,
            throttled: false,
            starved: false,
            ignored: 0,
            lingered: false,
            exposed: Cell::new(false),
            load: Some(load),
            ended: false,
        },
        front: Some(front),
        ending: None,
        seen: 0,
        looks: 0,
        stopping: false,
        retry: None,
    });
    // its first event starts it, in the next turn: before the enter that follows
    cx.poke(id);
    id
}

impl<F: Front> Pump<F> {
    fn received(&mut self, cx: &mut Cx<'_>, data: Payload) {
        match &mut self.front {
            Some(front) if !self.link.is_closing() => {
                if !data.is_empty() {
                    front.received(&mut self.link, cx, data);
                }
            }
            // what still comes after a close is nobody's
            _ => self.link.ignored += data.len(),
        }
    }

    fn read_ended(&mut self, cx: &mut Cx<'_>, end: End) {
        self.link.receiving = Receiving::Over;
        if let End::Failed(errno) = end {
            self.link.fail(Cause::Os(errno));
        }
        if let Some(front) = &mut self.front {
            front.read_ended(&mut self.link, cx, end);
        }
    }

    fn multishot_ended(&mut self, cx: &mut Cx<'_>, result: std::io::Result<Option<RecvBuf>>) {
        self.link.receiving = Receiving::Idle;
        match result {
            // it ended early, with data: the completion queue had overflowed
            Ok(Some(buf)) => {
                cx.count_rearm();
                self.received(cx, buf.into());
            }
            Ok(None) => self.read_ended(cx, End::Eof),
            Err(error) => self.receive_failed(cx, errno(&error)),
        }
    }

    fn receive_failed(&mut self, cx: &mut Cx<'_>, errno: i32) {
        self.link.receiving = Receiving::Idle;
        match errno {
            libc::ENOBUFS => {
                cx.count_rearm();
                self.link.starved = true;
            }
            // asked for, or to be tried again
            libc::ECANCELED | libc::EINTR | libc::EAGAIN => {}
            errno => self.read_ended(cx, End::Failed(errno)),
        }
    }

    fn operation_ended(&mut self, cx: &mut Cx<'_>, output: LoopOutput) {
        match output {
            LoopOutput::RecvMulti((result, _)) => self.multishot_ended(cx, result),
            LoopOutput::Recv((result, _, data)) => {
                self.link.receiving = Receiving::Idle;
                match result {
                    Ok(0) => self.read_ended(cx, End::Eof),
                    Ok(_) => {
                        self.link.starved = is_short(cx);
                        self.received(cx, data.into());
                    }
                    Err(error) => self.receive_failed(cx, errno(&error)),
                }
            }
            LoopOutput::Send((result, _, data)) => {
                // the data is dropped before the front end looks at the pool
                let bytes = self.link.out.sent(result, data);
                self.sending_ended(cx, bytes);
            }
            LoopOutput::Any(output) => {
                if let Ok((result, _, part)) = output.downcast::<Send<Fd, Slice<Payload>>>() {
                    let bytes = self.link.out.sent(result, part.into_inner());
                    self.sending_ended(cx, bytes);
                }
            }
            LoopOutput::Shutdown((result, _)) => {
                self.link.out.finished(result);
                self.sending_ended(cx, 0);
            }
            _ => {}
        }
    }

    fn sending_ended(&mut self, cx: &mut Cx<'_>, bytes: usize) {
        self.link.sending = None;
        match self.link.out.failed() {
            // after an abort it was cancelled, and that is no error of the connection
            Some(errno) if self.link.closing != Closing::Abort => {
                self.link.fail(Cause::Os(errno));
            }
            _ => {}
        }
        if let Some(front) = &mut self.front {
            front.sent(&mut self.link, cx, bytes);
        }
    }

    /// The loop shuts down: what is queued goes out first. Told again, the time for that is over.
    fn stop(&mut self, cx: &mut Cx<'_>) {
        let in_time = !std::mem::replace(&mut self.stopping, true);
        if in_time && cx.drain_first(self.link.id) {
            if let Some(front) = &mut self.front {
                front.stopping(&mut self.link);
            }
            self.link.close();
            if let Some(Ending { timer, .. }) = self.ending.take() {
                cx.cancel_timer(timer); // the next one is shorter
            }
        } else {
            self.link.fail(Cause::Stopped);
        }
    }

    /// Starts what the queues ask for, and ends the connection when nothing is left.
    fn drive(&mut self, cx: &mut Cx<'_>) {
        if cx.is_stopping() && !self.stopping {
            self.stop(cx);
        }
        if self.link.closing < Closing::Abort {
            self.link.transmit(cx);
            self.link.receive(cx);
        }
        if self.link.is_closing() {
            self.drive_end(cx);
        } else {
            self.link.deadline.arm(cx, self.link.id, DEADLINE);
            if self.link.paused {
                self.link.watch(cx);
            }
        }
        if self.link.is_over() {
            self.end(cx);
        } else {
            self.set_timers(cx);
        }
    }

    fn drive_end(&mut self, cx: &mut Cx<'_>) {
        if self.link.closing == Closing::Flush && self.link.out.is_done() {
            self.link.closing = Closing::Linger;
            (self.seen, self.looks) = (0, 0);
            self.tell_end(cx, None);
        }
        if self.link.closing == Closing::Linger && self.link.ignored >= IGNORED_BYTES_MAX {
            self.link.lingered = true;
        }
        if let Some(op) = self.link.watching {
            cx.cancel_op(op);
        }
        // it may just have come to that
        if self.link.closing == Closing::Abort {
            self.link.cancel(cx);
        }
    }

    /// The front end hears of the end once, and is dropped.
    fn tell_end(&mut self, cx: &mut Cx<'_>, failure: Option<Failure>) {
        if let (Some(load), Some(Failure { lost: lost @ 1.., .. })) = (&self.link.load, failure) {
            load.lose(lost);
        }
        self.link.load = None;
        if let Some(mut front) = self.front.take() {
            front.closed(cx, failure);
        }
    }

    fn end(&mut self, cx: &mut Cx<'_>) {
        self.link.deadline.disarm(cx);
        let ending = self.ending.take().map(|ending| ending.timer);
        for timer in [ending, self.retry.take()].into_iter().flatten() {
            cx.cancel_timer(timer);
        }
        cx.remove_source(self.link.id);
        // Handles of it may live on and keep the socket open, and what they find first must be the
        // reason. But what was lost is counted right before the reset: until then the peer takes
        // some of it.
        if let (Some(front), Some(cause)) = (&mut self.front, self.link.cause) {
            front.failing(cause);
        }
        let failure = self.link.failure();
        if failure.is_some() {
            self.link.disconnect(failure);
        }
        self.tell_end(cx, failure);
        if failure.is_none() {
            self.link.disconnect(None);
        }
    }

    fn set_timers(&mut self, cx: &mut Cx<'_>) {
        let Link { id, closing, .. } = self.link;
        if closing != Closing::No && self.ending.as_ref().is_none_or(|e| e.phase < closing) {
            let pause = match closing {
                Closing::Linger if self.stopping => QUIET_AT_SHUTDOWN,
                Closing::Linger => QUIET,
                Closing::Abort => CANCEL_AGAIN,
                Closing::No | Closing::Flush => self.link.caps.stall / LOOKS,
            };
            let timer = cx.timer_for(id, ENDING, Instant::now() + pause);
            if let Some(earlier) = self.ending.replace(Ending { timer, phase: closing }) {
                cx.cancel_timer(earlier.timer);
            }
        }
        if std::mem::take(&mut self.link.retry) && self.retry.is_none() {
            self.retry = Some(cx.timer_for(id, RETRY, Instant::now() + FULL_AGAIN));
        }
    }

    /// Looks how the end goes on.
    fn look(&mut self, cx: &mut Cx<'_>) {
        match self.link.closing {
            Closing::No => {}
            Closing::Flush => {
                let taken = sys::acknowledged(self.link.fd());
                self.looks = if taken == self.seen { self.looks + 1 } else { 0 };
                self.seen = taken;
                if self.looks >= LOOKS {
                    self.link.fail(Cause::Stalled);
                }
            }
            Closing::Linger => {
                let arrived = self.link.ignored as u64;
                let is_quiet = arrived == self.seen;
                self.seen = arrived;
                self.looks += 1;
                let is_over = if self.stopping {
                    is_quiet
                } else {
                    let waits = sys::unacknowledged(self.link.fd()) > 0;
                    (is_quiet && !waits) || self.looks >= LINGER_LOOKS
                };
                self.link.lingered |= is_over;
                self.link.cancel_again(cx);
            }
            Closing::Abort => self.link.cancel_again(cx),
        }
    }

    fn timer_fired(&mut self, cx: &mut Cx<'_>, tag: u32) {
        match (tag, &mut self.front) {
            (ENDING, _) => {
                self.ending = None;
                self.look(cx);
            }
            (RETRY, _) => self.retry = None,
            (_, Some(front)) if self.link.deadline.is_due() && !self.link.is_closing() => {
                front.expired(&mut self.link, cx);
            }
            _ => {}
        }
    }
}

impl<F: Front> Source for Pump<F> {
    fn on_event(&mut self, event: SourceEvent, cx: &mut Cx<'_>) {
        match event {
            SourceEvent::Item { item: LoopItem::RecvMulti(buf), .. } => {
                self.link.insist(cx);
                self.received(cx, buf.into());
            }
            SourceEvent::Done { tag: WATCH, .. } => self.link.watch_ended(),
            SourceEvent::Done { output, .. } => self.operation_ended(cx, output),
            SourceEvent::Poked => {
                if let Some(front) = &mut self.front {
                    front.poked(&mut self.link, cx);
                }
            }
            SourceEvent::Shutdown => self.stop(cx),
            SourceEvent::Timer { tag } => self.timer_fired(cx, tag),
            _ => {}
        }
        self.drive(cx);
    }
}
