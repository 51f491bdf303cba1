//! Every byte comes back, in order, whatever the pieces, by both front ends.

use std::{
    io::Write as _,
    net::{Shutdown, SocketAddr, TcpStream as Peer},
    thread,
};

use testing::{Random, rounds};
use uring_net::Listener;

use crate::util::{BlockingEcho, Echo, assert_same, peer, ping, reactor, read_to_end, serve};

/// Runs a check against a server of each front end.
fn with_servers(loops: usize, check: impl Fn(SocketAddr)) {
    let reactor = reactor(loops);
    let listener = serve(&reactor, || Echo);
    check(listener.local_addr());
    let server = BlockingEcho::start(&reactor);
    check(server.addr);
    drop(server);
    let report = reactor.shutdown(testing::LONG);
    assert_eq!((report.leaked, report.failed_loops), (0, 0), "{report}");
    assert_eq!(report.stats.panics, 0, "{report}");
}

/// Sends all in such pieces from a thread of its own, then finishes; says what came back.
fn exchange(addr: SocketAddr, data: &[u8], mut piece: impl FnMut() -> usize + Send) -> Vec<u8> {
    let peer = peer(addr);
    thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut rest = data;
            while !rest.is_empty() {
                let (now, later) = rest.split_at(piece().clamp(1, rest.len()));
                (&peer).write_all(now).expect("the server reads");
                rest = later;
            }
            peer.shutdown(Shutdown::Write).expect("a connection");
        });
        let back = read_to_end(&peer);
        sender.join().expect("all sent");
        back
    })
}

#[test]
fn one_byte_at_a_time_comes_back() {
    need_loops!();
    with_servers(1, |addr| {
        let peer = peer(addr);
        for byte in Random::new(1).bytes(rounds(2000)) {
            ping(&peer, &[byte]);
        }
    });
}

#[test]
fn bytes_written_one_by_one_come_back_in_order() {
    need_loops!();
    with_servers(1, |addr| {
        let data = Random::new(2).bytes(rounds(50_000));
        assert_same(&exchange(addr, &data, || 1), &data);
    });
}

#[test]
fn a_mebibyte_comes_back_and_then_the_end() {
    need_loops!();
    with_servers(2, |addr| {
        let data = Random::new(3).bytes(1 << 20);
        assert_same(&exchange(addr, &data, || 1 << 20), &data);
    });
}

#[test]
fn pieces_of_random_length_come_back_in_order() {
    need_loops!();
    with_servers(2, |addr| {
        for seed in 0..8 {
            let mut random = Random::new(seed);
            let data = random.bytes(300_000);
            let pieces = move || match random.below(4) {
                0 => 1 + random.below(3),
                1 => 1 + random.below(5000),
                _ => 1 + random.below(70_000),
            };
            assert_same(&exchange(addr, &data, pieces), &data);
        }
    });
}

#[test]
fn many_connections_at_once_do_not_mix_their_bytes() {
    need_loops!();
    with_servers(2, |addr| {
        let run = |seed| {
            let mut random = Random::new(seed);
            let peer = peer(addr);
            for _ in 0..rounds(50) {
                let length = 1 + random.below(3000);
                ping(&peer, &random.bytes(length));
            }
        };
        thread::scope(|scope| {
            for seed in 0..50 {
                scope.spawn(move || run(seed));
            }
        });
    });
}

#[test]
fn a_peer_that_only_finishes_gets_only_the_end() {
    need_loops!();
    with_servers(1, |addr| {
        let peer = peer(addr);
        peer.shutdown(Shutdown::Write).expect("a connection");
        assert_same(&read_to_end(&peer), b"");
    });
}

#[test]
fn it_works_over_ipv6() {
    need_loops!();
    if let Err(error) = std::net::TcpListener::bind("[::1]:0") {
        skip!("no IPv6 here: {error}");
    }
    let reactor = reactor(1);
    let listener = Listener::builder().serve(&reactor, "[::1]:0", || Echo).expect("a listener");
    assert!(listener.local_addr().is_ipv6());
    let peer: Peer = peer(listener.local_addr());
    ping(&peer, b"over IPv6");
}
