//! Accepting connections again and again with one submission.

use std::{
    io,
    os::fd::{OwnedFd, RawFd},
    ptr,
};

use uring_sys as sys;

use super::accept::entry;
use crate::{
    abi::{cqe::Cqe, sqe::Sqe, token::RingId},
    operation::{Operation, fd::OpFd, result::descriptor},
};

impl Sqe {
    /// An entry that accepts connections again and again: see [`AcceptMulti`].
    ///
    /// # Safety
    ///
    /// `fd` stays open until the completion without `MORE` has been taken.
    #[doc(alias = "io_uring_prep_multishot_accept")]
    pub unsafe fn accept_multi(fd: RawFd) -> Self {
        entry(fd, ptr::null_mut(), ptr::null_mut(), sys::IORING_ACCEPT_MULTISHOT)
    }
}

/// Accepts connections again and again: one submission for the life of a listener.
///
/// There is no peer address: all connections would share its place, and the next would overwrite
/// it. `getpeername(2)` has it. Do not arm one listener on several rings: one of them gets
/// everything.
///
/// - **Result:** each item is a descriptor with close-on-exec set; the end is the last one or an
///   error, and the listener.
/// - **Completes:** with an item for each connection, until a completion without `MORE`: after an
///   error such as `EMFILE`, and when the completion queue overflowed. Submit it again then.
/// - **Since:** Linux 5.19.
/// - **Manual:** [`accept4(2)`], [`io_uring_prep_multishot_accept(3)`].
///
/// ```
/// use std::net::{TcpListener, TcpStream};
/// use uring::{Event, Ring, op};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # match uring::check() { Ok(it) if it.has(uring::OpCode::SOCKET) => {} _ => return Ok(()) }
/// let mut ring: Ring<op::AcceptMulti<TcpListener>> = Ring::builder().build()?;
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// # let address = listener.local_addr()?;
/// # let _clients = (TcpStream::connect(address)?, TcpStream::connect(address)?);
/// ring.submit(op::AcceptMulti::new(listener), ())?;
/// let mut accepted = 0;
/// while accepted < 2 {
///     ring.wait(1, None)?;
///     while let Some(event) = ring.next() {
///         match event {
///             Event::Item { item, .. } => accepted += usize::from(item.is_ok()),
///             Event::Done { output: (last, _listener), .. } => {
///                 accepted += usize::from(last.is_ok()); // a connection as the others
///                 last?; // submit it again
///             }
///             _ => {}
///         }
///     }
/// }
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// As [`Accept`](super::Accept).
///
/// [`accept4(2)`]: https://man7.org/linux/man-pages/man2/accept4.2.html
/// [`io_uring_prep_multishot_accept(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_multishot_accept.3.html
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Debug)]
pub struct AcceptMulti<F> {
    listener: F,
}

impl<F: OpFd> AcceptMulti<F> {
    /// Accepts on `listener`.
    pub const fn new(listener: F) -> Self {
        Self { listener }
    }
}

// SAFETY: the listener is held until `finish`; there is no other operand, and it posts nothing but
// its own completions.
unsafe impl<F: OpFd> Operation for AcceptMulti<F> {
    type Item = io::Result<OwnedFd>;
    type Output = (io::Result<OwnedFd>, F);

    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        let Self { listener } = self;
        *sqe = entry(-1, ptr::null_mut(), ptr::null_mut(), sys::IORING_ACCEPT_MULTISHOT);
        listener.target().write_to(sqe);
    }

    unsafe fn item(_this: *mut Self, cqe: Cqe) -> io::Result<OwnedFd> {
        // SAFETY: a completion of this entry, which yields a descriptor; passed once.
        unsafe { descriptor(cqe) }
    }

    unsafe fn finish(self, cqe: Cqe) -> Self::Output {
        // SAFETY: the last completion of this entry, which yields a descriptor; passed once.
        (unsafe { descriptor(cqe) }, self.listener)
    }

    fn refuse(self, error: io::Error) -> Self::Output {
        (Err(error), self.listener)
    }

    fn ring(&self) -> Option<RingId> {
        self.listener.ring()
    }
}
