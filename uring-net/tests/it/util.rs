//! What the tests share: skips, processes of their own, reactors, peers, and looks from outside.

use std::{
    env,
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream as Peer},
    process::Command,
    sync::{
        Arc,
        mpsc::{self, Receiver},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use uring_net::{
    Conn, Handler, Listener, ListenerBuilder, TcpListener, TcpStream,
    uring_reactor::{self, BuildError, Cx, Handle, Reactor, uring::Payload},
};

/// Longer than anything here takes: a test that waits this long has failed.
pub(crate) const LONG: Duration = Duration::from_secs(20);

// errno(3)
pub(crate) const EMFILE: i32 = 24;
pub(crate) const ECONNABORTED: i32 = 103;
pub(crate) const ECONNRESET: i32 = 104;

/// The path of the test that this stands in, as the command line takes it.
macro_rules! test_name {
    () => {{
        fn here() {}
        $crate::util::name_of(std::any::type_name_of_val(&here))
    }};
}

/// Ends the test, because it cannot run here.
macro_rules! skip {
    ($($reason:tt)+) => {{
        $crate::util::skip(test_name!(), &format!($($reason)+));
        return;
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

/// Runs the rest of the test in a process of its own, where nobody else opens descriptors or
/// allocates.
macro_rules! isolated {
    () => {
        if $crate::util::isolated(test_name!()) {
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
    eprintln!("SKIP uring-net::{test}: {reason}");
    if let Some(path) = env::var_os("URING_TEST_SKIPS") {
        let mut file = File::options().append(true).create(true).open(path).expect("the list");
        // in one write: other tests append to it too
        let line = format!("uring-net::{test}: {reason}\n");
        file.write_all(line.as_bytes()).expect("the list can be written");
    }
    let strict = env::var_os("URING_TEST_STRICT").is_some_and(|value| value == "1");
    assert!(!strict, "skipped although URING_TEST_STRICT=1: {reason}");
}

/// Whether this is the parent, which has run the test in a child and is done.
#[track_caller]
pub(crate) fn isolated(test: &str) -> bool {
    if env::var_os(CHILD).is_some_and(|name| name == test) {
        return false;
    }
    let output = Command::new(env::current_exe().expect("this binary"))
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, test)
        .output()
        .expect("this binary runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    eprint!("{errors}");
    assert!(
        output.status.success() && text.contains("1 passed"),
        "in its own process: {}\n{text}\n{errors}",
        output.status
    );
    true
}

/// A count of rounds, reduced where everything is 10 to 50 times slower.
pub(crate) fn rounds(count: usize) -> usize {
    let slow = env::var_os("URING_TEST_SLOW").is_some_and(|value| value == "1");
    if slow { count.div_ceil(10) } else { count }
}

/// Loops on threads of their own.
#[track_caller]
pub(crate) fn reactor(loops: usize) -> Reactor {
    Reactor::builder().loops(loops).build().expect("a reactor")
}

/// A listener on a port of the kernel's choice.
#[track_caller]
pub(crate) fn serve<H: Handler>(
    reactor: &Reactor,
    make: impl Fn() -> H + Send + Sync + 'static,
) -> Listener {
    Listener::builder().serve(reactor, "127.0.0.1:0", make).expect("a listener")
}

/// A peer that never waits for ever.
#[track_caller]
pub(crate) fn peer(addr: SocketAddr) -> Peer {
    let peer = Peer::connect_timeout(&addr, LONG).expect("the listener takes connections");
    bound(&peer);
    peer.set_nodelay(true).expect("an option of every socket");
    peer
}

/// Bounds what a peer may wait.
#[track_caller]
pub(crate) fn bound(peer: &Peer) {
    peer.set_read_timeout(Some(LONG)).expect("a timeout");
    peer.set_write_timeout(Some(LONG)).expect("a timeout");
}

/// Makes the close of a peer a reset.
#[track_caller]
pub(crate) fn reset(peer: Peer) {
    let zero = Some(Duration::ZERO);
    socket2::SockRef::from(&peer).set_linger(zero).expect("an option of every socket");
    drop(peer);
}

/// Sends back what comes.
pub(crate) struct Echo;

impl Handler for Echo {
    fn on_data(&mut self, conn: &mut Conn<'_, '_>, data: Payload) {
        conn.send(data);
    }
}

/// A server of blocking streams that sends back what comes, a thread for each connection.
pub(crate) struct BlockingEcho {
    pub(crate) addr: SocketAddr,
    listener: Arc<TcpListener>,
    thread: Option<JoinHandle<()>>,
}

impl BlockingEcho {
    #[track_caller]
    pub(crate) fn start(reactor: &Reactor) -> Self {
        Self::start_with(reactor, Listener::builder(), |_| {})
    }

    #[track_caller]
    pub(crate) fn start_with(
        reactor: &Reactor,
        builder: ListenerBuilder,
        prepare: fn(&TcpStream),
    ) -> Self {
        let listener = Arc::new(builder.bind(reactor, "127.0.0.1:0").expect("a listener"));
        let accepting = Arc::clone(&listener);
        let thread = thread::spawn(move || {
            while let Ok((mut stream, _)) = accepting.accept() {
                stream.set_deadline(Some(Instant::now() + LONG));
                prepare(&stream);
                thread::spawn(move || {
                    let mut buffer = [0; 16 * 1024];
                    // a peer that resets ends it too
                    while let Ok(count @ 1..) = stream.read(&mut buffer) {
                        if stream.write_all(&buffer[..count]).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self { addr: listener.local_addr(), listener, thread: Some(thread) }
    }
}

impl Drop for BlockingEcho {
    fn drop(&mut self) {
        self.listener.shutdown();
        let ended = self.thread.take().expect("joined once").join();
        assert!(ended.is_ok() || thread::panicking(), "the server has panicked");
    }
}

/// A closure that is called with what happens to a connection.
pub(crate) struct Probe<F>(pub(crate) F);

/// What happens to a connection.
pub(crate) enum Seen<'a, 'c, 'l> {
    Open(&'a mut Conn<'c, 'l>),
    Data(&'a mut Conn<'c, 'l>, Payload),
    Eof(&'a mut Conn<'c, 'l>),
    Drain(&'a mut Conn<'c, 'l>),
    Deadline(&'a mut Conn<'c, 'l>),
    Close(Option<std::io::Error>),
}

impl<F: FnMut(Seen<'_, '_, '_>) + 'static> Handler for Probe<F> {
    fn on_open(&mut self, conn: &mut Conn<'_, '_>) {
        (self.0)(Seen::Open(conn));
    }
    fn on_data(&mut self, conn: &mut Conn<'_, '_>, data: Payload) {
        (self.0)(Seen::Data(conn, data));
    }
    fn on_eof(&mut self, conn: &mut Conn<'_, '_>) {
        (self.0)(Seen::Eof(conn));
    }
    fn on_drain(&mut self, conn: &mut Conn<'_, '_>) {
        (self.0)(Seen::Drain(conn));
    }
    fn on_deadline(&mut self, conn: &mut Conn<'_, '_>) {
        (self.0)(Seen::Deadline(conn));
    }
    fn on_close(&mut self, _cx: &mut Cx<'_>, error: Option<std::io::Error>) {
        (self.0)(Seen::Close(error));
    }
}

/// A closure as a handler.
pub(crate) fn probe<F: FnMut(Seen<'_, '_, '_>) + 'static>(call: F) -> Probe<F> {
    Probe(call)
}

/// Numbers that look random, the same for the same seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2) + 0x9e37_79b9_7f4a_7c15)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).expect("31 bits") % limit
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        for eight in bytes.chunks_mut(8) {
            eight.copy_from_slice(&self.next().to_le_bytes()[..eight.len()]);
        }
        bytes
    }
}

/// Compares long data without printing all of it.
#[track_caller]
pub(crate) fn assert_same(got: &[u8], sent: &[u8]) {
    let wrong = got.iter().zip(sent).position(|(got, sent)| got != sent);
    assert_eq!(wrong, None, "the first wrong byte, of {}", sent.len());
    assert_eq!(got.len(), sent.len(), "the number of bytes");
}

/// Everything until the end.
#[track_caller]
pub(crate) fn read_to_end(mut peer: &Peer) -> Vec<u8> {
    let mut all = Vec::new();
    peer.read_to_end(&mut all).expect("an orderly end");
    all
}

/// This many bytes.
#[track_caller]
pub(crate) fn read(mut peer: &Peer, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    peer.read_exact(&mut bytes).expect("as many bytes as were sent");
    bytes
}

/// Sends and expects it back.
#[track_caller]
pub(crate) fn ping(mut peer: &Peer, bytes: &[u8]) {
    peer.write_all(bytes).expect("the server reads");
    assert_same(&read(peer, bytes.len()), bytes);
}

/// Waits until something is true that no event tells.
#[track_caller]
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let limit = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < limit, "not within {LONG:?}: {what}");
        thread::yield_now();
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

/// What a thread returns.
#[track_caller]
pub(crate) fn join<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("the thread has not panicked")
}

/// How many descriptors this process has.
#[track_caller]
pub(crate) fn open_descriptors() -> usize {
    // one of them reads the directory
    fs::read_dir("/proc/self/fd").expect("procfs").count() - 1
}

/// Sets how many descriptors this process may have, and gives back how many it might have had.
#[track_caller]
pub(crate) fn limit_descriptors(count: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes one `rlimit`.
    let answer = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    assert_eq!(answer, 0, "getrlimit");
    let before = limit.rlim_cur;
    limit.rlim_cur = count.min(limit.rlim_max);
    // SAFETY: the call reads one `rlimit`.
    let answer = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(answer, 0, "setrlimit");
    before
}
