//! As many operations are in flight as the loop was made for; the others wait, and none is lost.

use std::{
    cell::{Cell, RefCell},
    io::Write as _,
    rc::Rc,
    sync::mpsc,
    time::{Duration, Instant},
};

use testing::{get, rounds};
use uring_reactor::{
    Cx, EventLoop, LoopOp, Reactor, SourceEvent,
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

#[test]
fn who_waits_for_room_gets_it_in_order_and_nothing_ticks_meanwhile() {
    need_loops!();
    let mut event_loop = EventLoop::builder().operations(2).build().unwrap();
    let told = Rc::new(RefCell::new(Vec::new()));
    let mut writers = Vec::new();
    let sources: Vec<_> = (0..4)
        .map(|name| {
            let told = Rc::clone(&told);
            let (socket, peer) = sockets();
            writers.push(peer);
            event_loop.with(|cx| {
                cx.add_source_with(|id| {
                    Call(move |event, cx: &mut Cx<'_>| match event {
                        SourceEvent::Poked => {
                            let recv = Recv::new(socket.clone(), vec![0; 1]);
                            if cx.submit_for(id, 0, recv).is_err() {
                                cx.wait_for_room(id);
                                cx.wait_for_room(id); // is to wait once
                            }
                        }
                        SourceEvent::Room => {
                            told.borrow_mut().push(name);
                            let recv = Recv::new(socket.clone(), vec![0; 1]);
                            cx.submit_for(id, 0, recv).expect("it was told of room");
                        }
                        _ => {}
                    })
                })
            })
        })
        .collect();
    event_loop.with(|cx| {
        for source in &sources[..3] {
            cx.poke(*source);
        }
    });
    event_loop.turn(None).unwrap();
    let closure = Rc::clone(&told);
    event_loop.with(|cx| {
        cx.submit(Nop::new(), move |_, _| closure.borrow_mut().push(9));
        cx.poke(sources[3]);
    });
    event_loop.turn(None).unwrap();
    let stats = event_loop.with(|cx| cx.stats());
    assert_eq!((stats.full, stats.waiting, stats.drained), (3, 3, 0), "{stats}");
    // who waits costs nothing: the turn sleeps to its end
    let until = Instant::now() + Duration::from_millis(60);
    event_loop.turn(Some(until)).unwrap();
    assert!(Instant::now() >= until);
    let after = event_loop.with(|cx| cx.stats());
    assert_eq!((after.turns, after.timers), (stats.turns + 1, 0), "{after}");
    assert!(after.enters <= stats.enters + 1, "{after}");
    assert!(told.borrow().is_empty());
    // each place that becomes free is the next one's
    writers[0].write_all(b"x").unwrap();
    turns_until(&mut event_loop, || told.borrow().len() == 1);
    assert_eq!(*told.borrow(), [2]);
    writers[1].write_all(b"x").unwrap();
    turns_until(&mut event_loop, || told.borrow().len() == 3);
    assert_eq!(*told.borrow(), [2, 9, 3]);
    let stats = event_loop.with(|cx| cx.stats());
    assert_eq!((stats.waiting, stats.drained), (0, 3), "{stats}");
}

#[test]
fn a_source_that_leaves_the_room_or_is_gone_holds_nobody_up() {
    need_loops!();
    let mut event_loop = EventLoop::builder().operations(1).build().unwrap();
    let told = Rc::new(RefCell::new(Vec::new()));
    let (reader, mut writer) = pipe();
    event_loop.with(|cx| {
        cx.submit(Read::new(reader, vec![0; 1], Current), |_, _| {});
        let sources = ["gone", "leaves it", "last"].map(|name| {
            let told = Rc::clone(&told);
            cx.add_source(Call(move |event, _: &mut Cx<'_>| {
                told.borrow_mut().push(format!("{name} {event:?}"));
            }))
        });
        for source in sources {
            cx.wait_for_room(source);
        }
        cx.remove_source(sources[0]);
    });
    writer.write_all(b"x").unwrap();
    turns_until(&mut event_loop, || told.borrow().len() == 2);
    assert_eq!(*told.borrow(), ["leaves it Room", "last Room"]);
    let limit = Instant::now() + Duration::from_millis(20);
    event_loop.turn(Some(limit)).unwrap();
    assert!(Instant::now() >= limit, "nobody waits any more");
}
