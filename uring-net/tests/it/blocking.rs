//! Blocking streams: order, ends, and the calls that must not block.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, TcpStream as Peer},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use testing::{LONG, Random, alloc::live_bytes, rounds, until};
use uring_net::{TcpListener, TcpStream, uring_reactor::Reactor};

use crate::util::{assert_same, on_loop, peer, reactor, read, read_to_end};

/// Longer than a write takes that need not wait.
pub(crate) const SOON: Duration = Duration::from_millis(50);

/// A stream and its peer.
#[track_caller]
pub(crate) fn pair(reactor: &Reactor) -> (TcpStream, Peer) {
    let listener = TcpListener::bind(reactor, "127.0.0.1:0").expect("a listener");
    let peer = peer(listener.local_addr());
    let (stream, addr) = listener.accept().expect("a connection");
    assert_eq!(addr, peer.local_addr().expect("an address"));
    stream.set_deadline(Some(Instant::now() + LONG));
    (stream, peer)
}

#[test]
fn frames_of_several_writers_arrive_whole_and_in_order() {
    need_loops!();
    let reactor = reactor(1);
    let (stream, peer) = pair(&reactor);
    let frames = rounds(100);
    let turn = Mutex::new(());
    let frame = |writer: usize, number: usize| {
        let mut random = Random::new((writer * 1000 + number) as u64);
        // small ones go out at once, large ones wait in the queue
        let length = if number % 3 == 0 { random.below(400_000) } else { random.below(100) };
        random.bytes(length)
    };
    thread::scope(|scope| {
        for writer in 0..4 {
            let (stream, turn) = (stream.clone(), &turn);
            scope.spawn(move || {
                for number in 0..frames {
                    let body = frame(writer, number);
                    let head = [writer, number, body.len()].map(|n| n.to_le_bytes()).concat();
                    let _mine = turn.lock().expect("no writer has panicked");
                    (&stream).write_all(&head).expect("the peer reads");
                    (&stream).write_all(&body).expect("the peer reads");
                }
            });
        }
        let mut next = [0; 4];
        for _ in 0..4 * frames {
            let number = || usize::from_le_bytes(read(&peer, 8).try_into().expect("8 bytes"));
            let (writer, at, length) = (number(), number(), number());
            assert_eq!(at, next[writer], "of writer {writer}");
            next[writer] += 1;
            assert_same(&read(&peer, length), &frame(writer, at));
        }
    });
    drop(stream);
    assert_same(&read_to_end(&peer), b"");
}

#[test]
fn writers_without_a_lock_lose_and_double_nothing() {
    need_loops!();
    let reactor = reactor(1);
    let (stream, peer) = pair(&reactor);
    let each = rounds(3_000_000);
    thread::scope(|scope| {
        for letter in b'a'..b'e' {
            let stream = stream.clone();
            scope.spawn(move || {
                let mut random = Random::new(letter.into());
                let data = vec![letter; 300_000];
                let mut left = each;
                while left > 0 {
                    let piece = (1 + random.below(data.len())).min(left);
                    (&stream).write_all(&data[..piece]).expect("the peer reads");
                    left -= piece;
                }
            });
        }
        let got = read(&peer, 4 * each);
        for letter in b'a'..b'e' {
            assert_eq!(got.iter().filter(|byte| **byte == letter).count(), each);
        }
    });
}

#[test]
fn small_writes_to_a_peer_that_does_not_read_take_a_few_times_the_cap_at_most() {
    need_loops!();
    isolated!();
    let reactor = reactor(1);
    let (mut stream, peer) = pair(&reactor);
    let mut sent = 0;
    stream.set_write_deadline(Some(Instant::now() + SOON));
    while stream.write(&[6; 100_000]).is_ok_and(|count| count == 100_000) {
        sent += 100_000; // the socket and the queue are full
    }
    let before = live_bytes();
    let mut first = read(&peer, 200_000); // half of the queue is free again, or more
    stream.set_write_deadline(Some(Instant::now() + 20 * SOON));
    for _ in 0..rounds(300_000) {
        if stream.write(&[6]).is_err() {
            break; // the queue is full again
        }
        sent += 1;
    }
    let grown = live_bytes().saturating_sub(before + first.len());
    // the cap is 256 KiB
    assert!(grown < 1 << 20, "{grown} bytes for bytes written one by one");
    stream.set_write_deadline(None);
    drop(stream);
    first.extend(read_to_end(&peer));
    assert!(first.len() >= sent && first.iter().all(|byte| *byte == 6), "{}", first.len());
}

