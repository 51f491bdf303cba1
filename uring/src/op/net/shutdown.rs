//! Ending one or both directions of a connection.

use std::{net, os::fd::RawFd};

use uring_sys as sys;

use crate::{
    abi::{
        cast::unsigned,
        sqe::{Sqe, ZERO},
    },
    operation::{fd::OpFd, one_shot::one_shot},
};

fn entry(fd: RawFd, how: net::Shutdown) -> Sqe {
    let how = match how {
        net::Shutdown::Read => libc::SHUT_RD,
        net::Shutdown::Write => libc::SHUT_WR,
        net::Shutdown::Both => libc::SHUT_RDWR,
    };
    Sqe::from_raw(sys::io_uring_sqe {
        opcode: sys::IORING_OP_SHUTDOWN,
        fd,
        len: unsigned(how),
        ..ZERO
    })
}

impl Sqe {
    /// An entry that shuts a socket down: see [`Shutdown`].
    ///
    /// # Safety
    ///
    /// `fd` stays open until the completion has been taken.
    #[doc(alias = "io_uring_prep_shutdown")]
    pub unsafe fn shutdown(fd: RawFd, how: net::Shutdown) -> Self {
        entry(fd, how)
    }
}

/// Shuts down one or both directions of a connection.
///
/// - **Result:** nothing; the socket.
/// - **Completes:** once.
/// - **Since:** Linux 5.11.
/// - **Manual:** [`shutdown(2)`], [`io_uring_prep_shutdown(3)`].
///
/// ```
/// use std::{io::Read, net::Shutdown, os::unix::net::UnixStream};
/// use uring::{Ring, op};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # match uring::check() { Ok(it) if it.has(uring::OpCode::SHUTDOWN) => {} _ => return Ok(()) }
/// let mut ring: Ring<op::Nop> = Ring::builder().build()?;
/// let (ours, mut theirs) = UnixStream::pair()?;
/// let (result, _) = ring.run(op::Shutdown::new(&ours, Shutdown::Write));
/// result?;
/// assert_eq!(theirs.read(&mut [0])?, 0); // the other side sees the end
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Those of [`shutdown(2)`]: `ENOTCONN` if there is no connection. In a chain they do not keep what
/// stands behind it from starting, since Linux 6.0.
///
/// [`shutdown(2)`]: https://man7.org/linux/man-pages/man2/shutdown.2.html
/// [`io_uring_prep_shutdown(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_shutdown.3.html
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Debug)]
pub struct Shutdown<F> {
    socket: F,
    how: net::Shutdown,
}

impl<F: OpFd> Shutdown<F> {
    /// Shuts `socket` down.
    pub const fn new(socket: F, how: net::Shutdown) -> Self {
        Self { socket, how }
    }
}

one_shot! {
    // SAFETY: the entry has no pointers.
    unsafe impl[F: OpFd] Operation for Shutdown<F> {
        entry: |Self { socket: _, how }| entry(-1, *how),
        on: socket,
        result: nothing -> (),
        held: (socket: F),
    }
}
