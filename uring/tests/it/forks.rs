//! A forked child has no part in its parent's ring: whatever it does with it, it writes nothing
//! and takes nothing, and the parent does not notice.

use std::{
    fs,
    io::Write as _,
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use uring::{Event, Pool, RawRing, RecvBuf, Ring, SharedBuf, Sqe, op};

use crate::{
    hostile::forked,
    scenes::{self, Op, Output},
    util::{self, Fd, Happened, Mode},
};

/// What the child's own memory is filled with.
const OWN: u8 = 0x5a;

/// Memory of this process, as `/proc/self/maps` tells it.
struct Mapping {
    start: usize,
    bytes: usize,
}

/// Where the queues of all rings are mapped.
fn queues() -> Vec<Mapping> {
    let maps = fs::read_to_string("/proc/self/maps").expect("procfs");
    let lines = maps.lines().filter(|line| line.contains("[io_uring]"));
    lines
        .map(|line| {
            let (range, _) = line.split_once(' ').expect("a range comes first");
            let (start, end) = range.split_once('-').expect("from and to");
            let number = |hex| usize::from_str_radix(hex, 16).expect("hexadecimal");
            let start = number(start);
            Mapping { start, bytes: number(end) - start }
        })
        .collect()
}

impl Mapping {
    /// Puts memory of the child's own where its parent has this, unless something is there.
    fn fill(&self) {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let place = std::ptr::with_exposed_provenance_mut(self.start);
        // SAFETY: nothing that is mapped is replaced.
        let got = unsafe { libc::mmap(place, self.bytes, protection, flags, -1, 0) };
        assert_eq!(got, place, "the child has a hole there: {}", std::io::Error::last_os_error());
        // SAFETY: the memory was mapped above, and is nobody's yet.
        unsafe { got.cast::<u8>().write_bytes(OWN, self.bytes) };
    }

    #[track_caller]
    fn assert_untouched(&self) {
        let start = std::ptr::with_exposed_provenance::<u8>(self.start);
        for at in 0..self.bytes {
            // SAFETY: the memory was mapped by `fill`. Volatile: others may have written to it.
            let byte = unsafe { start.wrapping_add(at).read_volatile() };
            assert_eq!(byte, OWN, "byte {at} of the child's own memory was written");
        }
    }
}

/// A forked child that has memory of its own where its parent has the queues, and whose memory
/// must be the same afterwards. It is killed if it hangs.
#[track_caller]
fn forked_among_strangers(body: impl FnOnce()) {
    let queues = queues();
    assert!(!queues.is_empty(), "the kernel names them");
    forked(|| {
        // SAFETY: the call takes a number.
        unsafe { libc::alarm(20) };
        queues.iter().for_each(Mapping::fill);
        body();
        queues.iter().for_each(Mapping::assert_untouched);
    });
}

/// `EEXIST`: what `io_uring_enter(2)` answers to those who are not the ring's issuer.
#[track_caller]
pub(crate) fn is_not_ours<T>(result: &std::io::Result<T>) {
    assert_eq!(util::errno(result), libc::EEXIST);
}

/// All that a child can do with a ring that it was born with.
fn use_it_all(mut ring: Ring<Op>, id: uring::OpId, reader: &Fd) {
    let soon = Instant::now() + Duration::from_millis(10);
    assert!(ring.next().is_none());
    is_not_ours(&ring.wait(0, None));
    is_not_ours(&ring.wait(1, Some(soon)));
    is_not_ours(&ring.wait(1, None));
    is_not_ours(&ring.wait_interruptible(1, None, None));
    for _ in 0..2 {
        let rejected = ring.submit(scenes::read(reader, 8), ()).expect_err("no room here");
        is_not_ours(&Err::<(), _>(rejected.into()));
    }
    let rejected = ring.chain(|chain| {
        chain.then(scenes::read(reader, 8), ()).then(scenes::read(reader, 8), ());
    });
    is_not_ours(&rejected.map_err(std::io::Error::from));
    is_not_ours(&ring.cancel(id));
    is_not_ours(&ring.cancel_all());
    is_not_ours(&ring.run(op::Nop::new()));
    ring.scope::<op::Nop, (), _>(2, |scope| {
        assert!(scope.next().is_none());
        scope.submit(op::Nop::new(), ()).expect_err("no room here");
        is_not_ours(&scope.wait(1, None));
        is_not_ours(&scope.wait_interruptible(0, None, None));
        scope.cancel(id).expect("no operation of the scope, so nothing is asked");
    });
    ring.pool(4, 64).expect_err("nothing is registered with the parent's ring");
    let looks = (ring.stats(), ring.sq_flags(), ring.submissions_waiting(), ring.is_live(id));
    assert_eq!((looks.1, looks.2), (uring::SqFlags::empty(), 0));
    let live = ring.in_flight();
    assert_eq!(ring.close(soon), live, "they are the parent's");
}

#[test]
fn a_child_may_call_everything_and_neither_writes_nor_takes_anything() {
    isolated!();
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<Op, ()>(4, 16) else { continue };
        let (reader, writer) = testing::pipe();
        let reader = Fd::new(reader);
        let id = ring.submit(scenes::read(&reader, 64), ()).expect("room");
        ring.wait(0, None).expect("the kernel takes it");
        // queued, and not handed over: the child finds no trace of it
        ring.submit(scenes::read(&reader, 64), ()).expect("room");
        let mut ring = Some(ring);
        forked_among_strangers(|| use_it_all(ring.take().expect("here"), id, &reader));
        forked_among_strangers(|| drop(ring.take()));
        // a child's child
        forked_among_strangers(|| {
            forked(|| use_it_all(ring.take().expect("here"), id, &reader));
            is_not_ours(&ring.as_mut().expect("here").wait(0, None));
        });
        let mut ring = ring.expect("the parent's is still here");
        for text in ["one", "two"] {
            ring.wait(0, None).expect("both are with the kernel");
            scenes::write(&writer, text.as_bytes());
            let Output::Read((result, _, buf)) = util::done(&mut ring).1 else { panic!("a read") };
            assert_eq!((result.expect("not cancelled"), &buf[..]), (3, text.as_bytes()));
        }
        assert_eq!((ring.in_flight(), ring.stats().stale), (0, 0), "{mode:?}");
        ring.run(op::Nop::new()).expect("the registered descriptor is there");
    }
}

