//! What every safe door shares: a raw ring, and the ways in and out of a table of operations.

use std::{collections::VecDeque, io, time::Instant};

use crate::{
    Cqe, Event, OpId, Operation, RawRing, Reason, Rejected, SetupFlags, Sqe, SqeFlags,
    table::Table,
    token::{Class, Token},
};

/// What a ring has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Calls of `io_uring_enter(2)`.
    pub enters: u64,
    /// Operations submitted.
    pub submitted: u64,
    /// Completions of operations, each item and each end.
    pub completed: u64,
    /// Completions that belonged to no operation in flight: late, duplicate or forged. They were
    /// ignored.
    pub stale: u64,
    /// Completions that the kernel lost for want of memory; their operations never end.
    pub lost: u32,
}

/// A raw ring, and the completions that were read before somebody wanted them.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) raw: RawRing,
    /// Read to make room in the completion queue; older than what is in it.
    backlog: VecDeque<Cqe>,
    /// Met by a scope, but not its own.
    pub(crate) outer: VecDeque<Cqe>,
    /// Where the next scope's generations start.
    pub(crate) scope_generation: u32,
    submitted: u64,
    completed: u64,
    stale: u64,
}

/// How often a submission is tried again when the kernel says that it is short of something.
const RETRIES: u32 = 16;

impl Core {
    pub(crate) const fn new(raw: RawRing) -> Self {
        Self {
            raw,
            backlog: VecDeque::new(),
            outer: VecDeque::new(),
            scope_generation: 0,
            submitted: 0,
            completed: 0,
            stale: 0,
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            enters: self.raw.enters(),
            submitted: self.submitted,
            completed: self.completed,
            stale: self.stale,
            lost: self.raw.lost_completions(),
        }
    }

