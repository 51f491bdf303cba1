//! Surroundings in which io_uring is refused, or is scarce, or is somebody else's.

use std::{
    io::Write as _,
    os::{fd::AsRawFd, unix::net::UnixStream},
    sync::Arc,
};

use uring::{Call, RawRing, Ring, SetupError, Unavailable, op};

use crate::{
    refusals,
    scenes::{self, Op, Output},
    util::{self, Fd, Happened, Mode},
};

/// What every way to a ring says.
#[track_caller]
fn refusals() -> Vec<SetupError> {
    vec![
        uring::check().expect_err("refused"),
        RawRing::builder().build().expect_err("refused"),
        Ring::<op::Nop>::builder().build().expect_err("refused"),
        Ring::<op::Nop>::builder().flags(uring::SetupFlags::empty()).build().expect_err("refused"),
    ]
}

#[track_caller]
fn all_refuse(is: fn(&Unavailable) -> bool, fix: &str) {
    for error in refusals() {
        assert!(is(&error.reason), "{error:?}");
        assert!(error.to_string().contains(fix), "{error}");
    }
}

#[test]
fn a_filter_that_comes_after_the_ring_is_an_error_and_neither_a_hang_nor_an_abort() {
    isolated!();
    let mut ring = util::ring::<Op, ()>();
    let (reader, _writer) = testing::pipe();
    let reader = Fd::new(reader);
    ring.submit(scenes::read(&reader, 64), ()).expect("room");
    ring.wait(0, None).expect("the kernel takes it");
    refusals::filter(&[libc::SYS_io_uring_enter], libc::EPERM, true);
    // what the kernel has not seen comes back with the error
    let mut buf = [0; 8];
    let (result, _, _) = ring.run(op::Read::new(&*reader, &mut buf[..], uring::Current));
    assert_eq!(util::errno(&result), libc::EPERM);
    assert_eq!((ring.in_flight(), ring.submissions_waiting()), (1, 0));
    ring.submit(scenes::read(&reader, 64), ()).expect("room");
    let errno = util::errno(&ring.wait(1, None));
    assert_eq!(errno, libc::EPERM);
    let reason = Unavailable::of_call(Call::Enter, errno);
    assert!(reason.to_string().contains("seccomp=unconfined"), "{reason}");
    // what it has seen cannot be had back: it is leaked, and counted
    drop(ring);
    assert_eq!(uring::leaked_operations(), 1);
    assert_eq!(Fd::strong_count(&reader), 2, "only the leaked one holds it");
}

#[test]
fn too_little_locked_memory_is_named_with_what_was_wanted_and_the_limit() {
    isolated!();
    // SAFETY: the call takes no pointer.
    if unsafe { libc::geteuid() } != 0 {
        skip!("only root can become somebody without privileges");
    }
    testing::limit(libc::RLIMIT_MEMLOCK, 4096);
    // SAFETY: the call takes no pointer.
    assert_eq!(unsafe { libc::setresuid(65_534, 65_534, 0) }, 0);
    let ring = Ring::<op::Nop>::builder().build();
    // SAFETY: as above.
    assert_eq!(unsafe { libc::setresuid(0, 0, 0) }, 0);
    let Err(error) = ring else {
        skip!("this kernel does not count rings against RLIMIT_MEMLOCK");
    };
    let Unavailable::Memlock { wanted, limit } = error.reason else { panic!("{error:?}") };
    assert_eq!(limit, 4096);
    // 256 entries of 64 bytes and 4096 completions of 16, at least
    assert!((81_920..200_000).contains(&wanted), "{wanted}");
    assert!(error.to_string().contains("ulimit -l"), "{error}");
    assert!(error.reason.is_transient());
}

#[test]
fn no_free_descriptor_is_named_with_the_fix() {
    isolated!();
    let free = std::fs::File::open("/dev/null").expect("it").as_raw_fd();
    let before = testing::limit(libc::RLIMIT_NOFILE, free.unsigned_abs().into());
    all_refuse(|reason| matches!(reason, Unavailable::NoDescriptor), "ulimit -n");
    testing::limit(libc::RLIMIT_NOFILE, before);
    uring::check().expect("there is room again");
}

#[test]
fn a_variable_turns_it_off_before_anything_is_tried() {
    isolated!();
    // would be seen if anything were tried
    refusals::filter(&[libc::SYS_io_uring_setup], libc::EIO, true);
    // SAFETY: no other thread of this process reads the environment now.
    unsafe { std::env::set_var("URING_DISABLE", "1") };
    all_refuse(|reason| matches!(reason, Unavailable::Disabled), "URING_DISABLE");
    // SAFETY: as above.
    unsafe { std::env::set_var("URING_DISABLE", "0") };
    all_refuse(|reason| matches!(reason, Unavailable::Other(_)), "os error 5");
}

