//! Plain socket calls that neither the standard library nor `socket2` has.

use std::{
    io, mem,
    net::SocketAddr,
    os::fd::{AsRawFd, BorrowedFd},
};

use socket2::{SockAddr, SockAddrStorage};

/// Bytes that were handed to the kernel and that the peer has not acknowledged (`SIOCOUTQ`); 0 if
/// that is unknown.
#[expect(unsafe_code, reason = "no safe wrapper exists")]
pub(crate) fn unacknowledged(fd: BorrowedFd<'_>) -> u64 {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the call writes one `int`, and `bytes` is one; tcp(7) calls it SIOCOUTQ, which has
    // the number of TIOCOUTQ.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result == 0 { u64::try_from(bytes).unwrap_or(0) } else { 0 }
}

/// How many bytes the peer has acknowledged since the connection was made: it moves if and only if
/// the peer, or its kernel, takes something. 0 if it is unknown.
pub(crate) fn acknowledged(fd: BorrowedFd<'_>) -> u64 {
    /// `struct tcp_info` of include/uapi/linux/tcp.h, v6.18, in words: `tcpi_bytes_acked`, since
    /// Linux 4.1, is at byte 120.
    const BYTES_ACKED: usize = 120 / 8;
    let mut info = [0_u64; BYTES_ACKED + 1];
    match option(fd, libc::IPPROTO_TCP, libc::TCP_INFO, &mut info) {
        Ok(length) if length >= size_of_val(&info) => info[BYTES_ACKED],
        _ => 0,
    }
}

/// The address of the peer, which a reset does not take away (`SO_PEERNAME`).
#[expect(unsafe_code, reason = "no safe wrapper exists")]
pub(crate) fn peer(fd: BorrowedFd<'_>) -> io::Result<Option<SocketAddr>> {
    let ask = |storage: *mut SockAddrStorage, length: *mut libc::socklen_t, bytes: usize| {
        let (level, name) = (libc::SOL_SOCKET, libc::SO_PEERNAME);
        // SAFETY: `try_init` gives a valid pointer.
        unsafe { *length = libc::socklen_t::try_from(bytes).unwrap_or(0) };
        // SAFETY: `try_init` gives a whole `sockaddr_storage`, which is larger than `length`, which
        // bounds what the kernel writes.
        match unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, storage.cast(), length) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // the kernel refuses to be asked for more than there is
    let (long, short) = (size_of::<libc::sockaddr_in6>(), size_of::<libc::sockaddr_in>());
    let fill = |storage, length| match ask(storage, length, long) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => ask(storage, length, short),
        result => result,
    };
    // SAFETY: if the call succeeds, the kernel has written a valid address of that length.
    let ((), addr) = unsafe { SockAddr::try_init(fill) }?;
    Ok(addr.as_socket())
}

/// Ends a connection at once by a reset: both sides drop what is on its way. Works while others
/// have the socket, and while operations are in flight.
#[expect(unsafe_code, reason = "no safe wrapper exists")]
pub(crate) fn reset(fd: BorrowedFd<'_>) -> io::Result<()> {
    let length = size_of::<libc::sockaddr>();
    // SAFETY: a `sockaddr` is plain bytes, for which zeros are valid.
    let mut nobody: libc::sockaddr = unsafe { mem::zeroed() };
    nobody.sa_family = libc::sa_family_t::try_from(libc::AF_UNSPEC).unwrap_or(0);
    let length = libc::socklen_t::try_from(length).unwrap_or(0);
    // SAFETY: the call reads `length` bytes of `nobody`. connect(2): AF_UNSPEC dissolves a
    // connection.
    match unsafe { libc::connect(fd.as_raw_fd(), &raw const nobody, length) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Reads a socket option into `value`; says how many bytes there are.
#[expect(unsafe_code, reason = "socket2 does not know the option")]
fn option(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: &mut [u64],
) -> io::Result<usize> {
    let bytes = size_of_val(value);
    let mut length = libc::socklen_t::try_from(bytes).unwrap_or(libc::socklen_t::MAX);
    let start = value.as_mut_ptr().cast();
    // SAFETY: the kernel writes at most `length` bytes, all of which are in `value`; any bytes are
    // valid numbers.
    match unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, start, &raw mut length) } {
        0 => Ok(usize::try_from(length).unwrap_or(0)),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
        os::fd::AsFd as _,
    };

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn what_the_peer_does_not_take_is_not_acknowledged() {
        let (mut ours, mut theirs) = pair();
        ours.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while let Ok(count) = ours.write(&[1; 65_536]) {
            sent += count;
        }
        let before = acknowledged(ours.as_fd());
        let left = unacknowledged(ours.as_fd());
        assert!(left > 0 && left < sent as u64, "{left} of {sent}");
        assert!(before >= sent as u64 - left, "{before} of {sent}");
        theirs.read_exact(&mut vec![0; sent]).unwrap();
        while unacknowledged(ours.as_fd()) > 0 {}
        assert_eq!(acknowledged(ours.as_fd()) - before, left);
    }

    #[test]
    fn a_reset_is_one_for_the_peer_and_leaves_its_address() {
        let (ours, mut theirs) = pair();
        let addr = ours.local_addr().unwrap();
        assert_eq!(peer(theirs.as_fd()).unwrap(), Some(addr));
        reset(ours.as_fd()).unwrap();
        let error = theirs.read(&mut [0]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(104)); // ECONNRESET in errno(3)
        theirs.peer_addr().unwrap_err(); // std's does not survive it
        assert_eq!(peer(theirs.as_fd()).unwrap(), Some(addr));
    }
}
