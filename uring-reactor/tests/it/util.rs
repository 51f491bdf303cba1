//! What the tests share: skips, processes of their own, loops, pipes, and looks from outside.

use std::{
    env,
    fs::{self, File},
    io::Write as _,
    os::{
        fd::{FromRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::Command,
    sync::{
        Arc,
        mpsc::{self, Receiver},
    },
    time::{Duration, Instant},
};

use uring_reactor::{BuildError, Cx, EventLoop, Fd, Handle, Reactor, Source, SourceEvent};

/// Longer than anything here takes: a test that waits this long has failed.
pub(crate) const LONG: Duration = Duration::from_secs(20);

// errno(3)
pub(crate) const EINTR: i32 = 4;
pub(crate) const EINVAL: i32 = 22;
pub(crate) const ECANCELED: i32 = 125;

/// The path of the test that this stands in, as the command line takes it.
macro_rules! test_name {
    () => {{
        fn here() {}
        $crate::util::name_of(std::any::type_name_of_val(&here))
    }};
}

/// Ends the test if no loop can run here.
macro_rules! need_loops {
    () => {
        if !$crate::util::loops_run(test_name!()) {
            return;
        }
    };
}

/// Runs the rest of the test in a process of its own, in which nobody else opens descriptors.
macro_rules! isolated {
    ($($name:literal = $value:literal),*) => {
        if $crate::util::isolated(test_name!(), &[$(($name, $value)),*]) {
            return;
        }
    };
}

/// Names which test child runs.
const CHILD: &str = "URING_TEST_CHILD";

pub(crate) fn name_of(function: &'static str) -> &'static str {
    let path = function.split_once("::").expect("a crate and a path").1;
    path.trim_end_matches("::here").trim_end_matches("::{{closure}}")
}

/// Whether loops can run here. Where the kernel is too old, this checks that they say so.
#[track_caller]
pub(crate) fn loops_run(test: &str) -> bool {
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

/// Says why a test cannot run here, for people and for the file that `URING_TEST_SKIPS` names.
/// With `URING_TEST_STRICT=1` that is a failure.
#[track_caller]
pub(crate) fn skip(test: &str, reason: &str) {
    eprintln!("SKIP uring-reactor::{test}: {reason}");
    if let Some(path) = env::var_os("URING_TEST_SKIPS") {
        let mut file = File::options().append(true).create(true).open(path).expect("the list");
        // in one write: other tests append to it too
        let line = format!("uring-reactor::{test}: {reason}\n");
        file.write_all(line.as_bytes()).expect("the list can be written");
    }
    let strict = env::var_os("URING_TEST_STRICT").is_some_and(|value| value == "1");
    assert!(!strict, "skipped although URING_TEST_STRICT=1: {reason}");
}

/// Whether this is the parent, which has run the test in a child and is done.
#[track_caller]
pub(crate) fn isolated(test: &str, variables: &[(&str, &str)]) -> bool {
    if env::var_os(CHILD).is_some_and(|name| name == test) {
        return false;
    }
    let output = Command::new(env::current_exe().expect("this binary"))
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, test)
        .envs(variables.iter().copied())
        .output()
        .expect("this binary runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "in its own process: {}\n{text}\n{errors}",
        output.status
    );
    true
}

/// A count of rounds, reduced where everything is 10 to 50 times slower.
pub(crate) fn rounds(count: u32) -> u32 {
    let slow = env::var_os("URING_TEST_SLOW").is_some_and(|value| value == "1");
    if slow { count.div_ceil(10) } else { count }
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

/// The next message.
#[track_caller]
pub(crate) fn get<T>(receiver: &Receiver<T>) -> T {
    receiver.recv_timeout(LONG).expect("a message in time")
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
    let mut ends = [0; 2];
    // SAFETY: `pipe2` writes two numbers to an array of two.
    let answer = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
    assert_eq!(answer, 0, "a pipe");
    // SAFETY: the call has just returned this descriptor, and nobody else knows it.
    let reader = unsafe { OwnedFd::from_raw_fd(ends[0]) };
    // SAFETY: as above.
    let writer = unsafe { File::from_raw_fd(ends[1]) };
    (Arc::new(reader), writer)
}

/// Two connected sockets: one for the loop, one for the test.
#[track_caller]
pub(crate) fn sockets() -> (Fd, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("two sockets");
    theirs.set_read_timeout(Some(LONG)).expect("a timeout");
    (Fd::from(OwnedFd::from(ours)), theirs)
}

/// How many descriptors this process has.
#[track_caller]
pub(crate) fn open_descriptors() -> usize {
    // one of them reads the directory
    fs::read_dir("/proc/self/fd").expect("procfs").count() - 1
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
    let limit = Instant::now() + LONG;
    while threads_named(start) > 0 {
        assert!(Instant::now() < limit, "a thread {start} is still there");
        std::thread::yield_now();
    }
}

/// The errno of a result.
pub(crate) fn errno<T>(result: &std::io::Result<T>) -> Option<i32> {
    result.as_ref().err().and_then(std::io::Error::raw_os_error)
}
