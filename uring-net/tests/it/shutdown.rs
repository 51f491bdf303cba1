//! What the end of a reactor does to those who wait, and to those who come late.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use testing::{LONG, descriptors, get, rounds, thread_id, until, until_asleep};
use uring_net::{Listener, TcpListener, TcpStream};

use crate::{
    blocking::{SOON, pair},
    util::{ECONNABORTED, Echo, Seen, assert_same, join, peer, probe, reactor, read_to_end, serve},
};

#[test]
fn it_wakes_readers_and_writers_with_an_error() {
    need_loops!();
    let reactor = reactor(2);
    let (first, _peer) = pair(&reactor);
    let (second, _other) = pair(&reactor);
    let (id, ids) = mpsc::channel();
    let sender = id.clone();
    let mut stream = first.clone();
    let reader = thread::spawn(move || {
        sender.send(thread_id()).expect("the test waits");
        stream.read(&mut [0]).expect_err("nobody sends")
    });
    let mut stream = second.clone();
    let writer = thread::spawn(move || {
        id.send(thread_id()).expect("the test waits");
        loop {
            if let Err(error) = stream.write(&[1; 100_000]) {
                return error;
            }
        }
    });
    until_asleep(get(&ids));
    until_asleep(get(&ids));
    // the peer of the writer takes nothing
    let report = reactor.shutdown(Duration::from_millis(200));
    assert_eq!((report.leaked, report.failed_loops), (0, 0), "{report}");
    for error in [join(reader), join(writer)] {
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{error}");
    }
    // and whoever comes later
    let mut late = first;
    assert_eq!(late.read(&mut [0]).expect_err("no loop").raw_os_error(), Some(ECONNABORTED));
    assert_eq!(late.write(&[0]).expect_err("no loop").raw_os_error(), Some(ECONNABORTED));
    late.flush().expect("nothing was written");
}

#[test]
fn bytes_that_did_not_go_out_are_not_flushed() {
    need_loops!();
    let reactor = reactor(1);
    let (mut stream, _peer) = pair(&reactor);
    stream.set_write_deadline(Some(Instant::now() + SOON));
    while stream.write(&[1; 100_000]).is_ok() {}
    stream.set_write_deadline(None);
    stream.shutdown(std::net::Shutdown::Write).expect("a connection");
    reactor.shutdown(Duration::from_millis(100));
    let error = stream.flush().expect_err("the queue was not empty");
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{error}");
}

#[test]
fn the_peer_of_a_stream_learns_of_it_while_the_stream_is_held() {
    need_loops!();
    let reactor = reactor(1);
    let (stream, peer) = pair(&reactor);
    reactor.shutdown(LONG);
    assert_same(&read_to_end(&peer), b"");
    drop(stream);
}

#[test]
fn it_wakes_a_thread_that_connects() {
    need_loops!();
    // a queue that is full drops what more comes, and the kernel tries again for minutes
    let socket =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().expect("an address");
    socket.bind(&any.into()).expect("a port");
    socket.listen(0).expect("a listener");
    let addr = socket.local_addr().expect("an address").as_socket().expect("IPv4");
    let reactor = Arc::new(reactor(1));
    let handle = reactor.handle().clone();
    let connecting = Arc::clone(&reactor);
    let (sender, id) = mpsc::channel();
    let thread = thread::spawn(move || {
        // the first ones find room in the queue
        let mut streams = Vec::new();
        for _ in 0..5 {
            let start = Instant::now();
            sender.send(thread_id()).expect("the test waits");
            match TcpStream::connect(&connecting, addr) {
                Ok(stream) => streams.push(stream),
                Err(error) => return Some((error, start.elapsed())),
            }
        }
        None
    });
    // the one that waits, and no other, sleeps for so long
    let waits = Duration::from_millis(200);
    let mut asleep = get(&id);
    let quiet = loop {
        match id.recv_timeout(waits) {
            Ok(next) => asleep = next,
            Err(quiet) => break quiet,
        }
    };
    if quiet == mpsc::RecvTimeoutError::Timeout {
        until_asleep(asleep);
    }
    handle.shutdown(LONG).expect("the loop runs");
    until("the loop has ended", || handle.run(|_| {}).is_err());
    let Some((error, waited)) = join(thread) else {
        skip!("a full queue takes connections here");
    };
    assert_eq!(error.kind(), ErrorKind::NotConnected, "{error}");
    assert!(waited >= waits && waited < LONG, "it was woken: {waited:?}");
    let error = TcpStream::connect(&reactor, addr).expect_err("no loop");
    assert_eq!(error.kind(), ErrorKind::NotConnected, "{error}");
    let error = TcpListener::bind(&reactor, "127.0.0.1:0").expect_err("no loop");
    assert_eq!(error.kind(), ErrorKind::NotConnected, "{error}");
    let builder = Listener::builder();
    let error = builder.serve(&reactor, "127.0.0.1:0", || Echo).expect_err("no loop");
    assert_eq!(error.kind(), ErrorKind::NotConnected, "{error}");
}

