//! How loops end.

use std::{
    cell::{Cell, RefCell},
    fs::{self, File},
    io::Write as _,
    net::TcpListener,
    os::{
        fd::OwnedFd,
        unix::{fs::OpenOptionsExt as _, net::UnixStream},
    },
    rc::Rc,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use testing::{LONG, descriptors, get, thread_id, until_asleep};
use uring_reactor::{
    Cx, EventLoop, Fd, Reactor, Report, SourceEvent,
    uring::{
        At, Current, Operation as _,
        op::{
            Accept, AcceptMulti, Nop, Poll, PollEvents, PollMulti, Read, Recv, RecvMulti, Timeout,
        },
    },
};

use crate::util::{
    Call, ECANCELED, assert_no_thread_named, errno, event_loop, on_loop, pipe, reactor,
    threads_named, turns_until,
};

fn ended(report: &Report) -> u64 {
    report.completed + report.cancelled + report.leaked
}

/// A file of 8 MiB, opened past the cache where its file system can.
fn big_file() -> Arc<File> {
    let path = std::env::temp_dir().join(format!("uring-reactor-{}", std::process::id()));
    fs::write(&path, vec![7; 8 << 20]).unwrap();
    File::open(&path).unwrap().sync_all().unwrap();
    let direct = File::options().read(true).custom_flags(libc::O_DIRECT).open(&path);
    let file = direct.unwrap_or_else(|_| File::open(&path).unwrap());
    fs::remove_file(path).unwrap();
    Arc::new(file)
}

/// A buffer that starts where `O_DIRECT` wants it: at a page.
fn page_aligned(bytes: usize) -> &'static mut [u8] {
    let memory = vec![0; bytes + 4096].leak();
    let start = memory.as_ptr().align_offset(4096);
    &mut memory[start..start + bytes]
}

/// The name of what has ended, and whether the loop was ending then.
type Told = (&'static str, bool);

/// Submits one of each kind; says how many, and who hears of their ends.
fn one_of_each(reactor: &Reactor) -> (u64, mpsc::Receiver<Told>, Vec<OwnedFd>) {
    let (sender, receiver) = mpsc::channel();
    let (pipe_reader, pipe_writer) = pipe();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let socket = Arc::new(OwnedFd::from(ours));
    let listener = Arc::new(OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap()));
    let file = big_file();
    let in_flight = on_loop(reactor.handle(), move |cx| {
        let room = cx.room();
        macro_rules! submit {
            ($name:literal, $op:expr) => {{
                let sender = sender.clone();
                cx.submit($op, move |_, cx| sender.send(($name, cx.is_stopping())).unwrap());
            }};
        }
        submit!("pipe", Read::new(Arc::clone(&pipe_reader), vec![0; 8], Current));
        submit!("worker", Read::new(Arc::clone(&pipe_reader), vec![0; 8], Current).on_worker());
        submit!("socket", Recv::new(Arc::clone(&socket), vec![0; 8]));
        submit!("accept", Accept::new(Arc::clone(&listener)));
        submit!("poll", Poll::new(Arc::clone(&pipe_reader), PollEvents::IN));
        submit!("timeout", Timeout::new(Duration::from_secs(3600)));
        submit!("disk", Read::new(Arc::clone(&file), page_aligned(4 << 20), At(0)));
        submit!("disk", Read::new(file, page_aligned(4 << 20), At(4 << 20)).on_worker());
        submit!("accepts", AcceptMulti::new(Arc::clone(&listener)));
        submit!("receives", RecvMulti::new(Arc::clone(&socket), cx.pool()));
        let last = sender.clone();
        cx.submit_multi(PollMulti::new(pipe_reader, PollEvents::IN), move |arrival, cx| {
            assert!(arrival.is_err(), "nothing can be read");
            last.send(("polls", cx.is_stopping())).unwrap();
        });
        let source = cx.add_source(Call(move |event, cx: &mut Cx<'_>| {
            if let SourceEvent::Done { .. } = event {
                sender.send(("source", cx.is_stopping())).unwrap();
            }
        }));
        cx.submit_for(source, 0, AcceptMulti::new(Fd::from(listener))).unwrap();
        room - cx.room()
    });
    (in_flight.into(), receiver, vec![pipe_writer.into(), theirs.into()])
}

