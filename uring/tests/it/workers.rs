//! Worker threads, and a kernel that cannot start any.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use uring::{At, Current, Event, Features, OnWorker, Operation, Ring, op};

use crate::util::{self, Temp};

/// Becomes a user that has no other process, and may have no other thread from now on.
fn forbid_threads() {
    testing::limit(libc::RLIMIT_NPROC, 1);
    // setrlimit(2): root is not bound by it
    // SAFETY: the call takes a number.
    assert_eq!(unsafe { libc::setuid(54_321) }, 0);
}

#[test]
fn workers_that_were_started_in_time_serve_under_a_limit_of_threads() {
    // SAFETY: the call takes nothing.
    if unsafe { libc::geteuid() } != 0 {
        skip!("only root can become a user without processes");
    }
    if !util::support().features.contains(Features::NATIVE_WORKERS) {
        skip!("workers are no threads of the process before 5.12");
    }
    isolated!("ASAN_OPTIONS" = "detect_leaks=0"); // at the end it wants a process to look for them
    let temp = Temp::new(100);
    let null = std::fs::File::open("/dev/null").expect("it");
    let (go, wait) = mpsc::channel::<()>();
    // workers belong to the thread that submits: this one starts none in time
    let late = thread::spawn(move || {
        wait.recv().expect("the limit is there");
        let mut ring: Ring<OnWorker<op::Nop>> = util::ring();
        ring.submit(op::Nop::new().on_worker(), ()).expect("room");
        ring.wait(1, Some(Instant::now() + Duration::from_secs(5))).expect("a wait");
        match ring.next() {
            Some(Event::Done { output, .. }) => Some(util::errno(&output)),
            _ => None,
        }
    });

    let mut ring: Ring<op::Nop> = util::ring();
    ring.run(op::Nop::new().on_worker()).expect("a worker for regular files");
    let (read, ..) = ring.run(op::Read::new(&null, [0], Current).on_worker());
    assert_eq!(read.expect("and one for the others"), 0);
    forbid_threads();
    for _ in 0..3 {
        ring.run(op::Nop::new().on_worker()).expect("there is a worker");
        let (read, ..) = ring.run(op::Read::new(temp.file(), [0; 8], At(3)).on_worker());
        assert_eq!(read.expect("there is a worker"), 8);
        let (read, ..) = ring.run(op::Read::new(&null, [0], Current).on_worker());
        assert_eq!(read.expect("there is the other worker"), 0);
        let null = null.try_clone().expect("a descriptor");
        ring.run(op::Close::new(null)).expect("it closes");
    }
    go.send(()).expect("it waits");
    // older kernels try for ever to start one
    let errno = late.join().expect("no panic");
    assert!(matches!(errno, None | Some(libc::ECANCELED)), "{errno:?}"); // not a success
}
