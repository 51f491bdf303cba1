//! What a ring promises to take no longer than, it takes no longer than, and burns no processor
//! meanwhile.

use std::{
    io::Write as _,
    net::TcpStream,
    os::fd::{AsRawFd, OwnedFd},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use uring::{AnyOperation, Features, OpCode, Ring, leaked_operations, op};

use crate::{
    intercept::{Answer, intercept},
    scenes::{self, Op},
    util::{self, Fd, Mode},
};

/// What a dropped ring promises to take at most, and what a busy machine may add.
const BOUND: Duration = Duration::from_secs(5);
const SLACK: Duration = Duration::from_secs(4);

fn hours() -> op::Timeout {
    op::Timeout::new(Duration::from_secs(3600))
}

#[test]
fn a_long_chain_of_hard_links_ends_soon_and_whole() {
    isolated!();
    const LINKS: u32 = 200;
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Timeout, ()>(256, 256) else { continue };
        let chain = |chain: &mut uring::Chain<op::Timeout, ()>| {
            chain.hard();
            for _ in 0..LINKS {
                chain.then(hours(), ());
            }
        };
        ring.scope::<op::Timeout, (), _>(LINKS, |scope| {
            scope.chain(chain).expect("room");
            scope.wait(0, None).expect("the kernel takes it");
        });
        ring.chain(chain).expect("room");
        ring.wait(0, None).expect("the kernel takes it");
        // in rounds, and not link by link with a pause after each: by hand this takes some 10 ms
        let began = Instant::now();
        drop(ring);
        let took = began.elapsed();
        assert_eq!(leaked_operations(), 0, "{mode:?}");
        assert!(took < BOUND / 2, "{mode:?}: {took:?}");
    }
}

/// A connection whose close waits for a peer that reads nothing, for so many seconds.
fn lingers(seconds: i32) -> (OwnedFd, TcpStream) {
    let (mut ours, theirs) = util::tcp_pair();
    ours.set_nonblocking(true).expect("it can be");
    // full is what stays full: the peer's buffer may grow first
    let mut poll = libc::pollfd { fd: ours.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    loop {
        while ours.write(&[0; 1 << 16]).is_ok() {}
        // SAFETY: the call reads and writes one `pollfd`.
        if unsafe { libc::poll(&raw mut poll, 1, 100) } == 0 {
            break;
        }
    }
    ours.set_nonblocking(false).expect("it can be");
    let linger = libc::linger { l_onoff: 1, l_linger: seconds };
    let bytes = libc::socklen_t::try_from(size_of_val(&linger)).expect("small");
    // SAFETY: the call reads one `linger`.
    let answer = unsafe {
        let value = (&raw const linger).cast();
        libc::setsockopt(ours.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, value, bytes)
    };
    assert_eq!(answer, 0);
    (ours.into(), theirs)
}

/// How much of a processor this thread has used.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one `timespec`.
    let answer = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(answer, 0);
    let number = |part| u64::try_from(part).expect("not negative");
    Duration::from_secs(number(time.tv_sec)) + Duration::from_nanos(number(time.tv_nsec))
}

/// Runs `body`, which has to end within `bound` and to sleep nearly all of it.
#[track_caller]
fn bounded<R>(what: &str, bound: Duration, body: impl FnOnce() -> R) -> R {
    let (began, before) = (Instant::now(), processor_time());
    let result = body();
    let (took, used) = (began.elapsed(), processor_time() - before);
    assert!(took < bound, "{what}: it took {took:?}, and the bound is {bound:?}");
    // what is to be done apart from waiting: 20 ms, and ten times as much on a slow machine
    let work = Duration::from_millis(200) / testing::rounds(10);
    assert!(used < work + took / 5, "{what}: {used:?} of a processor");
    result
}

/// A ring whose submission thread closes a socket that lingers, with more to submit than it has
/// room for.
fn stuck() -> (Ring<AnyOperation<'static>>, TcpStream) {
    let mut ring: Ring<AnyOperation<'static>> = Mode::Thread.ring(4, 64).expect("looked before");
    let (socket, peer) = lingers(30);
    for _ in 0..20 {
        let forever = AnyOperation::new(hours());
        ring.submit(forever, ()).expect("the thread makes room");
    }
    ring.wait(0, None).expect("the thread takes them");
    testing::until("all are taken", || ring.submissions_waiting() == 0);
    let close = op::Close::new(socket).in_place();
    ring.submit(AnyOperation::new(close), ()).expect("room");
    ring.wait(0, None).expect("the thread takes it");
    testing::until("it is taken", || ring.submissions_waiting() == 0);
    (ring, peer)
}

#[test]
fn a_submission_thread_that_lingers_keeps_nobody_longer_than_the_bound_nor_busy() {
    isolated!();
    if !util::support().features.contains(Features::SQPOLL_NONFIXED) {
        skip!("before 5.11 a submission thread took registered files only");
    }
    let in_time = |limit| Instant::now() + limit;
    let (ring, peer) = stuck();
    let limit = Duration::from_millis(300);
    let left = bounded("close", limit + SLACK, || ring.close(in_time(limit)));
    assert!(left > 0, "it cannot have been had");
    assert_eq!(u64::from(left), leaked_operations());
    drop(peer);

    let (mut ring, peer) = stuck();
    let result = bounded("cancel_all", BOUND + SLACK, || ring.cancel_all());
    assert_eq!(result.expect_err("no room").kind(), std::io::ErrorKind::TimedOut);
    bounded("wait", limit + SLACK, || ring.wait(1, Some(in_time(limit)))).expect("a wait");
    let before = leaked_operations();
    bounded("drop", BOUND + SLACK, || drop(ring));
    assert!(leaked_operations() > before);
    drop(peer);
}

