//! A descriptor that operations of a loop share.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    rc::Rc,
    sync::Arc,
};

/// A descriptor that operations of one loop hold: counted without atomics if only the loop has it.
#[derive(Clone, Debug)]
pub enum Fd {
    /// Known on the loop's thread alone.
    Local(Rc<OwnedFd>),
    /// Known on other threads too.
    Shared(Arc<OwnedFd>),
}

impl AsFd for Fd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Local(fd) => fd.as_fd(),
            Self::Shared(fd) => fd.as_fd(),
        }
    }
}

impl From<OwnedFd> for Fd {
    fn from(fd: OwnedFd) -> Self {
        Self::Local(Rc::new(fd))
    }
}

impl From<Arc<OwnedFd>> for Fd {
    fn from(fd: Arc<OwnedFd>) -> Self {
        Self::Shared(fd)
    }
}
