//! Queues that fill, wrap and overflow; submission threads that sleep.

use std::{
    net::{TcpListener, TcpStream},
    os::unix::net::UnixDatagram,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use uring::{Event, OpId, Ring, SetupFlags, SqFlags, op};

use crate::util::{self, Fd, Happened, Mode};

/// A ring whose completion queue holds four.
fn tiny<O: uring::Operation + 'static, C: 'static>(operations: u32) -> Ring<O, C> {
    let tiny = Ring::builder().entries(4).completions(4).operations(operations);
    tiny.build().expect("a small ring")
}

#[test]
fn the_queues_wrap_many_times_and_lose_nothing() {
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Nop, u32>(4, 64) else { continue };
        let total = testing::rounds(20_000);
        let (mut submitted, mut ended) = (0, vec![false; total as usize]);
        let mut ids: Vec<Option<OpId>> = vec![None; total as usize];
        while submitted < total {
            // batches of 1 to 13: each place of the queue is once the first of a batch
            let batch = (submitted % 13 + 1).min(total - submitted);
            for _ in 0..batch {
                let id = ring.submit(op::Nop::new(), submitted).expect("room");
                ids[submitted as usize] = Some(id);
                submitted += 1;
            }
            while ring.in_flight() > 0 {
                ring.wait(1, None).expect("a wait");
                while let Some(event) = ring.next() {
                    let Event::Done { id, ctx, output, .. } = event else { panic!("a nop") };
                    output.expect("nothing");
                    assert_eq!(ids[ctx as usize], Some(id));
                    assert!(!std::mem::replace(&mut ended[ctx as usize], true), "each once");
                }
            }
        }
        assert!(ended.iter().all(|ended| *ended), "{mode:?}");
        let stats = ring.stats();
        assert_eq!((stats.submitted, stats.completed), (total.into(), total.into()));
        assert_eq!((stats.stale, stats.lost), (0, 0));
    }
}

#[test]
fn a_submission_thread_that_fell_asleep_is_woken() {
    let Some(mut ring) = Mode::Thread.ring::<op::Nop, u32>(4, 64) else {
        skip!("no submission thread without registered files");
    };
    for round in 0..testing::rounds(200) {
        if round % 4 == 0 {
            // it sleeps after a millisecond without work
            while !ring.sq_flags().contains(SqFlags::NEED_WAKEUP) {
                std::thread::yield_now();
            }
        }
        // more than the queue holds: submitting has to wait for the thread
        for number in 0..round % 11 + 1 {
            ring.submit(op::Nop::new(), number).expect("room");
        }
        for _ in 0..=round % 11 {
            util::done(&mut ring).1.expect("nothing");
        }
    }
}

