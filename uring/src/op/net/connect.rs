//! Connecting a socket.

use std::{net::SocketAddr, os::fd::RawFd};

use uring_sys as sys;

use super::addr::RawAddr;
use crate::{
    abi::sqe::{Sqe, ZERO},
    op::address,
    operation::{fd::OpFd, one_shot::one_shot},
};

fn entry(fd: RawFd, addr: *const u8, length: u32) -> Sqe {
    Sqe::from_raw(sys::io_uring_sqe {
        opcode: sys::IORING_OP_CONNECT,
        fd,
        off: u64::from(length),
        addr: address(addr),
        ..ZERO
    })
}

impl Sqe {
    /// An entry that connects a socket: see [`Connect`].
    ///
    /// # Safety
    ///
    /// Until the completion has been taken:
    /// - `length` bytes from `addr` can be read, and nothing changes or frees them;
    /// - `fd` stays open.
    #[doc(alias = "io_uring_prep_connect")]
    pub unsafe fn connect(fd: RawFd, addr: *const libc::sockaddr, length: u32) -> Self {
        entry(fd, addr.cast(), length)
    }
}

/// Connects a socket to an IPv4 or IPv6 address.
///
/// - **Result:** nothing; the socket.
/// - **Completes:** once, when the connection stands or has failed.
/// - **Since:** Linux 5.5.
/// - **Manual:** [`connect(2)`], [`io_uring_prep_connect(3)`].
///
/// ```
/// use std::net::UdpSocket;
/// use uring::{Ring, op};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring: Ring<op::Nop> = Ring::builder().build()?;
/// let server = UdpSocket::bind("127.0.0.1:0")?;
/// let socket = UdpSocket::bind("127.0.0.1:0")?; // for TCP, a socket that `socket(2)` has made
/// let (result, socket) = ring.run(op::Connect::new(socket, &server.local_addr()?));
/// result?;
/// assert_eq!(socket.peer_addr()?, server.local_addr()?);
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Those of [`connect(2)`]: `ECONNREFUSED` if nobody listens, `ETIMEDOUT`; `EINPROGRESS` is not
/// one.
///
/// [`connect(2)`]: https://man7.org/linux/man-pages/man2/connect.2.html
/// [`io_uring_prep_connect(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_connect.3.html
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Debug)]
pub struct Connect<F> {
    socket: F,
    addr: RawAddr,
    length: u32,
}

impl<F: OpFd> Connect<F> {
    /// Connects `socket` to `addr`.
    pub fn new(socket: F, addr: &SocketAddr) -> Self {
        let (addr, length) = RawAddr::new(addr);
        Self { socket, addr, length }
    }
}

one_shot! {
    // SAFETY: the entry points to the address, which stays in the value.
    unsafe impl[F: OpFd] Operation for Connect<F> {
        entry: |Self { socket: _, addr, length }| entry(-1, (&raw const *addr).cast(), *length),
        on: socket,
        result: nothing -> (),
        held: (socket: F),
    }
}
