//! Why a connection ended, and what was lost by that.

use std::{error, fmt, io};

/// How a direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer has finished writing.
    Eof,
    /// The connection failed, with this `errno`.
    Failed(i32),
}

impl End {
    /// The error, if it is one.
    #[must_use]
    pub fn error(self) -> Option<io::Error> {
        match self {
            Self::Eof => None,
            Self::Failed(errno) => Some(io::Error::from_raw_os_error(errno)),
        }
    }
}

/// What ended a connection before everything was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// This side asked for it.
    Aborted,
    /// It was closed, and the peer took nothing for as long as was allowed.
    Stalled,
    /// The loop has ended, or the time of its shutdown was over.
    Stopped,
    /// An error of the kernel, most often by the peer.
    Os(i32),
}

/// The end of a connection, with the bytes that were accepted and will not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    pub(crate) lost: u64,
}

impl Failure {
    pub(crate) const fn os(errno: i32) -> Self {
        Self { cause: Cause::Os(errno), lost: 0 }
    }

    /// What the kernel calls it.
    pub(crate) const fn errno(self) -> i32 {
        match self.cause {
            Cause::Aborted | Cause::Stopped => libc::ECONNABORTED,
            Cause::Stalled => libc::ETIMEDOUT,
            Cause::Os(errno) => errno,
        }
    }

    /// The error for who reads, to whom nothing was lost.
    pub(crate) fn of_reading(self) -> io::Error {
        io::Error::from_raw_os_error(self.errno())
    }

    /// The error for who writes: that of the kernel as it is, unless bytes were lost.
    pub(crate) fn of_writing(self) -> io::Error {
        let source = self.of_reading();
        if self.lost == 0 {
            return source;
        }
        io::Error::new(source.kind(), Lost { bytes: self.lost, cause: self.cause, source })
    }
}

/// Bytes that a connection had accepted and that will not arrive: inside of the [`io::Error`] that
/// [`Handler::on_close`](crate::Handler::on_close) and the writers of a stream get.
///
/// ```
/// use uring_net::Lost;
///
/// fn on_close(error: Option<std::io::Error>) {
///     match error.as_ref().and_then(Lost::of) {
///         Some(lost) => eprintln!("{} bytes were lost", lost.bytes()),
///         None => println!("everything was sent"),
///     }
/// }
/// # on_close(None);
/// ```
///
/// The peer has seen a reset: what it got does not look complete.
#[derive(Debug)]
pub struct Lost {
    bytes: u64,
    cause: Cause,
    source: io::Error,
}

impl Lost {
    /// What an error says about lost bytes, if there are any.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// How many bytes: those that were queued, and those that the kernel had and that the peer had
    /// not acknowledged when this side ended the connection. A few of the latter may have arrived.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The number of the error, as errno(3) lists it.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.source.raw_os_error()
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, cause, source: _ } = self;
        match cause {
            Cause::Aborted => write!(f, "the connection was aborted")?,
            Cause::Stalled => write!(f, "the peer took nothing for too long after the close")?,
            Cause::Stopped => write!(f, "the event loop has ended")?,
            Cause::Os(_) => write!(f, "the connection failed")?,
        }
        write!(f, " with {bytes} bytes not sent")
    }
}

impl error::Error for Lost {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.source)
    }
}

/// What a call gets on a stream or a listener that this side has closed, inside of an
/// [`io::Error`] of the kind `NotConnected`.
#[derive(Debug)]
pub struct LocallyClosed(&'static str);

impl LocallyClosed {
    /// Whether an error says that this side has closed.
    #[must_use]
    pub fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }

    pub(crate) fn error(what: &'static str) -> io::Error {
        io::Error::new(io::ErrorKind::NotConnected, Self(what))
    }
}

impl fmt::Display for LocallyClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} was closed on this side", self.0)
    }
}

impl error::Error for LocallyClosed {}
