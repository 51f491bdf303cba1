//! Why a ring could not be made, and what to do.

use std::{env, fmt, io};

use super::refusal::Refusal;
use crate::{
    kernel::{self, call::Call, evidence},
    setup::flags::{Features, SetupFlags},
};

/// The variable that turns io_uring off: some systems kill a process that tries it.
const DISABLE: &str = "URING_DISABLE";

/// What every ring needs, all of Linux 5.10.
const REQUIRED: Features = Features::SINGLE_MMAP
    .union(Features::NODROP)
    .union(Features::SUBMIT_STABLE)
    .union(Features::RW_CUR_POS)
    .union(Features::FAST_POLL);

/// Why io_uring is not there, or not for this ring. Its text says what to do.
///
/// A refusal is never guessed from its errno alone. What is seen decides who is left:
///
/// | What is seen | What is said |
/// |---|---|
/// | `URING_DISABLE=1` | that; nothing is tried |
/// | a call with `EPERM`, `EACCES`, `ENOSYS` or `EOPNOTSUPP` that is refused whatever it asks for, and a filter in `/proc/thread-self/status` (`Seccomp: 2`) or, without `/proc`, by `prctl(PR_GET_SECCOMP)` | a seccomp filter |
/// | setup: `EPERM`, and `kernel.io_uring_disabled` is 2, or 1 and this thread is neither privileged nor in the group | that sysctl |
/// | setup: `EPERM` without a filter, and the sysctl is not it | a security module or a sandbox |
/// | setup: `EACCES`, and `/proc/thread-self/attr/current` has a label | a security module with that label; if there is a filter too, both |
/// | setup: `EACCES` without a filter | a security module |
/// | setup: `EPERM` that a setup with nothing does not get | a security module, or for a submission thread a kernel before 5.13 |
/// | setup: `ENOSYS`, and there is a `kernel.io_uring_disabled` | a filter, or without one a sandbox: the kernel has io_uring |
/// | setup: `ENOSYS` without a filter, and no such sysctl | a kernel without io_uring |
/// | setup: `ENOSYS` with a filter, and no such sysctl | either |
/// | enter or register: the same errnos without a filter | a sandbox: there is a ring, so the kernel does not say that |
/// | no `/proc`, or not all of it | all that cannot be excluded, each with its fix |
/// | `ENOMEM`, a limit of locked memory, and no `CAP_IPC_LOCK` outside of user namespaces | the limit, and what the ring takes |
/// | `ENOMEM` else | that there is no memory |
/// | `EMFILE`, `ENFILE` | that there is no descriptor |
///
/// What is seen is that of the calling thread. BPF programs and tracers cannot be seen; they are
/// named where nobody else is left.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unavailable {
    /// `URING_DISABLE=1` is set; nothing was tried.
    Disabled,
    /// A system call was refused: which, how, and by whom as far as can be seen.
    Refused(Refusal),
    /// `ENOMEM`: the rings of this user are over the limit of locked memory.
    Memlock {
        /// What this ring needs, in bytes.
        wanted: u64,
        /// `RLIMIT_MEMLOCK`, in bytes, for all rings of the user.
        limit: u64,
    },
    /// `ENOMEM`, and no limit explains it.
    OutOfMemory {
        /// What this ring needs, in bytes.
        wanted: u64,
    },
    /// `EMFILE` or `ENFILE`: no descriptor is left.
    NoDescriptor,
    /// The kernel lacks features that every ring needs.
    TooOld {
        /// Which.
        missing: Features,
    },
    /// The three calls are let in, but an operation that does nothing failed.
    Broken(io::Error),
    /// There is no memory, or there are no numbers, for so many operations in flight.
    TooManyOperations {
        /// How many were asked for.
        operations: u32,
    },
    /// The settings are impossible.
    BadSettings(&'static str),
    /// Something else.
    Other(io::Error),
}

impl Unavailable {
    /// The reason behind an errno with which a call on a ring failed.
    ///
    /// For errors that come after a ring was made: a filter can be installed later, and one that
    /// refuses [`Call::Enter`] or [`Call::Register`] alone lets rings be made. Ask on the thread
    /// that got the error. What is not a refusal of the call is [`Other`](Self::Other), with the
    /// same errno.
    ///
    /// ```
    /// use uring::{Call, RawRing, Unavailable};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Ok(_) = uring::check() else { return Ok(()) };
    /// let mut ring = RawRing::builder().build()?;
    /// if let Err(error) = ring.submit() {
    ///     let errno = error.raw_os_error().unwrap_or(0);
    ///     eprintln!("cannot submit: {}", Unavailable::of_call(Call::Enter, errno));
    /// }
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn of_call(call: Call, errno: i32) -> Self {
        Self::of(call, errno, false)
    }

    fn of(call: Call, errno: i32, thread: bool) -> Self {
        match Refusal::diagnose(call, errno, thread) {
            Some(refusal) => Self::Refused(refusal),
            None => Self::Other(io::Error::from_raw_os_error(errno)),
        }
    }

