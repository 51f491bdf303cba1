//! What an operation costs: system calls and allocations, counted.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use testing::{LONG, alloc::allocations};
use uring::{At, Event, RawRing, Ring, Sqe, op};

use crate::util::{self, Fd, Mode};

/// How many calls of `io_uring_enter` a piece of code makes, by the ring's own count.
fn enters<O: uring::Operation + 'static>(
    ring: &mut Ring<O>,
    body: impl FnOnce(&mut Ring<O>),
) -> u64 {
    let before = ring.stats().enters;
    body(ring);
    ring.stats().enters - before
}

#[test]
fn a_wait_enters_once_and_with_nothing_to_do_not_at_all() {
    let mut ring = util::ring::<op::Nop, ()>();
    let none = enters(&mut ring, |ring| {
        for _ in 0..100 {
            ring.wait(0, None).expect("nothing to do");
            assert!(ring.next().is_none());
        }
    });
    assert_eq!(none, 0, "polling an idle ring");
    let once = enters(&mut ring, |ring| {
        for _ in 0..10 {
            ring.submit(op::Nop::new(), ()).expect("room");
        }
        ring.wait(10, None).expect("a wait");
    });
    assert_eq!(once, 1, "submitting ten and waiting for them");
    let none = enters(&mut ring, |ring| {
        ring.wait(10, None).expect("they are there");
        while ring.next().is_some() {}
    });
    assert_eq!(none, 0, "reading completions that are there");
    let once = enters(&mut ring, |ring| {
        let deadline = Instant::now() + Duration::from_millis(1);
        ring.wait(1, Some(deadline)).expect("time passes");
        assert!(Instant::now() >= deadline);
    });
    // the stand-in for a timed wait of 5.10 may need a second look
    assert!(once <= 2, "waiting for the time to pass: {once}");
}

/// Runs `body` in a forked child; says what it returns, and how often the child has called
/// `io_uring_enter`, as strace(1) sees it: by ptrace(2). `None` where that is refused.
fn traced(body: impl FnOnce() -> u64) -> Option<(u64, u64)> {
    let (reader, writer) = testing::pipe();
    let (mut reader, mut writer) = (File::from(reader), File::from(writer));
    // SAFETY: the child uses this thread alone, and exits without destructors.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork");
    if child == 0 {
        // SAFETY: the call takes no pointer.
        let mut status = unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
        if status == 0 {
            // SAFETY: the call takes no pointer; the parent sees it, and lets us go on.
            unsafe { libc::raise(libc::SIGSTOP) };
            let told = catch_unwind(AssertUnwindSafe(body));
            status = i64::from(told.is_err());
            let _the_parent_misses_it = writer.write_all(&told.unwrap_or(0).to_ne_bytes());
        }
        // SAFETY: the call does not return.
        unsafe { libc::_exit(i32::from(status != 0)) };
    }
    drop(writer);
    let (mut status, mut calls) = (-1, 0);
    let mut wait = || {
        // SAFETY: the call writes one int.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        status
    };
    if libc::WIFEXITED(wait()) {
        return None;
    }
    let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL;
    // SAFETY: the call takes no pointer; the child is stopped.
    assert_eq!(unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, child, 0, options) }, 0);
    loop {
        // SAFETY: the call takes no pointer; the child is stopped.
        assert_eq!(unsafe { libc::ptrace(libc::PTRACE_SYSCALL, child, 0, 0) }, 0);
        let status = wait();
        if libc::WIFEXITED(status) {
            assert_eq!(libc::WEXITSTATUS(status), 0, "the child's test has failed");
            break;
        }
        assert!(libc::WIFSTOPPED(status), "the child was killed: {status:#x}");
        if libc::WSTOPSIG(status) != libc::SIGTRAP | 0x80 {
            continue;
        }
        // ptrace(2): struct ptrace_syscall_info has `op` in its first byte, 1 for the entry of a
        // call, and then the call's number at byte 24
        let mut info = [0_u64; 11];
        // SAFETY: the call writes as many bytes as it is told.
        let written = unsafe {
            libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, child, size_of_val(&info), &raw mut info)
        };
        assert!(written >= 32, "PTRACE_GET_SYSCALL_INFO");
        let entry = info[0].to_ne_bytes()[0] == 1;
        calls += u64::from(entry && i64::try_from(info[3]) == Ok(libc::SYS_io_uring_enter));
    }
    let mut told = [0; 8];
    reader.read_exact(&mut told).expect("what the child has written");
    Some((u64::from_ne_bytes(told), calls))
}

