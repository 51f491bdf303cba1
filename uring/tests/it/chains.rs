//! Chains: one after the other, all or nothing, never across two submissions.

use std::{
    net::Shutdown,
    os::fd::{AsFd, BorrowedFd},
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use uring::{At, Current, OpCode, Reason, op};

use crate::{
    scenes::{self, Op, Output},
    util::{self, Fd, Mode},
};

fn write(to: &Fd, bytes: &[u8]) -> Op {
    op::Write::new(to.clone(), bytes.to_vec(), Current).into()
}

fn result(output: Output) -> std::io::Result<usize> {
    match output {
        Output::Write((result, ..)) | Output::Read((result, ..)) | Output::Recv((result, ..)) => {
            result
        }
        Output::Nop(result) => result.map(|()| 0),
        _ => unreachable!("writes, reads and nops were submitted"),
    }
}

#[test]
fn links_run_one_after_the_other_even_if_the_queue_was_almost_full() {
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<Op, u32>(8, 64) else { continue };
        let (reader, writer) = testing::pipe();
        let writer = Fd::new(writer);
        for before in 0..testing::rounds(100) {
            // leaves less room in the submission queue than the chain needs, most of the time
            let before = before % 8;
            for _ in 0..before {
                ring.submit(op::Nop::new().into(), 0).expect("room");
            }
            let ids = ring
                .chain(|chain| {
                    for link in 1..=6_u8 {
                        chain.then(write(&writer, &[link]), link.into());
                    }
                })
                .expect("room");
            assert_eq!(ids.len(), 6);
            let mut order = Vec::new();
            for _ in 0..before + 6 {
                let util::Happened::Done(_, number, output) = util::next(&mut ring) else {
                    panic!("one-shots")
                };
                result(output).expect("room in the pipe");
                order.extend((number > 0).then_some(number));
            }
            assert_eq!(order, [1, 2, 3, 4, 5, 6], "{mode:?}");
            assert_eq!(util::read_now(reader.as_fd(), 64).expect("it"), [1, 2, 3, 4, 5, 6]);
        }
    }
}

#[test]
fn a_broken_chain_ends_what_stands_behind_it_with_ecanceled() {
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<Op, ()>(8, 64) else { continue };
        let (reader, writer) = testing::pipe();
        let (reader, writer) = (Fd::new(reader), Fd::new(writer));
        let lonely = Fd::new(util::socket(libc::AF_INET, libc::SOCK_STREAM));
        ring.chain(|chain| {
            chain.then(write(&writer, b"first"), ());
            chain.then(op::Recv::new(lonely.clone(), Vec::with_capacity(8)).into(), ());
            chain.then(write(&writer, b"third"), ());
            chain.then(op::Nop::new().into(), ());
        })
        .expect("room");
        let results: Vec<_> = (0..4).map(|_| result(util::done(&mut ring).1)).collect();
        assert_eq!(*results[0].as_ref().expect("room"), 5, "{mode:?}");
        assert_eq!(util::errno(&results[1]), libc::ENOTCONN, "{mode:?}"); // recv(2)
        assert_eq!(util::errno(&results[2]), libc::ECANCELED, "{mode:?}");
        assert_eq!(util::errno(&results[3]), libc::ECANCELED, "{mode:?}");
        assert_eq!(util::read_now(reader.as_fd(), 64).expect("it"), b"first");
    }
}

#[test]
fn a_link_that_the_kernel_refuses_takes_the_whole_chain_down() {
    uring::operations! {
        enum Link, LinkItem, LinkOutput { Nop(op::Nop), Unknown(util::Unknown) }
    }
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<Link, usize>(8, 64) else { continue };
        ring.chain(|chain| {
            chain.then(op::Nop::new().into(), 0);
            chain.then(util::Unknown.into(), 1);
            chain.then(op::Nop::new().into(), 2);
        })
        .expect("room");
        let mut errnos = [0; 3];
        for _ in 0..3 {
            let util::Happened::Done(_, number, output) = util::next(&mut ring) else { panic!() };
            errnos[number] = match output {
                LinkOutput::Nop(result) | LinkOutput::Unknown(result) => util::errno(&result),
            };
        }
        assert_eq!(errnos, [libc::ECANCELED, libc::EINVAL, libc::ECANCELED], "{mode:?}");
    }
}