/// A ring that receives, its pool, the other end, and two buffers that came.
type Received = (Ring<op::RecvMulti<Fd>>, Pool, UnixStream, RecvBuf, SharedBuf);

/// Receives twice from a pool of four: what arrived, for the ring's thread and for any. With a pool
/// of two, older kernels (6.1) end the receive: they look for a buffer before they look for data.
fn received(mode: Mode) -> Option<Received> {
    let mut ring = mode.ring::<op::RecvMulti<Fd>, ()>(4, 16)?;
    let pool = ring.pool(4, 4096).expect("a pool");
    let (ours, mut theirs) = UnixStream::pair().expect("a pair");
    ring.submit(op::RecvMulti::new(Arc::new(ours.into()), &pool), ()).expect("room");
    ring.wait(0, None).expect("the kernel takes it");
    let mut receive = |text: &[u8]| {
        theirs.write_all(text).expect("room");
        let Happened::Item(_, buf) = util::next(&mut ring) else { panic!("{mode:?}: an item") };
        buf
    };
    let (first, second) = (receive(b"the first"), receive(b"the second").into_shared());
    Some((ring, pool, theirs, first, second))
}

#[test]
fn a_child_finds_zeroes_in_a_pool_and_what_it_gives_back_reaches_nobody() {
    isolated!();
    if !util::has_multishot_recv() {
        skip!("no multishot receive before 6.0");
    }
    for mode in Mode::ALL {
        let Some((mut ring, pool, mut theirs, first, second)) = received(mode) else { continue };
        let mut all = Some((pool, first, second));
        for order in 0..3 {
            forked_among_strangers(|| {
                let (pool, mut first, mut second) = all.take().expect("the child's copy");
                assert_eq!((&first[..], &second[..]), (&[0; 9][..], &[0; 10][..]));
                first.fill(1);
                second.fill(2);
                assert_eq!((&first[..], &second[..]), (&[1; 9][..], &[2; 10][..]));
                if order == 0 {
                    drop((first, second));
                    assert_eq!(pool.reclaim(), 0, "it is the parent's to reclaim");
                    drop(pool);
                } else if order == 1 {
                    drop(pool);
                    drop((second, first.into_shared()));
                } else {
                    let pool = pool.clone();
                    // the fork copied one thread; a new one is the child's own
                    thread::spawn(move || drop(second)).join().expect("it only drops");
                    pool.reclaim();
                    drop((pool, first));
                }
            });
        }
        let (pool, first, second) = all.expect("the parent's");
        assert_eq!((&first[..], &second[..]), (&b"the first"[..], &b"the second"[..]), "{mode:?}");
        // both are still lent: nothing came back by the children
        assert_eq!((pool.available(), pool.reclaim()), (2, 0));
        drop((first, second));
        assert_eq!((pool.reclaim(), pool.available()), (1, 4), "{mode:?}");
        for round in 0..6_u8 {
            theirs.write_all(&[round; 100]).expect("room");
            let Happened::Item(_, buf) = util::next(&mut ring) else {
                panic!("{mode:?}: it ended")
            };
            assert_eq!(&buf[..], [round; 100], "{mode:?}");
        }
    }
}

