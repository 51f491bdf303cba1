//! Deadlines of blocking calls, also of those that block already.

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use testing::{LONG, Random, get, thread_id, until, until_asleep};
use uring_net::TcpStream;

use crate::{
    blocking::pair,
    util::{assert_same, join, reactor, read, read_to_end},
};

const SOON: Duration = Duration::from_millis(50);

/// Reads one byte in a thread of its own, which sleeps when this returns.
#[track_caller]
fn blocked_read(stream: &TcpStream) -> thread::JoinHandle<io::Result<(usize, u8)>> {
    let (sender, id) = mpsc::channel();
    let mut stream = stream.clone();
    let thread = thread::spawn(move || {
        sender.send(thread_id()).expect("the test waits");
        let mut byte = [0];
        stream.read(&mut byte).map(|count| (count, byte[0]))
    });
    until_asleep(get(&id));
    thread
}

#[track_caller]
fn assert_timed_out<T: std::fmt::Debug>(result: io::Result<T>) {
    assert_eq!(result.expect_err("it waits").kind(), ErrorKind::TimedOut);
}

#[test]
fn a_read_that_times_out_loses_no_byte() {
    need_loops!();
    let reactor = reactor(1);
    let (mut stream, peer) = pair(&reactor);
    let mut got = Vec::new();
    for byte in 0..20 {
        let start = Instant::now();
        stream.set_read_deadline(Some(start + Duration::from_millis(5)));
        let mut buffer = [0; 4];
        match stream.read(&mut buffer) {
            Ok(count) => got.extend_from_slice(&buffer[..count]), // of the last round
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TimedOut);
                assert!(start.elapsed() >= Duration::from_millis(5));
            }
        }
        until("the deadline has passed", || start.elapsed() > Duration::from_millis(5));
        // the byte may arrive before, in, or after the next read
        (&peer).write_all(&[byte]).expect("room in the socket");
        match stream.read(&mut buffer) {
            Ok(count) => got.extend_from_slice(&buffer[..count]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
        }
    }
    drop(peer);
    stream.set_read_deadline(Some(Instant::now() + LONG));
    stream.read_to_end(&mut got).expect("an orderly end");
    assert_same(&got, &(0..20).collect::<Vec<_>>());
}

#[test]
fn a_call_after_its_deadline_fails_even_if_it_could_go_on() {
    need_loops!();
    let reactor = reactor(1);
    let (mut stream, peer) = pair(&reactor);
    (&peer).write_all(b"ab").expect("room in the socket");
    let mut byte = [0];
    stream.read_exact(&mut byte).expect("it has arrived, and so has the next");
    stream.set_deadline(Some(Instant::now() - Duration::from_secs(1)));
    assert_timed_out(stream.read(&mut byte));
    assert_timed_out(stream.peek(&mut byte));
    assert_timed_out(stream.write(b"there is room"));
    assert_timed_out(stream.flush());
    stream.set_deadline(None);
    stream.read_exact(&mut byte).expect("nothing was lost");
    assert_eq!(&byte, b"b");
    stream.write_all(b"x").expect("there is room");
    assert_same(&read(&peer, 1), b"x");
}

