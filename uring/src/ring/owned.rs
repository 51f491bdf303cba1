//! Door 1: operations that own their operands.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    time::Instant,
};

use super::{
    chain::Chain,
    drain,
    engine::{Engine, Stats},
    error::Rejected,
    event::Event,
    scope::{self, Scope},
    table::{Table, TooMany},
};
use crate::{
    abi::token::OpId,
    kernel,
    operation::Operation,
    pool::{Pool, error::PoolError},
    raw::{enter::SqFlags, ring::RawRing},
    setup::flags::{Features, SetupFlags},
};

/// A ring whose operations own their buffers and descriptors until they have completed.
///
/// `O` is the type of the operations: one of [`op`](crate::op), an enum of several made by
/// [`operations!`](crate::operations), or [`AnyOperation`](crate::AnyOperation). `C` is a context
/// for each, such as a connection's number: it stays accessible and the kernel never sees it.
///
/// Operations in flight sit in a table of fixed size that never moves: [`submit`](Self::submit)
/// gives the operation back when it is full. Nothing is allocated for an operation.
///
/// Dropping a ring takes back what the kernel has not seen, cancels what is in flight and waits up
/// to five seconds for it; what is still out then is leaked and counted by
/// [`leaked_operations`](crate::leaked_operations), never freed. Forgetting a ring leaks it whole.
///
/// The kernel puts a ring away a little after it was dropped, and may interrupt the thread for it:
/// a blocking system call with a timeout can then end with `EINTR`, as after any signal.
///
/// A ring belongs to the thread that made it. In a forked child it has no completions, takes no
/// operation, and every wait fails with `EEXIST`; to drop it there touches nothing of the parent's.
///
/// - **Since:** Linux 5.10.
/// - **Manual:** [`io_uring(7)`](https://man7.org/linux/man-pages/man7/io_uring.7.html).
///
/// # What the compiler refuses
///
/// A borrowed buffer, which could end before its operation does:
///
/// ```compile_fail,E0597
/// use std::{fs::File, sync::Arc};
/// use uring::{At, Ring, op::Read};
///
/// let mut ring: Ring<Read<Arc<File>, &mut [u8]>> = Ring::builder().build().unwrap();
/// let mut buffer = [0; 16];
/// let file = Arc::new(File::open("/dev/zero").unwrap());
/// ring.submit(Read::new(file, &mut buffer[..], At(0)), ()).unwrap();
/// ```
///
/// Another thread, to which a ring with a single issuer would answer `EEXIST`:
///
/// ```compile_fail,E0277
/// let mut ring: uring::Ring<uring::op::Nop> = uring::Ring::builder().build().unwrap();
/// std::thread::spawn(move || ring.wait(0, None));
/// ```
#[derive(Debug)]
pub struct Ring<O: Operation + 'static, C: 'static = ()> {
    table: Table<'static, O, C>,
    engine: Engine,
    /// [`close`](Self::close) drains it, and its drop does not.
    closed: bool,
}

impl<O: Operation + 'static, C: 'static> Ring<O, C> {
    pub(crate) fn new(raw: RawRing, operations: u32) -> Result<Self, TooMany> {
        let table = Table::new(operations, 0, 0)?;
        Ok(Self { table, engine: Engine::new(raw), closed: false })
    }

    /// Queues an operation; it starts with the next [`wait`](Self::wait).
    ///
    /// If the submission queue is full, what is in it is handed to the kernel first.
    ///
    /// # Errors
    ///
    /// [`Rejected`] gives the operation and its context back: if as many are in flight as the ring
    /// was made for, if the operation uses a pool of another ring, or if the kernel did not take
    /// what was queued before.
    #[doc(alias = "io_uring_get_sqe")]
    #[inline(always)]
    pub fn submit(&mut self, op: O, ctx: C) -> Result<OpId, Rejected<O, C>> {
        self.engine.submit(&mut self.table, op, ctx)
    }

    /// Queues operations that run one after the other, all of them or none.
    ///
    /// ```
    /// use uring::{Ring, op::Nop};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Ok(_) = uring::check() else { return Ok(()) };
    /// let mut ring: Ring<Nop, &str> = Ring::builder().build()?;
    /// let ids = ring.chain(|chain| {
    ///     chain.then(Nop::new(), "first");
    ///     chain.then(Nop::new(), "second");
    /// })?;
    /// assert_eq!(ids.len(), 2);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Rejected`] gives all operations back, as [`submit`](Self::submit) does, and if the chain
    /// is longer than the submission queue.
    #[doc(alias = "IOSQE_IO_LINK")]
    pub fn chain(
        &mut self,
        build: impl FnOnce(&mut Chain<O, C>),
    ) -> Result<Vec<OpId>, Rejected<Vec<(O, C)>>> {
        let mut chain = Chain::new();
        build(&mut chain);
        chain.submit(&mut self.engine, &mut self.table)
    }

