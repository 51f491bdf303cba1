//! The crate `uring-reactor`: dispatch, timers, and commands from another thread.

use std::{
    cell::Cell,
    error::Error,
    hint::black_box,
    rc::Rc,
    sync::mpsc::sync_channel,
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput};
use testing::Random;
use uring_reactor::{
    Cx, EventLoop, LoopOp, Reactor, Source, SourceEvent, SourceId,
    uring::{AnyOperation, op::Nop},
};

type Outcome = Result<(), Box<dyn Error>>;

/// Counts what it is told.
struct Counter(Rc<Cell<u64>>);

impl Source for Counter {
    fn on_event(&mut self, event: SourceEvent, _cx: &mut Cx<'_>) {
        if matches!(event, SourceEvent::Done { .. }) {
            self.0.set(self.0.get() + 1);
        }
    }
}

/// A turn: submit, enter, dispatch.
fn dispatch(criterion: &mut Criterion) -> Outcome {
    for batch in [1, 32] {
        let mut group = criterion.benchmark_group(format!("uring_reactor/dispatch/{batch}"));
        group.throughput(Throughput::Elements(batch));
        let count = Rc::new(Cell::new(0));
        let mut event_loop = EventLoop::builder().build()?;
        let source = event_loop.with(|cx| cx.add_source(Counter(Rc::clone(&count))));
        let mut turn = |submit: &dyn Fn(&mut Cx<'_>)| {
            let before = count.get();
            event_loop.with(|cx| (0..batch).for_each(|_| submit(cx)));
            event_loop.turn(None).expect("the loop goes on");
            assert_eq!(count.get(), before + batch, "a nop ends in the turn that submits it");
        };
        // a loop has no nop of its own: both ways box it and its output
        group.bench_function("source", |bencher| {
            let submit = |cx: &mut Cx<'_>| {
                let nop = LoopOp::Any(AnyOperation::new(Nop::new()));
                cx.submit_for(source, 0, nop).expect("there is room");
            };
            bencher.iter(|| turn(&submit));
        });
        group.bench_function("closure", |bencher| {
            let submit = |cx: &mut Cx<'_>| {
                let count = Rc::clone(&count);
                cx.submit(Nop::new(), move |_, _| count.set(count.get() + 1));
            };
            bencher.iter(|| turn(&submit));
        });
    }
    Ok(())
}

/// Times spread over the coming day: the heap has to move entries both ways.
fn times(count: usize) -> Vec<Instant> {
    let start = Instant::now() + Duration::from_secs(3600);
    let mut random = Random::new(0);
    let next = || start + Duration::from_micros(random.next() % 86_400_000_000);
    std::iter::repeat_with(next).take(count).collect()
}

fn timers(criterion: &mut Criterion) -> Outcome {
    let mut group = criterion.benchmark_group("uring_reactor/timer");
    let new = times(4096);
    for pending in [1, 1000, 100_000] {
        let mut event_loop = EventLoop::builder().build()?;
        let source = event_loop.with(|cx| cx.add_source(Counter(Rc::default())));
        event_loop.with(|cx| {
            for time in times(pending) {
                cx.timer_for(source, 0, time);
            }
        });
        let mut each = new.iter().cycle();
        let mut time = || *each.next().expect("it starts again");
        group.bench_function(format!("source/{pending}"), |bencher| {
            event_loop.with(|cx| {
                bencher.iter(|| {
                    let id = cx.timer_for(source, 0, time());
                    assert!(cx.cancel_timer(id));
                });
            });
        });
        group.bench_function(format!("closure/{pending}"), |bencher| {
            event_loop.with(|cx| {
                bencher.iter(|| {
                    let id = cx.at(time(), |_| {});
                    assert!(cx.cancel_timer(id));
                });
            });
        });
    }
    Ok(())
}

/// Keeps its loop awake: it asks for another turn in every turn.
struct Restless(SourceId);

impl Source for Restless {
    fn on_event(&mut self, event: SourceEvent, cx: &mut Cx<'_>) {
        if matches!(event, SourceEvent::Poked) && !cx.is_stopping() {
            cx.poke(self.0);
        }
    }
}

fn commands(criterion: &mut Criterion) -> Outcome {
    let mut group = criterion.benchmark_group("uring_reactor/command");
    let reactor = Reactor::builder().build()?;
    let handle = reactor.handle();
    let (sender, answers) = sync_channel(1);
    group.bench_function("round-trip-asleep", |bencher| {
        bencher.iter(|| {
            let sender = sender.clone();
            handle.run(move |_| sender.send(()).expect("we listen")).expect("the loop runs");
            answers.recv().expect("the loop answers");
        });
    });
    let stats = handle.stats();
    println!("{} of {} commands rang the bell", stats.wakeups, stats.commands);

    handle.run(|cx| {
        let source = cx.add_source_with(Restless);
        cx.poke(source);
    })?;
    group.throughput(Throughput::Elements(1000));
    group.bench_function("1000-busy", |bencher| {
        bencher.iter(|| {
            for number in 0..999 {
                handle.run(move |_| _ = black_box(number)).expect("the loop runs");
            }
            let sender = sender.clone();
            handle.run(move |_| sender.send(()).expect("we listen")).expect("the loop runs");
            answers.recv().expect("the loop answers");
        });
    });
    group.finish();
    println!("{}", reactor.shutdown(Duration::from_secs(1)));
    Ok(())
}

fn main() -> Outcome {
    if let Err(why) = uring_reactor::check() {
        println!("skipped: {why}");
        return Ok(());
    }
    let mut criterion = benches::criterion();
    dispatch(&mut criterion)?;
    timers(&mut criterion)?;
    commands(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}