#[test]
fn timeouts_are_those_of_the_standard_library() {
    need_loops!();
    let reactor = reactor(1);
    let (mut stream, _peer) = pair(&reactor);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    let mut twin = std::net::TcpStream::connect(addr).expect("a connection");
    stream.set_deadline(None);

    let zero = Some(Duration::ZERO);
    let ours = stream.set_read_timeout(zero).expect_err("zero").kind();
    assert_eq!(ours, twin.set_read_timeout(zero).expect_err("zero").kind());
    let ours = stream.set_write_timeout(zero).expect_err("zero").kind();
    assert_eq!(ours, twin.set_write_timeout(zero).expect_err("zero").kind());

    stream.set_read_timeout(Some(SOON)).expect("a timeout");
    twin.set_read_timeout(Some(SOON)).expect("a timeout");
    let start = Instant::now();
    let ours = stream.read(&mut [0]).expect_err("nobody sends");
    assert!(start.elapsed() >= SOON, "{:?}", start.elapsed());
    assert_eq!(ours.raw_os_error(), twin.read(&mut [0]).expect_err("nobody").raw_os_error());
    assert_eq!(stream.read_timeout().expect("set"), Some(SOON));

    stream.set_write_timeout(Some(SOON)).expect("a timeout");
    let ours = loop {
        if let Err(error) = stream.write(&[0; 100_000]) {
            break error;
        }
    };
    twin.set_write_timeout(Some(SOON)).expect("a timeout");
    let theirs = loop {
        if let Err(error) = twin.write(&[0; 100_000]) {
            break error;
        }
    };
    assert_eq!(ours.raw_os_error(), theirs.raw_os_error());
}

#[test]
fn an_earlier_deadline_ends_a_read_that_waits() {
    need_loops!();
    let reactor = reactor(1);
    let (stream, _peer) = pair(&reactor);
    for at in [None, Some(Instant::now() + 10 * LONG)] {
        stream.set_read_deadline(at);
        let thread = blocked_read(&stream);
        let start = Instant::now();
        stream.set_read_deadline(Some(start + SOON));
        assert_timed_out(join(thread));
        assert!(start.elapsed() >= SOON && start.elapsed() < LONG, "{:?}", start.elapsed());
    }
    stream.set_read_deadline(None);
    let thread = blocked_read(&stream);
    stream.set_read_deadline(Some(Instant::now() - SOON));
    assert_timed_out(join(thread));
}

#[test]
fn a_later_deadline_or_none_lets_a_read_wait_on() {
    need_loops!();
    let reactor = reactor(1);
    let (stream, peer) = pair(&reactor);
    for later in [None, Some(Instant::now() + LONG)] {
        let at = Instant::now() + SOON;
        stream.set_read_deadline(Some(at));
        let thread = blocked_read(&stream);
        stream.set_read_deadline(later);
        until("the first deadline has passed", || Instant::now() > at + SOON);
        (&peer).write_all(b"x").expect("room in the socket");
        assert_eq!(join(thread).expect("it waited on"), (1, b'x'));
    }
}

#[test]
fn a_write_that_times_out_has_written_nothing() {
    need_loops!();
    let reactor = reactor(1);
    let (mut stream, peer) = pair(&reactor);
    let data = Random::new(7).bytes(32 << 20);
    stream.set_write_deadline(Some(Instant::now() + SOON));
    let mut written = 0;
    let error = loop {
        match stream.write(&data[written..]) {
            Ok(count) => written += count,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(written < data.len(), "a peer that does not read takes no 32 MiB");
    stream.set_write_deadline(Some(Instant::now() + LONG));
    thread::scope(|scope| {
        let reader = scope.spawn(|| read_to_end(&peer));
        stream.write_all(&data[written..]).expect("the peer reads now");
        drop(stream);
        assert_same(&reader.join().expect("an orderly end"), &data);
    });
}

#[test]
fn an_earlier_deadline_ends_a_write_that_waits() {
    need_loops!();
    let reactor = reactor(1);
    let (stream, peer) = pair(&reactor);
    let (sender, id) = mpsc::channel();
    let mut writer = stream.clone();
    let thread = thread::spawn(move || {
        sender.send(thread_id()).expect("the test waits");
        let mut written = 0;
        loop {
            match writer.write(&[3; 100_000]) {
                Ok(count) => written += count,
                Err(error) => return (written, error),
            }
        }
    });
    until_asleep(get(&id));
    stream.set_write_deadline(Some(Instant::now() + SOON));
    let (written, error) = join(thread);
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert_eq!(read(&peer, written).iter().filter(|byte| **byte == 3).count(), written);
}
