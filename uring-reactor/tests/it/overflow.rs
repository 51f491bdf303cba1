//! A completion queue that is far too small: everything still arrives.

use std::{
    cell::Cell,
    io,
    net::{TcpListener, TcpStream},
    os::fd::OwnedFd,
    rc::Rc,
    sync::Arc,
};

use testing::rounds;
use uring_reactor::{
    Cx, EventLoop,
    uring::op::{AcceptMulti, Nop},
};

use crate::util::turns_until;

fn tiny() -> EventLoop {
    EventLoop::builder().entries(1).completions(2).operations(4096).build().unwrap()
}

#[test]
fn every_result_arrives_although_the_queue_overflows() {
    need_loops!();
    let mut event_loop = tiny();
    let count = rounds(2000);
    let done = Rc::new(Cell::new(0));
    event_loop.with(|cx| {
        for _ in 0..count {
            let done = Rc::clone(&done);
            cx.submit(Nop::new(), move |result, _| {
                result.unwrap();
                done.set(done.get() + 1);
            });
        }
    });
    turns_until(&mut event_loop, || done.get() == count);
    let stats = event_loop.with(|cx| cx.stats());
    assert!(stats.overflows > 0, "the queue did not overflow: {stats}");
    assert_eq!(stats.stale, 0);
}

#[test]
fn a_multishot_accept_that_overflow_ends_is_told_and_armed_again() {
    need_loops!();
    fn arm(listener: Arc<OwnedFd>, accepted: Rc<Cell<u32>>, cx: &mut Cx<'_>) {
        let count = |accepted: &Cell<u32>, result: io::Result<OwnedFd>| {
            result.expect("an accepted socket");
            accepted.set(accepted.get() + 1);
        };
        cx.submit_multi(AcceptMulti::new(listener), move |arrival, cx| match arrival {
            Ok(item) => count(&accepted, item),
            Err((last, listener)) => {
                if !cx.is_stopping() {
                    count(&accepted, last);
                    cx.count_rearm();
                    arm(listener, Rc::clone(&accepted), cx);
                }
            }
        });
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let clients: Vec<_> = (0..64).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut event_loop = tiny();
    let accepted = Rc::new(Cell::new(0));
    event_loop.with(|cx| arm(Arc::new(listener.into()), Rc::clone(&accepted), cx));
    turns_until(&mut event_loop, || accepted.get() == 64);
    let stats = event_loop.with(|cx| cx.stats());
    assert!(stats.rearms > 0, "it did not end early: {stats}");
    drop(clients);
}
