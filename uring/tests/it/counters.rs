//! What an operation costs: system calls and allocations, counted.

use std::{
    io::Write as _,
    os::unix::net::UnixStream,
    sync::Arc,
    time::{Duration, Instant},
};

use testing::alloc::allocations;
use uring::{Event, RawRing, Ring, Sqe, op};

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

#[test]
fn the_ring_counts_each_enter_that_strace_would_see() {
    isolated!();
    let mut ring = util::ring::<op::Nop, ()>();
    // proc_pid_io(5) has no system calls; the raw ring under a counted sequence has
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
