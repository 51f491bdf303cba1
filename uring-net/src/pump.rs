//! The only file that knows operations: it moves a connection's bytes between queues and kernel.

use std::{
    fmt,
    net::Shutdown::Write,
    time::{Duration, Instant},
};

use socket2::SockRef;
use uring_reactor::{
    Cx, Fd, LoopItem, LoopOp, LoopOutput, Source, SourceEvent, SourceId, TimerId,
    uring::{
        OpId, Payload, Reason, RecvBuf, Rejected,
        op::{Recv, RecvMulti, Send, Shutdown},
    },
};

use crate::{
    core::{End, Outbox, Step, errno},
    deadline::Deadline,
    loads::Load,
};

/// Tags of a connection's operations and timers.
const RECV: u32 = 0;
const SEND: u32 = 1;
const DEADLINE: u32 = 2;
const LINGER: u32 = 3;
const RETRY: u32 = 4;

/// How long a connection that was closed may take to send what is queued.
const LINGER_LIMIT: Duration =
    if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(30) };

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
    /// The connection is gone; the error that ended it, if one did.
    fn closed(&mut self, cx: &mut Cx<'_>, error: Option<i32>);
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
    /// Send what is queued, then close, whatever the peer still sends.
    Flush,
    /// Stop now.
    Abort,
}

/// A connection on its loop.
pub(crate) struct Link {
    pub(crate) id: SourceId,
    pub(crate) fd: Fd,
    pub(crate) out: Outbox,
    pub(crate) deadline: Deadline,
    receiving: Receiving,
    sending: Option<OpId>,
    /// The send was asked to end.
    send_cancelled: bool,
    /// What goes out next, and found the ring full.
    held: Option<Box<LoopOp>>,
    /// The ring was full: try again after a while.
    retry: bool,
    closing: Closing,
    /// The front end wants no more data for now.
    pub(crate) paused: bool,
    /// Above this many bytes to send, nothing more is received.
    out_cap: usize,
    throttled: bool,
    /// The pool was empty: receive once into memory of our own, even if there are buffers again. A
    /// busy neighbour may take all of them in each turn, and this one would try in vain in each.
    starved: bool,
    error: Option<i32>,
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

