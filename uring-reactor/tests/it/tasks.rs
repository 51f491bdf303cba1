//! Futures on a loop.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io::{Read as _, Write as _},
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    task::{Poll, Waker},
    thread,
};

use testing::{LONG, get, rounds};
use uring_reactor::{
    Cx, Fd, LoopItem, SourceEvent,
    uring::{
        Payload,
        op::{Nop, RecvMulti, Send},
    },
};

use crate::util::{Call, event_loop, on_loop, reactor, sockets, turns_until};

/// Ready when it was woken by its own first poll.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[test]
fn a_wake_from_another_thread_is_never_lost() {
    need_loops!();
    let reactor = reactor();
    let count = rounds(20_000);
    // The value is an atomic of its own, without a lock that would order it for the executor.
    let value = Arc::new(AtomicU32::new(0));
    let seen = Arc::new(AtomicU32::new(0));
    let (sender, receiver) = mpsc::channel::<Waker>();
    let (done, is_done) = mpsc::channel();
    {
        let (value, seen) = (Arc::clone(&value), Arc::clone(&seen));
        reactor
            .handle()
            .run(move |cx| {
                let mut first = Some(sender);
                cx.spawn(async move {
                    poll_fn(|cx| {
                        if let Some(sender) = first.take() {
                            sender.send(cx.waker().clone()).unwrap();
                        }
                        let now = value.load(Ordering::Relaxed);
                        seen.store(now, Ordering::Release);
                        if now == count { Poll::Ready(()) } else { Poll::Pending }
                    })
                    .await;
                    done.send(()).unwrap();
                });
            })
            .unwrap();
    }
    let waker = get(&receiver);
    for number in 1..=count {
        value.store(number, Ordering::Relaxed);
        waker.wake_by_ref();
        if number % 64 == 0 {
            let limit = std::time::Instant::now() + LONG;
            while seen.load(Ordering::Acquire) < number {
                assert!(std::time::Instant::now() < limit, "the task sleeps on {number}");
                thread::yield_now();
            }
        }
    }
    get(&is_done);
}

#[test]
fn many_wakes_before_one_poll_are_one_poll() {
    need_loops!();
    let mut event_loop = event_loop();
    let polls = Rc::new(Cell::new(0));
    let waker = Rc::new(RefCell::new(None::<Waker>));
    event_loop.with(|cx| {
        let (polls, waker) = (Rc::clone(&polls), Rc::clone(&waker));
        cx.spawn(poll_fn(move |cx| {
            polls.set(polls.get() + 1);
            waker.replace(Some(cx.waker().clone()));
            Poll::Pending
        }));
    });
    turns_until(&mut event_loop, || polls.get() == 1);
    let waker = waker.take().unwrap();
    for _ in 0..10 {
        waker.wake_by_ref();
    }
    event_loop.turn(None).unwrap();
    event_loop.turn(None).unwrap();
    assert_eq!(polls.get(), 2);
    assert_eq!(event_loop.with(|cx| cx.stats()).polls, 2);
}

#[test]
fn tasks_that_wake_themselves_for_ever_take_turns_with_each_other_and_a_connection() {
    need_loops!();
    let mut event_loop = event_loop();
    let (socket, mut peer) = sockets();
    let polls = Rc::new([Cell::new(0_u64), Cell::new(0)]);
    event_loop.with(|cx| {
        for number in 0..2 {
            let polls = Rc::clone(&polls);
            cx.spawn(async move {
                loop {
                    polls[number].set(polls[number].get() + 1);
                    yield_now().await;
                }
            });
        }
        echo(cx, &socket);
    });
    let client = thread::spawn(move || {
        for round in 0..rounds(1000_u32) {
            let sent = round.to_ne_bytes();
            let mut got = [0; 4];
            peer.write_all(&sent).unwrap();
            peer.read_exact(&mut got).unwrap();
            assert_eq!(got, sent);
        }
    });
    turns_until(&mut event_loop, || client.is_finished());
    client.join().unwrap();
    let [first, second] = [polls[0].get(), polls[1].get()];
    assert!(first.abs_diff(second) <= 1, "{first} and {second} polls");
}

