//! Every descriptor that the kernel makes has an owner, and is closed once.

use std::{
    fs::File,
    io::Read as _,
    net::{TcpListener, TcpStream},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::Arc,
};

use uring::{Event, Operation, Ring, op};

use crate::{
    scenes::{Item, Op, Output},
    util::{self, Fd, Happened, Mode},
};

struct Listener {
    plain: TcpListener,
    shared: Fd,
}

impl Listener {
    fn new() -> Self {
        let plain = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let shared = Arc::new(plain.try_clone().expect("a descriptor").into());
        Self { plain, shared }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.plain.local_addr().expect("bound")).expect("it listens")
    }

    fn accepts(&self) -> [Op; 2] {
        let listener = &self.shared;
        [op::Accept::new(listener.clone()).into(), op::AcceptFrom::new(listener.clone()).into()]
    }
}

/// Runs `body` with a ring of each kind, and counts descriptors around it.
#[track_caller]
fn counted(mut body: impl FnMut(Ring<Op>)) {
    for mode in Mode::ALL {
        let before = testing::descriptors();
        let Some(ring) = mode.ring(16, 64) else { continue };
        body(ring);
        assert_eq!(testing::descriptors(), before, "{mode:?}");
    }
}

#[test]
fn an_accept_that_won_against_its_cancel_leaks_no_descriptor() {
    isolated!();
    let (mut won, mut lost) = (0, 0);
    counted(|mut ring| {
        for round in 0..testing::rounds(100) {
            let listener = Listener::new();
            for accept in listener.accepts() {
                let id = ring.submit(accept, ()).expect("room");
                ring.wait(0, None).expect("the kernel takes it");
                // the connection is there in the kernel before the cancel, or never
                let client = (round % 2 == 0).then(|| listener.connect());
                ring.cancel(id).expect("room");
                match util::done(&mut ring) {
                    (_, Output::Accept((Ok(_), _)) | Output::AcceptFrom((Ok(_), _))) => won += 1,
                    (_, Output::Accept((Err(e), _)) | Output::AcceptFrom((Err(e), _))) => {
                        assert_eq!(e.raw_os_error(), Some(libc::ECANCELED));
                        lost += 1;
                    }
                    _ => unreachable!("an accept was submitted"),
                }
                drop(client);
            }
        }
    });
    assert!(won > 0 && lost > 0, "both were seen: {won} won, {lost} lost");
}

#[test]
fn an_accept_whose_result_nobody_looks_at_closes_what_it_accepted() {
    isolated!();
    counted(|mut ring| {
        let listener = Listener::new();
        for accept in listener.accepts() {
            ring.submit(accept, ()).expect("room");
        }
        let _clients = [listener.connect(), listener.connect()];
        let mut ended = 0;
        while ended < 2 {
            ring.wait(1, None).expect("a wait");
            while ring.next().is_some() {
                ended += 1;
            }
        }
    });
}

#[test]
fn a_ring_that_goes_closes_what_it_accepted_and_nobody_read() {
    isolated!();
    counted(|mut ring| {
        let listener = Listener::new();
        for accept in listener.accepts() {
            ring.submit(accept, ()).expect("room");
        }
        let _clients = [listener.connect(), listener.connect()];
        ring.wait(2, None).expect("a wait");
    });
}

#[test]
fn a_ring_that_goes_closes_what_a_multishot_accepted_and_nobody_read() {
    isolated!();
    if !util::has_multishot_accept() {
        skip!("no multishot accept");
    }
    counted(|mut ring| {
        let listener = Listener::new();
        ring.submit(op::AcceptMulti::new(listener.shared.clone()).into(), ()).expect("room");
        let _clients: Vec<_> = (0..8).map(|_| listener.connect()).collect();
        ring.wait(8, None).expect("a wait");
        // one is read and kept, one is read and ignored, six stay
        let Some(Event::Item { .. }) = ring.next() else { panic!("an item") };
        let Some(Event::Item { .. }) = ring.next() else { panic!("an item") };
    });
}

