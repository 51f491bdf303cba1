//! Accepting connections.

use std::{
    io,
    net::SocketAddr,
    os::fd::{FromRawFd, OwnedFd, RawFd},
    ptr,
};

use uring_sys as sys;

use super::address;
use crate::{
    Cqe, OpFd, Operation, RingId, Sqe,
    addr::{ADDR_BYTES, RawAddr},
    cast::{signed, unsigned},
    sqe::ZERO,
};

fn entry(fd: RawFd, addr: *mut u8, length: *mut u32, ioprio: u16) -> Sqe {
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

/// The descriptor of a completion, owned at once, so that whoever drops the result closes it.
///
/// # Safety
///
/// `cqe` is a completion of an entry that yields a descriptor, and is passed once.
unsafe fn accepted(cqe: Cqe) -> io::Result<OwnedFd> {
    cqe.result().map(|fd| {
        // SAFETY: the kernel has just put the descriptor into our table, and (the caller's
        // contract) nobody else was told its number. It fits: the limit of descriptors is below
        // i32::MAX.
        unsafe { OwnedFd::from_raw_fd(signed(fd)) }
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

    /// An entry that accepts connections again and again: see [`AcceptMulti`].
    ///
    /// # Safety
    ///
    /// `fd` stays open until the completion without `MORE` has been taken.
    #[doc(alias = "io_uring_prep_multishot_accept")]
    pub unsafe fn accept_multishot(fd: RawFd) -> Self {
        entry(fd, ptr::null_mut(), ptr::null_mut(), sys::IORING_ACCEPT_MULTISHOT)
    }
}

/// Accepts a connection on a listening socket.
///
/// - **Result:** the new descriptor, with close-on-exec set; the listener.
/// - **Completes:** once.
/// - **Since:** Linux 5.5.
/// - **Manual:** [`accept4(2)`], [`io_uring_prep_accept(3)`].
///
/// # Errors
///
/// `EINVAL` if the socket does not listen, `EMFILE` at the descriptor limit, `ECANCELED` if it was
/// cancelled.
///
/// [`accept4(2)`]: https://man7.org/linux/man-pages/man2/accept4.2.html
/// [`io_uring_prep_accept(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_accept.3.html
#[doc(alias = "IORING_OP_ACCEPT")]
#[doc(alias = "io_uring_prep_accept")]
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

// SAFETY: the listener is held until `finish`; there is no other operand.
unsafe impl<F: OpFd> Operation for Accept<F> {
    type Item = ();
    type Output = (io::Result<OwnedFd>, F);

    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        let Self { listener } = self;
        *sqe = entry(-1, ptr::null_mut(), ptr::null_mut(), 0);
        listener.set(sqe);
    }

    unsafe fn item(&mut self, _cqe: Cqe) {}

    unsafe fn finish(self, cqe: Cqe) -> Self::Output {
        // SAFETY: the completion of this entry, which yields a descriptor; passed once.
        (unsafe { accepted(cqe) }, self.listener)
    }

    fn ring(&self) -> Option<RingId> {
        self.listener.ring()
    }
}

/// Accepts a connection, and says where it comes from.
///
/// - **Result:** the new descriptor, with close-on-exec set, and the peer's address, `None` if that
///   is neither IPv4 nor IPv6; the listener.
/// - **Completes:** once.
/// - **Since:** Linux 5.5.
/// - **Manual:** [`accept4(2)`], [`io_uring_prep_accept(3)`].
///
/// # Errors
///
/// As [`Accept`].
///
/// [`accept4(2)`]: https://man7.org/linux/man-pages/man2/accept4.2.html
/// [`io_uring_prep_accept(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_accept.3.html
#[doc(alias = "IORING_OP_ACCEPT")]
#[doc(alias = "io_uring_prep_accept")]
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
// which stay here until `finish`; the listener is held.
unsafe impl<F: OpFd> Operation for AcceptFrom<F> {
    type Item = ();
    type Output = (io::Result<(OwnedFd, Option<SocketAddr>)>, F);

    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        let Self { listener, addr, length } = self;
        *sqe = entry(-1, (&raw mut *addr).cast(), &raw mut *length, 0);
        listener.set(sqe);
    }

    unsafe fn item(&mut self, _cqe: Cqe) {}

    unsafe fn finish(self, cqe: Cqe) -> Self::Output {
        // SAFETY: the completion of this entry, which yields a descriptor; passed once.
        let fd = unsafe { accepted(cqe) };
        (fd.map(|fd| (fd, self.addr.get(self.length))), self.listener)
    }

    fn ring(&self) -> Option<RingId> {
        self.listener.ring()
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
/// # Errors
///
/// As [`Accept`].
///
/// [`accept4(2)`]: https://man7.org/linux/man-pages/man2/accept4.2.html
/// [`io_uring_prep_multishot_accept(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_multishot_accept.3.html
#[doc(alias = "IORING_OP_ACCEPT")]
#[doc(alias = "IORING_ACCEPT_MULTISHOT")]
#[doc(alias = "io_uring_prep_multishot_accept")]
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

// SAFETY: the listener is held until `finish`; there is no other operand.
unsafe impl<F: OpFd> Operation for AcceptMulti<F> {
    type Item = io::Result<OwnedFd>;
    type Output = (io::Result<OwnedFd>, F);

    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        let Self { listener } = self;
        *sqe = entry(-1, ptr::null_mut(), ptr::null_mut(), sys::IORING_ACCEPT_MULTISHOT);
        listener.set(sqe);
    }

    unsafe fn item(&mut self, cqe: Cqe) -> io::Result<OwnedFd> {
        // SAFETY: a completion of this entry, which yields a descriptor; passed once.
        unsafe { accepted(cqe) }
    }

    unsafe fn finish(self, cqe: Cqe) -> Self::Output {
        // SAFETY: the last completion of this entry, which yields a descriptor; passed once.
        (unsafe { accepted(cqe) }, self.listener)
    }

    fn ring(&self) -> Option<RingId> {
        self.listener.ring()
    }
}
