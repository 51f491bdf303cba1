//! Many connections: at once, one after the other, and with little of everything.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream as Peer},
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use socket2::SockRef;
use testing::{LONG, Random, alloc::live_bytes, descriptors, limit, rounds, until};
use uring_net::{Listener, ListenerBuilder, uring_reactor::Reactor};

use crate::util::{
    BlockingEcho, Echo, Seen, assert_same, peer, ping, probe, reactor, read, read_to_end, reset,
    serve,
};

/// Sends to all at once, then reads from all, so many times; every byte is checked.
fn exchange(peers: &[Peer], times: usize, bytes_max: usize) {
    let mut random = Random::new(peers.len() as u64);
    for _ in 0..times {
        let messages: Vec<_> = peers
            .iter()
            .map(|mut peer| {
                let length = 1 + random.below(bytes_max);
                let message = random.bytes(length);
                peer.write_all(&message).expect("room in the socket");
                message
            })
            .collect();
        for (peer, message) in peers.iter().zip(messages) {
            assert_same(&read(peer, message.len()), &message);
        }
    }
}

#[test]
fn a_completion_queue_that_overflows_loses_nothing() {
    need_loops!();
    isolated!();
    limit(libc::RLIMIT_NOFILE, 4096);
    let reactor = Reactor::builder()
        .entries(4)
        .completions(8)
        .buffers(16, 512)
        .build()
        .expect("a reactor with little of everything");
    let listener = serve(&reactor, || Echo);
    let peers: Vec<_> = (0..300).map(|_| peer(listener.local_addr())).collect();
    exchange(&peers, rounds(20), 3000);
    for peer in &peers {
        peer.shutdown(Shutdown::Write).expect("a connection");
        assert_same(&read_to_end(peer), b"");
    }
    let stats = reactor.stats();
    assert!(stats.overflows > 0 && stats.rearms > 0, "it came to that: {stats}");
    until("all are gone", || listener.stats().open == [0]);
    assert_eq!(listener.stats().accepted, 300);
}

#[test]
fn a_ring_with_fewer_places_than_connections_serves_them_all() {
    need_loops!();
    isolated!();
    limit(libc::RLIMIT_NOFILE, 4096);
    let reactor = Reactor::builder().operations(8).build().expect("a reactor of eight operations");
    let listener = serve(&reactor, || Echo);
    // the last two have no place for a receive for as long as the others stay
    let mut peers: Vec<_> = (0..9).map(|_| peer(listener.local_addr())).collect();
    until("all are accepted", || listener.stats().open == [9]);
    peers.iter().for_each(|mut peer| peer.write_all(b"all at once").expect("room"));
    let served = peers.len() - 2;
    let mut answers = 0;
    while !peers.is_empty() {
        // whoever was answered leaves its place to another
        let mut answered = None;
        until("somebody is answered", || {
            answered = peers.iter().position(|peer| {
                peer.set_nonblocking(true).expect("an option of every socket");
                let some = peer.peek(&mut [0]).is_ok();
                peer.set_nonblocking(false).expect("an option of every socket");
                some
            });
            answered.is_some()
        });
        let peer = peers.swap_remove(answered.expect("somebody"));
        assert_same(&read(&peer, 11), b"all at once");
        answers += 1;
        peer.shutdown(Shutdown::Write).expect("a connection");
        assert_same(&read_to_end(&peer), b"");
    }
    assert_eq!(answers, served + 2);
}

#[test]
fn thousands_of_connections_are_served() {
    need_loops!();
    isolated!();
    limit(libc::RLIMIT_NOFILE, u64::MAX);
    // two descriptors each, and some for everything else
    let mut room = limit(libc::RLIMIT_NOFILE, u64::MAX).saturating_sub(100) / 2;
    room = room.min(rounds(5000));
    if room < rounds(2000) {
        skip!("a hard limit of descriptors that leaves room for {room} connections");
    }
    let reactor = reactor(2);
    let listener = serve(&reactor, || Echo);
    let peers: Vec<_> = (0..room).map(|_| peer(listener.local_addr())).collect();
    exchange(&peers, 3, 600);
    assert_eq!(listener.stats().open.iter().sum::<usize>(), peers.len());
    drop(peers);
    until("all are gone", || listener.stats().open == [0, 0]);
}

