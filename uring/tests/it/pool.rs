//! Pools: every buffer is in exactly one place, whatever happens to rings, receives and threads.

use std::{io::Write as _, os::unix::net::UnixStream, sync::Arc, thread};

use uring::{Event, Pool, Reason, RecvBuf, Ring, op};

use crate::util::{self, Fd, Happened, Mode};

type Recv = op::RecvMulti<Fd>;

/// A ring with a pool, and a connection that it receives from.
struct Setup {
    ring: Ring<Recv>,
    pool: Pool,
    ours: Fd,
    theirs: UnixStream,
}

impl Setup {
    fn new(buffers: u16, bytes: u32) -> Self {
        Self::of(util::ring(), buffers, bytes)
    }

    fn of(mut ring: Ring<Recv>, buffers: u16, bytes: u32) -> Self {
        let pool = ring.pool(buffers, bytes).expect("a pool");
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        Self { ring, pool, ours: Arc::new(ours.into()), theirs }
    }

    fn receive(&mut self) -> uring::OpId {
        let recv = op::RecvMulti::new(self.ours.clone(), &self.pool);
        self.ring.submit(recv, ()).expect("room")
    }

    fn send(&mut self, bytes: &[u8]) {
        self.theirs.write_all(bytes).expect("room");
    }

    #[track_caller]
    fn item(&mut self) -> RecvBuf {
        match util::next(&mut self.ring) {
            Happened::Item(_, buf) => buf,
            Happened::Done(_, (), (result, _)) => panic!("it ended: {result:?}"),
        }
    }
}

macro_rules! needs_multishot {
    () => {
        if !util::has_multishot_recv() {
            skip!("no multishot receive before 6.0");
        }
    };
}

#[test]
fn data_arrives_in_buffers_and_a_dropped_buffer_is_used_again() {
    needs_multishot!();
    for mode in Mode::ALL {
        let Some(ring) = mode.ring(8, 8) else { continue };
        let mut setup = Setup::of(ring, 4, 64);
        setup.receive();
        // more than the 65,536 that the ring of buffers counts to
        let rounds =
            if mode == Mode::Best { testing::rounds(70_000_u32) } else { testing::rounds(500) };
        for round in 0..rounds {
            let message = round.to_le_bytes();
            setup.send(&message);
            let buf = setup.item();
            assert_eq!(buf[..], message, "{mode:?}");
            assert_eq!(setup.pool.available(), 3);
            drop(buf);
            assert_eq!(setup.pool.available(), 4);
        }
    }
}

#[test]
fn all_buffers_can_be_given_back_65536_times_and_more() {
    needs_multishot!();
    // 512 at once, 140 times: more than the 65,536 that the ring of buffers counts to
    let mut setup = Setup::new(1024, 16);
    for _ in 0..testing::rounds(140) {
        let id = setup.receive();
        setup.ring.wait(0, None).expect("the kernel takes it");
        let mut held = Vec::new();
        while held.len() < 512 {
            setup.send(&[5; 16]);
            held.push(setup.item());
        }
        assert_eq!(setup.pool.available(), 512);
        drop(held);
        assert_eq!(setup.pool.available(), 1024);
        setup.ring.cancel(id).expect("room");
        let (result, _) = util::done(&mut setup.ring).1;
        assert_eq!(util::errno(&result), libc::ECANCELED);
    }
}

#[test]
fn an_empty_pool_ends_the_receive_with_enobufs_and_no_byte_is_lost() {
    needs_multishot!();
    for mode in Mode::ALL {
        let Some(ring) = mode.ring(8, 8) else { continue };
        let mut setup = Setup::of(ring, 2, 4);
        setup.receive();
        setup.send(b"aaaabbbbcccc");
        let held = [setup.item(), setup.item()];
        let Happened::Done(_, (), (result, _)) = util::next(&mut setup.ring) else {
            panic!("{mode:?}: it ends");
        };
        assert_eq!(util::errno(&result), libc::ENOBUFS, "{mode:?}");
        assert_eq!(setup.pool.available(), 0);
        assert_eq!([&held[0][..], &held[1][..]], [b"aaaa", b"bbbb"]);
        drop(held);
        setup.receive();
        assert_eq!(&setup.item()[..], b"cccc", "{mode:?}");
    }
}

