//! What the tests share: reactors, peers, and servers for them.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream as Peer},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use testing::{LONG, Test, get, skip};
use uring_net::{
    Conn, Handler, Listener, ListenerBuilder, TcpListener, TcpStream,
    uring_reactor::{self, BuildError, Cx, Handle, Reactor, uring::Payload},
};

// errno(3)
pub(crate) const EMFILE: i32 = 24;
pub(crate) const ECONNABORTED: i32 = 103;
pub(crate) const ECONNRESET: i32 = 104;

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
        let built = Reactor::builder().build();
        assert!(matches!(built, Err(BuildError::TooOld { .. })), "{built:?}");
        return false;
    }
    skip(test, &error.to_string());
    false
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

/// What a thread returns.
#[track_caller]
pub(crate) fn join<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("the thread has not panicked")
}