#[test]
fn every_kind_in_flight_ends_within_the_limit_and_the_report_adds_up() {
    need_loops!();
    let reactor = reactor();
    let (in_flight, receiver, _others) = one_of_each(&reactor);
    let start = Instant::now();
    let report = reactor.shutdown(LONG);
    assert!(start.elapsed() < LONG);
    assert_eq!((report.leaked, report.failed_loops), (0, 0), "{report}");
    let told: Vec<_> = receiver.iter().collect();
    assert_eq!(told.len() as u64, in_flight);
    // the disk may have been faster than the shutdown
    let ending = told.iter().filter(|(_, ending)| *ending).count();
    assert_eq!(ended(&report), ending as u64, "{report}");
    let mut names: Vec<_> = told.into_iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept", "accepts", "disk", "disk", "pipe", "poll", "polls", "receives", "socket",
            "source", "timeout", "worker"
        ],
        "each was told, once"
    );
    assert!(report.completed <= 2, "only the disk can have been faster: {report}");
}

#[test]
fn a_limit_of_zero_ends_what_can_end_at_once_and_counts_the_rest() {
    need_loops!();
    let reactor = reactor();
    let (in_flight, receiver, _others) = one_of_each(&reactor);
    let start = Instant::now();
    let report = reactor.shutdown(Duration::ZERO);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(report.failed_loops, 0);
    let told: Vec<_> = receiver.iter().collect();
    let before = told.iter().filter(|(_, ending)| !ending).count() as u64;
    assert_eq!(before + ended(&report), in_flight, "{report}");
    assert!(told.len() as u64 + report.leaked <= in_flight, "{told:?}: {report}");
    // workers and the disk may take longer than no time
    assert!(report.leaked <= 3, "{report}");
}

#[test]
fn an_empty_loop_reports_nothing() {
    need_loops!();
    for limit in [Duration::ZERO, LONG, Duration::MAX] {
        let report = reactor().shutdown(limit);
        assert_eq!(ended(&report), 0, "{report}");
        assert_eq!(report.failed_loops, 0);
        assert_eq!(report.stats.submissions, 0);
    }
}

#[test]
fn an_operation_that_waits_for_room_is_told_and_counted() {
    need_loops!();
    let reactor = Reactor::builder().operations(1).build().unwrap();
    let (reader, _writer) = pipe();
    let (sender, receiver) = mpsc::channel();
    for _ in 0..10 {
        let sender = sender.clone();
        let read = Read::new(Arc::clone(&reader), vec![0; 8], Current);
        reactor.handle().submit(read, move |output, _| sender.send(output.0).unwrap()).unwrap();
    }
    drop(sender);
    let report = reactor.shutdown(LONG);
    assert_eq!(report.cancelled, 10, "{report}");
    let results: Vec<_> = receiver.iter().collect();
    assert_eq!(results.len(), 10);
    assert!(results.iter().all(|result| errno(result) == Some(ECANCELED)));
}

#[test]
fn what_callbacks_submit_while_the_loop_ends_is_cancelled_and_told_too() {
    need_loops!();
    let mut event_loop = EventLoop::builder().operations(2).build().unwrap();
    let (reader, _writer) = pipe();
    let told = Rc::new(RefCell::new(Vec::new()));
    event_loop.with(|cx| {
        for name in ["a", "b"] {
            let (told, again) = (Rc::clone(&told), Arc::clone(&reader));
            cx.submit(Read::new(Arc::clone(&reader), vec![0; 8], Current), move |_, cx| {
                told.borrow_mut().push(name);
                assert!(cx.is_stopping());
                // more than there is room for
                for name in ["c", "d", "e"] {
                    let told = Rc::clone(&told);
                    let read = Read::new(Arc::clone(&again), vec![0; 8], Current);
                    cx.submit(read, move |(result, ..), _| {
                        assert_eq!(errno(&result), Some(ECANCELED));
                        told.borrow_mut().push(name);
                    });
                }
            });
        }
    });
    let report = event_loop.shutdown(LONG).unwrap();
    let mut told = told.take();
    told.sort_unstable();
    assert_eq!(told, ["a", "b", "c", "c", "d", "d", "e", "e"]);
    assert_eq!(ended(&report), 8, "{report}");
}

