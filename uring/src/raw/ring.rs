//! The ring without a table: entries in, completions out.

use std::{
    io,
    marker::PhantomData,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    rc::Rc,
    time::Instant,
};

use uring_sys as sys;

use super::{
    cq::{Completions, Cq},
    cursors::Place,
    enter::SqFlags,
    fd::RingFd,
    gate::{Gate, Wait},
    split::{CompletionQueue, SubmissionQueue, Submitter},
    sq::{PushError, Sq},
};
use crate::{
    abi::{
        cqe::Cqe,
        sqe::Sqe,
        time::timespec,
        token::{RingId, Token},
    },
    kernel::{self, map::RingMemory},
    pool::{Pool, error::PoolError},
    setup::{
        flags::{Features, SetupFlags},
        ladder::Granted,
    },
};

/// A ring for runtime authors, who keep their own table of operations.
///
/// Entries are made by the constructors of [`Sqe`]; those that carry pointers are `unsafe`. The
/// ring never interprets `user_data` (only `u64::MAX` is taken, on kernels before 5.11). It does
/// not wait for operations when it is dropped: whoever holds their memory must have reaped them
/// before.
///
/// A ring belongs to the thread that made it, and is neither `Send` nor `Sync`. In a forked child
/// it has no room and no completions, and every call on it fails with `EEXIST`.
///
/// - **Since:** Linux 5.10.
/// - **Manual:** [`io_uring(7)`](https://man7.org/linux/man-pages/man7/io_uring.7.html).
///
/// ```
/// use uring::{RawRing, Sqe};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring = RawRing::builder().entries(8).build()?;
/// ring.push(Sqe::nop().with_user_data(7))?;
/// ring.submit_and_wait(1)?;
/// assert_eq!(ring.pop().map(|cqe| cqe.user_data()), Some(7));
/// # Ok(()) }
/// ```
///
/// ```compile_fail,E0277
/// fn is_send<T: Send>() {}
/// is_send::<uring::RawRing>();
/// ```
#[derive(Debug)]
pub struct RawRing {
    sq: Sq,
    cq: Cq,
    gate: Gate,
    id: RingId,
    /// Read by the kernel when the stand-in timeout is submitted, which may be an enter later.
    stand_in: Box<sys::__kernel_timespec>,
    // The queues above point into it, and the descriptor goes last.
    _memory: RingMemory,
    fd: Rc<RingFd>,
    /// Single-issuer rings answer `EEXIST` to other threads, and a registered descriptor is an
    /// index of this thread's table.
    _thread: PhantomData<*mut ()>,
}

impl RawRing {
    /// Maps the queues of a new ring.
    pub(crate) fn map(fd: OwnedFd, params: &sys::io_uring_params) -> io::Result<Self> {
        let bytes = |offset: u32, count: u32, each: usize| {
            let too_large = || io::Error::from_raw_os_error(libc::EOVERFLOW);
            let all = (count as usize).checked_mul(each).ok_or_else(too_large)?;
            all.checked_add(offset as usize).ok_or_else(too_large)
        };
        let sq_bytes = bytes(params.sq_off.array, params.sq_entries, size_of::<u32>())?;
        let cqe = size_of::<sys::io_uring_cqe>();
        let cq_bytes = bytes(params.cq_off.cqes, params.cq_entries, cqe)?;
        let entry_bytes = bytes(0, params.sq_entries, size_of::<sys::io_uring_sqe>())?;
        let at = Place::new()?;
        // one mapping holds both (FEAT_SINGLE_MMAP, which `missing_features` asked for)
        let ring_bytes = sq_bytes.max(cq_bytes);
        let birth = Rc::clone(at.birth());
        let memory = RingMemory::map(fd.as_raw_fd(), ring_bytes, entry_bytes, birth)?;
        let fd = Rc::new(RingFd::new(fd, at.clone()));
        fd.register_itself();
        Ok(Self {
            sq: Sq::new(&memory, params, at.clone()),
            cq: Cq::new(&memory, params, at),
            gate: Gate::new(&fd, params),
            id: RingId::next(),
            stand_in: Box::default(),
            _memory: memory,
            fd,
            _thread: PhantomData,
        })
    }

    /// The flags that the kernel granted.
    #[must_use]
    pub const fn setup_flags(&self) -> SetupFlags {
        self.gate.granted.flags
    }

    /// The features that the kernel has.
    #[must_use]
    pub const fn features(&self) -> Features {
        self.gate.granted.features
    }

    /// How many entries one submission holds.
    #[must_use]
    pub const fn entries(&self) -> u32 {
        self.gate.granted.entries
    }

