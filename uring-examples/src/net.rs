//! Sockets, as far as operations on the ring do not make them.

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use crate::failure::Failure;

/// How many connections may wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// A listening socket on the first of the addresses that can be had.
///
/// Its connections have `TCP_NODELAY`: they inherit it, which saves a system call for each. The
/// address can be bound again right after the last listener is gone.
///
/// # Errors
///
/// Names the last address, the reason, and what to do.
pub fn listen(addresses: &[SocketAddr]) -> Result<TcpListener, Failure> {
    let mut last = Failure::Failed("there is no address to listen on".to_owned());
    for address in addresses {
        match listen_on(*address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Failure::advised(format!("cannot listen on {address}"), &error),
        }
    }
    Err(last)
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    // the standard library sets SO_REUSEADDR
    let listener = TcpListener::bind(address)?;
    // SAFETY: the call takes no pointer. On a socket that listens it only changes the backlog.
    if unsafe { libc::listen(listener.as_raw_fd(), BACKLOG) } != 0 {
        return Err(io::Error::last_os_error());
    }
    set_option(listener.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
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
        let listener = listen(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(listener.accept().unwrap().0.nodelay().unwrap());
    }

    #[test]
    fn a_port_in_use_is_named_with_what_to_do() {
        let first = listen(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let address = first.local_addr().unwrap();
        match listen(&[address]) {
            Err(Failure::Failed(text)) => {
                assert!(text.contains(&address.to_string()) && text.contains("port"), "{text}");
            }
            other => panic!("no failure: {other:?}"),
        }
    }

    #[test]
    fn all_addresses_are_tried_in_turn() {
        let first = listen(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let taken = first.local_addr().unwrap();
        // 192.0.2.0/24 is for documentation: no machine has it
        let strange = "192.0.2.1:0".parse().unwrap();
        let second = listen(&[strange, taken, "127.0.0.2:0".parse().unwrap()]).unwrap();
        assert_eq!(second.local_addr().unwrap().ip().to_string(), "127.0.0.2");
    }
}
