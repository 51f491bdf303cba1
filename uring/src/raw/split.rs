//! The raw ring as three handles that can be held apart.

use std::{io, time::Duration};

use super::{
    cq::{Completions, Cq, Releaser},
    enter::SqFlags,
    gate::{Gate, Wait},
    sq::{PushError, Sq, View},
};
use crate::{
    abi::{cqe::Cqe, sqe::Sqe, token::Token},
    setup::flags::Features,
};

/// Enters the kernel for a [`RawRing`](crate::RawRing) that was [split](crate::RawRing::split).
///
/// ```
/// use uring::{RawRing, Sqe};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring = RawRing::builder().entries(8).build()?;
/// let (mut submitter, mut queue, mut completions) = ring.split();
/// queue.push(Sqe::nop())?;
/// queue.publish();
/// assert_eq!(submitter.submit_and_wait(1)?, 1); // the kernel took one entry
/// assert_eq!(completions.completions().count(), 1);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Submitter<'r> {
    pub(super) gate: &'r mut Gate,
    pub(super) view: View,
    pub(super) completions: Releaser,
}

impl Submitter<'_> {
    /// Hands the published entries to the kernel, and says how many it took.
    ///
    /// # Errors
    ///
    /// As [`RawRing::submit`](crate::RawRing::submit).
    #[doc(alias = "io_uring_submit")]
    pub fn submit(&mut self) -> io::Result<u32> {
        self.submit_and_wait(0)
    }

    /// Hands the published entries to the kernel and waits for `min` completions, in one system
    /// call; says how many entries the kernel took.
    ///
    /// # Errors
    ///
    /// As [`RawRing::submit_and_wait`](crate::RawRing::submit_and_wait).
    #[doc(alias = "io_uring_submit_and_wait")]
    pub fn submit_and_wait(&mut self, min: u32) -> io::Result<u32> {
        let wait = Wait { min, ..Wait::default() };
        self.enter(wait)
    }

    /// The same, and waits no longer than `limit`. Since Linux 5.11.
    ///
    /// If entries were submitted, that the time was up is not told: the completion queue tells.
    ///
    /// # Errors
    ///
    /// As [`submit_and_wait`](Self::submit_and_wait); `ETIME` if nothing was submitted and the time
    /// was up; `Unsupported` before Linux 5.11, where [`RawRing::wait`](crate::RawRing::wait)
    /// works.
    #[doc(alias = "io_uring_submit_and_wait_timeout")]
    pub fn submit_and_wait_timeout(&mut self, min: u32, limit: Duration) -> io::Result<u32> {
        if !self.gate.granted.features.contains(Features::EXT_ARG) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let wait = Wait { min, timeout: Some(limit), mask: None };
        self.enter(wait)
    }

    fn enter(&mut self, wait: Wait<'_>) -> io::Result<u32> {
        self.completions.release();
        let entered = self.gate.prepare().and_then(|()| self.gate.enter(&self.view, wait));
        entered.map_err(io::Error::from_raw_os_error)
    }

    /// What the kernel says of the submission side.
    #[must_use]
    pub fn sq_flags(&self) -> SqFlags {
        self.view.flags()
    }
}

/// The queue of entries of a [`RawRing`](crate::RawRing) that was [split](crate::RawRing::split).
/// Dropping it publishes what was pushed.
#[derive(Debug)]
pub struct SubmissionQueue<'r> {
    pub(super) sq: &'r mut Sq,
}

impl SubmissionQueue<'_> {
    /// Queues an entry.
    ///
    /// # Errors
    ///
    /// [`PushError`] with the entry if the queue is full: submit, then push it again.
    #[doc(alias = "io_uring_get_sqe")]
    #[inline]
    pub fn push(&mut self, entry: Sqe) -> Result<(), PushError> {
        self.sq.push(entry)
    }

    /// Shows what was pushed to the kernel, which takes it at the next submission; a submission
    /// thread may take it at once.
    pub fn publish(&mut self) {
        self.sq.show();
    }

    /// How many entries were pushed and not yet consumed by the kernel.
    #[doc(alias = "io_uring_sq_ready")]
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.sq.waiting()
    }

    /// How many entries can be pushed before the next submission.
    #[doc(alias = "io_uring_sq_space_left")]
    #[must_use]
    pub fn room(&self) -> u32 {
        self.sq.room()
    }
}

impl Drop for SubmissionQueue<'_> {
    fn drop(&mut self) {
        self.sq.show();
    }
}

/// The queue of completions of a [`RawRing`](crate::RawRing) that was
/// [split](crate::RawRing::split).
#[derive(Debug)]
pub struct CompletionQueue<'r> {
    pub(super) cq: &'r mut Cq,
    /// Before Linux 5.11, the timeouts of [`RawRing::wait`](crate::RawRing::wait) complete here.
    pub(super) hides_stand_ins: bool,
}

impl CompletionQueue<'_> {
    /// Reads the next completion, if there is one; never a system call.
    #[doc(alias = "io_uring_peek_cqe")]
    #[doc(alias = "io_uring_cqe_seen")]
    #[inline]
    pub fn pop(&mut self) -> Option<Cqe> {
        loop {
            let cqe = self.cq.take()?;
            if !(self.hides_stand_ins && cqe.user_data() == Token::STAND_IN.user_data()) {
                return Some(cqe);
            }
        }
    }

    /// The completions that can be read now; the kernel learns in one store that they were.
    #[inline]
    pub fn completions(&mut self) -> Completions<'_> {
        Completions::new(self.cq)
    }

    /// How many completions can be read.
    #[doc(alias = "io_uring_cq_ready")]
    #[must_use]
    pub fn ready(&mut self) -> u32 {
        self.cq.ready()
    }
}
