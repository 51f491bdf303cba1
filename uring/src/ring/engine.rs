//! What every safe door shares: a raw ring, and the ways in and out of a table of operations.

use std::{
    collections::VecDeque,
    io,
    time::{Duration, Instant},
};

use super::{
    error::{Reason, Rejected},
    event::Event,
    table::{Found, Table},
};
use crate::{
    abi::{
        cqe::Cqe,
        sqe::{Sqe, SqeFlags, ZERO},
        token::{Class, OpId, Token},
    },
    kernel::{self, map::FORKED},
    operation::Operation,
    raw::{gate::Wait, ring::RawRing},
    setup::flags::SetupFlags,
};

/// What a ring has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Calls of `io_uring_enter(2)`.
    pub enters: u64,
    /// Operations queued, those that were taken back before the kernel saw them included.
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
pub(super) struct Engine {
    pub(super) raw: RawRing,
    kept: Kept,
    /// Where the next scope's generations start.
    pub(super) scope_generation: u32,
    submitted: u64,
    completed: u64,
    stale: u64,
}

/// How often a submission is tried again when the kernel says that it is short of something.
const RETRIES: u32 = 16;

/// How long to leave the submission thread alone before looking again whether it has made room; it
/// doubles.
const PAUSE: Duration = Duration::from_micros(50);
const PAUSE_MAX: Duration = Duration::from_millis(1);

