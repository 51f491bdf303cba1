//! Time limits that are too long to wait for from outside: here they are short.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream as Peer,
    thread,
    time::{Duration, Instant},
};

use uring_reactor::{Reactor, uring::Payload};

use crate::{Conn, Handler, Listener};

const LONG: Duration = Duration::from_secs(20);

/// Sends more than any socket takes, and closes.
struct SendAndClose;

impl Handler for SendAndClose {
    fn on_open(&mut self, conn: &mut Conn<'_, '_>) {
        conn.send(vec![1; 64 << 20]);
        conn.close();
    }

    fn on_data(&mut self, _: &mut Conn<'_, '_>, _: Payload) {}
}

/// A reactor, where there can be one; what is refused elsewhere is for the tests outside.
fn reactor() -> Option<Reactor> {
    uring_reactor::check().ok()?;
    Some(Reactor::builder().build().unwrap())
}

/// Waits until no connection is open.
#[track_caller]
fn assert_ends(open: impl Fn() -> Vec<usize>, start: Instant) {
    while open() != [0] {
        assert!(start.elapsed() < LONG, "a peer that does not read keeps its connection");
        thread::yield_now();
    }
    // what was queued had this long to go out
    assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
}

#[test]
fn a_closed_connection_whose_peer_does_not_read_ends_after_the_limit() {
    let Some(reactor) = reactor() else { return };
    let listener = Listener::builder().serve(&reactor, "127.0.0.1:0", || SendAndClose).unwrap();
    let start = Instant::now();
    let mut peer = Peer::connect(listener.local_addr()).unwrap();
    peer.set_read_timeout(Some(LONG)).unwrap();
    peer.read_exact(&mut [0]).unwrap(); // it is accepted, and sends
    assert_ends(|| listener.stats().open, start);
    let mut rest = Vec::new();
    let end = peer.read_to_end(&mut rest);
    assert!(end.is_ok() || end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    assert!(rest.len() < 64 << 20, "{}", rest.len());
}

#[test]
fn a_dropped_stream_whose_peer_does_not_read_ends_after_the_limit() {
    let Some(reactor) = reactor() else { return };
    let listener = crate::TcpListener::bind(&reactor, "127.0.0.1:0").unwrap();
    let _peer = Peer::connect(listener.local_addr()).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_write_deadline(Some(Instant::now()));
    while stream.write(&[1; 100_000]).is_ok() {}
    let start = Instant::now();
    drop(stream);
    assert_ends(|| listener.stats().open, start);
}
