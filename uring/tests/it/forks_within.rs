//! Forks in the middle of what a ring does: in what it drops and calls.

use std::{
    io::Write as _,
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::{Duration, Instant},
};

use uring::{Cqe, Operation, RingId, Sqe, op};

use crate::{
    forks::is_not_ours,
    scenes::{self, Op},
    util::{self, Fd, Mode},
};

/// Receives, and forks each time that something it yielded is dropped.
struct RecvAndFork(op::RecvMulti<UnixStream>);

/// Forks where it is dropped.
struct ForkAtDrop;

/// What the last drop of a [`ForkAtDrop`] in this process has forked; 0 in the child itself.
static CHILD: AtomicI32 = AtomicI32::new(-1);

impl Drop for ForkAtDrop {
    fn drop(&mut self) {
        // SAFETY: the child goes on with this thread alone, and exits without destructors.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: the call takes a number.
            unsafe { libc::alarm(20) };
        }
        CHILD.store(child, Ordering::SeqCst);
    }
}

// SAFETY: everything is the inner operation's.
unsafe impl Operation for RecvAndFork {
    type Item = ForkAtDrop;
    type Output = <op::RecvMulti<UnixStream> as Operation>::Output;

    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        // SAFETY: the caller's contract is this call's.
        unsafe { self.0.prepare(sqe) };
    }

    unsafe fn item(this: *mut Self, cqe: Cqe) -> ForkAtDrop {
        // SAFETY: `this` points to an operation, so to a place that holds the inner one.
        let inner = unsafe { &raw mut (*this).0 };
        // SAFETY: the caller's contract is this call's.
        drop(unsafe { op::RecvMulti::item(inner, cqe) });
        ForkAtDrop
    }

    unsafe fn finish(self, cqe: Cqe) -> Self::Output {
        // SAFETY: the caller's contract is this call's.
        unsafe { self.0.finish(cqe) }
    }

    fn refuse(self, error: std::io::Error) -> Self::Output {
        self.0.refuse(error)
    }

    fn ring(&self) -> Option<RingId> {
        self.0.ring()
    }
}

/// What a child that was forked in the middle of something does at its end, and what its parent
/// does: `body` looks whether all is well in the child.
#[track_caller]
fn end_in_child(body: impl FnOnce()) {
    let child = CHILD.swap(-1, Ordering::SeqCst);
    assert!(child >= 0, "it has forked");
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
fn a_child_that_is_born_while_an_operation_runs_gets_it_back() {
    isolated!();
    if !util::has_multishot_recv() {
        skip!("no multishot receive before 6.0");
    }
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Nop, ()>(8, 8) else { continue };
        let pool = ring.pool(4, 64).expect("a pool");
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        theirs.write_all(b"an item").expect("room");
        drop(theirs); // and the end
        let (result, _ours) = ring.run(RecvAndFork(op::RecvMulti::new(ours, &pool)));
        end_in_child(|| {
            is_not_ours(&result);
            is_not_ours(&ring.run(op::Nop::new()));
        });
        assert!(matches!(result, Ok(None)), "{mode:?}: {result:?}");
    }
}

#[test]
fn a_child_that_is_born_while_a_scope_or_a_ring_ends_leaves_at_once() {
    isolated!();
    /// In time for the child, which would wait for five seconds.
    const SOON: Duration = Duration::from_secs(4);
    for mode in Mode::ALL {
        let Some(mut ring) = mode.ring::<op::Nop, ()>(8, 8) else { continue };
        let (ours, _theirs) = UnixStream::pair().expect("a pair");
        let mut buffers = [[0; 4]; 2];
        let [first, second] = &mut buffers;
        let begun = Instant::now();
        ring.scope(2, |scope| {
            let read = |buffer| op::Read::new(&ours, buffer, uring::Current);
            scope.submit(read(&mut first[..]), Some(ForkAtDrop)).expect("room");
            scope.submit(read(&mut second[..]), None).expect("room");
            scope.wait(0, None).expect("the kernel takes them");
        });
        end_in_child(|| {
            assert!(begun.elapsed() < SOON, "{mode:?}");
            is_not_ours(&ring.run(op::Nop::new()));
        });
        ring.run(op::Nop::new()).expect("the parent's works");

        let ours: Fd = Arc::new(ours.into());
        let mut ring = mode.ring::<Op, Option<ForkAtDrop>>(8, 8).expect("as before");
        ring.submit(scenes::read(&ours, 4), Some(ForkAtDrop)).expect("room");
        ring.submit(scenes::read(&ours, 4), None).expect("room");
        ring.wait(0, None).expect("the kernel takes them");
        let begun = Instant::now();
        drop(ring);
        end_in_child(|| assert!(begun.elapsed() < SOON, "{mode:?}"));
        assert_eq!((uring::leaked_operations(), Fd::strong_count(&ours)), (0, 1), "{mode:?}");
    }
}
