//! System calls that are refused one by one, and who is said to have done it.
//!
//! The filters are real. The sysctl is not touched, since it is the whole system's: a file of this
//! process alone hides it.

use std::{env, ffi::CString, fs, io};

use uring::{Call, RawRing, Refusal, Refuser, Ring, SetupFlags, Unavailable, op};

use crate::{hostile::forked, util};

const SETUP: libc::c_long = libc::SYS_io_uring_setup;
const CALLS: [(Call, libc::c_long); 3] = [
    (Call::Setup, SETUP),
    (Call::Enter, libc::SYS_io_uring_enter),
    (Call::Register, libc::SYS_io_uring_register),
];
const ERRNOS: [(i32, &str); 4] = [
    (libc::EPERM, "(EPERM)"),
    (libc::EACCES, "(EACCES)"),
    (libc::ENOSYS, "(ENOSYS)"),
    (libc::EOPNOTSUPP, "(EOPNOTSUPP, as platforms"),
];

/// From now on these calls fail with `errno`: for this thread, or for the whole process.
pub(crate) fn filter(calls: &[libc::c_long], errno: i32, whole_process: bool) {
    const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const JUMP_IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    let line = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let refuse = libc::SECCOMP_RET_ERRNO | errno.unsigned_abs();
    let mut lines = vec![line(LOAD, 0, 0, 0)]; // the number is the first field of seccomp_data
    for &call in calls {
        let number = u32::try_from(call).expect("a number");
        lines.push(line(JUMP_IF_EQUAL, 0, 1, number));
        lines.push(line(RETURN, 0, 0, refuse));
    }
    lines.push(line(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    let len = u16::try_from(lines.len()).expect("a few");
    let program = libc::sock_fprog { len, filter: lines.as_mut_ptr() };
    // SAFETY: the call takes numbers.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    let flags = if whole_process { libc::SECCOMP_FILTER_FLAG_TSYNC } else { 0 };
    // SAFETY: the call reads the program and its lines.
    let answer = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    };
    assert_eq!(answer, 0, "seccomp: {}", io::Error::last_os_error());
}

fn has_seccomp() -> bool {
    fs::metadata("/proc/sys/kernel/seccomp/actions_avail").is_ok()
}

fn is_root() -> bool {
    // SAFETY: the call takes no pointer.
    unsafe { libc::geteuid() == 0 }
}

/// Whether a sysctl says that the kernel has io_uring (6.6).
fn has_sysctl() -> bool {
    fs::metadata("/proc/sys/kernel/io_uring_disabled").is_ok()
}

/// Whether a security module names this thread.
fn is_labelled() -> bool {
    fs::read("/proc/thread-self/attr/current").is_ok()
}

/// Puts this process where there is nothing, no `/proc` either.
fn into_an_empty_root() {
    let path = env::temp_dir().join(format!("uring-empty-{}", std::process::id()));
    fs::create_dir(&path).expect("a new directory");
    env::set_current_dir(&path).expect("it is there");
    fs::remove_dir(&path).expect("it is empty"); // and lives on as long as somebody is in it
    // SAFETY: the call reads a path.
    let answer = unsafe { libc::chroot(c".".as_ptr()) };
    assert_eq!(answer, 0, "chroot: {}", io::Error::last_os_error());
    fs::metadata("/proc").expect_err("there is nothing");
}

/// What `check` says who refused a call.
#[track_caller]
fn refusal() -> (Refusal, String) {
    let error = uring::check().expect_err("refused");
    let text = error.to_string();
    let Unavailable::Refused(refusal) = error.reason else { panic!("{text}") };
    (refusal, text)
}

fn unseen_sysctl() -> Refuser {
    Refuser::Sysctl { value: None, group: None }
}

fn module() -> Refuser {
    Refuser::SecurityModule { label: None }
}

/// Who may be said to have refused, where a filter did: the filter, and those whom nothing
/// excludes.
fn expected(call: Call, errno: i32, proc: bool) -> Vec<Refuser> {
    let mut by = vec![Refuser::Filter];
    match (call, errno) {
        (Call::Setup, libc::EPERM) if !proc => by.push(unseen_sysctl()),
        (Call::Setup, libc::EACCES) if !proc => by.push(module()),
        (Call::Setup, libc::ENOSYS) if !proc || !has_sysctl() => by.push(Refuser::NotBuilt),
        _ => {}
    }
    by
}

/// Each of the three calls, refused with each errno.
fn each_call_and_errno(proc: bool, into: impl Fn()) {
    for (call, number) in CALLS {
        for (errno, name) in ERRNOS {
            if proc && is_labelled() && errno == libc::EACCES {
                continue; // then the module is likelier: see the unit tests
            }
            let by = expected(call, errno, proc);
            forked(|| {
                into();
                filter(&[number], errno, errno % 2 == 0);
                let (refusal, text) = refusal();
                assert_eq!((refusal.call, refusal.errno), (call, errno), "{text}");
                assert_eq!(refusal.filter, Some(true), "{text}");
                assert_eq!(refusal.by, by, "{text}");
                assert!(text.contains(&format!("{call} was refused {name}")), "{text}");
                assert!(text.contains("seccomp=unconfined"), "{text}");
                // it claims if, and only if, nobody else is left
                assert_eq!(text.contains("may be (1)"), by.len() > 1, "{text}");
                assert_eq!(text.starts_with("cannot create"), call == Call::Setup, "{text}");
                assert!(!text.contains('\n'), "one line: {text}");
                let kind = io::Error::from(uring::check().expect_err("refused")).kind();
                if matches!(errno, libc::EPERM | libc::EACCES) {
                    assert_eq!(kind, io::ErrorKind::PermissionDenied);
                } else {
                    assert_eq!(kind, io::ErrorKind::Unsupported);
                }
                later_calls_say_the_same(call, errno, &refusal);
            });
        }
    }
}

/// A ring that can be made says `errno` when it is used, and `of_call` says why.
fn later_calls_say_the_same(call: Call, errno: i32, expected: &Refusal) {
    let mut sets = vec![RawRing::builder(), RawRing::builder().flags(SetupFlags::empty())];
    if call == Call::Setup {
        for error in sets.drain(..).map(|set| set.build().expect_err("refused")) {
            let Unavailable::Refused(refusal) = error.reason else { panic!("{error}") };
            assert_eq!(&refusal, expected);
        }
        let error = Ring::<op::Nop>::builder().build().expect_err("refused");
        assert!(matches!(error.reason, Unavailable::Refused(_)), "{error}");
    }
    for set in sets {
        let mut ring = set.build().expect("a ring can be made");
        ring.push(uring::Sqe::nop()).expect("room");
        let result = ring.submit_and_wait(1);
        if call == Call::Enter {
            assert_eq!(util::errno(&result), errno);
        } else {
            // such a ring works, but for what has to be registered
            assert_eq!(result.expect("enter is let in"), 1);
        }
    }
    let Unavailable::Refused(refusal) = Unavailable::of_call(call, errno) else {
        panic!("{call} is refused")
    };
    assert_eq!(&refusal, expected);
}

#[test]
fn a_filter_of_one_call_is_named_with_the_call_the_errno_and_the_fix() {
    isolated!();
    if !has_seccomp() {
        skip!("a kernel without seccomp");
    }
    each_call_and_errno(true, || {});
}

#[test]
fn a_filter_of_one_thread_is_named_on_that_thread_and_not_on_others() {
    isolated!();
    if !has_seccomp() {
        skip!("a kernel without seccomp");
    }
    let on_a_thread = || {
        filter(&[SETUP], libc::EPERM, false);
        refusal()
    };
    let (refusal, text) = std::thread::spawn(on_a_thread).join().expect("it ends");
    assert_eq!(refusal.by, [Refuser::Filter], "{text}");
    uring::check().expect("this thread has no filter");
}

#[test]
fn without_proc_a_filter_is_still_seen_and_what_cannot_be_excluded_is_listed() {
    isolated!();
    if !has_seccomp() || !is_root() {
        skip!("only root can go where there is no /proc, and it takes a kernel with seccomp");
    }
    each_call_and_errno(false, into_an_empty_root);
}

#[test]
fn where_nothing_is_seen_nothing_is_claimed() {
    isolated!();
    if !has_seccomp() || !is_root() {
        skip!("only root can go where there is no /proc, and it takes a kernel with seccomp");
    }
    let sandbox = || vec![Refuser::Filter, Refuser::Sandbox];
    for (call, number) in CALLS {
        for (errno, name) in ERRNOS {
            let by = match (call, errno) {
                (Call::Setup, libc::EPERM) => {
                    vec![Refuser::Filter, unseen_sysctl(), module(), Refuser::Sandbox]
                }
                (Call::Setup, libc::EACCES) => vec![Refuser::Filter, module()],
                (Call::Setup, libc::ENOSYS) => vec![Refuser::Filter, Refuser::NotBuilt],
                _ => sandbox(),
            };
            forked(|| {
                into_an_empty_root();
                filter(&[number, libc::SYS_prctl], errno, false);
                let (refusal, text) = refusal();
                assert_eq!((refusal.call, refusal.errno), (call, errno), "{text}");
                assert_eq!((refusal.filter, refusal.by), (None, by), "{text}");
                assert!(text.contains(name) && text.contains("may be (1) a seccomp"), "{text}");
            });
        }
    }
}

#[test]
fn without_proc_and_without_a_filter_a_ring_works() {
    isolated!("ASAN_OPTIONS" = "detect_leaks=0"); // at the end it looks for them in /proc
    if !is_root() {
        skip!("only root can go where there is no /proc");
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("procfs");
    into_an_empty_root();
    assert_eq!(uring::check().expect("it is there").release, release.trim());
}

#[test]
fn without_a_descriptor_to_look_with_nothing_is_claimed() {
    isolated!();
    if !has_seccomp() {
        skip!("a kernel without seccomp");
    }
    filter(&[SETUP], libc::EPERM, true);
    let before = testing::limit(libc::RLIMIT_NOFILE, 0);
    let (refusal, text) = refusal();
    testing::limit(libc::RLIMIT_NOFILE, before);
    assert_eq!(refusal.by, [Refuser::Filter, unseen_sysctl()], "{text}");
}

/// Hides a sysctl behind a file, from this thread on.
fn pretend(sysctl: &str, value: &str) {
    let name = format!("uring-sysctl-{}", std::process::id());
    let file = env::temp_dir().join(name);
    fs::write(&file, value).expect("a temporary file");
    let path = |path: &str| CString::new(path).expect("no zero");
    let source = path(file.to_str().expect("plain"));
    let target = path(&format!("/proc/sys/kernel/{sysctl}"));
    let null = std::ptr::null::<libc::c_char>();
    // SAFETY: the call reads two paths.
    let answer = unsafe {
        libc::mount(source.as_ptr(), target.as_ptr(), null.cast(), libc::MS_BIND, null.cast())
    };
    assert_eq!(answer, 0, "mount: {}", io::Error::last_os_error());
    fs::remove_file(&file).expect("it was there");
}

/// Mounts are this thread's own from now on; says whether that could be had.
pub(crate) fn own_mounts() -> bool {
    // SAFETY: the call takes no pointer.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        return false;
    }
    let null = std::ptr::null::<libc::c_char>();
    let flags = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: the call reads a path.
    unsafe { libc::mount(null, c"/".as_ptr(), null, flags, null.cast()) == 0 }
}

#[test]
fn a_sysctl_is_named_if_it_forbids_this_thread_and_not_if_it_forbids_others() {
    isolated!();
    if !has_seccomp() || !is_root() || !has_sysctl() {
        skip!("it takes root, seccomp, and a kernel with the sysctl (6.6)");
    }
    let sysctl = |value, group| vec![Refuser::Sysctl { value: Some(value), group }];
    // what the two files say, whether this thread is without privileges, who did it
    let cases = [
        ("2", "-1", false, sysctl(2, None)),
        ("1", "-1", false, vec![Refuser::Filter]), // root may
        ("1", "-1", true, sysctl(1, None)),
        ("1", "4242", true, sysctl(1, Some(4242))),
        ("1", "65533", true, vec![Refuser::Filter]), // its group may
        ("0", "-1", true, vec![Refuser::Filter]),
    ];
    for (disabled, group, drops, by) in cases {
        forked(|| {
            assert!(own_mounts(), "unshare: {}", io::Error::last_os_error());
            pretend("io_uring_disabled", disabled);
            pretend("io_uring_group", group);
            filter(&[SETUP], libc::EPERM, false);
            if drops {
                // SAFETY: the call reads one number.
                assert_eq!(unsafe { libc::setgroups(1, &65_533) }, 0);
                // SAFETY: the call takes no pointer.
                assert_eq!(unsafe { libc::setresuid(65_534, 65_534, 65_534) }, 0);
            }
            let (refusal, text) = refusal();
            assert_eq!(refusal.by, by, "{disabled} {group}: {text}");
            assert!(!text.contains("may be"), "{text}");
        });
    }
}

#[test]
fn a_user_namespace_hides_whether_the_group_of_the_sysctl_is_ours() {
    isolated!();
    if !has_seccomp() || !is_root() || !has_sysctl() {
        skip!("it takes root, seccomp, and a kernel with the sysctl (6.6)");
    }
    forked(|| {
        assert!(own_mounts(), "unshare: {}", io::Error::last_os_error());
        pretend("io_uring_disabled", "1");
        pretend("io_uring_group", "4242");
        // SAFETY: the call takes no pointer.
        if unsafe { libc::unshare(libc::CLONE_NEWUSER) } != 0 {
            let reason = format!("no user namespaces: {}", io::Error::last_os_error());
            skip!("{reason}");
        }
        filter(&[SETUP], libc::EPERM, false);
        let (refusal, text) = refusal();
        let sysctl = Refuser::Sysctl { value: Some(1), group: Some(4242) };
        assert_eq!(refusal.by, [Refuser::Filter, sysctl], "{text}");
    });
}

#[test]
fn a_limit_of_locked_memory_is_none_for_root_and_is_one_for_root_of_a_user_namespace() {
    isolated!();
    if !is_root() {
        skip!("only root is not counted");
    }
    testing::limit(libc::RLIMIT_MEMLOCK, 0);
    uring::check().expect("CAP_IPC_LOCK is above the limit");
    forked(|| {
        // SAFETY: the call takes no pointer.
        if unsafe { libc::unshare(libc::CLONE_NEWUSER) } != 0 {
            let reason = format!("no user namespaces: {}", io::Error::last_os_error());
            skip!("{reason}");
        }
        match uring::check() {
            Ok(_) => skip!("this kernel does not count rings"),
            Err(error) => {
                assert!(matches!(error.reason, Unavailable::Memlock { limit: 0, .. }), "{error}");
            }
        }
    });
}