#[test]
fn the_end_of_the_stream_is_none_and_takes_no_buffer() {
    needs_multishot!();
    let mut setup = Setup::new(4, 64);
    setup.receive();
    setup.send(b"last");
    setup.theirs.shutdown(std::net::Shutdown::Write).expect("open");
    assert_eq!(&setup.item()[..], b"last");
    let (result, _) = util::done(&mut setup.ring).1;
    assert!(result.expect("the end").is_none());
    assert_eq!(setup.pool.available(), 4);
}

#[test]
fn a_cancel_that_races_with_data_loses_no_buffer() {
    needs_multishot!();
    for mode in Mode::ALL {
        let Some(ring) = mode.ring(8, 8) else { continue };
        let mut setup = Setup::of(ring, 4, 64);
        let mut pending = 0;
        for round in 0..testing::rounds(400) {
            let id = setup.receive();
            setup.ring.wait(0, None).expect("the kernel takes it");
            if round % 2 == 0 {
                setup.send(b"1234");
                pending += 4;
                setup.ring.cancel(id).expect("room");
            } else {
                setup.ring.cancel(id).expect("room");
                setup.ring.wait(0, None).expect("the kernel takes it");
                setup.send(b"1234");
                pending += 4;
            }
            loop {
                match util::next(&mut setup.ring) {
                    Happened::Item(_, buf) => pending -= buf.len(),
                    Happened::Done(_, (), (Ok(buf), _)) => {
                        pending -= buf.expect("the stream goes on").len();
                        break;
                    }
                    Happened::Done(_, (), (Err(error), _)) => {
                        assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
                        break;
                    }
                }
            }
            assert_eq!(setup.pool.available(), 4, "{mode:?}, round {round}");
        }
        // what no receive has taken is still in the socket
        let fd = std::os::fd::AsFd::as_fd(&setup.ours);
        let left = if pending > 0 { util::read_now(fd, 1 << 16).expect("bytes").len() } else { 0 };
        assert_eq!(left, pending, "{mode:?}");
    }
}

#[test]
fn a_buffer_comes_back_from_another_thread() {
    needs_multishot!();
    let mut setup = Setup::new(2, 64);
    setup.receive();
    for round in 0..testing::rounds(100_u32) {
        setup.send(&round.to_le_bytes());
        let buf = setup.item().into_shared();
        let read = thread::spawn(move || u32::from_le_bytes(buf[..].try_into().expect("four")));
        assert_eq!(read.join().expect("it reads"), round);
        assert_eq!(setup.pool.available(), 1, "it is back, and not yet with the kernel");
        assert_eq!(setup.pool.reclaim(), 1);
        assert_eq!(setup.pool.reclaim(), 0);
        assert_eq!(setup.pool.available(), 2);
    }
}

#[test]
fn what_was_received_can_be_cut_changed_and_sent_without_a_copy() {
    needs_multishot!();
    let mut setup = Setup::new(2, 64);
    setup.receive();
    setup.send(b"..hello..");
    let mut buf = setup.item();
    let place = buf.as_ptr();
    buf.advance(2);
    buf.truncate(5);
    buf.make_ascii_uppercase();
    assert_eq!(&buf[..], b"HELLO");
    assert_eq!(buf.as_ptr(), place.wrapping_add(2));
    let (result, _, mut buf) = setup.ring.run(op::Send::new(setup.ours.clone(), buf));
    assert_eq!(result.expect("sent"), 5);
    let mut answer = [0; 5];
    std::io::Read::read_exact(&mut setup.theirs, &mut answer).expect("an answer");
    assert_eq!(&answer, b"HELLO");
    buf.advance(100);
    buf.truncate(100);
    assert!(buf.is_empty());
    drop(buf);
    assert_eq!(setup.pool.available(), 2);
}

