//! The way into the kernel: `io_uring_enter(2)`, when there is something to enter for.

use std::{
    ffi::c_void,
    mem, ptr,
    rc::Rc,
    sync::atomic::{Ordering, fence},
    time::Duration,
};

use uring_sys as sys;

use super::{
    enter::{self, EnterFlags, Situation, SqFlags},
    fd::RingFd,
    sq::View,
};
use crate::{
    abi::time::timespec,
    kernel::{self, map::FORKED},
    setup::{
        flags::{Features, SetupFlags},
        ladder::Granted,
    },
};

/// The kernel's signal set has 64 bits, not the C library's 1024.
const MASK_BYTES: u32 = 8;
const _: () = assert!(mem::size_of::<libc::sigset_t>() >= MASK_BYTES as usize);

/// What to wait for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wait<'m> {
    /// So many completions.
    pub(crate) min: u32,
    /// Or so long.
    pub(crate) timeout: Option<Duration>,
    /// With these signals blocked, and no others.
    pub(crate) mask: Option<&'m libc::sigset_t>,
}

/// What an enter needs besides the queues.
#[derive(Debug)]
pub(crate) struct Gate {
    fd: Rc<RingFd>,
    /// The registered index of the ring, or its descriptor.
    entrance: i32,
    registered: bool,
    /// The flags of a wait without a limit, where nothing but the set-up decides them; `None` with
    /// a submission thread.
    waiting: Option<EnterFlags>,
    pub(super) granted: Granted,
    pub(super) enters: u64,
}

impl Gate {
    pub(super) fn new(fd: &Rc<RingFd>, params: &sys::io_uring_params) -> Self {
        let granted = Granted {
            flags: SetupFlags::from_bits_retain(params.flags),
            features: Features::from_bits_retain(params.features),
            entries: params.sq_entries,
            completions: params.cq_entries,
        };
        let registered = fd.is_registered();
        let wait = Situation {
            setup: granted.flags,
            features: granted.features,
            registered,
            sq: SqFlags::empty(),
            to_submit: 0,
            min_complete: 1,
            timed: false,
            masked: false,
        };
        let thread = granted.flags.contains(SetupFlags::SQPOLL);
        Self {
            fd: Rc::clone(fd),
            entrance: fd.entrance(),
            registered,
            // whoever waits gets all events, whatever the queue says of them
            waiting: enter::flags(wait).filter(|_| !thread),
            granted,
            enters: 0,
        }
    }

    /// What has to be done before [`enter`](Self::enter). Fails with the errno in a forked child.
    pub(super) fn prepare(&self) -> Result<(), i32> {
        self.fd.prepare_enter()
    }

    /// Submits what is published, and waits. Fails with the errno. [`prepare`](Self::prepare) comes
    /// before.
    #[inline]
    pub(super) fn enter(&mut self, sq: &View, wait: Wait<'_>) -> Result<u32, i32> {
        let Wait { min, timeout, mask } = wait;
        let limited = timeout.is_some() || mask.is_some();
        match self.waiting {
            Some(flags) if min > 0 && !limited => {
                self.call(sq.published(), min, flags, ptr::null(), 0)
            }
            _ => self.enter_with(sq, min, timeout, mask),
        }
    }

    /// The same where more has to be looked at.
    fn enter_with(
        &mut self,
        sq: &View,
        min: u32,
        timeout: Option<Duration>,
        mask: Option<&libc::sigset_t>,
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
            sq: sq.flags_here(),
            to_submit,
            min_complete: min,
            timed: timeout.is_some(),
            masked: mask.is_some(),
        };
        let Some(flags) = enter::flags(situation) else { return Ok(to_submit) };
        let mask = mask.map_or(ptr::null(), ptr::from_ref);
        if !flags.contains(EnterFlags::EXT_ARG) {
            // without it, the argument is the mask itself
            let bytes = if mask.is_null() { 0 } else { MASK_BYTES as usize };
            return self.call(to_submit, min, flags, mask.cast(), bytes);
        }
        let time = timespec(timeout.unwrap_or_default());
        let time = timeout.map_or(ptr::null(), |_| &raw const time);
        let argument = sys::io_uring_getevents_arg {
            ts: time.expose_provenance() as u64,
            sigmask: mask.expose_provenance() as u64,
            sigmask_sz: if mask.is_null() { 0 } else { MASK_BYTES },
            ..Default::default()
        };
        self.call(to_submit, min, flags, (&raw const argument).cast(), size_of_val(&argument))
    }

    /// Waits until the submission thread has made room, however long that takes.
    pub(super) fn wait_for_room(&mut self, sq: &View) -> Result<u32, i32> {
        if sq.is_forked() {
            return Err(FORKED);
        }
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
        argument: *const c_void,
        bytes: usize,
    ) -> Result<u32, i32> {
        self.enters += 1;
        // SAFETY: the argument is null with size 0, or a signal set of which eight bytes are read,
        // or an `io_uring_getevents_arg` whose pointers are null or lead to a timespec and such a
        // set; all are alive in the callers' frames. Entries in the queue were made by constructors
        // whose contract covers what the kernel does with them.
        unsafe { kernel::enter(self.entrance, to_submit, min, flags.bits(), argument, bytes) }
    }
}
