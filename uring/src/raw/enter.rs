//! The flags of `io_uring_enter(2)`, computed in one function.

use uring_sys as sys;

use crate::setup::flags::{Features, SetupFlags};

bitflags::bitflags! {
    /// What an enter asks for: the `flags` of `io_uring_enter(2)`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct EnterFlags: u32 {
        /// Waits for, and posts, completions. Since Linux 5.1.
        #[doc(alias = "IORING_ENTER_GETEVENTS")]
        const GETEVENTS = sys::IORING_ENTER_GETEVENTS;
        /// Wakes the submission thread. Since Linux 5.1.
        #[doc(alias = "IORING_ENTER_SQ_WAKEUP")]
        const SQ_WAKEUP = sys::IORING_ENTER_SQ_WAKEUP;
        /// Waits until the submission thread has made room. Since Linux 5.10.
        #[doc(alias = "IORING_ENTER_SQ_WAIT")]
        const SQ_WAIT = sys::IORING_ENTER_SQ_WAIT;
        /// The argument holds a timeout. Since Linux 5.11.
        #[doc(alias = "IORING_ENTER_EXT_ARG")]
        const EXT_ARG = sys::IORING_ENTER_EXT_ARG;
        /// The descriptor is an index of the task's registered rings. Since Linux 5.18.
        #[doc(alias = "IORING_ENTER_REGISTERED_RING")]
        const REGISTERED_RING = sys::IORING_ENTER_REGISTERED_RING;
        /// The timeout is an absolute time. Since Linux 6.12.
        #[doc(alias = "IORING_ENTER_ABS_TIMER")]
        const ABS_TIMER = sys::IORING_ENTER_ABS_TIMER;
        /// The argument is an offset into registered memory. Since Linux 6.13.
        #[doc(alias = "IORING_ENTER_EXT_ARG_REG")]
        const EXT_ARG_REG = sys::IORING_ENTER_EXT_ARG_REG;
        /// Waiting is not accounted as waiting for I/O. Since Linux 6.15.
        #[doc(alias = "IORING_ENTER_NO_IOWAIT")]
        const NO_IOWAIT = sys::IORING_ENTER_NO_IOWAIT;

        const _ = !0; // bits newer than this crate survive
    }

    /// What the kernel says of the submission side: the `flags` word shared with it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct SqFlags: u32 {
        /// The submission thread sleeps. Since Linux 5.1.
        #[doc(alias = "IORING_SQ_NEED_WAKEUP")]
        const NEED_WAKEUP = sys::IORING_SQ_NEED_WAKEUP;
        /// Completions wait in the kernel for room. Since Linux 5.8.
        #[doc(alias = "IORING_SQ_CQ_OVERFLOW")]
        const CQ_OVERFLOW = sys::IORING_SQ_CQ_OVERFLOW;
        /// Completions wait for the task to enter the kernel. Since Linux 5.19.
        #[doc(alias = "IORING_SQ_TASKRUN")]
        const TASKRUN = sys::IORING_SQ_TASKRUN;

        const _ = !0; // bits newer than this crate survive
    }
}

/// All that decides whether to enter, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    pub(crate) setup: SetupFlags,
    pub(crate) features: Features,
    pub(crate) registered: bool,
    /// Read after the tail was published; for SQPOLL, after a full fence.
    pub(crate) sq: SqFlags,
    pub(crate) to_submit: u32,
    pub(crate) min_complete: u32,
    /// The wait ends at a time.
    pub(crate) timed: bool,
    /// Other signals are blocked during the wait.
    pub(crate) masked: bool,
}

