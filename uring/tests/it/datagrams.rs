//! An empty message is not the end of a stream.

use std::{
    io::{self, Write as _},
    net::{TcpListener, UdpSocket},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::{UnixDatagram, UnixStream},
    },
};

use uring::{RecvBuf, Ring, op};

use crate::util::{self, Fd, Happened, Mode};

type Recv = op::RecvMulti<Fd>;

/// What came: bytes, or `None` at the end of a stream; and whether the operation went on.
fn next(ring: &mut Ring<Recv>) -> (Option<RecvBuf>, bool) {
    match util::next(ring) {
        Happened::Item(_, buf) => (Some(buf), true),
        Happened::Done(_, (), (result, _)) => (result.expect("no error"), false),
    }
}

#[test]
fn each_datagram_is_a_message_also_if_it_is_empty_and_costs_no_buffer() {
    if !util::has_multishot_recv() {
        skip!("no multishot receive before 6.0");
    }
    let messages: [&[u8]; 8] = [b"abc", b"", b"de", b"", b"", b"f", b"", b"ghi"];
    let udp = || {
        let bind = || UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let (ours, theirs) = (bind(), bind());
        theirs.connect(ours.local_addr().expect("bound")).expect("loopback");
        let send = Box::new(move |bytes: &[u8]| theirs.send(bytes))
            as Box<dyn Fn(&[u8]) -> io::Result<usize>>;
        (OwnedFd::from(ours), send)
    };
    let unix = || {
        let (ours, theirs) = UnixDatagram::pair().expect("a pair");
        let send = Box::new(move |bytes: &[u8]| theirs.send(bytes))
            as Box<dyn Fn(&[u8]) -> io::Result<usize>>;
        (OwnedFd::from(ours), send)
    };
    for mode in Mode::ALL {
        for (ours, send) in [udp(), unix()] {
            let Some(mut ring) = mode.ring::<Recv, ()>(8, 8) else { continue };
            let pool = ring.pool(4, 64).expect("a pool");
            let ours = Fd::new(ours);
            let submit = |ring: &mut Ring<Recv>| {
                ring.submit(op::RecvMulti::new(ours.clone(), &pool), ()).expect("room");
            };
            submit(&mut ring);
            for round in 0..20 {
                // some before the receive looks, some while it waits
                let at_once = round % 2 == 0;
                let chunks = if at_once { 8 } else { 1 };
                for chunk in messages.chunks(chunks) {
                    for message in chunk {
                        assert_eq!(send(message).expect("room"), message.len());
                    }
                    for message in chunk {
                        let (buf, goes_on) = next(&mut ring);
                        let buf = buf.unwrap_or_else(|| panic!("{mode:?}: nobody has finished"));
                        assert_eq!(&&buf[..], message, "{mode:?}, round {round}");
                        drop(buf);
                        if !goes_on {
                            submit(&mut ring);
                        }
                    }
                }
                assert_eq!(pool.available(), 4, "{mode:?}, round {round}");
            }
        }
    }
}

#[test]
fn the_end_of_a_stream_is_told_as_an_end() {
    if !util::has_multishot_recv() {
        skip!("no multishot receive before 6.0");
    }
    let tcp = || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let theirs = std::net::TcpStream::connect(listener.local_addr().expect("bound"));
        let ours = listener.accept().expect("one waits").0;
        (OwnedFd::from(ours), Box::new(theirs.expect("it listens")) as Box<dyn io::Write>)
    };
    let unix = || {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        (OwnedFd::from(ours), Box::new(theirs) as Box<dyn io::Write>)
    };
    for mode in Mode::ALL {
        for (ours, mut theirs) in [tcp(), unix()] {
            let Some(mut ring) = mode.ring::<Recv, ()>(8, 8) else { continue };
            let pool = ring.pool(4, 64).expect("a pool");
            ring.submit(op::RecvMulti::new(Fd::new(ours), &pool), ()).expect("room");
            theirs.write_all(b"the last").expect("room");
            let (buf, goes_on) = next(&mut ring);
            assert_eq!((&buf.expect("bytes")[..], goes_on), (&b"the last"[..], true));
            drop(theirs);
            let (buf, goes_on) = next(&mut ring);
            assert!(buf.is_none() && !goes_on, "{mode:?}: the peer has finished");
            assert_eq!(pool.available(), 4);
        }
    }
}

#[test]
fn a_socket_that_cannot_be_asked_for_its_kind_ends_like_a_stream() {
    isolated!();
    if !util::has_multishot_recv() {
        skip!("no multishot receive before 6.0");
    }
    // in doubt it is an end, as it is for most sockets: nobody submits again without end
    crate::refusals::filter(&[libc::SYS_getsockopt], libc::EPERM, true);
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let mut ring: Ring<Recv> = util::ring();
    let pool = ring.pool(4, 64).expect("a pool");
    let ours = ours.as_fd().try_clone_to_owned().expect("a descriptor");
    ring.submit(op::RecvMulti::new(Fd::new(ours), &pool), ()).expect("room");
    drop(theirs);
    assert!(next(&mut ring).0.is_none());
}
