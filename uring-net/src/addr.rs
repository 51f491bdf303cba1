//! Sockets and addresses.

use std::{
    fmt, io,
    net::{SocketAddr, ToSocketAddrs},
    os::fd::{BorrowedFd, OwnedFd},
};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::sys;

/// An address that could not be used, and why.
#[derive(Debug)]
struct AddrError {
    doing: &'static str,
    addr: String,
    source: io::Error,
}

impl fmt::Display for AddrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.doing, self.addr, self.source)
    }
}

impl std::error::Error for AddrError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// The same error, with the address in its text.
pub(crate) fn with_addr(doing: &'static str, addr: &impl ToString, source: io::Error) -> io::Error {
    io::Error::new(source.kind(), AddrError { doing, addr: addr.to_string(), source })
}

/// Tries `each` of the addresses that a name stands for; the last error is the one that is told.
pub(crate) fn try_each<T>(
    addr: impl ToSocketAddrs,
    mut each: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = None;
    for addr in addr.to_socket_addrs()? {
        match each(addr) {
            Ok(value) => return Ok(value),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(no_address))
}

pub(crate) fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the name stands for no address")
}

/// A socket that listens on `addr`.
pub(crate) fn listen(
    addr: SocketAddr,
    backlog: i32,
    reuse_port: bool,
    nodelay: bool,
) -> io::Result<OwnedFd> {
    let listen = || {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        // a restart must not wait for the connections of the last run to fade
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(reuse_port)?;
        // accepted sockets inherit it: no system call for each
        socket.set_tcp_nodelay(nodelay)?;
        socket.bind(&addr.into())?;
        socket.listen(backlog)?;
        Ok(socket)
    };
    listen().map(OwnedFd::from).map_err(|error| with_addr("listen on", &addr, error))
}

/// A socket to connect to `addr`.
pub(crate) fn client(addr: SocketAddr, nodelay: bool) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(nodelay)?;
    Ok(socket.into())
}

pub(crate) fn peer(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    sys::peer(fd)?.ok_or_else(other_family)
}

pub(crate) fn local(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    SockRef::from(&fd).local_addr()?.as_socket().ok_or_else(other_family)
}

fn other_family() -> io::Error {
    io::Error::other("the socket has neither an IPv4 nor an IPv6 address")
}
