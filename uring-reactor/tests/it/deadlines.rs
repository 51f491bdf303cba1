//! Operations that are cancelled when their time is up.

use std::{
    cell::RefCell,
    io,
    rc::Rc,
    sync::mpsc,
    time::{Duration, Instant},
};

use testing::get;
use uring_reactor::uring::{
    Current, Operation as _,
    op::{Nop, Read},
};

use crate::util::{
    ECANCELED, EINTR, errno, event_loop, on_loop, pipe, reactor, turns_for, turns_until,
};

#[test]
fn an_operation_that_is_late_ends_with_ecanceled_at_its_deadline() {
    need_loops!();
    let reactor = reactor();
    let (reader, _writer) = pipe();
    let (sender, receiver) = mpsc::channel();
    let deadline = Instant::now() + Duration::from_millis(30);
    let read = Read::new(reader, vec![0; 8], Current);
    reactor
        .handle()
        .submit_before(deadline, read, move |(result, ..), _| {
            sender.send((result, Instant::now())).unwrap();
        })
        .unwrap();
    let (result, ended) = get(&receiver);
    assert_eq!(errno(&result), Some(ECANCELED));
    assert!(ended >= deadline);
    assert!(receiver.recv().is_err(), "and only once");
}

#[test]
fn a_result_before_the_deadline_is_the_real_one_and_takes_the_timer_with_it() {
    need_loops!();
    let mut event_loop = event_loop();
    let result = Rc::new(RefCell::new(None));
    event_loop.with(|cx| {
        let result = Rc::clone(&result);
        let deadline = Instant::now() + Duration::from_millis(50);
        cx.submit_before(deadline, Nop::new(), move |done, _| {
            result.replace(Some(done));
        });
    });
    turns_until(&mut event_loop, || result.borrow().is_some());
    assert!(result.take().unwrap().is_ok());
    turns_for(&mut event_loop, Duration::from_millis(100));
    let stats = event_loop.with(|cx| cx.stats());
    assert_eq!(stats.timers, 0, "nothing fired");
}

#[test]
fn a_deadline_that_is_past_cancels_at_once() {
    need_loops!();
    let reactor = reactor();
    let (reader, _writer) = pipe();
    let (sender, receiver) = mpsc::channel();
    let read = Read::new(reader, vec![0; 8], Current);
    reactor
        .handle()
        .submit_before(Instant::now(), read, move |(result, ..), _| sender.send(result).unwrap())
        .unwrap();
    assert_eq!(errno(&get(&receiver)), Some(ECANCELED));
}

#[test]
fn a_read_that_blocks_a_worker_thread_is_interrupted_at_its_deadline() {
    need_loops!();
    let reactor = reactor();
    let (reader, _writer) = pipe();
    let (sender, receiver) = mpsc::channel::<io::Result<usize>>();
    let deadline = Instant::now() + Duration::from_millis(30);
    let read = Read::new(reader, vec![0; 8], Current).on_worker();
    reactor
        .handle()
        .submit_before(deadline, read, move |(result, ..), _| sender.send(result).unwrap())
        .unwrap();
    let errno = errno(&get(&receiver));
    assert!(matches!(errno, Some(EINTR | ECANCELED)), "{errno:?}");
}

#[test]
fn a_deadline_ends_an_operation_that_still_waits_for_room() {
    need_loops!();
    let mut event_loop = uring_reactor::EventLoop::builder().operations(1).build().unwrap();
    let (reader, _writer) = pipe();
    let result = Rc::new(RefCell::new(None));
    event_loop.with(|cx| {
        cx.submit(Read::new(reader, vec![0; 8], Current), |_, _| {});
        assert_eq!(cx.room(), 0);
        let result = Rc::clone(&result);
        cx.submit_before(Instant::now() + Duration::from_millis(20), Nop::new(), move |done, _| {
            result.replace(Some(done));
        });
    });
    turns_until(&mut event_loop, || result.borrow().is_some());
    assert_eq!(errno(&result.take().unwrap()), Some(ECANCELED));
}

#[test]
fn deadlines_end_many_operations_each_in_its_own_time() {
    need_loops!();
    let reactor = reactor();
    let (reader, _writer) = pipe();
    let (sender, receiver) = mpsc::channel();
    let start = Instant::now();
    for number in (0..10_u64).rev() {
        let sender = sender.clone();
        let deadline = start + Duration::from_millis(10 * number);
        let read = Read::new(reader.clone(), vec![0; 8], Current);
        reactor
            .handle()
            .submit_before(deadline, read, move |(result, ..), _| {
                sender.send((number, result, Instant::now() >= deadline)).unwrap();
            })
            .unwrap();
    }
    for _ in 0..10 {
        let (number, result, in_time) = get(&receiver);
        assert_eq!(errno(&result), Some(ECANCELED), "{number}");
        assert!(in_time, "{number} ended before its deadline");
    }
    assert_eq!(on_loop(reactor.handle(), |cx| cx.stats()).timers, 10);
}