    /// Asks the kernel to end an operation. The result still comes, exactly once: the real one if
    /// the operation was faster, else `ECANCELED` or `EINTR`.
    ///
    /// An operation that has ended already is not an error. One that a worker thread is just
    /// handing back can be missed: if its result does not come, cancel again.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the operation is another ring's. Those of `io_uring_enter(2)`, if the
    /// queue was full and had to be handed over first.
    #[doc(alias = "io_uring_prep_cancel64")]
    pub fn cancel(&mut self, id: OpId) -> io::Result<()> {
        self.engine.cancel_one(&self.table, id)
    }

    /// Asks the kernel to end all operations in flight. Their results still come.
    ///
    /// # Errors
    ///
    /// As [`cancel`](Self::cancel). `TimedOut` if a submission thread has made no room for the
    /// requests in five seconds.
    #[doc(alias = "IORING_ASYNC_CANCEL_ANY")]
    pub fn cancel_all(&mut self) -> io::Result<()> {
        let until = kernel::now() + drain::BOUND;
        drain::cancel_all(&mut self.engine, &self.table, Some(until))
    }

    /// Ends the ring as its drop does, but waits until `until` and says how many operations the
    /// kernel had not given back by then: these are leaked.
    #[doc(alias = "io_uring_queue_exit")]
    pub fn close(mut self, until: Instant) -> u32 {
        self.closed = true; // before: something that panics must not end it a second time
        drain::until(&mut self.engine, &mut self.table, until);
        self.table.live()
    }

    /// Submits what is queued and waits until [`next`](Self::next) has `min` completions or the
    /// time is `until`; says how many there are, which is fewer only after that time. One system
    /// call does it, but for a signal that cuts it short, for more completions than the queue
    /// holds, and where the kernel does not take all that is queued at once.
    ///
    /// With `min` 0 it does not wait: that is how to poll. It makes no system call if nothing is
    /// queued and the kernel holds nothing back.
    ///
    /// The count includes completions that [`next`](Self::next) swallows, such as the answers to
    /// cancels: only `next` tells what there is.
    ///
    /// # Errors
    ///
    /// Those of [`io_uring_enter(2)`](https://man7.org/linux/man-pages/man2/io_uring_enter.2.html);
    /// `EBADR` if a completion was lost for want of memory.
    #[doc(alias("io_uring_submit", "io_uring_submit_and_wait"))]
    #[doc(alias("io_uring_submit_and_wait_timeout", "io_uring_wait_cqe"))]
    pub fn wait(&mut self, min: u32, until: Option<Instant>) -> io::Result<u32> {
        let outer = self.engine.met();
        let ready = self.engine.wait(min.saturating_sub(outer), until)?;
        Ok(ready.saturating_add(outer))
    }

    /// As [`wait`](Self::wait), but a signal ends the wait. With `mask`, exactly the signals in it
    /// are blocked during the wait, as [`ppoll(2)`] does it: how a program takes signals only while
    /// it waits, and none is lost. It waits for no more completions than the queue holds.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and `EINTR` if a signal was handled. If operations were submitted
    /// in the same call, the kernel does not tell: then it ends with fewer completions and no
    /// error.
    ///
    /// [`ppoll(2)`]: https://man7.org/linux/man-pages/man2/ppoll.2.html
    #[doc(alias = "io_uring_wait_cqes")]
    pub fn wait_interruptible(
        &mut self,
        min: u32,
        until: Option<Instant>,
        mask: Option<&libc::sigset_t>,
    ) -> io::Result<u32> {
        let outer = self.engine.met();
        let ready = self.engine.wait_interruptible(min.saturating_sub(outer), until, mask)?;
        Ok(ready.saturating_add(outer))
    }

