//! What this thread can see of why a system call was refused: all plain system calls and all files
//! of `/proc` that the diagnosis asks are here.

use std::{
    fs, io,
    path::Path,
    ptr::{null, null_mut},
};

use uring_sys as sys;

use super::call::Call;

/// What was seen. Each part can be missing: without `/proc` little is seen at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// Whether a seccomp filter is installed; `None` if nothing tells.
    pub(crate) filter: Option<bool>,
    /// What `kernel.io_uring_disabled` does to this thread.
    pub(crate) sysctl: Sysctl,
    /// Whether a security module confines this thread.
    pub(crate) confinement: Confinement,
}

/// Whether a security module confines this thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Confinement {
    /// Nothing tells.
    Unseen,
    /// None that names its threads, as SELinux, AppArmor and Smack do.
    Absent,
    /// By this name.
    As(String),
}

/// What `kernel.io_uring_disabled` does to this thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sysctl {
    /// It cannot be read, and `/proc/sys` is not there to say that there is none.
    Unseen,
    /// The kernel has none: it is older than 6.6, or has no io_uring.
    Absent,
    /// It lets this thread use io_uring.
    Allows,
    /// It forbids it: 2 to everybody, 1 to this thread.
    Forbids { value: u8, group: Option<u32> },
    /// It is 1, and user namespaces hide whether this thread is among those who may.
    MayForbid { value: u8, group: Option<u32> },
}

impl Evidence {
    pub(crate) fn gather() -> Self {
        Self { filter: is_filtered(), sysctl: sysctl(), confinement: confinement() }
    }
}

/// The errno of a call that asks for nothing.
///
/// The kernel finds a bad address or a bad descriptor (`EFAULT`, `EBADF`, `EINVAL`) once it lets
/// the call in at all. What refuses a call by its number answers this one in the same way.
pub(crate) fn errno_of_bare(call: Call) -> i32 {
    let answer = match call {
        // SAFETY: any address may be passed; the kernel finds that null is none and stops.
        Call::Setup => unsafe { sys::io_uring_setup(0, null_mut()) },
        // SAFETY: -1 is no descriptor, so no entry is consumed; there is no argument.
        Call::Enter => unsafe { sys::io_uring_enter(-1, 0, 0, 0, null(), 0) },
        // SAFETY: no opcode has this number, so nothing is read, written or registered.
        Call::Register => unsafe { sys::io_uring_register(-1, OPCODE_OF_NOTHING, null_mut(), 0) },
    };
    answer.wrapping_neg()
}

/// Far beyond the opcodes of `io_uring_register`, and without the flag in bit 31.
const OPCODE_OF_NOTHING: u32 = 0xffff;

/// This thread's status: filters and groups are a thread's own, and `/proc/self` tells those of
/// the first.
fn status() -> Option<String> {
    fs::read_to_string("/proc/thread-self/status").ok()
}

/// The value of a line `name:\tvalue`.
fn field<'t>(status: &'t str, name: &str) -> Option<&'t str> {
    status.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
}

fn is_filtered() -> Option<bool> {
    if let Some(status) = status() {
        // a kernel without seccomp has no such line
        return Some(field(&status, "Seccomp") == Some("2"));
    }
    // SAFETY: the option takes no argument.
    let mode = unsafe { libc::prctl(libc::PR_GET_SECCOMP) };
    // A filter may refuse this call too, but so may others: an error tells nothing.
    u32::try_from(mode).ok().map(|mode| mode == libc::SECCOMP_MODE_FILTER)
}

/// Whether this thread has a capability that counts outside of user namespaces.
fn has_capability(number: u32) -> Option<bool> {
    match (has_effective(number)?, is_first_namespace()) {
        (false, _) => Some(false),
        (true, first) => first,
    }
}

/// Whether a capability is in effect, in whatever user namespace this is.
fn has_effective(number: u32) -> Option<bool> {
    /// `_LINUX_CAPABILITY_VERSION_3` of `linux/capability.h`: 64 bits, in two halves.
    const VERSION: u32 = 0x2008_0522;
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    #[derive(Clone, Copy, Default)]
    struct Half {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    let mut header = Header { version: VERSION, pid: 0 }; // 0: this thread
    let mut halves = [Half::default(); 2];
    // SAFETY: this version reads and writes a header, and writes two halves; that is what it gets.
    let answer = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, halves.as_mut_ptr()) };
    let half = halves.get(number as usize / 32)?;
    (answer == 0).then_some(half.effective & (1 << (number % 32)) != 0)
}

