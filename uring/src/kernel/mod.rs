//! The seam: everything that a ring asks of the kernel goes through here.
//!
//! What a kernel must offer:
//!
//! | call | is |
//! | --- | --- |
//! | [`setup`] | makes a ring, and says what was granted |
//! | [`enter`] | submits, waits, and runs what is due |
//! | [`register`] | registers, changes, removes or asks for something |
//! | [`RingMemory`](map::RingMemory) | the queues, mapped; a forked child touches none of it |
//! | [`Private`](map::Private) | memory that the kernel fills; a forked child finds zeroes |
//! | [`now`] | the time that deadlines are measured by |
//! | [`sleep`] | for a time |
//! | [`is_datagram`] | whether a socket keeps messages apart |
//! | [`has_position`], [`seek`] | the position of an open file, if it has one |
//! | [`is_socket_or_pipe`] | whether nothing is written back when a file is closed |
//! | [`lingers`] | whether a socket's close waits for the peer |
//! | [`memlock_limit`] | the limit of locked memory, to explain a refusal |
//!
//! `call` names the three calls, and `evidence` is what can be seen of why one was refused.
//!
//! A ring is closed by the drop of its descriptor. No other module names a system call. Errors are
//! errnos: positive, and never 0.

#[cfg(not(all(target_os = "linux", target_pointer_width = "64", target_endian = "little")))]
compile_error!("uring needs Linux on a 64-bit little-endian processor");

pub(crate) mod call;
pub(crate) mod evidence;
mod linux;
pub(crate) mod map;

use std::{
    ffi::c_void,
    os::fd::{OwnedFd, RawFd},
    time::{Duration, Instant},
};

use uring_sys as sys;

/// Makes a ring; `params` says what is asked for, and then what was granted.
pub(crate) fn setup(entries: u32, params: &mut sys::io_uring_params) -> Result<OwnedFd, i32> {
    linux::setup(entries, params)
}

/// Submits what is published and waits; says how many entries were consumed.
///
/// # Safety
///
/// - `argument` and `bytes` are what `flags` ask for, and can be read during the call.
/// - The entries that are published were made by constructors whose contract covers what the
///   kernel does with them.
#[inline]
pub(crate) unsafe fn enter(
    ring: RawFd,
    to_submit: u32,
    min_complete: u32,
    flags: u32,
    argument: *const c_void,
    bytes: usize,
) -> Result<u32, i32> {
    // SAFETY: the caller's contract is this call's.
    unsafe { linux::enter(ring, to_submit, min_complete, flags, argument, bytes) }
}

/// Registers, changes, removes or asks for something that outlives one operation.
///
/// # Safety
///
/// `argument` and `count` are what `opcode` asks for in `io_uring_register(2)`, and memory that the
/// opcode registers stays valid until it is unregistered or the ring is gone.
pub(crate) unsafe fn register(
    ring: RawFd,
    opcode: u32,
    argument: *mut c_void,
    count: u32,
) -> Result<u32, i32> {
    // SAFETY: the caller's contract is this call's.
    unsafe { linux::register(ring, opcode, argument, count) }
}

/// The time that deadlines are measured by. Nothing else here looks at a clock.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Leaves the processor to others for a time; a signal ends it early. (The standard library's goes
/// on with what is left after each signal, and in a storm of them never comes to an end.)
pub(crate) fn sleep(time: Duration) {
    linux::sleep(time);
}

/// Whether this is a socket that keeps messages apart, so that one of no bytes can arrive; `None`
/// if the kernel does not say.
pub(crate) fn is_datagram(socket: RawFd) -> Option<bool> {
    linux::is_datagram(socket)
}

/// What to do to the position of an open file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seek {
    /// Nothing but to tell it.
    Here,
    /// To set it.
    To(u64),
}

/// Tells or sets the position of an open file, which has one.
pub(crate) fn seek(fd: RawFd, how: Seek) -> Result<u64, i32> {
    linux::seek(fd, how)
}

/// Whether this is a file of numbered bytes, a regular one or a block device: those for which the
/// kernel completes a transfer in several attempts.
pub(crate) fn has_position(fd: RawFd) -> Result<bool, i32> {
    linux::has_position(fd)
}

/// Whether this is a socket or a pipe, of which nothing is written back: to close one fails only if
/// it is not done.
pub(crate) fn is_socket_or_pipe(fd: RawFd) -> Result<bool, i32> {
    linux::is_socket_or_pipe(fd)
}

/// Whether this is a socket whose close waits for the peer; `None` if the kernel does not say, as
/// of what is no socket.
pub(crate) fn lingers(socket: RawFd) -> Option<bool> {
    linux::lingers(socket)
}

/// The soft `RLIMIT_MEMLOCK` in bytes, `None` if it is unlimited.
pub(crate) fn memlock_limit() -> Option<u64> {
    linux::memlock_limit()
}