    /// How many completions are kept until they are read.
    #[must_use]
    pub const fn completions_max(&self) -> u32 {
        self.gate.granted.completions
    }

    pub(crate) const fn granted(&self) -> Granted {
        self.gate.granted
    }

    pub(crate) const fn id(&self) -> RingId {
        self.id
    }

    pub(crate) const fn fd(&self) -> &Rc<RingFd> {
        &self.fd
    }

    /// How many `io_uring_enter` calls this ring has made.
    #[must_use]
    pub const fn enters(&self) -> u64 {
        self.gate.enters
    }

    /// How many completions the kernel lost for want of memory, since the ring was made.
    #[must_use]
    pub fn lost_completions(&self) -> u32 {
        self.cq.lost()
    }

    /// What the kernel says of the submission side.
    #[doc(alias = "io_uring_cq_has_overflow")]
    #[must_use]
    pub fn sq_flags(&self) -> SqFlags {
        self.sq.view().flags()
    }

    /// How many entries were pushed and not yet consumed by the kernel.
    #[doc(alias = "io_uring_sq_ready")]
    #[must_use]
    pub fn submissions_waiting(&self) -> u32 {
        self.sq.waiting()
    }

    /// How many entries can be pushed before the next submission.
    #[doc(alias = "io_uring_sq_space_left")]
    #[must_use]
    pub fn submissions_room(&self) -> u32 {
        self.sq.room()
    }

    /// How many completions can be read.
    #[doc(alias = "io_uring_cq_ready")]
    #[must_use]
    pub fn completions_ready(&mut self) -> u32 {
        self.cq.ready()
    }

    /// Queues an entry for the next submission.
    ///
    /// # Errors
    ///
    /// [`PushError`] with the entry if the queue is full: submit, then push it again.
    #[doc(alias = "io_uring_get_sqe")]
    #[inline]
    pub fn push(&mut self, entry: Sqe) -> Result<(), PushError> {
        self.sq.push(entry)
    }

    /// The ring as three handles, for code that submits and reaps in different places.
    ///
    /// What is pushed is shown to the kernel when the [`SubmissionQueue`] is dropped or its
    /// [`publish`](SubmissionQueue::publish) is called; the [`Submitter`] submits what it finds
    /// then.
    ///
    /// ```
    /// use uring::{RawRing, Sqe};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Ok(_) = uring::check() else { return Ok(()) };
    /// let mut ring = RawRing::builder().entries(8).build()?;
    /// let (mut submitter, mut queue, mut completions) = ring.split();
    /// queue.push(Sqe::nop().with_user_data(7))?;
    /// queue.publish();
    /// submitter.submit_and_wait(1)?;
    /// assert_eq!(completions.pop().map(|cqe| cqe.user_data()), Some(7));
    /// # Ok(()) }
    /// ```
    pub fn split(&mut self) -> (Submitter<'_>, SubmissionQueue<'_>, CompletionQueue<'_>) {
        let view = self.sq.view().clone();
        let ext_arg = self.features().contains(Features::EXT_ARG);
        let completions = self.cq.releaser();
        (
            Submitter { gate: &mut self.gate, view, completions },
            SubmissionQueue { sq: &mut self.sq },
            CompletionQueue { cq: &mut self.cq, hides_stand_ins: !ext_arg },
        )
    }

    #[inline]
    pub(crate) const fn sq(&mut self) -> &mut Sq {
        &mut self.sq
    }

    /// Hands the queued entries to the kernel, and says how many it took.
    ///
    /// # Errors
    ///
    /// `EAGAIN` and `EBUSY` ask to read completions first; others are those of
    /// [`io_uring_enter(2)`](https://man7.org/linux/man-pages/man2/io_uring_enter.2.html).
    #[doc(alias = "io_uring_submit")]
    #[inline]
    pub fn submit(&mut self) -> io::Result<u32> {
        self.submit_and_wait(0)
    }

    /// Hands the queued entries to the kernel and waits for `min` completions, in one system call;
    /// says how many entries the kernel took. A signal ends the wait early.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit), and `EINTR` after a signal if no entry was submitted; else only
    /// the completion queue tells that the wait was cut short.
    #[doc(alias = "io_uring_submit_and_wait")]
    #[inline]
    pub fn submit_and_wait(&mut self, min: u32) -> io::Result<u32> {
        // what was read no longer counts as something to wait for
        self.cq.release();
        self.enter(Wait { min, ..Wait::default() }).map_err(io::Error::from_raw_os_error)
    }

