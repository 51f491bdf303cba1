//! What a forked child has of its parent's loops: nothing, and it says so at once.

use std::{
    mem::ManuallyDrop,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use testing::LONG;
use uring_reactor::{
    Cause, EventLoop, Reactor,
    uring::{
        Current,
        op::{Nop, Read},
    },
};

use crate::util::{errno, event_loop, on_loop, pipe, turns_until};

// errno(3)
const EEXIST: i32 = 17;

/// Runs `body` in a forked child, which must end well and soon.
#[track_caller]
fn in_child(what: &str, body: impl FnOnce()) {
    let start = Instant::now();
    // SAFETY: the child runs `body` on this thread alone, and exits without destructors.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork");
    if child == 0 {
        // SAFETY: the call takes a number: SIGALRM ends a child that hangs.
        unsafe { libc::alarm(10) };
        let ended = catch_unwind(AssertUnwindSafe(body));
        // SAFETY: the call does not return.
        unsafe { libc::_exit(i32::from(ended.is_err())) };
    }
    let mut status = -1;
    // SAFETY: the call writes one int.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "{what}");
    assert!(start.elapsed() < Duration::from_secs(1), "{what}: {:?}", start.elapsed());
}

/// The same value once more, for a child: the parent keeps its own.
fn again<T>(value: &ManuallyDrop<T>) -> T {
    // SAFETY: only one of the two processes drops it.
    unsafe { std::ptr::read(&raw const **value) }
}

#[test]
fn a_child_ends_a_reactor_at_once_and_the_parents_goes_on() {
    need_loops!();
    isolated!();
    let reactor = ManuallyDrop::new(Reactor::builder().loops(2).build().unwrap());
    on_loop(reactor.handle(), |_| ());
    in_child("drops it", || drop(again(&reactor)));
    in_child("shuts it down", || {
        let report = again(&reactor).shutdown(LONG);
        assert_eq!(report.failed_loops, 2);
    });
    in_child("waits for it", || {
        let end = reactor.wait().unwrap_err();
        assert!(matches!(end.cause, Cause::Forked), "{end:?}");
    });
    in_child("drops it where it ran", || {
        let handle = reactor.handle().clone();
        drop((handle, again(&reactor)));
    });
    for handle in reactor.handles() {
        on_loop(handle, |_| ());
    }
    let report = ManuallyDrop::into_inner(reactor).shutdown(LONG);
    assert_eq!((report.failed_loops, report.leaked), (0, 0), "{report}");
}

#[test]
fn a_child_gets_everything_back_that_it_sends_to_its_parents_loops() {
    need_loops!();
    isolated!();
    let reactor = Reactor::builder().build().unwrap();
    let handle = reactor.handle().clone();
    on_loop(&handle, |_| ());
    in_child("sends", || {
        let closed = handle.run(|_| ()).unwrap_err();
        assert!(matches!(closed.cause(), Cause::Forked), "{closed:?}");
        assert!(closed.to_string().contains("forked"), "{closed}");
        assert!(handle.submit(Nop::new(), |_, _| ()).is_err());
        assert!(handle.shutdown(LONG).is_err());
        assert!(matches!(handle.ended(), Some(Cause::Forked)));
        assert!(!handle.takes_work());
        let _stats = (handle.stats(), reactor.stats());
    });
    on_loop(&handle, |_| ());
    assert!(handle.ended().is_none());
}

#[test]
fn a_child_can_make_loops_of_its_own_and_so_can_its_child() {
    need_loops!();
    isolated!();
    let reactor = Reactor::builder().build().unwrap();
    in_child("makes one", || {
        let own = ManuallyDrop::new(Reactor::builder().build().unwrap());
        on_loop(own.handle(), |_| ());
        assert!(reactor.handle().run(|_| ()).is_err(), "the parent's is still the parent's");
        in_child("makes one, too", || {
            assert!(own.handle().run(|_| ()).is_err());
            let third = Reactor::builder().build().unwrap();
            on_loop(third.handle(), |_| ());
            assert_eq!(third.shutdown(LONG).failed_loops, 0);
        });
        assert_eq!(ManuallyDrop::into_inner(own).shutdown(LONG).failed_loops, 0);
    });
    on_loop(reactor.handle(), |_| ());
}

#[test]
fn a_child_that_drops_an_event_loop_calls_nobody_and_a_turn_there_fails() {
    need_loops!();
    isolated!();
    let mut event_loop = ManuallyDrop::new(event_loop());
    let (reader, mut writer) = pipe();
    let told = std::rc::Rc::new(std::cell::Cell::new(0));
    event_loop.with(|cx| {
        let told = std::rc::Rc::clone(&told);
        let read = Read::new(reader, vec![0; 1], Current);
        cx.submit(read, move |(result, ..), _| told.set(told.get() + result.unwrap()));
    });
    event_loop.turn(None).unwrap();
    in_child("drops it", || {
        drop::<EventLoop>(again(&event_loop));
        assert_eq!(told.get(), 0);
    });
    in_child("turns it", || {
        let mut copy = again(&event_loop);
        copy.with(|cx| {
            cx.after(Duration::ZERO, |_| panic!("it runs in the child"));
        });
        assert_eq!(errno(&copy.turn(None)), Some(EEXIST));
        assert_eq!(errno(&copy.turn(Some(Instant::now() + LONG))), Some(EEXIST));
        assert_eq!(copy.shutdown(LONG).unwrap().failed_loops, 1);
    });
    std::io::Write::write_all(&mut writer, b"x").unwrap();
    turns_until(&mut event_loop, || told.get() == 1);
    let report = ManuallyDrop::into_inner(event_loop).shutdown(LONG).unwrap();
    assert_eq!((report.leaked, report.failed_loops), (0, 0), "{report}");
}