#[test]
fn ten_thousand_connections_leave_no_descriptor_behind() {
    need_loops!();
    isolated!();
    let before = descriptors();
    let reactor = reactor(2);
    let listener = serve(&reactor, || Echo);
    let server = BlockingEcho::start(&reactor);
    let settled = descriptors();
    let run = |addr, seed| {
        let mut random = Random::new(seed);
        for _ in 0..rounds(2500) {
            let peer = peer(addr);
            // some finish, some break off, some never say anything
            match random.below(4) {
                0 => drop(peer),
                1 => reset(peer),
                2 => {
                    (&peer).write_all(b"unread").expect("room in the socket");
                    reset(peer);
                }
                _ => {
                    ping(&peer, b"hello");
                    peer.shutdown(Shutdown::Write).expect("a connection");
                    assert_same(&read_to_end(&peer), b"");
                }
            }
        }
    };
    let addrs = [listener.local_addr(), server.addr];
    thread::scope(|scope| {
        for (seed, addr) in (0..4).zip(addrs.into_iter().cycle()) {
            scope.spawn(move || run(addr, seed));
        }
    });
    until("all connections are closed", || descriptors() == settled);
    drop(server);
    listener.close();
    let report = reactor.shutdown(LONG);
    assert_eq!((report.leaked, report.stats.panics), (0, 0), "{report}");
    assert_eq!(descriptors(), before);
}

#[test]
fn resets_at_any_moment_close_each_connection_once() {
    need_loops!();
    isolated!();
    let reactor = reactor(2);
    let (opened, closed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&opened), Arc::clone(&closed));
    let listener = serve(&reactor, move || {
        let (opened, closed) = counts.clone();
        probe(move |seen| match seen {
            Seen::Open(_) => {
                opened.fetch_add(1, Ordering::Relaxed);
            }
            Seen::Data(conn, data) => {
                conn.send(data);
            }
            Seen::Eof(conn) => conn.finish(),
            Seen::Close(_) => {
                closed.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        })
    });
    let server = BlockingEcho::start(&reactor);
    let other = peer(listener.local_addr());
    let mut random = Random::new(11);
    for round in 0..rounds(1000) {
        let peer = peer(if round % 2 == 0 { listener.local_addr() } else { server.addr });
        for _ in 0..random.below(4) {
            let length = 1 + random.below(60_000);
            (&peer).write_all(&random.bytes(length)).expect("the server reads");
            let part = random.below(length);
            (&peer).read_exact(&mut vec![0; part]).expect("the server answers");
        }
        reset(peer);
    }
    ping(&other, b"alive");
    drop(other);
    until("all are gone", || listener.stats().open == [0, 0]);
    let counts = [&opened, &closed].map(|count| count.load(Ordering::Relaxed));
    assert_eq!(counts, [rounds(1000) / 2 + 1; 2]);
}

/// A server with four small buffers, of either kind.
fn few_buffers() -> Reactor {
    Reactor::builder().buffers(4, 1024).build().expect("a reactor with four buffers")
}

#[test]
fn four_buffers_are_enough_for_any_number_of_connections() {
    need_loops!();
    isolated!();
    let reactor = few_buffers();
    let listener = serve(&reactor, || Echo);
    let server = BlockingEcho::start(&reactor);
    for addr in [listener.local_addr(), server.addr] {
        let peers: Vec<_> = (0..100).map(|_| peer(addr)).collect();
        exchange(&peers, rounds(20), 5000);
    }
    assert!(reactor.stats().rearms > 0, "they ran out: {}", reactor.stats());
}

#[test]
fn a_handler_that_keeps_every_buffer_stops_nobody() {
    need_loops!();
    let reactor = few_buffers();
    let listener = serve(&reactor, || {
        let mut kept = Vec::new();
        probe(move |seen| {
            if let Seen::Data(conn, data) = seen {
                conn.send(data.to_vec());
                kept.push(data);
            }
        })
    });
    let peers: Vec<_> = (0..20).map(|_| peer(listener.local_addr())).collect();
    exchange(&peers, rounds(20), 3000);
    assert!(reactor.stats().rearms > 0, "they ran out: {}", reactor.stats());
}

