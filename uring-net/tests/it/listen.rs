//! Listeners: addresses, balance, errors, and their end.

use std::{
    fs::File,
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpListener as PeerListener, TcpStream as Peer},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use testing::{LONG, get, limit, rounds, until};
use uring_net::{Listener, TcpListener};

use crate::{
    steady::settled,
    util::{EMFILE, Echo, join, on_loop, peer, ping, reactor, reset, serve},
};

#[test]
fn a_port_in_use_is_named_in_the_error() {
    need_loops!();
    let reactor = reactor(1);
    let taken = PeerListener::bind("127.0.0.1:0").expect("a port");
    let addr = taken.local_addr().expect("an address");
    let ours = serve(&reactor, || Echo);
    for addr in [addr, ours.local_addr()] {
        let served = Listener::builder().serve(&reactor, addr, || Echo).map(drop);
        for result in [served, TcpListener::bind(&reactor, addr).map(drop)] {
            let error = result.expect_err("somebody listens there");
            assert_eq!(error.kind(), ErrorKind::AddrInUse);
            assert!(error.to_string().contains(&addr.to_string()), "{error}");
        }
    }
}

#[test]
fn an_address_of_another_machine_is_named_in_the_error() {
    need_loops!();
    let reactor = reactor(1);
    // TEST-NET-1, RFC 5737: nobody's
    let error = TcpListener::bind(&reactor, "192.0.2.1:80").expect_err("not ours");
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    assert!(error.to_string().contains("192.0.2.1:80"), "{error}");
}

#[test]
fn connections_are_balanced_exactly() {
    need_loops!();
    isolated!();
    for loops in [2, 3, 4] {
        let reactor = reactor(loops);
        let listener = serve(&reactor, || Echo);
        let mut peers = Vec::new();
        for round in 1..=10 {
            peers.extend((0..loops).map(|_| peer(listener.local_addr())));
            peers.iter().for_each(|peer| ping(peer, b"there"));
            assert_eq!(listener.stats().open, vec![round; loops]);
        }
        // the next ones go where others have left
        peers.drain(..5).for_each(reset);
        let open = || listener.stats().open.iter().sum::<usize>();
        until("the others are gone", || open() == 10 * loops - 5);
        peers.extend((0..5).map(|_| peer(listener.local_addr())));
        peers.iter().for_each(|peer| ping(peer, b"there"));
        assert_eq!(listener.stats().open, vec![10; loops]);
        assert_eq!(listener.stats().accepted, (10 * loops + 5) as u64);
    }
}

#[test]
fn a_loop_that_has_ended_gets_no_connections() {
    need_loops!();
    let reactor = reactor(3);
    let listener = serve(&reactor, || Echo);
    // the first has the listening socket
    let ended = reactor.handles().nth(1).expect("three loops");
    ended.shutdown(LONG).expect("it runs");
    until("the loop has ended", || ended.ended().is_some());
    let peers: Vec<_> = (0..10).map(|_| peer(listener.local_addr())).collect();
    peers.iter().for_each(|peer| ping(peer, b"there"));
    assert_eq!(listener.stats().open, [5, 0, 5]);
}

#[test]
fn reuse_port_spreads_connections_over_the_loops() {
    need_loops!();
    let reactor = reactor(2);
    let builder = Listener::builder().reuse_port(true);
    let listener = builder.serve(&reactor, "127.0.0.1:0", || Echo).expect("a listener");
    let peers: Vec<_> = (0..100).map(|_| peer(listener.local_addr())).collect();
    peers.iter().for_each(|peer| ping(peer, b"there"));
    let open = listener.stats().open;
    // the kernel hashes: that all of 100 come to one loop has a chance of 2 to the -99
    assert!(open.iter().sum::<usize>() == 100 && !open.contains(&0), "{open:?}");
    let addr = listener.local_addr();
    listener.close();
    PeerListener::bind(addr).expect("both sockets are closed");
    peers.iter().for_each(|peer| ping(peer, b"still there"));
}

