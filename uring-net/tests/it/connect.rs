//! Connecting, by both front ends.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpListener as PeerListener},
    sync::mpsc,
    time::{Duration, Instant},
};

use testing::{LONG, get};
use uring_net::{TcpStream, connect};

use crate::util::{Seen, bound, peer, probe, reactor, read};

/// An address where nobody listens.
fn closed_port() -> SocketAddr {
    let listener = PeerListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

#[test]
fn a_stream_connects_and_carries_bytes_both_ways() {
    need_loops!();
    let reactor = reactor(2);
    let listener = PeerListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    for limit in [None, Some(LONG)] {
        let mut stream = match limit {
            None => TcpStream::connect(&reactor, addr),
            Some(limit) => TcpStream::connect_timeout(&reactor, addr, limit),
        }
        .expect("somebody listens");
        let (peer, from) = listener.accept().expect("a connection");
        bound(&peer);
        assert_eq!(stream.local_addr().expect("an address"), from);
        assert_eq!(stream.peer_addr().expect("an address"), addr);
        stream.write_all(b"there").expect("room");
        assert_eq!(read(&peer, 5), b"there");
        (&peer).write_all(b"back").expect("room");
        let mut back = [0; 4];
        stream.read_exact(&mut back).expect("it was sent");
        assert_eq!(&back, b"back");
    }
}

#[test]
fn a_refusal_names_the_address() {
    need_loops!();
    let reactor = reactor(1);
    let addr = closed_port();
    let error = TcpStream::connect(&reactor, addr).expect_err("nobody listens");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
}

#[test]
fn an_unreachable_address_is_named() {
    need_loops!();
    let reactor = reactor(1);
    // connect(2): a broadcast address has no TCP
    let addr = "255.255.255.255:9";
    let error = TcpStream::connect(&reactor, addr).expect_err("no such peer");
    let plain = std::net::TcpStream::connect(addr).expect_err("no such peer");
    assert_eq!(error.kind(), plain.kind());
    assert!(error.to_string().contains(addr), "{error}");
}

#[test]
fn each_address_of_a_name_is_tried() {
    need_loops!();
    let reactor = reactor(1);
    let listener = PeerListener::bind("127.0.0.1:0").expect("a port");
    let addrs = [closed_port(), listener.local_addr().expect("an address")];
    let stream = TcpStream::connect(&reactor, &addrs[..]).expect("the second");
    assert_eq!(stream.peer_addr().expect("an address"), addrs[1]);
    let none: [SocketAddr; 0] = [];
    let error = TcpStream::connect(&reactor, &none[..]).expect_err("no address");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_connection_that_takes_too_long_times_out_with_the_address() {
    need_loops!();
    let reactor = reactor(1);
    // a queue that is full drops what more comes, and the kernel tries again for minutes
    let socket =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    socket.bind(&any.into()).expect("a port");
    socket.listen(0).expect("a listener");
    let addr = socket.local_addr().expect("an address").as_socket().expect("IPv4");
    let _first = peer(addr);
    let limit = Duration::from_millis(100);
    let mut streams = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        match TcpStream::connect_timeout(&reactor, addr, limit) {
            Ok(stream) => streams.push(stream), // there was room in the queue
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
                assert!(error.to_string().contains(&addr.to_string()), "{error}");
                assert!(start.elapsed() >= limit && start.elapsed() < LONG);
                return;
            }
        }
    }
    skip!("a full queue takes connections here");
}

#[test]
fn a_handler_is_told_that_it_is_connected_or_why_not() {
    need_loops!();
    let reactor = reactor(1);
    let listener = PeerListener::bind("127.0.0.1:0").expect("a port");
    for addr in [listener.local_addr().expect("an address"), closed_port()] {
        let (sender, log) = mpsc::channel();
        let handler = probe(move |seen| {
            let text = match seen {
                Seen::Open(conn) => {
                    conn.send("hello");
                    "open".to_owned()
                }
                Seen::Close(error) => format!("{:?}", error.map(|error| error.kind())),
                Seen::Drain(_) => return,
                _ => "more".to_owned(),
            };
            sender.send(text).expect("the test listens");
        });
        connect(reactor.handle(), addr, handler).expect("the loop runs");
        if addr.port() == listener.local_addr().expect("an address").port() {
            assert_eq!(get(&log), "open");
            let (peer, _) = listener.accept().expect("a connection");
            bound(&peer);
            assert_eq!(read(&peer, 5), b"hello");
            crate::util::reset(peer);
            assert_eq!(get(&log), "Some(ConnectionReset)");
        } else {
            assert_eq!(get(&log), "Some(ConnectionRefused)");
        }
        assert!(log.recv().is_err(), "the handler is dropped");
    }
}
