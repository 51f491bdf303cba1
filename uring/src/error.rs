//! The error of a submission: it gives back what was not sent.

use std::{fmt, io};

/// Why an operation was not submitted.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reason {
    /// As many operations are in flight as the ring was made for: reap some first.
    Full {
        /// How many the table holds.
        capacity: u32,
    },
    /// The chain has more links than the submission queue or the table has places.
    ChainTooLong {
        /// How many links the chain has.
        links: usize,
        /// How many a chain of this ring can have.
        max: u32,
    },
    /// The operation names a pool or a slot that belongs to another ring.
    ForeignRing,
    /// The kernel did not take what was queued before.
    Kernel(io::Error),
}

impl Reason {
    /// What the operation would have failed with.
    pub(crate) fn errno(&self) -> i32 {
        match self {
            Self::Full { .. } => libc::EBUSY,
            Self::ChainTooLong { .. } | Self::ForeignRing => libc::EINVAL,
            Self::Kernel(error) => error.raw_os_error().unwrap_or(libc::EIO),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { capacity } => write!(
                f,
                "all {capacity} operations of the ring are in flight; wait for some to complete, \
                 or build the ring with more `operations`"
            ),
            Self::ChainTooLong { links, max } => {
                write!(f, "a chain of {links} links is too long for a ring that has room for {max}")
            }
            Self::ForeignRing => f.write_str(
                "the operation uses a pool or a registered slot of another ring; use those of \
                 the ring that it is submitted to",
            ),
            Self::Kernel(_) => f.write_str("the kernel did not take the queued entries"),
        }
    }
}

/// An operation that was not submitted, and why.
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
        match rejected.reason {
            Reason::Kernel(error) => error,
            Reason::Full { .. } => {
                Self::new(io::ErrorKind::WouldBlock, rejected.reason.to_string())
            }
            reason => Self::new(io::ErrorKind::InvalidInput, reason.to_string()),
        }
    }
}
