//! Waking a loop that sleeps, and only then.
//!
//! The sender pushes its command and then looks whether the loop sleeps; the loop says that it
//! sleeps and then looks whether there are commands. With a full fence between the two steps on
//! both sides, at least one sees the other: no command is left behind by a loop that went to sleep.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::{FromRawFd, OwnedFd},
    sync::{Arc, OnceLock},
};

use crate::sync::{AtomicU32, Ordering, fence};

const RUNNING: u32 = 0;
const SLEEPING: u32 = 1;
const NOTIFIED: u32 = 2;

/// The protocol, without the descriptor that wakes.
#[derive(Debug)]
pub(crate) struct Doze(AtomicU32);

impl Doze {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(RUNNING))
    }

    /// The loop is about to sleep; it looks for commands after this.
    pub(crate) fn lie_down(&self) {
        self.0.store(SLEEPING, Ordering::Relaxed);
        // Pairs with the fence in `must_ring`: our store comes before our look at the commands.
        fence(Ordering::SeqCst);
    }

    /// The loop is awake, and takes commands before it sleeps again.
    pub(crate) fn get_up(&self) {
        self.0.store(RUNNING, Ordering::Relaxed);
    }

    /// A command was pushed; says whether this sender has to wake the loop. One of several does.
    pub(crate) fn must_ring(&self) -> bool {
        // Pairs with the fence in `lie_down`: our push comes before our look at the state.
        fence(Ordering::SeqCst);
        // Not a swap: senders only ever turn SLEEPING into NOTIFIED, and a swap that comes late
        // would replace what the loop has said since.
        self.0.load(Ordering::Relaxed) == SLEEPING
            && self
                .0
                .compare_exchange(SLEEPING, NOTIFIED, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// The protocol with an eventfd, which the loop always has a read on.
#[derive(Debug)]
pub(crate) struct Bell {
    pub(crate) doze: Doze,
    eventfd: Arc<OwnedFd>,
    rope: File,
    /// Rung with it, for whoever waits for the loop from outside: see `Signal`.
    outside: OnceLock<File>,
}

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        // Not `EFD_NONBLOCK`: a read of that would end with `EAGAIN` instead of waiting.
        let eventfd = Arc::new(eventfd(0)?);
        let rope = File::from(eventfd.try_clone()?);
        Ok(Self { doze: Doze::new(), eventfd, rope, outside: OnceLock::new() })
    }

    /// What the loop reads.
    pub(crate) fn eventfd(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.eventfd)
    }

    /// From now on this eventfd is rung, too.
    pub(crate) fn ring_also(&self, eventfd: File) {
        let _first = self.outside.set(eventfd);
    }

    /// Wakes the loop if it sleeps; says whether that took a system call.
    pub(crate) fn ring(&self) -> bool {
        let must = self.doze.must_ring();
        if must {
            // It blocks only when 2^64 - 2 rings were not heard, and fails only when it is closed.
            let _written = (&self.rope).write(&1_u64.to_ne_bytes());
            if let Some(mut outside) = self.outside.get() {
                // it does not block, and fails when it was rung often enough
                let _written = outside.write(&1_u64.to_ne_bytes());
            }
        }
        must
    }
}

/// A counter that can be read while it is not 0.
#[expect(unsafe_code, reason = "the standard library has no eventfd")]
pub(crate) fn eventfd(flags: i32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two numbers.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a successful call returns a new descriptor, which nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