#[test]
fn a_port_is_free_right_after_close() {
    need_loops!();
    let reactor = reactor(2);
    let mut addr: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    for round in 0..rounds(100) {
        let listener = Listener::builder()
            .serve(&reactor, addr, || Echo)
            .unwrap_or_else(|error| panic!("round {round}: {error}"));
        addr = listener.local_addr();
        let peer = peer(addr);
        ping(&peer, b"there");
        listener.close();
        let refused = Peer::connect(addr).expect_err("nobody listens");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        ping(&peer, b"connections live on");
        reset(peer); // and leave nothing in TIME_WAIT, which `bind` below would mind
        // of the standard library too, without our options
        until("the connection is gone", || PeerListener::bind(addr).is_ok());
    }
}

#[test]
fn a_port_is_free_right_after_a_shutdown() {
    need_loops!();
    let mut addr: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    for round in 0..rounds(100) {
        let reactor = reactor(1);
        let listener = TcpListener::bind(&reactor, addr)
            .unwrap_or_else(|error| panic!("round {round}: {error}"));
        addr = listener.local_addr();
        let peer = peer(addr);
        let accepted = listener.accept().expect("a connection");
        let report = reactor.shutdown(LONG);
        assert_eq!((report.leaked, report.failed_loops), (0, 0), "{report}");
        drop((accepted, peer, listener));
    }
}

#[test]
fn close_while_connections_come_loses_none_that_was_answered() {
    need_loops!();
    let reactor = reactor(2);
    for _ in 0..rounds(50) {
        let listener = serve(&reactor, || Echo);
        let addr = listener.local_addr();
        let closed = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let closed = Arc::clone(&closed);
                thread::spawn(move || {
                    let mut peers = Vec::new();
                    while !closed.load(Ordering::Relaxed) {
                        let Ok(mut peer) = Peer::connect(addr) else { break };
                        crate::util::bound(&peer);
                        // accepted, and then answered for ever; or never accepted, and reset
                        let answered =
                            peer.write_all(b"?").and_then(|()| peer.read_exact(&mut [0]));
                        match answered {
                            Ok(()) => peers.push(peer),
                            Err(error) => assert_ne!(error.kind(), ErrorKind::WouldBlock),
                        }
                        if peers.len() == 50 {
                            break;
                        }
                    }
                    peers.iter().for_each(|peer| ping(peer, b"still there"));
                })
            })
            .collect();
        until("some are accepted", || listener.stats().accepted > 3);
        listener.close();
        closed.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(join);
    }
}

#[test]
fn a_listener_can_be_closed_on_a_loop_and_after_its_loop() {
    need_loops!();
    let reactor = reactor(2);
    for handle in reactor.handles() {
        let listener = serve(&reactor, || Echo);
        let addr = listener.local_addr();
        on_loop(handle, move |_| listener.close());
        until("the port is free", || PeerListener::bind(addr).is_ok());
    }
    let (served, bound) =
        (serve(&reactor, || Echo), TcpListener::bind(&reactor, "127.0.0.1:0").expect("a listener"));
    let addrs = [served.local_addr(), bound.local_addr()];
    reactor.shutdown(LONG);
    for addr in addrs {
        PeerListener::bind(addr).expect("the loop has closed it");
    }
    served.close();
    let error = bound.accept().expect_err("the loop is gone");
    assert_eq!(error.kind(), ErrorKind::NotConnected, "{error}");
    bound.close();
}

#[test]
fn a_thread_that_accepts_is_woken_by_shutdown_and_by_the_end_of_the_reactor() {
    need_loops!();
    let reactor = reactor(2);
    let listener = Arc::new(TcpListener::bind(&reactor, "127.0.0.1:0").expect("a listener"));
    let accept = |listener: &Arc<TcpListener>| {
        let listener = Arc::clone(listener);
        thread::spawn(move || listener.accept().map(drop).expect_err("nobody connects").kind())
    };
    let threads = [accept(&listener), accept(&listener)];
    listener.shutdown();
    assert_eq!(threads.map(join), [ErrorKind::NotConnected; 2]);
    // nobody accepts these any more
    let late = peer(listener.local_addr());
    assert!(matches!((&late).read(&mut [0]), Ok(0) | Err(_)));
    until("they are closed", || listener.stats().open.iter().sum::<usize>() == 0);

    let listener = Arc::new(TcpListener::bind(&reactor, "127.0.0.1:0").expect("a listener"));
    let threads = [accept(&listener), accept(&listener)];
    reactor.shutdown(LONG);
    assert_eq!(threads.map(join), [ErrorKind::NotConnected; 2]);
}

