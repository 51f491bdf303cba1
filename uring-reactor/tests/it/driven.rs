//! Loops that somebody else waits for, and waits that a signal ends.

use std::{
    cell::{Cell, RefCell},
    io::Write as _,
    os::fd::{AsFd as _, AsRawFd as _},
    ptr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use testing::{LONG, get, rounds, thread_id, until_asleep};
use uring_reactor::{
    EventLoop,
    uring::{
        Current,
        op::{Nop, Read},
    },
};

use crate::util::{EINTR, errno, event_loop, pipe};

/// Whether the loop's descriptor polls readable before `until`.
fn is_readable(event_loop: &EventLoop, until: Instant) -> bool {
    let fd = event_loop.as_fd().as_raw_fd();
    let mut fd = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let left = until.saturating_duration_since(Instant::now());
    let millis = left.as_millis().try_into().unwrap_or(i32::MAX);
    // SAFETY: the call reads and writes one entry.
    let answer = unsafe { libc::poll(&raw mut fd, 1, millis) };
    assert!(answer >= 0, "poll: {}", std::io::Error::last_os_error());
    answer == 1
}

/// Drives the loop from outside until something is true.
fn drive(event_loop: &mut EventLoop, mut done: impl FnMut() -> bool) {
    let limit = Instant::now() + LONG;
    while !done() {
        assert!(
            Instant::now() < limit,
            "it does not come true: {}",
            event_loop.with(|cx| cx.stats())
        );
        let due = event_loop.prepare_wait().unwrap();
        let until = due.map_or(limit, |due| due.min(limit) + Duration::from_millis(1));
        let readable = is_readable(event_loop, until);
        assert!(readable || due.is_some(), "nothing told of what there is to do");
        event_loop.turn(None).unwrap();
    }
}

#[test]
fn its_descriptor_tells_of_completions_commands_and_wakes() {
    need_loops!();
    let mut event_loop = event_loop();
    let told = Rc::new(RefCell::new(Vec::new()));
    let (reader, mut writer) = pipe();
    let (sender, receiver) = mpsc::channel();
    event_loop.with(|cx| {
        let read = Rc::clone(&told);
        cx.submit(Read::new(reader, vec![0; 1], Current), move |(result, ..), _| {
            read.borrow_mut().push(("read", result.unwrap()));
        });
        let task = Rc::clone(&told);
        let mut woken = false;
        cx.spawn(std::future::poll_fn(move |cx| {
            if woken {
                task.borrow_mut().push(("task", 0));
                return std::task::Poll::Ready(());
            }
            woken = true;
            sender.send(cx.waker().clone()).unwrap();
            std::task::Poll::Pending
        }));
        let timer = Rc::clone(&told);
        cx.after(Duration::from_millis(5), move |_| timer.borrow_mut().push(("timer", 0)));
    });
    drive(&mut event_loop, || told.borrow().len() == 1);
    assert_eq!(*told.borrow(), [("timer", 0)]);
    assert_eq!(event_loop.prepare_wait().unwrap(), None, "nothing is due");
    assert!(!is_readable(&event_loop, Instant::now()), "there is nothing to do");

    let sleeper = thread_id();
    let writing = thread::spawn(move || {
        until_asleep(sleeper);
        writer.write_all(b"x").unwrap();
    });
    drive(&mut event_loop, || told.borrow().len() == 2);
    writing.join().unwrap();
    let waker = get(&receiver);
    let other = thread::spawn(move || {
        until_asleep(sleeper);
        waker.wake();
    });
    drive(&mut event_loop, || told.borrow().len() == 3);
    other.join().unwrap();
    assert_eq!(told.take(), [("timer", 0), ("read", 1), ("task", 0)]);
}

#[test]
fn no_command_is_left_to_a_loop_that_is_waited_for_from_outside() {
    need_loops!();
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let count = rounds(2000_u32);
    let done = Arc::new(AtomicU32::new(0));
    let told = Arc::clone(&done);
    let other = thread::spawn(move || {
        for _ in 0..count {
            let (sender, receiver) = mpsc::channel();
            let told = Arc::clone(&told);
            let callback = move |_, _: &mut uring_reactor::Cx<'_>| {
                told.fetch_add(1, Relaxed);
                sender.send(()).unwrap();
            };
            handle.submit(Nop::new(), callback).unwrap();
            get(&receiver);
        }
    });
    drive(&mut event_loop, || done.load(Relaxed) == count);
    other.join().unwrap();
}

