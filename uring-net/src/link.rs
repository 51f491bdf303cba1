//! A connection on its loop: the operations in flight, and how far its end has come. With the pump,
//! which drives it, the only files that know operations.

use std::{
    cell::Cell,
    fmt,
    net::Shutdown::{Both, Write},
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use socket2::SockRef;
use uring_reactor::{
    Cx, Fd, LoopOp, SourceId,
    uring::{
        AnyOperation, OpId, Payload, PollEvents, Reason, Rejected, Slice,
        op::{Poll, Recv, RecvMulti, Send, Shutdown},
    },
};

use crate::{
    core::{Outbox, Step, errno},
    deadline::Deadline,
    error::{Cause, Failure},
    limits::Caps,
    loads::Load,
    sys,
};

/// Tags of a connection's operations.
const RECV: u32 = 0;
const SEND: u32 = 1;
pub(crate) const WATCH: u32 = 5;

/// How many bytes are read and dropped after a close. Then the peer has to wait, until it has
/// everything, or until its time is over.
const IGNORED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The state of the receiving operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receiving {
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
pub(crate) enum Closing {
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
    pub(crate) fd: Fd,
    pub(crate) out: Outbox,
    pub(crate) deadline: Deadline,
    pub(crate) receiving: Receiving,
    pub(crate) sending: Option<OpId>,
    /// The send was asked to end.
    pub(crate) send_cancelled: bool,
    /// A poll for a reset, from the first pause on: nothing else would tell of it.
    pub(crate) watching: Option<OpId>,
    pub(crate) watched: bool,
    /// What goes out next, and found the ring full.
    pub(crate) held: Option<Box<LoopOp>>,
    /// The ring was full: try again after a while.
    pub(crate) retry: bool,
    pub(crate) closing: Closing,
    /// What ended it early.
    pub(crate) cause: Option<Cause>,
    /// The front end wants no more data for now.
    pub(crate) paused: bool,
    pub(crate) caps: Caps,
    pub(crate) throttled: bool,
    /// The pool was empty: receive once into memory of our own, even if there are buffers again. A
    /// busy neighbour may take all of them in each turn, and this one would try in vain in each.
    pub(crate) starved: bool,
    /// Bytes that arrived after the close.
    pub(crate) ignored: usize,
    /// The peer may not send any longer.
    pub(crate) lingered: bool,
    /// The user has had the descriptor, and may have changed how it closes.
    pub(crate) exposed: Cell<bool>,
    /// Counts the connection on its loop, until its front end was told of the end.
    pub(crate) load: Option<Load>,
    /// It has come to its end, and nothing is left for the drop.
    pub(crate) ended: bool,
}

impl Link {
    pub(crate) fn new(id: SourceId, fd: Fd, caps: Caps, load: Load) -> Self {
        Self {
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
        }
    }

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
    pub(crate) fn was_exposed(&self) -> bool {
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

    pub(crate) fn fail(&mut self, cause: Cause) {
        if self.closing == Closing::Linger {
            self.lingered = true; // everything was sent, and told
            return;
        }
        self.cause.get_or_insert(cause);
        self.closing = Closing::Abort;
    }

    /// Whether receiving should go on.
    pub(crate) fn wants_data(&mut self) -> bool {
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
    pub(crate) fn is_throttled(&mut self) -> bool {
        // hysteresis: stop above the cap, go on below half of it
        let limit = if self.throttled { self.caps.outbound / 2 } else { self.caps.outbound };
        self.throttled = self.caps.hold_back && self.out.bytes() > limit;
        self.throttled
    }

    pub(crate) fn receive(&mut self, cx: &mut Cx<'_>) {
        let wants = self.wants_data();
        match self.receiving {
            Receiving::Idle if wants => self.arm(cx),
            Receiving::Armed(op) if !wants => self.cancel_receive(cx, op),
            _ => {}
        }
    }

    pub(crate) fn cancel_receive(&mut self, cx: &mut Cx<'_>, op: OpId) {
        cx.cancel_op(op);
        self.receiving = Receiving::Ending(op, cx.stats().turns);
    }

    pub(crate) fn arm(&mut self, cx: &mut Cx<'_>) {
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
    pub(crate) fn watch(&mut self, cx: &mut Cx<'_>) {
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

    pub(crate) fn watch_ended(&mut self) {
        self.watching = None;
        // without an error both sides have finished, and what they sent is there to be read
        if let Ok(Some(error)) = SockRef::from(&self.fd).take_error() {
            self.fail(Cause::Os(errno(&error)));
        }
    }

    pub(crate) fn transmit(&mut self, cx: &mut Cx<'_>) {
        let op = match (self.held.take(), self.out.next()) {
            (Some(op), _) => *op, // and the outbox has no next one meanwhile
            (None, Some(Step::Send(data))) => Send::new(self.fd.clone(), data).wait_all().into(),
            (None, Some(Step::SendPart(part))) => send_part(&self.fd, *part),
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

    pub(crate) fn is_over(&self) -> bool {
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
    pub(crate) fn cancel(&mut self, cx: &mut Cx<'_>) {
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
    pub(crate) fn cancel_again(&mut self, cx: &mut Cx<'_>) {
        self.send_cancelled = false;
        if let Receiving::Ending(op, _) = self.receiving {
            self.cancel_receive(cx, op);
        }
    }

    /// Something arrived. If that was asked to end in a turn before the last, the cancel has missed
    /// it.
    pub(crate) fn insist(&mut self, cx: &mut Cx<'_>) {
        if let Receiving::Ending(op, turn) = self.receiving {
            if cx.stats().turns > turn + 1 {
                self.cancel_receive(cx, op);
            }
        }
    }

    /// What was accepted and is lost when the connection ends by `cause` now.
    pub(crate) fn lost(&self, cause: Cause) -> usize {
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
    pub(crate) fn failure(&self) -> Option<Failure> {
        let cause = self.cause?;
        let lost = self.lost(cause) as u64;
        let is_clean = lost == 0 && matches!(cause, Cause::Aborted | Cause::Stopped);
        (!is_clean).then_some(Failure { cause, lost })
    }

    /// The end of the socket, as far as it does not come with its last descriptor: handles of it
    /// may live on, and so may operations.
    pub(crate) fn disconnect(&mut self, failure: Option<Failure>) {
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

/// The sending of a slice, which takes a box.
#[cold]
fn send_part(fd: &Fd, part: Slice<Payload>) -> LoopOp {
    LoopOp::Any(AnyOperation::new(Send::new(fd.clone(), part).wait_all()))
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