#[test]
fn sources_hear_of_the_shutdown_once_and_then_the_ends_of_their_operations() {
    need_loops!();
    let mut event_loop = event_loop();
    let (socket, _peer) = crate::util::sockets();
    let log = Rc::new(RefCell::new(Vec::new()));
    event_loop.with(|cx| {
        let log = Rc::clone(&log);
        let again = socket.clone();
        let source = cx.add_source_with(|id| {
            Call(move |event, cx: &mut Cx<'_>| {
                log.borrow_mut().push(format!("{event:?}"));
                if let SourceEvent::Shutdown = event {
                    cx.submit_for(id, 2, Recv::new(again.clone(), vec![0; 8])).unwrap();
                }
            })
        });
        cx.submit_for(source, 1, Recv::new(socket, vec![0; 8])).unwrap();
    });
    let report = event_loop.shutdown(LONG).unwrap();
    let mut log = log.take();
    log[1..].sort();
    assert_eq!(log, ["Shutdown", "Done(1)", "Done(2)"]);
    assert_eq!(report.cancelled, 2);
}

#[test]
fn callbacks_that_submit_for_ever_do_not_hold_the_end_up() {
    need_loops!();
    fn again(cx: &mut Cx<'_>) {
        cx.submit(Nop::new(), |_, cx| again(cx));
    }
    for others in [false, true] {
        let reactor = reactor();
        reactor.handle().run(again).unwrap();
        let (reader, _writer) = pipe();
        if others {
            // one that takes its time, because a worker thread is in the middle of it
            let read = Read::new(reader, vec![0; 1], Current).on_worker();
            reactor.handle().submit(read, |_, _| ()).unwrap();
        }
        let start = Instant::now();
        let report = reactor.shutdown(LONG);
        assert!(start.elapsed() < LONG / 4, "{:?}", start.elapsed());
        assert_eq!(report.failed_loops, 0, "{report}");
        assert_eq!(report.lost, 1, "the last that it submitted: {report}");
        assert!(report.cancelled < 2000, "{report}");
    }
}

