//! Timers.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use testing::get;
use uring_reactor::{
    Cx, SourceEvent,
    uring::{Current, op::Read},
};

use crate::util::{Call, event_loop, reactor, turns_for, turns_until};

#[test]
fn timers_fire_in_the_order_of_their_times_and_never_early() {
    need_loops!();
    let mut event_loop = event_loop();
    let fired = Rc::new(RefCell::new(Vec::new()));
    event_loop.with(|cx| {
        let start = Instant::now();
        for millis in [30, 10, 0, 20, 10] {
            let fired = Rc::clone(&fired);
            let time = start + Duration::from_millis(millis);
            cx.at(time, move |_| {
                assert!(Instant::now() >= time);
                fired.borrow_mut().push(millis);
            });
        }
    });
    turns_until(&mut event_loop, || fired.borrow().len() == 5);
    assert_eq!(*fired.borrow(), [0, 10, 10, 20, 30]);
}

#[test]
fn the_farthest_timer_does_not_fire_and_can_be_cancelled() {
    need_loops!();
    let mut event_loop = event_loop();
    let fired = Rc::new(Cell::new(0));
    let far = event_loop.with(|cx| {
        let far = Rc::clone(&fired);
        let near = Rc::clone(&fired);
        cx.after(Duration::from_millis(1), move |_| near.set(near.get() + 1));
        cx.after(Duration::MAX, move |_| far.set(100))
    });
    turns_until(&mut event_loop, || fired.get() > 0);
    turns_for(&mut event_loop, Duration::from_millis(20));
    assert_eq!(fired.get(), 1);
    event_loop.with(|cx| {
        assert!(cx.cancel_timer(far));
        assert!(!cx.cancel_timer(far), "it is gone");
    });
    assert_eq!(Rc::strong_count(&fired), 1, "and so is what it held");
}

#[test]
fn a_timer_that_has_fired_cannot_be_cancelled_even_if_its_place_is_used_again() {
    need_loops!();
    let mut event_loop = event_loop();
    let fired = Rc::new(Cell::new(0));
    let count = |fired: &Rc<Cell<u32>>| {
        let fired = Rc::clone(fired);
        move |_: &mut Cx<'_>| fired.set(fired.get() + 1)
    };
    let first = event_loop.with(|cx| cx.after(Duration::ZERO, count(&fired)));
    turns_until(&mut event_loop, || fired.get() == 1);
    event_loop.with(|cx| {
        cx.after(Duration::ZERO, count(&fired));
        assert!(!cx.cancel_timer(first));
    });
    turns_until(&mut event_loop, || fired.get() == 2);
}

#[test]
fn a_timer_that_always_sets_a_due_one_does_not_starve_completions() {
    need_loops!();
    fn again(cx: &mut Cx<'_>) {
        let now = Instant::now();
        cx.at(now, again);
    }
    let mut event_loop = event_loop();
    let done = Rc::new(Cell::new(false));
    event_loop.with(|cx| {
        again(cx);
        let done = Rc::clone(&done);
        cx.submit(uring_reactor::uring::op::Nop::new(), move |_, _| done.set(true));
    });
    for _ in 0..3 {
        event_loop.turn(None).unwrap();
    }
    assert!(done.get());
}

#[test]
fn a_timer_wakes_a_loop_that_sleeps_on_its_own_thread() {
    need_loops!();
    let reactor = reactor();
    let (sender, receiver) = std::sync::mpsc::channel();
    let start = Instant::now();
    let wait = Duration::from_millis(40);
    reactor
        .handle()
        .run(move |cx| {
            cx.after(wait, move |_| sender.send(Instant::now()).unwrap());
        })
        .unwrap();
    assert!(get(&receiver) - start >= wait);
}

#[test]
fn a_source_hears_its_timers_with_their_tags_and_not_those_of_its_predecessor() {
    need_loops!();
    let mut event_loop = event_loop();
    let tags = Rc::new(RefCell::new(Vec::new()));
    let source = |name: char| {
        let tags = Rc::clone(&tags);
        Call(move |event, _: &mut Cx<'_>| {
            if let SourceEvent::Timer { tag } = event {
                tags.borrow_mut().push((name, tag));
            }
        })
    };
    event_loop.with(|cx| {
        let now = Instant::now();
        let first = cx.add_source(source('a'));
        cx.timer_for(first, 1, now);
        cx.timer_for(first, 2, now + Duration::from_millis(20));
        cx.after(Duration::from_millis(10), move |cx| cx.remove_source(first));
    });
    turns_until(&mut event_loop, || tags.borrow().len() == 1);
    turns_for(&mut event_loop, Duration::from_millis(11));
    event_loop.with(|cx| {
        let second = cx.add_source(source('b'));
        cx.timer_for(second, 3, Instant::now() + Duration::from_millis(20));
    });
    turns_until(&mut event_loop, || tags.borrow().len() == 2);
    assert_eq!(*tags.borrow(), [('a', 1), ('b', 3)]);
}

