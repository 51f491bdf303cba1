//! The same loop of nops through each door: push a batch, submit it and wait, read the completions.
//!
//! `nop/nop.c` does the same on liburing. All rings have 256 entries and 512 completions, and all
//! but [`Peer`] enter by a registered descriptor, so that what differs is the library.

use std::{error::Error, fmt, hint::black_box, io, str::FromStr};

use io_uring::IoUring;
use uring::{Event, RawRing, Ring, SetupFlags, Sqe, op::Nop};

/// The submission entries of every ring here.
pub const ENTRIES: u32 = 256;

/// The completion entries: what the kernel gives to who does not ask.
pub const COMPLETIONS: u32 = 2 * ENTRIES;

/// The flags of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// None.
    Plain,
    /// `SINGLE_ISSUER | DEFER_TASKRUN`.
    Defer,
    /// What each library does best: for `uring` what its builder picks, for the crate `io-uring`
    /// `NO_SQARRAY` too. liburing knows that from 2.5 on.
    Best,
}

impl FromStr for Setup {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "plain" => Ok(Self::Plain),
            "defer" => Ok(Self::Defer),
            "best" => Ok(Self::Best),
            _ => Err(format!("no setup {name}; there are: plain, defer, best")),
        }
    }
}

impl Setup {
    fn exact(self) -> Option<SetupFlags> {
        match self {
            Self::Plain => Some(SetupFlags::empty()),
            Self::Defer => Some(SetupFlags::SINGLE_ISSUER | SetupFlags::DEFER_TASKRUN),
            Self::Best => None,
        }
    }
}

/// A way to submit nops.
pub trait Door {
    /// Submits `batch` nops at once, waits for them, and reads their completions.
    fn round(&mut self, batch: u32);
}

/// What a round has read. It is compared once a round, so that it costs the nops little.
#[derive(Default)]
struct Seen {
    completions: u32,
    sum: u64,
    failed: bool,
}

impl Seen {
    #[inline]
    fn add(&mut self, user_data: u64, failed: bool) {
        self.completions += 1;
        self.sum += user_data;
        self.failed |= failed;
    }

    #[inline]
    fn check(&self, batch: u32) {
        assert!(self.completions == batch && !self.failed, "every nop completes, and succeeds");
        black_box(self.sum);
    }
}

/// `uring`: [`RawRing`].
#[derive(Debug)]
pub struct Raw(RawRing);

impl Raw {
    /// A ring with these flags.
    ///
    /// # Errors
    ///
    /// Those of [`uring::Builder::build`].
    pub fn new(setup: Setup) -> Result<Self, Box<dyn Error>> {
        let mut builder = RawRing::builder().entries(ENTRIES).completions(COMPLETIONS);
        if let Some(flags) = setup.exact() {
            builder = builder.flags(flags);
        }
        Ok(Self(builder.build()?))
    }
}

impl Door for Raw {
    #[inline]
    fn round(&mut self, batch: u32) {
        for number in 0..batch {
            self.0.push(Sqe::nop().with_user_data(number.into())).expect("a batch fits the queue");
        }
        let taken = self.0.submit_and_wait(batch).expect("the kernel takes nops");
        assert_eq!(taken, batch);
        let mut seen = Seen::default();
        for cqe in self.0.completions() {
            seen.add(cqe.user_data(), cqe.raw_result() < 0);
        }
        seen.check(batch);
    }
}

/// `uring`: [`Ring`], whose table owns the operations.
#[derive(Debug)]
pub struct Owned(Ring<Nop, u64>);

impl Owned {
    /// A ring with these flags.
    ///
    /// # Errors
    ///
    /// Those of [`uring::Builder::build`].
    pub fn new(setup: Setup) -> Result<Self, Box<dyn Error>> {
        let mut builder = Ring::builder().entries(ENTRIES).completions(COMPLETIONS);
        if let Some(flags) = setup.exact() {
            builder = builder.flags(flags);
        }
        Ok(Self(builder.build()?))
    }
}

