//! Why a reactor could not be made, and what comes back when a loop has ended.

use std::{fmt, io};

use uring::{PoolError, SetupError, SetupFlags};

use crate::end::Cause;

/// A reactor that could not be made. Its text says what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// A loop has no ring.
    Ring(SetupError),
    /// The kernel has io_uring, but not what loops need, which is Linux 6.1.
    TooOld {
        /// The flags that it refused.
        missing: SetupFlags,
        /// Its release.
        release: String,
    },
    /// A loop has no buffers to receive into.
    Pool(PoolError),
    /// The settings are impossible.
    BadSettings(&'static str),
    /// So many loops were asked for, and there can be at most 8192: each has a thread and a ring.
    TooManyLoops(usize),
    /// Threads cannot have this name: it has a NUL in it.
    BadName(String),
    /// A thread or a descriptor could not be made.
    System(io::Error),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ring(error) => write!(f, "{error}"),
            Self::TooOld { missing, release } => write!(
                f,
                "kernel {release} lacks {missing:?}; event loops need Linux 6.1 or newer (a ring \
                 alone, the crate `uring`, needs 5.10)"
            ),
            Self::Pool(error) => write!(f, "{error}"),
            Self::BadSettings(why) => f.write_str(why),
            Self::TooManyLoops(loops) => {
                write!(f, "a reactor has at most 8192 loops; {loops} were asked for")
            }
            Self::BadName(name) => {
                write!(f, "threads cannot be named {name:?}; choose a name without NUL")
            }
            Self::System(_) => f.write_str("cannot start an event loop"),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Ring(error) => error.source(),
            Self::Pool(error) => error.source(),
            Self::System(error) => Some(error),
            Self::TooOld { .. }
            | Self::BadSettings(_)
            | Self::TooManyLoops(_)
            | Self::BadName(_) => None,
        }
    }
}

impl From<BuildError> for io::Error {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Ring(error) => error.into(),
            BuildError::Pool(error) => error.into(),
            BuildError::System(error) => error,
            BuildError::TooOld { .. } => Self::new(io::ErrorKind::Unsupported, error),
            BuildError::BadSettings(_) | BuildError::TooManyLoops(_) | BuildError::BadName(_) => {
                Self::new(io::ErrorKind::InvalidInput, error)
            }
        }
    }
}

/// The loop has ended; what was meant for it comes back.
///
/// Its source is the error of the kernel that ended the loop, if one did; as an [`io::Error`] it is
/// `NotConnected` and keeps both.
pub struct Closed<T>(pub T, pub(crate) Cause);

impl<T> Closed<T> {
    /// Why the loop has ended.
    #[must_use]
    pub const fn cause(&self) -> &Cause {
        &self.1
    }
}

impl<T> fmt::Debug for Closed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Closed({:?})", self.1)
    }
}

impl<T> fmt::Display for Closed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the event loop {}", self.1)
    }
}

impl<T> std::error::Error for Closed<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.1.below()
    }
}

impl<T> From<Closed<T>> for io::Error {
    fn from(Closed(_, cause): Closed<T>) -> Self {
        Self::new(io::ErrorKind::NotConnected, Closed((), cause))
    }
}
