//! Sizes from nothing to too much: each is taken, or refused by an error that names it.

use std::time::{Duration, Instant};

use uring::{Event, RawRing, Reason, Ring, Sqe, Unavailable, op};

use crate::util::{self, Mode};

#[test]
fn a_wait_for_more_than_the_queue_holds_comes_back_with_as_many() {
    for mode in Mode::ALL {
        let sizes = Ring::<op::Timeout, u64>::builder().entries(8).completions(16).operations(100);
        let ring = match mode {
            Mode::Best => sizes.build(),
            Mode::Plain => sizes.flags(uring::SetupFlags::empty()).build(),
            Mode::Coop | Mode::Thread => continue,
        };
        let mut ring = ring.expect("a ring");
        for number in 0..100 {
            let time = Duration::from_millis(1 + number % 20);
            ring.submit(op::Timeout::new(time), number).expect("room");
        }
        assert!(ring.wait(100, None).expect("a wait") >= 100, "{mode:?}");
        let mut seen = [false; 100];
        while let Some(event) = ring.next() {
            let Event::Done { ctx, .. } = event else { panic!("an end") };
            assert!(!std::mem::replace(&mut seen[usize::try_from(ctx).expect("small")], true));
        }
        assert_eq!(seen, [true; 100], "{mode:?}: without another wait");
        // and in a scope
        ring.scope::<op::Timeout, (), _>(100, |scope| {
            for _ in 0..100 {
                scope.submit(op::Timeout::new(Duration::from_millis(2)), ()).expect("room");
            }
            assert!(scope.wait(100, None).expect("a wait") >= 100, "{mode:?}");
            for _ in 0..100 {
                scope.next().expect("it is there");
            }
        });
    }
}

#[test]
fn completions_that_were_read_and_forgotten_do_not_make_a_wait_spin() {
    let mut raw = RawRing::builder().entries(8).completions(16).build().expect("a ring");
    for read in [1, 3, 8] {
        for _ in 0..8 {
            raw.push(Sqe::nop()).expect("room");
        }
        raw.submit_and_wait(8).expect("a wait");
        let mut completions = raw.completions();
        for _ in 0..read {
            completions.next().expect("it is there");
        }
        std::mem::forget(completions);
        assert_eq!(raw.completions_ready(), 8 - read, "what was read is read");
        let before = raw.enters();
        let until = Instant::now() + Duration::from_millis(100);
        let ready = raw.wait(9 - read, Some(until)).expect("a wait");
        assert_eq!(ready, 8 - read);
        assert!(Instant::now() >= until, "it waited");
        assert!(raw.enters() - before <= 3, "{} enters", raw.enters() - before);
        assert_eq!(raw.completions().count(), 8 - read as usize);
    }
}

#[test]
fn sizes_of_a_ring_are_taken_cut_or_refused_by_name() {
    let max = u32::MAX;
    for (entries, completions) in [(max, max), (1, max), (32_768, max), (40_000, 70_000)] {
        // cut, or out of memory, which is said with the sizes
        match RawRing::builder().entries(entries).completions(completions).clamp().build() {
            Ok(ring) => {
                assert!(ring.entries() <= 32_768 && ring.completions_max() <= 65_536);
            }
            Err(error) => assert!(error.to_string().contains(&entries.to_string()), "{error}"),
        }
        let refused = RawRing::builder().entries(entries).completions(completions).build();
        let text = refused.expect_err("more than the kernel takes").to_string();
        assert!(text.contains(&completions.to_string()), "{text}");
    }
    let few = RawRing::builder().completions(4).entries(max).clamp().build();
    let text = few.expect_err("too few").to_string();
    assert!(text.contains("fewer completions than entries"), "{text}");

    for operations in [max, max - 1] {
        let error = Ring::<op::Nop>::builder().operations(operations).build();
        let error = error.expect_err("no numbers for so many");
        let Unavailable::TooManyOperations { operations: told } = error.reason else {
            panic!("{error}")
        };
        assert_eq!(told, operations);
        assert!(error.to_string().contains(&operations.to_string()), "{error}");
    }
    // 128 GiB of arrays of 32 MiB
    type Large = op::Recv<std::net::UdpSocket, [u8; 1 << 25]>;
    let error = Ring::<Large>::builder().operations(max - 2).build().expect_err("no memory");
    assert!(matches!(error.reason, Unavailable::TooManyOperations { .. }), "{error}");
}

#[test]
fn a_ring_for_no_operations_gives_each_back_and_still_runs() {
    let mut ring = Ring::<op::Nop, u8>::builder().operations(0).build().expect("a ring");
    let rejected = ring.submit(op::Nop::new(), 7).expect_err("no room ever");
    assert!(matches!(rejected.reason, Reason::Full { capacity: 0 }) && rejected.ctx == 7);
    ring.chain(|chain| {
        chain.then(op::Nop::new(), 1);
    })
    .expect_err("no room ever");
    assert_eq!(ring.chain(|_| {}).expect("nothing is asked").len(), 0);
    ring.run(op::Nop::new()).expect("has a place of its own");
    assert!(ring.next().is_none());
}

#[test]
fn a_scope_of_any_size_is_entered_and_says_why_it_takes_nothing() {
    let mut ring = util::ring::<op::Nop, ()>();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
    for (capacity, word) in [(u32::MAX, "4294967295"), (u32::MAX - 300, "4294966995")] {
        ring.scope::<op::Recv<&std::net::UdpSocket, [u8; 1 << 16]>, (), _>(capacity, |scope| {
            let operation = op::Recv::new(&socket, [0; 1 << 16]);
            let rejected = scope.submit(operation, ()).expect_err("no memory for so many");
            let text = rejected.to_string();
            assert!(text.contains(word), "{text}");
            let Reason::TooMany { operations } = rejected.reason else { panic!("{text}") };
            assert_eq!(operations, capacity);
            assert_eq!(scope.wait(0, None).expect("a wait"), 0);
            assert_eq!(scope.in_flight(), 0);
        });
    }
    ring.scope::<op::Nop, (), _>(0, |scope| {
        let rejected = scope.submit(op::Nop::new(), ()).expect_err("none was asked for");
        assert!(matches!(rejected.reason, Reason::Full { capacity: 0 }));
    });
    ring.run(op::Nop::new()).expect("the ring goes on");
}