    /// Whether the front end has closed the connection, or an error has.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing != Closing::No
    }

    pub(crate) fn close(&mut self) {
        self.out.finish();
        if self.closing == Closing::No {
            self.closing = Closing::Flush;
        }
    }

    pub(crate) fn abort(&mut self) {
        self.closing = Closing::Abort;
    }

    /// Whether enough went out for more to be queued.
    pub(crate) fn has_room(&self) -> bool {
        self.out.bytes() <= self.out_cap / 2
    }

    fn fail(&mut self, errno: i32) {
        self.error.get_or_insert(errno);
        self.abort();
    }

    /// Whether receiving should go on.
    fn wants_data(&mut self) -> bool {
        // hysteresis: stop above the cap, go on below half of it
        let limit = if self.throttled { self.out_cap / 2 } else { self.out_cap };
        self.throttled = self.out.bytes() > limit;
        // what goes out has the first claim to a place in the ring, this one's own if need be
        let has_place = self.held.is_none();
        !self.paused && !self.throttled && has_place && self.closing == Closing::No
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
            Err(_) => self.fail(libc::EINVAL),
        }
    }

    fn transmit(&mut self, cx: &mut Cx<'_>) {
        let op = match (self.held.take(), self.out.next()) {
            (Some(op), _) => *op, // and the outbox has no next one meanwhile
            (None, Some(Step::Send(data))) => Send::new(self.fd.clone(), data).wait_all().into(),
            (None, Some(Step::Finish)) => Shutdown::new(self.fd.clone(), Write).into(),
            (None, None) => return,
        };
        match cx.submit_for(self.id, SEND, op) {
            Ok(op) => self.sending = Some(op),
            Err(rejected) if may_go_later(&rejected) => {
                self.held = Some(Box::new(rejected.op));
                self.retry = true;
            }
            Err(_) => self.fail(libc::EINVAL),
        }
    }

    fn is_over(&self) -> bool {
        let nothing_in_flight =
            self.sending.is_none() && matches!(self.receiving, Receiving::Idle | Receiving::Over);
        let nothing_to_do = match self.closing {
            Closing::No => self.receiving == Receiving::Over && self.out.is_done(),
            Closing::Flush => self.out.is_done(),
            Closing::Abort => true,
        };
        nothing_in_flight && nothing_to_do
    }

    /// Asks to end what is in flight and no longer needed.
    fn cancel(&mut self, cx: &mut Cx<'_>) {
        if let Receiving::Armed(op) = self.receiving {
            self.cancel_receive(cx, op);
        }
        if self.closing == Closing::Abort && !self.send_cancelled {
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

    /// Ends both directions at once, for the peer and for what is in flight.
    fn disconnect(&self) {
        // it fails if the connection is no more
        let _ended = SockRef::from(&self.fd).shutdown(std::net::Shutdown::Both);
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
        // Its front end has panicked, or the loop ended without it. The operations hold the socket:
        // without this a silent peer would never hear.
        if self.sending.is_some() || !matches!(self.receiving, Receiving::Idle | Receiving::Over) {
            self.disconnect();
        }
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

/// A connection and its front end, as the loop sees them.
pub(crate) struct Pump<F> {
    /// First: its handles learn why before the drop of the link ends the socket.
    front: F,
    link: Link,
    /// Ends a connection that was closed and cannot send what is queued; then cancels again.
    linger: Option<(TimerId, Closing)>,
    /// Tries again what found the ring full.
    retry: Option<TimerId>,
    /// Counts the connection on its loop.
    _load: Load,
}

/// Puts a connection on the loop.
pub(crate) fn start<F: Front>(
    cx: &mut Cx<'_>,
    fd: Fd,
    out_cap: usize,
    load: Load,
    front: F,
) -> SourceId {
    let id = cx.add_source_with(|id| Pump {
        link: Link {
            id,
            fd,
            out: Outbox::default(),
            deadline: Deadline::default(),
            receiving: Receiving::Idle,
            sending: None,
            send_cancelled: false,
            held: None,
            retry: false,
            closing: Closing::No,
            paused: false,
            out_cap,
            throttled: false,
            starved: false,
            error: None,
        },
        front,
        linger: None,
        retry: None,
        _load: load,
    });
    // its first event starts it, in the next turn: before the enter that follows
    cx.poke(id);
    id
}

impl<F: Front> Pump<F> {
    fn received(&mut self, cx: &mut Cx<'_>, data: Payload) {
        // what still comes after a close is nobody's
        if !self.link.is_closing() && !data.is_empty() {
            self.front.received(&mut self.link, cx, data);
        }
    }

    fn read_ended(&mut self, cx: &mut Cx<'_>, end: End) {
        self.link.receiving = Receiving::Over;
        if let End::Failed(errno) = end {
            self.link.error.get_or_insert(errno);
        }
        self.front.read_ended(&mut self.link, cx, end);
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
                self.link.sending = None;
                let bytes = self.link.out.sent(result, &data);
                drop(data); // before the front end looks at the pool
                self.sending_ended(cx, bytes);
            }
            LoopOutput::Shutdown((result, _)) => {
                self.link.sending = None;
                self.link.out.finished(result);
                self.sending_ended(cx, 0);
            }
            _ => {}
        }
    }

    fn sending_ended(&mut self, cx: &mut Cx<'_>, bytes: usize) {
        match self.link.out.failed() {
            // after an abort it was cancelled, and that is no error of the connection
            Some(errno) if self.link.closing != Closing::Abort => self.link.fail(errno),
            _ => {}
        }
        self.front.sent(&mut self.link, cx, bytes);
    }

    /// Starts what the queues ask for, and ends the connection when nothing is left.
    fn drive(&mut self, cx: &mut Cx<'_>) {
        if cx.is_stopping() {
            self.link.abort(); // what would be submitted now would be cancelled, for ever
        }
        if self.link.closing < Closing::Abort {
            self.link.transmit(cx);
            self.link.receive(cx);
        }
        if self.link.is_closing() {
            self.link.cancel(cx);
        } else {
            self.link.deadline.arm(cx, self.link.id, DEADLINE);
        }
        if self.link.is_over() {
            self.end(cx);
        } else {
            self.set_timers(cx);
        }
    }

    fn set_timers(&mut self, cx: &mut Cx<'_>) {
        let Link { id, closing, .. } = self.link;
        if closing != Closing::No && self.linger.is_none_or(|(_, of)| of < closing) {
            let limit = if closing == Closing::Flush { LINGER_LIMIT } else { CANCEL_AGAIN };
            let timer = cx.timer_for(id, LINGER, Instant::now() + limit);
            if let Some((earlier, _)) = self.linger.replace((timer, closing)) {
                cx.cancel_timer(earlier);
            }
        }
        if std::mem::take(&mut self.link.retry) && self.retry.is_none() {
            self.retry = Some(cx.timer_for(id, RETRY, Instant::now() + FULL_AGAIN));
        }
    }

    fn end(&mut self, cx: &mut Cx<'_>) {
        self.link.deadline.disarm(cx);
        let linger = self.linger.take().map(|(timer, _)| timer);
        for timer in [linger, self.retry.take()].into_iter().flatten() {
            cx.cancel_timer(timer);
        }
        cx.remove_source(self.link.id);
        self.front.closed(cx, self.link.error);
        // After that: handles of it may live on and keep the socket open, and what they find first
        // must be the reason.
        if self.link.closing == Closing::Abort && matches!(self.link.fd, Fd::Shared(_)) {
            self.link.disconnect();
        }
    }

    fn timer_fired(&mut self, cx: &mut Cx<'_>, tag: u32) {
        match tag {
            LINGER => {
                self.linger = None;
                self.link.abort();
                self.link.cancel_again(cx);
            }
            RETRY => self.retry = None,
            _ => {
                if self.link.deadline.is_due() && !self.link.is_closing() {
                    self.front.expired(&mut self.link, cx);
                }
            }
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
            SourceEvent::Done { output, .. } => self.operation_ended(cx, output),
            SourceEvent::Poked => self.front.poked(&mut self.link, cx),
            SourceEvent::Shutdown => self.link.abort(),
            SourceEvent::Timer { tag } => self.timer_fired(cx, tag),
            _ => {}
        }
        self.drive(cx);
    }
}