#[test]
fn more_connections_than_the_queue_holds_are_all_accepted_in_the_end() {
    need_loops!();
    isolated!();
    limit(libc::RLIMIT_NOFILE, 8192);
    // A slow loop has been given more by the time that it asks to stop: a completion queue full.
    let builder = uring_net::uring_reactor::Reactor::builder().entries(64).completions(256);
    let reactor = builder.loops(2).build().expect("a reactor");
    // more than the 1024 that the listener keeps, the rest stays with the kernel
    let count = 2000;
    let listener = TcpListener::bind(&reactor, "127.0.0.1:0").expect("a listener");
    let addr = listener.local_addr();
    let peers = thread::spawn(move || (0..count).map(|_| peer(addr)).collect::<Vec<_>>());
    until("the queue is full", || listener.stats().accepted >= 1024);
    settled(&reactor);
    let waiting = listener.stats().accepted;
    assert!(waiting < count as u64, "the rest waits in the backlog: {waiting}");
    let accepted: Vec<_> = (0..count).map(|_| listener.accept().expect("a connection").0).collect();
    let peers = join(peers);
    for (number, mut stream) in accepted.iter().enumerate() {
        stream.write_all(&number.to_le_bytes()).expect("a connection");
    }
    let mut numbers: Vec<_> = peers
        .iter()
        .map(|peer| crate::util::read(peer, 8))
        .map(|bytes| usize::from_le_bytes(bytes.try_into().expect("8 bytes")))
        .collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..count), "each has its own");
}

/// Takes all descriptors but one. The limit cannot be lowered instead: an accept that is in flight
/// has its own copy of it.
#[track_caller]
fn take_descriptors() -> Vec<File> {
    let mut taken = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        taken.push(file);
    }
    taken.pop().expect("there were some");
    taken
}

#[test]
fn a_listener_without_descriptors_says_so_and_accepts_again() {
    need_loops!();
    isolated!();
    limit(libc::RLIMIT_NOFILE, 200);
    let reactor = reactor(1);
    let (sender, errors) = mpsc::channel();
    let builder = Listener::builder().on_error(move |error| {
        sender.send(error.raw_os_error()).expect("the test listens");
        panic!("a hook that panics costs nothing more");
    });
    let listener = builder.serve(&reactor, "127.0.0.1:0", || Echo).expect("a listener");
    let addr = listener.local_addr();
    let first = peer(addr);
    ping(&first, b"before");
    let taken = take_descriptors();
    let waiting = peer(addr);
    for _ in 0..3 {
        assert_eq!(get(&errors), Some(EMFILE));
    }
    ping(&first, b"and meanwhile");
    drop(taken);
    ping(&waiting, b"after");
    ping(&peer(addr), b"and so is the next");
    assert!(listener.stats().errors >= 3, "{:?}", listener.stats());
    assert_eq!(reactor.stats().panics, 0, "the hook's are its own");
}

#[test]
fn an_error_of_accepting_pauses_longer_each_time() {
    need_loops!();
    isolated!();
    limit(libc::RLIMIT_NOFILE, 200);
    let reactor = reactor(1);
    let (sender, errors) = mpsc::channel();
    let builder = Listener::builder().on_error(move |_| {
        sender.send(Instant::now()).expect("the test listens");
    });
    let listener = builder.serve(&reactor, "127.0.0.1:0", || Echo).expect("a listener");
    let addr = listener.local_addr();
    let _taken = take_descriptors();
    let _waiting = peer(addr);
    let mut times = vec![get(&errors)];
    let turns = reactor.stats().turns;
    times.extend((0..5).map(|_| get(&errors)));
    assert!(reactor.stats().turns - turns < 50, "it does not spin");
    let pauses: Vec<_> = times.windows(2).map(|two| two[1] - two[0]).collect();
    // 10 ms, doubled each time: a busy machine makes them longer, and none shorter
    for (pause, least) in pauses.iter().zip([10, 20, 40, 80, 160]) {
        assert!(*pause > Duration::from_millis(least * 3 / 4), "{pauses:?}");
    }
}
