//! A pool that could not be made.

use std::{error::Error, fmt, io};

/// A pool that could not be made: what was asked for, and why not.
#[derive(Debug)]
pub struct PoolError {
    pub(super) buffers: u16,
    pub(super) buffer_bytes: u32,
    /// `None`: the sizes are impossible.
    pub(super) source: Option<io::Error>,
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { buffers, buffer_bytes, source } = self;
        write!(f, "cannot make a pool of {buffers} buffers of {buffer_bytes} bytes: ")?;
        match source.as_ref().map(io::Error::raw_os_error) {
            None => f.write_str("the number must be a power of two up to 32768, the size not 0"),
            Some(Some(libc::EINVAL)) => f.write_str("the kernel has none; it needs Linux 5.19"),
            Some(Some(libc::ENOMEM)) => f.write_str("out of memory; is `ulimit -l` too low?"),
            Some(_) => f.write_str("the kernel refused"),
        }
    }
}

impl Error for PoolError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|e| e as &(dyn Error + 'static))
    }
}

impl From<PoolError> for io::Error {
    fn from(error: PoolError) -> Self {
        let kind = match error.source.as_ref().map(io::Error::raw_os_error) {
            None => io::ErrorKind::InvalidInput,
            Some(Some(libc::EINVAL)) => io::ErrorKind::Unsupported,
            Some(Some(libc::ENOMEM)) => io::ErrorKind::OutOfMemory,
            Some(_) => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