#[test]
fn connections_that_come_meanwhile_do_not_keep_it() {
    need_loops!();
    isolated!();
    let before = descriptors();
    for round in 0..rounds(40) {
        let reactor = reactor(2);
        let listener = serve(&reactor, || Echo);
        let addr = listener.local_addr();
        let over = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let over = Arc::clone(&over);
                thread::spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        let Ok(mut peer) = std::net::TcpStream::connect(addr) else { break };
                        let _sent = peer.write_all(b"hello");
                    }
                })
            })
            .collect();
        until("some are accepted", || listener.stats().accepted > 5);
        let start = Instant::now();
        let report = reactor.shutdown(LONG);
        assert!(start.elapsed() < LONG / 4, "round {round}: {:?}, {report}", start.elapsed());
        assert_eq!((report.leaked, report.failed_loops), (0, 0), "round {round}: {report}");
        over.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(join);
        drop(listener);
        assert_eq!(descriptors(), before, "round {round}");
    }
}

#[test]
fn a_connection_that_is_handed_to_a_loop_that_ends_does_not_keep_it() {
    need_loops!();
    let reactor = reactor(2);
    let (sender, log) = mpsc::channel();
    let listener = serve(&reactor, move || {
        let sender = sender.clone();
        probe(move |seen| match seen {
            Seen::Open(_) => sender.send("open").expect("the test listens"),
            Seen::Close(None) => sender.send("close").expect("the test listens"),
            _ => {}
        })
    });
    // the second loop hears of its end first, and then of its connection
    let second = reactor.handles().nth(1).expect("two loops").clone();
    let (go, wait) = mpsc::channel::<()>();
    second.run(move |_| wait.recv().expect("the test goes on")).expect("the loop runs");
    second.shutdown(LONG).expect("the loop runs");
    let peers = [(); 2].map(|()| peer(listener.local_addr()));
    until("both have a loop", || listener.stats().open == [1, 1]);
    go.send(()).expect("the loop waits");
    let start = Instant::now();
    until("the second loop has ended", || second.run(|_| {}).is_err());
    assert!(start.elapsed() < LONG / 4, "{:?}", start.elapsed());
    let report = reactor.shutdown(LONG);
    assert_eq!((report.leaked, report.failed_loops), (0, 0), "{report}");
    drop((listener, peers));
    let told: Vec<_> = log.iter().collect();
    let counts = ["open", "close"].map(|what| told.iter().filter(|told| **told == what).count());
    assert_eq!(counts, [2, 2], "{told:?}");
}

#[test]
fn streams_whose_peers_never_read_keep_it_no_longer_than_its_limit() {
    need_loops!();
    isolated!();
    let before = descriptors();
    let reactor = reactor(1);
    let mut peers = Vec::new();
    for _ in 0..10 {
        let (mut stream, peer) = pair(&reactor);
        stream.set_write_deadline(Some(Instant::now() + SOON));
        while stream.write(&[1; 100_000]).is_ok() {}
        peers.push(peer);
        // dropped with a full queue
    }
    let start = Instant::now();
    // it is given all of the time, and no more
    let report = reactor.shutdown(Duration::from_millis(500));
    assert_eq!((report.leaked, report.failed_loops), (0, 0), "{report}");
    assert!(start.elapsed() < LONG / 2, "{:?}", start.elapsed());
    drop(peers);
    assert_eq!(descriptors(), before);
}
