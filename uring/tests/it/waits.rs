//! Waits: they end when they should, whatever signals, clocks and completions do.

use std::{
    fs::File,
    os::unix::thread::JoinHandleExt as _,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use uring::{Current, Event, Operation as _, Ring, op};

use crate::util::{self, Mode};

/// Waiting for a completion that is due may take this much longer on a busy machine.
const SLACK: Duration = Duration::from_secs(20);

#[test]
fn a_wait_ends_at_its_deadline_with_what_there_is() {
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Timeout, ()>(8, 8) else { continue };
        let began = Instant::now();
        let deadline = began + Duration::from_millis(40);
        ring.submit(op::Timeout::new(Duration::from_millis(1)), ()).expect("room");
        let _ready = ring.wait(2, Some(deadline)).expect("a wait");
        assert!(Instant::now() >= deadline, "{mode:?}: not before");
        assert!(began.elapsed() < SLACK, "{mode:?}");
        assert!(matches!(ring.next(), Some(Event::Done { .. })), "{mode:?}: one has come");
        assert!(ring.next().is_none(), "{mode:?}: the other never");
    }
}

#[test]
fn a_deadline_that_has_passed_does_not_wait_but_submits() {
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Nop, ()>(8, 8) else { continue };
        let past = Instant::now();
        ring.submit(op::Nop::new(), ()).expect("room");
        for _ in 0..2 {
            ring.wait(1, Some(past)).expect("a wait");
        }
        util::done(&mut ring).1.expect("nothing");
        assert_eq!(ring.wait(5, Some(past)).expect("a wait"), 0, "{mode:?}");
    }
}

#[test]
fn a_deadline_in_the_far_future_is_a_deadline() {
    let now = Instant::now();
    // the last moment that this clock can name
    let mut step = Duration::from_secs(1 << 62);
    let mut last = now;
    while step > Duration::ZERO {
        match last.checked_add(step) {
            Some(later) => last = later,
            None => step /= 2,
        }
    }
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Timeout, ()>(8, 8) else { continue };
        for until in [last, now + Duration::from_secs(200 * 365 * 24 * 3600)] {
            ring.submit(op::Timeout::new(Duration::from_millis(5)), ()).expect("room");
            while ring.in_flight() > 0 {
                ring.wait(1, Some(until)).expect("a far deadline is not EINVAL");
                while ring.next().is_some() {}
            }
        }
    }
}

#[test]
fn a_wait_for_more_than_can_ever_come_ends_at_its_deadline() {
    let mut ring = util::ring::<op::Nop, ()>();
    ring.submit(op::Nop::new(), ()).expect("room");
    let deadline = Instant::now() + Duration::from_millis(10);
    assert_eq!(ring.wait(u32::MAX, Some(deadline)).expect("a wait"), 1);
    assert!(Instant::now() >= deadline);
}

/// Without `SUBMIT_ALL`, which two of the modes lack, the kernel ends an enter at an entry that it
/// refuses: it neither takes the others nor waits.
#[test]
fn a_wait_that_a_signal_may_end_is_not_ended_by_an_entry_that_is_refused() {
    uring::operations! {
        enum Op, OpItem, OpOutput { Write(op::Writev<File, &'static [u8]>), Nop(op::Nop) }
    }
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<Op, ()>(8, 8) else { continue };
        let null = File::options().write(true).open("/dev/null").expect("it");
        // writev(2): no more than 1024 of them
        let refused = op::Writev::new(null, vec![&b"x"[..]; 1025], Current);
        ring.submit(refused.into(), ()).expect("room");
        for _ in 0..3 {
            ring.submit(op::Nop::new().into(), ()).expect("room");
        }
        let until = Some(Instant::now() + SLACK);
        assert_eq!(ring.wait_interruptible(4, until, None).expect("a wait"), 4, "{mode:?}");
        let OpOutput::Write((result, ..)) = util::done(&mut ring).1 else { panic!("the first") };
        assert_eq!(util::errno(&result), libc::EINVAL, "{mode:?}");
    }
}

#[test]
fn a_loop_that_only_polls_sees_every_completion() {
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Timeout, u32>(128, 128) else { continue };
        for number in 0..100 {
            let after = Duration::from_micros(u64::from(number) * 20);
            ring.submit(op::Timeout::new(after), number).expect("room");
        }
        let deadline = Instant::now() + SLACK;
        let mut ended = 0;
        while ended < 100 {
            ring.wait(0, None).expect("a poll");
            while let Some(event) = ring.next() {
                assert!(matches!(event, Event::Done { output: Ok(()), .. }));
                ended += 1;
            }
            assert!(Instant::now() < deadline, "{mode:?}: only {ended} have come");
        }
    }
}

#[test]
fn a_hundred_timers_that_have_expired_all_come() {
    // of a ring with deferred task runs the kernel hands out about twenty an enter
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Timeout, u32>(128, 128) else { continue };
        let until = Instant::now() + Duration::from_millis(5);
        for number in 0..100 {
            ring.submit(op::Timeout::new(Duration::from_millis(1)), number).expect("room");
        }
        ring.wait(0, None).expect("the kernel takes them");
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        let mut seen = [false; 100];
        for _ in 0..100 {
            let util::Happened::Done(_, number, result) = util::next(&mut ring) else {
                panic!("a timeout")
            };
            result.expect("success");
            assert!(!std::mem::replace(&mut seen[number as usize], true), "{mode:?}: each once");
        }
    }
}

