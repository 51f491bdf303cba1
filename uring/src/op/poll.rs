//! Waiting for readiness.

use std::{io, os::fd::RawFd};

use uring_sys as sys;

use crate::{Cqe, OpFd, Operation, RingId, Sqe, cast::unsigned, sqe::ZERO};

bitflags::bitflags! {
    /// What to wait for, and what was there: the events of [`poll(2)`].
    ///
    /// [`poll(2)`]: https://man7.org/linux/man-pages/man2/poll.2.html
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct PollEvents: u32 {
        /// There is data to read.
        #[doc(alias = "POLLIN")]
        const IN = unsigned(libc::EPOLLIN);
        /// There is urgent data.
        #[doc(alias = "POLLPRI")]
        const PRI = unsigned(libc::EPOLLPRI);
        /// There is room to write.
        #[doc(alias = "POLLOUT")]
        const OUT = unsigned(libc::EPOLLOUT);
        /// An error; always reported.
        #[doc(alias = "POLLERR")]
        const ERR = unsigned(libc::EPOLLERR);
        /// Hung up; always reported.
        #[doc(alias = "POLLHUP")]
        const HUP = unsigned(libc::EPOLLHUP);
        /// The peer has finished writing.
        #[doc(alias = "POLLRDHUP")]
        const RDHUP = unsigned(libc::EPOLLRDHUP);

        const _ = !0; // bits newer than this crate survive
    }
}

const fn entry(fd: RawFd, events: PollEvents, len: u32) -> Sqe {
    Sqe::from_raw(sys::io_uring_sqe {
        opcode: sys::IORING_OP_POLL_ADD,
        fd,
        len,
        op_flags: events.bits(),
        ..ZERO
    })
}

fn events(cqe: Cqe) -> io::Result<PollEvents> {
    cqe.result().map(PollEvents::from_bits_retain)
}

impl Sqe {
    /// An entry that waits for readiness: see [`Poll`].
    ///
    /// # Safety
    ///
    /// `fd` stays open until the completion has been taken.
    #[doc(alias = "io_uring_prep_poll_add")]
    pub const unsafe fn poll_add(fd: RawFd, events: PollEvents) -> Self {
        entry(fd, events, 0)
    }

    /// An entry that reports readiness again and again: see [`PollMulti`].
    ///
    /// # Safety
    ///
    /// `fd` stays open until the completion without `MORE` has been taken.
    #[doc(alias = "io_uring_prep_poll_multishot")]
    pub const unsafe fn poll_multishot(fd: RawFd, events: PollEvents) -> Self {
        entry(fd, events, sys::IORING_POLL_ADD_MULTI)
    }
}

/// Waits until a descriptor is ready.
///
/// - **Result:** the events that are there; the descriptor.
/// - **Completes:** once.
/// - **Since:** Linux 5.1; events in the upper 16 bits 5.9.
/// - **Manual:** [`poll(2)`], [`io_uring_prep_poll_add(3)`].
///
/// # Errors
///
/// `EBADF`; `EPERM` for files that cannot be polled; `ECANCELED` if it was cancelled.
///
/// [`poll(2)`]: https://man7.org/linux/man-pages/man2/poll.2.html
/// [`io_uring_prep_poll_add(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_poll_add.3.html
#[doc(alias = "IORING_OP_POLL_ADD")]
#[doc(alias = "io_uring_prep_poll_add")]
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Debug)]
pub struct Poll<F> {
    fd: F,
    events: PollEvents,
}

impl<F: OpFd> Poll<F> {
    /// Waits until one of `events` is there.
    pub const fn new(fd: F, events: PollEvents) -> Self {
        Self { fd, events }
    }
}

// SAFETY: the descriptor is held until `finish`; there is no other operand.
unsafe impl<F: OpFd> Operation for Poll<F> {
    type Item = ();
    type Output = (io::Result<PollEvents>, F);

    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        let Self { fd, events } = self;
        *sqe = entry(-1, *events, 0);
        fd.set(sqe);
    }

    unsafe fn item(&mut self, _cqe: Cqe) {}

    unsafe fn finish(self, cqe: Cqe) -> Self::Output {
        (events(cqe), self.fd)
    }

    fn ring(&self) -> Option<RingId> {
        self.fd.ring()
    }
}

/// Reports each time that a descriptor becomes ready.
///
/// - **Result:** each item is the events that are there; the end is the last ones or an error, and
///   the descriptor.
/// - **Completes:** with an item for each change, until a completion without `MORE`: after an
///   error, and when the completion queue overflowed. Submit it again then.
/// - **Since:** Linux 5.13.
/// - **Manual:** [`poll(2)`], [`io_uring_prep_poll_multishot(3)`].
///
/// # Errors
///
/// As [`Poll`]; `EINVAL` before Linux 5.13.
///
/// [`poll(2)`]: https://man7.org/linux/man-pages/man2/poll.2.html
/// [`io_uring_prep_poll_multishot(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_poll_multishot.3.html
#[doc(alias = "IORING_OP_POLL_ADD")]
#[doc(alias = "IORING_POLL_ADD_MULTI")]
#[doc(alias = "io_uring_prep_poll_multishot")]
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Debug)]
pub struct PollMulti<F> {
    fd: F,
    events: PollEvents,
}

impl<F: OpFd> PollMulti<F> {
    /// Reports each time that one of `events` comes.
    pub const fn new(fd: F, events: PollEvents) -> Self {
        Self { fd, events }
    }
}

// SAFETY: the descriptor is held until `finish`; there is no other operand.
unsafe impl<F: OpFd> Operation for PollMulti<F> {
    type Item = io::Result<PollEvents>;
    type Output = (io::Result<PollEvents>, F);

    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        let Self { fd, events } = self;
        *sqe = entry(-1, *events, sys::IORING_POLL_ADD_MULTI);
        fd.set(sqe);
    }

    unsafe fn item(&mut self, cqe: Cqe) -> Self::Item {
        events(cqe)
    }

    unsafe fn finish(self, cqe: Cqe) -> Self::Output {
        (events(cqe), self.fd)
    }

    fn ring(&self) -> Option<RingId> {
        self.fd.ring()
    }
}