    /// Whether trying again later, or with less, may help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Memlock { .. } | Self::OutOfMemory { .. } | Self::NoDescriptor)
    }

    /// Whether a ring was made, and does not work.
    pub(crate) const fn has_ring(&self) -> bool {
        match self {
            Self::Refused(refusal) => !matches!(refusal.call, Call::Setup),
            Self::Broken(_) => true,
            _ => false,
        }
    }

    pub(crate) fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Disabled | Self::TooOld { .. } => io::ErrorKind::Unsupported,
            Self::Refused(refusal) => match refusal.errno {
                libc::EPERM | libc::EACCES => io::ErrorKind::PermissionDenied,
                _ => io::ErrorKind::Unsupported,
            },
            Self::Memlock { .. } | Self::OutOfMemory { .. } | Self::TooManyOperations { .. } => {
                io::ErrorKind::OutOfMemory
            }
            Self::BadSettings(_) => io::ErrorKind::InvalidInput,
            Self::NoDescriptor => io::ErrorKind::Other,
            Self::Broken(error) | Self::Other(error) => error.kind(),
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => write!(f, "io_uring is turned off by {DISABLE}=1; unset it"),
            Self::Refused(refusal) => write!(f, "{refusal}"),
            Self::Memlock { wanted, limit } => {
                write!(
                    f,
                    "the ring needs {wanted} bytes of locked memory (ENOMEM), and the limit for \
                     all rings of this user is {limit}; raise it (`ulimit -l`, or LimitMEMLOCK of \
                     the service), make smaller or fewer rings, or try again when others are gone"
                )?;
                if wanted <= limit {
                    f.write_str(
                        "; if this user has no other rings, the machine or the control group has \
                         no memory left",
                    )?;
                }
                Ok(())
            }
            Self::OutOfMemory { wanted } => write!(
                f,
                "the kernel has no memory for a ring of {wanted} bytes (ENOMEM); make it smaller"
            ),
            Self::NoDescriptor => f.write_str(
                "no descriptor is left for the ring (EMFILE or ENFILE); raise `ulimit -n`",
            ),
            Self::TooOld { missing } => write!(
                f,
                "the kernel is too old: it lacks {missing:?}; it needs Linux 5.10 or newer"
            ),
            // it cannot fail by itself, but the rings of a task can be restricted
            Self::Broken(error) => {
                write!(f, "an operation that does nothing failed: {error}; are rings restricted?")
            }
            Self::TooManyOperations { operations } => write!(
                f,
                "there is no room for {operations} operations in memory; ask for fewer \
                 `operations`, as many as will be in flight at once"
            ),
            Self::BadSettings(why) => f.write_str(why),
            Self::Other(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Unavailable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Broken(error) | Self::Other(error) => Some(error),
            _ => None,
        }
    }
}

/// The reason behind an errno of `io_uring_setup(2)` with these flags, for a ring of so many bytes.
pub(crate) fn diagnose(errno: i32, flags: SetupFlags, wanted: u64) -> Unavailable {
    match errno {
        libc::ENOMEM => match kernel::memlock_limit() {
            Some(limit) if evidence::may_lock_memory() != Some(true) => {
                Unavailable::Memlock { wanted, limit }
            }
            _ => Unavailable::OutOfMemory { wanted },
        },
        libc::EMFILE | libc::ENFILE => Unavailable::NoDescriptor,
        errno => Unavailable::of(Call::Setup, errno, flags.contains(SetupFlags::SQPOLL)),
    }
}

pub(crate) fn disabled_by_environment() -> Option<Unavailable> {
    let set = env::var_os(DISABLE).is_some_and(|value| value != "0" && !value.is_empty());
    set.then_some(Unavailable::Disabled)
}

pub(crate) fn missing_features(features: Features) -> Option<Features> {
    let missing = REQUIRED.difference(features);
    (!missing.is_empty()).then_some(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_of_5_10_has_all_that_is_required() {
        // the features that Linux 5.10 reports: bits 0 to 7
        assert_eq!(missing_features(Features::from_bits_retain(0xff)), None);
        // 5.4 has the first alone
        let missing = missing_features(Features::from_bits_retain(1)).unwrap();
        assert!(missing.contains(Features::NODROP));
    }

    #[test]
    fn each_reason_names_the_fix() {
        let cases = [
            (Unavailable::Disabled, "URING_DISABLE"),
            (Unavailable::Memlock { wanted: 2, limit: 1 }, "ulimit -l"),
            (Unavailable::Memlock { wanted: 1, limit: 2 }, "no memory left"),
            (Unavailable::NoDescriptor, "ulimit -n"),
            (Unavailable::TooOld { missing: Features::NODROP }, "5.10"),
        ];
        for (reason, fix) in cases {
            let text = reason.to_string();
            assert!(text.contains(fix), "{text}");
        }
    }

    #[test]
    fn what_is_no_refusal_keeps_its_errno() {
        // errno(3): EMFILE 24, EIO 5, EBUSY 16
        assert!(matches!(diagnose(24, SetupFlags::empty(), 0), Unavailable::NoDescriptor));
        for reason in [diagnose(5, SetupFlags::empty(), 0), Unavailable::of_call(Call::Enter, 5)] {
            let Unavailable::Other(error) = reason else { panic!("{reason}") };
            assert_eq!(error.raw_os_error(), Some(5));
        }
    }

    #[test]
    fn an_errno_that_the_call_gave_to_its_arguments_is_no_refusal_of_the_call() {
        if crate::check().is_err() {
            return; // what a refusal looks like is told elsewhere
        }
        // errno(3): EPERM 1, ENOSYS 38, EOPNOTSUPP 95; some opcodes of io_uring_register need
        // privileges or hardware
        for errno in [1, 38, 95] {
            for call in [Call::Enter, Call::Register] {
                let reason = Unavailable::of_call(call, errno);
                assert!(matches!(reason, Unavailable::Other(_)), "{reason}");
            }
        }
    }
}
