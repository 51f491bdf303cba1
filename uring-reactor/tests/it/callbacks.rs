//! Each callback runs once for each result, on the loop, with the real result.

use std::{
    cell::{Cell, RefCell},
    fs::File,
    io::{self, Write as _},
    net::{TcpListener, TcpStream},
    os::fd::OwnedFd,
    rc::Rc,
    sync::{Arc, Barrier, mpsc},
    thread,
};

use testing::{get, rounds};
use uring_reactor::{
    Cx,
    uring::{
        At, Current,
        op::{AcceptMulti, Nop, Read, RecvMulti},
    },
};

use crate::util::{ECANCELED, errno, event_loop, on_loop, pipe, reactor, sockets, turns_until};

#[test]
fn a_read_gives_back_its_bytes_its_file_and_its_buffer_on_the_loops_thread() {
    need_loops!();
    let reactor = reactor();
    let file = Arc::new(File::open("/proc/self/exe").unwrap());
    let (sender, receiver) = mpsc::channel();
    reactor
        .handle()
        .submit(Read::new(Arc::clone(&file), Vec::with_capacity(4), At(0)), move |output, cx| {
            let name = thread::current().name().map(str::to_owned);
            sender.send((output, cx.handle().is_current(), name)).unwrap();
        })
        .unwrap();
    let ((result, again, bytes), current, name) = get(&receiver);
    assert_eq!(result.unwrap(), 4);
    assert_eq!(bytes, b"\x7fELF", "how an executable begins: elf(5)");
    assert!(Arc::ptr_eq(&file, &again));
    assert!(current);
    assert_eq!(name.as_deref(), Some("uring-loop-0"));
    assert!(!reactor.handle().is_current());
}

#[test]
fn a_failed_operation_gives_the_kernels_errno() {
    need_loops!();
    let reactor = reactor();
    let directory = Arc::new(File::open("/").unwrap());
    let (sender, receiver) = mpsc::channel();
    let read = Read::new(directory, vec![0; 4], At(0));
    reactor.handle().submit(read, move |(result, ..), _| sender.send(result).unwrap()).unwrap();
    assert_eq!(errno(&get(&receiver)), Some(21), "EISDIR in errno(3)");
}

#[test]
fn from_many_threads_each_callback_runs_exactly_once() {
    need_loops!();
    const THREADS: usize = 4;
    let each = rounds(2000_usize);
    let reactor = reactor();
    let (sender, receiver) = mpsc::channel();
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (handle, sender, barrier) = (reactor.handle().clone(), sender.clone(), &barrier);
            scope.spawn(move || {
                barrier.wait();
                for number in 0..each {
                    let sender = sender.clone();
                    let name = thread * each + number;
                    handle
                        .submit(Nop::new(), move |result, _| {
                            sender.send(result.map(|()| name)).unwrap();
                        })
                        .unwrap();
                }
            });
        }
    });
    drop(sender);
    let mut times = vec![0; THREADS * each];
    for _ in 0..times.len() {
        times[get(&receiver).unwrap()] += 1;
    }
    assert!(receiver.recv().is_err(), "all callbacks are gone, and none ran twice");
    assert!(times.iter().all(|times| *times == 1));
}

#[test]
fn callbacks_submit_the_next_operation_for_as_long_as_they_like() {
    need_loops!();
    fn next(left: u32, sender: mpsc::Sender<()>, cx: &mut Cx<'_>) {
        cx.submit(Nop::new(), move |result, cx| {
            result.unwrap();
            match left {
                0 => sender.send(()).unwrap(),
                _ => next(left - 1, sender, cx),
            }
        });
    }
    let reactor = reactor();
    let (sender, receiver) = mpsc::channel();
    let count = rounds(20_000);
    reactor.handle().run(move |cx| next(count, sender, cx)).unwrap();
    get(&receiver);
    let stats = on_loop(reactor.handle(), |cx| cx.stats());
    assert_eq!(stats.submissions, u64::from(count) + 1);
    assert_eq!(stats.completions, stats.submissions);
    assert_eq!(stats.stale, 0);
}