/// Whether this is the user namespace of the system itself, where all numbers are their own.
fn is_first_namespace() -> Option<bool> {
    let map = fs::read_to_string("/proc/thread-self/uid_map").ok()?;
    Some(maps_all(&map))
}

fn maps_all(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Whether the process may lock memory beyond its limit; `None` if nothing tells.
pub(crate) fn may_lock_memory() -> Option<bool> {
    /// The number of `CAP_IPC_LOCK` in capabilities(7).
    const CAP_IPC_LOCK: u32 = 14;
    has_capability(CAP_IPC_LOCK)
}

fn sysctl() -> Sysctl {
    /// The number of `CAP_SYS_ADMIN` in capabilities(7).
    const CAP_SYS_ADMIN: u32 = 21;
    let value = match fs::read_to_string("/proc/sys/kernel/io_uring_disabled") {
        Ok(text) => text.trim().parse().ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // a /proc with `subset=pid` has no sysctls at all
            let others = Path::new("/proc/sys/kernel/osrelease").exists();
            return if others { Sysctl::Absent } else { Sysctl::Unseen };
        }
        Err(_) => None,
    };
    let Some(value) = value else { return Sysctl::Unseen };
    let group = fs::read_to_string("/proc/sys/kernel/io_uring_group").ok();
    // -1 is none, and does not parse
    let group = group.and_then(|text| text.trim().parse().ok());
    effect(value, group, has_capability(CAP_SYS_ADMIN), || {
        // the sysctl counts by the system's numbers, the thread by those of its namespace
        is_first_namespace()?.then(|| is_member(&status()?, group?)).flatten()
    })
}

/// What a value of `kernel.io_uring_disabled` does to a thread.
fn effect(
    value: u8,
    group: Option<u32>,
    is_admin: Option<bool>,
    is_member: impl FnOnce() -> Option<bool>,
) -> Sysctl {
    match value {
        0 => return Sysctl::Allows,
        1 => {}
        _ => return Sysctl::Forbids { value, group },
    }
    let is_member = if group.is_some() { is_member() } else { Some(false) };
    match (is_admin, is_member) {
        (Some(true), _) | (_, Some(true)) => Sysctl::Allows,
        (Some(false), Some(false)) => Sysctl::Forbids { value, group },
        _ => Sysctl::MayForbid { value, group },
    }
}

/// Whether a thread of this status is in a group: by its fourth number, that for files, or one of
/// the others, as the kernel looks.
fn is_member(status: &str, group: u32) -> Option<bool> {
    let of_files = field(status, "Gid")?.split_whitespace().nth(3)?;
    let mut groups = field(status, "Groups")?.split_whitespace().chain([of_files]);
    Some(groups.any(|number| number.parse() == Ok(group)))
}

fn confinement() -> Confinement {
    match fs::read_to_string("/proc/thread-self/attr/current") {
        Ok(label) => confining(&label).map_or(Confinement::Absent, |l| Confinement::As(l.into())),
        // no module has an answer
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Confinement::Absent,
        // a kernel without security modules, or no /proc
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                && Path::new("/proc/thread-self").exists() =>
        {
            Confinement::Absent
        }
        Err(_) => Confinement::Unseen,
    }
}

/// A label, unless it says that nothing confines the thread.
fn confining(label: &str) -> Option<&str> {
    let label = label.trim_end_matches(['\0', '\n']);
    (!label.is_empty() && !label.starts_with("unconfined")).then_some(label)
}

