//! Accepting one connection, and learning where it comes from.

use std::{io, net::SocketAddr, os::fd::OwnedFd};

use super::{
    accept::entry,
    addr::{ADDR_BYTES, RawAddr},
};
use crate::{
    abi::{cqe::Cqe, sqe::Sqe, token::RingId},
    operation::{Operation, fd::OpFd, result::descriptor},
};

/// Accepts a connection, and says where it comes from.
///
/// - **Result:** the new descriptor, with close-on-exec set, and the peer's address, `None` if that
///   is neither IPv4 nor IPv6; the listener.
/// - **Completes:** once.
/// - **Since:** Linux 5.5.
/// - **Manual:** [`accept4(2)`], [`io_uring_prep_accept(3)`].
///
/// ```
/// use std::net::{TcpListener, TcpStream};
/// use uring::{Ring, op};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring: Ring<op::Nop> = Ring::builder().build()?;
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// # let client = TcpStream::connect(listener.local_addr()?)?;
/// let (accepted, _) = ring.run(op::AcceptFrom::new(&listener));
/// let (stream, peer) = accepted?;
/// # assert_eq!(peer, Some(client.local_addr()?));
/// println!("{stream:?} from {peer:?}");
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// As [`Accept`](super::Accept).
///
/// [`accept4(2)`]: https://man7.org/linux/man-pages/man2/accept4.2.html
/// [`io_uring_prep_accept(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_accept.3.html
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Debug)]
pub struct AcceptFrom<F> {
    listener: F,
    addr: RawAddr,
    length: u32,
}

impl<F: OpFd> AcceptFrom<F> {
    /// Accepts on `listener`.
    pub const fn new(listener: F) -> Self {
        Self { listener, addr: RawAddr::EMPTY, length: ADDR_BYTES }
    }
}

// SAFETY: the entry points to the address and its length, which the kernel writes at completion and
// which stay here until `finish`; the listener is held. It completes once, so `item` reaches
// nothing, and posts nothing else.
unsafe impl<F: OpFd> Operation for AcceptFrom<F> {
    type Item = ();
    type Output = (io::Result<(OwnedFd, Option<SocketAddr>)>, F);

    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        let Self { listener, addr, length } = self;
        *sqe = entry(-1, (&raw mut *addr).cast(), &raw mut *length, 0);
        listener.target().write_to(sqe);
    }

    unsafe fn item(_this: *mut Self, _cqe: Cqe) {}

    unsafe fn finish(self, cqe: Cqe) -> Self::Output {
        // SAFETY: the completion of this entry, which yields a descriptor; passed once.
        let fd = unsafe { descriptor(cqe) };
        (fd.map(|fd| (fd, self.addr.get(self.length))), self.listener)
    }

    fn refuse(self, error: io::Error) -> Self::Output {
        (Err(error), self.listener)
    }

    fn ring(&self) -> Option<RingId> {
        self.listener.ring()
    }
}
