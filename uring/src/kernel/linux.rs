//! Linux: the three calls of io_uring, and the few plain ones beside them.

use std::{
    ffi::c_void,
    io,
    mem::MaybeUninit,
    os::fd::{FromRawFd, OwnedFd, RawFd},
    ptr,
    time::Duration,
};

use uring_sys as sys;

use super::Seek;

/// The result of a call that answers with a number or a negated errno.
#[inline]
fn answered(answer: i32) -> Result<u32, i32> {
    u32::try_from(answer).map_err(|_| -answer)
}

pub(super) fn setup(entries: u32, params: &mut sys::io_uring_params) -> Result<OwnedFd, i32> {
    // SAFETY: the call reads and writes one `io_uring_params`, and is lent one. Memory of the
    // caller's own is not asked for: `NO_MMAP` is refused before.
    let answer = unsafe { sys::io_uring_setup(entries, params) };
    if answer < 0 {
        return Err(-answer);
    }
    // SAFETY: a successful setup returns a new descriptor, which nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(answer) })
}

/// # Safety
///
/// As [`super::enter`].
#[inline]
pub(super) unsafe fn enter(
    ring: RawFd,
    to_submit: u32,
    min_complete: u32,
    flags: u32,
    argument: *const c_void,
    bytes: usize,
) -> Result<u32, i32> {
    // SAFETY: the caller's contract is this call's.
    answered(unsafe { sys::io_uring_enter(ring, to_submit, min_complete, flags, argument, bytes) })
}

/// # Safety
///
/// As [`super::register`].
pub(super) unsafe fn register(
    ring: RawFd,
    opcode: u32,
    argument: *mut c_void,
    count: u32,
) -> Result<u32, i32> {
    // SAFETY: the caller's contract is this call's.
    answered(unsafe { sys::io_uring_register(ring, opcode, argument, count) })
}

pub(super) fn sleep(time: Duration) {
    let time = libc::timespec {
        tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: time.subsec_nanos().into(),
    };
    // SAFETY: the call reads one `timespec`; null asks for no remainder.
    let _interrupted = unsafe { libc::nanosleep(&raw const time, ptr::null_mut()) };
}

pub(super) fn is_datagram(socket: RawFd) -> Option<bool> {
    // SAFETY: any bytes are a number.
    let kind: libc::c_int = unsafe { option(socket, libc::SO_TYPE) }?;
    Some(matches!(kind, libc::SOCK_DGRAM | libc::SOCK_RAW | libc::SOCK_RDM))
}

pub(super) fn lingers(socket: RawFd) -> Option<bool> {
    // SAFETY: any bytes are two numbers.
    let linger: Linger = unsafe { option(socket, libc::SO_LINGER) }?;
    Some(linger.on != 0 && linger.seconds > 0)
}

/// `struct linger` of socket(7).
#[repr(C)]
#[derive(Default)]
struct Linger {
    on: libc::c_int,
    seconds: libc::c_int,
}

/// An option of a socket.
///
/// # Safety
///
/// Any bytes are a valid `T`.
unsafe fn option<T: Default>(socket: RawFd, name: libc::c_int) -> Option<T> {
    let mut value = T::default();
    let mut bytes = libc::socklen_t::try_from(size_of::<T>()).ok()?;
    // SAFETY: the call writes at most `bytes` bytes to `value`, and their number to `bytes`.
    let answer = unsafe {
        libc::getsockopt(socket, libc::SOL_SOCKET, name, (&raw mut value).cast(), &raw mut bytes)
    };
    (answer == 0).then_some(value)
}

pub(super) fn seek(fd: RawFd, how: Seek) -> Result<u64, i32> {
    let (offset, whence) = match how {
        Seek::Here => (0, libc::SEEK_CUR),
        Seek::To(at) => (libc::off_t::try_from(at).map_err(|_| libc::EINVAL)?, libc::SEEK_SET),
    };
    // SAFETY: the call takes three numbers.
    let at = unsafe { libc::lseek(fd, offset, whence) };
    u64::try_from(at).map_err(|_| last_errno())
}

pub(super) fn has_position(fd: RawFd) -> Result<bool, i32> {
    kind(fd).map(|kind| kind == libc::S_IFREG || kind == libc::S_IFBLK)
}

pub(super) fn is_socket_or_pipe(fd: RawFd) -> Result<bool, i32> {
    kind(fd).map(|kind| kind == libc::S_IFSOCK || kind == libc::S_IFIFO)
}

/// What kind of file a descriptor is of.
fn kind(fd: RawFd) -> Result<libc::mode_t, i32> {
    let mut stat = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the call writes one `stat`, and that is what it gets.
    if unsafe { libc::fstat(fd, stat.as_mut_ptr()) } != 0 {
        return Err(last_errno());
    }
    // SAFETY: zeroes are a valid `stat`, and the kernel writes valid ones.
    Ok(unsafe { stat.assume_init() }.st_mode & libc::S_IFMT)
}

fn last_errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

pub(super) fn memlock_limit() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes one `rlimit`, and that is what it gets.
    let answer = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) };
    (answer == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}