#[test]
fn a_fork_in_the_middle_of_a_batch_leaves_the_rest_to_the_parent() {
    isolated!();
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Nop, u32>(16, 16) else { continue };
        for number in 0..10 {
            ring.submit(op::Nop::new(), number).expect("room");
        }
        ring.wait(10, None).expect("a wait");
        for expected in 0..10 {
            let event = ring.next();
            assert!(matches!(event, Some(Event::Done { ctx, .. }) if ctx == expected), "{mode:?}");
            forked_among_strangers(|| assert!(ring.next().is_none()));
        }
        assert_eq!(ring.stats().stale, 0);
    }
}

#[test]
fn a_child_has_none_of_the_completions_that_its_parents_scope_met() {
    isolated!();
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Nop, u32>(16, 16) else { continue };
        for number in 0..3 {
            ring.submit(op::Nop::new(), number).expect("room");
        }
        ring.wait(3, None).expect("a wait");
        ring.run(op::Nop::new()).expect("nothing"); // meets the three
        forked_among_strangers(|| {
            assert!(ring.next().is_none(), "{mode:?}");
            assert_eq!(ring.in_flight(), 3, "{mode:?}");
        });
        for expected in 0..3 {
            let event = ring.next();
            assert!(matches!(event, Some(Event::Done { ctx, .. }) if ctx == expected), "{mode:?}");
        }
    }
}

