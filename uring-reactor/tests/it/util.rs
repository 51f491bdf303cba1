//! What the tests share: loops, pipes, and looks from outside.

use std::{
    fs::{self, File},
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use testing::{LONG, Test, get, skip, until};
use uring_reactor::{BuildError, Cx, EventLoop, Fd, Handle, Reactor, Source, SourceEvent};

// errno(3)
pub(crate) const EPERM: i32 = 1;
pub(crate) const EINTR: i32 = 4;
pub(crate) const ECANCELED: i32 = 125;

/// Ends the test if no loop can run here.
macro_rules! need_loops {
    () => {
        if !$crate::util::loops_run(this_test!()) {
            return;
        }
    };
}

/// Whether loops can run here. Where the kernel is too old, this checks that they say so.
#[track_caller]
pub(crate) fn loops_run(test: Test) -> bool {
    let error = match uring_reactor::check() {
        Ok(_) => return true,
        Err(error) => error,
    };
    if matches!(error, BuildError::TooOld { .. }) {
        let text = error.to_string();
        assert!(text.contains("6.1"), "it says what is needed: {text}");
        let built = EventLoop::builder().build();
        assert!(matches!(built, Err(BuildError::TooOld { .. })), "{built:?}");
        let built = Reactor::builder().build();
        assert!(matches!(built, Err(BuildError::TooOld { .. })), "{built:?}");
        return false;
    }
    skip(test, &error.to_string());
    false
}

/// One loop on a thread of its own.
#[track_caller]
pub(crate) fn reactor() -> Reactor {
    Reactor::builder().build().expect("a reactor")
}

/// One loop on this thread.
#[track_caller]
pub(crate) fn event_loop() -> EventLoop {
    EventLoop::builder().build().expect("a loop")
}

/// Runs turns until something is true.
#[track_caller]
pub(crate) fn turns_until(event_loop: &mut EventLoop, mut done: impl FnMut() -> bool) {
    let limit = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < limit, "it does not come true within {LONG:?}");
        event_loop.turn(Some(limit)).expect("a turn");
    }
}

/// Runs turns for some time: whatever would happen in it has happened.
#[track_caller]
pub(crate) fn turns_for(event_loop: &mut EventLoop, time: Duration) {
    let limit = Instant::now() + time;
    while Instant::now() < limit {
        event_loop.turn(Some(limit)).expect("a turn");
    }
}

/// Calls `call` on the loop and waits for its result.
#[track_caller]
pub(crate) fn on_loop<T: Send + 'static>(
    handle: &Handle,
    call: impl FnOnce(&mut Cx<'_>) -> T + Send + 'static,
) -> T {
    let (sender, receiver) = mpsc::channel();
    handle.run(move |cx| sender.send(call(cx)).expect("the test waits")).expect("the loop runs");
    get(&receiver)
}

/// A closure as a source.
pub(crate) struct Call<F>(pub(crate) F);

impl<F: FnMut(SourceEvent, &mut Cx<'_>) + 'static> Source for Call<F> {
    fn on_event(&mut self, event: SourceEvent, cx: &mut Cx<'_>) {
        (self.0)(event, cx);
    }
}

/// The two ends of a pipe.
#[track_caller]
pub(crate) fn pipe() -> (Arc<OwnedFd>, File) {
    let (reader, writer) = testing::pipe();
    (Arc::new(reader), writer.into())
}

/// Two connected sockets: one for the loop, one for the test.
#[track_caller]
pub(crate) fn sockets() -> (Fd, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("two sockets");
    theirs.set_read_timeout(Some(LONG)).expect("a timeout");
    (Fd::from(OwnedFd::from(ours)), theirs)
}

/// How many threads of this process have names that start so.
#[track_caller]
pub(crate) fn threads_named(start: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("procfs");
    let name = |task: std::io::Result<fs::DirEntry>| {
        // a thread may end while the list is read
        fs::read_to_string(task.expect("an entry").path().join("comm")).unwrap_or_default()
    };
    tasks.map(name).filter(|name| name.starts_with(start)).count()
}

/// Waits until no thread is left whose name starts so: one that was joined stays in `/proc` until
/// the kernel has put it away, which on a slow machine is a little later.
#[track_caller]
pub(crate) fn assert_no_thread_named(start: &str) {
    until(&format!("no thread {start} is left"), || threads_named(start) == 0);
}

/// The errno of a result.
pub(crate) fn errno<T>(result: &std::io::Result<T>) -> Option<i32> {
    result.as_ref().err().and_then(std::io::Error::raw_os_error)
}

/// From now on these system calls of this thread fail with `errno`.
pub(crate) fn filter(calls: &[libc::c_long], errno: i32) {
    const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const JUMP_IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    let line = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut lines = vec![line(LOAD, 0, 0, 0)]; // the number is the first field of seccomp_data
    for &call in calls {
        lines.push(line(JUMP_IF_EQUAL, 0, 1, u32::try_from(call).expect("a number")));
        lines.push(line(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | errno.unsigned_abs()));
    }
    lines.push(line(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    let len = u16::try_from(lines.len()).expect("a few");
    let program = libc::sock_fprog { len, filter: lines.as_mut_ptr() };
    // SAFETY: the call takes numbers.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: the call reads the program and its lines.
    let answer = unsafe { libc::syscall(libc::SYS_seccomp, mode, 0, &raw const program) };
    assert_eq!(answer, 0, "seccomp: {}", std::io::Error::last_os_error());
}
