//! A panic ends what panicked, and neither the loop nor its neighbours.

use std::{
    cell::{Cell, RefCell},
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::fd::OwnedFd,
    panic::panic_any,
    rc::Rc,
    sync::mpsc,
    task::Poll,
    time::Duration,
};

use testing::{LONG, get};
use uring_reactor::{
    Cx, EventLoop, SourceEvent,
    uring::{
        Current,
        op::{AcceptMulti, Nop, PollEvents, PollMulti, Read},
    },
};

use crate::util::{Call, event_loop, on_loop, pipe, reactor, turns_until};

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("meant by the test: dropped");
    }
}

/// Whether an operation that was in flight before and one that comes after still get through.
#[track_caller]
fn neighbours_live(
    event_loop: &mut EventLoop,
    panics: u64,
    disturb: impl FnOnce(&mut EventLoop, &Rc<Cell<bool>>),
) {
    let (reader, mut writer) = pipe();
    let neighbour = Rc::new(Cell::new(0));
    event_loop.with(|cx| {
        let neighbour = Rc::clone(&neighbour);
        cx.submit(Read::new(reader, vec![0; 1], Current), move |(result, ..), _| {
            neighbour.set(result.unwrap());
        });
    });
    let before = event_loop.with(|cx| cx.stats());
    let disturbed = Rc::new(Cell::new(false));
    disturb(event_loop, &disturbed);
    turns_until(event_loop, || disturbed.get());
    writer.write_all(b"x").unwrap();
    turns_until(event_loop, || neighbour.get() == 1);
    let after = event_loop.with(|cx| cx.stats());
    assert_eq!(after.panics - before.panics, panics, "panics that were counted");
    let done = Rc::new(Cell::new(false));
    event_loop.with(|cx| {
        let done = Rc::clone(&done);
        cx.submit(Nop::new(), move |_, _| done.set(true));
    });
    turns_until(event_loop, || done.get());
}

#[test]
fn a_callback_that_panics_is_counted_and_its_neighbours_live_on() {
    need_loops!();
    neighbours_live(&mut event_loop(), 1, |event_loop, disturbed| {
        let disturbed = Rc::clone(disturbed);
        event_loop.with(|cx| {
            cx.submit(Nop::new(), move |_, _| {
                disturbed.set(true);
                panic!("meant by the test");
            });
        });
    });
}

#[test]
fn a_panic_whose_message_panics_when_it_is_dropped_ends_there_too() {
    need_loops!();
    neighbours_live(&mut event_loop(), 1, |event_loop, disturbed| {
        let disturbed = Rc::clone(disturbed);
        event_loop.with(|cx| {
            cx.submit(Nop::new(), move |_, _| {
                disturbed.set(true);
                panic_any(Bomb);
            });
        });
    });
}

#[test]
fn what_a_source_calls_for_a_user_may_panic_and_is_counted_like_a_callback() {
    need_loops!();
    neighbours_live(&mut event_loop(), 2, |event_loop, disturbed| {
        let disturbed = Rc::clone(disturbed);
        let calls = Rc::new(Cell::new(0));
        event_loop.with(|cx| {
            let source = cx.add_source(Call(move |_, cx: &mut Cx<'_>| {
                calls.set(calls.get() + 1);
                assert_eq!(cx.catch(|_| 7), Some(7));
                let made: Option<()> = cx.catch(|_| panic_any(Bomb));
                assert!(made.is_none());
                disturbed.set(calls.get() == 2);
            }));
            cx.poke(source);
            cx.poke(source);
        });
    });
}

#[test]
fn what_a_callback_holds_may_panic_when_it_is_dropped() {
    need_loops!();
    neighbours_live(&mut event_loop(), 1, |event_loop, disturbed| {
        let disturbed = Rc::clone(disturbed);
        let bomb = Bomb;
        event_loop.with(|cx| {
            cx.submit(Nop::new(), move |_, _| {
                disturbed.set(true);
                let _held = &bomb;
            });
        });
    });
}

#[test]
fn a_multishot_callback_that_panics_ends_its_operation() {
    need_loops!();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let calls = Rc::new(Cell::new(0));
    let mut event_loop = event_loop();
    let mut client = None;
    neighbours_live(&mut event_loop, 1, |event_loop, disturbed| {
        let (disturbed, calls) = (Rc::clone(disturbed), Rc::clone(&calls));
        event_loop.with(|cx| {
            cx.submit_multi(AcceptMulti::new(OwnedFd::from(listener)), move |_arrival, _| {
                disturbed.set(true);
                calls.set(calls.get() + 1);
                panic!("meant by the test");
            });
        });
        client = Some(TcpStream::connect(address).unwrap());
    });
    let end = client.unwrap().read(&mut [0]);
    assert_eq!(end.unwrap(), 0, "the accepted socket was closed");
    assert_eq!(calls.get(), 1);
    let capacity = 16_384;
    let mut room = 0;
    for _ in 0..100 {
        room = event_loop.with(|cx| cx.room());
        if room == capacity {
            break;
        }
        event_loop.turn(None).unwrap();
    }
    assert_eq!(room, capacity, "the accept has ended");
    assert!(TcpStream::connect(address).is_err(), "and given the listener back");
}