impl Door for Owned {
    #[inline]
    fn round(&mut self, batch: u32) {
        for number in 0..batch {
            self.0.submit(Nop::new(), number.into()).expect("a batch fits the table");
        }
        self.0.wait(batch, None).expect("the kernel takes nops");
        let mut seen = Seen::default();
        while let Some(event) = self.0.next() {
            if let Event::Done { ctx, output, .. } = event {
                seen.add(ctx, output.is_err());
            }
        }
        seen.check(batch);
    }
}

fn peer(setup: Setup) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    if setup != Setup::Plain {
        builder.setup_single_issuer().setup_defer_taskrun();
    }
    if setup == Setup::Best {
        builder.setup_no_sqarray();
    }
    builder.build(ENTRIES)
}

#[inline]
fn peer_nop(number: u32) -> io_uring::squeue::Entry {
    io_uring::opcode::Nop::new().build().user_data(number.into())
}

/// The crate `io-uring` as its documentation uses it: each queue is borrowed once a batch. There is
/// no registered descriptor on this way.
pub struct Peer(IoUring);

impl Peer {
    /// A ring with these flags.
    ///
    /// # Errors
    ///
    /// Those of `io_uring_setup(2)`.
    pub fn new(setup: Setup) -> Result<Self, Box<dyn Error>> {
        Ok(Self(peer(setup)?))
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").finish_non_exhaustive()
    }
}

impl Door for Peer {
    #[inline]
    fn round(&mut self, batch: u32) {
        let mut submissions = self.0.submission();
        for number in 0..batch {
            // SAFETY: a nop has no operand.
            unsafe { submissions.push(&peer_nop(number)) }.expect("a batch fits the queue");
        }
        drop(submissions);
        let want = usize::try_from(batch).expect("a batch fits the queue");
        let taken = self.0.submit_and_wait(want).expect("the kernel takes nops");
        assert_eq!(taken, want);
        let mut seen = Seen::default();
        for cqe in self.0.completion() {
            seen.add(cqe.user_data(), cqe.result() < 0);
        }
        seen.check(batch);
    }
}

/// The crate `io-uring`, split into its halves, which can enter by a registered descriptor.
pub struct SplitPeer {
    submitter: io_uring::Submitter<'static>,
    submissions: io_uring::SubmissionQueue<'static>,
    completions: io_uring::CompletionQueue<'static>,
}

impl SplitPeer {
    /// A ring with these flags, which is never closed: its halves borrow it.
    ///
    /// # Errors
    ///
    /// Those of `io_uring_setup(2)` and `io_uring_register(2)`.
    pub fn new(setup: Setup) -> Result<Self, Box<dyn Error>> {
        let ring = Box::leak(Box::new(peer(setup)?));
        let (mut submitter, submissions, completions) = ring.split();
        submitter.register_ring_fd()?;
        Ok(Self { submitter, submissions, completions })
    }
}

impl fmt::Debug for SplitPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SplitPeer").finish_non_exhaustive()
    }
}

impl Door for SplitPeer {
    #[inline]
    fn round(&mut self, batch: u32) {
        for number in 0..batch {
            // SAFETY: a nop has no operand.
            unsafe { self.submissions.push(&peer_nop(number)) }.expect("a batch fits the queue");
        }
        self.submissions.sync();
        let want = usize::try_from(batch).expect("a batch fits the queue");
        let taken = self.submitter.submit_and_wait(want).expect("the kernel takes nops");
        assert_eq!(taken, want);
        self.submissions.sync(); // it sees that there is room again
        self.completions.sync();
        let mut seen = Seen::default();
        for cqe in &mut self.completions {
            seen.add(cqe.user_data(), cqe.result() < 0);
        }
        self.completions.sync();
        seen.check(batch);
    }
}
