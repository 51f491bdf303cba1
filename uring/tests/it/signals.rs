//! Waits that a signal ends, because the program says so, and signals that come in waits alone.

use std::{
    mem::MaybeUninit,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use uring::{Features, RawRing, Ring, op};

use crate::util::{self, Mode};

static HANDLED: AtomicU32 = AtomicU32::new(0);

extern "C" fn handle(_: i32) {
    HANDLED.fetch_add(1, Ordering::SeqCst);
}

/// The handler only counts, and restarts nothing. A wait that never ends ends the process.
fn install() {
    // SAFETY: the call takes a number.
    unsafe { libc::alarm(40) };
    // SAFETY: zeroes are a valid `sigaction`: no flags (so no SA_RESTART), an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handle as extern "C" fn(i32) as libc::sighandler_t;
    // SAFETY: the call reads one `sigaction`, whose handler does nothing but add.
    let answer = unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) };
    assert_eq!(answer, 0);
}

fn signals(list: &[libc::c_int]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the call writes a set.
    assert_eq!(unsafe { libc::sigemptyset(set.as_mut_ptr()) }, 0);
    // SAFETY: written above.
    let mut set = unsafe { set.assume_init() };
    for signal in list {
        // SAFETY: the call changes a set.
        assert_eq!(unsafe { libc::sigaddset(&raw mut set, *signal) }, 0);
    }
    set
}

/// Blocks exactly these signals in this thread.
fn block(set: &libc::sigset_t) {
    let null = std::ptr::null_mut();
    // SAFETY: the call reads a set.
    assert_eq!(unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, set, null) }, 0);
}

/// Whether SIGUSR1 is blocked in this thread.
fn is_blocked() -> bool {
    let mut set = signals(&[]);
    // SAFETY: the call writes a set.
    let answer = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &raw mut set) };
    assert_eq!(answer, 0);
    // SAFETY: the call reads a set.
    unsafe { libc::sigismember(&raw const set, libc::SIGUSR1) == 1 }
}

fn send(thread: libc::pid_t) {
    let process = i32::try_from(std::process::id()).expect("a pid");
    // SAFETY: the call takes numbers.
    assert_eq!(unsafe { libc::tgkill(process, thread, libc::SIGUSR1) }, 0);
}

/// Runs a wait, and sends its thread a signal while it sleeps; what it said, and for how long.
fn interrupted<R>(wait: impl FnOnce() -> R) -> (R, Duration) {
    let thread = testing::thread_id();
    thread::scope(|scope| {
        let sender = scope.spawn(move || {
            testing::until_asleep(thread);
            send(thread);
        });
        let began = Instant::now();
        let result = wait();
        let took = began.elapsed();
        sender.join().expect("it only signals");
        (result, took)
    })
}

/// Longer than any wait that ends as it should.
const FAR: Duration = Duration::from_secs(15);

/// The three kinds of wait: of a ring, of a scope, of a raw ring.
type Waits<'w> =
    &'w mut dyn FnMut(u32, Option<Instant>, Option<&libc::sigset_t>) -> std::io::Result<u32>;

