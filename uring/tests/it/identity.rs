//! An operation is named by its ring, its place and its turn: with another ring the name means
//! nothing.

use std::{io, time::Duration};

use uring::{AnyOperation, Operation, Reason, op};

use crate::util;

fn hour() -> op::Timeout {
    op::Timeout::new(Duration::from_secs(3600))
}

uring::operations! {
    enum Op, OpItem, OpOutput { Timeout(op::Timeout), Cancel(op::Cancel) }
}

#[test]
fn an_operation_of_another_ring_is_not_cancelled_by_its_namesake() {
    let (mut a, mut b) = (util::ring::<op::Timeout, ()>(), util::ring::<op::Timeout, ()>());
    let of_a = a.submit(hour(), ()).expect("room");
    let of_b = b.submit(hour(), ()).expect("room");
    // the kernel is told the same of both
    assert_eq!(of_a.user_data(), of_b.user_data());
    assert_ne!(of_a, of_b);
    assert_ne!(of_a.ring(), of_b.ring());
    assert!(a.is_live(of_a) && b.is_live(of_b));
    assert!(!a.is_live(of_b) && !b.is_live(of_a));
    let error = b.cancel(of_a).expect_err("it is not b's");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("another ring"), "{error}");
    b.wait(0, None).expect("a wait");
    b.run(op::Timeout::new(Duration::from_millis(5))).expect("time passes");
    assert!(b.next().is_none() && b.is_live(of_b), "it goes on");
    // nor by a scope of the other ring
    b.scope::<op::Timeout, (), _>(1, |scope| {
        let error = scope.cancel(of_a).expect_err("it is not b's");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        scope.cancel(of_b).expect("not of the scope, but of its ring: nothing is asked");
    });
    assert!(b.is_live(of_b));
}

#[test]
fn a_cancel_operation_goes_to_the_ring_of_what_it_cancels_and_to_no_other() {
    let (mut a, mut b) = (util::ring::<Op, ()>(), util::ring::<Op, ()>());
    let of_a = a.submit(hour().into(), ()).expect("room");
    let of_b = b.submit(hour().into(), ()).expect("room");
    let rejected = b.submit(op::Cancel::one(of_a).into(), ()).expect_err("it is not b's");
    assert!(matches!(rejected.reason, Reason::OtherRing));
    let rejected = b.chain(|chain| {
        chain.then(hour().into(), ()).then(op::Cancel::one(of_a).into(), ());
    });
    assert!(matches!(rejected.expect_err("one link is not b's").reason, Reason::OtherRing));
    let refused = |result: io::Result<u32>| {
        assert_eq!(result.expect_err("it is not b's").kind(), io::ErrorKind::InvalidInput);
    };
    refused(b.run(op::Cancel::one(of_a)));
    refused(b.run(op::Cancel::one(of_a).on_worker()));
    let mut told = None;
    b.run(AnyOperation::with(op::Cancel::one(of_a), |result| told = Some(result)));
    refused(told.expect("the closure is called"));
    assert!(b.is_live(of_b) && b.in_flight() == 1);
    assert_eq!(b.run(op::Cancel::one(of_b)).expect("its own"), 1);
    assert_eq!(a.run(op::Cancel::one(of_a)).expect("its own"), 1);
}

#[test]
fn a_name_dies_with_its_operation_and_with_its_ring() {
    let mut ring = util::ring::<op::Timeout, ()>();
    let id = ring.submit(op::Timeout::new(Duration::ZERO), ()).expect("room");
    util::done(&mut ring).1.expect("time is up");
    let next = ring.submit(hour(), ()).expect("room");
    assert!(!ring.is_live(id) && ring.is_live(next));
    ring.cancel(id).expect("it has ended, which is no error");
    ring.run(op::Timeout::new(Duration::from_millis(5))).expect("time passes");
    assert!(ring.is_live(next), "the one that has its place now goes on");
    drop(ring);
    let mut later = util::ring::<op::Timeout, ()>();
    let namesake = later.submit(hour(), ()).expect("room");
    assert!(later.cancel(id).is_err() && later.cancel(next).is_err());
    assert!(later.is_live(namesake));
}
