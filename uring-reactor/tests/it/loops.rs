//! Several loops.

use std::{
    cell::RefCell,
    collections::HashMap,
    net::{TcpListener, TcpStream},
    os::fd::OwnedFd,
    rc::Rc,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use testing::{LONG, get, rounds};
use uring_reactor::{
    Cx, EventLoop, LoopOp, Reactor, SourceEvent,
    uring::{
        Current, Operation as _, SetupFlags,
        op::{AcceptMulti, Close, Nop, Read},
    },
};

use crate::util::{Call, event_loop, on_loop, pipe, reactor, turns_for, turns_until};

#[test]
fn handles_lead_to_the_loops_in_turns() {
    need_loops!();
    let reactor = Reactor::builder().loops(3).build().unwrap();
    assert_eq!(reactor.handles().len(), 3);
    let mut times = HashMap::new();
    for _ in 0..6 {
        let id = on_loop(reactor.handle(), |_| thread::current().id());
        *times.entry(id).or_insert(0) += 1;
    }
    assert!(times.values().eq(&[2, 2, 2]), "{times:?}");
    let report = reactor.shutdown(LONG);
    assert_eq!(report.stats.commands, 6 + 3, "those above, and one to end each");
}

#[test]
fn a_loop_has_the_flags_that_it_needs() {
    need_loops!();
    let reactor = reactor();
    let needed = SetupFlags::SINGLE_ISSUER | SetupFlags::DEFER_TASKRUN;
    assert!(reactor.handle().setup_flags().contains(needed));
}

#[test]
fn loops_that_share_workers_run_blocking_reads_on_each() {
    need_loops!();
    let reactor = Reactor::builder().loops(3).share_workers().build().unwrap();
    let (sender, receiver) = mpsc::channel();
    let mut writers = Vec::new();
    for handle in reactor.handles() {
        let (reader, writer) = pipe();
        let sender = sender.clone();
        let read = Read::new(reader, vec![0; 1], Current).on_worker();
        handle.submit(read, move |(result, ..), _| sender.send(result).unwrap()).unwrap();
        writers.push(writer);
    }
    for writer in &mut writers {
        std::io::Write::write_all(writer, b"x").unwrap();
        assert_eq!(get(&receiver).unwrap(), 1);
    }
}

#[test]
fn a_loop_may_share_the_workers_of_a_ring_and_of_nothing_else() {
    need_loops!();
    let ring = uring_reactor::uring::Ring::<Nop>::builder().build().unwrap();
    let workers = std::os::fd::AsFd::as_fd(&ring);
    let event_loop = EventLoop::builder().build_sharing_workers_of(workers).unwrap();
    let report = event_loop.shutdown(LONG).unwrap();
    assert_eq!(report.leaked, 0);
    let (reader, _writer) = pipe();
    let not_a_ring = std::os::fd::AsFd::as_fd(&reader);
    let error = EventLoop::builder().build_sharing_workers_of(not_a_ring).unwrap_err();
    assert!(error.to_string().contains("cannot create a ring"), "{error}");
}

#[test]
fn a_port_can_be_bound_again_right_after_the_shutdown_100_times_of_100() {
    need_loops!();
    // a process that somebody else starts holds every descriptor until it executes its program
    isolated!();
    let first = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = first.local_addr().unwrap();
    let mut next = Some(first);
    for round in 0..rounds(100) {
        let listener = match next.take() {
            Some(listener) => listener,
            None => bind_strictly(address)
                .unwrap_or_else(|error| panic!("round {round}: {address}: {error}")),
        };
        let reactor = reactor();
        let listener = Arc::new(OwnedFd::from(listener));
        let (sender, receiver) = mpsc::channel();
        on_loop(reactor.handle(), move |cx| {
            let source = cx.add_source(Call(move |event, _: &mut uring_reactor::Cx<'_>| {
                if let SourceEvent::Item { .. } = event {
                    sender.send(()).unwrap();
                }
            }));
            cx.submit_for(source, 0, AcceptMulti::new(listener.into())).unwrap();
        });
        if round % 10 == 0 {
            // an accept that was never tried says little
            let client = TcpStream::connect(address).unwrap();
            get(&receiver);
            drop(client);
        }
        let report = reactor.shutdown(LONG);
        assert_eq!((report.cancelled, report.leaked), (1, 0), "{report}");
    }
}

/// `SO_REUSEADDR`, which the standard library sets, passes over connections that have ended, and
/// never over another listener.
fn bind_strictly(address: std::net::SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address)
}

#[test]
fn two_loops_on_one_thread_do_not_mix_up_their_results() {
    need_loops!();
    let mut loops = [EventLoop::builder().build().unwrap(), EventLoop::builder().build().unwrap()];
    let (sender, receiver) = mpsc::channel();
    for (number, event_loop) in loops.iter_mut().enumerate() {
        event_loop.with(|cx| {
            for _ in 0..10 {
                let sender = sender.clone();
                cx.submit(Nop::new(), move |_, _| sender.send(number).unwrap());
            }
        });
    }
    let [first, second] = loops;
    assert_eq!(second.shutdown(LONG).unwrap().stats.completions, 10);
    assert!(receiver.try_iter().all(|number| number == 1));
    assert_eq!(first.shutdown(LONG).unwrap().stats.completions, 10);
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [0; 10]);
}

#[test]
fn an_id_of_one_loop_means_nothing_to_another() {
    need_loops!();
    let [mut ours, mut theirs] = [event_loop(), event_loop()];
    let told = Rc::new(RefCell::new(Vec::new()));
    // the same of each, so that the ids differ in nothing but the loop
    let make = |event_loop: &mut EventLoop, name: &'static str| {
        let (reader, writer) = pipe();
        let told = Rc::clone(&told);
        event_loop.with(|cx| {
            let heard = Rc::clone(&told);
            let source = cx.add_source(Call(move |event, _: &mut Cx<'_>| {
                heard.borrow_mut().push(format!("{name} {event:?}"));
            }));
            let timer = cx.after(Duration::from_millis(1), {
                let told = Rc::clone(&told);
                move |_| told.borrow_mut().push(format!("{name} timer"))
            });
            let task = cx.spawn({
                let told = Rc::clone(&told);
                async move { told.borrow_mut().push(format!("{name} task")) }
            });
            let read = cx.submit(Read::new(reader, vec![0; 1], Current), move |(result, ..), _| {
                told.borrow_mut().push(format!("{name} read {:?}", result.ok()));
            });
            (source, timer, task, read, writer)
        })
    };
    let (source, timer, task, read, _writer) = make(&mut theirs, "theirs");
    let mut mine = make(&mut ours, "ours");
    assert_ne!((source, timer, task), (mine.0, mine.1, mine.2));
    ours.with(|cx| {
        assert!(!cx.cancel_timer(timer));
        cx.abort(task);
        cx.cancel(read);
        cx.poke(source);
        cx.timer_for(source, 7, cx.now());
        cx.handle().poke(source).unwrap();
        cx.remove_source(source);
        let refused = cx.submit_for(source, 0, LoopOp::from(Close::new(testing::pipe().0)));
        assert!(refused.unwrap_err().to_string().contains("another ring"));
    });
    turns_for(&mut ours, Duration::from_millis(10));
    std::io::Write::write_all(&mut mine.4, b"x").unwrap();
    turns_until(&mut ours, || told.borrow().len() == 3);
    assert_eq!(told.take(), ["ours task", "ours timer", "ours read Some(1)"]);
    ours.with(|cx| cx.poke(mine.0));
    ours.turn(None).unwrap();
    assert_eq!(told.take(), ["ours Poked"], "it is still there");
}
