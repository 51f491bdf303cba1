//! Commands from other threads.

use std::{
    cell::Cell,
    rc::Rc,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Instant,
};

use testing::{LONG, get, rounds};
use uring_reactor::uring::{
    Current,
    op::{AcceptMulti, Nop, Read},
};

use crate::util::{ECANCELED, errno, event_loop, on_loop, pipe, reactor};

#[test]
fn the_commands_of_each_sender_keep_their_order() {
    need_loops!();
    let reactor = reactor();
    let seen = Arc::new(Mutex::new(vec![Vec::new(); 4]));
    let each = rounds(5000);
    thread::scope(|scope| {
        for sender in 0..4 {
            let (handle, seen) = (reactor.handle().clone(), Arc::clone(&seen));
            scope.spawn(move || {
                for number in 0..each {
                    let seen = Arc::clone(&seen);
                    handle.run(move |_| seen.lock().unwrap()[sender].push(number)).unwrap();
                }
            });
        }
    });
    on_loop(reactor.handle(), |_| ());
    for numbers in seen.lock().unwrap().iter() {
        assert!(numbers.iter().copied().eq(0..each));
    }
}

#[test]
fn a_flood_of_commands_does_not_starve_completions() {
    need_loops!();
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    for _ in 0..10_000 {
        handle.run(|_| ()).unwrap();
    }
    let done = Rc::new(Cell::new(None));
    event_loop.with(|cx| {
        let done = Rc::clone(&done);
        cx.submit(Nop::new(), move |_, cx| done.set(Some(cx.stats().commands)));
    });
    event_loop.turn(None).unwrap();
    event_loop.turn(None).unwrap();
    let commands = done.get().expect("it has completed");
    assert!(commands <= 512, "{commands} commands went first");
}

#[test]
fn a_handle_is_closed_after_the_end_and_gives_an_error_of_its_own() {
    need_loops!();
    let reactor = reactor();
    let handle = reactor.handle().clone();
    let source = on_loop(&handle, |cx| {
        cx.add_source(crate::util::Call(|_, _: &mut uring_reactor::Cx<'_>| {}))
    });
    let (reader, _writer) = pipe();
    let request = handle.submit(Read::new(reader, vec![0; 1], Current), |_, _| {}).unwrap();
    reactor.shutdown(LONG);
    assert!(handle.run(|_| panic!("called after the end")).is_err());
    assert!(handle.poke(source).is_err());
    assert!(handle.shutdown(LONG).is_err());
    assert!(request.cancel().is_err());
    let held = Arc::new(());
    let holds = Arc::clone(&held);
    let closed = handle.submit(Nop::new(), move |_, _| drop(holds)).unwrap_err();
    assert_eq!(closed.to_string(), "the event loop has ended: it was shut down");
    assert_eq!(std::io::Error::from(closed).kind(), std::io::ErrorKind::NotConnected);
    assert_eq!(Arc::strong_count(&held), 1, "the callback was dropped");
    assert!(handle.stats().commands > 0, "the counters stay");
}

#[test]
fn what_an_ending_loop_did_not_take_is_dropped_and_nobody_waits_for_it_for_ever() {
    need_loops!();
    for _ in 0..rounds(50) {
        let reactor = reactor();
        let handle = reactor.handle().clone();
        let sending = thread::spawn(move || {
            let mut receivers = Vec::new();
            loop {
                let (sender, receiver) = mpsc::channel();
                let sent = handle.submit(Nop::new(), move |_, _| sender.send(()).unwrap());
                receivers.push(receiver);
                if sent.is_err() {
                    return receivers;
                }
            }
        });
        let start = Instant::now();
        let report = reactor.shutdown(LONG);
        assert_eq!(report.failed_loops, 0, "{report}");
        assert!(start.elapsed() < LONG / 2, "held up by what came in: {report}");
        for receiver in sending.join().unwrap() {
            // a result, or a sender that was dropped with its callback; never neither
            let answer = receiver.recv_timeout(LONG);
            assert_ne!(answer, Err(mpsc::RecvTimeoutError::Timeout));
        }
    }
}

#[test]
fn a_poke_reaches_a_source_from_another_thread() {
    need_loops!();
    let reactor = reactor();
    let (sender, receiver) = mpsc::channel();
    let source = on_loop(reactor.handle(), move |cx| {
        cx.add_source(crate::util::Call(move |event, _: &mut uring_reactor::Cx<'_>| {
            // the last event is that of the shutdown
            let _heard = sender.send(format!("{event:?}"));
        }))
    });
    for _ in 0..3 {
        reactor.handle().poke(source).unwrap();
        assert_eq!(get(&receiver), "Poked");
    }
    reactor.shutdown(LONG);
    assert_eq!(get(&receiver), "Shutdown");
}

#[test]
fn an_operation_that_yields_several_times_can_come_from_another_thread() {
    need_loops!();
    let reactor = reactor();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = mpsc::channel();
    let accepts = AcceptMulti::new(std::os::fd::OwnedFd::from(listener));
    let request = reactor
        .handle()
        .submit_multi(accepts, move |arrival, _| {
            let told = arrival.map_err(|(result, _listener)| errno(&result));
            sender.send(told.map(|item| item.is_ok())).unwrap();
        })
        .unwrap();
    for _ in 0..3 {
        let _client = std::net::TcpStream::connect(address).unwrap();
        assert_eq!(get(&receiver), Ok(true));
    }
    request.cancel().unwrap();
    assert_eq!(get(&receiver), Err(Some(ECANCELED)));
    assert!(receiver.recv().is_err(), "that was the last");
}