#[test]
fn a_timer_that_sets_itself_again_in_the_past_runs_once_a_turn_and_starves_nobody() {
    need_loops!();
    fn again(cx: &mut Cx<'_>, at: Instant, times: Rc<Cell<u64>>) {
        times.set(times.get() + 1);
        cx.at(at, move |cx| again(cx, at, times));
    }
    let mut event_loop = event_loop();
    let times = Rc::new(Cell::new(0));
    let fired = Rc::new(Cell::new(false));
    let due = Instant::now() + Duration::from_millis(5);
    event_loop.with(|cx| {
        let (times, fired) = (Rc::clone(&times), Rc::clone(&fired));
        again(cx, Instant::now(), times);
        cx.at(due, move |_| fired.set(true));
    });
    let mut turns = 0;
    while Instant::now() < due {
        event_loop.turn(None).unwrap();
        turns += 1;
        assert!(times.get() <= turns + 1, "{} times in {turns} turns", times.get());
    }
    for _ in 0..2 {
        event_loop.turn(None).unwrap();
    }
    assert!(fired.get(), "the other timer is due for two turns");
}

#[test]
fn more_due_timers_than_a_turn_fires_do_not_starve_one_another() {
    need_loops!();
    fn again(cx: &mut Cx<'_>, times: Rc<Cell<u64>>) {
        times.set(times.get() + 1);
        let past = cx.now().checked_sub(Duration::from_secs(1)).unwrap();
        cx.at(past, move |cx| again(cx, times));
    }
    let mut event_loop = event_loop();
    let counts: Vec<_> = (0..1000).map(|_| Rc::new(Cell::new(0))).collect();
    event_loop.with(|cx| counts.iter().for_each(|count| again(cx, Rc::clone(count))));
    for _ in 0..400 {
        event_loop.turn(None).unwrap();
    }
    let counts: Vec<_> = counts.iter().map(|count| count.get()).collect();
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(*least >= 100 && most - least <= 1, "{least} to {most} times");
}

#[test]
fn the_clock_stands_still_in_a_turn_and_goes_on_after_it() {
    need_loops!();
    let mut event_loop = event_loop();
    let seen = Rc::new(RefCell::new(Vec::new()));
    event_loop.with(|cx| {
        let before = Instant::now();
        assert!(cx.now() >= before.checked_sub(Duration::from_secs(1)).unwrap());
        for _ in 0..3 {
            let seen = Rc::clone(&seen);
            cx.after(Duration::ZERO, move |cx| {
                while Instant::now() <= cx.now() {}
                seen.borrow_mut().push(cx.now());
            });
        }
    });
    turns_until(&mut event_loop, || seen.borrow().len() == 3);
    let seen = seen.take();
    assert!(seen[0] == seen[1] && seen[1] == seen[2], "{seen:?}");
    for _ in 0..2 {
        let before = Instant::now();
        assert!(event_loop.with(|cx| cx.now()) >= before, "it was read anew");
    }
}

#[test]
fn a_turn_past_the_deadline_of_a_shutdown_sleeps() {
    need_loops!();
    let mut event_loop = event_loop();
    let (reader, _writer) = crate::util::pipe();
    event_loop.with(|cx| {
        let read = Read::new(reader, vec![0; 1], Current);
        cx.submit(read, |_, _| ());
        cx.handle().shutdown(Duration::ZERO).unwrap();
    });
    turns_for(&mut event_loop, Duration::from_millis(20));
    let before = event_loop.with(|cx| cx.stats());
    let start = Instant::now();
    for _ in 0..3 {
        event_loop.turn(Some(Instant::now() + Duration::from_millis(30))).unwrap();
    }
    assert!(start.elapsed() >= Duration::from_millis(60), "{:?}", start.elapsed());
    let after = event_loop.with(|cx| cx.stats());
    assert!(after.enters - before.enters <= 6, "{before}; {after}");
}
