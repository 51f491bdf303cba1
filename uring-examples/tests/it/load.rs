//! `echo_load` against `echo_ring`, and against servers that do not echo.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    thread,
};

use crate::util::{ECHO_LOAD, Ended, Server, run};

fn load(address: &impl ToString, args: &[&str]) -> Ended {
    run(Command::new(ECHO_LOAD).args(["--connect", &address.to_string()]).args(args), b"")
}

#[test]
fn every_byte_is_checked_over_a_grid() {
    need_multishot!();
    let server = Server::echo_ring(&["--buffers", "64"]);
    let before = server.child.descriptors();
    for connections in ["1", "50"] {
        for size in ["1", "1000", "65536"] {
            for depth in ["1", "16"] {
                let args = [
                    "--connections",
                    connections,
                    "--size",
                    size,
                    "--depth",
                    depth,
                    "--messages",
                    "1000",
                    "--verify",
                    "--half-close",
                    "--json",
                ];
                let ended = load(&server.address, &args);
                assert!(ended.status.success(), "{args:?}: {}", ended.stderr);
                let bytes = 1000 * size.parse::<u64>().unwrap();
                for part in [
                    "\"messages\":1000,",
                    "\"errors\":0,",
                    &format!("\"bytes_checked\":{bytes},"),
                    &format!("\"connections\":{connections},\"size\":{size},\"depth\":{depth},"),
                ] {
                    assert!(ended.text().contains(part), "{part}: {}", ended.text());
                }
                assert_eq!(ended.text().lines().count(), 1);
            }
        }
    }
    server.child.settles_at(before);
    let ended = server.stop();
    assert!(ended.text().contains(" 306 accepted, 306 closed, 0 broken"), "{}", ended.text());
}

#[test]
fn churned_connections_leak_nothing() {
    need_multishot!();
    let server = Server::echo_ring(&[]);
    let churn = ["--churn", "--connections", "20", "--messages", "1000", "--verify"];
    let before = server.child.descriptors();
    for extra in [&[][..], &["--half-close"]] {
        let ended = load(&server.address, &[&churn[..], extra].concat());
        assert!(ended.status.success(), "{}", ended.stderr);
        assert!(ended.text().contains("0 of 1000 lost"), "{}", ended.text());
        assert!(ended.text().contains("128000 bytes checked, 0 errors"), "{}", ended.text());
    }
    server.child.settles_at(before);
    let ended = server.stop();
    assert!(ended.text().contains("2000 accepted, 2000 closed"), "{}", ended.text());
}

#[test]
fn slow_readers_do_not_stop_fast_ones_and_get_all_their_bytes() {
    need_multishot!();
    let server = Server::echo_ring(&["--buffers", "16"]);
    let args = ["--slow", "8", "--connections", "8", "--messages", "20000", "--verify"];
    let ended = load(&server.address, &args);
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(ended.text().contains("20000 in "), "{}", ended.text());
    assert!(ended.text().contains("0 of 16 lost"), "{}", ended.text());
    assert!(ended.text().contains("8 slow connections sent"), "{}", ended.text());
}

/// What a server does with a connection.
type Serve = fn(TcpStream);

/// A server on a thread, which does with each connection as `serve` says.
fn bad_server(serve: Serve) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // it ends with the test's process
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Echoes pieces of 64 bytes, changed by `change`, until the peer leaves.
fn echo_changed(mut stream: TcpStream, change: fn(usize, &mut Vec<u8>)) {
    let mut piece = vec![0; 64];
    for number in 0.. {
        piece.resize(64, 0);
        if stream.read_exact(&mut piece).is_err() {
            return;
        }
        change(number, &mut piece);
        if stream.write_all(&piece).is_err() {
            return;
        }
    }
}

#[test]
fn wrong_bytes_and_lost_connections_are_seen() {
    need_multishot!();
    let cases: [(&str, &str, Serve); 4] = [
        ("a flipped bit", "byte 330 is not what was sent", |stream| {
            echo_changed(stream, |number, piece| piece[10] ^= u8::from(number == 5));
        }),
        ("a reversed piece", "is not what was sent", |stream| {
            echo_changed(stream, |number, piece| {
                if number == 5 {
                    piece.reverse();
                }
            });
        }),
        ("doubled bytes", "sent", |stream| {
            echo_changed(stream, |number, piece| {
                if number == 5 {
                    piece.extend_from_within(..);
                }
            });
        }),
        ("an early end", "closed it early", |mut stream| {
            let mut piece = [0; 64];
            let _ = stream.read_exact(&mut piece); // and not one byte back
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }),
    ];
    for (what, told, serve) in cases {
        let args = ["--size", "64", "--depth", "4", "--messages", "100", "--verify"];
        let ended = load(&bad_server(serve), &args);
        assert_eq!(ended.code(), Some(1), "{what}: {}", ended.text());
        assert!(ended.stderr.contains(told), "{what}: {}", ended.stderr);
        assert!(ended.text().contains(" 1 errors"), "{what}: {}", ended.text());
    }
}