#[test]
fn a_timeout_that_is_up_breaks_a_chain_and_a_shutdown_that_failed_does_not() {
    uring::operations! {
        enum Link, LinkItem, LinkOutput {
            Timeout(op::Timeout), Shutdown(op::Shutdown<Fd>), Nop(op::Nop),
        }
    }
    let first = |output: LinkOutput| match output {
        LinkOutput::Timeout(result) | LinkOutput::Shutdown((result, _)) => result,
        LinkOutput::Nop(_) => unreachable!("it is the second"),
    };
    let second = |output: LinkOutput| match output {
        LinkOutput::Nop(result) => result,
        _ => unreachable!("a nop is the second"),
    };
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<Link, ()>(8, 64) else { continue };
        for hard in [false, true] {
            ring.chain(|chain| {
                chain.then(op::Timeout::new(Duration::from_millis(1)).into(), ());
                chain.then(op::Nop::new().into(), ());
                if hard {
                    chain.hard();
                }
            })
            .expect("room");
            first(util::done(&mut ring).1).expect("time that is up is a success here");
            let nop = second(util::done(&mut ring).1);
            if hard {
                nop.expect("it runs all the same");
            } else {
                assert_eq!(util::errno(&nop), libc::ECANCELED, "{mode:?}");
            }
        }
        if !util::has(OpCode::SEND_ZC) {
            continue; // before 6.0 it breaks the chain too
        }
        let lonely = Fd::new(util::socket(libc::AF_INET, libc::SOCK_STREAM));
        ring.chain(|chain| {
            chain.then(op::Shutdown::new(lonely, Shutdown::Both).into(), ());
            chain.then(op::Nop::new().into(), ());
        })
        .expect("room");
        let shutdown = first(util::done(&mut ring).1);
        assert_eq!(util::errno(&shutdown), libc::ENOTCONN, "{mode:?}"); // shutdown(2)
        second(util::done(&mut ring).1).expect("it runs all the same");
    }
}

#[test]
fn a_sync_that_failed_does_not_break_a_chain() {
    uring::operations! {
        enum Link, LinkItem, LinkOutput { Fsync(op::Fsync<Fd>), Nop(op::Nop) }
    }
    if !util::has(OpCode::SEND_ZC) {
        skip!("before 6.0 it breaks the chain");
    }
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<Link, ()>(8, 64) else { continue };
        let (reader, _writer) = testing::pipe();
        ring.chain(|chain| {
            chain.then(op::Fsync::new(Fd::new(reader)).into(), ());
            chain.then(op::Nop::new().into(), ());
        })
        .expect("room");
        let (_, LinkOutput::Fsync((result, _))) = util::done(&mut ring) else { panic!("a sync") };
        assert_eq!(util::errno(&result), libc::EINVAL, "{mode:?}"); // fsync(2)
        let (_, LinkOutput::Nop(result)) = util::done(&mut ring) else { panic!("a nop") };
        result.expect("it runs all the same");
    }
}

#[test]
fn a_short_read_breaks_a_chain_and_a_hard_chain_goes_on() {
    let temp = util::Temp::new(10);
    let file = Fd::new(temp.file().try_clone().expect("a descriptor").into());
    let read = |bytes: usize| Op::from(op::Read::new(file.clone(), vec![0; bytes], At(0)));
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<Op, ()>(8, 64) else { continue };
        for hard in [false, true] {
            ring.chain(|chain| {
                chain.then(read(20), ()).then(op::Nop::new().into(), ());
                if hard {
                    chain.hard();
                }
            })
            .expect("room");
            assert_eq!(result(util::done(&mut ring).1).expect("short"), 10);
            let second = result(util::done(&mut ring).1);
            if hard {
                second.expect("it runs all the same");
            } else {
                assert_eq!(util::errno(&second), libc::ECANCELED, "{mode:?}");
            }
        }
    }
}

