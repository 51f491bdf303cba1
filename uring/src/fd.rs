//! What an operation works on.

use std::os::fd::{AsFd, AsRawFd};

use crate::{RingId, Sqe};

/// A descriptor that an operation may hold until it completes.
///
/// Everything that is [`AsFd`] is one: `Arc<OwnedFd>`, `Rc<File>`, `TcpStream`, and
/// `BorrowedFd<'_>` or `&File` where the operation may borrow. The operation keeps the value, so
/// the number cannot be closed and given to another file while the kernel still looks it up.
pub trait OpFd: sealed::Sealed {
    /// Writes the descriptor into an entry.
    #[doc(hidden)]
    fn set(&self, sqe: &mut Sqe);

    /// The ring whose table the descriptor is a slot of, if it is one.
    #[doc(hidden)]
    fn ring(&self) -> Option<RingId> {
        None
    }
}

impl<T: AsFd> OpFd for T {
    #[inline]
    fn set(&self, sqe: &mut Sqe) {
        sqe.set_fd(self.as_fd().as_raw_fd());
    }
}

mod sealed {
    use std::os::fd::AsFd;

    #[expect(unnameable_types, reason = "sealed: descriptors are the kernel's business")]
    pub trait Sealed {}
    impl<T: AsFd> Sealed for T {}
}