/// Runs `body` in a forked child, and waits for it.
pub(crate) fn forked(body: impl FnOnce()) {
    // SAFETY: the child runs `body`, which uses this thread alone, and exits without destructors.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork");
    if child == 0 {
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
        // SAFETY: the call does not return.
        unsafe { libc::_exit(i32::from(ended.is_err())) };
    }
    let mut status = -1;
    // SAFETY: the call writes one int.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "the child ended well");
}

#[test]
fn a_forked_child_that_drops_its_parents_ring_leaves_the_operations_alone() {
    isolated!();
    for mode in Mode::ALL {
        let Some(ring) = mode.ring::<Op, ()>(8, 16) else { continue };
        let mut ring = Some(ring);
        let (reader, writer) = testing::pipe();
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let ours: Fd = Arc::new(ours.into());
        let (mut pool, mut idle) = (None, None);
        {
            let ring = ring.as_mut().expect("it is here");
            ring.submit(scenes::read(&Fd::new(reader), 64), ()).expect("room");
            if util::has_multishot_recv() {
                pool = Some(ring.pool(4, 64).expect("a pool"));
                idle = Some(ring.pool(4, 64).expect("a pool that no operation holds"));
                let recv = op::RecvMulti::new(ours.clone(), pool.as_ref().expect("made"));
                ring.submit(recv.into(), ()).expect("room");
            }
            ring.wait(0, None).expect("the kernel takes them");
        }
        forked(|| {
            drop(ring.take());
            drop((pool.take(), idle.take()));
        });
        forked(|| {
            drop((pool.take(), idle.take()));
            drop(ring.take());
        });
        let mut ring = ring.expect("the parent's is still here");
        if pool.is_some() {
            for _ in 0..6 {
                theirs.write_all(b"to the pool").expect("room");
                let Happened::Item(_, item) = util::next(&mut ring) else {
                    panic!("{mode:?}: the receive goes on")
                };
                let scenes::Item::RecvMulti(buf) = item else { panic!("a receive") };
                assert_eq!(&buf[..], b"to the pool", "{mode:?}");
            }
        }
        if let Some(idle) = &idle {
            let (ours, mut theirs) = UnixStream::pair().expect("a pair");
            let recv = op::RecvMulti::new(Arc::new(ours.into()), idle);
            ring.submit(recv.into(), ()).expect("room");
            theirs.write_all(b"to the idle pool").expect("room");
            let Happened::Item(_, scenes::Item::RecvMulti(buf)) = util::next(&mut ring) else {
                panic!("{mode:?}: the pool is still the ring's")
            };
            assert_eq!(&buf[..], b"to the idle pool", "{mode:?}");
        }
        scenes::write(&writer, b"to the parent");
        let mut output = util::done(&mut ring).1;
        if matches!(output, Output::RecvMulti(_)) {
            output = util::done(&mut ring).1; // the end of the idle pool's stream, which is closed
        }
        let Output::Read((result, _, buf)) = output else { panic!("a read") };
        assert_eq!(result.expect("not cancelled"), 13);
        assert_eq!(buf, b"to the parent");
    }
}

#[test]
fn a_forked_child_can_have_a_ring_of_its_own() {
    isolated!();
    let mut parents = util::ring::<op::Nop, ()>();
    forked(|| {
        let mut own = util::ring::<op::Nop, ()>();
        own.run(op::Nop::new()).expect("nothing");
    });
    parents.run(op::Nop::new()).expect("nothing");
}

#[test]
fn many_rings_come_and_go() {
    isolated!();
    let before = testing::descriptors();
    for round in 0..testing::rounds(300_u32) {
        let mode = Mode::ALL[round as usize % 3];
        let Some(mut ring) = mode.ring::<op::Nop, ()>(4, 4) else { continue };
        ring.run(op::Nop::new()).expect("nothing");
        uring::check().expect("it is there");
    }
    // more at once than the task's table of registered rings has places
    let mut many: Vec<_> = (0..20).map(|_| util::ring::<op::Nop, ()>()).collect();
    for ring in &mut many {
        ring.run(op::Nop::new()).expect("nothing");
    }
    drop(many);
    assert_eq!(testing::descriptors(), before);
}

#[test]
fn a_ring_of_a_thread_goes_with_its_thread() {
    isolated!();
    thread_local! {
        static RING: std::cell::RefCell<Option<Ring<Op>>> = const { std::cell::RefCell::new(None) };
    }
    let before = testing::descriptors();
    for _ in 0..testing::rounds(20) {
        let (reader, writer) = testing::pipe();
        let reader = Fd::new(reader);
        let kept = reader.clone();
        std::thread::spawn(move || {
            RING.with_borrow_mut(|ring| {
                let ring = ring.insert(util::ring());
                ring.submit(scenes::read(&reader, 64), ()).expect("room");
                ring.wait(0, None).expect("the kernel takes it");
            });
        })
        .join()
        .expect("it ends");
        assert_eq!(Fd::strong_count(&kept), 1, "the operation came back");
        drop(writer);
    }
    assert_eq!(testing::descriptors(), before);
    assert_eq!(uring::leaked_operations(), 0);
}