#[test]
fn a_close_of_a_socket_that_lingers_does_not_block_who_submits_it() {
    isolated!();
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Close, ()>(8, 8) else { continue };
        let (socket, peer) = lingers(30);
        ring.submit(op::Close::new(socket), ()).expect("room");
        bounded("submit", SLACK, || ring.wait(0, None)).expect("a wait");
        // and the ring goes on meanwhile
        bounded("run", SLACK, || ring.run(op::Nop::new())).expect("nothing");
        drop(peer); // if the worker still waits, this ends it
        assert!(bounded("the close", SLACK, || util::done(&mut ring)).1.is_ok(), "{mode:?}");
    }
}

/// A terminal, and its other side, which reads nothing.
fn terminal() -> (OwnedFd, OwnedFd) {
    let (mut master, mut slave) = (-1, -1);
    let null = std::ptr::null_mut();
    // SAFETY: the call writes two descriptors; nulls ask for a default.
    let answer =
        unsafe { libc::openpty(&raw mut master, &raw mut slave, null, null.cast(), null.cast()) };
    assert_eq!(answer, 0, "openpty: {}", std::io::Error::last_os_error());
    // SAFETY: the call has made the descriptors, and nobody else knows them.
    let own = |fd| unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) };
    (own(master), own(slave))
}

#[test]
fn a_write_to_a_stuck_terminal_blocks_nobody_if_it_is_on_a_worker() {
    isolated!();
    // a submission that waits for the terminal waits for ever
    // SAFETY: the call takes a number.
    unsafe { libc::alarm(40) };
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<uring::OnWorker<op::Write<Fd, Vec<u8>>>, ()>(8, 8) else {
            continue;
        };
        let (_master, slave) = terminal();
        let slave = Fd::new(slave);
        let write = op::Write::new(slave.clone(), vec![b'x'; 1 << 20], uring::Current);
        let id = ring.submit(uring::Operation::on_worker(write), ()).expect("room");
        bounded("submit", SLACK, || ring.wait(0, None)).expect("a wait");
        bounded("run", SLACK, || ring.run(op::Nop::new())).expect("nothing");
        assert!(ring.is_live(id), "{mode:?}: it waits for the terminal");
        bounded("drop", SLACK, || drop(ring));
        assert_eq!(Fd::strong_count(&slave), 1, "{mode:?}: it came back");
    }
    assert_eq!(leaked_operations(), 0);
}

#[test]
fn errors_on_the_way_do_not_end_a_drain_before_its_time() {
    isolated!();
    static ERRNO: AtomicU32 = AtomicU32::new(0);
    static LEFT: AtomicU32 = AtomicU32::new(0);
    // each enter is refused for a while, and then let in
    let installed = intercept(libc::SYS_io_uring_enter, |_| {
        let left = LEFT.load(Ordering::SeqCst);
        if left == 0 {
            return Answer::LetIn;
        }
        LEFT.store(left - 1, Ordering::SeqCst);
        Answer::Errno(i32::try_from(ERRNO.load(Ordering::SeqCst)).expect("small"))
    });
    if !installed {
        skip!("no seccomp notifications (5.5)");
    }
    for errno in [libc::ENOMEM, libc::EPERM, libc::EBUSY, libc::EAGAIN, libc::EINTR, libc::ENXIO] {
        for refusals in [1, 3, 40] {
            let what = format!("{refusals} times errno {errno}");
            let mut ring = util::ring::<Op, ()>();
            let (reader, writer) = testing::pipe();
            let reader = Fd::new(reader);
            ring.submit(scenes::read(&reader, 64), ()).expect("room");
            ring.wait(0, None).expect("the kernel takes it");
            ERRNO.store(errno.unsigned_abs(), Ordering::SeqCst);
            LEFT.store(refusals, Ordering::SeqCst);
            let began = Instant::now();
            drop(ring);
            assert_eq!((leaked_operations(), LEFT.load(Ordering::SeqCst)), (0, 0), "{what}");
            assert_eq!(Fd::strong_count(&reader), 1, "{what}");
            assert!(began.elapsed() < BOUND, "{what}: {:?}", began.elapsed());

            // and a scope, whose end cannot be put off, neither returns early nor gives up
            let mut ring = util::ring::<op::Nop, ()>();
            let mut buffer = [7; 8];
            ring.scope(1, |scope| {
                let read = op::Read::new(&*reader, &mut buffer[..], uring::Current);
                scope.submit(read, ()).expect("room");
                scope.wait(0, None).expect("the kernel takes it");
                LEFT.store(refusals, Ordering::SeqCst);
            });
            scenes::write(&writer, b"late");
            assert_eq!(buffer, [7; 8], "{what}");
            assert_eq!(util::read_now(std::os::fd::AsFd::as_fd(&*reader), 8).expect("it"), b"late");
        }
    }
}

#[test]
fn a_chain_of_thousands_is_not_leaked_by_a_ring_that_goes() {
    isolated!();
    const LINKS: u32 = 4096;
    if !util::has(OpCode::SOCKET) {
        skip!("one entry that cancels everything needs 5.19");
    }
    let ring = Ring::<op::Timeout>::builder().entries(LINKS).operations(LINKS).build();
    let mut ring = ring.expect("a ring");
    ring.chain(|chain| {
        chain.hard();
        for _ in 0..LINKS {
            chain.then(hours(), ());
        }
    })
    .expect("room");
    ring.wait(0, None).expect("the kernel takes them");
    drop(ring);
    assert_eq!(leaked_operations(), 0);
}
