//! However a ring goes, the kernel writes into nothing that was freed.
//!
//! Each test runs its operations into a ring of each kind, lets the ring go in each way, and only
//! then lets the data arrive that they were waiting for. Freed memory is kept and looked at.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use testing::alloc::Quarantine;
use uring::{AnyOperation, Operation, Ring, leaked_operations};

use crate::{
    scenes::{self, Make, Op, Scene},
    util::{self, Mode},
};

/// How a ring goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Dropped,
    /// Dropped before the kernel has seen the operations.
    DroppedUnsubmitted,
    Closed,
    PanickedThrough,
    Forgotten,
}

impl Way {
    const ALL: [Self; 5] = [
        Self::Dropped,
        Self::DroppedUnsubmitted,
        Self::Closed,
        Self::PanickedThrough,
        Self::Forgotten,
    ];

    fn end<O: Operation + 'static>(self, mut ring: Ring<O>) {
        if self != Self::DroppedUnsubmitted {
            ring.wait(0, None).expect("the kernel takes them");
        }
        match self {
            Self::Dropped | Self::DroppedUnsubmitted => drop(ring),
            Self::Closed => {
                let left = ring.close(Instant::now() + Duration::from_secs(60));
                assert_eq!(left, 0, "all came back");
            }
            Self::PanickedThrough => {
                let result = catch_unwind(AssertUnwindSafe(move || {
                    let _ring = ring;
                    std::panic::resume_unwind(Box::new("through")); // without the message
                }));
                assert!(result.is_err());
            }
            Self::Forgotten => util::forget(ring),
        }
    }
}

/// Runs a scene in each kind of ring, each way, several times; in an isolated test.
fn in_every_way<O: Operation + 'static>(rounds: u32, make: Make, wrap: fn(Op) -> O) {
    for mode in Mode::ALL {
        for way in Way::ALL {
            for round in 0..testing::rounds(rounds) {
                let Some(mut ring) = mode.ring::<O, ()>(16, 64) else { continue };
                let quarantine = Quarantine::start();
                let Some(Scene { ops, feed, check }) = make(&mut |n, b| ring.pool(n, b)) else {
                    continue;
                };
                for op in ops {
                    ring.submit(wrap(op), ()).expect("there is room");
                }
                let began = Instant::now();
                way.end(ring);
                let took = began.elapsed();
                feed();
                if way != Way::Forgotten {
                    check();
                    assert!(quarantine.bytes() > 0, "something was freed");
                }
                let what = format!("{mode:?}, {way:?}, round {round}");
                quarantine.assert_untouched(&what);
                assert!(took < Duration::from_secs(4), "{what}: it took {took:?}");
            }
        }
    }
    assert_eq!(leaked_operations(), 0, "a forgotten ring counts nothing, others give all back");
}

/// A test for each scene: with operations in the table itself, and boxed.
macro_rules! scenes {
    ($($test:ident: $make:ident, $rounds:expr;)*) => {$(
        #[test]
        fn $test() {
            isolated!();
            in_every_way(1, scenes::$make, AnyOperation::new);
            in_every_way($rounds, scenes::$make, |op| op);
        }
    )*};
}

scenes! {
    a_read_of_a_pipe_writes_into_nothing_freed: pipe_read, 5;
    a_worker_reading_a_pipe_writes_into_nothing_freed: pipe_read_on_worker, 10;
    a_vectored_read_writes_into_nothing_freed: pipe_readv, 5;
    a_receive_writes_into_nothing_freed: recv, 5;
    a_receive_from_a_pool_takes_nothing_after_its_ring: recv_multi, 5;
    an_accept_takes_no_connection_after_its_ring: accept, 5;
    a_multishot_accept_takes_no_connection_after_its_ring: accept_multi, 5;
    an_accept_writes_no_address_into_what_was_freed: accept_from, 5;
    a_connect_that_waits_ends_with_its_ring: connect, 2;
    polls_and_timeouts_end_with_their_ring: polls_and_timeouts, 3;
    a_send_that_waits_reads_nothing_freed: send, 3;
    a_write_that_waits_reads_nothing_freed: pipe_write, 3;
    a_read_past_the_page_cache_writes_into_nothing_freed: direct_read, 3;
    uncached_reads_on_workers_write_into_nothing_freed: worker_reads, 3;
}