#[test]
fn a_multishot_operation_calls_with_each_item_and_then_with_its_end() {
    need_loops!();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listener = Arc::new(OwnedFd::from(listener));
    let reactor = reactor();
    let (sender, receiver) = mpsc::channel();
    let id = on_loop(reactor.handle(), {
        let listener = Arc::clone(&listener);
        move |cx| {
            cx.submit_multi(AcceptMulti::new(listener), move |arrival, _| {
                sender.send(arrival.map_err(|(result, _)| result)).unwrap();
            })
        }
    });
    for _ in 0..3 {
        let client = TcpStream::connect(address).unwrap();
        let accepted = TcpStream::from(get(&receiver).unwrap().unwrap());
        assert_eq!(accepted.peer_addr().unwrap(), client.local_addr().unwrap());
    }
    reactor.handle().run(move |cx| cx.cancel(id)).unwrap();
    assert_eq!(errno(&get(&receiver).unwrap_err()), Some(ECANCELED));
    assert!(receiver.recv().is_err(), "after its end the callback is dropped");
    assert_eq!(Arc::strong_count(&listener), 1);
}

#[test]
fn items_of_an_operation_that_is_asked_for_its_output_alone_are_dropped() {
    need_loops!();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let reactor = reactor();
    let (sender, receiver) = mpsc::channel();
    let accept = AcceptMulti::new(OwnedFd::from(listener));
    let request = reactor
        .handle()
        .submit(accept, move |(result, _), _| sender.send(result).unwrap())
        .unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    let read = std::io::Read::read(&mut client, &mut [0]);
    assert_eq!(read.unwrap(), 0, "the accepted socket was closed");
    request.cancel().unwrap();
    assert_eq!(errno(&get(&receiver)), Some(ECANCELED));
}

#[test]
fn an_operation_that_can_never_go_is_refused_after_the_call_that_submitted_it() {
    need_loops!();
    let mut other = event_loop();
    let mut event_loop = event_loop();
    let (socket, _peer) = sockets();
    let foreign = other.with(|cx| RecvMulti::new(socket, cx.pool()));
    let result = Rc::new(RefCell::new(None));
    let inside = Rc::new(Cell::new(true));
    event_loop.with(|cx| {
        let (result, seen) = (Rc::clone(&result), Rc::clone(&inside));
        cx.submit(foreign, move |(received, _), _| {
            assert!(!seen.get(), "called while its submission still runs");
            result.replace(Some(received.map(drop)));
        });
        inside.set(false);
    });
    turns_until(&mut event_loop, || result.borrow().is_some());
    let refused = result.take().unwrap().unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidInput, "{refused}");
}

#[test]
fn reads_of_any_size_bring_the_bytes_in_their_order() {
    need_loops!();
    let reactor = reactor();
    let (reader, mut writer) = pipe();
    let (sender, receiver) = mpsc::channel();
    for size in [1, 2, 4096, 65536] {
        let sender = sender.clone();
        let read = Read::new(Arc::clone(&reader), Vec::with_capacity(size), Current);
        reactor
            .handle()
            .submit(read, move |(result, _, bytes), _| sender.send((result, bytes)).unwrap())
            .unwrap();
        let sent: Vec<u8> = (0..size).map(|i| u8::try_from(i % 251).unwrap()).collect();
        writer.write_all(&sent).unwrap();
        let (result, bytes) = get(&receiver);
        let got = result.unwrap();
        assert_eq!(bytes, sent[..got]);
        let mut left = size - got;
        while left > 0 {
            let mut rest = vec![0; left];
            let mut file = File::from(reader.try_clone().unwrap());
            let count = std::io::Read::read(&mut file, &mut rest).unwrap();
            assert_eq!(rest[..count], sent[size - left..][..count]);
            left -= count;
        }
    }
}