#[test]
fn a_multishot_callback_that_panics_at_its_end_is_dropped() {
    need_loops!();
    neighbours_live(&mut event_loop(), 2, |event_loop, disturbed| {
        let disturbed = Rc::clone(disturbed);
        let (reader, _writer) = pipe();
        let bomb = Bomb;
        event_loop.with(|cx| {
            let poll = PollMulti::new(reader, PollEvents::IN);
            let id = cx.submit_multi(poll, move |_, _| {
                let _held = &bomb;
                disturbed.set(true);
                panic!("meant by the test");
            });
            cx.cancel(id);
        });
    });
}

#[test]
fn a_source_that_panics_is_dropped_and_gets_nothing_more() {
    need_loops!();
    let calls = Rc::new(Cell::new(0));
    // the panic of its call and that of its drop
    neighbours_live(&mut event_loop(), 2, |event_loop, disturbed| {
        let (disturbed, calls) = (Rc::clone(disturbed), Rc::clone(&calls));
        let bomb = Bomb;
        event_loop.with(|cx| {
            let source = cx.add_source(Call(move |_, _: &mut Cx<'_>| {
                let _held = &bomb;
                disturbed.set(true);
                calls.set(calls.get() + 1);
                panic!("meant by the test");
            }));
            cx.poke(source);
            cx.poke(source);
            cx.timer_for(source, 0, std::time::Instant::now());
        });
    });
    assert_eq!(calls.get(), 1);
}

#[test]
fn a_source_that_panics_when_it_is_removed_does_not_reach_who_removed_it() {
    need_loops!();
    neighbours_live(&mut event_loop(), 1, |event_loop, disturbed| {
        let bomb = Bomb;
        event_loop.with(|cx| {
            let source = cx.add_source(Call(move |_: SourceEvent, _: &mut Cx<'_>| {
                let _held = &bomb;
            }));
            cx.remove_source(source);
        });
        disturbed.set(true);
    });
}

#[test]
fn a_task_that_panics_has_ended_and_its_drop_may_panic_too() {
    need_loops!();
    neighbours_live(&mut event_loop(), 2, |event_loop, disturbed| {
        let disturbed = Rc::clone(disturbed);
        let bomb = Bomb;
        event_loop.with(|cx| {
            // not async: a block that panicked has dropped what it held
            cx.spawn(std::future::poll_fn(move |_| -> Poll<()> {
                let _held = &bomb;
                disturbed.set(true);
                panic!("meant by the test");
            }));
        });
    });
}

#[test]
fn an_aborted_task_may_panic_when_it_is_dropped() {
    need_loops!();
    neighbours_live(&mut event_loop(), 1, |event_loop, disturbed| {
        let bomb = Bomb;
        event_loop.with(|cx| {
            let task = cx.spawn(async move {
                std::future::pending::<()>().await;
                drop(bomb);
            });
            cx.abort(task);
            cx.abort(task);
        });
        disturbed.set(true);
    });
}

#[test]
fn timers_may_panic_when_they_fire_and_when_they_are_cancelled() {
    need_loops!();
    neighbours_live(&mut event_loop(), 2, |event_loop, disturbed| {
        let disturbed = Rc::clone(disturbed);
        let bomb = Bomb;
        event_loop.with(|cx| {
            cx.after(Duration::ZERO, move |_| {
                disturbed.set(true);
                panic!("meant by the test");
            });
            let never = cx.after(LONG, move |_| drop(bomb));
            assert!(cx.cancel_timer(never));
        });
    });
}

#[test]
fn a_closure_from_another_thread_may_panic() {
    need_loops!();
    let reactor = reactor();
    let handle = reactor.handle();
    handle.run(|_| panic!("meant by the test")).unwrap();
    let stats = on_loop(handle, |cx| cx.stats());
    assert_eq!(stats.panics, 1);
    let report = reactor.shutdown(LONG);
    assert_eq!((report.failed_loops, report.stats.panics), (0, 1));
}

#[test]
fn what_is_left_at_the_end_may_panic_when_it_is_dropped_and_the_report_comes() {
    need_loops!();
    let reactor = reactor();
    let (sender, receiver) = mpsc::channel();
    reactor
        .handle()
        .run(move |cx| {
            for _ in 0..2 {
                let bombs = [Bomb, Bomb, Bomb];
                let [first, second, third] = bombs;
                cx.after(LONG, move |_| drop(first));
                cx.add_source(Call(move |_: SourceEvent, _: &mut Cx<'_>| {
                    let _held = &second;
                }));
                cx.spawn(async move {
                    std::future::pending::<()>().await;
                    drop(third);
                });
            }
            sender.send(()).unwrap();
        })
        .unwrap();
    get(&receiver);
    let report = reactor.shutdown(LONG);
    assert_eq!(report.failed_loops, 0);
    assert_eq!(report.stats.panics, 6);
}

#[test]
fn a_panic_in_a_nested_structure_does_not_poison_the_loops_own_state() {
    need_loops!();
    let mut event_loop = event_loop();
    let log = Rc::new(RefCell::new(Vec::new()));
    event_loop.with(|cx| {
        for number in 0..100 {
            let log = Rc::clone(&log);
            cx.submit(Nop::new(), move |_, cx| {
                let inner = Rc::clone(&log);
                cx.submit(Nop::new(), move |_, _| inner.borrow_mut().push(number));
                assert!(number % 3 != 0, "meant by the test");
            });
        }
    });
    turns_until(&mut event_loop, || log.borrow().len() == 100);
    assert_eq!(event_loop.with(|cx| cx.stats()).panics, 34);
}
