//! Cancels: requests, whose target still answers, once.

use std::{io::Write as _, os::fd::AsFd, time::Duration};

use uring::{Current, OpCode, op};

use crate::{
    scenes::{self, Op, Output},
    util::{self, Fd, Mode},
};

#[test]
fn a_cancelled_operation_answers_once_and_gives_its_buffer_back() {
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<Op, ()>(16, 16) else { continue };
        let (reader, _writer) = testing::pipe();
        let reader = Fd::new(reader);
        let mut places = std::collections::HashMap::new();
        let ids = [0; 4].map(|_| {
            let buffer = Vec::with_capacity(100);
            let place = buffer.as_ptr();
            let read = op::Read::new(reader.clone(), buffer, Current);
            let id = ring.submit(read.into(), ()).expect("room");
            places.insert(id, place);
            id
        });
        ring.wait(0, None).expect("the kernel takes them");
        for id in ids.into_iter().chain(ids) {
            ring.cancel(id).expect("room"); // twice: the second finds nothing
        }
        let mut ended = Vec::new();
        for _ in ids {
            let (id, Output::Read((result, _, buffer))) = util::done(&mut ring) else { panic!() };
            assert_eq!(util::errno(&result), libc::ECANCELED, "{mode:?}");
            assert!(buffer.capacity() >= 100 && buffer.is_empty());
            assert_eq!(Some(&buffer.as_ptr()), places.get(&id), "{mode:?}: its own buffer");
            ended.push(id);
        }
        ended.sort_by_key(|id| id.user_data());
        assert_eq!(ended, ids, "{mode:?}: each once");
        assert_eq!(ring.in_flight(), 0);
        ring.cancel(ids[0]).expect("to cancel what has ended is no error");
        assert_eq!(ring.submissions_waiting(), 0, "and asks the kernel nothing");
        assert_eq!(ring.stats().stale, 0, "answers to cancels are no stale completions");
    }
}

#[test]
fn a_read_that_won_against_its_cancel_delivers_its_bytes() {
    for mode in Mode::ALL {
        let (mut won, mut lost) = (0, 0);
        if mode.ring::<Op, ()>(16, 16).is_none() {
            continue;
        }
        for round in 0..testing::rounds(200) {
            let mut ring = mode.ring::<Op, ()>(16, 16).expect("as before");
            let (reader, writer) = testing::pipe();
            let reader = Fd::new(reader);
            let id = ring.submit(scenes::read(&reader, 64), ()).expect("room");
            ring.wait(0, None).expect("the kernel takes it");
            if round % 3 < 2 {
                scenes::write(&writer, b"bytes");
                if round % 3 == 1 {
                    // where tasks run late, the cancel would always be faster
                    ring.wait(1, None).expect("it has been read, and nobody has looked");
                }
                ring.cancel(id).expect("room");
                ring.wait(0, None).expect("the kernel takes it");
            } else {
                ring.cancel(id).expect("room");
                ring.wait(0, None).expect("the kernel takes it");
                scenes::write(&writer, b"bytes");
            }
            let (_, Output::Read((result, _, buffer))) = util::done(&mut ring) else { panic!() };
            // either way the bytes are in exactly one place
            if result.is_ok() {
                assert_eq!(buffer, b"bytes", "{mode:?}");
                let empty = util::read_now(reader.as_fd(), 64);
                assert_eq!(util::errno(&empty), libc::EAGAIN);
                won += 1;
            } else {
                assert_eq!(util::errno(&result), libc::ECANCELED, "{mode:?}");
                assert_eq!(util::read_now(reader.as_fd(), 64).expect("left"), b"bytes");
                lost += 1;
            }
        }
        println!("{mode:?}: {won} won, {lost} lost");
        assert!(won > 0, "{mode:?}: none was faster than its cancel");
        // a submission thread may take the cancel when the bytes are there
        assert!(lost > 0 || mode == Mode::Thread, "{mode:?}: none was cancelled");
    }
}