/// What never ends while signals come is to fail, and not to hang.
const STORM: Duration = Duration::from_secs(10);

static SIGNALS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_: i32) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// Runs `body` while another thread sends it signals as fast as it can.
fn in_a_storm(body: impl FnOnce()) -> u32 {
    static OVER: AtomicBool = AtomicBool::new(false);
    OVER.store(false, Ordering::Relaxed);
    // SAFETY: zeroes are a valid `sigaction`: no flags (so no SA_RESTART), an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = count as extern "C" fn(i32) as libc::sighandler_t;
    // SAFETY: the call reads one `sigaction`, whose handler does nothing but add.
    let answer = unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) };
    assert_eq!(answer, 0);
    // SAFETY: the call takes no arguments.
    let target = unsafe { libc::pthread_self() };
    let start = SIGNALS.load(Ordering::Relaxed);
    let began = Instant::now();
    let storm = thread::spawn(move || {
        while !OVER.load(Ordering::Relaxed) && began.elapsed() < STORM {
            // SAFETY: the thread is joined below, by the one that is signalled: it is alive.
            unsafe { libc::pthread_kill(target, libc::SIGUSR1) };
            thread::yield_now();
        }
    });
    // its thread has to start first, and the body may be short
    testing::until("the storm has begun", || SIGNALS.load(Ordering::Relaxed) > start);
    let before = SIGNALS.load(Ordering::Relaxed);
    body();
    assert!(began.elapsed() < STORM, "it ended only after the storm");
    OVER.store(true, Ordering::Relaxed);
    assert!(storm.as_pthread_t() != 0);
    storm.join().expect("it only signals");
    SIGNALS.load(Ordering::Relaxed) - before
}

#[test]
fn a_storm_of_signals_neither_ends_a_wait_early_nor_stretches_its_deadline() {
    isolated!();
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Timeout, ()>(8, 8) else { continue };
        let signals = in_a_storm(|| {
            let deadline = Instant::now() + Duration::from_millis(200);
            assert_eq!(ring.wait(1, Some(deadline)).expect("no EINTR"), 0, "{mode:?}");
            assert!(Instant::now() >= deadline, "{mode:?}: it ended early");
            assert!(Instant::now() < deadline + SLACK, "{mode:?}: it did not end");
        });
        assert!(signals > 0, "{mode:?}: it was interrupted");
        let signals = in_a_storm(|| {
            // without a deadline, and with something to submit
            ring.submit(op::Timeout::new(Duration::from_millis(100)), ()).expect("room");
            let began = Instant::now();
            while ring.in_flight() > 0 {
                ring.wait(1, None).expect("no EINTR");
                while ring.next().is_some() {}
            }
            assert!(began.elapsed() >= Duration::from_millis(100), "{mode:?}");
            // and in a scope and a run
            ring.run(op::Timeout::new(Duration::from_millis(20))).expect("no EINTR");
        });
        assert!(signals > 0, "{mode:?}: it was interrupted");
    }
}

#[test]
fn a_ring_is_dropped_in_a_storm_of_signals() {
    isolated!();
    for mode in Mode::ALL {
        if mode.ring::<crate::scenes::Op, ()>(8, 8).is_none() {
            continue;
        }
        in_a_storm(|| {
            let (mut round, before) = (0, SIGNALS.load(Ordering::Relaxed));
            let limit = Instant::now() + SLACK;
            // until some of them have come in between
            while round < testing::rounds(20) || SIGNALS.load(Ordering::Relaxed) - before < 20 {
                assert!(Instant::now() < limit, "{mode:?}: where is the storm?");
                round += 1;
                let mut ring = mode.ring::<crate::scenes::Op, ()>(8, 8).expect("as before");
                let (reader, _writer) = testing::pipe();
                let reader = util::Fd::new(reader);
                for _ in 0..4 {
                    ring.submit(crate::scenes::read(&reader, 64), ()).expect("room");
                    // a cancel of what a worker does takes a while, which the drop waits for
                    let read = op::Read::new(reader.clone(), vec![0; 64], Current).on_worker();
                    ring.submit(read.into(), ()).expect("room");
                }
                ring.wait(0, None).expect("the kernel takes them");
                drop(ring);
                assert_eq!(util::Fd::strong_count(&reader), 1, "{mode:?}: all came back");
            }
        });
    }
    assert_eq!(uring::leaked_operations(), 0);
}

#[test]
fn closing_a_ring_at_once_says_what_is_still_out() {
    isolated!();
    let mut ring: Ring<crate::scenes::Op> = util::ring();
    let (reader, _writer) = testing::pipe();
    let reader = util::Fd::new(reader);
    ring.submit(crate::scenes::read(&reader, 64), ()).expect("room");
    ring.wait(0, None).expect("the kernel takes it");
    // a time that has passed: one round of cancels, and what that brings
    let left = ring.close(Instant::now());
    assert_eq!(u64::from(left), uring::leaked_operations());
    assert_eq!(util::Fd::strong_count(&reader), 1 + left as usize);
}
