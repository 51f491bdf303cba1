//! Sockets, as far as operations on the ring do not make them.

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use crate::Failure;

/// How many connections may wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// A listening socket, whose connections have `TCP_NODELAY`: they inherit it, which saves a system
/// call for each. The address can be bound again right after the last listener is gone.
///
/// # Errors
///
/// Names the address, the reason, and what to do.
pub fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    let failed = |error: &io::Error| {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "the port is in use; stop the program that has it, or choose another with --listen"
            }
            io::ErrorKind::AddrNotAvailable => {
                "this machine does not have the address; use 127.0.0.1, or 0.0.0.0 for all"
            }
            io::ErrorKind::PermissionDenied => {
                "the port needs privileges; choose one above 1023 with --listen"
            }
            _ => return Failure::new(format!("cannot listen on {address}"), error),
        };
        Failure::Failed(format!("cannot listen on {address}: {advice}"))
    };
    // the standard library sets SO_REUSEADDR
    let listener = TcpListener::bind(address).map_err(|e| failed(&e))?;
    // SAFETY: the call takes no pointer. On a socket that listens it only changes the backlog.
    if unsafe { libc::listen(listener.as_raw_fd(), BACKLOG) } != 0 {
        return Err(failed(&io::Error::last_os_error()));
    }
    set_option(listener.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)
        .map_err(|e| failed(&e))?;
    Ok(listener)
}

/// A TCP socket that is not connected yet, with `TCP_NODELAY`; for [`uring::op::Connect`].
///
/// # Errors
///
/// Those of `socket(2)`.
pub fn connecting_socket(peer: &SocketAddr) -> io::Result<TcpStream> {
    let family = if peer.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: the call takes no pointer.
    let fd = unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new, and nobody else knows its number.
    let socket = TcpStream::from(unsafe { OwnedFd::from_raw_fd(fd) });
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// Limits what the kernel keeps for a socket in each direction; before it is connected.
///
/// # Errors
///
/// Those of `setsockopt(2)`.
pub fn limit_socket_buffers(socket: &impl AsRawFd, bytes: i32) -> io::Result<()> {
    set_option(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_SNDBUF, bytes)?;
    set_option(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, bytes)
}

fn set_option(socket: RawFd, level: i32, option: i32, value: libc::c_int) -> io::Result<()> {
    const BYTES: libc::socklen_t = 4;
    const { assert!(size_of::<libc::c_int>() == BYTES as usize) };
    // SAFETY: the option reads an integer of this size, and that is what it gets.
    let answer =
        unsafe { libc::setsockopt(socket, level, option, (&raw const value).cast(), BYTES) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_connections_inherit_no_delay() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(listener.accept().unwrap().0.nodelay().unwrap());
    }

    #[test]
    fn a_port_in_use_is_named_with_what_to_do() {
        let first = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        match listen(address) {
            Err(Failure::Failed(text)) => {
                assert!(text.contains(&address.to_string()) && text.contains("--listen"), "{text}");
            }
            other => panic!("no failure: {other:?}"),
        }
    }
}