/// Runs `body` with each kind of wait, with nothing in flight.
fn each_wait(mode: Mode, mut body: impl FnMut(&str, Waits<'_>)) {
    let Some(mut ring) = mode.ring::<op::Nop, ()>(8, 8) else { return };
    body(&format!("{mode:?}, ring"), &mut |min, until, mask| {
        ring.wait_interruptible(min, until, mask)
    });
    ring.scope::<op::Nop, (), _>(2, |scope| {
        body(&format!("{mode:?}, scope"), &mut |min, until, mask| {
            scope.wait_interruptible(min, until, mask)
        });
    });
    let raw = RawRing::builder().entries(8).completions(16);
    let raw = if mode == Mode::Plain { raw.flags(uring::SetupFlags::empty()) } else { raw };
    let mut raw = raw.build().expect("a ring");
    body(&format!("{mode:?}, raw"), &mut |min, until, mask| {
        raw.wait_interruptible(min, until, mask)
    });
}

#[test]
fn a_signal_ends_a_wait_that_may_be_interrupted_and_no_other() {
    isolated!();
    install();
    for mode in Mode::ALL {
        each_wait(mode, |what, wait| {
            for until in [None, Some(Instant::now() + FAR)] {
                if until.is_some() && !util::support().features.contains(Features::EXT_ARG) {
                    continue; // the timeout is an entry, and hides the signal
                }
                let before = HANDLED.load(Ordering::SeqCst);
                let (result, took) = interrupted(|| wait(1, until, None));
                assert_eq!(util::errno(&result), libc::EINTR, "{what}");
                assert!(took < FAR, "{what}: {took:?}");
                assert_eq!(HANDLED.load(Ordering::SeqCst), before + 1, "{what}");
            }
            // without one it ends in time, and that is no error
            let until = Instant::now() + Duration::from_millis(20);
            assert_eq!(wait(1, Some(until), None).expect("no signal"), 0, "{what}");
            assert!(Instant::now() >= until, "{what}");
            assert_eq!(wait(0, None, None).expect("no wait"), 0, "{what}");
        });
        let Some(mut ring) = mode.ring::<op::Nop, ()>(8, 8) else { continue };
        let until = Instant::now() + Duration::from_millis(200);
        let (result, _) = interrupted(|| ring.wait(1, Some(until)));
        assert_eq!(result.expect("signals do not end this one"), 0, "{mode:?}");
        assert!(Instant::now() >= until, "{mode:?}");
    }
}

#[test]
fn a_mask_lets_signals_in_during_the_wait_alone() {
    isolated!();
    install();
    let (none, ours) = (signals(&[]), signals(&[libc::SIGUSR1]));
    for mode in Mode::ALL {
        each_wait(mode, |what, wait| {
            // blocked outside: it came before the wait, and is not lost
            block(&ours);
            let before = HANDLED.load(Ordering::SeqCst);
            send(testing::thread_id());
            assert_eq!(HANDLED.load(Ordering::SeqCst), before, "{what}: it is blocked");
            let began = Instant::now();
            let result = wait(1, None, Some(&none));
            assert_eq!(util::errno(&result), libc::EINTR, "{what}");
            assert_eq!(HANDLED.load(Ordering::SeqCst), before + 1, "{what}");
            assert!(is_blocked(), "{what}: the old mask is back");
            if util::support().features.contains(Features::EXT_ARG) {
                send(testing::thread_id());
                let result = wait(1, Some(Instant::now() + FAR), Some(&none));
                assert_eq!(util::errno(&result), libc::EINTR, "{what}: with a time");
                assert_eq!(HANDLED.load(Ordering::SeqCst), before + 2, "{what}");
            }
            assert!(began.elapsed() < FAR, "{what}");
            // and the other way round: let in outside, blocked in the wait
            block(&none);
            let handled = HANDLED.load(Ordering::SeqCst);
            let until = Instant::now() + Duration::from_millis(200);
            let (result, _) = interrupted(|| wait(1, Some(until), Some(&ours)));
            assert_eq!(result.expect("it is blocked"), 0, "{what}");
            assert!(Instant::now() >= until, "{what}");
            assert_eq!(HANDLED.load(Ordering::SeqCst), handled + 1, "{what}: after the wait");
        });
    }
}

#[test]
fn what_is_queued_goes_out_with_a_wait_that_a_signal_ends() {
    isolated!();
    install();
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Timeout, ()>(8, 8) else { continue };
        let ring: &mut Ring<op::Timeout, ()> = &mut ring;
        let id = ring.submit(op::Timeout::new(Duration::from_millis(300)), ()).expect("room");
        let began = Instant::now();
        let (result, _) = interrupted(|| ring.wait_interruptible(1, None, None));
        // the kernel tells how many it took, and not of the signal
        if let Ok(ready) = result {
            assert!(ready == 0 || began.elapsed() >= Duration::from_millis(300), "{mode:?}");
        }
        assert!(ring.is_live(id) || began.elapsed() >= Duration::from_millis(300));
        util::done(ring).1.expect("time is up");
        assert!(began.elapsed() < FAR, "{mode:?}");
    }
}
