//! Ctrl-C as an ordinary read: no handler, no flag, no race between a test and a wait.

use std::{
    io, mem,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    ptr,
    sync::Arc,
};

use uring::{Offset, op};

use crate::limits::file_size_limit;

/// The signals that end a program: what Ctrl-C, `kill` and service managers send.
///
/// They are blocked, and read from a descriptor (`signalfd(2)`): through a ring with
/// [`next`](Self::next), or by a blocking [`wait`](Self::wait).
#[derive(Clone, Debug)]
pub struct Signals {
    fd: Arc<OwnedFd>,
}

/// Reads the next signal; [`signal_name`] tells which it was.
pub type NextSignal = op::Read<Arc<OwnedFd>, Box<[u8]>>;

const BYTES: usize = size_of::<libc::signalfd_siginfo>();

impl Signals {
    /// Blocks `SIGINT` and `SIGTERM` for this thread and those it starts later: call it first.
    ///
    /// # Errors
    ///
    /// Those of `pthread_sigmask(3)` and `signalfd(2)`.
    pub fn block() -> io::Result<Self> {
        let set = ending_signals();
        change_mask(libc::SIG_BLOCK, &set)?;
        // Not SFD_NONBLOCK: with it, a read through the ring would end with EAGAIN at once.
        // SAFETY: the call reads one initialised set.
        let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new, and nobody else knows its number.
        Ok(Self { fd: Arc::new(unsafe { OwnedFd::from_raw_fd(fd) }) })
    }

    /// Lets the next signal end the process at once, as it does any other: when the first one has
    /// been read, and the report may wait for a terminal that is stopped.
    pub fn unblock(&self) {
        // the numbers are right: it cannot fail
        let _ = change_mask(libc::SIG_UNBLOCK, &ending_signals());
    }

    /// The operation that completes when a signal comes.
    pub fn next(&self) -> NextSignal {
        op::Read::new(self.fd.clone(), vec![0; BYTES].into(), Offset::kernel_position())
    }

    /// Blocks the thread until a signal comes, and says which.
    ///
    /// # Errors
    ///
    /// Those of `read(2)`.
    pub fn wait(&self) -> io::Result<&'static str> {
        let mut info = [0; BYTES];
        loop {
            // SAFETY: the call writes at most as many bytes as there are.
            let read = unsafe { libc::read(self.fd.as_raw_fd(), info.as_mut_ptr().cast(), BYTES) };
            if read > 0 {
                return Ok(signal_name(&info));
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

fn ending_signals() -> libc::sigset_t {
    // SAFETY: a set of signals is plain integers, for which zeros are a value.
    let mut set: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: the call writes one set.
    unsafe { libc::sigemptyset(&raw mut set) };
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the call changes one set, which is initialised.
        unsafe { libc::sigaddset(&raw mut set, signal) };
    }
    set
}

fn change_mask(how: libc::c_int, set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: the call reads one initialised set; the old one may be null.
    match unsafe { libc::pthread_sigmask(how, &raw const *set, ptr::null_mut()) } {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Ends the process as the kernel does when a program writes to a pipe that nobody reads.
///
/// Rust programs ignore `SIGPIPE`, and even one that does not may get the error alone: a write on
/// a worker thread of the kernel sends the signal to that thread, which takes none. Returns if the
/// signal does nothing, as in the first process of a container.
pub fn die_of_sigpipe() {
    // SAFETY: the default needs no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    // SAFETY: the call takes no pointer.
    unsafe { libc::raise(libc::SIGPIPE) };
}

/// Sends the signal that a plain `write(2)` at this offset would have sent, if there is one.
///
/// A program that ignores it gets the error `EFBIG` instead; by default it ends the process.
pub fn raise_file_size_signal(offset: u64) {
    if file_size_limit().is_ok_and(|limit| limit.is_some_and(|limit| offset >= limit)) {
        // SAFETY: the call takes no pointer.
        unsafe { libc::raise(libc::SIGXFSZ) };
    }
}

/// The name of the signal that was read.
#[must_use]
pub fn signal_name(info: &[u8]) -> &'static str {
    // signalfd(2): the structure starts with the number, 32 bits
    let number = info.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
    match number {
        libc::SIGINT => "SIGINT",
        libc::SIGTERM => "SIGTERM",
        _ => "a signal",
    }
}
