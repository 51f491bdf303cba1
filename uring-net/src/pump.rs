//! The only file that knows operations: it moves a connection's bytes between queues and kernel.

use std::time::{Duration, Instant};

use uring_reactor::{
    Cx, Fd, LoopItem, LoopOp, LoopOutput, Source, SourceEvent, SourceId, TimerId,
    uring::{
        OpId, Payload, RecvBuf,
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

/// How long a connection that was closed may take to send what is queued.
const LINGER_LIMIT: Duration = Duration::from_secs(30);

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
    /// It was asked to end, because nobody takes what it brings.
    Ending,
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
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: SourceId,
    pub(crate) fd: Fd,
    pub(crate) out: Outbox,
    pub(crate) deadline: Deadline,
    receiving: Receiving,
    sending: Option<OpId>,
    closing: Closing,
    /// The front end wants no more data for now.
    pub(crate) paused: bool,
    /// Above this many bytes to send, nothing more is received.
    out_cap: usize,
    throttled: bool,
    /// The pool was empty: receive once into memory of our own.
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
        self.out.push(data)
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
        !self.paused && !self.throttled && self.closing == Closing::No
    }

    fn receive(&mut self, cx: &mut Cx<'_>) {
        let wants = self.wants_data();
        match self.receiving {
            Receiving::Idle if wants => self.arm(cx),
            Receiving::Armed(op) if !wants => {
                cx.cancel_op(op);
                self.receiving = Receiving::Ending;
            }
            _ => {}
        }
    }

    fn arm(&mut self, cx: &mut Cx<'_>) {
        let op: LoopOp = if self.starved && is_short(cx) {
            let bytes = cx.pool().buffer_bytes() as usize;
            Recv::new(self.fd.clone(), Vec::with_capacity(bytes)).into()
        } else {
            RecvMulti::new(self.fd.clone(), cx.pool()).into()
        };
        self.starved = false;
        match cx.submit_for(self.id, RECV, op) {
            Ok(op) => self.receiving = Receiving::Armed(op),
            Err(_) => self.fail(libc::ENOBUFS),
        }
    }

    fn transmit(&mut self, cx: &mut Cx<'_>) {
        let op: LoopOp = match self.out.next() {
            Some(Step::Send(data)) => Send::new(self.fd.clone(), data).wait_all().into(),
            Some(Step::Finish) => Shutdown::new(self.fd.clone(), std::net::Shutdown::Write).into(),
            None => return,
        };
        match cx.submit_for(self.id, SEND, op) {
            Ok(op) => self.sending = Some(op),
            Err(_) => {
                self.out.finished(Err(std::io::Error::from_raw_os_error(libc::ENOBUFS)));
                self.fail(libc::ENOBUFS);
            }
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
            cx.cancel_op(op);
            self.receiving = Receiving::Ending;
        }
        if self.closing == Closing::Abort {
            if let Some(op) = self.sending {
                cx.cancel_op(op);
            }
        }
    }
}

/// Whether fewer than a quarter of the loop's buffers are with the kernel.
pub(crate) fn is_short(cx: &Cx<'_>) -> bool {
    let pool = cx.pool();
    pool.available() < pool.buffers().div_ceil(4)
}

/// A connection and its front end, as the loop sees them.
pub(crate) struct Pump<F> {
    link: Link,
    front: F,
    /// Ends a connection that was closed and cannot send what is queued.
    linger: Option<TimerId>,
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
            closing: Closing::No,
            paused: false,
            out_cap,
            throttled: false,
            starved: false,
            error: None,
        },
        front,
        linger: None,
        _load: load,
    });
    // its first event starts it, in the next turn: before the enter that follows
    cx.poke(id);
    id
}

impl<F: Front> Pump<F> {
    fn received(&mut self, cx: &mut Cx<'_>, data: Payload) {
        // what still comes after an abort is nobody's
        if self.link.closing != Closing::Abort && !data.is_empty() {
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
                        // for the next one too, if buffers are still short
                        self.link.starved = true;
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
        if let Some(errno) = self.link.out.failed() {
            self.link.fail(errno);
        }
        self.front.sent(&mut self.link, cx, bytes);
    }

    /// Starts what the queues ask for, and ends the connection when nothing is left.
    fn drive(&mut self, cx: &mut Cx<'_>) {
        if self.link.closing < Closing::Abort {
            self.link.transmit(cx);
            self.link.receive(cx);
        }
        if self.link.closing != Closing::No {
            self.link.cancel(cx);
            if self.linger.is_none() && self.link.closing == Closing::Flush {
                let limit = Instant::now() + LINGER_LIMIT;
                self.linger = Some(cx.timer_for(self.link.id, LINGER, limit));
            }
        }
        self.link.deadline.arm(cx, self.link.id, DEADLINE);
        if self.link.is_over() {
            self.front.closed(cx, self.link.error);
            self.link.deadline.disarm(cx);
            if let Some(timer) = self.linger {
                cx.cancel_timer(timer);
            }
            cx.remove_source(self.link.id);
        }
    }
}

impl<F: Front> Source for Pump<F> {
    fn on_event(&mut self, event: SourceEvent, cx: &mut Cx<'_>) {
        match event {
            SourceEvent::Item { item: LoopItem::RecvMulti(buf), .. } => {
                self.received(cx, buf.into());
            }
            SourceEvent::Done { output, .. } => self.operation_ended(cx, output),
            SourceEvent::Poked => self.front.poked(&mut self.link, cx),
            SourceEvent::Timer { tag: LINGER } | SourceEvent::Shutdown => self.link.abort(),
            SourceEvent::Timer { .. } => {
                let due = self.link.deadline.is_due();
                if due {
                    self.front.expired(&mut self.link, cx);
                }
            }
            _ => {}
        }
        self.drive(cx);
    }
}
