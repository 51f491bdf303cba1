//! Who refused a system call, told by what is seen and by what is left.

use std::fmt;

use crate::kernel::{
    call::Call,
    evidence::{Confinement, Evidence, Sysctl, errno_of_bare},
};

/// Who may have refused a system call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refuser {
    /// A seccomp filter, such as the default profiles of containers.
    Filter,
    /// `kernel.io_uring_disabled`. Since Linux 6.6.
    Sysctl {
        /// 1: only privileged processes and the group may; 2: nobody. `None`: it cannot be read.
        value: Option<u8>,
        /// The group that `kernel.io_uring_group` names.
        group: Option<u32>,
    },
    /// A security module, such as SELinux or AppArmor.
    SecurityModule {
        /// How it names this thread, if it confines it.
        label: Option<String>,
    },
    /// The kernel, which is older than 5.1 or was built without io_uring.
    NotBuilt,
    /// The kernel, before 5.13, because a submission thread needs a privilege there.
    SubmissionThread,
    /// The restrictions of the ring, its own or those of its task.
    Restriction,
    /// What answers in the kernel's place: a sandbox such as gVisor, a tracer, a BPF program.
    Sandbox,
}

/// A system call that was refused, and by whom, as far as that can be seen.
///
/// [`by`](Self::by) has one entry if what is seen leaves only one, and else all that are left, the
/// likeliest first. The table is that of [`Unavailable`](crate::Unavailable).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// Which call.
    pub call: Call,
    /// How: `EPERM`, `EACCES`, `ENOSYS` or `EOPNOTSUPP`.
    pub errno: i32,
    /// Whether a seccomp filter is installed for this thread; `None` if nothing tells.
    pub filter: Option<bool>,
    /// Who may have refused it; never empty.
    pub by: Vec<Refuser>,
}

/// What the diagnosis is about.
#[derive(Clone, Copy, Debug)]
struct Case {
    call: Call,
    errno: i32,
    /// Whether the call is refused whatever it asks for.
    whole: bool,
    /// Whether a submission thread was asked for.
    thread: bool,
}

impl Refusal {
    /// Who refused a call, if the errno is that of a refusal.
    pub(super) fn diagnose(call: Call, errno: i32, thread: bool) -> Option<Self> {
        errno_name(errno)?;
        let case = Case { call, errno, whole: errno_of_bare(call) == errno, thread };
        let evidence = Evidence::gather();
        let by = refusers(case, &evidence);
        (!by.is_empty()).then_some(Self { call, errno, filter: evidence.filter, by })
    }
}

/// The errnos with which a call is refused, by name.
fn errno_name(errno: i32) -> Option<&'static str> {
    Some(match errno {
        libc::EPERM => "EPERM",
        libc::EACCES => "EACCES",
        libc::ENOSYS => "ENOSYS",
        libc::EOPNOTSUPP => "EOPNOTSUPP",
        _ => return None,
    })
}

