//! What a loop does not do: tick, enter twice a turn, allocate for a message, be woken when awake.

use std::{
    cell::Cell,
    fs,
    io::{Read as _, Write as _},
    rc::Rc,
    sync::mpsc,
    time::{Duration, Instant},
};

use testing::{LONG, alloc::allocations, get, rounds};
use uring_reactor::{
    Cx, Handle, LoopItem, LoopOutput, SourceEvent,
    uring::{
        Payload,
        op::{Nop, RecvMulti, Send},
    },
};

use crate::util::{Call, event_loop, on_loop, reactor, sockets, turns_for, turns_until};

#[derive(Debug, PartialEq, Eq)]
struct Seen {
    turns: u64,
    enters: u64,
    switches: String,
}

fn look(handle: &Handle, thread: i32) -> Seen {
    let status = fs::read_to_string(format!("/proc/self/task/{thread}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
    let stats = handle.stats();
    Seen { turns: stats.turns, enters: stats.enters, switches: line.unwrap().to_owned() }
}

#[test]
fn an_idle_loop_does_not_tick() {
    need_loops!();
    let reactor = reactor();
    let handle = reactor.handle();
    // SAFETY: the call takes nothing.
    let thread = on_loop(handle, |_| unsafe { libc::gettid() });
    let (_sender, never) = mpsc::channel::<()>();
    // the first look may still see it fall asleep
    for _ in 0..3 {
        let before = look(handle, thread);
        let nothing = never.recv_timeout(Duration::from_millis(300));
        assert_eq!(nothing, Err(mpsc::RecvTimeoutError::Timeout));
        if look(handle, thread) == before {
            return;
        }
    }
    panic!("it woke up in each of three idle periods");
}

#[test]
fn under_load_a_turn_enters_once_and_serves_many() {
    need_loops!();
    fn again(left: Rc<Cell<u32>>, cx: &mut Cx<'_>) {
        if left.get() == 0 {
            return;
        }
        left.set(left.get() - 1);
        cx.submit(Nop::new(), move |_, cx| again(left, cx));
    }
    let mut event_loop = event_loop();
    let left = Rc::new(Cell::new(rounds(50_000)));
    event_loop.with(|cx| (0..64).for_each(|_| again(Rc::clone(&left), cx)));
    turns_until(&mut event_loop, || left.get() == 0);
    let stats = event_loop.with(|cx| cx.stats());
    assert!(stats.enters <= stats.turns, "{stats}");
    assert!(stats.enters * 32 <= stats.completions, "{stats}");
}

#[test]
fn a_turn_without_work_makes_no_system_call() {
    need_loops!();
    let mut event_loop = event_loop();
    turns_for(&mut event_loop, Duration::from_millis(5));
    let before = event_loop.with(|cx| cx.stats());
    for _ in 0..100 {
        event_loop.turn(None).unwrap();
    }
    let after = event_loop.with(|cx| cx.stats());
    assert_eq!(after.turns, before.turns + 100);
    assert_eq!(after.enters, before.enters);
}

#[test]
fn a_message_through_a_source_allocates_nothing() {
    need_loops!();
    let mut event_loop = event_loop();
    let (socket, mut peer) = sockets();
    event_loop.with(|cx| {
        let source = cx.add_source_with(|id| {
            let socket = socket.clone();
            let mut timer = None;
            Call(move |event, cx: &mut Cx<'_>| match event {
                SourceEvent::Item { item: LoopItem::RecvMulti(buf), .. } => {
                    let send = Send::new(socket.clone(), Payload::from(buf));
                    cx.submit_for(id, 1, send).unwrap();
                    cx.poke(id);
                    if let Some(timer) = timer.replace(cx.timer_for(id, 2, Instant::now() + LONG)) {
                        cx.cancel_timer(timer);
                    }
                }
                SourceEvent::Done { output: LoopOutput::Send((result, ..)), .. } => {
                    result.unwrap();
                }
                _ => {}
            })
        });
        let recv = RecvMulti::new(socket, cx.pool());
        cx.submit_for(source, 0, recv).unwrap();
    });
    peer.set_nonblocking(true).unwrap();
    let mut exchange = |rounds: u32| {
        for round in 0..rounds {
            let sent = round.to_ne_bytes();
            peer.write_all(&sent).unwrap();
            let mut got = [0; 4];
            turns_until(&mut event_loop, || peer.read(&mut got).is_ok_and(|bytes| bytes == 4));
            assert_eq!(got, sent);
        }
    };
    exchange(100);
    let count = rounds(1000); // reads the environment, which allocates
    let before = allocations();
    exchange(count);
    assert_eq!(allocations() - before, 0);
}

#[test]
fn commands_to_a_busy_loop_do_not_ring_the_bell() {
    need_loops!();
    let reactor = reactor();
    let count = rounds(10_000_u64);
    // a task that wakes itself keeps the loop awake
    let task = on_loop(reactor.handle(), |cx| {
        cx.spawn(std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            std::task::Poll::Pending
        }))
    });
    let before = on_loop(reactor.handle(), |cx| cx.stats());
    for _ in 0..count {
        reactor.handle().run(|_| ()).unwrap();
    }
    let after = on_loop(reactor.handle(), move |cx| {
        cx.abort(task);
        cx.stats()
    });
    assert!(after.commands - before.commands > count);
    assert_eq!(after.wakeups, before.wakeups);
}

#[test]
fn a_command_to_a_sleeping_loop_rings_it_once() {
    need_loops!();
    let reactor = reactor();
    let (sender, receiver) = mpsc::channel();
    let count = rounds(2000_u64);
    for _ in 0..count {
        let sender = sender.clone();
        reactor.handle().run(move |_| sender.send(()).unwrap()).unwrap();
        get(&receiver);
    }
    let stats = reactor.shutdown(LONG).stats;
    assert_eq!(stats.commands, count + 1, "and the one that ended it");
    assert!(stats.wakeups <= stats.commands, "{stats}");
}

#[test]
fn a_busy_loop_publishes_its_counters() {
    need_loops!();
    let reactor = reactor();
    on_loop(reactor.handle(), |cx| {
        cx.spawn(std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            std::task::Poll::Pending
        }));
    });
    let before = reactor.stats().polls;
    let limit = Instant::now() + LONG;
    while reactor.stats().polls <= before + 1000 {
        assert!(Instant::now() < limit, "the counters stand still");
        std::thread::yield_now();
    }
}