/// Sends back what comes.
fn echo(cx: &mut Cx<'_>, socket: &Fd) {
    let id = cx.add_source_with(|id| {
        let socket = socket.clone();
        Call(move |event, cx: &mut Cx<'_>| {
            if let SourceEvent::Item { item: LoopItem::RecvMulti(buf), .. } = event {
                let send = Send::new(socket.clone(), Payload::from(buf));
                cx.submit_for(id, 1, send).unwrap();
            }
        })
    });
    let recv = RecvMulti::new(socket.clone(), cx.pool());
    cx.submit_for(id, 0, recv).unwrap();
}

#[test]
fn an_aborted_task_is_dropped_at_once_and_never_polled_again() {
    need_loops!();
    let mut event_loop = event_loop();
    let held = Rc::new(());
    let polls = Rc::new(Cell::new(0));
    let task = event_loop.with(|cx| {
        let (held, polls) = (Rc::clone(&held), Rc::clone(&polls));
        cx.spawn(async move {
            let _held = held;
            loop {
                polls.set(polls.get() + 1);
                yield_now().await;
            }
        })
    });
    turns_until(&mut event_loop, || polls.get() == 3);
    event_loop.with(|cx| {
        cx.abort(task);
        assert_eq!(Rc::strong_count(&held), 1);
        // takes its place, and is not reached by what was queued for the other
        cx.spawn(std::future::pending());
        cx.abort(task);
    });
    for _ in 0..3 {
        event_loop.turn(None).unwrap();
    }
    assert_eq!(polls.get(), 3);
    assert_eq!(event_loop.with(|cx| cx.stats()).polls, 4);
}

#[test]
fn a_waker_may_outlive_its_loop() {
    need_loops!();
    let reactor = reactor();
    let (sender, receiver) = mpsc::channel::<Waker>();
    reactor
        .handle()
        .run(move |cx| {
            cx.spawn(poll_fn(move |cx| {
                sender.send(cx.waker().clone()).unwrap();
                Poll::Pending
            }));
        })
        .unwrap();
    let waker = get(&receiver);
    assert_eq!(reactor.shutdown(LONG).failed_loops, 0);
    waker.wake_by_ref();
    let other = waker.clone();
    thread::spawn(move || other.wake()).join().unwrap();
    waker.wake();
}

#[test]
fn a_task_waits_for_an_operation_that_it_sends_over_the_handle() {
    need_loops!();
    let reactor = reactor();
    let handle = reactor.handle().clone();
    let (sender, receiver) = mpsc::channel();
    on_loop(reactor.handle(), move |cx| {
        cx.spawn(async move {
            let slot = Arc::new(Mutex::new((None, None::<Waker>)));
            let filled = Arc::clone(&slot);
            handle
                .submit(Nop::new(), move |result, _| {
                    let mut slot = filled.lock().unwrap();
                    slot.0 = Some(result);
                    if let Some(waker) = slot.1.take() {
                        waker.wake();
                    }
                })
                .unwrap();
            let result = poll_fn(|cx| {
                let mut slot = slot.lock().unwrap();
                slot.1 = Some(cx.waker().clone());
                slot.0.take().map_or(Poll::Pending, Poll::Ready)
            })
            .await;
            sender.send(result).unwrap();
        });
    });
    get(&receiver).unwrap();
}

#[test]
fn more_tasks_than_one_turn_polls_all_run() {
    need_loops!();
    let mut event_loop = event_loop();
    let done = Rc::new(Cell::new(0));
    event_loop.with(|cx| {
        for _ in 0..1000 {
            let done = Rc::clone(&done);
            cx.spawn(async move {
                yield_now().await;
                done.set(done.get() + 1);
            });
        }
    });
    turns_until(&mut event_loop, || done.get() == 1000);
    let stats = event_loop.with(|cx| cx.stats());
    assert_eq!(stats.polls, 2000);
    assert!(stats.turns < 100, "hardly any task a turn: {stats}");
}