    /// The next completion, oldest first.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Cqe> {
        if !self.backlog.is_empty() {
            return self.backlog.pop_front();
        }
        self.raw.pop()
    }

    /// How many completions can be popped.
    fn ready(&mut self) -> u32 {
        let kept = u32::try_from(self.backlog.len()).unwrap_or(u32::MAX);
        self.raw.completions_ready().saturating_add(kept)
    }

    /// Hands what is queued to the kernel, until there is room for `room` entries. `EAGAIN` and
    /// `EBUSY` mean that it wants its completions read first: they go to the backlog.
    pub(crate) fn flush(&mut self, room: u32) -> io::Result<()> {
        let thread = self.raw.setup_flags().contains(SetupFlags::SQPOLL);
        let mut refused = 0;
        loop {
            let result = if thread { self.raw.await_room() } else { self.raw.enter(0, None) };
            let waiting = self.raw.submissions_waiting();
            if waiting == 0 || (thread && self.raw.submissions_room() >= room) {
                return Ok(());
            }
            match result {
                // an entry that was refused ends the batch before 5.18, and is consumed: progress
                Ok(1..) => refused = 0,
                Err(libc::EINTR) => {}
                Ok(0) | Err(libc::EAGAIN | libc::EBUSY) if refused < RETRIES => {
                    refused += 1;
                    self.keep_completions();
                    std::thread::yield_now();
                }
                Ok(0) => return Err(io::Error::from_raw_os_error(libc::EBUSY)),
                Err(errno) => return Err(io::Error::from_raw_os_error(errno)),
            }
        }
    }

    fn keep_completions(&mut self) {
        while let Some(cqe) = self.raw.pop() {
            self.backlog.push_back(cqe);
        }
    }

    /// Submits, and waits until `min` completions can be popped or the time is up.
    pub(crate) fn wait(&mut self, min: u32, until: Option<Instant>) -> io::Result<u32> {
        let mut refused = 0;
        loop {
            let kept = u32::try_from(self.backlog.len()).unwrap_or(u32::MAX);
            match self.raw.wait(min.saturating_sub(kept), until) {
                Ok(ready) => return Ok(ready.saturating_add(kept)),
                Err(e) if is_busy(&e) && refused < RETRIES => {
                    refused += 1;
                    let before = self.backlog.len();
                    self.keep_completions();
                    if self.backlog.len() > before {
                        refused = 0; // it has what it wanted
                    }
                    if self.ready() >= min && min > 0 {
                        return Ok(self.ready());
                    }
                    std::thread::yield_now();
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// Queues an operation.
    #[inline]
    pub(crate) fn submit<O: Operation, C>(
        &mut self,
        table: &mut Table<O, C>,
        op: O,
        ctx: C,
    ) -> Result<OpId, Rejected<O, C>> {
        if op.ring().is_some_and(|ring| ring != self.raw.id()) {
            return Err(Rejected { op, ctx, reason: Reason::ForeignRing });
        }
        if self.raw.sq().slot().is_none() {
            if let Err(error) = self.flush(1) {
                return Err(Rejected { op, ctx, reason: Reason::Kernel(error) });
            }
        }
        let mut pair = Some((op, ctx));
        match (self.place(table, &mut pair, SqeFlags::empty()), pair) {
            (Some(id), _) => Ok(id),
            (None, Some((op, ctx))) => {
                let reason = Reason::Full { capacity: table.capacity() };
                Err(Rejected { op, ctx, reason })
            }
            (None, None) => unreachable!("what was not placed is still there"),
        }
    }

    /// Puts an operation into the table and its entry into the queue, if both have room.
    #[inline]
    pub(crate) fn place<O: Operation, C>(
        &mut self,
        table: &mut Table<O, C>,
        pair: &mut Option<(O, C)>,
        flags: SqeFlags,
    ) -> Option<OpId> {
        let mut entry = self.raw.sq().slot()?;
        // SAFETY: `as_mut` asks for an aligned, initialised entry that nobody else accesses: the
        // slot lies in the mapping, which the kernel zeroed, and is not read before it is
        // published.
        let entry = unsafe { entry.as_mut() };
        let token = table.insert(pair, |op, token| {
            // SAFETY: the table says that the operation sits where it stays, and gives it out again
            // only for its terminal completion, or when its entry was taken back.
            unsafe { op.prepare(entry) };
            entry.set_user_data(token.user_data());
            entry.add_flags(flags);
        })?;
        self.raw.sq().advance();
        self.submitted += 1;
        Some(OpId(token))
    }

    /// Queues a request to cancel. Its own completion is ignored.
    pub(crate) fn cancel(&mut self, token: Token) -> io::Result<()> {
        let mut entry = Sqe::cancel(token.user_data()).with_user_data(Token::IGNORED.user_data());
        while let Err(full) = self.raw.push(entry) {
            entry = full.0;
            self.flush(1)?;
        }
        Ok(())
    }

    /// Turns a completion into an event of `table`, or says whose it is.
    #[inline]
    pub(crate) fn claim<O: Operation, C>(&mut self, table: &Table<O, C>, cqe: &Cqe) -> Claim {
        let token = Token::from_user_data(cqe.user_data());
        if token.class() == Class::OPERATION {
            if let Some(slot) = table.find(token) {
                self.completed += 1;
                return Claim::Ours(slot);
            }
            return Claim::Unknown;
        }
        if token.class() == Class::INTERNAL { Claim::Internal } else { Claim::Unknown }
    }

    pub(crate) const fn count_stale(&mut self) {
        self.stale += 1;
    }
}

/// Whose a completion is.
pub(crate) enum Claim {
    Ours(u32),
    /// The answer to a cancel of ours.
    Internal,
    Unknown,
}

/// The event of a completion that the table has claimed.
#[inline]
pub(crate) fn event<O: Operation, C>(
    table: &mut Table<O, C>,
    slot: u32,
    cqe: Cqe,
) -> Option<Event<'_, O, C>> {
    let id = OpId(Token::from_user_data(cqe.user_data()));
    if cqe.has_more() {
        let (op, ctx) = table.get_mut(slot)?;
        // SAFETY: the token says that it is a completion of this operation, it has MORE, and it was
        // popped from the queue, so it comes once.
        let item = unsafe { op.item(cqe) };
        return Some(Event::Item { id, ctx, item, cqe });
    }
    let (op, ctx) = table.remove(slot)?;
    // SAFETY: the token says that it is a completion of this operation, and it is the last one.
    let output = unsafe { op.finish(cqe) };
    Some(Event::Done { id, ctx, output, cqe })
}

fn is_busy(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EBUSY))
}
