//! What a handler is told, how often, and what it may do meanwhile.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, TcpStream as Peer},
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

use socket2::SockRef;
use testing::{LONG, Random, get};
use uring_net::{Listener, Lost, uring_reactor::Reactor};

use crate::util::{
    ECONNRESET, Echo, Seen, assert_same, peer, ping, probe, reactor, read, read_to_end, reset,
    serve,
};

/// A reactor, a listener, and what happened to its connections.
struct Logged {
    reactor: Reactor,
    listener: Listener,
    log: Receiver<String>,
}

/// Serves with `act`, and writes down what it is told.
#[track_caller]
fn logged(act: impl Fn(Seen<'_, '_, '_>) + Clone + Send + Sync + 'static) -> Logged {
    let reactor = reactor(1);
    let (sender, log) = mpsc::channel();
    // so that what is queued does not stop what arrives
    let builder = Listener::builder().outbound_bytes_max(1 << 30);
    let make = move || {
        let (sender, act) = (sender.clone(), act.clone());
        probe(move |seen| {
            let text = match &seen {
                Seen::Open(_) => "open".to_owned(),
                Seen::Data(_, data) => format!("data {}", String::from_utf8_lossy(data)),
                Seen::Eof(_) => "eof".to_owned(),
                Seen::Drain(_) => "drain".to_owned(),
                Seen::Deadline(_) => "deadline".to_owned(),
                Seen::Close(None) => "close".to_owned(),
                Seen::Close(Some(error)) => match Lost::of(error) {
                    Some(_) => format!("close lost {:?}", error.kind()),
                    None => format!("close {:?}", error.raw_os_error()),
                },
            };
            // before it acts: it may panic
            sender.send(text).expect("the test listens");
            act(seen);
        })
    };
    let listener = builder.serve(&reactor, "127.0.0.1:0", make).expect("a listener");
    Logged { reactor, listener, log }
}

impl Logged {
    fn peer(&self) -> Peer {
        peer(self.listener.local_addr())
    }

    /// Waits for such an entry; those before it are given back with it.
    #[track_caller]
    fn until(&self, entry: &str) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            all.push(get(&self.log));
            if all.last().is_some_and(|last| last.starts_with(entry)) {
                return all;
            }
        }
    }

    /// What happened after all of that: the reactor has ended.
    #[track_caller]
    fn rest(self) -> Vec<String> {
        let report = self.reactor.shutdown(LONG);
        assert_eq!(report.leaked, 0, "{report}");
        drop(self.listener);
        self.log.iter().collect()
    }
}

