//! What an operation works on.

use std::os::fd::{AsFd, RawFd};

use crate::{
    abi::sqe::{Sqe, SqeFlags},
    kernel,
};

/// A descriptor that an operation may hold until it completes.
///
/// Everything that is [`AsFd`] is one: `Arc<OwnedFd>`, `Rc<File>`, `TcpStream`, and
/// `BorrowedFd<'_>` or `&File` where the operation may borrow. The operation keeps the value, so
/// the number cannot be closed and given to another file while the kernel still looks it up.
pub trait OpFd: sealed::Sealed {}

impl<T: AsFd> OpFd for T {}

/// What the kernel looks an operation's descriptor up by. It can only be written into an entry that
/// is being made.
#[derive(Clone, Copy, Debug)]
#[expect(unnameable_types, reason = "only entries that are being made have a use for it")]
pub struct Target {
    fd: RawFd,
    flags: SqeFlags,
}

impl Target {
    #[inline]
    pub(crate) const fn write_to(self, sqe: &mut Sqe) {
        sqe.set_fd(self.fd);
        sqe.add_flags(self.flags);
    }

    /// Whether this is known to be a file of numbered bytes.
    pub(crate) fn has_position(self) -> bool {
        self.flags.is_empty() && kernel::has_position(self.fd) == Ok(true)
    }

    /// Whether this is known to be a socket that keeps messages apart.
    pub(crate) fn is_datagram_socket(self) -> bool {
        self.flags.is_empty() && kernel::is_datagram(self.fd) == Some(true)
    }
}

pub(crate) mod sealed {
    use std::os::fd::{AsFd, AsRawFd};

    use super::Target;
    use crate::abi::{sqe::SqeFlags, token::RingId};

    /// Descriptors are the kernel's business: there are no others than these.
    #[expect(unnameable_types, reason = "sealed")]
    pub trait Sealed {
        /// What the kernel looks it up by.
        fn target(&self) -> Target;

        /// The ring whose table it is a slot of, if it is one.
        fn ring(&self) -> Option<RingId>;
    }

    impl<T: AsFd> Sealed for T {
        #[inline]
        fn target(&self) -> Target {
            Target { fd: self.as_fd().as_raw_fd(), flags: SqeFlags::empty() }
        }

        #[inline]
        fn ring(&self) -> Option<RingId> {
            None
        }
    }
}
