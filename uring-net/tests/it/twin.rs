//! What a stream and a listener do, beside the same calls on the standard library's.

use std::{
    io::{ErrorKind, IoSlice, IoSliceMut, Read as _, Write as _},
    net::{SocketAddr, TcpListener as PeerListener, TcpStream as Peer},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use socket2::SockRef;
use testing::{LONG, get, thread_id, until, until_asleep};
use uring_net::{
    Connector, Listener, LocallyClosed, TcpListener, TcpStream, uring_reactor::EventLoop,
};

use crate::{
    blocking::pair,
    util::{
        Echo, Seen, assert_same, bound, join, on_loop, peer, ping, probe, reactor, read,
        read_to_end, reset, serve,
    },
};

/// The same two ends of the standard library.
#[track_caller]
fn plain_pair() -> (Peer, Peer) {
    let listener = PeerListener::bind("127.0.0.1:0").expect("a port");
    let peer = Peer::connect(listener.local_addr().expect("an address")).expect("a connection");
    let (stream, _) = listener.accept().expect("a connection");
    bound(&stream);
    bound(&peer);
    (stream, peer)
}

#[test]
fn after_a_reset_reads_and_writes_fail_as_on_a_twin_and_the_addresses_stay() {
    need_loops!();
    let reactor = reactor(1);
    let (mut stream, ours) = pair(&reactor);
    let (mut twin, theirs) = plain_pair();
    let addr = ours.local_addr().expect("an address");
    reset(ours);
    reset(theirs);
    let numbers = |first: std::io::Result<usize>, second: std::io::Result<usize>| {
        [first, second].map(|result| result.map_err(|error| error.raw_os_error()))
    };
    let ours = numbers(stream.read(&mut [0]), stream.write(b"x").map(|_| 0));
    let theirs = numbers(twin.read(&mut [0]), twin.write(b"x").map(|_| 0));
    assert_eq!(ours[0], theirs[0]);
    assert!(ours[1].is_err() && theirs[1].is_err(), "{ours:?} {theirs:?}");
    assert_eq!(stream.peer_addr().expect("it is remembered"), addr);
    stream.local_addr().expect("it is remembered");
}

#[test]
fn a_write_after_a_shutdown_has_the_number_of_a_twin() {
    need_loops!();
    let reactor = reactor(1);
    let (mut stream, _ours) = pair(&reactor);
    let (mut twin, _theirs) = plain_pair();
    stream.shutdown(std::net::Shutdown::Write).expect("a connection");
    twin.shutdown(std::net::Shutdown::Write).expect("a connection");
    let ours = stream.write(b"x").expect_err("it was shut down");
    assert_eq!(ours.raw_os_error(), twin.write(b"x").expect_err("shut down").raw_os_error());
}

#[test]
fn a_connection_that_was_reset_before_it_is_accepted_is_handed_over_with_its_bytes() {
    need_loops!();
    let reactor = reactor(1);
    let listener = TcpListener::bind(&reactor, "127.0.0.1:0").expect("a listener");
    // the loop cannot accept it meanwhile
    let (go, wait) = mpsc::channel::<()>();
    reactor.handle().run(move |_| wait.recv().expect("the test goes on")).expect("a loop");
    let client = peer(listener.local_addr());
    let addr = client.local_addr().expect("an address");
    (&client).write_all(b"last words").expect("room in the socket");
    reset(client);
    go.send(()).expect("the loop waits");
    let (mut stream, from) = listener.accept().expect("it was accepted");
    stream.set_deadline(Some(Instant::now() + LONG));
    assert_eq!(from, addr);
    let mut words = Vec::new();
    let error = stream.read_to_end(&mut words).expect_err("it was reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    assert_same(&words, b"last words");
}

#[test]
fn vectored_calls_use_all_buffers_and_peek_takes_nothing() {
    need_loops!();
    let reactor = reactor(1);
    let (mut stream, peer) = pair(&reactor);
    let parts = [&b"one"[..], b"", b"two", b"three"].map(IoSlice::new);
    assert_eq!(stream.write_vectored(&parts).expect("there is room"), 11);
    assert_same(&read(&peer, 11), b"onetwothree");
    (&peer).write_all(b"onetwothree").expect("room in the socket");
    let mut all = [0; 11];
    until("all of it has arrived", || stream.peek(&mut all).expect("it comes") == 11);
    assert_same(&all, b"onetwothree");
    let (mut one, mut none, mut two) = ([0; 3], [0; 0], [0; 20]);
    let mut parts = [&mut one[..], &mut none, &mut two].map(IoSliceMut::new);
    assert_eq!(stream.read_vectored(&mut parts).expect("it is there"), 11);
    assert_eq!((&one, &two[..8]), (b"one", &b"twothree"[..]));

    // and through the queue
    stream.set_write_deadline(Some(Instant::now() + Duration::from_millis(50)));
    let parts = [&[1; 70_000][..], &[2; 70_000], &[3; 70_000]].map(IoSlice::new);
    let mut taken = Vec::new();
    while let Ok(count) = stream.write_vectored(&parts) {
        let whole: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        taken.extend_from_slice(&whole[..count]);
    }
    drop(stream);
    assert_same(&read_to_end(&peer), &taken);
}

#[test]
fn one_write_gives_the_kernel_a_bounded_part() {
    need_loops!();
    let reactor = reactor(1);
    let (mut stream, peer) = pair(&reactor);
    // makes room again: kernels differ in how much there is
    let read = |count| (&peer).read_exact(&mut vec![0; count]).expect("it was taken");
    let large = vec![1; 64 << 20];
    let socket = SockRef::from(&stream);
    socket.set_send_buffer_size(4 << 20).expect("an option of every socket");
    for _ in 0..3 {
        let count = stream.write(&large).expect("there is room");
        assert!(count <= 256 * 1024, "{count}");
        read(count);
        let parts = [IoSlice::new(b""), IoSlice::new(&large), IoSlice::new(&large)];
        let count = stream.write_vectored(&parts).expect("there is room");
        assert!((1..=256 * 1024).contains(&count), "{count}");
        read(count);
    }
}

#[test]
fn close_wakes_who_waits_with_an_error_of_its_own_and_sends_what_was_written() {
    need_loops!();
    let reactor = reactor(1);
    let (stream, peer) = pair(&reactor);
    stream.set_deadline(None);
    (&stream).write_all(b"before").expect("there is room");
    let (sender, ids) = mpsc::channel();
    let mut reading = stream.clone();
    let reader = thread::spawn(move || {
        sender.send(thread_id()).expect("the test waits");
        reading.read(&mut [0]).expect_err("nobody sends")
    });
    until_asleep(get(&ids));
    stream.close();
    let mut late = stream.clone();
    for error in [
        join(reader),
        late.read(&mut [0]).expect_err("closed"),
        late.write(b"x").expect_err("closed"),
        late.flush().expect_err("closed"),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotConnected);
        assert!(LocallyClosed::is(&error), "{error}");
    }
    assert_same(&read_to_end(&peer), b"before");
    stream.close(); // again
}

#[test]
fn a_listener_that_many_hold_can_be_closed_and_wakes_who_accepts() {
    need_loops!();
    let reactor = reactor(2);
    let listener = Arc::new(TcpListener::bind(&reactor, "127.0.0.1:0").expect("a listener"));
    let addr = listener.local_addr();
    let accepting = Arc::clone(&listener);
    let (sender, ids) = mpsc::channel();
    let thread = thread::spawn(move || {
        sender.send(thread_id()).expect("the test waits");
        accepting.accept().map(drop).expect_err("nobody connects")
    });
    until_asleep(get(&ids));
    listener.close();
    assert!(LocallyClosed::is(&join(thread)));
    PeerListener::bind(addr).expect("the port is free");

    let served = Arc::new(serve(&reactor, || Echo));
    let client = peer(served.local_addr());
    ping(&client, b"there");
    served.stop();
    PeerListener::bind(served.local_addr()).expect("the port is free");
    ping(&client, b"connections live on");
}

#[test]
fn two_loops_that_close_each_others_listeners_do_not_wait() {
    need_loops!();
    let (first, second) = (reactor(1), reactor(1));
    // each is closed on the loop of the other, while that one is busy with the same
    let (a, b) = (serve(&first, || Echo), serve(&second, || Echo));
    let addrs = [a.local_addr(), b.local_addr()];
    let (meet, met) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel::<()>();
    first
        .handle()
        .run(move |_| {
            meet.send(()).expect("the other comes");
            told.recv().expect("the other comes");
            b.close();
        })
        .expect("a loop");
    on_loop(second.handle(), move |_| {
        met.recv().expect("the other comes");
        a.close();
        // only now the other goes on: its loop cannot have helped
        tell.send(()).expect("the other waits");
    });
    for addr in addrs {
        until("the port is free", || PeerListener::bind(addr).is_ok());
    }
}

#[test]
fn a_listener_is_closed_on_a_loop_that_has_nothing_else_of_it() {
    need_loops!();
    let reactor = reactor(2);
    let handles: Vec<_> = reactor.handles().cloned().collect();
    // so many that their limits would add up to more than a test waits
    let listeners: Vec<_> = (0..5)
        .map(|_| {
            let builder = Listener::builder();
            builder.serve_on([&handles[0]], "127.0.0.1:0", || Echo).expect("a listener")
        })
        .collect();
    let addrs: Vec<_> = listeners.iter().map(Listener::local_addr).collect();
    let (go, wait) = mpsc::channel::<()>();
    handles[0].run(move |_| wait.recv().expect("the test goes on")).expect("a loop");
    // its own loop cannot help before this one has returned
    on_loop(&handles[1], move |_| {
        listeners.into_iter().for_each(Listener::close);
        go.send(()).expect("the other waits");
    });
    for addr in addrs {
        until("the port is free", || PeerListener::bind(addr).is_ok());
    }
}

#[test]
fn a_socket_that_lingers_does_not_hold_its_loop_up() {
    need_loops!();
    let mut event_loop = EventLoop::builder().build().expect("a loop");
    let handle = event_loop.handle();
    let builder = Listener::builder();
    let make = || {
        probe(|seen| match seen {
            Seen::Open(conn) => {
                let socket = SockRef::from(&*conn);
                socket.set_linger(Some(10 * LONG)).expect("an option of every socket");
                // it stays with the kernel, which would wait for the peer
                while socket.send_with_flags(&[1; 100_000], libc::MSG_DONTWAIT).is_ok() {}
            }
            Seen::Data(conn, _) => conn.finish(),
            _ => {}
        })
    };
    let thread = thread::spawn({
        let handle = handle.clone();
        move || {
            let listener = builder.serve_on([&handle], "127.0.0.1:0", make).expect("a listener");
            let client = peer(listener.local_addr());
            (&client).read_exact(&mut [0]).expect("it sends");
            listener.close();
            handle.shutdown(Duration::from_millis(100)).expect("the loop runs");
            client
        }
    });
    let start = Instant::now();
    event_loop.run().expect("a report");
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
    drop(join(thread));
}

#[test]
fn options_are_those_of_a_twin() {
    need_loops!();
    let reactor = reactor(1);
    let (stream, _ours) = pair(&reactor);
    let (twin, _theirs) = plain_pair();
    assert_eq!(stream.ttl().expect("a number"), twin.ttl().expect("a number"));
    stream.set_ttl(7).expect("a number of hops");
    assert_eq!(stream.ttl().expect("a number"), 7);
    assert!(stream.nodelay().expect("an option"), "the default of a listener");
    stream.set_nodelay(false).expect("an option");
    assert!(!stream.nodelay().expect("an option"));
    stream.set_keepalive(true).expect("an option");
    assert!(stream.keepalive().expect("an option"));
    assert_eq!(stream.linger().expect("an option"), None);
    stream.set_linger(Some(LONG)).expect("an option");
    assert_eq!(stream.linger().expect("an option"), Some(LONG));
    assert!(stream.take_error().expect("an option").is_none());
    stream.set_linger(None).expect("an option");
}

#[test]
fn a_linger_of_zero_makes_a_close_a_reset_as_on_a_twin() {
    need_loops!();
    let reactor = reactor(1);
    let (stream, ours) = pair(&reactor);
    let (twin, theirs) = plain_pair();
    stream.set_linger(Some(Duration::ZERO)).expect("an option");
    SockRef::from(&twin).set_linger(Some(Duration::ZERO)).expect("an option");
    drop(stream);
    drop(twin);
    let number = |mut peer: &Peer| peer.read(&mut [0]).map_err(|error| error.raw_os_error());
    assert_eq!(number(&ours), number(&theirs));
}

#[test]
fn sockets_of_the_standard_library_are_taken_also_non_blocking_ones() {
    need_loops!();
    let reactor = reactor(2);
    let (theirs, peer) = plain_pair();
    theirs.set_nonblocking(true).expect("an option");
    let mut stream = TcpStream::from_std(&reactor, theirs).expect("a loop");
    (&peer).write_all(b"in").expect("room in the socket");
    let mut two = [0; 2];
    stream.read_exact(&mut two).expect("it was sent");
    stream.write_all(&two).expect("there is room");
    assert_same(&read(&peer, 2), b"in");

    let plain = || {
        let listener = PeerListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("an option");
        listener
    };
    let served = Listener::builder().serve_from(&reactor, plain(), || Echo).expect("a listener");
    ping(&crate::util::peer(served.local_addr()), b"there");
    let bound = Listener::builder().bind_from(&reactor, plain()).expect("a listener");
    let _client = crate::util::peer(bound.local_addr());
    bound.accept().expect("a connection");
}

#[test]
fn a_connector_tries_all_addresses_has_settings_and_can_be_cancelled() {
    need_loops!();
    let reactor = reactor(1);
    let nobody = {
        let listener = PeerListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    let listener = PeerListener::bind("127.0.0.1:0").expect("a port");
    let addrs = [nobody, listener.local_addr().expect("an address")];
    let client = |sender: mpsc::Sender<String>| {
        probe(move |seen| {
            let text = match seen {
                Seen::Open(conn) => {
                    let peer = conn.peer_addr().expect("a peer");
                    let nodelay = SockRef::from(&*conn).tcp_nodelay().expect("an option");
                    format!("open {peer} {nodelay}")
                }
                Seen::Close(Some(error)) if LocallyClosed::is(&error) => "cancelled".to_owned(),
                Seen::Close(error) => format!("close {:?}", error.map(|error| error.kind())),
                _ => return,
            };
            sender.send(text).expect("the test listens");
        })
    };
    let (sender, log) = mpsc::channel();
    let connector = Connector::new().nodelay(false);
    connector.connect(reactor.handle(), &addrs[..], client(sender.clone())).expect("a loop");
    assert_eq!(get(&log), format!("open {} false", addrs[1]));
    connector.connect(reactor.handle(), &addrs[..1], client(sender.clone())).expect("a loop");
    assert_eq!(get(&log), "close Some(ConnectionRefused)");
    // on the loop, with what is not `Send`
    let here = sender.clone();
    let addr = addrs[1];
    on_loop(reactor.handle(), move |cx| {
        let not_send = std::rc::Rc::new(());
        let mut inner = client(here);
        let handler = probe(move |seen| {
            let _mine = &not_send;
            (inner.0)(seen);
        });
        connector.connect_here(cx, addr, handler).map(drop).expect("an address");
    });
    assert_eq!(get(&log), format!("open {addr} false"));

    let zero = Connector::new().timeout(Duration::ZERO);
    let error = zero.connect(reactor.handle(), addr, client(sender.clone())).expect_err("zero");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let twin = Peer::connect_timeout(&addr, Duration::ZERO).expect_err("zero").kind();
    assert_eq!(
        TcpStream::connect_timeout(&reactor, addr, Duration::ZERO).expect_err("zero").kind(),
        twin
    );

    // cancelled before the loop has looked at it
    let (go, wait) = mpsc::channel::<()>();
    reactor.handle().run(move |_| wait.recv().expect("the test goes on")).expect("a loop");
    let first = Connector::new().connect(reactor.handle(), addr, client(sender)).expect("a loop");
    first.cancel();
    go.send(()).expect("the loop waits");
    let told = get(&log);
    // the kernel may have been faster
    assert!(told == "cancelled" || told.starts_with("open"), "{told}");
}

#[test]
fn all_addresses_are_tried_within_one_timeout() {
    need_loops!();
    let reactor = reactor(1);
    // a queue that is full drops what more comes
    let socket =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    socket.bind(&any.into()).expect("a port");
    socket.listen(0).expect("a listener");
    let addr = socket.local_addr().expect("an address").as_socket().expect("IPv4");
    let _queued = [peer(addr)];
    let limit = Duration::from_millis(100);
    let connector = Connector::new().timeout(limit);
    for _ in 0..5 {
        let (sender, log) = mpsc::channel();
        let client = probe(move |seen| {
            let end = match seen {
                Seen::Open(_) => None,
                Seen::Close(error) => error.map(|error| error.kind()),
                _ => return,
            };
            let _first = sender.send(end);
        });
        let start = Instant::now();
        connector.connect(reactor.handle(), &[addr, addr][..], client).expect("a loop");
        if let Some(kind) = get(&log) {
            assert_eq!(kind, ErrorKind::TimedOut);
            assert!(start.elapsed() >= limit && start.elapsed() < LONG);
            return;
        }
    }
    skip!("a full queue takes connections here");
}
