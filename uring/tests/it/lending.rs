//! Buffers that several operations share, and closures that get what an operation yields.

use std::{
    cell::{Cell, RefCell},
    io::Write as _,
    os::unix::net::UnixStream,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::Arc,
    thread,
    time::Duration,
};

use testing::alloc::Quarantine;
use uring::{
    AnyOperation, At, Buf, BufMut, Current, Event, Lent, LentMut, Operation as _, Ring, op,
};

use crate::{
    scenes,
    util::{self, Fd, Mode, Temp},
};

uring::operations! {
    enum Copy, CopyItem, CopyOutput {
        Read(op::Read<Fd, LentMut<Vec<u8>>>),
        Write(op::Write<Fd, Lent<Vec<u8>>>),
    }
}

/// Copies what comes out of a pipe to two files, with one submission.
#[test]
fn a_chain_reads_once_and_writes_what_it_read_to_each() {
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<Copy, ()>(8, 8) else { continue };
        let (reader, writer) = testing::pipe();
        let temps = [Temp::new(0), Temp::new(0)];
        let (filled, drained) = uring::lend(vec![0; 16]);
        let files =
            temps.each_ref().map(|temp| Fd::new(temp.file().try_clone().expect("it").into()));
        ring.chain(|chain| {
            chain.then(op::Read::new(Fd::new(reader), filled, Current).into(), ());
            for file in &files {
                chain.then(op::Write::new(file.clone(), drained.clone(), At(0)).into(), ());
            }
        })
        .expect("room");
        ring.wait(0, None).expect("the kernel takes them");
        scenes::write(&writer, b"sixteen bytes it");
        let (mut filled, mut written) = (None, 0);
        for _ in 0..3 {
            match util::done(&mut ring).1 {
                CopyOutput::Read((result, _, buf)) => {
                    assert_eq!(result.expect("a read"), 16);
                    filled = Some(buf);
                }
                CopyOutput::Write((result, _, half)) => {
                    written += result.expect("a write");
                    drop(half);
                }
            }
        }
        assert_eq!(written, 32, "{mode:?}");
        let filled = filled.expect("it was read").reclaim().expect_err("one half is left");
        drop(drained);
        assert_eq!(filled.reclaim().expect("the last"), b"sixteen bytes it", "{mode:?}");
        for temp in &temps {
            let mut bytes = [0; 16];
            std::os::unix::fs::FileExt::read_exact_at(temp.file(), &mut bytes, 0).expect("it");
            assert_eq!(&bytes, b"sixteen bytes it", "{mode:?}");
        }
    }
}

#[test]
fn a_lent_buffer_is_freed_by_its_last_half_in_whatever_order_they_go() {
    struct Counted(Box<[u8]>, #[expect(dead_code, reason = "it is counted")] Arc<()>);
    // SAFETY: the bytes of a box stay where they are, and nobody else has them.
    unsafe impl Buf for Counted {
        fn region(&self) -> *const [u8] {
            self.0.region()
        }
    }
    // SAFETY: as above.
    unsafe impl BufMut for Counted {
        fn region_mut(&mut self) -> *mut [u8] {
            self.0.region_mut()
        }

        unsafe fn set_filled(&mut self, _: usize) {}
    }
    for order in 0..6 {
        let alive = Arc::new(());
        let (filled, first) = uring::lend(Counted(Box::new([3; 32]), alive.clone()));
        let second = first.clone();
        let mut halves: Vec<Box<dyn Send>> =
            vec![Box::new(filled), Box::new(first), Box::new(second)];
        for left in (0..3).rev() {
            let half = halves.remove(order % (left + 1));
            // a half may end its life on any thread
            thread::spawn(move || drop(half)).join().expect("it only drops");
            assert_eq!(Arc::strong_count(&alive) == 2, left > 0, "order {order}, {left} left");
        }
    }
}

#[test]
fn a_ring_that_goes_with_a_lent_buffer_in_flight_frees_it_once_and_not_before() {
    isolated!();
    for mode in Mode::ALL {
        for round in 0..testing::rounds(10) {
            let Some(mut ring) = mode.ring::<Copy, ()>(8, 8) else { continue };
            let quarantine = Quarantine::start();
            let (reader, writer) = testing::pipe();
            let reader = Fd::new(reader);
            let (filled, drained) = uring::lend(vec![0; 4096]);
            let write = op::Write::new(Fd::new(testing::pipe().1), drained.clone(), Current);
            ring.chain(|chain| {
                chain.then(op::Read::new(reader.clone(), filled, Current).into(), ());
                chain.then(write.into(), ());
            })
            .expect("room");
            ring.wait(0, None).expect("the kernel takes them");
            // the half that is outside goes before or after its ring
            if round % 2 == 0 {
                drop(drained);
                drop(ring);
            } else {
                drop(ring);
                drop(drained);
            }
            assert_eq!(Fd::strong_count(&reader), 1, "{mode:?}: all came back");
            assert!(quarantine.bytes() >= 4096, "the buffer was freed");
            scenes::write(&writer, b"late");
            quarantine.assert_untouched(&format!("{mode:?}, round {round}"));
        }
    }
    assert_eq!(uring::leaked_operations(), 0);
}

#[test]
fn a_borrowed_buffer_can_be_lent_in_a_scope_and_is_back_after_it() {
    let mut ring = util::ring::<op::Nop, ()>();
    let temp = Temp::new(64);
    let mut bytes = [0; 32];
    let (filled, drained) = uring::lend(&mut bytes[..]);
    let mut written = None;
    ring.scope::<AnyOperation<'_>, (), _>(2, |scope| {
        scope
            .chain(|chain| {
                let read = op::Read::new(temp.file(), filled, At(0));
                chain.then(AnyOperation::with(read, drop), ());
                let write = op::Write::new(temp.file(), drained, At(64));
                chain.then(AnyOperation::with(write, |(result, ..)| written = result.ok()), ());
            })
            .expect("room");
        while scope.in_flight() > 0 {
            scope.wait(1, None).expect("a wait");
            while scope.next().is_some() {}
        }
    });
    assert_eq!((written, &bytes[..]), (Some(32), &util::content(0, 32)[..]));
}