impl Engine {
    pub(super) const fn new(raw: RawRing) -> Self {
        Self { raw, kept: Kept::new(), scope_generation: 0, submitted: 0, completed: 0, stale: 0 }
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            enters: self.raw.enters(),
            submitted: self.submitted,
            completed: self.completed,
            stale: self.stale,
            lost: self.raw.lost_completions(),
        }
    }

    /// The next completion that no scope has met, oldest first.
    #[inline(always)]
    pub(super) fn pop(&mut self) -> Option<Cqe> {
        if self.kept.count > 0 { self.pop_kept() } else { self.raw.take() }
    }

    #[cold]
    fn pop_kept(&mut self) -> Option<Cqe> {
        self.kept_here().pop_backlog().or_else(|| self.raw.take())
    }

    /// The next completion, oldest first.
    #[inline(always)]
    pub(super) fn pop_outer(&mut self) -> Option<Cqe> {
        if self.kept.count > 0 { self.pop_kept_outer() } else { self.raw.take() }
    }

    #[cold]
    fn pop_kept_outer(&mut self) -> Option<Cqe> {
        self.kept_here().pop_outer().or_else(|| self.pop_kept())
    }

    /// A completion that a scope has met, oldest first; none of those that nobody has looked at.
    pub(super) fn pop_met(&mut self) -> Option<Cqe> {
        self.kept_here().pop_outer()
    }

    /// What was kept: nothing in a forked child, where it is the parent's, as the queues are.
    fn kept_here(&mut self) -> &mut Kept {
        if self.raw.fd().is_forked() {
            self.kept = Kept::new();
        }
        &mut self.kept
    }

    /// Keeps a completion that a scope has met and that is not its own.
    pub(super) fn keep_met(&mut self, cqe: Cqe) {
        self.kept.push_outer(cqe);
    }

    /// How many completions scopes have met that were not theirs.
    pub(super) fn met(&self) -> u32 {
        u32::try_from(self.kept.outer.len()).unwrap_or(u32::MAX)
    }

    /// How many completions were read and are kept.
    fn kept(&self) -> u32 {
        u32::try_from(self.kept.backlog.len()).unwrap_or(u32::MAX)
    }

    fn keep_completions(&mut self) {
        while let Some(cqe) = self.raw.take() {
            self.kept.push_backlog(cqe);
        }
    }

    pub(super) fn has_submission_thread(&self) -> bool {
        self.raw.setup_flags().contains(SetupFlags::SQPOLL)
    }

    /// Hands what is queued to the kernel, until there is room for `room` entries. `EAGAIN` and
    /// `EBUSY` mean that it wants its completions read first: they go to the backlog.
    ///
    /// A submission thread takes the entries in its own time, and may be kept from it by an
    /// operation that blocks: `until` bounds the wait for it.
    pub(super) fn flush(&mut self, room: u32, until: Option<Instant>) -> io::Result<()> {
        let thread = self.has_submission_thread();
        let mut refused = 0;
        let mut pause = PAUSE;
        loop {
            let result = self.raw.enter(Wait::default());
            let waiting = self.raw.submissions_waiting();
            let has_room = thread && self.raw.submissions_room() >= room;
            if result.is_ok() && (waiting == 0 || has_room) {
                return Ok(());
            }
            let late = until.is_some_and(|until| kernel::now() >= until);
            match result {
                Ok(_) if late => return Err(io::ErrorKind::TimedOut.into()),
                // it sleeps until there is room for one
                Ok(_) if thread && until.is_none() && room == 1 => self.raw.wait_for_room()?,
                Ok(_) if thread => {
                    kernel::sleep(pause);
                    pause = PAUSE_MAX.min(pause * 2);
                }
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

    /// Submits, and waits until `min` completions can be popped or the time is up.
    pub(super) fn wait(&mut self, min: u32, until: Option<Instant>) -> io::Result<u32> {
        let mut refused = 0;
        loop {
            let kept = self.kept();
            match self.raw.wait(min.saturating_sub(kept), until) {
                Ok(ready) => {
                    let all = ready.saturating_add(kept);
                    if all >= min || until.is_some_and(|until| kernel::now() >= until) {
                        return Ok(all);
                    }
                    self.keep_completions(); // more than the queue holds
                }
                Err(e) if is_busy(&e) && refused < RETRIES => {
                    refused += 1;
                    self.keep_completions();
                    if self.kept() > kept {
                        refused = 0; // it has what it wanted
                    }
                    if self.kept() >= min && min > 0 {
                        return Ok(self.kept());
                    }
                    std::thread::yield_now();
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// The same, but a signal ends the wait.
    pub(super) fn wait_interruptible(
        &mut self,
        min: u32,
        until: Option<Instant>,
        mask: Option<&libc::sigset_t>,
    ) -> io::Result<u32> {
        let kept = self.kept();
        let ready = self.raw.wait_interruptible(min.saturating_sub(kept), until, mask)?;
        Ok(ready.saturating_add(kept))
    }

    /// Queues an operation. Inlined, so that it is built in the table and not before.
    #[inline(always)]
    pub(super) fn submit<O: Operation, C>(
        &mut self,
        table: &mut Table<'_, O, C>,
        op: O,
        ctx: C,
    ) -> Result<OpId, Rejected<O, C>> {
        let here = op.ring().is_none_or(|ring| ring == self.raw.id());
        if here && !table.is_full() && self.raw.sq().has_room() {
            return self.place(table, op, ctx, SqeFlags::empty()).map_err(forked);
        }
        self.make_room(table, op, ctx)
    }

    /// Queues an operation that there is no room for yet, or says why it cannot be.
    #[cold]
    #[inline(never)]
    fn make_room<O: Operation, C>(
        &mut self,
        table: &mut Table<'_, O, C>,
        op: O,
        ctx: C,
    ) -> Result<OpId, Rejected<O, C>> {
        if op.ring().is_some_and(|ring| ring != self.raw.id()) {
            return Err(Rejected { op, ctx, reason: Reason::OtherRing });
        }
        if table.is_full() {
            let reason = Reason::Full { capacity: table.capacity() };
            return Err(Rejected { op, ctx, reason });
        }
        if let Err(error) = self.flush(1, None) {
            return Err(Rejected { op, ctx, reason: Reason::Kernel(error) });
        }
        if !self.raw.sq().has_room() {
            let reason = Reason::Kernel(io::Error::from_raw_os_error(libc::EBUSY));
            return Err(Rejected { op, ctx, reason });
        }
        self.place(table, op, ctx, SqeFlags::empty()).map_err(forked)
    }

    /// Puts an operation into the table and its entry into the queue, which both have room. Gives
    /// it back if the queue has gone meanwhile: `prepare` calls code of the user's, which may fork.
    #[inline(always)]
    pub(super) fn place<O: Operation, C>(
        &mut self,
        table: &mut Table<'_, O, C>,
        op: O,
        ctx: C,
        flags: SqeFlags,
    ) -> Result<OpId, (O, C)> {
        let mut placed = table.insert(op, ctx);
        // Made here and not in the queue: what was in its place before is nobody's to see.
        let mut entry = Sqe::from_raw(ZERO);
        // SAFETY: the table has put the operation where it stays, and gives it out again only for
        // its terminal completion, or when its entry was taken back.
        unsafe { placed.op().prepare(&mut entry) };
        entry.seal(placed.token().user_data(), flags);
        if self.raw.push(entry).is_err() {
            return Err(placed.take_back());
        }
        let token = placed.keep();
        self.submitted += 1;
        Ok(OpId { token, ring: self.raw.id() })
    }

    /// Queues a request to cancel. Its own completion is ignored.
    pub(super) fn cancel(&mut self, token: Token, until: Option<Instant>) -> io::Result<()> {
        let mut entry = Sqe::cancel(token.user_data()).with_user_data(Token::IGNORED.user_data());
        while let Err(full) = self.raw.push(entry) {
            entry = full.0;
            self.flush(1, until)?;
        }
        Ok(())
    }

    /// Asks to cancel everything on the ring, and hands the request to the kernel. Since Linux
    /// 5.19.
    pub(super) fn cancel_any(&mut self, until: Option<Instant>) -> io::Result<()> {
        let mut entry = Sqe::cancel_any().with_user_data(Token::IGNORED.user_data());
        while let Err(full) = self.raw.push(entry) {
            entry = full.0;
            self.flush(1, until)?;
        }
        self.flush(0, until)
    }

    /// Queues a request to cancel an operation of `table`, if that is what `id` names.
    pub(super) fn cancel_one<O: Operation, C>(
        &mut self,
        table: &Table<'_, O, C>,
        id: OpId,
    ) -> io::Result<()> {
        if id.ring != self.raw.id() {
            return Err(Reason::OtherRing.into());
        }
        if table.owns(id.token) { self.cancel(id.token, None) } else { Ok(()) }
    }

    /// The live operation that a completion belongs to.
    #[inline(always)]
    pub(super) fn claim<O: Operation, C>(
        &mut self,
        table: &Table<'_, O, C>,
        cqe: &Cqe,
    ) -> Option<Found> {
        let found = table.find(Token::from_user_data(cqe.user_data()))?;
        self.completed += 1;
        Some(found)
    }

    /// Counts a completion that belongs to no operation, unless it answers a cancel of ours.
    #[cold]
    pub(super) fn dismiss(&mut self, cqe: &Cqe) {
        self.stale += u64::from(!is_internal(cqe));
    }

    /// The event of a completion that the table has claimed. Inlined, so that what nobody looks at
    /// is not even written.
    #[inline(always)]
    pub(super) fn event<'t, O: Operation, C>(
        &self,
        table: &'t mut Table<'_, O, C>,
        found: Found,
        cqe: Cqe,
    ) -> Event<'t, O, C> {
        let id = OpId { token: Token::from_user_data(cqe.user_data()), ring: self.raw.id() };
        if cqe.has_more() {
            let (op, ctx) = table.get(found);
            // SAFETY: the pointer leads to the operation whose completion this is, says the token,
            // and nothing refers to that; it has MORE, and was taken from the queue, so it comes
            // once.
            let item = unsafe { O::item(op, cqe) };
            return Event::Item { id, ctx, item, cqe };
        }
        let (op, ctx) = table.remove(found);
        // SAFETY: the token says that it is a completion of this operation, and it is the last one.
        let output = unsafe { op.finish(cqe) };
        Event::Done { id, ctx, output, cqe }
    }
}

/// Whether a completion is the answer to an entry of the ring's own, or a filler.
pub(super) fn is_internal(cqe: &Cqe) -> bool {
    Token::from_user_data(cqe.user_data()).class() == Class::INTERNAL
}

/// Completions that were read before somebody wanted them.
#[derive(Debug)]
struct Kept {
    /// Read to make room in the completion queue; older than what is in it.
    backlog: VecDeque<Cqe>,
    /// Met by a scope, but not its own: older still.
    outer: VecDeque<Cqe>,
    /// How many there are: one look instead of two, since most often there are none.
    count: usize,
}

impl Kept {
    const fn new() -> Self {
        Self { backlog: VecDeque::new(), outer: VecDeque::new(), count: 0 }
    }

    fn push_backlog(&mut self, cqe: Cqe) {
        self.backlog.push_back(cqe);
        self.count += 1;
    }

    fn push_outer(&mut self, cqe: Cqe) {
        self.outer.push_back(cqe);
        self.count += 1;
    }

    fn pop_backlog(&mut self) -> Option<Cqe> {
        let cqe = self.backlog.pop_front()?;
        self.count -= 1;
        Some(cqe)
    }

    fn pop_outer(&mut self) -> Option<Cqe> {
        let cqe = self.outer.pop_front()?;
        self.count -= 1;
        Some(cqe)
    }
}

/// An operation whose `prepare` has forked, in the child.
#[cold]
pub(super) fn forked<O, C>((op, ctx): (O, C)) -> Rejected<O, C> {
    Rejected { op, ctx, reason: Reason::Kernel(io::Error::from_raw_os_error(FORKED)) }
}

fn is_busy(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EBUSY))
}
