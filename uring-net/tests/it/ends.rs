//! How a connection ends: what the peer sees, by plain sockets, and what this side is told.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpListener as PeerListener, TcpStream as Peer},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use socket2::SockRef;
use testing::{LONG, Random, descriptors, get, limit, rounds, until};
use uring_net::{
    Conn, Listener, ListenerBuilder, Lost, TcpStream, connect,
    uring_reactor::{Reactor, uring::Payload},
};

use crate::{
    blocking::pair,
    util::{ECONNRESET, Echo, Seen, assert_same, peer, probe, reactor, read, read_to_end, serve},
};

/// What `on_close` was told: the kind of the error, and how many bytes were lost.
type End = Option<(ErrorKind, u64)>;

/// Serves with `act`; the ends of the connections come over the channel.
#[track_caller]
fn ending(
    reactor: &Reactor,
    builder: ListenerBuilder,
    act: impl Fn(Seen<'_, '_, '_>) + Clone + Send + Sync + 'static,
) -> (Listener, Receiver<End>) {
    let (sender, ends) = mpsc::channel();
    let make = move || {
        let (sender, act) = (sender.clone(), act.clone());
        probe(move |seen| match seen {
            Seen::Close(error) => {
                let lost = |e: &std::io::Error| Lost::of(e).map_or(0, Lost::bytes);
                let end = error.map(|error| (error.kind(), lost(&error)));
                sender.send(end).expect("the test listens");
            }
            seen => act(seen),
        })
    };
    (builder.serve(reactor, "127.0.0.1:0", make).expect("a listener"), ends)
}

/// Makes the kernel keep little, so that the rest is queued.
fn keep_little(conn: &Conn<'_, '_>) {
    SockRef::from(conn).set_send_buffer_size(16 * 1024).expect("an option of every socket");
}

/// A peer whose kernel keeps little too.
#[track_caller]
fn small_peer(addr: SocketAddr) -> Peer {
    let domain = socket2::Domain::for_address(addr);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(16 * 1024).expect("an option of every socket");
    socket.connect(&addr.into()).expect("the listener takes connections");
    let peer = Peer::from(socket);
    crate::util::bound(&peer);
    peer
}

/// What comes until a reset.
#[track_caller]
fn read_to_reset(mut peer: &Peer) -> Vec<u8> {
    let mut all = Vec::new();
    let error = peer.read_to_end(&mut all).expect_err("a stream that was cut is not complete");
    assert_eq!(error.raw_os_error(), Some(ECONNRESET), "{error}");
    all
}

/// Writes until nothing fits any more; says how much was taken.
fn fill(stream: &mut TcpStream) -> usize {
    // so long without room: on a slow machine it takes longer until there is none
    let patience = Duration::from_millis(500) / rounds(10);
    let mut taken = 0;
    loop {
        stream.set_write_deadline(Some(Instant::now() + patience));
        match stream.write(&[7; 100_000]) {
            Ok(count) => taken += count,
            Err(_) => break,
        }
    }
    stream.set_write_deadline(None);
    taken
}

#[test]
fn what_a_stream_took_is_delivered_before_a_shutdown_and_a_drop_of_the_reactor_return() {
    need_loops!();
    for drops in [false, true] {
        let reactor = reactor(1);
        let (mut stream, peer) = pair(&reactor);
        let taken = fill(&mut stream);
        drop(stream);
        // it starts when the end has begun, or just before
        let reader = thread::spawn(move || read_to_end(&peer));
        if drops {
            drop(reactor);
        } else {
            let report = reactor.shutdown(LONG);
            assert_eq!((report.leaked, report.failed_loops), (0, 0), "{report}");
        }
        let got = crate::util::join(reader);
        assert_eq!(got.len(), taken, "an end after fewer bytes is a lie");
    }
}

#[test]
fn what_a_handler_sent_is_delivered_before_a_shutdown_returns() {
    need_loops!();
    const BYTES: usize = 8 << 20;
    for closes in [false, true] {
        let reactor = reactor(1);
        let (listener, ends) = ending(&reactor, Listener::builder(), move |seen| {
            if let Seen::Open(conn) = seen {
                conn.send(vec![3; BYTES]);
                if closes {
                    conn.close();
                }
            }
        });
        let peer = peer(listener.local_addr());
        (&peer).read_exact(&mut [0]).expect("it sends");
        let reader = thread::spawn(move || read_to_end(&peer));
        let report = reactor.shutdown(LONG);
        assert_eq!((report.leaked, report.failed_loops), (0, 0), "{report}");
        assert_eq!(crate::util::join(reader).len(), BYTES - 1);
        assert_eq!(get(&ends), None);
        assert_eq!(listener.stats().lost_bytes, 0);
    }
}

#[test]
fn a_stream_that_is_held_at_a_shutdown_sends_what_it_took_and_takes_no_more() {
    need_loops!();
    let reactor = reactor(1);
    let (mut stream, peer) = pair(&reactor);
    let taken = fill(&mut stream);
    let reader = thread::spawn(move || read_to_end(&peer));
    reactor.shutdown(LONG);
    assert_eq!(crate::util::join(reader).len(), taken);
    stream.flush().expect("everything has gone out");
    let error = stream.write(b"late").expect_err("the loop has ended");
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{error}");
}

#[test]
fn what_a_peer_does_not_take_until_the_deadline_is_reset_and_counted_to_the_byte() {
    need_loops!();
    let reactor = reactor(1);
    let (mut stream, peer) = pair(&reactor);
    let taken = fill(&mut stream);
    reactor.shutdown(Duration::from_millis(200));
    let error = stream.flush().expect_err("not everything has gone out");
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{error}");
    let lost = Lost::of(&error).expect("it says how much").bytes();
    assert_eq!(read_to_reset(&peer).len() as u64 + lost, taken as u64);
}

#[test]
fn a_shutdown_with_fast_slow_and_dead_readers_adds_up() {
    need_loops!();
    isolated!();
    limit(libc::RLIMIT_NOFILE, 8192);
    const BYTES: usize = 200_000;
    let reactor = reactor(2);
    let (sender, ends) = mpsc::channel();
    let listener = serve(&reactor, move || {
        let sender = sender.clone();
        let mut port = 0;
        probe(move |seen| match seen {
            Seen::Open(conn) => {
                keep_little(conn);
                port = conn.peer_addr().expect("a peer").port();
                conn.send(&[5; BYTES][..]);
            }
            Seen::Close(error) => {
                let lost = error.as_ref().and_then(Lost::of).map_or(0, Lost::bytes);
                sender.send((port, lost)).expect("the test listens");
            }
            _ => {}
        })
    });
    let count = rounds(1000);
    let peers: Vec<_> = (0..count).map(|_| small_peer(listener.local_addr())).collect();
    peers.iter().for_each(|mut peer| peer.read_exact(&mut [0]).expect("it sends"));
    let addr = |peer: &Peer| peer.local_addr().expect("an address").port();
    let ports: Vec<_> = peers.iter().map(addr).collect();
    let (dead, live): (Vec<_>, Vec<_>) =
        peers.into_iter().enumerate().partition(|(number, _)| number % 3 == 0);
    let readers = thread::spawn(move || {
        // the fast ones read what there is, the slow ones a little, in turns
        let mut left: Vec<_> = live.into_iter().map(|(number, peer)| (number, peer, 1)).collect();
        let mut whole = Vec::new();
        let mut buffer = [0; 16 * 1024];
        while !left.is_empty() {
            left.retain_mut(|(number, peer, got)| {
                let piece = if *number % 3 == 1 { buffer.len() } else { 2000 };
                let bytes = peer.read(&mut buffer[..piece]).expect("it is not cut");
                *got += bytes;
                if bytes == 0 {
                    whole.push((*number, *got));
                }
                bytes > 0
            });
        }
        whole
    });
    let report = reactor.shutdown(Duration::from_secs(5));
    assert_eq!((report.leaked, report.failed_loops), (0, 0), "{report}");
    let mut got = crate::util::join(readers);
    assert!(got.iter().all(|(_, bytes)| *bytes == BYTES), "all that read have everything");
    got.extend(dead.iter().map(|(number, peer)| (*number, 1 + read_to_reset(peer).len())));
    let stats = listener.stats();
    drop(listener);
    let lost: std::collections::HashMap<_, _> = ends.iter().collect();
    assert_eq!(lost.len(), count, "each was told");
    for (number, bytes) in got {
        assert_eq!(bytes as u64 + lost[&ports[number]], BYTES as u64, "of {number}");
    }
    assert_eq!(stats.lost_connections, dead.len() as u64);
    assert_eq!(stats.lost_bytes, lost.values().sum::<u64>());
    assert_eq!(stats.open, [0, 0]);
}

#[test]
fn close_goes_on_as_long_as_the_peer_takes_something() {
    need_loops!();
    const BYTES: usize = 400_000;
    let limit = Duration::from_millis(200);
    let reactor = reactor(1);
    let builder = Listener::builder().stall_limit(limit);
    let (listener, ends) = ending(&reactor, builder, |seen| {
        if let Seen::Open(conn) = seen {
            keep_little(conn);
            conn.send(vec![1; BYTES]);
            conn.close();
        }
    });
    let mut peer = small_peer(listener.local_addr());
    let start = Instant::now();
    let (mut got, mut buffer) = (0, [0; 8000]);
    loop {
        let count = match peer.read(&mut buffer) {
            // with a timeout it does, whenever a thread is stopped and goes on (signal(7))
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            count => count.expect("it is not cut"),
        };
        got += count;
        if count == 0 {
            break;
        }
        // a slow reader: four times the limit for all of it
        let pace =
            limit * 4 * u32::try_from(got).expect("few") / u32::try_from(BYTES).expect("few");
        until("its time has come", || start.elapsed() >= pace);
    }
    assert_eq!(got, BYTES);
    assert!(start.elapsed() > 3 * limit);
    assert_eq!(get(&ends), None);
}

#[test]
fn close_gives_up_when_the_peer_takes_nothing_and_says_what_was_lost() {
    need_loops!();
    const BYTES: usize = 4 << 20;
    let limit = Duration::from_millis(200);
    let reactor = reactor(1);
    let builder = Listener::builder().stall_limit(limit);
    let (listener, ends) = ending(&reactor, builder, |seen| {
        if let Seen::Open(conn) = seen {
            keep_little(conn);
            conn.send(vec![1; BYTES]);
            conn.close();
        }
    });
    let peer = small_peer(listener.local_addr());
    let start = Instant::now();
    let Some((kind, lost)) = get(&ends) else { panic!("bytes were lost") };
    assert!(start.elapsed() >= limit, "{:?}", start.elapsed());
    assert_eq!(kind, ErrorKind::TimedOut);
    assert_eq!(read_to_reset(&peer).len() as u64 + lost, BYTES as u64);
    let stats = listener.stats();
    assert_eq!((stats.lost_connections, stats.lost_bytes), (1, lost));
}

#[test]
fn a_stream_that_was_dropped_gives_up_in_the_same_way() {
    need_loops!();
    let reactor = reactor(1);
    let limit = Duration::from_millis(100);
    let builder = Listener::builder().stall_limit(limit);
    let listener = builder.bind(&reactor, "127.0.0.1:0").expect("a listener");
    let peer = peer(listener.local_addr());
    let (mut stream, _) = listener.accept().expect("a connection");
    let taken = fill(&mut stream);
    let start = Instant::now();
    drop(stream);
    until("it has ended", || listener.stats().open == [0]);
    assert!(start.elapsed() >= limit, "{:?}", start.elapsed());
    let got = read_to_reset(&peer).len() as u64;
    assert_eq!(got + listener.stats().lost_bytes, taken as u64);
}

#[test]
fn abort_and_a_panic_are_resets_and_what_they_cost_is_counted() {
    need_loops!();
    const BYTES: usize = 4 << 20;
    for panics in [false, true] {
        let reactor = reactor(1);
        // or it would not hear
        let builder = Listener::builder().hold_back(false);
        let (listener, ends) = ending(&reactor, builder, move |seen| match seen {
            Seen::Open(conn) => {
                keep_little(conn);
                conn.send(vec![1; BYTES]);
            }
            Seen::Data(..) if panics => panic!("meant to fail"),
            Seen::Data(conn, _) => conn.abort(),
            _ => {}
        });
        let peer = small_peer(listener.local_addr());
        (&peer).write_all(b"end").expect("the server reads");
        until("it has ended", || listener.stats().lost_connections == 1);
        let lost = listener.stats().lost_bytes;
        if !panics {
            assert_eq!(get(&ends), Some((ErrorKind::ConnectionAborted, lost)));
        }
        let all = read_to_reset(&peer).len() as u64 + lost;
        if panics {
            // what was being sent counts whole
            assert!(lost > BYTES as u64 / 2 && lost <= BYTES as u64, "{lost} of {all}");
        } else {
            // and so does what has arrived, and was not acknowledged yet
            assert!(lost < BYTES as u64 && all >= BYTES as u64, "{lost} of {all}");
        }
    }
}

#[test]
fn an_abort_with_nothing_queued_is_a_reset_too_and_no_error() {
    need_loops!();
    let reactor = reactor(1);
    let (listener, ends) = ending(&reactor, Listener::builder(), |seen| {
        if let Seen::Data(conn, _) = seen {
            conn.abort();
        }
    });
    let peer = peer(listener.local_addr());
    (&peer).write_all(b"end").expect("the server reads");
    assert_same(&read_to_reset(&peer), b"");
    assert_eq!(get(&ends), None);
}

#[test]
fn the_answer_arrives_although_the_peer_still_sends() {
    need_loops!();
    const ANSWER: usize = 3 << 20;
    const QUESTION: usize = 16 << 20;
    let reactor = reactor(1);
    let (listener, ends) = ending(&reactor, Listener::builder(), |seen| {
        if let Seen::Data(conn, _) = seen {
            conn.send(vec![9; ANSWER]);
            conn.close();
        }
    });
    for _ in 0..rounds(10) {
        let peer = peer(listener.local_addr());
        thread::scope(|scope| {
            let reader = scope.spawn(|| read_to_end(&peer));
            // all of it, long after the answer was complete
            for _ in 0..QUESTION / 65_536 {
                (&peer).write_all(&[1; 65_536]).expect("nobody resets");
            }
            let got = reader.join().expect("an orderly end");
            assert_eq!(got.len(), ANSWER);
        });
        // and after the end
        (&peer).write_all(b"more").expect("nobody resets");
        assert_eq!(get(&ends), None);
    }
}

#[test]
fn a_peer_that_says_nothing_after_the_end_keeps_the_socket_for_a_moment_only() {
    need_loops!();
    isolated!();
    let reactor = reactor(1);
    let (listener, ends) = ending(&reactor, Listener::builder(), |seen| {
        if let Seen::Open(conn) = seen {
            conn.close();
        }
    });
    let before = descriptors();
    let peer = peer(listener.local_addr());
    assert_same(&read_to_end(&peer), b"");
    assert_eq!(get(&ends), None, "it does not wait for the peer");
    until("the socket is closed", || descriptors() == before + 1);
    drop(peer);
}

#[test]
fn an_echo_server_and_a_client_that_sends_much_at_once_do_not_wait_for_each_other() {
    need_loops!();
    const BYTES: usize = 16 << 20;
    let reactor = reactor(2);
    let listener = serve(&reactor, || Echo);
    let (sender, told) = mpsc::channel();
    let mut got = 0;
    let client = probe(move |seen| match seen {
        Seen::Open(conn) => assert!(conn.send(vec![4; BYTES])),
        Seen::Data(conn, data) => {
            got += data.len();
            if got == BYTES {
                conn.finish();
            }
        }
        Seen::Close(error) => {
            let told = sender.send((got, error.map(|error| error.kind())));
            told.expect("the test listens");
        }
        _ => {}
    });
    connect(reactor.handle(), listener.local_addr(), client).expect("the loop runs");
    assert_eq!(get(&told), (BYTES, None));
}

#[test]
fn progress_of_a_large_payload_is_seen_while_it_goes_out() {
    need_loops!();
    static LARGE: [u8; 4 << 20] = [6; 4 << 20];
    let reactor = reactor(1);
    let builder = Listener::builder().hold_back(false);
    let (sender, queued) = mpsc::channel();
    let make = move || {
        let sender = sender.clone();
        probe(move |seen| match seen {
            Seen::Open(conn) => {
                keep_little(conn);
                assert!(conn.send(&LARGE[..]));
            }
            Seen::Data(conn, _) => sender.send(conn.queued()).expect("the test listens"),
            _ => {}
        })
    };
    let listener = builder.serve(&reactor, "127.0.0.1:0", make).expect("a listener");
    let mut peer = small_peer(listener.local_addr());
    let mut last = LARGE.len();
    for _ in 0..3 {
        let got = read(&peer, 1 << 20);
        assert!(got.iter().all(|byte| *byte == 6));
        peer.write_all(b"?").expect("the server reads");
        let now = get(&queued);
        assert!(now < last, "{now} after {last}");
        last = now;
    }
}

#[test]
fn a_client_is_reset_by_a_handler_whose_loop_is_told_to_end_at_once() {
    need_loops!();
    let reactor = reactor(1);
    let listener = PeerListener::bind("127.0.0.1:0").expect("a port");
    let (sender, told) = mpsc::channel();
    let data = Random::new(2).bytes(32 << 20);
    let client = probe(move |seen| match seen {
        Seen::Open(conn) => assert!(conn.send(Payload::from(data.clone()))),
        Seen::Close(error) => sender.send(error).expect("the test listens"),
        _ => {}
    });
    connect(reactor.handle(), listener.local_addr().expect("an address"), client).expect("a loop");
    let (peer, _) = listener.accept().expect("a connection");
    crate::util::bound(&peer);
    (&peer).read_exact(&mut [0]).expect("it sends");
    reactor.shutdown(Duration::ZERO);
    let error = get(&told).expect("it was cut");
    let lost = Lost::of(&error).expect("it says how much").bytes();
    assert!(error.to_string().contains(&lost.to_string()), "{error}");
    assert!(read_to_reset(&peer).len() as u64 + 1 + lost >= 32 << 20);
}