#[test]
fn a_child_has_nothing_of_a_raw_ring_that_it_was_born_with() {
    isolated!();
    let mut raw = RawRing::builder().entries(16).build().expect("a ring");
    for number in 0..10 {
        raw.push(Sqe::nop().with_user_data(number)).expect("room");
    }
    raw.submit_and_wait(10).expect("a wait");
    let mut batch = raw.completions();
    assert_eq!(batch.next().map(|cqe| cqe.user_data()), Some(0));
    forked_among_strangers(|| {
        assert_eq!((batch.len(), batch.next().is_none()), (0, true));
        batch.by_ref().for_each(drop);
    });
    assert_eq!(batch.map(|cqe| cqe.user_data()).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let mut raw = Some(raw);
    forked_among_strangers(|| {
        let mut raw = raw.take().expect("the child's copy");
        assert_eq!(raw.completions().count(), 0);
        assert!(raw.pop().is_none());
        raw.push(Sqe::nop()).expect_err("no room here");
        is_not_ours(&raw.submit());
        is_not_ours(&raw.wait(1, None));
        is_not_ours(&raw.wait_interruptible(1, None, None));
        is_not_ours(&raw.wait_for_room());
        {
            let (mut submitter, mut entries, mut completions) = raw.split();
            entries.push(Sqe::nop()).expect_err("no room here");
            entries.publish();
            is_not_ours(&submitter.submit_and_wait(1));
            assert!(completions.pop().is_none());
            assert_eq!((submitter.sq_flags(), entries.waiting(), completions.ready()).1, 0);
        }
        assert_eq!((raw.lost_completions(), raw.completions_ready()), (0, 0));
        assert_eq!((raw.submissions_room(), raw.submissions_waiting()), (0, 0));
        drop(raw);
    });
    let mut raw = raw.expect("the parent's");
    raw.push(Sqe::nop().with_user_data(10)).expect("room");
    raw.submit_and_wait(1).expect("a wait");
    assert_eq!(raw.pop().map(|cqe| cqe.user_data()), Some(10));
}

/// The pid namespace that children are born into is a new one; says whether that could be had.
fn new_pid_namespace() -> bool {
    // SAFETY: the call takes no pointer.
    unsafe { libc::unshare(libc::CLONE_NEWPID) == 0 }
}

#[test]
fn a_first_process_that_is_born_of_a_first_process_is_a_child_all_the_same() {
    isolated!();
    let (reader, _writer) = testing::pipe();
    let reader = Fd::new(reader);
    forked(|| {
        if !new_pid_namespace() {
            skip!("only root has pid namespaces");
        }
        forked(|| {
            assert_eq!(std::process::id(), 1);
            let mut ring = util::ring::<Op, ()>();
            let id = ring.submit(scenes::read(&reader, 8), ()).expect("room");
            ring.wait(0, None).expect("the kernel takes it");
            let pool = util::has_multishot_recv().then(|| received(Mode::Best)).flatten();
            let mut all = Some((ring, pool));
            assert!(new_pid_namespace());
            forked_among_strangers(|| {
                assert_eq!(std::process::id(), 1, "the same number as its parent");
                let (ring, pool) = all.take().expect("the child's copy");
                use_it_all(ring, id, &reader);
                if let Some((mut ring, pool, _, first, second)) = pool {
                    assert_eq!((first[0], second[0]), (0, 0));
                    drop((first, second));
                    assert_eq!(pool.reclaim(), 0);
                    is_not_ours(&ring.wait(0, None));
                }
            });
            let (mut ring, _) = all.take().expect("the parent's");
            // no worker can be started any more (clone(2)), so nothing but this
            assert!(ring.is_live(id));
            ring.run(op::Nop::new()).expect("the parent's works");
        });
    });
}

#[test]
fn a_child_that_is_born_in_a_scope_leaves_it_and_its_operations_to_the_parent() {
    isolated!();
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Nop, ()>(8, 8) else { continue };
        let (reader, writer) = testing::pipe();
        let mut buffer = [0; 4];
        let leaked = uring::leaked_operations();
        let queues = queues();
        let child = ring.scope(2, |scope| {
            let read = op::Read::new(&reader, &mut buffer[..], uring::Current);
            scope.submit(read, ()).expect("room");
            scope.wait(0, None).expect("the kernel takes it");
            // SAFETY: the child goes on with this thread alone, and exits below.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: the call takes a number.
                unsafe { libc::alarm(20) };
                queues.iter().for_each(Mapping::fill);
                return 0; // through the end of the scope
            }
            scenes::write(&writer, b"four");
            scope.wait(1, None).expect("a wait");
            let event = scope.next();
            assert!(matches!(event, Some(Event::Done { output: (Ok(4), ..), .. })), "{mode:?}");
            child
        });
        if child == 0 {
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                queues.iter().for_each(Mapping::assert_untouched);
                assert_eq!(buffer, [0; 4], "the kernel writes for the parent");
                assert_eq!(uring::leaked_operations(), leaked + 1);
                is_not_ours(&ring.run(op::Nop::new()));
                drop(ring);
            }));
            // SAFETY: the call does not return.
            unsafe { libc::_exit(i32::from(ended.is_err())) };
        }
        let mut status = -1;
        // SAFETY: the call writes one int.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!((status, &buffer), (0, b"four"), "{mode:?}");
        ring.run(op::Nop::new()).expect("the parent's works");
    }
}

/// Stops a thread wherever it is, for as long as the flag is set.
static STOP: AtomicBool = AtomicBool::new(false);
static STOPPED: AtomicBool = AtomicBool::new(false);