#[test]
fn a_connection_that_was_accepted_while_a_scope_ran_is_not_lost() {
    isolated!();
    counted(|mut ring| {
        let listener = Listener::new();
        for accept in listener.accepts() {
            ring.submit(accept, ()).expect("room");
        }
        ring.wait(0, None).expect("the kernel takes them");
        let _clients = [listener.connect(), listener.connect()];
        // the scope meets the accepts' completions, which are not its own
        ring.scope::<op::Nop, (), _>(1, |scope| {
            scope.submit(op::Nop::new(), ()).expect("room");
            scope.wait(3, None).expect("a wait");
            assert!(matches!(scope.next(), Some(Event::Done { .. })));
            assert!(scope.next().is_none());
        });
        let (_, first) = util::done(&mut ring);
        assert!(matches!(first, Output::Accept((Ok(_), _)) | Output::AcceptFrom((Ok(_), _))));
        // the second goes with the ring
    });
}

fn is_open(fd: i32) -> bool {
    // SAFETY: the call takes no pointer.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

#[test]
fn a_close_closes_its_descriptor_before_it_completes_and_not_again() {
    isolated!();
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Close, ()>(8, 8) else { continue };
        let (mut reader, writer) = {
            let (reader, writer) = testing::pipe();
            (File::from(reader), writer)
        };
        let number = writer.as_raw_fd();
        ring.submit(op::Close::new(writer), ()).expect("room");
        ring.wait(1, None).expect("a wait");
        assert!(!is_open(number), "{mode:?}: it is closed");
        assert_eq!(reader.read(&mut [0]).expect("the end"), 0, "{mode:?}: nobody writes any more");
        // somebody else gets the number before the result is looked at
        let stranger: Vec<File> = (0..4).map(|_| File::open("/dev/null").expect("it")).collect();
        assert!(stranger.iter().any(|file| file.as_raw_fd() == number));
        let (_, result) = util::done(&mut ring);
        result.expect("a close");
        assert!(is_open(number), "{mode:?}: the stranger's descriptor is not closed");
    }
}

#[test]
fn a_close_of_a_file_in_a_broken_chain_leaves_its_descriptor_and_counts_it() {
    isolated!();
    uring::operations! {
        enum Link, LinkItem, LinkOutput { Read(op::Read<Fd, Vec<u8>>), Close(op::Close) }
    }
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<Link, ()>(8, 8) else { continue };
        let leaked = op::leaked_descriptors();
        let (_reader, writer) = testing::pipe();
        let before = testing::descriptors();
        let file = File::open("/dev/null").expect("it");
        let number = file.as_raw_fd();
        // nobody reads from the end that is written to: EBADF in read(2)
        let read = op::Read::new(Arc::new(writer), vec![0; 8], uring::Current);
        ring.chain(|chain| {
            chain.then(read.into(), ()).then(op::Close::new(file).into(), ());
        })
        .expect("room");
        let (_, LinkOutput::Read((result, ..))) = util::done(&mut ring) else { panic!("a read") };
        assert_eq!(util::errno(&result), libc::EBADF);
        ring.wait(1, None).expect("a wait");
        assert!(is_open(number), "{mode:?}: the kernel has not closed it");
        let (_, LinkOutput::Close(result)) = util::done(&mut ring) else { panic!("a close") };
        assert_eq!(util::errno(&result), libc::ECANCELED);
        // a file's own write-back may say ECANCELED too, after it was closed: nobody can tell
        assert!(is_open(number), "{mode:?}: and neither have we");
        assert_eq!(op::leaked_descriptors(), leaked + 1, "{mode:?}");
        // the file has come, and the writer has gone
        assert_eq!(testing::descriptors(), before, "{mode:?}");
    }
}

