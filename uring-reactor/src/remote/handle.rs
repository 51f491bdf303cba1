//! A way to a loop, for any thread.

use std::{
    fmt,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::Sender;
use parking_lot::Mutex;
use uring::{Operation, SetupFlags};

use super::shared::Shared;
use crate::{
    clock::after,
    end::Cause,
    error::Closed,
    event_loop::{Cx, EventLoop, command::Command, source::SourceId},
    stats::Stats,
};

/// A way to a loop, for any thread. A clone leads to the same loop.
///
/// Sending a command makes a system call only if the loop sleeps. What is sent after the loop has
/// ended comes back as [`Closed`], which says why it has. A loop that ends, also by an error, still
/// runs what it was sent before; what came too late for that is dropped with what it holds, and
/// counted in [`Report::lost`](crate::Report::lost).
///
/// In a forked child there are no loops: everything comes back at once, and nothing is touched.
#[derive(Clone)]
pub struct Handle {
    pub(crate) commands: Sender<Command>,
    pub(crate) shared: Arc<Shared>,
}

impl Handle {
    /// Submits an operation; `callback` runs on the loop with its output, exactly once. It is
    /// dropped without a call only if the loop ends before it takes the command, or leaks the
    /// operation.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the loop has ended.
    pub fn submit<O, F>(&self, op: O, callback: F) -> Result<Request, Closed<()>>
    where
        O: Operation<Item: 'static, Output: 'static> + Send + 'static,
        F: FnOnce(O::Output, &mut Cx<'_>) + Send + 'static,
    {
        self.request(move |cx| cx.submit(op, callback))
    }

    /// Submits an operation that is cancelled when the time is `deadline`; `callback` then gets
    /// `ECANCELED` or `EINTR`, or the result if that was faster.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the loop has ended.
    pub fn submit_before<O, F>(
        &self,
        deadline: Instant,
        op: O,
        callback: F,
    ) -> Result<Request, Closed<()>>
    where
        O: Operation<Item: 'static, Output: 'static> + Send + 'static,
        F: FnOnce(O::Output, &mut Cx<'_>) + Send + 'static,
    {
        self.request(move |cx| cx.submit_before(deadline, op, callback))
    }

    /// Submits an operation that yields several times; `callback` runs on the loop with each item
    /// (`Ok`) and, as the last, with the output (`Err`).
    ///
    /// # Errors
    ///
    /// [`Closed`] if the loop has ended.
    pub fn submit_multi<O, F>(&self, op: O, callback: F) -> Result<Request, Closed<()>>
    where
        O: Operation<Item: 'static, Output: 'static> + Send + 'static,
        F: FnMut(Result<O::Item, O::Output>, &mut Cx<'_>) + Send + 'static,
    {
        self.request(move |cx| cx.submit_multi(op, callback))
    }

    fn request(
        &self,
        submit: impl FnOnce(&mut Cx<'_>) -> SourceId + Send + 'static,
    ) -> Result<Request, Closed<()>> {
        let id = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&id);
        self.run(move |cx| *slot.lock() = Some(submit(cx)))?;
        Ok(Request { handle: self.clone(), id })
    }

    /// Calls `call` on the loop.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the loop has ended.
    pub fn run(&self, call: impl FnOnce(&mut Cx<'_>) + Send + 'static) -> Result<(), Closed<()>> {
        self.send(Command::Run(Box::new(call)))
    }

    /// Tells a source that somebody wants it to look around:
    /// [`SourceEvent::Poked`](crate::SourceEvent::Poked). Boxes nothing.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the loop has ended.
    pub fn poke(&self, source: SourceId) -> Result<(), Closed<()>> {
        self.send(Command::Poke(source))
    }

    /// Asks the loop to end within `limit`: it cancels what is in flight and waits for it.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the loop has ended.
    pub fn shutdown(&self, limit: Duration) -> Result<(), Closed<()>> {
        self.send(Command::Shutdown(after(limit)))
    }

    fn send(&self, command: Command) -> Result<(), Closed<()>> {
        if let Some(cause) = self.shared.ended() {
            return Err(Closed((), cause));
        }
        self.commands.send(command).map_err(|_| self.closed())?;
        self.shared.bell.ring();
        Ok(())
    }

    fn closed(&self) -> Closed<()> {
        // only a thread that unwinds drops the queue before it has said why
        Closed((), self.shared.ended().unwrap_or(Cause::Panicked))
    }

    /// Why the loop has ended, if it has. What is sent to it then comes back as [`Closed`].
    ///
    /// In a forked child every loop of its parent's is [`Cause::Forked`].
    #[must_use]
    pub fn ended(&self) -> Option<Cause> {
        self.shared.ended()
    }

    /// Whether the loop takes new work: it has neither ended nor begun to. For whoever chooses
    /// among several loops; it may end right after.
    #[must_use]
    pub fn takes_work(&self) -> bool {
        self.shared.takes_work()
    }

    /// What the loop had done when it last fell asleep or finished a turn.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.published.load()
    }

    /// The flags that the kernel granted to the loop's ring.
    #[must_use]
    pub fn setup_flags(&self) -> SetupFlags {
        self.shared.flags
    }

    /// Whether this is the loop's own thread, where waiting for the loop would wait for ever.
    #[must_use]
    pub fn is_current(&self) -> bool {
        thread::current().id() == self.shared.thread
    }
}

impl EventLoop {
    /// A way to the loop, for any thread.
    #[must_use]
    pub fn handle(&mut self) -> Handle {
        Cx { state: self.state() }.handle()
    }
}

impl Cx<'_> {
    /// A way to this loop for other threads.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle { commands: self.state.sender.clone(), shared: Arc::clone(&self.state.shared) }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// An operation that was submitted from another thread.
#[derive(Clone, Debug)]
pub struct Request {
    handle: Handle,
    id: Arc<Mutex<Option<SourceId>>>,
}

impl Request {
    /// Asks to end the operation. Its callback still runs, exactly once, with the real result.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the loop has ended.
    pub fn cancel(&self) -> Result<(), Closed<()>> {
        let id = Arc::clone(&self.id);
        // commands keep their order: by the time that this runs, the submission has run
        self.handle.run(move |cx| {
            let id = *id.lock();
            if let Some(id) = id {
                cx.cancel(id);
            }
        })
    }
}