#[test]
fn a_closure_gets_the_output_once_whichever_way_its_operation_ends() {
    isolated!();
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<AnyOperation<'static>, ()>(8, 2) else { continue };
        let told = Rc::new(RefCell::new(Vec::new()));
        let tell = |what: &'static str| {
            let told = told.clone();
            move |result: std::io::Result<()>| {
                told.borrow_mut().push((what, result.map_err(|e| e.raw_os_error())));
            }
        };
        let hour = || op::Timeout::new(Duration::from_secs(3600));
        // done
        ring.submit(AnyOperation::with(op::Nop::new(), tell("nop")), ()).expect("room");
        util::done(&mut ring);
        // cancelled
        let id = ring.submit(AnyOperation::with(hour(), tell("hour")), ()).expect("room");
        ring.wait(0, None).expect("a wait");
        ring.cancel(id).expect("room");
        util::done(&mut ring);
        // rejected: it comes back uncalled, and can be submitted later, or dropped
        ring.submit(AnyOperation::new(hour()), ()).expect("room");
        ring.submit(AnyOperation::new(hour()), ()).expect("room");
        let rejected = ring.submit(AnyOperation::with(op::Nop::new(), tell("never")), ());
        let rejected = rejected.expect_err("it is full");
        assert!(rejected.is_full());
        assert_eq!(told.borrow().len(), 2, "{mode:?}");
        drop(rejected);
        ring.cancel_all().expect("room");
        util::done(&mut ring);
        util::done(&mut ring);
        // refused
        AnyOperation::with(op::Nop::new(), tell("refused"))
            .refuse(std::io::Error::from_raw_os_error(libc::EBUSY));
        // in flight, and queued, when the ring goes
        ring.submit(AnyOperation::with(hour(), tell("dropped")), ()).expect("room");
        ring.wait(0, None).expect("a wait");
        ring.submit(AnyOperation::with(hour(), tell("taken back")), ()).expect("room");
        drop(ring);
        let told = told.take();
        let cancelled = Err(Some(libc::ECANCELED));
        let refused = Err(Some(libc::EBUSY));
        let expected =
            [("nop", Ok(())), ("hour", cancelled), ("refused", refused), ("dropped", cancelled)];
        if mode == Mode::Thread {
            // its thread may have taken the last one
            assert_eq!(told[..4].iter().filter(|told| expected.contains(told)).count(), 4);
        } else {
            assert_eq!(told, expected, "{mode:?}: what the kernel never saw is only dropped");
        }
    }
}

#[test]
fn a_closure_that_panics_leaves_the_ring_and_the_others_as_they_were() {
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<AnyOperation<'static>, u32>(8, 8) else { continue };
        let freed = Rc::new(());
        let held = freed.clone();
        let panics = AnyOperation::with(op::Nop::new(), move |_| {
            let _held = held;
            std::panic::resume_unwind(Box::new("in the closure"));
        });
        ring.submit(AnyOperation::new(op::Nop::new()), 1).expect("room");
        ring.submit(panics, 2).expect("room");
        ring.submit(AnyOperation::new(op::Nop::new()), 3).expect("room");
        ring.wait(3, None).expect("a wait");
        let (mut ended, mut panicked) = (Vec::new(), 0);
        while ring.in_flight() > 0 {
            match catch_unwind(AssertUnwindSafe(|| match ring.next() {
                Some(Event::Done { ctx, .. }) => Some(ctx),
                _ => None,
            })) {
                Ok(ctx) => ended.push(ctx.expect("an end")),
                Err(_) => panicked += 1,
            }
        }
        assert_eq!((ended, panicked), (vec![1, 3], 1), "{mode:?}");
        assert_eq!(Rc::strong_count(&freed), 1, "what the closure held is gone");
        ring.run(op::Nop::new()).expect("the ring goes on");
    }
}

