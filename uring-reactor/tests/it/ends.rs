//! Loops that end by themselves: who hears of it, and where new work goes.
//!
//! The kernel's error is real: a filter makes `io_uring_enter` fail on the thread of one loop.

use std::{
    error::Error as _,
    io,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use testing::{LONG, get, until};
use uring_reactor::{
    Cause, Handle, LoopEnd, Reactor, Report,
    uring::{
        Current,
        op::{Nop, Read},
    },
};

use crate::util::{EPERM, errno, filter, on_loop, pipe, reactor};

/// Makes the next enter of a loop fail.
fn kill(handle: &Handle) {
    handle.run(|_| filter(&[libc::SYS_io_uring_enter], EPERM)).unwrap();
    until("the loop has ended", || handle.ended().is_some());
}

fn is_the_kernels(cause: &Cause) -> bool {
    matches!(cause, Cause::Kernel(error) if error.raw_os_error() == Some(EPERM))
}

fn quiet(loops: usize) -> Reactor {
    Reactor::builder().loops(loops).on_loop_end(|_| {}).build().unwrap()
}

#[test]
fn a_loop_that_the_kernel_ended_gets_no_new_work() {
    need_loops!();
    let reactor = quiet(3);
    let dead = reactor.handles().nth(1).unwrap();
    kill(dead);
    assert!(!dead.takes_work());
    let places: Vec<_> = reactor.handles().map(std::ptr::from_ref).collect();
    let mut counts = [0; 3];
    for _ in 0..9 {
        let chosen = reactor.handle();
        on_loop(chosen, |_| ());
        counts[places.iter().position(|place| std::ptr::eq(*place, chosen)).unwrap()] += 1;
    }
    assert_eq!(counts[1], 0, "{counts:?}");
    assert!(counts[0] > 0 && counts[2] > 0, "{counts:?}");
}

#[test]
fn a_loop_that_begins_to_end_gets_no_new_work_either() {
    need_loops!();
    let reactor = reactor();
    let handle = reactor.handle();
    let stopping = on_loop(handle, |cx| {
        cx.handle().shutdown(LONG).unwrap();
        let (sender, receiver) = mpsc::channel();
        let (reader, writer) = pipe();
        cx.submit(Read::new(reader, vec![0; 1], Current), move |_, cx| {
            drop(writer);
            sender.send(cx.handle().takes_work()).unwrap();
        });
        receiver
    });
    assert!(!get(&stopping));
}

#[test]
fn a_handle_to_a_dead_loop_says_why_with_the_kernels_error_as_its_source() {
    need_loops!();
    let reactor = quiet(2);
    for handle in reactor.handles() {
        kill(handle);
    }
    // none is left: the same everywhere
    for _ in 0..4 {
        let handle = reactor.handle();
        let closed = handle.run(|_| panic!("nobody runs it")).unwrap_err();
        assert!(is_the_kernels(closed.cause()), "{closed:?}");
        assert!(closed.to_string().contains("the kernel gave an error"), "{closed}");
        assert!(handle.submit(Nop::new(), |_, _| ()).is_err());
        let error = io::Error::from(closed);
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
        let below = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        assert_eq!(below.and_then(io::Error::raw_os_error), Some(EPERM));
    }
    let report = reactor.shutdown(LONG);
    assert_eq!(report.failed_loops, 2, "{report}");
    let reactor = self::reactor();
    let handle = reactor.handle().clone();
    reactor.shutdown(LONG);
    let closed = handle.run(|_| ()).unwrap_err();
    assert!(matches!(closed.cause(), Cause::Shutdown), "{closed:?}");
    assert!(closed.to_string().contains("shut down"), "{closed}");
}

#[test]
fn commands_that_a_dying_loop_has_not_run_are_run_and_hear_of_it() {
    need_loops!();
    let reactor = quiet(1);
    let handle = reactor.handle();
    let (sender, receiver) = mpsc::channel();
    let (in_order, is_in_order) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    handle.run(move |_| may_go.recv().unwrap()).unwrap();
    handle.run(|_| filter(&[libc::SYS_io_uring_enter], EPERM)).unwrap();
    // more than one turn takes: some are run before the error, and the others after it
    for _ in 0..1000 {
        let sender = sender.clone();
        handle.submit(Nop::new(), move |result, _| sender.send(errno(&result)).unwrap()).unwrap();
    }
    handle.run(move |_| in_order.send(()).unwrap()).unwrap();
    go.send(()).unwrap();
    drop(sender);
    get(&is_in_order);
    let report = reactor.shutdown(LONG);
    let told: Vec<_> = receiver.iter().collect();
    assert!(told.iter().all(|errno| *errno == Some(crate::util::ECANCELED)), "{told:?}");
    assert!(told.len() >= 500, "those that were still queued at the error: {}", told.len());
    // those of the turn that failed were with the ring
    assert_eq!(told.len() as u64 + report.lost, 1000, "{report}");
    assert_eq!(report.leaked + report.cancelled, 1000, "{report}");
}

#[test]
fn a_reactor_waits_for_the_first_loop_that_fails_and_says_which_and_why() {
    need_loops!();
    let reactor =
        Arc::new(Reactor::builder().loops(3).name("one-dies").on_loop_end(|_| {}).build().unwrap());
    let waiting = Arc::clone(&reactor);
    let (sender, receiver) = mpsc::channel();
    let waiter = thread::spawn(move || sender.send(waiting.wait()).unwrap());
    on_loop(reactor.handles().nth(2).unwrap(), |_| ());
    assert!(receiver.try_recv().is_err(), "nothing has ended");
    kill(reactor.handles().nth(2).unwrap());
    let end: LoopEnd = get(&receiver).unwrap_err();
    waiter.join().unwrap();
    assert_eq!((end.number, end.thread.as_str()), (2, "one-dies-2"));
    assert!(is_the_kernels(&end.cause), "{end:?}");
    assert_eq!(end.report.failed_loops, 1);
    assert!(end.report.stats.commands >= 2, "{}", end.report);
    assert!(end.to_string().contains("event loop 2 (one-dies-2)"), "{end}");
    assert!(end.source().is_some_and(|source| source.to_string().contains("os error 1")), "{end}");
    // the others live, and the report of the dead one is part of the whole
    on_loop(reactor.handle(), |_| ());
    let report = Arc::into_inner(reactor).unwrap().shutdown(LONG);
    assert_eq!(report.failed_loops, 1, "{report}");
    assert!(report.stats.commands >= 2 + 1 + 2, "{report}");
}

#[test]
fn a_reactor_waits_until_all_loops_were_shut_down() {
    need_loops!();
    let reactor = reactor();
    let handle = reactor.handle().clone();
    let other = thread::spawn(move || {
        on_loop(&handle, |_| ());
        handle.shutdown(LONG).unwrap();
    });
    reactor.wait().unwrap();
    other.join().unwrap();
    assert!(reactor.handle().run(|_| ()).is_err());
    let report = reactor.shutdown(LONG);
    assert_eq!((report.failed_loops, report.stats.commands), (0, 2), "{report}");
}

#[test]
fn on_its_own_loop_a_reactor_does_not_wait() {
    need_loops!();
    let reactor = Arc::new(reactor());
    let inside = Arc::clone(&reactor);
    on_loop(reactor.handle(), move |_| inside.wait()).unwrap();
}

#[test]
fn a_hook_hears_of_each_end_once_and_may_panic() {
    need_loops!();
    let ends = Arc::new(AtomicUsize::new(0));
    let failures = Arc::new(AtomicUsize::new(0));
    let (all, failed) = (Arc::clone(&ends), Arc::clone(&failures));
    let hook = move |end: &LoopEnd| {
        all.fetch_add(1, Relaxed);
        failed.fetch_add(usize::from(end.cause.is_failure()), Relaxed);
        panic!("meant by the test");
    };
    let reactor = Reactor::builder().loops(3).on_loop_end(hook).build().unwrap();
    kill(reactor.handles().next().unwrap());
    let report = reactor.shutdown(LONG);
    assert_eq!(report.failed_loops, 1, "{report}");
    assert_eq!((ends.load(Relaxed), failures.load(Relaxed)), (3, 1));
}

#[test]
fn without_a_hook_the_end_of_a_loop_is_printed_once() {
    need_loops!();
    const INSIDE: &str = "URING_REACTOR_TEST_PRINTS";
    if std::env::var_os(INSIDE).is_some() {
        let reactor = Reactor::builder().loops(2).name("printed").build().unwrap();
        kill(reactor.handles().next().unwrap());
        assert!(reactor.wait().is_err());
        reactor.shutdown(LONG);
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([this_test!().path(), "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("uring-reactor: ")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    for word in ["event loop 0", "printed-0", "os error 1"] {
        assert!(lines[0].contains(word), "{text}");
    }
}

#[test]
fn a_reactor_that_is_dropped_after_its_loops_have_died_does_not_wait() {
    need_loops!();
    let reactor = quiet(2);
    for handle in reactor.handles() {
        kill(handle);
    }
    let start = Instant::now();
    drop(reactor);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn an_event_loop_whose_turn_failed_tells_its_handles() {
    need_loops!();
    let report = thread::spawn(|| {
        let mut event_loop = crate::util::event_loop();
        let handle = event_loop.handle();
        event_loop.with(|cx| {
            cx.submit(Nop::new(), |_, _| ());
        });
        filter(&[libc::SYS_io_uring_enter], EPERM);
        let failed = event_loop.turn(None);
        assert_eq!(errno(&failed), Some(EPERM));
        assert!(is_the_kernels(&handle.ended().unwrap()));
        assert!(handle.run(|_| ()).is_err());
        errno(&event_loop.run().map(|_: Report| ()))
    });
    assert_eq!(report.join().unwrap(), Some(EPERM));
}