#[test]
fn what_is_to_do_already_is_due_at_once() {
    need_loops!();
    let mut event_loop = event_loop();
    let ran = Rc::new(Cell::new(0));
    event_loop.turn(None).unwrap();
    event_loop.with(|cx| {
        let (source, nop) = (Rc::clone(&ran), Rc::clone(&ran));
        let source = cx.add_source(crate::util::Call(move |_, _: &mut uring_reactor::Cx<'_>| {
            source.set(source.get() + 1);
        }));
        cx.poke(source);
        cx.submit(Nop::new(), move |_, _| nop.set(nop.get() + 10));
    });
    let due = event_loop.prepare_wait().unwrap().unwrap();
    assert!(due <= Instant::now());
    event_loop.turn(None).unwrap();
    assert_eq!(ran.get(), 11, "what was queued had gone out");
}

extern "C" fn on_signal(_: libc::c_int) {}

/// Sends `SIGUSR1` to this thread after a while, as often as it takes.
fn signals(stop: mpsc::Receiver<()>) -> thread::JoinHandle<()> {
    // SAFETY: a zeroed action is one without flags, so that calls are not restarted.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_signal as *const () as usize;
    // SAFETY: the call reads the action.
    assert_eq!(unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, ptr::null_mut()) }, 0);
    // SAFETY: the call takes nothing.
    let thread = unsafe { libc::pthread_self() };
    thread::spawn(move || {
        let pause = Duration::from_millis(5);
        while stop.recv_timeout(pause) == Err(mpsc::RecvTimeoutError::Timeout) {
            // SAFETY: the thread waits for this one.
            unsafe { libc::pthread_kill(thread, libc::SIGUSR1) };
        }
    })
}

#[test]
fn a_signal_ends_an_interruptible_turn_and_no_other() {
    need_loops!();
    isolated!();
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (stop, stopped) = mpsc::channel();
    let signals = signals(stopped);
    // the first may submit the read on the bell
    for _ in 0..2 {
        let start = Instant::now();
        let ended = event_loop.turn_interruptible(Some(start + LONG), None);
        assert!(start.elapsed() < LONG);
        assert!(ended.is_ok() || errno(&ended) == Some(EINTR), "{ended:?}");
    }
    assert_eq!(errno(&event_loop.turn_interruptible(None, None)), Some(EINTR));
    assert!(handle.ended().is_none(), "it goes on");
    let until = Instant::now() + Duration::from_millis(50);
    event_loop.turn(Some(until)).unwrap();
    assert!(Instant::now() >= until, "a turn is not ended by a signal");
    drop(stop);
    signals.join().unwrap();
}

#[test]
fn signals_that_are_blocked_outside_are_taken_in_the_wait() {
    need_loops!();
    isolated!();
    let mut event_loop = event_loop();
    event_loop.turn(None).unwrap();
    // SAFETY: a zeroed set is filled below.
    let (mut usr1, mut before): (libc::sigset_t, libc::sigset_t) = unsafe { std::mem::zeroed() };
    // SAFETY: the call writes the set.
    unsafe { libc::sigemptyset(&raw mut usr1) };
    // SAFETY: the call writes the set.
    unsafe { libc::sigaddset(&raw mut usr1, libc::SIGUSR1) };
    let (stop, stopped) = mpsc::channel();
    let signals = signals(stopped);
    // SAFETY: the call reads one set and writes the other.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const usr1, &raw mut before) };
    // SAFETY: the call writes the set.
    unsafe { libc::sigdelset(&raw mut before, libc::SIGUSR1) };
    let until = Instant::now() + Duration::from_millis(50);
    event_loop.turn_interruptible(Some(until), None).unwrap();
    assert!(Instant::now() >= until, "it is blocked");
    let taken = event_loop.turn_interruptible(Some(Instant::now() + LONG), Some(&before));
    assert_eq!(errno(&taken), Some(EINTR));
    drop(stop);
    signals.join().unwrap();
}