#[test]
fn commands_and_tasks_that_never_end_do_not_hold_the_end_up() {
    need_loops!();
    fn again(cx: &mut Cx<'_>) {
        cx.spawn(async { std::future::pending().await });
        let source = cx.add_source(Call(|_, _: &mut Cx<'_>| {}));
        cx.poke(source);
        let _sent = cx.handle().run(again);
    }
    let reactor = reactor();
    reactor.handle().run(again).unwrap();
    let start = Instant::now();
    let report = reactor.shutdown(LONG);
    assert!(start.elapsed() < LONG);
    assert_eq!(report.failed_loops, 0, "{report}");
}

#[test]
fn commands_that_submit_without_end_do_not_hold_the_end_up() {
    need_loops!();
    fn again(cx: &mut Cx<'_>) {
        // more than a turn reaps
        cx.submit(Nop::new(), |_, _| {});
        cx.submit(Nop::new(), |_, _| {});
        let _sent = cx.handle().run(again);
    }
    let reactor = reactor();
    // more than one turn takes
    for _ in 0..600 {
        reactor.handle().run(again).unwrap();
    }
    let start = Instant::now();
    let report = reactor.shutdown(LONG);
    assert!(start.elapsed() < LONG / 2, "{report}");
    assert_eq!((report.leaked, report.failed_loops), (0, 0), "{report}");
}

#[test]
fn closures_that_arrive_while_the_loop_ends_still_run() {
    need_loops!();
    fn until(stop: Rc<Cell<bool>>, told: mpsc::Sender<()>, cx: &mut Cx<'_>) {
        let (reader, writer) = pipe();
        cx.submit(Read::new(reader, vec![0; 1], Current), move |_, cx| {
            drop(writer);
            let _heard = told.send(());
            if !stop.get() {
                until(stop, told, cx);
            }
        });
    }
    thread_local! {
        static STOP: Rc<Cell<bool>> = Rc::default();
    }
    let reactor = reactor();
    let handle = reactor.handle().clone();
    let (sender, receiver) = mpsc::channel();
    on_loop(&handle, move |cx| until(STOP.with(Rc::clone), sender, cx));
    let ending = std::thread::spawn(move || (reactor.shutdown(LONG), Instant::now()));
    get(&receiver);
    let start = Instant::now();
    handle.run(|_| STOP.with(|stop| stop.set(true))).unwrap();
    let (report, end) = ending.join().unwrap();
    assert_eq!((report.leaked, report.failed_loops), (0, 0));
    assert!(end - start < LONG, "the closure was not heard");
}

#[test]
fn a_second_shutdown_can_only_shorten_the_first() {
    need_loops!();
    fn again(cx: &mut Cx<'_>) {
        cx.submit(Nop::new(), |_, cx| again(cx));
    }
    let reactor = reactor();
    let handle = reactor.handle();
    handle.run(again).unwrap();
    handle.shutdown(Duration::MAX).unwrap();
    handle.shutdown(Duration::from_millis(50)).unwrap();
    let start = Instant::now();
    let report = reactor.shutdown(LONG);
    assert!(start.elapsed() < LONG, "{report}");
    assert_eq!(report.failed_loops, 0);
}

#[test]
fn a_reactor_that_is_dropped_has_called_back_and_leaves_no_thread_and_no_descriptor() {
    need_loops!();
    isolated!();
    let before = descriptors();
    let reactor = Reactor::builder().loops(2).name("dropped").build().unwrap();
    assert_eq!(threads_named("dropped"), 2);
    let (in_flight, receiver, others) = one_of_each(&reactor);
    drop(reactor);
    assert_eq!(receiver.try_iter().count() as u64, in_flight, "told before the drop returned");
    assert_no_thread_named("dropped");
    drop(others);
    assert_eq!(descriptors(), before);
}

#[test]
fn a_loop_that_is_dropped_calls_back_and_gives_its_descriptors_back() {
    need_loops!();
    isolated!();
    let before = descriptors();
    let told = Rc::new(RefCell::new(Vec::new()));
    for turns in [0, 1] {
        let mut event_loop = EventLoop::builder().operations(1).build().unwrap();
        let (reader, writer) = pipe();
        event_loop.with(|cx| {
            // one that is in flight, and one that waits for room
            for name in ["first", "second"] {
                let told = Rc::clone(&told);
                let read = Read::new(Arc::clone(&reader), vec![0; 8], Current);
                cx.submit(read, move |(result, ..), cx| {
                    assert!(cx.is_stopping());
                    told.borrow_mut().push((name, errno(&result)));
                });
            }
        });
        for _ in 0..turns {
            event_loop.turn(None).unwrap();
        }
        drop((event_loop, reader, writer));
        let mut told = told.take();
        told.sort_unstable();
        assert_eq!(told, [("first", Some(ECANCELED)), ("second", Some(ECANCELED))]);
    }
    assert_eq!(descriptors(), before);
}

#[test]
fn a_reactor_may_be_dropped_on_its_own_loop() {
    need_loops!();
    let reactor = reactor();
    let handle = reactor.handle().clone();
    let (sender, receiver) = mpsc::channel();
    let start = Instant::now();
    handle
        .run(move |_| {
            drop(reactor);
            sender.send(()).unwrap();
        })
        .unwrap();
    get(&receiver);
    assert!(start.elapsed() < Duration::from_secs(3), "it waited for itself");
    while handle.run(|_| ()).is_ok() {
        assert!(start.elapsed() < LONG, "the loop goes on");
        std::thread::yield_now();
    }
}

#[test]
fn a_shutdown_interrupts_the_sleep_of_a_loop_with_data_still_to_come() {
    need_loops!();
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let (reader, mut writer) = pipe();
    let got = Rc::new(Cell::new(0));
    let ends = Rc::new(Cell::new(None));
    event_loop.with(|cx| {
        let (got, ends) = (Rc::clone(&got), Rc::clone(&ends));
        let again = Arc::clone(&reader);
        cx.submit(Read::new(reader, vec![0; 8], Current), move |(result, ..), cx| {
            got.set(result.unwrap());
            cx.submit(Read::new(again, vec![0; 8], Current), move |(result, ..), _| {
                ends.set(errno(&result));
            });
        });
    });
    writer.write_all(b"x").unwrap();
    turns_until(&mut event_loop, || got.get() == 1);
    let thread = thread_id();
    let (over, is_over) = mpsc::channel::<()>();
    let ender = std::thread::spawn(move || {
        until_asleep(thread);
        handle.shutdown(LONG).unwrap();
        if is_over.recv_timeout(LONG) == Err(mpsc::RecvTimeoutError::Timeout) {
            writer.write_all(b"y").unwrap(); // a loop that does not hear it would sleep for ever
        }
    });
    let start = Instant::now();
    let report = event_loop.run().unwrap();
    let took = start.elapsed();
    drop(over);
    ender.join().unwrap();
    assert!(took < LONG, "the shutdown did not wake it: {report}");
    assert_eq!((report.cancelled, ended(&report)), (1, 1), "{report}");
    assert_eq!(ends.get(), Some(ECANCELED));
}
