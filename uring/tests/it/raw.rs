//! The raw door: whole and split, it tells what the kernel says and nothing else.

use std::{
    env,
    ffi::{CStr, CString},
    fs, io,
    os::{fd::AsRawFd, unix::ffi::OsStringExt},
    time::{Duration, Instant},
};

use uring::{Current, RawRing, Sqe};
use uring_sys as sys;

use crate::{scenes, util};

fn ring() -> RawRing {
    RawRing::builder().entries(4).completions(8).build().expect("a ring")
}

fn nop(user_data: u64) -> Sqe {
    Sqe::nop().with_user_data(user_data)
}

#[test]
fn a_full_queue_gives_the_entry_back() {
    let mut ring = ring();
    assert_eq!((ring.entries(), ring.completions_max(), ring.submissions_room()), (4, 8, 4));
    for number in 0..4 {
        ring.push(nop(number)).expect("room");
    }
    let full = ring.push(nop(77)).expect_err("full");
    assert_eq!(full.0.raw().user_data, 77);
    assert_eq!((ring.submissions_waiting(), ring.submissions_room()), (4, 0));
    assert_eq!(ring.submit_and_wait(4).expect("four"), 4);
    ring.push(full.0).expect("room again");
    assert_eq!(ring.submit_and_wait(5).expect("one"), 1);
    let seen: Vec<_> = ring.completions().map(|cqe| cqe.user_data()).collect();
    assert_eq!(seen, [0, 1, 2, 3, 77]);
}

#[test]
fn completions_that_were_not_read_stay() {
    let mut ring = ring();
    for number in 0..4 {
        ring.push(nop(number)).expect("room");
    }
    ring.submit_and_wait(4).expect("four");
    let first: Vec<_> = ring.completions().take(2).map(|cqe| cqe.user_data()).collect();
    assert_eq!((first, ring.completions_ready()), (vec![0, 1], 2));
    // a batch that is forgotten is read all the same, and the kernel learns of it with the next
    let mut forgotten = ring.completions();
    assert_eq!(forgotten.len(), 2);
    assert_eq!(forgotten.next().map(|cqe| cqe.user_data()), Some(2));
    std::mem::forget(forgotten);
    assert_eq!(ring.pop().map(|cqe| cqe.user_data()), Some(3));
    assert!(ring.pop().is_none());
}

#[test]
fn user_data_is_carried_and_never_interpreted() {
    let mut ring = ring();
    let mut numbers = vec![0, 1, u64::from(u32::MAX), 1 << 60, 15 << 60, u64::MAX - 1];
    if ring.features().contains(uring::Features::EXT_ARG) {
        numbers.push(u64::MAX); // before 5.11 it is the ring's own
    }
    for number in numbers {
        ring.push(nop(number)).expect("room");
        ring.wait(1, None).expect("a wait");
        assert_eq!(ring.pop().map(|cqe| cqe.user_data()), Some(number));
    }
}

#[test]
fn the_three_handles_do_what_the_whole_ring_does() {
    let mut ring = ring();
    for round in 0..20 {
        let (mut submitter, mut sq, mut cq) = ring.split();
        for number in 0..4 {
            sq.push(nop(round * 4 + number)).expect("room");
        }
        sq.push(nop(0)).expect_err("full");
        assert_eq!(submitter.submit().expect("nothing was shown"), 0);
        sq.publish();
        assert_eq!(submitter.submit_and_wait(4).expect("four"), 4);
        assert_eq!((sq.waiting(), sq.room(), cq.ready()), (0, 4, 4));
        assert_eq!(cq.pop().map(|cqe| cqe.user_data()), Some(round * 4));
        let rest: Vec<_> = cq.completions().map(|cqe| cqe.user_data()).collect();
        assert_eq!(rest, [round * 4 + 1, round * 4 + 2, round * 4 + 3]);
        // what was pushed last is shown when the handle goes
        sq.push(nop(99)).expect("room");
        drop((submitter, sq, cq));
        ring.submit_and_wait(1).expect("one");
        assert_eq!(ring.pop().map(|cqe| cqe.user_data()), Some(99));
    }
}

#[test]
fn a_timed_wait_of_the_submitter_ends() {
    let mut ring = ring();
    if !ring.features().contains(uring::Features::EXT_ARG) {
        skip!("no timed enter before 5.11");
    }
    let (mut submitter, ..) = ring.split();
    let ended = submitter.submit_and_wait_timeout(1, Duration::from_millis(5));
    assert_eq!(util::errno(&ended), libc::ETIME);
}

#[test]
fn an_entry_prints_and_encodes_what_it_was_told() {
    let (reader, writer) = testing::pipe();
    let mut ring = ring();
    scenes::write(&writer, b"raw");
    let mut buffer = [0_u8; 8];
    // SAFETY: buffer and descriptor stay until the completion is taken below.
    let read = unsafe { Sqe::read(reader.as_raw_fd(), buffer.as_mut_ptr(), 8, Current.into()) };
    let read = read.with_user_data(5).on_worker().linked();
    assert!(format!("{read:?}").contains("READ"), "{read:?}");
    // IOSQE_ASYNC is bit 4, IOSQE_IO_LINK is bit 2
    assert_eq!(read.raw().flags, (1 << 4) | (1 << 2));
    ring.push(read).expect("room");
    ring.push(nop(6).drained()).expect("room");
    ring.submit_and_wait(2).expect("both");
    let cqe = ring.pop().expect("the read");
    assert_eq!((cqe.user_data(), cqe.result().expect("three bytes")), (5, 3));
    assert_eq!(&buffer[..3], b"raw");
    // a short read breaks its chain
    let cqe = ring.pop().expect("the nop");
    assert_eq!((cqe.user_data(), util::errno(&cqe.result())), (6, libc::ECANCELED));
}