    /// Submits what is queued and waits until `min` completions can be read or the time is `until`;
    /// says how many can be read, which after the time is less than `min`. More than the queue
    /// holds can never be read at once: a larger `min` counts as the size of the queue.
    ///
    /// Signals do not end the wait: [`wait_interruptible`](Self::wait_interruptible) is for that.
    /// With `min` 0 it does not wait, but brings forward what the kernel holds back until the task
    /// asks for it; it makes no system call if there is nothing to do.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    #[doc(alias("io_uring_submit_and_wait_timeout", "io_uring_wait_cqe_nr"))]
    #[doc(alias("io_uring_wait_cqe_timeout", "io_uring_wait_cqe", "io_uring_get_events"))]
    #[doc(alias = "submit_with_args")]
    #[doc(alias = "io_uring_submit_and_get_events")]
    pub fn wait(&mut self, min: u32, until: Option<Instant>) -> io::Result<u32> {
        let min = min.min(self.gate.granted.completions);
        loop {
            match self.wait_once(min, until, None) {
                Ok((_, ready)) if ready >= min || is_past(until) => return Ok(ready),
                // An enter that submitted hides that its wait was cut short, and one that could not
                // submit all does not wait: only the queue and the clock tell.
                Ok(_) | Err(libc::EINTR) => {}
                Err(errno) => return Err(io::Error::from_raw_os_error(errno)),
            }
        }
    }

    /// As [`wait`](Self::wait), but a signal ends the wait. With `mask`, exactly the signals in it
    /// are blocked during the wait, as [`ppoll(2)`] does it.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit), and `EINTR` if a signal was handled before there were `min`
    /// completions. A signal that comes while entries are submitted may end the wait with fewer
    /// completions and no error.
    ///
    /// [`ppoll(2)`]: https://man7.org/linux/man-pages/man2/ppoll.2.html
    #[doc(alias = "io_uring_wait_cqes")]
    pub fn wait_interruptible(
        &mut self,
        min: u32,
        until: Option<Instant>,
        mask: Option<&libc::sigset_t>,
    ) -> io::Result<u32> {
        let min = min.min(self.gate.granted.completions);
        loop {
            match self.wait_once(min, until, mask) {
                Ok((0, ready)) if ready < min && !is_past(until) => {}
                // one that could not submit all did not wait, and so hid nothing
                Ok((_, ready)) if ready < min && !is_past(until) && self.has_more_to_submit() => {}
                // what submitted may have hidden a signal
                Ok((_, ready)) => return Ok(ready),
                Err(errno) => return Err(io::Error::from_raw_os_error(errno)),
            }
        }
    }

    /// Whether the last enter left entries to the next one.
    fn has_more_to_submit(&self) -> bool {
        !self.setup_flags().contains(SetupFlags::SQPOLL) && self.sq.waiting() > 0
    }

    /// One attempt to wait: how many entries were submitted, and how many completions can be read.
    /// Fails with the errno.
    pub(crate) fn wait_once(
        &mut self,
        min: u32,
        until: Option<Instant>,
        mask: Option<&libc::sigset_t>,
    ) -> Result<(u32, u32), i32> {
        // what was read no longer counts as something to wait for
        self.cq.release();
        let missing = if self.cq.ready() >= min { 0 } else { min };
        let left = |until: Instant| until.saturating_duration_since(kernel::now());
        let timeout = until.filter(|_| missing > 0).map(left);
        match self.enter(Wait { min: missing, timeout, mask }) {
            Ok(submitted) => Ok((submitted, self.cq.ready())),
            Err(libc::ETIME) => Ok((0, self.cq.ready())),
            Err(errno) => Err(errno),
        }
    }

    /// One `io_uring_enter`, or none if there is nothing to enter for. Fails with the errno.
    #[inline]
    pub(crate) fn enter(&mut self, wait: Wait<'_>) -> Result<u32, i32> {
        if !self.sq.view().is_plain() {
            self.gate.prepare()?;
        }
        if wait.timeout.is_some() && !self.features().contains(Features::EXT_ARG) {
            self.push_stand_in(wait)?;
        }
        self.sq.publish();
        self.gate.enter(self.sq.view(), wait)
    }

    /// Shows the entries to the submission thread, and waits until it has made room for one.
    ///
    /// # Errors
    ///
    /// Those of `io_uring_enter(2)`.
    #[doc(alias = "io_uring_sqring_wait")]
    pub fn wait_for_room(&mut self) -> io::Result<()> {
        loop {
            let answer = match self.enter(Wait::default()) {
                Ok(_) if self.sq.has_room() => return Ok(()),
                Ok(_) => self.gate.wait_for_room(self.sq.view()),
                Err(errno) => Err(errno),
            };
            match answer {
                Ok(_) | Err(libc::EINTR) => {}
                Err(errno) => return Err(io::Error::from_raw_os_error(errno)),
            }
        }
    }