#[test]
fn a_pool_of_another_ring_is_refused_and_everything_comes_back() {
    if !util::has_pools() {
        skip!("no pools before 5.19");
    }
    let mut setup = Setup::new(2, 64);
    let mut other = util::ring::<Recv, &str>();
    let recv = op::RecvMulti::new(setup.ours.clone(), &setup.pool);
    let rejected = other.submit(recv, "context").expect_err("a foreign pool");
    assert!(matches!(rejected.reason, Reason::OtherRing));
    assert_eq!(rejected.ctx, "context");
    assert_eq!(other.in_flight(), 0);
    let (result, _) = other.run(rejected.op);
    assert!(result.expect_err("a foreign pool").to_string().contains("another ring"));
    let rejected = other
        .chain(|chain| {
            chain.then(op::RecvMulti::new(setup.ours.clone(), &setup.pool), "in a chain");
        })
        .expect_err("a foreign pool");
    assert_eq!(rejected.op.len(), 1);
    // and its own ring takes it
    if util::has_multishot_recv() {
        setup.receive();
        setup.send(b"x");
        assert_eq!(&setup.item()[..], b"x");
    }
}

#[test]
fn impossible_pools_are_refused_by_name() {
    let mut ring = util::ring::<op::Nop, ()>();
    for (buffers, bytes) in [(0, 1), (3, 1), (32_769, 1), (4, 0)] {
        let error = ring.pool(buffers, bytes).expect_err("impossible");
        assert!(error.to_string().contains("power of two"), "{error}");
    }
    if !util::has_pools() {
        let error = ring.pool(4, 64).expect_err("too old");
        assert!(error.to_string().contains("5.19"), "{error}");
        skip!("no pools before 5.19");
    }
    let largest = ring.pool(32_768, 1).expect("the largest");
    assert_eq!(largest.available(), 32_768);
}

#[test]
fn several_pools_share_a_ring_and_a_dropped_one_makes_room_for_the_next() {
    needs_multishot!();
    let mut setup = Setup::new(2, 64);
    let mut ring_pools = Vec::new();
    for _ in 0..20 {
        ring_pools.push(setup.ring.pool(2, 64).expect("another"));
    }
    drop(ring_pools);
    // each receive fills the buffers of its own
    let other = setup.ring.pool(4, 64).expect("another");
    let (ours, mut theirs) = UnixStream::pair().expect("a pair");
    let second = op::RecvMulti::new(Arc::new(ours.into()), &other);
    let ids = [setup.receive(), setup.ring.submit(second, ()).expect("room")];
    setup.send(b"first");
    let first = setup.item();
    assert_eq!((setup.pool.available(), other.available()), (1, 4));
    theirs.write_all(b"second").expect("room");
    let second = setup.item();
    assert_eq!((setup.pool.available(), other.available()), (1, 3));
    assert_eq!([&first[..], &second[..]], [&b"first"[..], b"second"]);
    drop((first, second));
    assert_eq!((setup.pool.available(), other.available()), (2, 4));
    for id in ids {
        setup.ring.cancel(id).expect("room");
        let _ended = util::done(&mut setup.ring);
    }
    for _ in 0..testing::rounds(100) {
        setup.pool = setup.ring.pool(2, 64).expect("another");
        let id = setup.receive();
        setup.send(b"x");
        assert_eq!(&setup.item()[..], b"x");
        setup.ring.cancel(id).expect("room");
        let _ended = util::done(&mut setup.ring);
    }
}

/// What can go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Ring,
    Pool,
    Local,
    Shared,
}

#[test]
fn pool_buffers_and_ring_can_go_in_any_order() {
    needs_multishot!();
    use Part::{Local, Pool, Ring, Shared};
    let mut orders = Vec::new();
    for a in [Ring, Pool, Local, Shared] {
        for b in [Ring, Pool, Local, Shared] {
            for c in [Ring, Pool, Local, Shared] {
                for d in [Ring, Pool, Local, Shared] {
                    let order = [a, b, c, d];
                    if [Ring, Pool, Local, Shared].iter().all(|part| order.contains(part)) {
                        orders.push(order);
                    }
                }
            }
        }
    }
    assert_eq!(orders.len(), 24);
    for in_flight in [false, true] {
        for order in &orders {
            let mut setup = Setup::new(4, 64);
            let id = setup.receive();
            setup.send(b"local");
            let local = setup.item();
            setup.send(b"shared");
            let shared = setup.item().into_shared();
            if !in_flight {
                setup.ring.cancel(id).expect("room");
                let _ended = util::done(&mut setup.ring);
            }
            let Setup { ring, pool, .. } = setup;
            let (mut ring, mut pool) = (Some(ring), Some(pool));
            let (mut local, mut shared) = (Some(local), Some(shared));
            for part in order {
                if let Some(local) = &local {
                    assert_eq!(&local[..], b"local", "{order:?}");
                }
                if let Some(shared) = &shared {
                    assert_eq!(&shared[..], b"shared", "{order:?}");
                }
                match part {
                    Ring => drop(ring.take()),
                    Pool => drop(pool.take()),
                    Local => drop(local.take()),
                    Shared => thread::spawn({
                        let shared = shared.take();
                        move || drop(shared)
                    })
                    .join()
                    .expect("a drop"),
                }
            }
        }
    }
}