/// The flags of the next enter, or `None` if there is nothing to enter for.
///
/// This is the only place that knows them: other libraries had four copies of this decision, and
/// fixed the same omission in each.
#[inline]
pub(crate) fn flags(s: Situation) -> Option<EnterFlags> {
    let mut flags = EnterFlags::empty();
    // completions that only an enter brings forward
    let untold = SetupFlags::DEFER_TASKRUN.union(SetupFlags::TASKRUN_FLAG);
    let held_back = s.sq.intersects(SqFlags::CQ_OVERFLOW.union(SqFlags::TASKRUN))
        // without the flag, nothing tells whether completion work waits
        || s.setup.intersection(untold) == SetupFlags::DEFER_TASKRUN;
    if s.min_complete > 0 || held_back || s.setup.contains(SetupFlags::IOPOLL) {
        flags |= EnterFlags::GETEVENTS;
    }
    let mut needed = !flags.is_empty();
    if s.setup.contains(SetupFlags::SQPOLL) {
        // the thread submits; it only has to be awake
        if s.to_submit > 0 && s.sq.contains(SqFlags::NEED_WAKEUP) {
            flags |= EnterFlags::SQ_WAKEUP;
            needed = true;
        }
    } else {
        needed |= s.to_submit > 0;
    }
    if !needed {
        return None;
    }
    if s.registered {
        flags |= EnterFlags::REGISTERED_RING;
    }
    if s.min_complete > 0 {
        if (s.timed || s.masked) && s.features.contains(Features::EXT_ARG) {
            flags |= EnterFlags::EXT_ARG;
        }
        if s.features.contains(Features::NO_IOWAIT) {
            flags |= EnterFlags::NO_IOWAIT;
        }
    }
    Some(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The numbers are those of the kernel's header, so that a wrong constant shows too.
    const GETEVENTS: u32 = 1;
    const SQ_WAKEUP: u32 = 2;
    const EXT_ARG: u32 = 8;
    const REGISTERED: u32 = 16;
    const NO_IOWAIT: u32 = 128;
    const IOPOLL: u32 = 1;
    const SQPOLL: u32 = 2;
    const DEFER: u32 = 1 << 13;
    const TASKRUN_FLAG: u32 = 1 << 9;
    const NEED_WAKEUP: u32 = 1;
    const OVERFLOW: u32 = 2;
    const TASKRUN: u32 = 4;

    fn situation(setup: u32, sq: u32, to_submit: u32, min_complete: u32) -> Situation {
        Situation {
            setup: SetupFlags::from_bits_retain(setup),
            features: Features::empty(),
            registered: false,
            sq: SqFlags::from_bits_retain(sq),
            to_submit,
            min_complete,
            timed: false,
            masked: false,
        }
    }

    #[test]
    fn every_setup_enters_exactly_when_something_needs_it() {
        #[rustfmt::skip]
        let table = [
            // setup, sq flags, to submit, min -> flags
            (0, 0, 0, 0, None),
            (0, 0, 1, 0, Some(0)),
            (0, 0, 0, 1, Some(GETEVENTS)),
            (0, 0, 1, 1, Some(GETEVENTS)),
            (0, OVERFLOW, 0, 0, Some(GETEVENTS)),
            (0, TASKRUN, 0, 0, Some(GETEVENTS)),
            (0, TASKRUN, 1, 0, Some(GETEVENTS)),
            (DEFER, 0, 0, 0, Some(GETEVENTS)),
            (DEFER | TASKRUN_FLAG, 0, 0, 0, None),
            (DEFER | TASKRUN_FLAG, 0, 1, 0, Some(0)),
            (DEFER | TASKRUN_FLAG, TASKRUN, 0, 0, Some(GETEVENTS)),
            (IOPOLL, 0, 0, 0, Some(GETEVENTS)),
            (IOPOLL, 0, 1, 0, Some(GETEVENTS)),
            (SQPOLL, 0, 1, 0, None),
            (SQPOLL, NEED_WAKEUP, 0, 0, None),
            (SQPOLL, NEED_WAKEUP, 1, 0, Some(SQ_WAKEUP)),
            (SQPOLL, NEED_WAKEUP, 1, 1, Some(SQ_WAKEUP | GETEVENTS)),
            (SQPOLL, OVERFLOW, 0, 0, Some(GETEVENTS)),
            (SQPOLL, 0, 1, 1, Some(GETEVENTS)),
            (SQPOLL | IOPOLL, 0, 0, 0, Some(GETEVENTS)),
        ];
        for (setup, sq, to_submit, min, expected) in table {
            let s = situation(setup, sq, to_submit, min);
            assert_eq!(flags(s).map(|f| f.bits()), expected, "{s:?}");
        }
    }

    #[test]
    fn a_wait_takes_what_the_kernel_offers() {
        let mut s = situation(0, 0, 0, 1);
        s.timed = true;
        s.registered = true;
        assert_eq!(flags(s).unwrap().bits(), GETEVENTS | REGISTERED);
        s.features = Features::EXT_ARG | Features::NO_IOWAIT;
        assert_eq!(flags(s).unwrap().bits(), GETEVENTS | REGISTERED | EXT_ARG | NO_IOWAIT);
        s.timed = false;
        assert_eq!(flags(s).unwrap().bits(), GETEVENTS | REGISTERED | NO_IOWAIT);
        s.masked = true;
        assert_eq!(flags(s).unwrap().bits(), GETEVENTS | REGISTERED | EXT_ARG | NO_IOWAIT);
    }
}
