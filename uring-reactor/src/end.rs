//! Why and how a loop has ended.

use std::{
    error::Error as _,
    fmt,
    io::{self, Write as _},
    sync::Arc,
};

use crate::stats::Report;

/// Why a loop has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// It was asked to, by a shutdown or by the drop of its reactor or of itself.
    Shutdown,
    /// The kernel gave an error that no loop survives.
    Kernel(Arc<io::Error>),
    /// Its thread panicked outside of any callback: a fault of this crate's.
    Panicked,
    /// It has not: this process was forked from the one that it runs in, and has no loops.
    Forked,
}

impl Cause {
    /// Whether nobody asked for the end.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        !matches!(self, Self::Shutdown)
    }

    /// The error below it.
    pub(crate) fn below(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Kernel(error) => Some(&**error),
            Self::Shutdown | Self::Panicked | Self::Forked => None,
        }
    }
}

/// Follows the name of a loop.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shutdown => "has ended: it was shut down",
            Self::Kernel(_) => "has ended: the kernel gave an error that no loop survives",
            Self::Panicked => "has ended: its thread panicked",
            Self::Forked => {
                "is not here: this process was forked from the one that it runs in; make a new one"
            }
        })
    }
}

/// A loop of a reactor that has ended: which one, why and how.
///
/// It is an error if nobody asked for the end, with the kernel's as its source: what
/// [`Reactor::wait`](crate::Reactor::wait) returns.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoopEnd {
    /// Its place among [`Reactor::handles`](crate::Reactor::handles).
    pub number: usize,
    /// What its thread is called.
    pub thread: String,
    /// Why it has ended.
    pub cause: Cause,
    /// How, and what it had done.
    pub report: Box<Report>,
}

impl fmt::Display for LoopEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event loop {} ({}) {}", self.number, self.thread, self.cause)
    }
}

impl std::error::Error for LoopEnd {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.below()
    }
}

/// Who is told that a loop has ended.
#[derive(Clone)]
pub(crate) struct EndHook(pub(crate) Arc<dyn Fn(&LoopEnd) + Send + Sync>);

impl Default for EndHook {
    /// Prints an end that nobody asked for.
    fn default() -> Self {
        Self(Arc::new(|end| {
            if end.cause.is_failure() {
                let why = end.source().map_or_else(String::new, |source| format!(": {source}"));
                // without a place to print to, nobody can be told
                let _printed = writeln!(io::stderr(), "uring-reactor: {end}{why}");
            }
        }))
    }
}

impl fmt::Debug for EndHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndHook")
    }
}