#[test]
fn a_chain_that_does_not_fit_comes_back_whole_and_leaves_nothing_behind() {
    let mut ring = Mode::Best.ring::<op::Nop, u32>(4, 8).expect("a ring");
    let chain = |ring: &mut uring::Ring<op::Nop, u32>, links: u32| {
        ring.chain(|chain| {
            for link in 0..links {
                chain.then(op::Nop::new(), link);
            }
        })
    };
    // longer than the submission queue: never
    let rejected = chain(&mut ring, 5).expect_err("too long");
    assert!(matches!(rejected.reason, Reason::ChainTooLong { links: 5, max: 4 }));
    assert!(!rejected.is_full());
    let contexts: Vec<_> = rejected.op.iter().map(|(_, ctx)| *ctx).collect();
    assert_eq!(contexts, [0, 1, 2, 3, 4]);
    assert_eq!((ring.in_flight(), ring.submissions_waiting()), (0, 0));
    // more than the table has room for: not now
    for _ in 0..6 {
        ring.submit(op::Nop::new(), 9).expect("room");
    }
    let rejected = chain(&mut ring, 3).expect_err("full");
    assert!(rejected.is_full() && rejected.op.len() == 3);
    assert_eq!(ring.in_flight(), 6);
    chain(&mut ring, 2).expect("two fit");
    for _ in 0..8 {
        util::done(&mut ring).1.expect("a nop");
    }
    assert_eq!(chain(&mut ring, 0).expect("nothing is possible").len(), 0);
    chain(&mut ring, 4).expect("as long as the queue");
    ring.wait(4, None).expect("a wait");
}

/// A descriptor whose owner panics when it is asked for: safe code can do that.
struct Panics<'a>(Option<&'a Fd>);

impl AsFd for Panics<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.unwrap_or_else(|| std::panic::resume_unwind(Box::new("no descriptor"))).as_fd()
    }
}

#[test]
fn a_panic_while_an_operation_is_prepared_submits_nothing_and_leaves_the_ring_usable() {
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<Op, ()>(8, 8) else { continue };
        let (reader, writer) = testing::pipe();
        let (reader, writer) = (Fd::new(reader), Fd::new(writer));
        ring.submit(write(&writer, b"before"), ()).expect("room");
        ring.scope::<op::Write<Panics<'_>, &[u8]>, (), _>(8, |scope| {
            let write = |fd| op::Write::new(Panics(fd), &b"never"[..], Current);
            let one = catch_unwind(AssertUnwindSafe(|| scope.submit(write(None), ())));
            assert!(one.is_err());
            let many = catch_unwind(AssertUnwindSafe(|| {
                scope.chain(|chain| {
                    chain.then(write(Some(&writer)), ());
                    chain.then(write(Some(&writer)), ());
                    chain.then(write(None), ());
                    chain.then(write(Some(&writer)), ());
                })
            }));
            assert!(many.is_err());
            assert_eq!(scope.in_flight(), 0);
        });
        assert_eq!(result(util::done(&mut ring).1).expect("room"), 6, "{mode:?}");
        ring.submit(write(&writer, b" and after"), ()).expect("room");
        result(util::done(&mut ring).1).expect("room");
        assert_eq!(util::read_now(reader.as_fd(), 64).expect("it"), b"before and after");
    }
}

#[test]
fn a_panic_in_the_middle_of_building_a_chain_submits_nothing() {
    let mut ring = util::ring::<Op, ()>();
    let (reader, _writer) = testing::pipe();
    let reader = Fd::new(reader);
    let built = catch_unwind(AssertUnwindSafe(|| {
        ring.chain(|chain| {
            chain.then(scenes::read(&reader, 8), ());
            std::panic::resume_unwind(Box::new("in the middle"));
        })
    }));
    assert!(built.is_err());
    assert_eq!((ring.in_flight(), ring.submissions_waiting()), (0, 0));
    assert_eq!(Fd::strong_count(&reader), 1, "the link was dropped");
}