#[test]
fn the_ring_counts_each_enter_that_strace_sees() {
    isolated!();
    // whether a mode is there is asked of a ring that is none of these, and that enters too
    let there = |mode: &Mode| mode.ring::<op::Timeout, ()>(8, 64).is_some();
    for mode in Mode::ALL.into_iter().filter(there) {
        let traced = traced(|| {
            let Some(mut ring) = mode.ring::<op::Timeout, ()>(8, 64) else { return 0 };
            for _ in 0..3 {
                for micros in 0..20 {
                    let after = Duration::from_micros(100 * micros);
                    ring.submit(op::Timeout::new(after), ()).expect("room");
                }
                let deadline = Instant::now() + Duration::from_millis(1);
                ring.wait(u32::MAX, Some(deadline)).expect("a wait");
                ring.run(op::Nop::new()).expect("nothing");
                ring.scope::<op::Nop, (), _>(2, |scope| {
                    scope.submit(op::Nop::new(), ()).expect("room");
                });
                ring.cancel_all().expect("the kernel takes it");
                while ring.in_flight() > 0 {
                    ring.wait(1, None).expect("a wait");
                    while ring.next().is_some() {}
                }
            }
            let enters = ring.stats().enters;
            std::mem::forget(ring);
            enters
        });
        let Some((counted, seen)) = traced else { skip!("ptrace is refused here") };
        assert_eq!(counted, seen, "{mode:?}");
        assert!(seen > 0 || mode != Mode::Best, "there is always a best one");
    }
}

#[test]
fn an_enter_is_counted_where_it_is_made_and_a_full_queue_makes_one() {
    let mut ring = util::ring::<op::Nop, ()>();
    let mut raw = RawRing::builder().entries(4).completions(8).build().expect("a ring");
    for round in 1..=5 {
        raw.push(Sqe::nop()).expect("room");
        raw.submit_and_wait(1).expect("a wait");
        assert_eq!(raw.enters(), round);
        raw.pop().expect("the nop");
    }
    let entries = enters(&mut ring, |ring| {
        // 64 entries: the 65th submit hands the first 64 over
        for _ in 0..65 {
            ring.submit(op::Nop::new(), ()).expect("room");
        }
    });
    assert_eq!(entries, 1);
    assert_eq!(ring.submissions_waiting(), 1);
}

