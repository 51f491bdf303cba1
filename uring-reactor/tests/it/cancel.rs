//! Cancelling is a request: the result still comes, exactly once, and it is the real one.

use std::{
    cell::{Cell, RefCell},
    fs::File,
    io::{Read as _, Write as _},
    rc::Rc,
    sync::{Arc, Barrier, mpsc},
    thread,
};

use testing::{get, rounds};
use uring_reactor::{
    EventLoop,
    uring::{
        Current,
        op::{Nop, Read},
    },
};

use crate::util::{ECANCELED, errno, event_loop, pipe, reactor, turns_until};

#[test]
fn a_request_is_cancelled_from_another_thread_and_its_callback_runs_once() {
    need_loops!();
    let reactor = reactor();
    let (reader, _writer) = pipe();
    let (sender, receiver) = mpsc::channel();
    let read = Read::new(reader, vec![0; 8], Current);
    let request =
        reactor.handle().submit(read, move |(result, ..), _| sender.send(result).unwrap()).unwrap();
    request.cancel().unwrap();
    request.clone().cancel().unwrap();
    assert_eq!(errno(&get(&receiver)), Some(ECANCELED));
    assert!(receiver.recv().is_err());
    request.cancel().unwrap();
}

#[test]
fn a_callback_cancels_another_operation_and_later_its_place_means_nothing() {
    need_loops!();
    let mut event_loop = event_loop();
    let (reader, _writer) = pipe();
    let ended = Rc::new(RefCell::new(Vec::new()));
    event_loop.with(|cx| {
        let first = Rc::clone(&ended);
        let read = cx.submit(Read::new(reader.clone(), vec![0; 8], Current), move |output, _| {
            first.borrow_mut().push(errno(&output.0));
        });
        let second = Rc::clone(&ended);
        cx.submit(Nop::new(), move |_, cx| {
            second.borrow_mut().push(None);
            cx.cancel(read);
            cx.cancel(read);
            // takes the place of the nop
            let third = Rc::clone(&second);
            cx.submit(Read::new(reader, vec![0; 8], Current), move |output, _| {
                third.borrow_mut().push(errno(&output.0));
            });
            cx.cancel(read);
        });
    });
    turns_until(&mut event_loop, || ended.borrow().len() == 2);
    assert_eq!(*ended.borrow(), [None, Some(ECANCELED)], "the third is untouched");
}

#[test]
fn an_operation_that_waits_for_room_is_cancelled_after_the_call_that_asked() {
    need_loops!();
    let mut event_loop = EventLoop::builder().operations(1).build().unwrap();
    let (reader, mut writer) = pipe();
    let ended = Rc::new(RefCell::new(Vec::new()));
    let inside = Rc::new(Cell::new(true));
    event_loop.with(|cx| {
        let seen = Rc::clone(&ended);
        cx.submit(Read::new(reader, vec![0; 8], Current), move |output, _| {
            seen.borrow_mut().push(("read", errno(&output.0)));
        });
        let (seen, inside_seen) = (Rc::clone(&ended), Rc::clone(&inside));
        let waits = cx.submit(Nop::new(), move |result, _| {
            assert!(!inside_seen.get(), "called inside `cancel`");
            seen.borrow_mut().push(("nop", errno(&result)));
        });
        cx.cancel(waits);
        cx.cancel(waits);
        inside.set(false);
    });
    turns_until(&mut event_loop, || !ended.borrow().is_empty());
    writer.write_all(b"x").unwrap();
    turns_until(&mut event_loop, || ended.borrow().len() == 2);
    assert_eq!(*ended.borrow(), [("nop", Some(ECANCELED)), ("read", None)]);
}

#[test]
fn a_read_that_races_with_its_cancel_loses_no_byte() {
    need_loops!();
    let reactor = reactor();
    let barrier = Arc::new(Barrier::new(2));
    let (reader, mut writer) = pipe();
    let writing = thread::spawn({
        let barrier = Arc::clone(&barrier);
        move || {
            for round in 0..rounds(500) {
                barrier.wait();
                writer.write_all(&[u8::try_from(round % 256).unwrap()]).unwrap();
                barrier.wait();
            }
        }
    });
    let mut won = 0;
    for round in 0..rounds(500) {
        let expected = u8::try_from(round % 256).unwrap();
        let (sender, receiver) = mpsc::channel();
        let read = Read::new(reader.clone(), Vec::with_capacity(8), Current);
        let request = reactor
            .handle()
            .submit(read, move |(result, _, bytes), _| sender.send((result, bytes)).unwrap())
            .unwrap();
        barrier.wait();
        request.cancel().unwrap();
        barrier.wait();
        // the byte has been written: it is here or there, and never lost
        let (result, bytes) = get(&receiver);
        match result {
            Ok(1) => {
                assert_eq!(bytes, [expected]);
                won += 1;
            }
            result => {
                assert_eq!(errno(&result), Some(ECANCELED));
                let mut left = [0];
                File::from(reader.try_clone().unwrap()).read_exact(&mut left).unwrap();
                assert_eq!(left, [expected]);
            }
        }
    }
    writing.join().unwrap();
    println!("{won} of {} reads were faster than their cancel", rounds(500));
}
