//! A system call that is answered by the test: refused as often as it likes, then let in.

use std::{io, thread};

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    LetIn,
    Errno(i32),
}

// include/uapi/linux/seccomp.h, v6.18
const SECCOMP_RET_USER_NOTIF: u32 = 0x7fc0_0000;
const SECCOMP_FILTER_FLAG_NEW_LISTENER: libc::c_ulong = 1 << 3;
const SECCOMP_USER_NOTIF_FLAG_CONTINUE: u32 = 1;
const SECCOMP_IOCTL_NOTIF_RECV: libc::c_ulong = 0xc050_2100;
const SECCOMP_IOCTL_NOTIF_SEND: libc::c_ulong = 0xc018_2101;

#[repr(C)]
#[derive(Default)]
struct Notification {
    id: u64,
    pid: u32,
    flags: u32,
    number: i32,
    arch: u32,
    instruction: u64,
    arguments: [u64; 6],
}

#[repr(C)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

const _: () = assert!(size_of::<Notification>() == 80 && size_of::<Response>() == 24);

/// From now on `answer` decides about each such call of this thread; says whether the kernel can do
/// that. Only in an isolated test: it is for ever.
pub(crate) fn intercept(
    call: libc::c_long,
    mut answer: impl FnMut([u64; 6]) -> Answer + Send + 'static,
) -> bool {
    let number = u32::try_from(call).expect("a number");
    let line = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut lines = [
        line(0x20, 0, 0, 0),      // BPF_LD | BPF_W | BPF_ABS: the number of the call
        line(0x15, 0, 1, number), // BPF_JMP | BPF_JEQ | BPF_K
        line(0x06, 0, 0, SECCOMP_RET_USER_NOTIF), // BPF_RET | BPF_K
        line(0x06, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: lines.as_mut_ptr() };
    // the thread that answers is not under the filter
    let (sender, listener) = std::sync::mpsc::channel::<libc::c_int>();
    thread::spawn(move || {
        let Ok(listener) = listener.recv() else { return };
        loop {
            let mut asked = Notification::default();
            // SAFETY: the call writes one notification.
            let got = unsafe { libc::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &raw mut asked) };
            if got != 0 {
                match io::Error::last_os_error().raw_os_error() {
                    Some(libc::EINTR | libc::ENOENT) => continue, // the call was interrupted
                    _ => return,
                }
            }
            let (error, flags) = match answer(asked.arguments) {
                Answer::LetIn => (0, SECCOMP_USER_NOTIF_FLAG_CONTINUE),
                Answer::Errno(errno) => (-errno, 0),
            };
            let response = Response { id: asked.id, value: 0, error, flags };
            // SAFETY: the call reads one response. It fails if the call is over already.
            unsafe { libc::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &raw const response) };
        }
    });
    // SAFETY: the call takes numbers.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: the call reads the program and its lines.
    let listener = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    };
    let Ok(listener) = libc::c_int::try_from(listener) else { return false };
    listener >= 0 && sender.send(listener).is_ok()
}