#[test]
fn a_submission_thread_saves_the_enters() {
    let Some(mut ring) = Mode::Thread.ring::<op::Nop, ()>(8, 8) else {
        skip!("no submission thread without registered files");
    };
    // the thread may sleep before each of them, and then is woken: one enter each, and one a wait
    let count = enters(&mut ring, |ring| {
        for _ in 0..100 {
            ring.submit(op::Nop::new(), ()).expect("room");
            ring.wait(1, None).expect("a wait");
            assert!(ring.next().is_some());
        }
    });
    assert!(count <= 200, "{count}");
    // one that is awake needs none at all
    let sizes = Ring::<op::Nop, ()>::builder().entries(8).completions(128);
    let awake = Duration::from_secs(60);
    let mut ring = sizes.submission_thread(awake).build().expect("as before");
    ring.run(op::Nop::new()).expect("it is awake now");
    let count = enters(&mut ring, |ring| {
        for _ in 0..100 {
            ring.submit(op::Nop::new(), ()).expect("room");
            let limit = Instant::now() + LONG;
            loop {
                ring.wait(0, None).expect("a poll");
                if ring.next().is_some() {
                    break;
                }
                assert!(Instant::now() < limit, "the thread takes it");
                std::thread::yield_now();
            }
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn an_operation_allocates_nothing_in_steady_state() {
    isolated!();
    uring::operations! {
        enum Op, Item, Output {
            Recv(op::Recv<Fd, Vec<u8>>),
            Send(op::Send<Fd, Vec<u8>>),
            Timeout(op::Timeout),
        }
    }
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<Op, u32>(16, 64) else { continue };
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let [ours, theirs]: [Fd; 2] = [Arc::new(ours.into()), Arc::new(theirs.into())];
        let mut bufs = Some((Vec::with_capacity(64), vec![7; 64]));
        let mut turn = |ring: &mut Ring<Op, u32>| {
            let (into, from) = bufs.take().expect("they came back");
            ring.submit(op::Recv::new(ours.clone(), into).into(), 1).expect("room");
            ring.submit(op::Send::new(theirs.clone(), from).into(), 2).expect("room");
            let timeout = op::Timeout::new(Duration::from_secs(60));
            let timeout = ring.submit(timeout.into(), 3).expect("room");
            ring.cancel(timeout).expect("room");
            let (mut received, mut sent, mut ended) = (None, None, 0);
            while ended < 3 {
                ring.wait(1, Some(Instant::now() + Duration::from_secs(30))).expect("a wait");
                while let Some(event) = ring.next() {
                    let Event::Done { output, .. } = event else { continue };
                    ended += 1;
                    match output {
                        Output::Recv((_, _, buf)) => received = Some(buf),
                        Output::Send((_, _, buf)) => sent = Some(buf),
                        Output::Timeout(_) => {}
                    }
                }
            }
            bufs = received.zip(sent);
        };
        for _ in 0..10 {
            turn(&mut ring);
        }
        let before = allocations();
        for _ in 0..200 {
            turn(&mut ring);
        }
        assert_eq!(allocations() - before, 0, "{mode:?}");
    }
}

#[test]
fn an_operation_that_is_run_allocates_nothing_at_all() {
    isolated!();
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Nop, ()>(8, 8) else { continue };
        let file = File::open("/proc/self/exe").expect("it is there");
        let before = allocations();
        for _ in 0..100 {
            let (result, ..) = ring.run(op::Read::new(&file, [0; 64], At(0)));
            assert_eq!(result.expect("a read"), 64);
        }
        assert_eq!(allocations() - before, 0, "{mode:?}");
    }
}

#[test]
fn a_multishot_receive_allocates_nothing_for_a_message() {
    isolated!();
    if !util::has_multishot_recv() {
        skip!("no multishot receive");
    }
    let mut ring = util::ring::<op::RecvMulti<Fd>, ()>();
    let pool = ring.pool(16, 256).expect("a pool");
    let (ours, mut theirs) = UnixStream::pair().expect("a pair");
    ring.submit(op::RecvMulti::new(Arc::new(ours.into()), &pool), ()).expect("room");
    let mut message = |ring: &mut Ring<op::RecvMulti<Fd>>| {
        theirs.write_all(b"message").expect("room");
        loop {
            ring.wait(1, None).expect("a wait");
            match ring.next() {
                Some(Event::Item { item, .. }) => return assert_eq!(&item[..], b"message"),
                Some(_) => panic!("it goes on"),
                None => {}
            }
        }
    };
    message(&mut ring);
    let (before, enters) = (allocations(), ring.stats().enters);
    for _ in 0..100 {
        message(&mut ring);
    }
    assert_eq!(allocations() - before, 0);
    assert!(ring.stats().enters - enters <= 200, "one for the wait, and seldom one more");
}