#[test]
fn operations_of_every_kind_at_once_write_into_nothing_freed() {
    isolated!();
    in_every_way(5, scenes::everything, |op| op);
}

/// A scope's borrowed buffers are freed right behind it: see [`scenes::borrowed`].
#[test]
fn what_a_scope_borrows_is_free_when_it_returns_or_unwinds() {
    isolated!();
    for mode in Mode::ALL {
        for panics in [false, true] {
            for round in 0..testing::rounds(20).max(2) {
                let Some(mut ring) = mode.ring::<Op, ()>(16, 64) else { continue };
                let quarantine = Quarantine::start();
                scenes::borrowed(&mut ring, panics, round % 2 == 1);
                let what = format!("{mode:?}, panics: {panics}, round {round}");
                quarantine.assert_untouched(&what);
            }
        }
    }
}

#[test]
fn an_operation_that_was_run_borrows_for_the_length_of_the_call() {
    isolated!();
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<Op, ()>(16, 64) else { continue };
        let quarantine = Quarantine::start();
        let Some(Scene { ops, feed, check }) = scenes::pipe_read(&mut |n, b| ring.pool(n, b))
        else {
            continue;
        };
        for op in ops {
            ring.submit(op, ()).expect("there is room");
        }
        // runs while the ring's own operation waits, and ends without it
        let temp = util::Temp::new(1 << 16);
        let mut bytes = vec![0; 1 << 16];
        let (result, ..) =
            ring.run(uring::op::Read::new(temp.file(), &mut bytes[..], uring::At(0)).on_worker());
        assert_eq!(result.expect("a read"), 1 << 16);
        assert_eq!(bytes, util::content(0, 1 << 16));
        drop(bytes);
        assert_eq!(ring.in_flight(), 1, "the other still waits");
        drop(ring);
        feed();
        check();
        quarantine.assert_untouched(&format!("{mode:?}"));
    }
}

#[test]
fn links_that_start_while_the_ring_goes_are_ended_too() {
    isolated!();
    // Cancelling the first of a hard chain starts the second, which no cancel has found yet.
    for mode in Mode::ALL {
        for _ in 0..testing::rounds(10) {
            let (reader, _writer) = testing::pipe();
            let reader = util::Fd::new(reader);
            let read = || scenes::read(&reader, 64);
            let Some(mut ring) = mode.ring::<Op, ()>(16, 64) else { continue };
            ring.chain(|chain| {
                chain.hard().then(read(), ()).then(read(), ()).then(read(), ()).then(read(), ());
            })
            .expect("there is room");
            ring.wait(0, None).expect("the kernel takes them");
            let began = Instant::now();
            drop(ring);
            assert!(began.elapsed() < Duration::from_secs(4), "{mode:?}: {:?}", began.elapsed());

            let mut ring = mode.ring::<Op, ()>(16, 64).expect("as before");
            ring.scope(4, |scope| {
                scope
                    .chain(|chain| {
                        chain.hard().then(read(), ()).then(read(), ()).then(read(), ());
                    })
                    .expect("there is room");
                scope.wait(0, None).expect("the kernel takes them");
            });
        }
    }
    assert_eq!(leaked_operations(), 0);
}