#[test]
fn a_shared_buffer_outlives_everything_else() {
    needs_multishot!();
    let mut setup = Setup::new(4, 64);
    setup.receive();
    setup.send(b"still here");
    let shared = setup.item().into_shared();
    drop(setup);
    let read = thread::spawn(move || shared.to_vec());
    assert_eq!(read.join().expect("it reads"), b"still here");
}

#[test]
fn events_that_were_not_read_give_their_buffers_back_with_the_ring() {
    needs_multishot!();
    let mut setup = Setup::new(4, 4);
    setup.receive();
    setup.send(b"aaaabbbb");
    setup.ring.wait(2, None).expect("a wait");
    let Some(Event::Item { item, .. }) = setup.ring.next() else { panic!("an item") };
    assert_eq!(&item[..], b"aaaa");
    let Setup { ring, pool, .. } = setup;
    drop(ring);
    assert_eq!(pool.available(), 3);
    drop(item);
    assert_eq!(pool.available(), 4);
}

/// Buffers that come back are shown to the kernel once an enter: a pool of two never runs dry for
/// one who gives each back before the next.
#[test]
fn a_pool_of_two_never_runs_dry_for_one_who_gives_each_back() {
    needs_multishot!();
    for mode in Mode::ALL {
        let Some(ring) = mode.ring(8, 8) else { continue };
        let mut setup = Setup::of(ring, 2, 16);
        setup.receive();
        for round in 0..testing::rounds(2000_u32) {
            setup.send(&round.to_le_bytes());
            let buf = setup.item();
            assert_eq!(&buf[..], round.to_le_bytes(), "{mode:?}");
        }
        assert_eq!(setup.pool.available(), 2, "{mode:?}");
    }
}

#[test]
fn a_split_ring_shows_what_came_back_too() {
    needs_multishot!();
    let mut ring = uring::RawRing::builder().entries(8).completions(16).build().expect("a ring");
    let pool = ring.pool(2, 16).expect("a pool");
    let (ours, mut theirs) = UnixStream::pair().expect("a pair");
    let fd = std::os::fd::AsRawFd::as_raw_fd(&ours);
    let (mut submitter, mut entries, mut completions) = ring.split();
    // SAFETY: the pool is the ring's; it and the socket outlive the receive, which is cancelled.
    let receive = unsafe { uring::Sqe::recv_multi(fd, &pool, uring::MsgFlags::empty()) };
    entries.push(receive.with_user_data(7)).expect("room");
    entries.publish();
    for round in 0..100_u32 {
        theirs.write_all(&round.to_le_bytes()).expect("room");
        let mut batch = loop {
            submitter.submit_and_wait(1).expect("a wait");
            let batch: Vec<_> = completions.completions().collect();
            if !batch.is_empty() {
                break batch;
            }
        };
        let cqe = batch.remove(0);
        assert!(batch.is_empty() && cqe.has_more(), "round {round}: {cqe:?}");
        // SAFETY: a completion of the receive, passed once.
        let buf = unsafe { pool.take(cqe) }.expect("no error").expect("bytes");
        assert_eq!(&buf[..], round.to_le_bytes());
    }
    entries.push(uring::Sqe::cancel(7)).expect("room");
    entries.publish();
    submitter.submit_and_wait(2).expect("a wait");
    assert_eq!(completions.completions().count(), 2);
}
