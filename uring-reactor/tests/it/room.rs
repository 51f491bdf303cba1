//! As many operations are in flight as the loop was made for; the others wait, and none is lost.

use std::{
    cell::{Cell, RefCell},
    io::Write as _,
    rc::Rc,
    sync::mpsc,
};

use testing::{get, rounds};
use uring_reactor::{
    Cx, EventLoop, LoopOp, Reactor,
    uring::{
        Current,
        op::{Nop, Read, Recv},
    },
};

use crate::util::{Call, on_loop, pipe, sockets, turns_until};

#[test]
fn operations_beyond_the_room_wait_and_go_in_their_order() {
    need_loops!();
    let mut event_loop = EventLoop::builder().operations(2).build().unwrap();
    let (reader, mut writer) = pipe();
    let order = Rc::new(RefCell::new(Vec::new()));
    event_loop.with(|cx| {
        assert_eq!(cx.room(), 2);
        for _ in 0..2 {
            cx.submit(Read::new(reader.clone(), vec![0; 1], Current), |_, _| {});
        }
        assert_eq!(cx.room(), 0);
        for number in 0..100 {
            let order = Rc::clone(&order);
            cx.submit(Nop::new(), move |result, _| {
                result.unwrap();
                order.borrow_mut().push(number);
            });
        }
    });
    event_loop.turn(None).unwrap();
    assert!(order.borrow().is_empty(), "there is no room yet");
    writer.write_all(b"x").unwrap();
    turns_until(&mut event_loop, || order.borrow().len() == 100);
    assert!(order.borrow().is_sorted());
}

#[test]
fn a_loop_with_room_for_one_hears_commands_while_that_one_is_in_flight() {
    need_loops!();
    let reactor = Reactor::builder().operations(1).build().unwrap();
    let (reader, mut writer) = pipe();
    let (sender, receiver) = mpsc::channel();
    let read = Read::new(reader, vec![0; 1], Current);
    reactor.handle().submit(read, move |(result, ..), _| sender.send(result).unwrap()).unwrap();
    for _ in 0..100 {
        assert_eq!(on_loop(reactor.handle(), |cx| cx.room()), 0);
    }
    writer.write_all(b"x").unwrap();
    assert_eq!(get(&receiver).unwrap(), 1);
    assert_eq!(on_loop(reactor.handle(), |cx| cx.room()), 1);
}

#[test]
fn an_operation_that_waits_is_not_overtaken_by_callbacks_that_submit_again() {
    need_loops!();
    fn forever(times: Rc<Cell<u32>>, cx: &mut Cx<'_>) {
        cx.submit(Nop::new(), move |_, cx| {
            times.set(times.get() + 1);
            forever(times, cx);
        });
    }
    let mut event_loop = EventLoop::builder().operations(1).build().unwrap();
    let times = Rc::new(Cell::new(0));
    let waited = Rc::new(Cell::new(false));
    event_loop.with(|cx| {
        forever(Rc::clone(&times), cx);
        let waited = Rc::clone(&waited);
        cx.submit(Nop::new(), move |_, _| waited.set(true));
    });
    for _ in 0..10 {
        event_loop.turn(None).unwrap();
    }
    assert!(waited.get(), "overtaken {} times", times.get());
}

#[test]
fn a_source_gets_its_operation_back_when_there_is_no_room() {
    need_loops!();
    let mut event_loop = EventLoop::builder().operations(1).build().unwrap();
    let (reader, _writer) = pipe();
    let (socket, _peer) = sockets();
    event_loop.with(|cx| {
        cx.submit(Read::new(reader, vec![0; 1], Current), |_, _| {});
        let source = cx.add_source(Call(|_, _: &mut Cx<'_>| {}));
        let buffer = Vec::from(*b"mine");
        let rejected = cx.submit_for(source, 7, Recv::new(socket, buffer)).unwrap_err();
        assert!(rejected.is_full());
        let text = rejected.to_string();
        assert!(text.contains("all 1 operations"), "{text}");
        assert!(matches!(rejected.op, LoopOp::Recv(_)));
    });
}

#[test]
fn more_operations_than_one_submission_holds_all_go() {
    need_loops!();
    let mut event_loop =
        EventLoop::builder().entries(4).completions(64).operations(50).build().unwrap();
    let count = rounds(5000);
    let done = Rc::new(Cell::new(0));
    event_loop.with(|cx| {
        for _ in 0..count {
            let done = Rc::clone(&done);
            cx.submit(Nop::new(), move |result, _| {
                result.unwrap();
                done.set(done.get() + 1);
            });
        }
    });
    turns_until(&mut event_loop, || done.get() == count);
    assert_eq!(event_loop.with(|cx| cx.room()), 50);
}
