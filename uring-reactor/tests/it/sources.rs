//! Sources: objects that many operations report to.

use std::{
    cell::{Cell, RefCell},
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    rc::Rc,
    time::Duration,
};

use testing::{LONG, descriptors};
use uring_reactor::{
    Cx, EventLoop, Fd, LoopItem, LoopOutput, SourceEvent, SourceId,
    uring::op::{AcceptMulti, Nop, Recv, RecvMulti, Shutdown},
};

use crate::util::{Call, event_loop, sockets, turns_for, turns_until};

/// Logs what a source hears, as its `Debug` says it.
fn logged(log: &Rc<RefCell<Vec<String>>>) -> Call<impl FnMut(SourceEvent, &mut Cx<'_>) + 'static> {
    let log = Rc::clone(log);
    Call(move |event, _: &mut Cx<'_>| log.borrow_mut().push(format!("{event:?}")))
}

#[test]
fn items_and_ends_carry_the_tags_that_they_were_submitted_with() {
    need_loops!();
    let mut event_loop = event_loop();
    let (socket, mut peer) = sockets();
    let log = Rc::new(RefCell::new(Vec::new()));
    let received = Rc::new(RefCell::new(Vec::new()));
    event_loop.with(|cx| {
        let (log, received) = (Rc::clone(&log), Rc::clone(&received));
        let source = cx.add_source(Call(move |event, _: &mut Cx<'_>| {
            log.borrow_mut().push(format!("{event:?}"));
            if let SourceEvent::Item { item: LoopItem::RecvMulti(buf), .. } = event {
                received.borrow_mut().extend_from_slice(&buf);
            }
        }));
        let recv = RecvMulti::new(socket, cx.pool());
        cx.submit_for(source, 7, recv).unwrap();
        cx.poke(source);
    });
    for byte in *b"abc" {
        let before = received.borrow().len();
        peer.write_all(&[byte]).unwrap();
        turns_until(&mut event_loop, || received.borrow().len() > before);
    }
    drop(peer);
    turns_until(&mut event_loop, || log.borrow().len() == 5);
    assert_eq!(*received.borrow(), b"abc");
    assert_eq!(*log.borrow(), ["Poked", "Item(7)", "Item(7)", "Item(7)", "Done(7)"]);
}

#[test]
fn a_source_that_removes_itself_is_dropped_after_its_call_and_hears_nothing_more() {
    need_loops!();
    struct Told(Rc<Cell<bool>>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let mut event_loop = event_loop();
    let dropped = Rc::new(Cell::new(false));
    let calls = Rc::new(Cell::new(0));
    event_loop.with(|cx| {
        let told = Told(Rc::clone(&dropped));
        let calls = Rc::clone(&calls);
        let id = cx.add_source_with(|id| {
            Call(move |_, cx: &mut Cx<'_>| {
                calls.set(calls.get() + 1);
                cx.remove_source(id);
                cx.remove_source(id);
                assert!(!told.0.get(), "dropped while it is called");
                // takes its place
                cx.add_source(Call(|_, _: &mut Cx<'_>| panic!("meant for the one before")));
            })
        });
        cx.poke(id);
        cx.poke(id);
        cx.timer_for(id, 1, std::time::Instant::now() + Duration::from_millis(5));
    });
    turns_for(&mut event_loop, Duration::from_millis(20));
    assert!(dropped.get());
    assert_eq!(calls.get(), 1);
    assert_eq!(event_loop.with(|cx| cx.stats()).panics, 0);
}

#[test]
fn an_id_means_nothing_after_its_source_even_if_its_place_is_used_again() {
    need_loops!();
    let mut event_loop = event_loop();
    let handle = event_loop.handle();
    let log = Rc::new(RefCell::new(Vec::new()));
    let (socket, mut peer) = sockets();
    let old = event_loop.with(|cx| {
        let old = cx.add_source(logged(&log));
        cx.submit_for(old, 1, Recv::new(socket, vec![0; 8])).unwrap();
        cx.remove_source(old);
        let new = cx.add_source(logged(&log));
        assert_ne!(old, new);
        cx.poke(old);
        cx.poke(new);
        cx.cancel(old);
        cx.remove_source(old);
        old
    });
    handle.poke(old).unwrap();
    peer.write_all(b"late").unwrap();
    turns_for(&mut event_loop, Duration::from_millis(20));
    assert_eq!(*log.borrow(), ["Poked"]);
    let stats = event_loop.with(|cx| cx.stats());
    assert_eq!(stats.stale, 1, "the bytes that nobody wanted");
}

#[test]
fn a_closures_operation_is_not_removed_as_if_it_were_a_source() {
    need_loops!();
    let mut event_loop = event_loop();
    let done = Rc::new(Cell::new(false));
    event_loop.with(|cx| {
        let done = Rc::clone(&done);
        let id: SourceId = cx.submit(Nop::new(), move |_, _| done.set(true));
        cx.remove_source(id);
    });
    turns_until(&mut event_loop, || done.get());
}

#[test]
fn sockets_accepted_for_a_removed_source_are_closed_and_the_accept_ends() {
    need_loops!();
    isolated!();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut event_loop = EventLoop::builder().operations(8).build().unwrap();
    let before = descriptors();
    event_loop.with(|cx| {
        let source = cx.add_source(Call(|_, _: &mut Cx<'_>| panic!("it was removed")));
        let listener = Fd::from(OwnedFd::from(listener));
        cx.submit_for(source, 1, AcceptMulti::new(listener)).unwrap();
        cx.remove_source(source);
    });
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    let mut tries = 0;
    while event_loop.with(|cx| cx.room()) < 8 {
        event_loop.turn(Some(std::time::Instant::now() + Duration::from_millis(100))).unwrap();
        tries += 1;
        assert!(tries < 100, "the accept of a removed source goes on");
    }
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "closed");
    drop(client);
    assert_eq!(descriptors(), before - 1, "the listener is gone too");
    assert_eq!(event_loop.with(|cx| cx.stats()).panics, 0);
}

#[test]
fn an_operation_gives_its_resources_back_with_its_end() {
    need_loops!();
    let mut event_loop = event_loop();
    let (socket, mut peer) = sockets();
    let got = Rc::new(RefCell::new(None));
    let buffer = Vec::with_capacity(16);
    let lent = (socket.as_fd().as_raw_fd(), buffer.as_ptr());
    event_loop.with(|cx| {
        let got = Rc::clone(&got);
        let keep = socket.clone();
        let source = cx.add_source(Call(move |event, _: &mut Cx<'_>| {
            if let SourceEvent::Done { tag: 1, output } = event {
                got.replace(Some(output));
            }
        }));
        cx.submit_for(source, 1, Recv::new(socket, buffer)).unwrap();
        cx.submit_for(source, 2, Shutdown::new(keep, std::net::Shutdown::Write)).unwrap();
    });
    event_loop.turn(None).unwrap();
    assert_eq!(peer.read(&mut [0]).unwrap(), 0, "the other side was shut down");
    peer.write_all(b"bytes").unwrap();
    turns_until(&mut event_loop, || got.borrow().is_some());
    match got.take() {
        Some(LoopOutput::Recv((result, socket, bytes))) => {
            assert_eq!(result.unwrap(), 5);
            assert_eq!(bytes, b"bytes");
            assert_eq!((socket.as_fd().as_raw_fd(), bytes.as_ptr()), lent);
        }
        _ => panic!("not the end of a receive"),
    }
}

#[test]
fn a_source_cancels_an_operation_of_its_own_and_hears_the_real_result() {
    need_loops!();
    let mut event_loop = event_loop();
    let (socket, _peer) = sockets();
    let errno = Rc::new(Cell::new(None));
    event_loop.with(|cx| {
        let errno = Rc::clone(&errno);
        let source = cx.add_source(Call(move |event, _: &mut Cx<'_>| {
            if let SourceEvent::Done { output: LoopOutput::Recv((result, ..)), .. } = event {
                errno.set(result.unwrap_err().raw_os_error());
            }
        }));
        let op = cx.submit_for(source, 0, Recv::new(socket, vec![0; 8])).unwrap();
        cx.cancel_op(op);
        cx.cancel_op(op);
    });
    turns_until(&mut event_loop, || errno.get().is_some());
    assert_eq!(errno.get(), Some(125), "ECANCELED in errno(3)");
}

#[test]
fn a_source_that_pokes_itself_for_ever_leaves_room_for_the_others() {
    need_loops!();
    let mut event_loop = event_loop();
    let done = Rc::new(Cell::new(false));
    event_loop.with(|cx| {
        let id = cx.add_source_with(|id| Call(move |_, cx: &mut Cx<'_>| cx.poke(id)));
        cx.poke(id);
        let done = Rc::clone(&done);
        cx.submit(Nop::new(), move |_, _| done.set(true));
    });
    for _ in 0..3 {
        event_loop.turn(None).unwrap();
    }
    assert!(done.get());
}
