//! The source that accepts, on its loop, and its remote control.

use std::{
    io,
    os::fd::OwnedFd,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, bounded};
use uring_reactor::{
    Cx, Fd, Handle, LoopItem, LoopOutput, Source, SourceEvent, SourceId,
    uring::{OpId, op::AcceptMulti},
};

use super::{Ended, Shared};
use crate::core::errno;

/// How long accepting pauses after an error such as `EMFILE`: doubled each time, up to the last.
const BACKOFF: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(1)];

/// Tags of an acceptor's operation and timer.
const ACCEPT: u32 = 0;
const RETRY: u32 = 1;

/// An acceptor, as other threads see it.
pub(super) struct Running {
    pub(super) handle: Handle,
    id: Arc<OnceLock<SourceId>>,
    closing: Arc<AtomicBool>,
    /// Hangs up when the acceptor is gone, and its socket closed.
    closed: Receiver<()>,
}

impl Running {
    /// Asks the acceptor to end; what to wait for, if it can be reached.
    pub(super) fn close(self) -> Option<Receiver<()>> {
        // Relaxed: the command that follows orders it
        self.closing.store(true, Ordering::Relaxed);
        let id = Arc::clone(&self.id);
        // in order after the command that starts it
        let poke = move |cx: &mut Cx<'_>| {
            if let Some(id) = id.get() {
                cx.poke(*id);
            }
        };
        self.handle.run(poke).is_ok().then_some(self.closed)
    }

    /// Makes the acceptor look whether it can go on.
    pub(super) fn poke(&self) {
        if let Some(id) = self.id.get() {
            // a loop that has ended accepts no more
            let _sent = self.handle.poke(*id);
        }
    }
}

/// The source that accepts, on its loop.
pub(super) struct Acceptor {
    id: SourceId,
    /// Its loop among those of the listener.
    number: usize,
    fd: Fd,
    accepting: Option<OpId>,
    cancelling: bool,
    /// Waits for the timer before it tries again.
    waiting: bool,
    backoff: Duration,
    closing: Arc<AtomicBool>,
    shared: Arc<Shared>,
    _ended: Arc<Ended>,
    /// Last: it tells that the fields before it, the socket among them, are gone.
    _gone: Sender<()>,
}

impl Acceptor {
    pub(super) fn start(
        shared: &Arc<Shared>,
        number: usize,
        fd: OwnedFd,
        ended: Arc<Ended>,
    ) -> io::Result<Running> {
        let handle = shared.loads.handles().nth(number).expect("a loop of this number").clone();
        let (gone, closed) = bounded(0);
        let id = Arc::new(OnceLock::new());
        let closing = Arc::new(AtomicBool::new(false));
        let running = Running {
            handle: handle.clone(),
            id: Arc::clone(&id),
            closing: Arc::clone(&closing),
            closed,
        };
        let shared = Arc::clone(shared);
        handle.run(move |cx| {
            let source = cx.add_source_with(|id| Self {
                id,
                number,
                fd: Fd::from(fd),
                accepting: None,
                cancelling: false,
                waiting: false,
                backoff: BACKOFF[0],
                closing,
                shared,
                _ended: ended,
                _gone: gone,
            });
            let _first = id.set(source);
            cx.poke(source);
        })?;
        Ok(running)
    }

    fn accepted(&mut self, cx: &mut Cx<'_>, result: io::Result<OwnedFd>) {
        match result {
            Ok(fd) => {
                self.backoff = BACKOFF[0];
                self.shared.accepted.fetch_add(1, Ordering::Relaxed);
                self.place(cx, fd);
            }
            // asked for; or gone again before it was accepted
            Err(error) if matches!(errno(&error), libc::ECANCELED | libc::ECONNABORTED) => {}
            Err(error) => {
                self.shared.errors.fetch_add(1, Ordering::Relaxed);
                if let Some(hook) = &self.shared.on_error {
                    guard(|| hook(&error));
                }
                self.waiting = true;
                cx.timer_for(self.id, RETRY, Instant::now() + self.backoff);
                self.backoff = (self.backoff * 2).min(BACKOFF[1]);
            }
        }
    }

    /// Brings a connection to its loop.
    fn place(&self, cx: &mut Cx<'_>, fd: OwnedFd) {
        if self.shared.own_loop_only {
            let load = self.shared.loads.take(self.number);
            guard(|| (self.shared.open)(cx, fd, load));
            return;
        }
        let (handle, load) = self.shared.loads.least();
        if handle.is_current() {
            guard(|| (self.shared.open)(cx, fd, load));
            return;
        }
        let open = Arc::clone(&self.shared.open);
        // a loop that has ended drops the connection, and so closes it
        let _sent = handle.run(move |cx| open(cx, fd, load));
    }

    fn drive(&mut self, cx: &mut Cx<'_>) {
        // what is submitted while the loop ends is cancelled at once
        let stop = self.closing.load(Ordering::Relaxed) || cx.is_stopping();
        let wanted = !stop && !self.waiting && !self.shared.sink.is_full();
        match self.accepting {
            None if stop => cx.remove_source(self.id),
            None if wanted => {
                match cx.submit_for(self.id, ACCEPT, AcceptMulti::new(self.fd.clone())) {
                    Ok(op) => self.accepting = Some(op),
                    Err(_) => {
                        self.waiting = true;
                        cx.timer_for(self.id, RETRY, Instant::now() + self.backoff);
                    }
                }
            }
            Some(op) if !wanted && !self.cancelling => {
                self.cancelling = true;
                cx.cancel_op(op);
            }
            _ => {}
        }
    }
}

impl Source for Acceptor {
    fn on_event(&mut self, event: SourceEvent, cx: &mut Cx<'_>) {
        match event {
            SourceEvent::Item { item: LoopItem::Accept(result), .. } => self.accepted(cx, result),
            SourceEvent::Done { output: LoopOutput::Accept((result, _)), .. } => {
                self.accepting = None;
                if !self.cancelling {
                    cx.count_rearm();
                }
                self.cancelling = false;
                self.accepted(cx, result);
            }
            SourceEvent::Timer { .. } => self.waiting = false,
            _ => {}
        }
        self.drive(cx);
    }
}

/// Calls what the user gave. A panic costs one connection and not the listener; the hook for panics
/// has told of it.
fn guard(call: impl FnOnce()) {
    let _panicked = catch_unwind(AssertUnwindSafe(call));
}
