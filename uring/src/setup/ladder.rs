//! The ladder: the best set of flags that the running kernel takes.

use std::{
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use uring_sys as sys;

use super::flags::{Features, SetupFlags};
use crate::{abi::cast::unsigned, kernel};

/// What is asked of `io_uring_setup(2)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings<'a> {
    pub(crate) entries: u32,
    pub(crate) completions: u32,
    /// `Some`: exactly these flags, no ladder.
    pub(crate) exact: Option<SetupFlags>,
    /// Added to each step of the ladder.
    pub(crate) extra: SetupFlags,
    /// A ring that may be used by several threads cannot promise a single issuer.
    pub(crate) single_issuer: bool,
    pub(crate) sq_thread_idle: Option<Duration>,
    pub(crate) sq_thread_cpu: Option<u32>,
    pub(crate) attach: Option<BorrowedFd<'a>>,
    pub(crate) clamp: bool,
}

/// What a kernel gave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Granted {
    pub(crate) flags: SetupFlags,
    pub(crate) features: Features,
    pub(crate) entries: u32,
    pub(crate) completions: u32,
}

const ALWAYS: SetupFlags = SetupFlags::CQSIZE;

impl Settings<'_> {
    /// The sets to try, best first.
    pub(crate) fn ladder(&self) -> Vec<SetupFlags> {
        let mut always = ALWAYS | self.extra;
        always.set(SetupFlags::CLAMP, self.clamp);
        always.set(SetupFlags::ATTACH_WQ, self.attach.is_some());
        if let Some(exact) = self.exact {
            return vec![exact | always];
        }
        let coop = SetupFlags::COOP_TASKRUN | SetupFlags::TASKRUN_FLAG | SetupFlags::SUBMIT_ALL;
        if self.sq_thread_idle.is_some() {
            // the submission thread runs completion work itself: the task-run flags are refused
            let mut sqpoll = always | SetupFlags::SQPOLL;
            sqpoll.set(SetupFlags::SQ_AFF, self.sq_thread_cpu.is_some());
            let single = SetupFlags::SUBMIT_ALL | SetupFlags::SINGLE_ISSUER;
            return vec![
                sqpoll | single | SetupFlags::NO_SQARRAY, // 6.6
                sqpoll | single,                          // 6.0
                sqpoll | SetupFlags::SUBMIT_ALL,          // 5.18
                sqpoll,                                   // 5.10
            ];
        }
        let mut steps = Vec::with_capacity(5);
        if self.single_issuer {
            let defer = SetupFlags::SINGLE_ISSUER
                | SetupFlags::DEFER_TASKRUN
                | SetupFlags::TASKRUN_FLAG
                | SetupFlags::SUBMIT_ALL;
            steps.push(always | defer | SetupFlags::NO_SQARRAY); // 6.6
            steps.push(always | defer); // 6.1
        }
        steps.push(always | coop); // 5.19
        steps.push(always); // 5.10
        steps
    }

    fn params(&self, flags: SetupFlags) -> sys::io_uring_params {
        let idle = self.sq_thread_idle.map_or(0, |idle| {
            // 0 would mean the kernel's default of one second; the shortest that can be asked is 1
            // ms
            u32::try_from(idle.as_millis()).unwrap_or(u32::MAX).max(1)
        });
        sys::io_uring_params {
            cq_entries: self.completions,
            flags: flags.bits(),
            sq_thread_cpu: self.sq_thread_cpu.unwrap_or(0),
            sq_thread_idle: idle,
            wq_fd: self.attach.map_or(0, |fd| unsigned(fd.as_raw_fd())),
            ..Default::default()
        }
    }
}

/// Goes down the ladder while the kernel answers `EINVAL`.
///
/// On failure: the errno, and the flags that were refused last.
pub(crate) fn create(
    settings: &Settings<'_>,
) -> Result<(OwnedFd, sys::io_uring_params), (i32, SetupFlags)> {
    let mut last = (libc::EINVAL, SetupFlags::empty());
    for flags in settings.ladder() {
        let mut params = settings.params(flags);
        match kernel::setup(settings.entries, &mut params) {
            Ok(fd) => return Ok((fd, params)),
            Err(errno) => last = (errno, flags),
        }
        if last.0 != libc::EINVAL {
            break;
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings<'static> {
        Settings {
            entries: 8,
            completions: 16,
            exact: None,
            extra: SetupFlags::empty(),
            single_issuer: true,
            sq_thread_idle: None,
            sq_thread_cpu: None,
            attach: None,
            clamp: true,
        }
    }

    #[test]
    fn the_ladder_starts_with_6_6_and_ends_with_5_10() {
        let steps = settings().ladder();
        // bits of the kernel's header: NO_SQARRAY 16, DEFER 13, SINGLE 12, TASKRUN 9, COOP 8,
        // SUBMIT_ALL 7, CLAMP 4, CQSIZE 3
        let bits: Vec<u32> = steps.iter().map(|s| s.bits()).collect();
        assert_eq!(bits, [0x1_3298, 0x3298, 0x398, 0x18]);
    }

    #[test]
    fn a_submission_thread_excludes_the_task_run_flags() {
        let settings = Settings { sq_thread_idle: Some(Duration::ZERO), ..settings() };
        for step in settings.ladder() {
            assert!(!step.intersects(
                SetupFlags::DEFER_TASKRUN | SetupFlags::COOP_TASKRUN | SetupFlags::TASKRUN_FLAG
            ));
        }
        assert_eq!(settings.params(SetupFlags::SQPOLL).sq_thread_idle, 1);
    }
}