extern "C" fn stop(_: i32) {
    STOPPED.store(true, Ordering::SeqCst);
    while STOP.load(Ordering::SeqCst) {
        std::hint::spin_loop();
    }
    STOPPED.store(false, Ordering::SeqCst);
}

#[test]
fn a_lock_that_another_thread_held_at_the_fork_is_not_waited_for() {
    isolated!();
    if !util::has_multishot_recv() {
        skip!("no multishot receive before 6.0");
    }
    const BUFFERS: u16 = 1 << 14;
    let mut ring = util::ring::<op::RecvMulti<Fd>, ()>();
    let pool = ring.pool(BUFFERS, 16).expect("a pool");
    let (ours, mut theirs) = UnixStream::pair().expect("a pair");
    ring.submit(op::RecvMulti::new(Arc::new(ours.into()), &pool), ()).expect("room");
    let mut receive = || {
        theirs.write_all(b"sixteen bytes it").expect("room");
        let Happened::Item(_, buf) = util::next(&mut ring) else { panic!("an item") };
        buf.into_shared()
    };
    let mine = receive();
    let others: Vec<SharedBuf> = (2..BUFFERS).map(|_| receive()).collect();
    // SAFETY: zeroes are a valid `sigaction`: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = stop as extern "C" fn(i32) as libc::sighandler_t;
    // SAFETY: the call reads one `sigaction`, whose handler only looks at flags.
    let answer = unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) };
    assert_eq!(answer, 0);
    let left = AtomicUsize::new(others.len());
    let over = AtomicBool::new(false);
    let turns = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (sender, giver) = std::sync::mpsc::channel();
        let (left, over, turns) = (&left, &over, &turns);
        scope.spawn(move || {
            sender.send(testing::thread_id()).expect("it listens");
            for (number, buf) in others.into_iter().enumerate() {
                // a few for each fork, which comes upon them
                while number / 200 >= turns.load(Ordering::SeqCst) {
                    std::hint::spin_loop();
                }
                drop(buf);
                left.fetch_sub(1, Ordering::Relaxed);
            }
            while !over.load(Ordering::Relaxed) {
                thread::yield_now(); // it may still be signalled
            }
        });
        let giver = testing::get(&giver);
        let process = i32::try_from(std::process::id()).expect("a pid");
        let mut forks = 0;
        while left.load(Ordering::Relaxed) > 0 {
            STOP.store(true, Ordering::SeqCst);
            turns.fetch_add(1, Ordering::SeqCst);
            // SAFETY: the call takes numbers.
            let answer = unsafe { libc::tgkill(process, giver, libc::SIGUSR1) };
            assert_eq!(answer, 0, "the thread runs until `over`");
            testing::until("it is stopped", || STOPPED.load(Ordering::SeqCst));
            // `fork` would wait for a lock of the allocator that the other thread may hold
            // SAFETY: the child does what is below, which allocates nothing, and exits.
            let child = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
            if child == 0 {
                // SAFETY: the call takes a number.
                unsafe { libc::alarm(5) };
                // SAFETY: a copy in a process of its own, where the other is not dropped.
                drop(unsafe { std::ptr::read(&raw const mine) });
                let status = i32::from(pool.reclaim() != 0);
                // SAFETY: the call does not return.
                unsafe { libc::_exit(status) };
            }
            let mut status = -1;
            let child = libc::pid_t::try_from(child).expect("a process");
            // SAFETY: the call writes one int.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            STOP.store(false, Ordering::SeqCst);
            testing::until("it goes on", || !STOPPED.load(Ordering::SeqCst));
            forks += 1;
            if status != 0 {
                turns.store(usize::MAX, Ordering::SeqCst);
                over.store(true, Ordering::Relaxed);
            }
            assert_eq!(status, 0, "fork {forks}: the child waits for a lock");
        }
        over.store(true, Ordering::Relaxed);
        assert!(forks > 50, "only {forks} forks");
    });
    assert_eq!(pool.reclaim(), usize::from(BUFFERS) - 2);
    assert_eq!(pool.available(), BUFFERS - 1, "but for the one that is held");
    drop(mine);
}
