//! The three system calls, by name.

use std::fmt;

/// One of the three system calls of io_uring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Call {
    /// [`io_uring_setup(2)`](https://man7.org/linux/man-pages/man2/io_uring_setup.2.html)
    Setup,
    /// [`io_uring_enter(2)`](https://man7.org/linux/man-pages/man2/io_uring_enter.2.html)
    Enter,
    /// [`io_uring_register(2)`](https://man7.org/linux/man-pages/man2/io_uring_register.2.html)
    Register,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Setup => "io_uring_setup",
            Self::Enter => "io_uring_enter",
            Self::Register => "io_uring_register",
        })
    }
}