#[test]
fn flush_returns_when_the_kernel_has_everything() {
    need_loops!();
    let reactor = reactor(1);
    let (mut stream, peer) = pair(&reactor);
    let data = Random::new(4).bytes(16 << 20);
    let written = thread::scope(|scope| {
        stream.set_write_deadline(Some(Instant::now() + Duration::from_millis(100)));
        let mut written = 0;
        let error = loop {
            match stream.write(&data[written..]) {
                Ok(count) => written += count,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        let error = stream.flush().expect_err("the peer has not read");
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        stream.set_write_deadline(Some(Instant::now() + LONG));
        let reader = scope.spawn({
            let peer = &peer;
            move || read(peer, written)
        });
        stream.flush().expect("the peer reads");
        assert_same(&reader.join().expect("all bytes"), &data[..written]);
        written
    });
    assert!(written > 256 * 1024, "more than the queue holds: {written}");
    stream.write_all(b"goes on").expect("the queue is empty");
    assert_same(&read(&peer, 7), b"goes on");
}

#[test]
fn nothing_is_written_after_a_shutdown_and_what_was_written_before_arrives() {
    need_loops!();
    let reactor = reactor(1);
    let (mut stream, peer) = pair(&reactor);
    let data = Random::new(5).bytes(4 << 20);
    thread::scope(|scope| {
        let reader = scope.spawn(|| read_to_end(&peer));
        stream.write_all(&data).expect("the peer reads");
        stream.shutdown(Shutdown::Write).expect("a connection");
        let error = stream.write(b"late").expect_err("it was shut down");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
        stream.flush().expect("the peer reads");
        assert_same(&reader.join().expect("an orderly end"), &data);
    });
    (&peer).write_all(b"back").expect("this direction is open");
    let mut back = [0; 4];
    stream.read_exact(&mut back).expect("this direction is open");
    assert_eq!(&back, b"back");
}

#[test]
fn nothing_is_read_after_a_shutdown() {
    need_loops!();
    let reactor = reactor(1);
    for round in 0..rounds(100) {
        let (mut stream, peer) = pair(&reactor);
        (&peer).write_all(b"before").expect("room in the socket");
        if round % 2 == 0 {
            assert_eq!(stream.read(&mut [0]).expect("data"), 1);
        }
        stream.shutdown(Shutdown::Read).expect("a connection");
        assert_eq!(stream.read(&mut [0; 8]).expect("an end"), 0);
        let _nobody_reads = (&peer).write_all(b"after");
        for _ in 0..100 {
            assert_eq!(stream.read(&mut [0; 8]).expect("an end"), 0, "round {round}");
        }
        stream.write_all(b"x").expect("this direction is open");
        assert_same(&read(&peer, 1), b"x");
    }
}

#[test]
fn empty_reads_and_writes_return_at_once() {
    need_loops!();
    let reactor = reactor(1);
    let (mut stream, _peer) = pair(&reactor);
    stream.set_deadline(Some(Instant::now() + Duration::from_millis(100)));
    assert_eq!(stream.read(&mut []).expect("as `Read` says"), 0);
    assert_eq!(stream.write(&[]).expect("as `Write` says"), 0);
}

#[test]
fn the_last_clone_sends_what_was_written_and_then_the_end() {
    need_loops!();
    let reactor = reactor(1);
    let data = Random::new(6).bytes(rounds(3 << 20));
    for _ in 0..5 {
        let (mut stream, peer) = pair(&reactor);
        let other = stream.clone();
        thread::scope(|scope| {
            // the rest is queued when the stream is dropped
            let reader = scope.spawn(|| read_to_end(&peer));
            stream.write_all(&data).expect("the peer reads");
            drop(stream);
            (&other).write_all(b"and this").expect("a clone is left");
            drop(other);
            let got = reader.join().expect("an orderly end");
            assert_same(&got[..data.len()], &data);
            assert_same(&got[data.len()..], b"and this");
        });
    }
}

#[test]
fn a_stream_dropped_with_a_silent_peer_is_gone_at_once() {
    need_loops!();
    let reactor = reactor(1);
    let listener = TcpListener::bind(&reactor, "127.0.0.1:0").expect("a listener");
    for _ in 0..rounds(200) {
        let peer = peer(listener.local_addr());
        drop(listener.accept().expect("a connection"));
        assert_same(&read_to_end(&peer), b"");
        until("it is gone", || listener.stats().open == [0]);
    }
}

#[test]
fn calls_that_would_wait_for_their_own_thread_fail() {
    need_loops!();
    let reactor = std::sync::Arc::new(reactor(2));
    let listener = TcpListener::bind(&reactor, "127.0.0.1:0").expect("a listener");
    let peer = peer(listener.local_addr());
    let (stream, _) = listener.accept().expect("a connection");
    let listener = std::sync::Arc::new(listener);
    for handle in reactor.handles() {
        let (reactor, listener) = (reactor.clone(), listener.clone());
        let (accepted, connected) = on_loop(handle, move |_| {
            let addr = listener.local_addr();
            let connected = TcpStream::connect(&reactor, addr).map(drop);
            (listener.accept().map(drop), connected)
        });
        for result in [accepted, connected] {
            assert_eq!(result.expect_err("it would wait").kind(), ErrorKind::Deadlock);
        }
    }
    let results: Vec<_> = reactor
        .handles()
        .map(|handle| {
            let stream = stream.clone();
            on_loop(handle, move |_| {
                stream.set_deadline(Some(Instant::now() + SOON));
                let kind = (&stream).read(&mut [0]).expect_err("nothing to read").kind();
                stream.set_deadline(None);
                (kind, (&stream).write(b"queued").expect("there is room"))
            })
        })
        .collect();
    let deadlocks = results.iter().filter(|(kind, _)| *kind == ErrorKind::Deadlock).count();
    assert_eq!(deadlocks, 1, "on the stream's own loop: {results:?}");
    assert!(results.iter().all(|(_, count)| *count == 6));
    assert_same(&read(&peer, 12), b"queuedqueued");
}