    /// The next thing that has happened, if there is one; never a system call.
    #[expect(clippy::should_implement_trait, reason = "an event borrows the ring it comes from")]
    #[doc(alias = "io_uring_peek_cqe")]
    #[doc(alias = "io_uring_cqe_seen")]
    #[inline(always)]
    pub fn next(&mut self) -> Option<Event<'_, O, C>> {
        loop {
            let cqe = self.engine.pop_outer()?;
            if let Some(found) = self.engine.claim(&self.table, &cqe) {
                return Some(self.engine.event(&mut self.table, found, cqe));
            }
            self.engine.dismiss(&cqe);
        }
    }

    /// Runs one operation of any type, waits for its end, and gives back what it owned. It may
    /// borrow its operands.
    ///
    /// Other operations of the ring go on; their results wait for [`next`](Self::next). Items of an
    /// operation that yields several are dropped.
    ///
    /// # Errors
    ///
    /// Those of the operation are in its output. So is `InvalidInput` if it uses a pool of another
    /// ring, and what the kernel says if it does not take what was queued before.
    pub fn run<P: Operation>(&mut self, op: P) -> P::Output {
        scope::run(&mut self.engine, self.table.capacity(), op)
    }

    /// Runs operations that borrow: buffers on the stack, descriptors that others own.
    ///
    /// All of them have ended when `scope` returns: it cancels what is in flight and waits for it,
    /// also when `body` panics. It waits as long as that takes; if the kernel refuses to give an
    /// operation back, it ends the process rather than return early. `capacity` is how many may be
    /// in flight.
    ///
    /// ```
    /// use std::fs::File;
    /// use uring::{At, Event, Ring, op};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Ok(_) = uring::check() else { return Ok(()) };
    /// let mut ring: Ring<op::Nop> = Ring::builder().build()?;
    /// let file = File::open("/proc/self/exe")?;
    /// let mut halves = [[0; 512]; 2];
    /// let [a, b] = &mut halves;
    /// ring.scope(2, |s| {
    ///     s.submit(op::Read::new(&file, &mut a[..], At(0)), ())?;
    ///     s.submit(op::Read::new(&file, &mut b[..], At(512)), ())?;
    ///     s.wait(2, None)
    /// })?;
    /// assert_eq!(&halves[0][..4], b"\x7fELF");
    /// # Ok(()) }
    /// ```
    ///
    /// # What the compiler refuses
    ///
    /// A buffer that ends before the scope:
    ///
    /// ```compile_fail,E0597
    /// # use uring::{At, Ring, op};
    /// # let mut ring: Ring<op::Nop> = Ring::builder().build().unwrap();
    /// # let file = std::fs::File::open("/dev/zero").unwrap();
    /// ring.scope::<op::Read<&std::fs::File, &mut [u8]>, (), _>(1, |s| {
    ///     let mut buffer = [0; 16];
    ///     s.submit(op::Read::new(&file, &mut buffer[..], At(0)), ()).unwrap();
    /// });
    /// ```
    pub fn scope<P: Operation, X, R>(
        &mut self,
        capacity: u32,
        body: impl for<'s> FnOnce(&mut Scope<'s, P, X>) -> R,
    ) -> R {
        scope::enter(&mut self.engine, self.table.capacity(), capacity, body)
    }

    /// Makes a pool of `buffers` buffers, a power of two, of `buffer_bytes` each, from which the
    /// kernel picks one when data arrives. Since Linux 5.19.
    ///
    /// # Errors
    ///
    /// [`PoolError`] names the sizes and why they were refused.
    #[doc(alias = "io_uring_setup_buf_ring")]
    pub fn pool(&mut self, buffers: u16, buffer_bytes: u32) -> Result<Pool, PoolError> {
        self.engine.raw.pool(buffers, buffer_bytes)
    }

    /// How many operations are in flight: queued, or with the kernel, or ended and not yet told by
    /// [`next`](Self::next). Those of scopes are not among them.
    #[must_use]
    pub const fn in_flight(&self) -> u32 {
        self.table.live()
    }

    /// How many operations can be in flight, as [`in_flight`](Self::in_flight) counts them.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.table.capacity()
    }

    /// Whether an operation is in flight.
    #[must_use]
    pub fn is_live(&self, id: OpId) -> bool {
        id.ring == self.engine.raw.id() && self.table.owns(id.token)
    }

    /// What the ring has done so far, in its scopes and in [`run`](Self::run) too.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.engine.stats()
    }

    /// The flags that the kernel granted.
    #[must_use]
    pub const fn setup_flags(&self) -> SetupFlags {
        self.engine.raw.setup_flags()
    }

    /// The features that the kernel has.
    #[must_use]
    pub const fn features(&self) -> Features {
        self.engine.raw.features()
    }

    /// What the kernel holds back: completions without room, or that wait for an enter.
    #[must_use]
    pub fn sq_flags(&self) -> SqFlags {
        self.engine.raw.sq_flags()
    }

    /// How many entries are queued and not yet consumed by the kernel: operations, and requests to
    /// cancel.
    #[must_use]
    pub fn submissions_waiting(&self) -> u32 {
        self.engine.raw.submissions_waiting()
    }

    /// The raw ring under this one, to push entries or read settings that this type has no method
    /// for.
    ///
    /// # Safety
    ///
    /// - No completion is popped: it may be the last of an operation here.
    /// - Entries that are pushed have a `user_data` below 2⁶⁰, their completions count as stale,
    ///   and no entry makes the kernel post another `user_data` to this ring: see
    ///   [`Sqe::new`](crate::Sqe::new).
    /// - The ring is not replaced by another.
    pub const unsafe fn raw_mut(&mut self) -> &mut RawRing {
        &mut self.engine.raw
    }
}

impl<O: Operation + 'static, C: 'static> AsFd for Ring<O, C> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.engine.raw.as_fd()
    }
}

impl<O: Operation + 'static, C: 'static> Drop for Ring<O, C> {
    fn drop(&mut self) {
        if !self.closed {
            drain::until(&mut self.engine, &mut self.table, kernel::now() + drain::BOUND);
        }
    }
}
