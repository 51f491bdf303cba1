//! What `/proc` says about why a system call was refused.

use std::fs;

/// The value of a line `name:\tvalue` of this thread's status: filters and capabilities are a
/// thread's own, and `/proc/self` tells those of the first.
fn status(name: &str) -> Option<String> {
    field(&fs::read_to_string("/proc/thread-self/status").ok()?, name).map(str::to_owned)
}

fn field<'t>(status: &'t str, name: &str) -> Option<&'t str> {
    status.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
}

/// Whether a seccomp filter is installed.
pub(super) fn is_filtered() -> bool {
    status("Seccomp").is_some_and(|mode| mode == "2")
}

/// Whether the process may lock memory beyond its limit.
pub(super) fn may_lock_memory() -> bool {
    /// The number of `CAP_IPC_LOCK` in capabilities(7).
    const CAP_IPC_LOCK: u32 = 14;
    let effective = status("CapEff").and_then(|hex| u64::from_str_radix(&hex, 16).ok());
    effective.is_some_and(|bits| bits & (1 << CAP_IPC_LOCK) != 0)
}

/// The value of `kernel.io_uring_disabled`; `None` before Linux 6.6.
pub(super) fn sysctl_disabled() -> Option<u8> {
    number("/proc/sys/kernel/io_uring_disabled")
}

/// The value of `kernel.io_uring_group`, unless it is -1: none.
pub(super) fn sysctl_group() -> Option<u32> {
    number("/proc/sys/kernel/io_uring_group")
}

fn number<N: std::str::FromStr>(path: &str) -> Option<N> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The soft `RLIMIT_MEMLOCK` in bytes, `None` if it is unlimited.
pub(super) fn memlock_limit() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes one `rlimit`, and that is what it gets.
    let answer = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) };
    (answer == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// The running kernel's release, such as `6.18.2-amd64`.
pub(super) fn release() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease");
    release.map_or_else(|_| "unknown".into(), |text| text.trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_the_status_file_is_found_by_its_whole_name() {
        let status = "Name:\tcat\nSeccomp:\t2\nSeccomp_filters:\t1\n"; // proc_pid_status(5)
        assert_eq!(field(status, "Seccomp"), Some("2"));
        assert_eq!(field(status, "Sec"), None);
    }

    #[test]
    fn this_process_has_a_status() {
        assert!(status("Seccomp").is_some());
        assert!(!release().is_empty());
    }
}