#[test]
fn the_cancel_operation_says_how_many_it_found() {
    let mut ring = util::ring::<Op, ()>();
    let (reader, _writer) = testing::pipe();
    let reader = Fd::new(reader);
    let id = ring.submit(scenes::read(&reader, 64), ()).expect("room");
    ring.wait(0, None).expect("the kernel takes it");
    assert_eq!(ring.run(op::Cancel::one(id)).expect("found"), 1);
    let (_, Output::Read((result, ..))) = util::done(&mut ring) else { panic!("a read") };
    assert_eq!(util::errno(&result), libc::ECANCELED);
    // errno(3): ENOENT 2
    assert_eq!(util::errno(&ring.run(op::Cancel::one(id))), 2);

    if !util::has(OpCode::SOCKET) {
        skip!("no cancel of all of a descriptor before 5.19");
    }
    for _ in 0..3 {
        ring.submit(scenes::read(&reader, 64), ()).expect("room");
    }
    ring.submit(op::Timeout::new(Duration::from_secs(3600)).into(), ()).expect("room");
    ring.wait(0, None).expect("the kernel takes them");
    assert_eq!(ring.run(op::Cancel::fd(reader.as_fd())).expect("found"), 3);
    for _ in 0..3 {
        let (_, Output::Read((result, ..))) = util::done(&mut ring) else { panic!("a read") };
        assert_eq!(util::errno(&result), libc::ECANCELED);
    }
    assert_eq!(ring.in_flight(), 1, "the timeout has another descriptor: none");
    assert_eq!(ring.run(op::Cancel::any()).expect("found"), 1);
    let (_, Output::Timeout(result)) = util::done(&mut ring) else { panic!("a timeout") };
    assert_eq!(util::errno(&result), libc::ECANCELED);
}

#[test]
fn an_operation_that_was_not_handed_over_yet_can_be_cancelled() {
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<Op, ()>(16, 16) else { continue };
        let (reader, _writer) = testing::pipe();
        let id = ring.submit(scenes::read(&Fd::new(reader), 64), ()).expect("room");
        ring.cancel(id).expect("room");
        let (ended, Output::Read((result, ..))) = util::done(&mut ring) else { panic!() };
        assert_eq!((ended, util::errno(&result)), (id, libc::ECANCELED), "{mode:?}");
    }
}

#[test]
fn cancel_all_ends_what_is_in_flight_and_nothing_later() {
    let mut ring = Mode::Best.ring::<Op, ()>(4, 64).expect("a ring");
    let (reader, writer) = testing::pipe();
    let reader = Fd::new(reader);
    // more than the submission queue holds
    for _ in 0..32 {
        ring.submit(scenes::read(&reader, 64), ()).expect("room");
    }
    ring.cancel_all().expect("the kernel takes them");
    for _ in 0..32 {
        let (_, Output::Read((result, ..))) = util::done(&mut ring) else { panic!() };
        assert_eq!(util::errno(&result), libc::ECANCELED);
    }
    ring.submit(scenes::read(&reader, 64), ()).expect("room");
    util::file(&writer).write_all(b"later").expect("room");
    let (_, Output::Read((result, ..))) = util::done(&mut ring) else { panic!() };
    assert_eq!(result.expect("not cancelled"), 5);
}

#[test]
fn a_cancel_that_was_queued_before_a_scope_is_not_lost_with_it() {
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<Op, ()>(16, 16) else { continue };
        let (reader, _writer) = testing::pipe();
        let reader = Fd::new(reader);
        let id = ring.submit(scenes::read(&reader, 64), ()).expect("room");
        ring.wait(0, None).expect("the kernel takes it");
        ring.cancel(id).expect("room");
        // the scope takes back what it queued, which stands behind the cancel
        ring.scope::<op::Read<Fd, &mut [u8]>, (), _>(1, |scope| {
            let read = op::Read::new(reader.clone(), &mut [][..], Current);
            scope.submit(read, ()).expect("room");
        });
        let (ended, Output::Read((result, ..))) = util::done(&mut ring) else { panic!() };
        assert_eq!((ended, util::errno(&result)), (id, libc::ECANCELED), "{mode:?}");
    }
}