/// Who is left when those are taken out of whom the evidence speaks; nobody if the call itself is
/// let in, and the errno is an answer to what it asked for.
fn refusers(case: Case, evidence: &Evidence) -> Vec<Refuser> {
    let Case { call, errno, whole, thread } = case;
    let Evidence { filter, sysctl, confinement } = evidence;
    let mut by = Vec::new();
    // A filter sees numbers and addresses, not what is behind an address. One that looks at an
    // opcode is not told from the kernel here.
    if whole && *filter != Some(false) {
        by.push(Refuser::Filter);
    }
    let label = match confinement {
        Confinement::As(label) => Some(label.clone()),
        Confinement::Unseen | Confinement::Absent => None,
    };
    let is_confined = label.is_some();
    let module = || Refuser::SecurityModule { label: label.clone() };
    match (call, errno) {
        (Call::Setup, libc::EPERM) if whole => {
            match *sysctl {
                Sysctl::Forbids { value, group } => {
                    return vec![Refuser::Sysctl { value: Some(value), group }];
                }
                Sysctl::MayForbid { value, group } => {
                    by.push(Refuser::Sysctl { value: Some(value), group });
                }
                Sysctl::Unseen => by.push(Refuser::Sysctl { value: None, group: None }),
                Sysctl::Absent | Sysctl::Allows => {}
            }
            // SELinux and AppArmor say EACCES: with a filter in sight they are out
            if *filter != Some(true) {
                by.extend([module(), Refuser::Sandbox]);
            }
        }
        (Call::Setup, libc::EPERM) if thread => by.extend([Refuser::SubmissionThread, module()]),
        (Call::Setup, libc::EPERM) => by.push(module()),
        (Call::Setup, libc::EACCES) if is_confined => by.insert(0, module()),
        // what SELinux and AppArmor say: out if neither names this thread, and a filter explains it
        (Call::Setup, libc::EACCES) if by.is_empty() || *filter != Some(true) => by.push(module()),
        (Call::Setup, libc::EACCES) if *confinement == Confinement::Unseen => by.push(module()),
        // the sysctl is there where io_uring is
        (Call::Setup, libc::ENOSYS) if matches!(sysctl, Sysctl::Absent | Sysctl::Unseen) => {
            by.push(Refuser::NotBuilt);
        }
        (Call::Register, libc::EACCES) if !whole => by.push(Refuser::Restriction),
        // the kernel lets everybody in who has a ring, and so do sysctls and security modules
        _ if whole && *filter != Some(true) => by.push(Refuser::Sandbox),
        _ => {}
    }
    by
}

