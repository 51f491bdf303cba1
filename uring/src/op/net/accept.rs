//! Accepting one connection.

use std::os::fd::{OwnedFd, RawFd};

use uring_sys as sys;

use crate::{
    abi::{
        cast::unsigned,
        sqe::{Sqe, ZERO},
    },
    op::address,
    operation::{fd::OpFd, one_shot::one_shot},
};

/// The entry of all ways to accept.
pub(super) fn entry(fd: RawFd, addr: *mut u8, length: *mut u32, ioprio: u16) -> Sqe {
    Sqe::from_raw(sys::io_uring_sqe {
        opcode: sys::IORING_OP_ACCEPT,
        ioprio,
        fd,
        off: address(length),
        addr: address(addr),
        op_flags: unsigned(libc::SOCK_CLOEXEC),
        ..ZERO
    })
}

impl Sqe {
    /// An entry that accepts a connection, with close-on-exec set: see [`Accept`].
    ///
    /// # Safety
    ///
    /// Until the completion has been taken:
    /// - `addr` and `length` are null, or `*length` bytes from `addr` and `length` itself can be
    ///   written, and nothing else reads, writes or frees them;
    /// - `fd` stays open.
    #[doc(alias = "io_uring_prep_accept")]
    pub unsafe fn accept(fd: RawFd, addr: *mut libc::sockaddr, length: *mut u32) -> Self {
        entry(fd, addr.cast(), length, 0)
    }
}

/// Accepts a connection on a listening socket.
///
/// - **Result:** the new descriptor, with close-on-exec set; the listener.
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
/// # let _client = TcpStream::connect(listener.local_addr()?)?;
/// let (accepted, _) = ring.run(op::Accept::new(&listener));
/// let stream = TcpStream::from(accepted?);
/// println!("{}", stream.peer_addr()?);
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// `EINVAL` if the socket does not listen, `EMFILE` at the descriptor limit, `ECANCELED` if it was
/// cancelled.
///
/// [`accept4(2)`]: https://man7.org/linux/man-pages/man2/accept4.2.html
/// [`io_uring_prep_accept(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_accept.3.html
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Debug)]
pub struct Accept<F> {
    listener: F,
}

impl<F: OpFd> Accept<F> {
    /// Accepts on `listener`.
    pub const fn new(listener: F) -> Self {
        Self { listener }
    }
}

one_shot! {
    // SAFETY: the entry has no pointers.
    unsafe impl[F: OpFd] Operation for Accept<F> {
        entry: |Self { listener: _ }| entry(-1, std::ptr::null_mut(), std::ptr::null_mut(), 0),
        on: listener,
        result: descriptor -> OwnedFd,
        held: (listener: F),
    }
}
