//! The programs where a system call is refused, and `uring_check` where memory is counted.

use std::{io, os::unix::process::CommandExt, process::Command};

use crate::util::{CAT, ECHO_LOAD, ECHO_RING, ECHO_SERVER, URING_CHECK, run};

/// Lets a system call of a program fail with `errno`.
fn refuse(command: &mut Command, call: libc::c_long, errno: i32) {
    // the codes of linux/filter.h: load the number, compare it, return
    let line = |code, jf, k| libc::sock_filter { code, jt: 0, jf, k };
    let mut lines = [
        line(0x20, 0, 0),
        line(0x15, 1, u32::try_from(call).unwrap()),
        line(0x06, 0, libc::SECCOMP_RET_ERRNO | errno.unsigned_abs()),
        line(0x06, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let install = move || {
        let program = libc::sock_fprog { len: 4, filter: lines.as_mut_ptr() };
        // SAFETY: the call takes numbers.
        let privileges = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        let mode = libc::SECCOMP_MODE_FILTER;
        // SAFETY: the call reads the program and its four lines.
        let filter = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) };
        if privileges != 0 || filter != 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: between fork and exec it makes two system calls and allocates nothing.
    unsafe { command.pre_exec(install) };
}

#[test]
fn uring_check_fails_if_any_of_the_three_calls_is_refused_and_names_it() {
    need_ring!();
    for (call, name) in [
        (libc::SYS_io_uring_setup, "io_uring_setup"),
        (libc::SYS_io_uring_enter, "io_uring_enter"),
        (libc::SYS_io_uring_register, "io_uring_register"),
    ] {
        let mut command = Command::new(URING_CHECK);
        refuse(&mut command, call, libc::EPERM);
        let ended = run(&mut command, b"");
        assert_eq!(ended.code(), Some(1), "{name}: {}", ended.text());
        let told = format!("{name} was refused (EPERM) by a seccomp filter");
        assert!(ended.stderr.contains(&told), "{name}: {}", ended.stderr);
    }
}

#[test]
fn every_program_names_the_call_that_is_refused() {
    need_ring!();
    for program in [CAT, ECHO_LOAD, ECHO_RING, ECHO_SERVER] {
        for (errno, name) in [(libc::EPERM, "EPERM"), (libc::ENOSYS, "ENOSYS")] {
            let mut command = Command::new(program);
            refuse(&mut command, libc::SYS_io_uring_enter, errno);
            let ended = run(&mut command, b"some input");
            assert_eq!(ended.code(), Some(1), "{program}: {}", ended.stderr);
            let told = format!("io_uring_enter was refused ({name}) by a seccomp filter");
            assert!(ended.stderr.contains(&told), "{program}: {}", ended.stderr);
            assert_eq!(ended.text(), "", "{program}");
        }
    }
    // with several files, and large ones, for which several reads are queued: it is told once
    let mut command = Command::new(CAT);
    refuse(command.args([CAT, "/proc/version"]), libc::SYS_io_uring_enter, libc::EPERM);
    let told = run(&mut command, b"").stderr;
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.starts_with("cat: io_uring is not available: "), "{told}");
}

#[test]
fn uring_check_counts_rings_only_where_the_limit_counts_them() {
    need_ring!();
    let check = "ulimit -S -l 0 && exec \"$0\"";
    let ended = run(Command::new("sh").args(["-c", check, URING_CHECK]), b"");
    if ended.status.success() {
        // CAP_IPC_LOCK is above the limit, and some kernels do not count rings
        assert!(ended.text().contains("0 KiB, but not for rings here"), "{}", ended.text());
    } else {
        assert!(ended.text().contains("all rings of this user: 0 at most"), "{}", ended.text());
        assert!(ended.stderr.contains("ulimit -l"), "{}", ended.stderr);
    }
}