#[test]
fn a_context_that_panics_in_its_drop_frees_nothing_that_is_in_flight() {
    isolated!();
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                std::panic::resume_unwind(Box::new("in a drop"));
            }
        }
    }
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<Op, Panics>(16, 64) else { continue };
        let quarantine = Quarantine::start();
        let (reader, writer) = testing::pipe();
        let reader = util::Fd::new(reader);
        for _ in 0..4 {
            ring.submit(scenes::read(&reader, 64), Panics).expect("there is room");
        }
        ring.wait(0, None).expect("the kernel takes them");
        let before = leaked_operations();
        assert!(catch_unwind(AssertUnwindSafe(move || drop(ring))).is_err(), "{mode:?}");
        let leaked = leaked_operations() - before;
        let held = util::Fd::strong_count(&reader) - 1;
        assert_eq!(u64::try_from(held), Ok(leaked), "{mode:?}: what was not leaked came back");
        scenes::write(&writer, b"late");
        quarantine.assert_untouched(&format!("{mode:?}"));
    }
}

#[test]
fn a_close_waits_no_longer_than_it_was_told_although_a_drop_panics() {
    isolated!();
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("in a drop"));
        }
    }
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<Op, Option<Panics>>(16, 64) else { continue };
        let (reader, _writer) = testing::pipe();
        let reader = util::Fd::new(reader);
        ring.submit(scenes::read(&reader, 64), None).expect("there is room");
        ring.wait(0, None).expect("the kernel takes it");
        ring.submit(scenes::read(&reader, 64), Some(Panics)).expect("there is room");
        let before = leaked_operations();
        let closed = catch_unwind(AssertUnwindSafe(move || ring.close(Instant::now())));
        assert!(closed.is_err(), "{mode:?}");
        // a second end would have waited, and had it back
        assert_eq!(leaked_operations() - before, 1, "{mode:?}");
        assert_eq!(util::Fd::strong_count(&reader), 2, "{mode:?}: what was not seen came back");
    }
}

/// What the tests above would look like if the ring freed what it should not: they must see it.
mod mutants {
    use std::os::fd::AsRawFd;

    use uring::{Current, RawRing, Sqe};

    use super::*;

    #[test]
    fn a_buffer_that_is_freed_at_the_cancel_is_seen_to_be_written() {
        isolated!();
        let (reader, writer) = testing::pipe();
        let mut ring = RawRing::builder().build().expect("a ring");
        let quarantine = Quarantine::start();
        let mut buffer = vec![0_u8; 4096];
        // SAFETY: none: the buffer is freed below, which is the point. The quarantine keeps it.
        let read =
            unsafe { Sqe::read(reader.as_raw_fd(), buffer.as_mut_ptr(), 4096, Current.into()) };
        ring.push(read).expect("room");
        ring.submit().expect("the kernel takes it");
        drop(buffer);
        assert!(quarantine.late_write().is_none());
        scenes::write(&writer, b"late");
        ring.wait(1, None).expect("it completes");
        let late = quarantine.late_write().expect("the allocator sees it");
        assert_eq!(late.to_string(), "byte 0 of a freed block of 4096 has become 0x6c"); // 'l'
    }

    #[test]
    fn a_buffer_that_is_freed_after_the_ring_was_closed_is_seen_to_be_written() {
        isolated!();
        let temp = util::Temp::new(scenes::DIRECT_BYTES);
        let Some(direct) = temp.direct() else { skip!("no O_DIRECT in the temporary folder") };
        // The device is faster at times; each round is a chance to see it.
        for round in 0..50 {
            let mut ring = RawRing::builder().build().expect("a ring");
            let quarantine = Quarantine::start();
            let mut buffer = scenes::Aligned::new(scenes::DIRECT_BYTES);
            let length = u32::try_from(scenes::DIRECT_BYTES).expect("it fits");
            let (fd, at) = (direct.as_raw_fd(), uring::At(0).into());
            // SAFETY: none, as above.
            let read = unsafe { Sqe::read(fd, buffer.start(), length, at) };
            ring.push(read).expect("room");
            ring.submit().expect("the kernel takes it");
            drop(ring); // what other libraries do: close, and then free
            drop(buffer);
            scenes::read_all_direct(&direct);
            if let Some(late) = quarantine.late_write() {
                println!("round {round}: {late}");
                return;
            }
        }
        skip!("the disk has answered each read before its ring was closed");
    }
}