/// The running kernel's release, such as `6.18.2-amd64`.
pub(crate) fn release() -> String {
    let mut name = std::mem::MaybeUninit::<libc::utsname>::zeroed();
    // SAFETY: the call writes one `utsname`, and that is what it gets.
    if unsafe { libc::uname(name.as_mut_ptr()) } != 0 {
        return "unknown".into();
    }
    // SAFETY: all bytes were zeroed at least, and any bytes are a `utsname`.
    let name = unsafe { name.assume_init() };
    let bytes = name.release.map(c_char_to_byte);
    let length = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

/// C's `char` has a sign on some targets.
fn c_char_to_byte(char: libc::c_char) -> u8 {
    char.to_ne_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    // proc_pid_status(5)
    const STATUS: &str = "Name:\tcat\nGid:\t100\t100\t100\t107\nGroups:\t4 24 \nSeccomp:\t2\n\
                          Seccomp_filters:\t1\n";

    #[test]
    fn a_field_of_the_status_file_is_found_by_its_whole_name() {
        assert_eq!(field(STATUS, "Seccomp"), Some("2"));
        assert_eq!(field(STATUS, "Sec"), None);
    }

    #[test]
    fn a_thread_is_in_its_groups_and_in_that_for_files() {
        for (group, expected) in [(4, true), (24, true), (107, true), (100, false), (7, false)] {
            assert_eq!(is_member(STATUS, group), Some(expected), "{group}");
        }
        assert_eq!(is_member("Name:\tcat\n", 4), None);
    }

    #[test]
    fn the_sysctl_forbids_as_its_documentation_says() {
        // Documentation/admin-guide/sysctl/kernel.rst: 0 all, 1 the group and CAP_SYS_ADMIN, 2 none
        let yes = Some(true);
        let no = Some(false);
        let (forbids, may) = (
            |value, group| Sysctl::Forbids { value, group },
            |group| Sysctl::MayForbid { value: 1, group },
        );
        #[rustfmt::skip]
        let table = [
            // value, group, admin, member
            (0, None,    no,   no,   Sysctl::Allows),
            (1, None,    yes,  no,   Sysctl::Allows),
            (1, Some(7), no,   yes,  Sysctl::Allows),
            (1, Some(7), no,   no,   forbids(1, Some(7))),
            (1, None,    no,   yes,  forbids(1, None)), // there is no group to be in
            (1, None,    None, no,   may(None)),
            (1, Some(7), no,   None, may(Some(7))),
            (2, Some(7), yes,  yes,  forbids(2, Some(7))),
        ];
        for (value, group, admin, member, expected) in table {
            let told = effect(value, group, admin, || member);
            assert_eq!(told, expected, "{value} {group:?} {admin:?} {member:?}");
        }
    }

    #[test]
    fn only_the_first_user_namespace_maps_every_number_to_itself() {
        assert!(maps_all("         0          0 4294967295\n")); // user_namespaces(7)
        assert!(!maps_all("         0       1000          1\n"));
        assert!(!maps_all("0 100000 65536\n65536 0 1\n"));
    }

    #[test]
    fn a_label_counts_if_it_confines() {
        assert_eq!(confining("docker-default (enforce)\n"), Some("docker-default (enforce)"));
        assert_eq!(confining("u:r:container_t:s0\0"), Some("u:r:container_t:s0"));
        assert_eq!(confining("unconfined\n"), None);
        assert_eq!(confining("unconfined_u:unconfined_r:unconfined_t:s0\0"), None);
        assert_eq!(confining("\n"), None);
    }

    #[test]
    fn what_system_calls_say_is_what_proc_says() {
        let status = status().unwrap();
        assert!(field(&status, "Seccomp").is_some());
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        assert_eq!(super::release(), release.trim());
        let effective = u64::from_str_radix(field(&status, "CapEff").unwrap(), 16).unwrap();
        for number in 0..41 {
            assert_eq!(has_effective(number), Some(effective >> number & 1 == 1), "{number}");
        }
        assert_eq!(has_effective(64), None);
    }

    #[test]
    fn the_kernel_finds_fault_with_a_bare_call_once_it_lets_it_in() {
        if crate::check().is_err() {
            return; // what a refusal looks like is told elsewhere
        }
        // errno(3): EBADF 9, EFAULT 14, EINVAL 22
        assert_eq!(errno_of_bare(Call::Setup), 14);
        assert_eq!(errno_of_bare(Call::Enter), 9);
        assert!(matches!(errno_of_bare(Call::Register), 9 | 22));
    }
}
