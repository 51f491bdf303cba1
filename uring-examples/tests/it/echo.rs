//! `echo_ring` and a plain client.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::fd::AsRawFd,
    process::Command,
    thread,
};

use crate::util::{ECHO_RING, Server, noise};

/// Sends and half-closes on one thread, reads to the end on this one.
fn round_trip(mut stream: TcpStream, bytes: &[u8]) -> Vec<u8> {
    let mut reader = stream.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            stream.write_all(bytes).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        });
        let mut came = Vec::new();
        reader.read_to_end(&mut came).unwrap();
        came
    })
}

#[test]
fn a_half_close_gets_all_bytes_and_then_the_end() {
    need_multishot!();
    // the second has to do with one buffer, the third with few small ones
    for args in [&[][..], &["--buffers", "1"], &["--buffers", "4", "--buffer-size", "100"]] {
        let server = Server::echo_ring(args);
        for length in [0, 1, 4096, 65_537, 1 << 20] {
            let bytes = noise(length);
            let came = round_trip(server.connect(), &bytes);
            assert!(came == bytes, "{args:?}: {} bytes of {length}", came.len());
        }
        let ended = server.stop();
        assert!(ended.status.success() && ended.stderr.is_empty(), "{}", ended.stderr);
        assert!(ended.text().contains("5 accepted, 5 closed, 0 broken"), "{}", ended.text());
    }
}

#[test]
fn single_bytes_come_back_one_by_one() {
    need_multishot!();
    let server = Server::echo_ring(&[]);
    let mut stream = server.connect();
    stream.set_nodelay(true).unwrap();
    for byte in noise(500) {
        stream.write_all(&[byte]).unwrap();
        let mut came = [0];
        stream.read_exact(&mut came).unwrap();
        assert_eq!(came, [byte]);
    }
}

#[test]
fn many_connections_each_get_their_own_bytes_and_no_descriptor_leaks() {
    need_multishot!();
    let server = Server::echo_ring(&["--buffers", "16"]);
    let before = server.child.descriptors();
    let mut streams: Vec<_> = (0..200).map(|_| server.connect()).collect();
    let bytes = noise(200 + 10_000);
    for (number, stream) in streams.iter_mut().enumerate() {
        stream.write_all(&bytes[number..][..10_000]).unwrap();
    }
    for (number, stream) in streams.iter_mut().enumerate().rev() {
        let mut came = vec![0; 10_000];
        stream.read_exact(&mut came).unwrap();
        assert!(came == bytes[number..][..10_000], "connection {number}");
    }
    for mut stream in streams {
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
    server.child.settles_at(before);
    let ended = server.stop();
    assert!(ended.text().contains("200 accepted, 200 closed"), "{}", ended.text());
}

#[test]
fn one_that_does_not_read_does_not_stop_the_others() {
    need_multishot!();
    let server = Server::echo_ring(&["--buffers", "8"]);
    let mut slow = server.connect();
    slow.set_nonblocking(true).unwrap();
    let bytes = noise(64 << 10);
    let mut sent = 0_u64;
    // until nothing moves any more: both directions are full
    loop {
        match slow.write(&bytes) {
            Ok(length) => sent += length as u64,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let came = round_trip(server.connect(), &bytes);
                assert!(came == bytes, "{} bytes of {}", came.len(), bytes.len());
                if slow.write(&bytes[..1]).is_err() {
                    break;
                }
                sent += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    // and it still gets all of it
    slow.set_nonblocking(false).unwrap();
    slow.shutdown(Shutdown::Write).unwrap();
    let came = std::io::copy(&mut slow, &mut std::io::sink()).unwrap();
    assert_eq!(came, sent);
}

#[test]
fn resets_are_counted_and_do_no_harm() {
    need_multishot!();
    let server = Server::echo_ring(&[]);
    let before = server.child.descriptors();
    for _ in 0..20 {
        let mut stream = server.connect();
        let linger = libc::linger { l_onoff: 1, l_linger: 0 }; // closing it sends a reset
        let size = libc::socklen_t::try_from(size_of_val(&linger)).unwrap();
        let value = (&raw const linger).cast();
        let fd = stream.as_raw_fd();
        // SAFETY: the option reads one `linger`, and that is what it gets.
        let answer =
            unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, value, size) };
        assert_eq!(answer, 0);
        stream.write_all(b"soon gone").unwrap();
        stream.read_exact(&mut [0; 9]).unwrap();
    }
    assert_eq!(round_trip(server.connect(), b"still there"), b"still there");
    server.child.settles_at(before);
    let ended = server.stop();
    assert!(ended.status.success());
    assert!(ended.text().contains("21 accepted, 21 closed, 20 broken"), "{}", ended.text());
}

#[test]
fn without_descriptors_it_says_so_and_goes_on_when_there_are_some() {
    need_multishot!();
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 16; exec \"$0\" \"$@\"", ECHO_RING, "--listen", "127.0.0.1:0"]);
    let server = Server::start(&mut shell);
    let mut streams: Vec<_> = (0..40).map(|_| server.connect()).collect();
    for stream in &mut streams {
        stream.write_all(b"x").unwrap();
    }
    for mut stream in streams {
        let mut came = [0];
        stream.read_exact(&mut came).unwrap();
        assert_eq!(came, *b"x"); // and it closes, which makes room for the next
    }
    let ended = server.stop();
    assert!(ended.status.success());
    assert!(ended.stderr.contains("ulimit -n"), "{}", ended.stderr);
    assert!(ended.text().contains("40 accepted"), "{}", ended.text());
}

#[test]
fn it_serves_ipv6() {
    need_multishot!();
    if let Err(error) = TcpListener::bind("[::1]:0") {
        skip!("no IPv6 here: {error}");
    }
    let server = Server::start(Command::new(ECHO_RING).args(["--listen", "[::1]:0"]));
    assert!(server.address.is_ipv6());
    assert_eq!(round_trip(server.connect(), b"six"), b"six");
}

#[test]
fn ctrl_c_ends_it_with_a_report_while_connections_are_open() {
    need_multishot!();
    let server = Server::echo_ring(&["--stats"]);
    let mut streams: Vec<_> = (0..10).map(|_| server.connect()).collect();
    for stream in &mut streams {
        stream.write_all(b"hello").unwrap();
        stream.read_exact(&mut [0; 5]).unwrap();
    }
    let ended = server.stop();
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    let text = ended.text();
    assert!(text.contains("stopped by SIGINT with 10 connections open; 0 operations"), "{text}");
    assert!(text.contains("10 accepted, 10 closed"), "{text}");
    let last = text.lines().last().unwrap();
    let words: Vec<_> = last.split_whitespace().collect();
    let ["enters", enters, "messages", "10"] = words[..] else { panic!("{last}") };
    assert!(enters.parse::<u64>().unwrap() > 0);
    for mut stream in streams {
        // the end or a reset: it is gone either way
        assert!(!matches!(stream.read(&mut [0]), Ok(1..)));
    }
}

#[test]
fn the_port_can_be_bound_again_at_once() {
    need_multishot!();
    // below the ports that the other tests' connections are given, which would block it
    let free = (20_000..30_000).map(|port| format!("127.0.0.1:{port}"));
    let address = free.into_iter().find(|address| TcpListener::bind(address).is_ok()).unwrap();
    for _ in 0..20 {
        let server = Server::start(Command::new(ECHO_RING).args(["--listen", &address]));
        let mut stream = server.connect();
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        let ended = server.stop();
        assert!(ended.status.success(), "{}", ended.stderr);
    }
}