/// An open(2) for reading on a worker, and behind it something for a worker that is soon done.
fn open_on_worker(path: &CStr) -> [Sqe; 2] {
    let open = sys::io_uring_sqe {
        opcode: sys::IORING_OP_OPENAT,
        fd: libc::AT_FDCWD,
        addr: u64::try_from(path.as_ptr().expose_provenance()).expect("an address"),
        op_flags: 0, // O_RDONLY
        user_data: 1,
        ..Default::default()
    };
    // SAFETY: the callers keep the path until its completion; there is no descriptor.
    let open = unsafe { Sqe::new(open) };
    [open.on_worker(), nop(2).on_worker()]
}

/// An ASYNC_CANCEL of the entry above.
fn cancel_open() -> Sqe {
    let cancel = sys::io_uring_sqe {
        opcode: sys::IORING_OP_ASYNC_CANCEL,
        addr: 1,
        user_data: 3,
        ..Default::default()
    };
    // SAFETY: `addr` is a number here, and there is no descriptor.
    unsafe { Sqe::new(cancel) }
}

#[test]
fn an_open_that_is_cancelled_while_it_waits_for_a_writer_was_interrupted() {
    let path = env::temp_dir().join(format!("uring-fifo-{}", std::process::id()));
    let name = CString::new(path.clone().into_os_string().into_vec()).expect("no zero in it");
    // SAFETY: the call reads a path.
    let answer = unsafe { libc::mkfifo(name.as_ptr(), 0o600) };
    assert_eq!(answer, 0, "mkfifo: {}", io::Error::last_os_error());
    let mut ring = ring();
    let deadline = Instant::now() + Duration::from_secs(30);
    let error = loop {
        for entry in open_on_worker(&name) {
            ring.push(entry).expect("room");
        }
        // Workers take things in order, so that the open has begun, or is about to.
        ring.submit_and_wait(1).expect("a wait");
        assert_eq!(ring.pop().map(|cqe| cqe.user_data()), Some(2), "nobody writes");
        ring.push(cancel_open()).expect("room");
        ring.submit_and_wait(2).expect("a wait");
        let both: Vec<_> = ring.completions().collect();
        let open = both.iter().find(|cqe| cqe.user_data() == 1).expect("the open");
        let error = open.result().expect_err("nobody writes");
        // about to: it has not begun, and another attempt is due
        if error.raw_os_error() != Some(libc::ECANCELED) {
            break error;
        }
        assert!(Instant::now() < deadline, "never interrupted, always cancelled before");
    };
    fs::remove_file(&path).expect("it was there");
    assert_eq!(error.raw_os_error(), Some(libc::EINTR), "{error}");
}

#[test]
fn success_can_be_silent() {
    let mut ring = ring();
    if !ring.features().contains(uring::Features::CQE_SKIP) {
        skip!("no silent success before 5.17");
    }
    ring.push(nop(1).skip_success()).expect("room");
    ring.push(nop(2)).expect("room");
    ring.submit_and_wait(1).expect("one");
    let seen: Vec<_> = ring.completions().map(|cqe| cqe.user_data()).collect();
    assert_eq!(seen, [2]);
}

/// The release of the running kernel, as uname(2) has it: what is expected of it is in its history,
/// while the ladder itself never looks.
fn kernel() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("procfs");
    let mut numbers = release.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[test]
fn the_ladder_stops_at_the_step_that_the_kernel_has() {
    // the bits of io_uring_setup(2): CQSIZE 3, SUBMIT_ALL 7, COOP_TASKRUN 8, TASKRUN_FLAG 9,
    // SINGLE_ISSUER 12, DEFER_TASKRUN 13, NO_SQARRAY 16
    let expected = match kernel() {
        (7.., _) | (6, 6..) => 0x1_3288,
        (6, 1..) => 0x3288,
        (6, 0) | (5, 19..) => 0x388,
        _ => 0x8,
    };
    let ring = RawRing::builder().entries(8).completions(16).build().expect("a ring");
    assert_eq!(ring.setup_flags().bits(), expected, "{:?}", ring.setup_flags());
}

#[test]
fn what_was_popped_from_a_split_ring_does_not_end_the_next_wait() {
    let mut ring = uring::RawRing::builder().entries(8).build().expect("a ring");
    if !ring.features().contains(uring::Features::EXT_ARG) {
        skip!("no time limit in an enter before Linux 5.11");
    }
    let (mut submitter, mut queue, mut completions) = ring.split();
    for number in 0..20 {
        queue.push(uring::Sqe::nop().with_user_data(number)).expect("room");
        queue.publish();
        submitter.submit_and_wait(1).expect("a wait");
        assert_eq!(completions.pop().map(|cqe| cqe.user_data()), Some(number));
        let began = Instant::now();
        let limit = Duration::from_millis(5);
        let result = submitter.submit_and_wait_timeout(1, limit);
        assert_eq!(util::errno(&result), libc::ETIME, "nothing is there to be waited for");
        assert!(began.elapsed() >= limit);
    }
    // also for who forgets what he read
    queue.push(uring::Sqe::nop()).expect("room");
    queue.publish();
    submitter.submit_and_wait(1).expect("a wait");
    let mut batch = completions.completions();
    batch.next().expect("it is there");
    std::mem::forget(batch);
    let result = submitter.submit_and_wait_timeout(1, Duration::from_millis(5));
    assert_eq!(util::errno(&result), libc::ETIME);
}
