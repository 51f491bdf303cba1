//! Completions that belong to nothing: ignored, and counted.

use std::{
    os::fd::{AsFd, AsRawFd},
    time::Duration,
};

use uring::{OpCode, OpId, Operation, RawRing, Ring, Sqe, op};

use crate::util::{self, Happened, Mode};

/// The header's number of the opcode.
const MSG_RING: u8 = 40;

/// Makes the kernel post a completion with this `user_data` to `ring`, as any other ring of the
/// process could that pushes entries by hand.
fn forge<O: Operation + 'static, C: 'static>(ring: &Ring<O, C>, user_data: u64, res: u32) {
    let mut forger = RawRing::builder().entries(4).completions(8).build().expect("a ring");
    let mut entry = Sqe::nop();
    // SAFETY: an entry without pointers, to a ring that is open. What it posts there may break the
    // rules of that ring: each caller says why it does not.
    let raw = unsafe { entry.raw_mut() };
    raw.opcode = MSG_RING;
    raw.fd = ring.as_fd().as_raw_fd();
    raw.len = res;
    raw.off = user_data;
    forger.push(entry).expect("room");
    forger.submit_and_wait(1).expect("the kernel takes it");
    let answer = forger.pop().expect("an answer").result();
    answer.expect("the message is sent");
}

macro_rules! needs_messages {
    () => {
        if !util::has(OpCode::MSG_RING) {
            skip!("no messages between rings before 5.18");
        }
    };
}

/// Lets the ring read what was forged.
fn settle(ring: &mut Ring<op::Timeout>) {
    ring.run(op::Timeout::new(Duration::from_millis(1))).expect("time passes");
    assert!(ring.next().is_none(), "nothing has happened");
}

fn hour() -> op::Timeout {
    op::Timeout::new(Duration::from_secs(3600))
}

#[test]
fn completions_of_other_classes_and_of_no_operation_are_ignored_and_counted() {
    needs_messages!();
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Timeout, ()>(8, 4) else { continue };
        let live = ring.submit(hour(), ()).expect("room");
        ring.wait(0, None).expect("the kernel takes it");
        let live_data = live.user_data();
        let place = live_data & 0xffff_ffff;
        #[rustfmt::skip]
        let forged = [
            0,                            // what users of liburing leave it at
            42,                           // a small number
            0x7fff_ffff_f000,             // a pointer
            live_data ^ (1 << 60),        // the live operation, but class 0
            live_data ^ (3 << 60),        // class 2
            live_data + (1 << 32),        // the place's next generation
            0x1fff_ffff_0000_0000 | place, // the last one
            live_data + 3,                // a free place
            live_data + 4,                // a place beyond the table
            0x1000_0000_ffff_ffff,        // far beyond
        ];
        for (count, user_data) in (1..).zip(forged) {
            forge(&ring, user_data, 7);
            settle(&mut ring);
            assert_eq!(ring.stats().stale, count, "{mode:?}: {user_data:#x}");
            assert!(ring.is_live(live));
        }
        ring.cancel(live).expect("room");
        let (id, result) = util::done(&mut ring);
        assert_eq!((id, util::errno(&result)), (live, libc::ECANCELED), "{mode:?}");
    }
}

#[test]
fn late_and_duplicate_completions_of_an_operation_are_ignored_and_counted() {
    needs_messages!();
    let mut ring = util::ring::<op::Timeout, ()>();
    let ended: Vec<OpId> = (0..10)
        .map(|_| {
            ring.submit(op::Timeout::new(Duration::ZERO), ()).expect("room");
            util::done(&mut ring).0
        })
        .collect();
    let live = ring.submit(hour(), ()).expect("room");
    assert!(!ended.contains(&live), "no name is used twice");
    for (count, id) in (1..).zip(&ended) {
        forge(&ring, id.user_data(), 0);
        settle(&mut ring);
        assert_eq!(ring.stats().stale, count);
    }
    assert_eq!(ring.in_flight(), 1);
}

#[test]
fn names_are_not_used_again_by_scopes_of_any_size() {
    needs_messages!();
    let mut ring = util::ring::<op::Timeout, ()>();
    let mut seen = std::collections::HashSet::new();
    for capacity in [1, 0, 3, 1, 0, 0, 2, 1] {
        ring.scope::<op::Nop, (), _>(capacity, |scope| {
            for _ in 0..2 * capacity {
                let id = scope.submit(op::Nop::new(), ()).expect("room");
                assert!(seen.insert(id), "{id:?} was used before");
                scope.wait(1, None).expect("a wait");
                assert!(scope.next().is_some());
            }
        });
    }
    // what a scope meets and is nobody's is told to the ring
    for id in seen {
        forge(&ring, id.user_data(), 0);
    }
    settle(&mut ring);
    assert_eq!(ring.stats().stale, 16);
}

/// The reason why whatever can post a chosen `user_data` must stay unsafe: a forged name of a live
/// operation ends it, as far as the ring can tell, and the kernel does not know. Here that is
/// harmless, because the kernel has no pointer into a timeout any more.
#[test]
fn a_forged_name_of_a_live_operation_is_believed_and_its_real_completion_is_stale() {
    needs_messages!();
    let mut ring = util::ring::<op::Timeout, ()>();
    let live = ring.submit(op::Timeout::new(Duration::from_millis(50)), ()).expect("room");
    ring.wait(0, None).expect("the kernel takes it");
    forge(&ring, live.user_data(), 0);
    let Happened::Done(id, (), result) = util::next(&mut ring) else { panic!("it ended") };
    assert_eq!(id, live);
    result.expect("what the forger said");
    assert_eq!((ring.in_flight(), ring.stats().stale), (0, 0));
    ring.run(op::Timeout::new(Duration::from_millis(100))).expect("time passes");
    assert!(ring.next().is_none());
    assert_eq!(ring.stats().stale, 1, "the real one");
}

#[test]
fn the_answers_to_cancels_are_never_seen() {
    let mut ring = util::ring::<op::Timeout, ()>();
    for _ in 0..10 {
        let id = ring.submit(hour(), ()).expect("room");
        for _ in 0..3 {
            ring.cancel(id).expect("room");
        }
        util::done(&mut ring).1.expect_err("cancelled");
        settle(&mut ring);
    }
    assert_eq!(ring.stats().stale, 0);
}