#[test]
fn items_of_an_operation_with_a_closure_are_dropped_and_its_end_is_told() {
    if !util::has_multishot_recv() {
        skip!("no multishot receive before 6.0");
    }
    let mut ring: Ring<AnyOperation<'static>> = Mode::Best.ring(8, 8).expect("the best");
    let pool = ring.pool(2, 64).expect("a pool");
    let (ours, mut theirs) = UnixStream::pair().expect("a pair");
    let ended = Rc::new(Cell::new(false));
    let tell = ended.clone();
    let receive = AnyOperation::with(op::RecvMulti::new(ours, &pool), move |(result, _)| {
        tell.set(matches!(result, Ok(None)));
    });
    ring.submit(receive, ()).expect("room");
    for _ in 0..6 {
        theirs.write_all(b"dropped").expect("room");
        let util::Happened::Item(..) = util::next(&mut ring) else { panic!("an item") };
        assert_eq!(pool.available(), 2, "the buffer has gone back");
        assert!(!ended.get());
    }
    drop(theirs);
    util::done(&mut ring);
    assert!(ended.get());
}

/// A receive in a scope whose closure panics if it is cancelled, as `unwrap` does.
fn ends_early(ring: &mut Ring<op::Nop>, before: bool, told: &Cell<u32>) -> std::thread::Result<()> {
    let (ours, _theirs) = UnixStream::pair().expect("a pair");
    let mut buffers = [[0; 8]; 3];
    catch_unwind(AssertUnwindSafe(|| {
        ring.scope::<AnyOperation<'_>, (), _>(4, |scope| {
            for buffer in &mut buffers {
                let recv = op::Recv::new(&ours, &mut buffer[..]);
                let unwrap = |(result, ..): (std::io::Result<usize>, _, _)| {
                    told.set(told.get() + 1);
                    if result.is_err() {
                        std::panic::resume_unwind(Box::new("it was cancelled"));
                    }
                };
                scope.submit(AnyOperation::with(recv, unwrap), ()).expect("room");
            }
            scope.wait(0, None).expect("the kernel takes them");
            if before {
                std::panic::resume_unwind(Box::new("in the body"));
            }
        });
    }))
}

#[test]
fn a_closure_that_panics_while_its_scope_ends_panics_when_all_have_ended() {
    isolated!();
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Nop, ()>(8, 8) else { continue };
        let told = Cell::new(0);
        let panic = ends_early(&mut ring, false, &told).expect_err("the closures panic");
        assert_eq!(panic.downcast_ref(), Some(&"it was cancelled"), "{mode:?}");
        assert_eq!(told.get(), 3, "{mode:?}: each was told");
        // the panic that was there first is the one that is told
        let panic = ends_early(&mut ring, true, &told).expect_err("the body panics");
        assert_eq!(panic.downcast_ref(), Some(&"in the body"), "{mode:?}");
        assert_eq!(told.get(), 6, "{mode:?}");
        ring.run(op::Nop::new()).expect("the ring goes on");
    }
    assert_eq!(uring::leaked_operations(), 0);
}

#[test]
fn a_closure_that_panics_while_its_ring_goes_leaks_none_of_the_others() {
    isolated!();
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<AnyOperation<'static>, ()>(8, 8) else { continue };
        let told = Rc::new(Cell::new(0));
        for queued in [false, true] {
            for _ in 0..2 {
                let told = told.clone();
                let hour = op::Timeout::new(Duration::from_secs(3600));
                let panics = AnyOperation::with(hour, move |result| {
                    told.set(told.get() + 1);
                    result.unwrap_or_else(|_| std::panic::resume_unwind(Box::new("cancelled")));
                });
                ring.submit(panics, ()).expect("room");
            }
            if !queued {
                ring.wait(0, None).expect("the kernel takes them");
            }
        }
        assert!(catch_unwind(AssertUnwindSafe(move || drop(ring))).is_err(), "{mode:?}");
        assert!(told.get() >= 2, "{mode:?}: those that the kernel had are told");
        assert_eq!(Rc::strong_count(&told), 1, "{mode:?}: all are gone");
    }
    assert_eq!(uring::leaked_operations(), 0);
}
