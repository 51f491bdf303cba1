//! The way into the kernel: `io_uring_enter(2)`, when there is something to enter for.

use std::{
    ptr,
    sync::atomic::{Ordering, fence},
    time::Duration,
};

use uring_sys as sys;

use super::{RingFd, sq::View};
use crate::{
    Features, SetupFlags,
    enter::{self, EnterFlags, Situation},
    setup::Granted,
};

/// The longest timeout that is passed on: a hundred years. Larger ones overflow in the kernel and
/// come back as `EINVAL`.
const TIMEOUT_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// What an enter needs besides the queues.
#[derive(Debug)]
pub(crate) struct Gate {
    /// The registered index of the ring, or its descriptor.
    entrance: i32,
    registered: bool,
    pub(crate) granted: Granted,
    pub(crate) enters: u64,
}

impl Gate {
    pub(crate) fn new(fd: &RingFd, params: &sys::io_uring_params) -> Self {
        Self {
            entrance: fd.entrance(),
            registered: fd.is_registered(),
            granted: Granted {
                flags: SetupFlags::from_bits_retain(params.flags),
                features: Features::from_bits_retain(params.features),
                entries: params.sq_entries,
                completions: params.cq_entries,
            },
            enters: 0,
        }
    }

    /// Submits what is published, and waits for `min` completions. Fails with the errno.
    #[inline]
    pub(crate) fn enter(
        &mut self,
        sq: &View,
        min: u32,
        timeout: Option<Duration>,
    ) -> Result<u32, i32> {
        let to_submit = sq.published();
        if self.granted.flags.contains(SetupFlags::SQPOLL) {
            // Full fence: the thread stores NEED_WAKEUP and then reads the tail, we stored the tail
            // and now read NEED_WAKEUP; with less, each can miss the other's store.
            fence(Ordering::SeqCst);
        }
        let situation = Situation {
            setup: self.granted.flags,
            features: self.granted.features,
            registered: self.registered,
            sq: sq.flags(),
            to_submit,
            min_complete: min,
            timed: timeout.is_some(),
        };
        let Some(flags) = enter::flags(situation) else { return Ok(to_submit) };
        if !flags.contains(EnterFlags::EXT_ARG) {
            return self.call(to_submit, min, flags, ptr::null(), 0);
        }
        let time = timespec(timeout.unwrap_or_default());
        let argument = sys::io_uring_getevents_arg {
            ts: (&raw const time).expose_provenance() as u64,
            ..Default::default()
        };
        self.call(to_submit, min, flags, &raw const argument, size_of_val(&argument))
    }

    /// Waits until the submission thread has made room.
    pub(crate) fn await_room(&mut self) -> Result<u32, i32> {
        let mut flags = EnterFlags::SQ_WAIT;
        flags.set(EnterFlags::REGISTERED_RING, self.registered);
        self.call(0, 0, flags, ptr::null(), 0)
    }

    #[inline]
    fn call(
        &mut self,
        to_submit: u32,
        min: u32,
        flags: EnterFlags,
        argument: *const sys::io_uring_getevents_arg,
        bytes: usize,
    ) -> Result<u32, i32> {
        self.enters += 1;
        // SAFETY: the argument is null with size 0, or an `io_uring_getevents_arg` whose `ts`
        // points to a timespec, both alive in the caller's frame. Entries in the queue were made by
        // constructors whose contract covers what the kernel does with them.
        let answer = unsafe {
            sys::io_uring_enter(self.entrance, to_submit, min, flags.bits(), argument.cast(), bytes)
        };
        u32::try_from(answer).map_err(|_| -answer)
    }
}

/// The kernel's form of a duration, clamped to what it takes.
pub(crate) fn timespec(time: Duration) -> sys::__kernel_timespec {
    let time = time.min(TIMEOUT_MAX);
    sys::__kernel_timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(time.subsec_nanos()),
    }
}