#[test]
fn a_socket_whose_close_is_cancelled_is_closed_and_its_peer_sees_the_end() {
    isolated!();
    uring::operations! {
        enum Link, LinkItem, LinkOutput { Read(op::Read<Fd, Vec<u8>>), Close(op::Close) }
    }
    for mode in Mode::ALL {
        let before = testing::descriptors();
        // cancelled because the ring goes
        for _ in 0..20 {
            let Some(mut ring) = mode.ring::<op::Close, ()>(8, 8) else { continue };
            let (ours, mut theirs) = UnixStream::pair().expect("a pair");
            ring.submit(op::Close::new(ours), ()).expect("room");
            ring.wait(0, None).expect("the kernel takes it");
            drop(ring);
            theirs.set_nonblocking(true).expect("a socket");
            assert_eq!(theirs.read(&mut [0]).expect("an end"), 0, "{mode:?}");
        }
        // cancelled because what comes before it fails
        let Some(mut ring) = mode.ring::<Link, ()>(8, 8) else { continue };
        let (reader, writer) = testing::pipe();
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let read = op::Read::new(Arc::new(writer), vec![0; 8], uring::Current);
        ring.chain(|chain| {
            chain.then(read.into(), ()).then(op::Close::new(ours).into(), ());
        })
        .expect("room");
        let (_, LinkOutput::Read((result, ..))) = util::done(&mut ring) else { panic!("a read") };
        assert_eq!(util::errno(&result), libc::EBADF);
        let (_, LinkOutput::Close(result)) = util::done(&mut ring) else { panic!("a close") };
        assert_eq!(util::errno(&result), libc::ECANCELED);
        assert_eq!(theirs.read(&mut [0]).expect("an end"), 0, "{mode:?}");
        drop((result, ring, theirs, reader));
        assert_eq!(testing::descriptors(), before, "{mode:?}");
    }
    assert_eq!(op::leaked_descriptors(), 0);
}

#[test]
fn a_close_that_is_refused_or_never_submitted_closes_its_descriptor() {
    isolated!();
    let before = testing::descriptors();
    let writer = |number: &mut i32| {
        let (_, writer) = testing::pipe();
        *number = writer.as_raw_fd();
        op::Close::new(writer)
    };
    let mut number = -1;
    assert_eq!(
        util::errno(&writer(&mut number).refuse(std::io::Error::from_raw_os_error(libc::EBUSY))),
        libc::EBUSY
    );
    assert!(!is_open(number));

    let mut ring = util::ring::<op::Close, ()>();
    ring.submit(writer(&mut number), ()).expect("room");
    drop(ring);
    assert!(!is_open(number));
    assert_eq!(testing::descriptors(), before);
}

#[test]
fn a_close_of_a_ring_is_refused_by_the_kernel_and_leaves_it_open_and_counted() {
    isolated!();
    let mut ring = util::ring::<op::Close, ()>();
    let before = testing::descriptors();
    let other = util::ring::<op::Nop, ()>();
    let copy: OwnedFd = std::os::fd::AsFd::as_fd(&other).try_clone_to_owned().expect("a copy");
    // io_uring_enter(2): IORING_OP_CLOSE of a ring fails with EBADF
    let result = ring.run(op::Close::new(copy));
    assert_eq!(util::errno(&result), libc::EBADF);
    drop(other);
    // an error does not tell whether it was taken
    assert_eq!(testing::descriptors(), before + 1);
    assert_eq!(op::leaked_descriptors(), 1);
}

#[test]
fn what_is_accepted_is_closed_on_exec() {
    let listener = Listener::new();
    let mut ring = util::ring::<Op, ()>();
    let mut accepts = Vec::from(listener.accepts());
    if util::has_multishot_accept() {
        accepts.push(op::AcceptMulti::new(listener.shared.clone()).into());
    }
    for accept in accepts {
        ring.submit(accept, ()).expect("room");
        let _client = listener.connect();
        let fd = match util::next(&mut ring) {
            Happened::Item(_, Item::AcceptMulti(fd)) => fd.expect("accepted"),
            Happened::Done(_, (), Output::Accept((fd, _))) => fd.expect("accepted"),
            Happened::Done(_, (), Output::AcceptFrom((accepted, _))) => {
                accepted.expect("accepted").0
            }
            _ => unreachable!("accepts were submitted"),
        };
        // SAFETY: the call takes no pointer.
        let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) };
        assert_eq!(flags, libc::FD_CLOEXEC);
    }
}
