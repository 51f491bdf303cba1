//! The error of a submission: it gives back what was not sent.

use std::{fmt, io};

/// Why an operation was not submitted.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reason {
    /// As many operations are in flight as the ring, or the scope, was made for: reap some first.
    Full {
        /// How many the table holds.
        capacity: u32,
    },
    /// There is no memory for as many operations as the scope asked for, or no numbers.
    TooMany {
        /// How many it asked for.
        operations: u32,
    },
    /// The chain has more links than the submission queue or the table has places.
    ChainTooLong {
        /// How many links the chain has.
        links: usize,
        /// How many a chain of this ring can have.
        max: u32,
    },
    /// The operation names a pool, a slot or an operation that belongs to another ring.
    OtherRing,
    /// The kernel did not take what was queued before.
    Kernel(io::Error),
}

impl From<Reason> for io::Error {
    /// What the operation would have failed with.
    fn from(reason: Reason) -> Self {
        let kind = match reason {
            Reason::Kernel(error) => return error,
            Reason::Full { .. } => io::ErrorKind::WouldBlock,
            Reason::TooMany { .. } => io::ErrorKind::OutOfMemory,
            Reason::ChainTooLong { .. } | Reason::OtherRing => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, reason.to_string())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { capacity } => write!(
                f,
                "all {capacity} operations that there is room for are in flight; wait for some to \
                 complete, or ask for more: by `operations` of a ring, by the first argument of a \
                 scope"
            ),
            Self::ChainTooLong { links, max } => {
                write!(f, "a chain of {links} links is too long for a ring that has room for {max}")
            }
            Self::TooMany { operations } => write!(
                f,
                "there is no room for {operations} operations in memory; ask for fewer, \
                 as many as will be in flight at once"
            ),
            Self::OtherRing => f.write_str(
                "the operation uses a pool, a registered slot or an operation of another ring; \
                 use those of the ring that it is submitted to",
            ),
            Self::Kernel(_) => f.write_str("the kernel did not take the queued entries"),
        }
    }
}

/// An operation that was not submitted, and why.
///
/// ```
/// use uring::{Rejected, Ring, op::Nop};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring: Ring<Nop, &str> = Ring::builder().operations(1).build()?;
/// ring.submit(Nop::new(), "first")?;
/// let Err(rejected) = ring.submit(Nop::new(), "second") else { panic!("it has room for one") };
/// let Rejected { op, ctx, reason } = rejected;
/// println!("not yet: {reason}");
/// ring.wait(1, None)?;
/// while ring.next().is_some() {}
/// ring.submit(op, ctx)?; // what came back can go again
/// # Ok(()) }
/// ```
pub struct Rejected<O, C = ()> {
    /// The operation, untouched.
    pub op: O,
    /// Its context.
    pub ctx: C,
    /// Why it was not submitted.
    pub reason: Reason,
}

impl<O, C> Rejected<O, C> {
    /// Whether to try again after reading completions.
    pub const fn is_full(&self) -> bool {
        matches!(self.reason, Reason::Full { .. })
    }
}

impl<O, C> fmt::Debug for Rejected<O, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<O, C> fmt::Display for Rejected<O, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the operation was not submitted: {}", self.reason)
    }
}

impl<O, C> std::error::Error for Rejected<O, C> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.reason {
            Reason::Kernel(error) => Some(error),
            _ => None,
        }
    }
}

impl<O, C> From<Rejected<O, C>> for io::Error {
    fn from(rejected: Rejected<O, C>) -> Self {
        rejected.reason.into()
    }
}