#[test]
fn a_full_table_gives_the_operation_back_and_takes_it_later() {
    let mut ring = Mode::Best.ring::<op::Timeout, String>(8, 2).expect("a ring");
    let hour = op::Timeout::new(Duration::from_secs(3600));
    let first = ring.submit(hour, "first".into()).expect("room");
    ring.submit(hour, "second".into()).expect("room");
    let rejected = ring.submit(hour, "third".into()).expect_err("full");
    assert!(rejected.is_full());
    assert_eq!(rejected.ctx, "third");
    assert_eq!(std::io::Error::from(rejected).kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!((ring.in_flight(), ring.capacity()), (2, 2));
    ring.cancel(first).expect("room");
    let Happened::Done(id, ctx, _) = util::next(&mut ring) else { panic!("a timeout") };
    assert_eq!((id, &ctx[..]), (first, "first"));
    let third = ring.submit(hour, "third".into()).expect("room again");
    assert!(ring.is_live(third) && !ring.is_live(first));
    assert_ne!(third, first, "the place is the same, the name is not");
}

#[test]
fn a_completion_queue_that_overflows_loses_nothing() {
    let mut ring = tiny::<op::Nop, u32>(64);
    for round in 0..testing::rounds(50) {
        let mut overflowed = false;
        for number in 0..64 {
            ring.submit(op::Nop::new(), number).expect("room");
            overflowed |= ring.sq_flags().contains(SqFlags::CQ_OVERFLOW);
        }
        assert!(overflowed, "round {round}: the kernel held some back");
        let mut seen = [false; 64];
        for _ in 0..64 {
            let Happened::Done(_, number, result) = util::next(&mut ring) else { panic!("a nop") };
            result.expect("nothing");
            assert!(!std::mem::replace(&mut seen[number as usize], true), "round {round}");
        }
    }
    assert_eq!(ring.stats().lost, 0);
}

#[test]
fn a_loop_that_only_polls_sees_what_overflowed() {
    for plain in [false, true] {
        let mut tiny = Ring::<op::Nop>::builder().entries(4).completions(4).operations(64);
        if plain {
            tiny = tiny.flags(SetupFlags::empty());
        }
        let mut ring = tiny.build().expect("a small ring");
        let mut overflowed = false;
        for _ in 0..64 {
            ring.submit(op::Nop::new(), ()).expect("room");
            overflowed |= ring.sq_flags().contains(SqFlags::CQ_OVERFLOW);
        }
        assert!(overflowed, "plain: {plain}: the kernel held some back");
        let deadline = Instant::now() + Duration::from_secs(20);
        while ring.in_flight() > 0 {
            ring.wait(0, None).expect("a poll");
            while ring.next().is_some() {}
            assert!(Instant::now() < deadline, "plain: {plain}: {} to come", ring.in_flight());
        }
    }
}

#[test]
fn a_multishot_receive_that_overflows_ends_and_every_message_arrives_in_order() {
    if !util::has_multishot_recv() {
        skip!("no multishot receive before 6.0");
    }
    let mut ring = tiny::<op::RecvMulti<Fd>, ()>(8);
    let pool = ring.pool(64, 16).expect("a pool");
    let (ours, theirs) = UnixDatagram::pair().expect("a pair");
    // as many as a queue of datagrams takes: net.unix.max_dgram_qlen is 10 or more
    theirs.set_nonblocking(true).expect("a socket");
    let ours = Arc::new(ours.into());
    let (mut sent, mut received, mut ends) = (0_u32, 0_u32, 0);
    while received < testing::rounds(500) {
        ring.submit(op::RecvMulti::new(Fd::clone(&ours), &pool), ()).expect("room");
        while theirs.send(&sent.to_le_bytes()).is_ok() {
            sent += 1;
        }
        loop {
            let buf = match util::next(&mut ring) {
                Happened::Item(_, buf) => Some(buf),
                Happened::Done(_, (), (result, _)) => {
                    ends += 1;
                    match result {
                        Ok(buf) => buf,
                        Err(error) => {
                            assert_eq!(error.raw_os_error(), Some(libc::ENOBUFS));
                            None
                        }
                    }
                }
            };
            let end = ring.in_flight() == 0;
            if let Some(buf) = buf {
                assert_eq!(buf[..], received.to_le_bytes(), "in order, none lost");
                received += 1;
            }
            if end {
                break;
            }
            while theirs.send(&sent.to_le_bytes()).is_ok() {
                sent += 1;
            }
        }
    }
    assert!(ends > 0, "it overflowed");
    assert_eq!((ring.stats().lost, ring.stats().stale), (0, 0));
}

#[test]
fn a_multishot_accept_that_overflows_loses_no_connection() {
    isolated!();
    if !util::has_multishot_accept() {
        skip!("no multishot accept before 5.19");
    }
    let mut ring = tiny::<op::AcceptMulti<Fd>, ()>(8);
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let addr = listener.local_addr().expect("bound");
    let listener = Arc::new(listener.into());
    let before = testing::descriptors();
    ring.submit(op::AcceptMulti::new(Fd::clone(&listener)), ()).expect("room");
    ring.wait(0, None).expect("the kernel takes it");
    let clients: Vec<_> = (0..32).map(|_| TcpStream::connect(addr).expect("it listens")).collect();
    let (mut accepted, mut ends, mut overflowed) = (Vec::new(), 0, false);
    while accepted.len() < clients.len() {
        overflowed |= ring.sq_flags().contains(SqFlags::CQ_OVERFLOW);
        match util::next(&mut ring) {
            Happened::Item(_, fd) => accepted.push(fd.expect("a connection")),
            Happened::Done(_, (), (fd, listener)) => {
                accepted.push(fd.expect("the last is a connection too"));
                ends += 1;
                ring.submit(op::AcceptMulti::new(listener), ()).expect("room");
            }
        }
    }
    // kernels either end it or hold back what does not fit
    assert!(ends > 0 || overflowed, "it overflowed");
    // each client is connected to exactly one of them
    let mut peers: Vec<_> =
        accepted.into_iter().map(|fd| TcpStream::from(fd).peer_addr().expect("a peer")).collect();
    let mut locals: Vec<_> = clients.iter().map(|c| c.local_addr().expect("bound")).collect();
    peers.sort_unstable();
    locals.sort_unstable();
    assert_eq!(peers, locals);
    drop((clients, ring));
    assert_eq!(testing::descriptors(), before - 1, "the ring's own is gone, nothing else is left");
}

#[test]
fn a_panic_between_events_leaves_the_ring_usable() {
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Nop, u32>(16, 16) else { continue };
        for number in 0..8 {
            ring.submit(op::Nop::new(), number).expect("room");
        }
        let (mut handled, mut panics) = (Vec::new(), 0);
        while ring.in_flight() > 0 {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                ring.wait(1, None).expect("a wait");
                while let Some(event) = ring.next() {
                    let Event::Done { ctx, .. } = event else { panic!("a nop") };
                    handled.push(ctx);
                    if ctx % 3 == 0 {
                        std::panic::resume_unwind(Box::new(ctx));
                    }
                }
            }));
            panics += usize::from(caught.is_err());
        }
        assert_eq!(panics, 3, "{mode:?}: 0, 3 and 6");
        assert_eq!(handled, [0, 1, 2, 3, 4, 5, 6, 7], "{mode:?}: each once");
    }
}