/// Gives a socket small buffers in the kernel: the sooner it is full.
fn shrink(socket: &impl AsFd) {
    let socket = SockRef::from(socket);
    socket.set_recv_buffer_size(64 * 1024).expect("an option of every socket");
    socket.set_send_buffer_size(64 * 1024).expect("an option of every socket");
}

/// Caps that are reached soon.
fn small_caps() -> ListenerBuilder {
    Listener::builder().inbound_bytes_max(16 * 1024).outbound_bytes_max(16 * 1024)
}

/// Peers that write as long as they can and never read, beside peers that do both.
fn slow_and_fast(reactor: &Reactor, addr: std::net::SocketAddr) {
    const SLOW: usize = 64;
    let slow: Vec<_> = (0..SLOW)
        .map(|_| {
            let peer = peer(addr);
            shrink(&peer);
            peer.set_nonblocking(true).expect("an option of every socket");
            peer
        })
        .collect();
    let before = live_bytes();
    let piece = vec![8; 64 * 1024];
    // until none of them can send any more: the server has stopped reading them
    let fast: Vec<_> = (0..64).map(|_| peer(addr)).collect();
    let mut quiet = 0;
    for _ in 0..rounds(200) {
        let sent = slow.iter().filter(|peer| matches!((&**peer).write(&piece), Ok(1..))).count();
        quiet = if sent == 0 { quiet + 1 } else { 0 };
        exchange(&fast, 1, 2000);
        if quiet == 5 {
            break;
        }
    }
    let held = live_bytes().saturating_sub(before);
    // a cap of 16 KiB each way, a buffer of as much to copy through, and what was under way when
    // the caps were reached
    assert!(held < SLOW * 128 * 1024, "{held} bytes for {SLOW} slow readers: {}", reactor.stats());
    exchange(&fast, rounds(20), 2000);
    slow.into_iter().for_each(reset);
    exchange(&fast, 1, 2000);
    // whoever finds no buffer tries once more, and not again and again
    let stats = reactor.stats();
    assert!(stats.rearms < stats.completions / 2, "{stats}");
}

#[test]
fn slow_readers_neither_stop_others_nor_take_unbounded_memory() {
    need_loops!();
    isolated!();
    let reactor = Reactor::builder().buffers(16, 4096).build().expect("a reactor");
    let make = || {
        probe(|seen| match seen {
            Seen::Open(conn) => shrink(conn),
            Seen::Data(conn, data) => {
                conn.send(data);
            }
            _ => {}
        })
    };
    let listener = small_caps().serve(&reactor, "127.0.0.1:0", make).expect("a listener");
    slow_and_fast(&reactor, listener.local_addr());
    let server = BlockingEcho::start_with(&reactor, small_caps(), shrink);
    slow_and_fast(&reactor, server.addr);
}

#[test]
fn readers_that_read_at_last_get_every_byte() {
    need_loops!();
    isolated!();
    let reactor = few_buffers();
    let listener = serve(&reactor, || Echo);
    let server = BlockingEcho::start(&reactor);
    for addr in [listener.local_addr(), server.addr] {
        let peers: Vec<_> = (0..16).map(|_| peer(addr)).collect();
        let data = Random::new(12).bytes(rounds(4 << 20));
        let mut sent = vec![0; peers.len()];
        for (peer, sent) in peers.iter().zip(&mut sent) {
            peer.set_nonblocking(true).expect("an option of every socket");
            while let Ok(count @ 1..) = (&mut &*peer).write(&data[*sent..]) {
                *sent += count;
            }
            peer.set_nonblocking(false).expect("an option of every socket");
        }
        for (peer, sent) in peers.iter().zip(sent) {
            assert_same(&read(peer, sent), &data[..sent]);
            peer.shutdown(Shutdown::Write).expect("a connection");
            assert_same(&read_to_end(peer), b"");
        }
    }
}