    /// Linux 5.10 has no timeout in the enter: an entry that ends after `min` completions, or when
    /// the time is up, wakes the wait instead.
    #[cold]
    fn push_stand_in(&mut self, wait: Wait<'_>) -> Result<(), i32> {
        if !self.sq.has_room() {
            self.enter(Wait::default())?;
        }
        let missing = wait.min.saturating_sub(self.cq.ready());
        *self.stand_in = timespec(wait.timeout.unwrap_or_default());
        let entry = Sqe::from_raw(sys::io_uring_sqe {
            opcode: sys::IORING_OP_TIMEOUT,
            fd: -1,
            addr: (&raw const *self.stand_in).expose_provenance() as u64,
            len: 1,
            off: u64::from(missing),
            user_data: Token::STAND_IN.user_data(),
            ..Default::default()
        });
        self.push(entry).map_err(|_| libc::EBUSY)
    }

    /// Reads the next completion, if there is one; never a system call.
    #[doc(alias = "io_uring_peek_cqe")]
    #[doc(alias = "io_uring_cqe_seen")]
    #[inline]
    pub fn pop(&mut self) -> Option<Cqe> {
        let hides_stand_ins = !self.features().contains(Features::EXT_ARG);
        CompletionQueue { cq: &mut self.cq, hides_stand_ins }.pop()
    }

    /// The next completion, stand-ins included; the kernel learns of it with others.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<Cqe> {
        self.cq.take()
    }

    /// The completions that can be read now; the kernel learns in one store that they were.
    ///
    /// On kernels before 5.11 a completion with `user_data` `u64::MAX` may be among them: the
    /// timeout entry of an earlier [`wait`](Self::wait), which [`pop`](Self::pop) hides.
    #[inline]
    pub fn completions(&mut self) -> Completions<'_> {
        Completions::new(&mut self.cq)
    }

    /// Makes a pool of `buffers` buffers, a power of two, of `buffer_bytes` each, from which the
    /// kernel picks one when data arrives. Since Linux 5.19.
    ///
    /// # Errors
    ///
    /// [`PoolError`] names the sizes and why they were refused.
    #[doc(alias = "io_uring_setup_buf_ring")]
    #[doc(alias = "io_uring_register_buf_ring")]
    pub fn pool(&mut self, buffers: u16, buffer_bytes: u32) -> Result<Pool, PoolError> {
        // With DEFER_TASKRUN the kernel picks buffers while this thread enters it; a worker, which
        // may pick at any time, can at worst miss those that were given back since.
        let eager = !self.setup_flags().contains(SetupFlags::DEFER_TASKRUN);
        Pool::new(&self.fd, self.id, eager, buffers, buffer_bytes)
    }

    /// Calls `io_uring_register(2)` on this ring, for what this crate has no method for.
    ///
    /// # Errors
    ///
    /// Those of the opcode. `InvalidInput` for what would take the ground from under this type: to
    /// resize the queues, and to change the registration of the ring's own descriptor.
    ///
    /// # Safety
    ///
    /// - `argument` and `count` are what `opcode` asks for.
    /// - Memory that the opcode registers stays valid until it is unregistered or the ring is gone.
    /// - What others rely on is neither changed nor removed: a group of buffers that a [`Pool`] of
    ///   this ring has (they are numbered from 0), files and buffers that operations name.
    /// - It makes the kernel post no `user_data` of somebody else's: see [`Sqe::new`].
    #[doc(alias = "io_uring_register")]
    pub unsafe fn register<T>(&self, opcode: u32, argument: *mut T, count: u32) -> io::Result<u32> {
        let own = [
            sys::IORING_REGISTER_RESIZE_RINGS,
            sys::IORING_REGISTER_RING_FDS,
            sys::IORING_UNREGISTER_RING_FDS,
        ];
        if own.contains(&(opcode & !sys::IORING_REGISTER_USE_REGISTERED_RING)) {
            let text = format!("register opcode {opcode} would change the ring under this type");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        // SAFETY: the caller's contract is this call's.
        unsafe { self.fd.register(opcode, argument, count) }
    }
}

fn is_past(until: Option<Instant>) -> bool {
    until.is_some_and(|until| kernel::now() >= until)
}

impl AsFd for RawRing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