/// What a handler does that only wants to see.
fn watch(_: Seen<'_, '_, '_>) {}

/// The default of an end.
fn finish_at_eof(seen: Seen<'_, '_, '_>) {
    if let Seen::Eof(conn) = seen {
        conn.finish();
    }
}

#[test]
fn a_connection_that_both_sides_finish_closes_once_without_an_error() {
    need_loops!();
    let server = logged(finish_at_eof);
    let peer = server.peer();
    (&peer).write_all(b"hello").expect("the server reads");
    assert_eq!(server.until("data"), ["open", "data hello"]);
    peer.shutdown(Shutdown::Write).expect("a connection");
    assert_same(&read_to_end(&peer), b"");
    assert_eq!(server.until("close"), ["eof", "close"]);
    assert_eq!(server.rest(), [""; 0]);
}

#[test]
fn a_reset_closes_once_with_that_error() {
    need_loops!();
    let server = logged(watch);
    let peer = server.peer();
    server.until("open");
    reset(peer);
    assert_eq!(server.until("close"), [format!("close {:?}", Some(ECONNRESET))]);
    assert_eq!(server.rest(), [""; 0]);
}

#[test]
fn an_abort_with_a_send_in_flight_says_that_bytes_were_lost() {
    need_loops!();
    let server = logged(|seen| match seen {
        Seen::Open(conn) => {
            // the socket is full, so that not one byte of the send goes out
            let socket = SockRef::from(&*conn);
            while socket.send_with_flags(&[1; 100_000], libc::MSG_DONTWAIT).is_ok() {}
            while socket.send_with_flags(&[1], libc::MSG_DONTWAIT).is_ok() {}
            assert!(conn.send("in flight"));
        }
        Seen::Data(conn, _) => {
            conn.abort();
            assert!(!conn.send("late"), "what will not go out is refused");
        }
        _ => {}
    });
    let mut peer = server.peer();
    peer.read_exact(&mut [0]).expect("the send is in flight");
    peer.write_all(b"stop").expect("the server reads");
    let told = ["open", "data stop", "close lost ConnectionAborted"];
    assert_eq!(server.until("close"), told);
    assert_eq!(server.rest(), [""; 0]);
}

#[test]
fn a_shutdown_of_the_reactor_closes_each_connection_once_without_an_error() {
    need_loops!();
    let server = logged(watch);
    let _peers = [server.peer(), server.peer()];
    server.until("open");
    server.until("open");
    assert_eq!(server.rest(), ["close", "close"]);
}

#[test]
fn close_sends_what_is_queued_and_does_not_wait_for_the_peer_to_finish() {
    need_loops!();
    let server = logged(|seen| {
        if let Seen::Open(conn) = seen {
            assert!(conn.send(vec![5; 1 << 20]));
            assert!(conn.send("the end"));
            conn.close();
            assert!(!conn.send("late"));
        }
    });
    let peer = server.peer();
    let all = read_to_end(&peer);
    assert_eq!(all.len(), (1 << 20) + 7);
    assert!(all.ends_with(b"\x05the end"));
    // the peer still has its side open
    assert_eq!(server.until("close").last().expect("an entry"), "close");
    assert_eq!(server.rest(), [""; 0]);
}

#[test]
fn finish_ends_one_direction_and_data_still_arrives() {
    need_loops!();
    let server = logged(|seen| {
        if let Seen::Open(conn) = seen {
            assert!(conn.send("bye"));
            conn.finish();
            assert!(!conn.send("late"));
        }
    });
    let peer = server.peer();
    assert_same(&read_to_end(&peer), b"bye");
    (&peer).write_all(b"still here").expect("the server reads");
    server.until("data still here");
    drop(peer);
    assert_eq!(server.until("close"), ["eof", "close"]);
    assert_eq!(server.rest(), [""; 0]);
}

#[test]
fn after_close_and_after_abort_a_handler_hears_only_that_it_is_closed() {
    need_loops!();
    let server = logged(|seen| {
        if let Seen::Data(conn, data) = seen {
            conn.set_deadline(Some(Instant::now()));
            if data.starts_with(b"c") { conn.close() } else { conn.abort() }
        }
    });
    for text in ["close", "abort"] {
        let mut peer = server.peer();
        peer.write_all(text.as_bytes()).expect("the server reads");
        let _more_or_reset = peer.write_all(b"more");
        let _end_or_reset = peer.read(&mut [0]);
        let seen = server.until("close");
        assert!(seen[1].starts_with(&format!("data {text}")), "{seen:?}");
        assert_eq!(&seen[2..], ["close"], "{seen:?}");
    }
    assert_eq!(server.rest(), [""; 0]);
}

/// Waits for the end, which may be a reset.
#[track_caller]
fn assert_over(peer: &mut Peer) {
    // unlike `read`, it goes on after a signal
    match peer.read_exact(&mut [0]).expect_err("nobody sends") {
        error if error.kind() == ErrorKind::UnexpectedEof => {}
        error => assert_eq!(error.raw_os_error(), Some(ECONNRESET), "{error}"),
    }
}

#[test]
fn a_deadline_is_void_after_close() {
    need_loops!();
    let server = logged(|seen| {
        if let Seen::Open(conn) = seen {
            conn.set_deadline(Some(Instant::now() + Duration::from_millis(50)));
        } else if let Seen::Data(conn, _) = seen {
            conn.send(vec![1; 16 << 20]);
            conn.close();
        }
    });
    let peer = server.peer();
    (&peer).write_all(b"x").expect("the server reads");
    server.until("data");
    // the peer does not read before the deadline has passed
    let nothing = server.log.recv_timeout(Duration::from_millis(150));
    assert!(nothing.is_err(), "{nothing:?}");
    assert_eq!(read_to_end(&peer).len(), 16 << 20);
    assert_eq!(server.rest(), ["close"]);
}

#[test]
fn a_handler_that_panics_ends_its_connection_and_no_other() {
    const IN_FLIGHT: usize = 64 << 20;
    need_loops!();
    let server = logged(|seen| match seen {
        Seen::Open(conn) => conn.set_deadline(Some(Instant::now() + LONG)),
        Seen::Data(conn, data) if data.starts_with(b"later") => {
            conn.set_deadline(Some(Instant::now()));
        }
        Seen::Data(conn, data) => {
            if data.starts_with(b"in flight") {
                conn.send(vec![1; IN_FLIGHT]); // more than any socket takes
            }
            assert_eq!(&data[..], b"alive", "meant to fail");
        }
        Seen::Deadline(_) => panic!("meant to fail"),
        Seen::Eof(_) => panic!("meant to fail"),
        _ => {}
    });
    let mut other = server.peer();
    for cause in ["panic", "later", "", "in flight"] {
        let mut peer = server.peer();
        if cause.is_empty() {
            peer.shutdown(Shutdown::Write).expect("a connection");
        } else {
            peer.write_all(cause.as_bytes()).expect("sent");
        }
        // the peer says nothing more, and still learns that it is over
        if cause == "in flight" {
            let mut part = Vec::new();
            if let Err(error) = peer.read_to_end(&mut part) {
                assert_eq!(error.raw_os_error(), Some(ECONNRESET), "{error}");
            }
            assert!(part.len() < IN_FLIGHT, "it was cut off");
        } else {
            assert_over(&mut peer);
        }
    }
    other.write_all(b"alive").expect("the server reads");
    server.until("data alive");
    let open: usize = server.listener.stats().open.iter().sum();
    assert_eq!(open, 1, "the others are gone");
    assert_eq!(server.reactor.stats().panics, 4);
}

#[test]
fn a_panic_while_a_handler_is_made_costs_that_connection_only() {
    need_loops!();
    let reactor = reactor(1);
    let count = std::sync::atomic::AtomicUsize::new(0);
    let listener = serve(&reactor, move || {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        assert!(number != 0, "meant to fail");
        Echo
    });
    let first = peer(listener.local_addr());
    assert!(matches!((&first).read(&mut [0]), Ok(0) | Err(_)), "it is closed");
    ping(&peer(listener.local_addr()), b"accepted");
}

#[test]
fn a_deadline_calls_once_and_ends_the_connection_unless_the_handler_minds() {
    need_loops!();
    let server = logged(|seen| {
        if let Seen::Open(conn) = seen {
            conn.set_deadline(Some(Instant::now() + Duration::from_millis(20)));
        }
    });
    let mut minded = server.peer();
    assert_eq!(server.until("deadline"), ["open", "deadline"]);
    let nothing = server.log.recv_timeout(Duration::from_millis(50));
    assert!(nothing.is_err(), "once, and the connection goes on: {nothing:?}");
    minded.write_all(b"goes on").expect("the server reads");
    assert_eq!(server.until("data"), ["data goes on"]);
    assert_eq!(server.rest(), ["close"]);

    let reactor = reactor(1);
    struct Default;
    impl uring_net::Handler for Default {
        fn on_open(&mut self, conn: &mut uring_net::Conn<'_, '_>) {
            conn.set_deadline(Some(Instant::now() + Duration::from_millis(20)));
        }
        fn on_data(
            &mut self,
            _: &mut uring_net::Conn<'_, '_>,
            _: uring_net::uring_reactor::uring::Payload,
        ) {
        }
    }
    let listener = serve(&reactor, || Default);
    let start = Instant::now();
    assert_same(&read_to_end(&peer(listener.local_addr())), b"");
    assert!(start.elapsed() >= Duration::from_millis(20), "{:?}", start.elapsed());
}

#[test]
fn a_deadline_can_be_moved_both_ways_and_cleared() {
    need_loops!();
    let server = logged(|seen| match seen {
        Seen::Open(conn) => conn.set_deadline(Some(Instant::now() + LONG)),
        Seen::Data(conn, data) => match &data[..] {
            b"earlier" => conn.set_deadline(Some(Instant::now() + Duration::from_millis(20))),
            b"later" => {
                conn.set_deadline(Some(Instant::now() + Duration::from_millis(1)));
                conn.set_deadline(Some(Instant::now() + LONG));
            }
            b"cleared" => {
                conn.set_deadline(Some(Instant::now() + Duration::from_millis(1)));
                conn.set_deadline(None);
            }
            _ => {}
        },
        _ => {}
    });
    let mut peer = server.peer();
    server.until("open");
    for (message, calls) in [("earlier", 1), ("later", 0), ("cleared", 0), ("earlier", 1)] {
        peer.write_all(message.as_bytes()).expect("the server reads");
        server.until(&format!("data {message}"));
        if calls == 1 {
            assert_eq!(server.until("deadline"), ["deadline"]);
        } else {
            // long enough for one that was not moved
            let nothing = server.log.recv_timeout(Duration::from_millis(50));
            assert!(nothing.is_err(), "{nothing:?}");
        }
    }
    assert_eq!(server.rest(), ["close"]);
}

#[test]
fn a_paused_connection_gets_its_data_when_it_goes_on() {
    need_loops!();
    let server = logged(|seen| match seen {
        Seen::Open(conn) => {
            conn.pause();
            conn.set_deadline(Some(Instant::now() + Duration::from_millis(50)));
        }
        Seen::Deadline(conn) => conn.resume(),
        Seen::Data(conn, data) if data.starts_with(b"pause") => {
            conn.pause();
            conn.set_deadline(Some(Instant::now() + Duration::from_millis(50)));
        }
        _ => {}
    });
    let mut peer = server.peer();
    peer.write_all(b"one").expect("room in the socket");
    assert_eq!(server.until("data one"), ["open", "deadline", "data one"]);
    peer.write_all(b"pause").expect("the server reads");
    server.until("data pause");
    peer.write_all(b"two").expect("room in the socket");
    assert_eq!(server.until("data two").first().expect("an entry"), "deadline");
    assert_eq!(server.rest(), ["close"]);
}

#[test]
fn a_paused_connection_that_is_reset_is_told_and_gone() {
    need_loops!();
    let server = logged(|seen| {
        if let Seen::Open(conn) = seen {
            conn.pause();
        }
    });
    let peers: Vec<_> = (0..20).map(|_| server.peer()).collect();
    peers.iter().for_each(|_| drop(server.until("open")));
    peers.into_iter().for_each(reset);
    for _ in 0..20 {
        assert_eq!(server.until("close"), [format!("close {:?}", Some(ECONNRESET))]);
    }
    assert_eq!(server.listener.stats().open, [0]);
    assert_eq!(server.rest(), [""; 0]);
}

#[test]
fn on_drain_paces_a_sender_and_no_byte_is_lost() {
    need_loops!();
    const TOTAL: usize = 8 << 20;
    const PIECE: usize = 10_000;
    let reactor = reactor(1);
    let data: std::sync::Arc<[u8]> = Random::new(9).bytes(TOTAL).into();
    let (sender, most) = mpsc::channel();
    let source = std::sync::Arc::clone(&data);
    let listener = serve(&reactor, move || {
        let (source, sender) = (std::sync::Arc::clone(&source), sender.clone());
        let mut at = 0;
        probe(move |seen| match seen {
            Seen::Open(conn) | Seen::Drain(conn) => {
                while at < TOTAL && conn.queued() < 128 * 1024 {
                    let piece = &source[at..TOTAL.min(at + PIECE)];
                    assert!(conn.send(piece.to_vec()));
                    at += piece.len();
                }
                sender.send(conn.queued()).expect("the test listens");
                if at == TOTAL {
                    conn.finish();
                }
            }
            _ => {}
        })
    });
    let peer = peer(listener.local_addr());
    let mut got = Vec::with_capacity(TOTAL);
    while got.len() < TOTAL {
        let next = read(&peer, 65_536.min(TOTAL - got.len()));
        got.extend_from_slice(&next);
    }
    assert_same(&read_to_end(&peer), b"");
    assert_same(&got, &data);
    let most = most.try_iter().max().expect("it was called");
    assert!(most <= 128 * 1024 + PIECE, "{most}");
}