/// What one refuser is, behind "by" or "it may be", and what to do about it.
impl fmt::Display for Refuser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ALLOW: &str = "`sysctl kernel.io_uring_disabled=0`";
        match self {
            Self::Filter => f.write_str(
                "a seccomp filter, such as the default profile of Docker, Podman or Kubernetes; \
                 allow io_uring_setup, io_uring_enter and io_uring_register in it, or run the \
                 container with `--security-opt seccomp=unconfined`",
            ),
            Self::Sysctl { value: None, .. } => write!(
                f,
                "kernel.io_uring_disabled, which cannot be read here; look at it where /proc/sys \
                 is there, and run {ALLOW} if it is not 0"
            ),
            Self::Sysctl { value: Some(1), group } => {
                f.write_str(
                    "kernel.io_uring_disabled, which is 1: only privileged processes may use \
                     io_uring",
                )?;
                match group {
                    Some(gid) => write!(f, ", and members of group {gid}; join that group")?,
                    None => f.write_str("; set kernel.io_uring_group to a group of this user")?,
                }
                write!(f, ", or run {ALLOW}")
            }
            Self::Sysctl { value: Some(value), .. } => write!(
                f,
                "kernel.io_uring_disabled, which is {value}: nobody may use io_uring; run {ALLOW}"
            ),
            Self::SecurityModule { label } => {
                f.write_str("a security module")?;
                if let Some(label) = label {
                    write!(f, ", which confines this thread as `{label}`")?;
                }
                f.write_str("; look for a denial by SELinux or AppArmor in the system's audit log")
            }
            Self::NotBuilt => f.write_str(
                "a kernel that has no io_uring; it needs Linux 5.10 or newer, built with \
                 CONFIG_IO_URING",
            ),
            Self::SubmissionThread => f.write_str(
                "a kernel before Linux 5.13, where a submission thread needs CAP_SYS_ADMIN, or \
                 CAP_SYS_NICE since 5.11; grant it, or ask for no submission thread",
            ),
            Self::Restriction => f.write_str(
                "the restrictions of the ring or of its task; allow the opcode in them \
                 (IORING_REGISTER_RESTRICTIONS)",
            ),
            Self::Sandbox => f.write_str(
                "something that answers in the kernel's place, such as gVisor, a tracer or a BPF \
                 program; allow io_uring there, or run outside of it",
            ),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, errno, filter, by } = self;
        write!(f, "{call} was refused ({}", errno_name(*errno).unwrap_or("?"))?;
        if *errno == libc::EOPNOTSUPP {
            // no kernel says so to this call: some clouds do
            f.write_str(", as platforms answer that do not offer io_uring")?;
        }
        f.write_str(")")?;
        let [several @ .., last] = by.as_slice() else { return Ok(()) };
        if several.is_empty() {
            return write!(f, " by {last}");
        }
        f.write_str(match filter {
            Some(true) => "; a seccomp filter is installed, but others are possible too: it may be",
            Some(false) => "; no seccomp filter is installed: it may be",
            None => "; /proc cannot be read, and nothing else tells by whom: it may be",
        })?;
        for (number, refuser) in (1..).zip(several) {
            write!(f, " ({number}) {refuser};")?;
        }
        write!(f, " or ({}) {last}", by.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPERM: i32 = 1; // errno(3), as the following
    const EACCES: i32 = 13;
    const ENOSYS: i32 = 38;
    const EOPNOTSUPP: i32 = 95;

    fn sysctl(value: impl Into<Option<u8>>) -> Refuser {
        Refuser::Sysctl { value: value.into(), group: None }
    }

    fn module(label: impl Into<Option<&'static str>>) -> Refuser {
        Refuser::SecurityModule { label: label.into().map(str::to_owned) }
    }

    #[test]
    fn who_is_left_is_told_from_what_is_seen() {
        use Call::{Enter, Register, Setup};
        use Refuser::{Filter, NotBuilt, Restriction, Sandbox, SubmissionThread};
        use Sysctl::{Absent, Allows, Unseen};
        let forbids = Sysctl::Forbids { value: 2, group: None };
        let may = Sysctl::MayForbid { value: 1, group: None };
        let (yes, no) = (Some(true), Some(false));
        #[rustfmt::skip]
        let table = [
            // call, errno, filter, sysctl, label, who
            (Setup, EPERM, yes, Allows, None, vec![Filter]),
            (Setup, EPERM, yes, Allows, Some("docker-default (enforce)"), vec![Filter]),
            (Setup, EPERM, yes, forbids, None, vec![sysctl(2)]),
            (Setup, EPERM, no, forbids, None, vec![sysctl(2)]),
            (Setup, EPERM, yes, may, None, vec![Filter, sysctl(1)]),
            (Setup, EPERM, yes, Unseen, None, vec![Filter, sysctl(None)]),
            (Setup, EPERM, no, Absent, None, vec![module(None), Sandbox]),
            (Setup, EPERM, None, Unseen, Some("?"),
                vec![Filter, sysctl(None), module(None), Sandbox]),
            (Setup, EACCES, yes, Allows, None, vec![Filter]),
            (Setup, EACCES, yes, Allows, Some("t"), vec![module("t"), Filter]),
            (Setup, EACCES, yes, Unseen, Some("?"), vec![Filter, module(None)]),
            (Setup, EACCES, no, Allows, Some("t"), vec![module("t")]),
            (Setup, EACCES, no, Allows, None, vec![module(None)]),
            (Setup, EACCES, None, Unseen, Some("?"), vec![Filter, module(None)]),
            (Setup, EACCES, no, forbids, None, vec![module(None)]), // the sysctl says EPERM
            (Setup, ENOSYS, yes, Allows, None, vec![Filter]),
            (Setup, ENOSYS, yes, forbids, None, vec![Filter]),
            (Setup, ENOSYS, yes, Absent, None, vec![Filter, NotBuilt]),
            (Setup, ENOSYS, None, Unseen, None, vec![Filter, NotBuilt]),
            (Setup, ENOSYS, no, Absent, None, vec![NotBuilt]),
            (Setup, ENOSYS, no, Allows, None, vec![Sandbox]),
            (Setup, EOPNOTSUPP, yes, Allows, None, vec![Filter]),
            (Setup, EOPNOTSUPP, no, Absent, None, vec![Sandbox]),
            (Setup, EOPNOTSUPP, None, Unseen, None, vec![Filter, Sandbox]),
            (Enter, EPERM, yes, forbids, Some("t"), vec![Filter]), // the ring is there
            (Enter, EPERM, no, Allows, None, vec![Sandbox]),
            (Enter, ENOSYS, yes, Absent, None, vec![Filter]),
            (Enter, EACCES, None, Unseen, None, vec![Filter, Sandbox]),
            (Register, EACCES, yes, Allows, None, vec![Filter]),
            (Register, EOPNOTSUPP, None, Unseen, None, vec![Filter, Sandbox]),
        ];
        for (call, errno, filter, sysctl, label, expected) in table {
            let case = Case { call, errno, whole: true, thread: false };
            let confinement = match label {
                Some("?") => Confinement::Unseen,
                Some(label) => Confinement::As(label.to_owned()),
                None => Confinement::Absent,
            };
            let evidence = Evidence { filter, sysctl, confinement };
            let label = label.filter(|label| *label != "?");
            assert_eq!(refusers(case, &evidence), expected, "{case:?} {evidence:?}");
            // a call that is let in was not refused by its number: whoever did it knows more
            let case = Case { whole: false, ..case };
            let expected = match (call, errno) {
                (Setup, EPERM | EACCES) => vec![module(label)],
                (Setup, ENOSYS) if matches!(sysctl, Absent | Unseen) => continue, // impossible
                (Register, EACCES) => vec![Restriction],
                _ => vec![],
            };
            assert_eq!(refusers(case, &evidence), expected, "{case:?} {evidence:?}");
            if (call, errno) == (Setup, EPERM) {
                let case = Case { thread: true, ..case };
                assert_eq!(refusers(case, &evidence), [SubmissionThread, module(label)]);
            }
        }
    }

    #[test]
    fn each_refuser_comes_with_the_fix() {
        for (refuser, fix) in [
            (Refuser::Filter, "seccomp=unconfined"),
            (sysctl(None), "sysctl kernel.io_uring_disabled=0"),
            (sysctl(2), "sysctl kernel.io_uring_disabled=0"),
            (sysctl(1), "kernel.io_uring_group"),
            (Refuser::Sysctl { value: Some(1), group: Some(7) }, "join that group"),
            (module(None), "audit log"),
            (module("docker-default (enforce)"), "`docker-default (enforce)`"),
            (Refuser::NotBuilt, "CONFIG_IO_URING"),
            (Refuser::SubmissionThread, "CAP_SYS_NICE"),
            (Refuser::Restriction, "IORING_REGISTER_RESTRICTIONS"),
            (Refuser::Sandbox, "run outside"),
        ] {
            let refusal = Refusal {
                call: Call::Register,
                errno: EPERM,
                filter: Some(true),
                by: vec![refuser],
            };
            let text = refusal.to_string();
            assert!(text.starts_with("io_uring_register was refused (EPERM) by "), "{text}");
            assert!(text.contains(fix) && !text.contains("may be"), "{text}");
        }
    }

    #[test]
    fn where_several_are_left_the_text_says_may_and_lists_all() {
        for (filter, word) in [
            (None, "/proc cannot be read"),
            (Some(true), "is installed"),
            (Some(false), "no seccomp"),
        ] {
            let by = vec![Refuser::Filter, sysctl(None), module(None)];
            let refusal = Refusal { call: Call::Setup, errno: EOPNOTSUPP, filter, by };
            let text = refusal.to_string();
            for word in [word, "may be (1) ", "(2) kernel.io", "or (3) a sec", "platforms"] {
                assert!(text.contains(word), "{word}: {text}");
            }
        }
    }
}
