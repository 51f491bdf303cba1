//! An operation that does not start in the thread that submits it.

use std::io;

use super::Operation;
use crate::abi::{
    cqe::Cqe,
    sqe::{Sqe, SqeFlags},
    token::RingId,
};

/// An operation that runs on a worker thread from the start: see [`Operation::on_worker`].
///
/// ```
/// use std::fs::File;
/// use uring::{Current, OnWorker, Operation, Ring, op::Read};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring: Ring<OnWorker<Read<File, Vec<u8>>>> = Ring::builder().build()?;
/// let terminal = File::open("/dev/zero")?; // let it be a terminal, which keeps readers waiting
/// ring.submit(Read::new(terminal, Vec::with_capacity(16), Current).on_worker(), ())?;
/// ring.wait(1, None)?; // a worker reads; this thread only waits for it
/// assert!(ring.next().is_some());
/// # Ok(()) }
/// ```
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Clone, Copy, Debug)]
pub struct OnWorker<O>(O);

impl<O> OnWorker<O> {
    pub(crate) const fn new(op: O) -> Self {
        Self(op)
    }
}

// SAFETY: everything is the inner operation's; the flag changes only where it runs.
unsafe impl<O: Operation> Operation for OnWorker<O> {
    type Item = O::Item;
    type Output = O::Output;

    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        // SAFETY: the caller's contract is this call's.
        unsafe { self.0.prepare(sqe) };
        sqe.add_flags(SqeFlags::ASYNC);
    }

    unsafe fn item(this: *mut Self, cqe: Cqe) -> Self::Item {
        // SAFETY: `this` points to an operation, so to a place that holds the inner one.
        let inner = unsafe { &raw mut (*this).0 };
        // SAFETY: the caller's contract, of the one, is this call's, of the other.
        unsafe { O::item(inner, cqe) }
    }

    unsafe fn finish(self, cqe: Cqe) -> Self::Output {
        // SAFETY: the caller's contract is this call's.
        unsafe { self.0.finish(cqe) }
    }

    fn refuse(self, error: io::Error) -> Self::Output {
        self.0.refuse(error)
    }

    fn ring(&self) -> Option<RingId> {
        self.0.ring()
    }
}
