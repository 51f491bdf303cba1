//! What a message costs once everything runs: no allocation, and at most one system call a turn.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream as Peer,
    thread,
    time::{Duration, Instant},
};

use testing::{
    LONG,
    alloc::{count_this_thread, counted_allocations},
    rounds,
};
use uring_net::uring_reactor::{Reactor, Stats};

use crate::util::{Echo, Seen, on_loop, peer, ping, probe, reactor, serve};

/// Sends to all, then reads from all, so many times; the buffers are the caller's.
fn exchange(peers: &mut [Peer], times: usize, message: &[u8], answer: &mut [u8]) {
    for _ in 0..times {
        for peer in &mut *peers {
            peer.write_all(message).expect("the server reads");
        }
        for peer in &mut *peers {
            peer.read_exact(answer).expect("the server answers");
            assert_eq!(answer, message);
        }
    }
}

/// Counts the allocations of this thread and of the loop's.
#[track_caller]
fn count_on(reactor: &Reactor) {
    count_this_thread();
    on_loop(reactor.handle(), |_| count_this_thread());
}

#[test]
fn a_message_on_the_callback_path_allocates_nothing() {
    need_loops!();
    isolated!();
    for (connections, bytes) in [(1, 1), (1, 128), (1, 16 * 1024), (50, 128), (200, 1024)] {
        let reactor = reactor(1);
        count_on(&reactor);
        let listener = serve(&reactor, || Echo);
        let mut peers: Vec<_> = (0..connections).map(|_| peer(listener.local_addr())).collect();
        let message: Vec<u8> = (0..bytes).map(|at: usize| at.to_le_bytes()[0]).collect();
        let mut answer = vec![0; bytes];
        exchange(&mut peers, 50, &message, &mut answer); // queues grow to what they need
        let times = rounds(2000 / connections + 50); // it reads the environment, and allocates
        let before = counted_allocations();
        exchange(&mut peers, times, &message, &mut answer);
        let count = counted_allocations() - before;
        assert_eq!(count, 0, "{connections} connections, {bytes} bytes");
    }
}

#[test]
fn a_deadline_for_each_message_allocates_nothing() {
    need_loops!();
    isolated!();
    let reactor = reactor(1);
    count_on(&reactor);
    let listener = serve(&reactor, || {
        probe(|seen| {
            if let Seen::Data(conn, data) = seen {
                let at = Instant::now() + LONG;
                conn.set_deadline(Some(at));
                conn.send(data);
            }
        })
    });
    let mut peers = [peer(listener.local_addr())];
    let mut answer = [0; 16];
    exchange(&mut peers, 50, &[7; 16], &mut answer);
    let times = rounds(1000);
    let before = counted_allocations();
    exchange(&mut peers, times, &[7; 16], &mut answer);
    assert_eq!(counted_allocations() - before, 0);
}

#[test]
fn a_turn_enters_the_kernel_once_and_serves_many_connections() {
    need_loops!();
    isolated!();
    let reactor = reactor(1);
    let listener = serve(&reactor, || Echo);
    let mut peers: Vec<_> = (0..100).map(|_| peer(listener.local_addr())).collect();
    let mut answer = [0; 64];
    exchange(&mut peers, 5, &[1; 64], &mut answer);
    let before = reactor.stats();
    let times = rounds(200);
    exchange(&mut peers, times, &[1; 64], &mut answer);
    let stats = reactor.stats();
    let messages = u64::try_from(times * peers.len()).expect("a small number");
    let enters = stats.enters - before.enters;
    assert!(stats.enters <= stats.turns, "{stats}");
    // about 16 messages an enter where the peers are fast; without io_uring each takes two calls
    assert!(enters < messages, "{enters} enters for {messages} messages");
    assert!(stats.submissions - before.submissions <= messages + 10, "one send each: {stats}");
    assert_eq!((stats.rearms, stats.stale, stats.panics), (0, 0, 0), "{stats}");
}

#[test]
fn a_loop_with_idle_connections_does_nothing() {
    need_loops!();
    isolated!();
    let reactor = reactor(1);
    let listener = serve(&reactor, || Echo);
    let peers: Vec<_> = (0..50).map(|_| peer(listener.local_addr())).collect();
    for peer in &peers {
        ping(peer, b"here");
    }
    // Whatever still runs has run when this, the only event of the time, has passed.
    let before = settled(&reactor);
    let quiet = Instant::now() + Duration::from_millis(300);
    peers[0].set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    while Instant::now() < quiet {
        let nothing = (&peers[0]).read(&mut [0]).expect_err("nobody sends").kind();
        assert!(matches!(nothing, ErrorKind::WouldBlock | ErrorKind::Interrupted), "{nothing}");
    }
    assert_eq!(reactor.stats(), before, "not one turn");
}

/// The counters when they have stopped.
pub(crate) fn settled(reactor: &Reactor) -> Stats {
    let mut last = reactor.stats();
    let mut since = Instant::now();
    while since.elapsed() < Duration::from_millis(50) {
        let now = reactor.stats();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        thread::yield_now();
    }
    last
}
