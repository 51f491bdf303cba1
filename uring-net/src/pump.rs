//! The pump: it moves a connection's bytes between queues and kernel, and drives its end.

use std::time::{Duration, Instant};

use uring_reactor::{
    Cx, Fd, LoopItem, LoopOutput, Source, SourceEvent, SourceId, TimerId,
    uring::{Payload, RecvBuf, Slice, op::Send},
};

use crate::{
    core::errno,
    error::{Cause, End, Failure},
    limits::Caps,
    link::{Closing, Link, Receiving, WATCH, is_short},
    loads::Load,
    sys,
};

/// Tags of a connection's timers.
const DEADLINE: u32 = 2;
const ENDING: u32 = 3;
const RETRY: u32 = 4;

/// How often within its limit the progress of a connection that was closed is looked at.
const LOOKS: u32 = 4;

/// How long a peer that was told the end may be silent before its connection is closed: what it
/// sends after that would be answered by a reset, which may destroy what it has not read yet.
const QUIET: Duration = Duration::from_secs(1);

/// The same while the loop shuts down.
const QUIET_AT_SHUTDOWN: Duration = Duration::from_millis(20);

/// How often [`QUIET`] may pass with a peer that goes on sending.
const LINGER_LOOKS: u32 = 30;

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
    let id = cx.add_source_with(|id| Pump {
        link: Link::new(id, fd, caps, load),
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
    #[inline]
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
    #[inline]
    fn drive(&mut self, cx: &mut Cx<'_>) {
        let link = &mut self.link;
        if link.closing == Closing::No && !link.paused && !cx.is_stopping() {
            link.transmit(cx);
            link.receive(cx);
            link.deadline.arm(cx, link.id, DEADLINE);
            let goes_on = link.closing == Closing::No && link.receiving != Receiving::Over;
            if goes_on && !link.retry {
                return;
            }
        }
        self.drive_rarely(cx);
    }

    /// The same for a connection that ends, has paused, or found the ring full.
    #[cold]
    fn drive_rarely(&mut self, cx: &mut Cx<'_>) {
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
