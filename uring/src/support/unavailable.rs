//! Why a ring could not be made, and what to do.

use std::{env, fmt, io};

use super::evidence;
use crate::Features;

/// The variable that turns io_uring off: some systems kill a process that tries it.
const DISABLE: &str = "URING_DISABLE";

/// What every ring needs, all of Linux 5.10.
const REQUIRED: Features = Features::SINGLE_MMAP
    .union(Features::NODROP)
    .union(Features::SUBMIT_STABLE)
    .union(Features::RW_CUR_POS)
    .union(Features::FAST_POLL);

/// Why io_uring is not there, or not for this ring. Its text says what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unavailable {
    /// `URING_DISABLE=1` is set; nothing was tried.
    Disabled,
    /// `ENOSYS`, and a seccomp filter is installed that may be what answers it.
    FilteredNoSys,
    /// `ENOSYS`: the kernel is older than 5.1 or was built without io_uring.
    NotBuilt,
    /// `EPERM`: `kernel.io_uring_disabled` forbids it.
    Sysctl {
        /// 1: only for privileged processes and the group; 2: for nobody.
        value: u8,
        /// The group that `kernel.io_uring_group` names.
        group: Option<u32>,
    },
    /// `EPERM` from a seccomp filter, such as the default profile of containers.
    Seccomp,
    /// `EPERM` from somewhere else: a security module such as SELinux or AppArmor.
    SecurityModule,
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
    /// The settings are impossible.
    BadSettings(&'static str),
    /// Something else.
    Other(io::Error),
}

impl Unavailable {
    /// Whether trying again later, or with less, may help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Memlock { .. } | Self::OutOfMemory { .. } | Self::NoDescriptor)
    }

    pub(crate) fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Disabled | Self::FilteredNoSys | Self::NotBuilt | Self::TooOld { .. } => {
                io::ErrorKind::Unsupported
            }
            Self::Sysctl { .. } | Self::Seccomp | Self::SecurityModule => {
                io::ErrorKind::PermissionDenied
            }
            Self::Memlock { .. } | Self::OutOfMemory { .. } => io::ErrorKind::OutOfMemory,
            Self::BadSettings(_) => io::ErrorKind::InvalidInput,
            Self::NoDescriptor => io::ErrorKind::Other,
            Self::Other(error) => error.kind(),
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => write!(f, "io_uring is turned off by {DISABLE}=1; unset it"),
            Self::FilteredNoSys => f.write_str(
                "the kernel says that it has no io_uring (ENOSYS), but a seccomp filter is \
                 installed and may say so in its place; allow io_uring_setup, io_uring_enter and \
                 io_uring_register in the filter of the container or the service",
            ),
            Self::NotBuilt => f.write_str(
                "the kernel has no io_uring (ENOSYS); it needs Linux 5.10 or newer, built with \
                 CONFIG_IO_URING",
            ),
            Self::Sysctl { value: 1, group } => {
                f.write_str(
                    "kernel.io_uring_disabled is 1: only privileged processes may use io_uring",
                )?;
                match group {
                    Some(gid) => write!(f, ", and members of group {gid}; join that group")?,
                    None => f.write_str("; set kernel.io_uring_group to a group of this user")?,
                }
                f.write_str(", or run `sysctl kernel.io_uring_disabled=0`")
            }
            Self::Sysctl { value, .. } => write!(
                f,
                "kernel.io_uring_disabled is {value}: nobody may use io_uring; run \
                 `sysctl kernel.io_uring_disabled=0`"
            ),
            Self::Seccomp => f.write_str(
                "a seccomp filter forbids io_uring (EPERM), as the default profiles of Docker, \
                 Podman and Kubernetes do; run the container with a profile that allows \
                 io_uring_setup, io_uring_enter and io_uring_register, such as \
                 `--security-opt seccomp=unconfined`",
            ),
            Self::SecurityModule => f.write_str(
                "a security module forbids io_uring (EPERM); look for a denial by SELinux or \
                 AppArmor in the system's audit log",
            ),
            Self::Memlock { wanted, limit } => write!(
                f,
                "the ring needs {wanted} bytes of locked memory (ENOMEM), and the limit for all \
                 rings of this user is {limit}; raise it (`ulimit -l`, or LimitMEMLOCK of the \
                 service), make smaller or fewer rings, or try again when others are gone"
            ),
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
            Self::BadSettings(why) => f.write_str(why),
            Self::Other(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Unavailable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Other(error) => Some(error),
            _ => None,
        }
    }
}

/// The reason behind an errno of `io_uring_setup(2)`.
pub(crate) fn diagnose(errno: i32, wanted: u64) -> Unavailable {
    match errno {
        libc::ENOSYS if evidence::is_filtered() => Unavailable::FilteredNoSys,
        libc::ENOSYS => Unavailable::NotBuilt,
        libc::EPERM => match evidence::sysctl_disabled() {
            Some(value @ 1..) => Unavailable::Sysctl { value, group: evidence::sysctl_group() },
            _ if evidence::is_filtered() => Unavailable::Seccomp,
            _ => Unavailable::SecurityModule,
        },
        libc::ENOMEM => match evidence::memlock_limit() {
            Some(limit) if !evidence::may_lock_memory() => Unavailable::Memlock { wanted, limit },
            _ => Unavailable::OutOfMemory { wanted },
        },
        libc::EMFILE | libc::ENFILE => Unavailable::NoDescriptor,
        errno => Unavailable::Other(io::Error::from_raw_os_error(errno)),
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
            (Unavailable::FilteredNoSys, "io_uring_setup"),
            (Unavailable::NotBuilt, "CONFIG_IO_URING"),
            (Unavailable::Sysctl { value: 2, group: None }, "sysctl kernel.io_uring_disabled=0"),
            (Unavailable::Sysctl { value: 1, group: Some(7) }, "group 7"),
            (Unavailable::Seccomp, "seccomp=unconfined"),
            (Unavailable::SecurityModule, "audit log"),
            (Unavailable::Memlock { wanted: 1, limit: 2 }, "ulimit -l"),
            (Unavailable::NoDescriptor, "ulimit -n"),
            (Unavailable::TooOld { missing: Features::NODROP }, "5.10"),
        ];
        for (reason, fix) in cases {
            let text = reason.to_string();
            assert!(text.contains(fix), "{text}");
        }
    }

    #[test]
    fn refusals_without_a_filter_are_told_apart_by_errno() {
        // errno(3): ENOSYS 38, EMFILE 24, EIO 5
        if !evidence::is_filtered() {
            assert!(matches!(diagnose(38, 0), Unavailable::NotBuilt));
        }
        assert!(matches!(diagnose(24, 0), Unavailable::NoDescriptor));
        assert!(matches!(diagnose(5, 0), Unavailable::Other(_)));
    }
}
