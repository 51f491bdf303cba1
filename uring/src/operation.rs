//! What every operation is: a value that owns its operands until the terminal completion.

use std::{any::Any, fmt};

use crate::{Cqe, RingId, Sqe, SqeFlags};

/// An operation: its operands, how it is encoded, and what its completions mean.
///
/// Implement it by [`operations!`](crate::operations) for a choice of operations; implementing it
/// by hand is for opcodes that this crate does not have.
///
/// # Safety
///
/// - Pointers that `prepare` writes into the entry stay valid, for what the kernel does with them,
///   while the value is neither moved nor touched; likewise its descriptors stay open.
/// - `prepare` sets neither `user_data` nor `CQE_SKIP_SUCCESS`: each operation ends in exactly one
///   completion without `MORE`.
/// - `item` touches nothing that the kernel may still write.
/// - [`ring`](Self::ring) names the ring whose pools, files or buffers `prepare` refers to.
pub unsafe trait Operation {
    /// What a completion with [`MORE`](crate::CqeFlags::MORE) yields: an accepted descriptor, a
    /// received buffer, the byte count of a zero-copy send.
    type Item;
    /// What the terminal completion yields, the resources included.
    type Output;

    /// Writes the entry. Called once, after the value sits where it stays.
    ///
    /// # Safety
    ///
    /// The entry is never submitted; or until its terminal completion is handed to
    /// [`finish`](Self::finish) the value is neither moved, dropped nor touched, but by
    /// [`item`](Self::item).
    unsafe fn prepare(&mut self, sqe: &mut Sqe);

    /// Turns a completion with `MORE` into what it brought.
    ///
    /// # Safety
    ///
    /// `cqe` is a completion of this operation, with `MORE`, and is passed once: it may carry a
    /// descriptor or a buffer, of which the result becomes the owner.
    unsafe fn item(&mut self, cqe: Cqe) -> Self::Item;

    /// Turns the terminal completion into the result, and gives the resources back.
    ///
    /// # Safety
    ///
    /// `cqe` is the completion of this operation without `MORE`; or the kernel has never seen the
    /// operation, and `cqe` carries an error and no flags.
    unsafe fn finish(self, cqe: Cqe) -> Self::Output;

    /// The one ring that the operation can be submitted to, if there is only one.
    fn ring(&self) -> Option<RingId> {
        None
    }

    /// What the operation yields if it is not submitted at all: its resources, and an error.
    ///
    /// `errno` is positive; see [`errno(3)`](https://man7.org/linux/man-pages/man3/errno.3.html).
    fn refuse(self, errno: i32) -> Self::Output
    where
        Self: Sized,
    {
        // SAFETY: the kernel has never seen the operation: the caller owns it.
        unsafe { self.finish(Cqe::refused(errno)) }
    }

    /// Runs the operation on a worker thread from the start, instead of trying it first.
    ///
    /// For operations that are known to block, such as uncached reads of a slow disk: it keeps the
    /// submitting thread free. Since Linux 5.6.
    #[doc(alias = "IOSQE_ASYNC")]
    fn on_worker(self) -> OnWorker<Self>
    where
        Self: Sized,
    {
        OnWorker(self)
    }
}

/// An operation that runs on a worker thread from the start: see [`Operation::on_worker`].
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Clone, Copy, Debug)]
pub struct OnWorker<O>(O);

// SAFETY: everything is the inner operation's; the flag changes only where it runs.
unsafe impl<O: Operation> Operation for OnWorker<O> {
    type Item = O::Item;
    type Output = O::Output;

    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        // SAFETY: the caller's contract is this call's.
        unsafe { self.0.prepare(sqe) };
        sqe.add_flags(SqeFlags::ASYNC);
    }

    unsafe fn item(&mut self, cqe: Cqe) -> Self::Item {
        // SAFETY: the caller's contract is this call's.
        unsafe { self.0.item(cqe) }
    }

    unsafe fn finish(self, cqe: Cqe) -> Self::Output {
        // SAFETY: the caller's contract is this call's.
        unsafe { self.0.finish(cqe) }
    }

    fn ring(&self) -> Option<RingId> {
        self.0.ring()
    }
}

/// Any operation, boxed: for scripts, and where the choice is open.
///
/// Its results are boxed too, and are taken out with [`AnyOutput::downcast`] by naming the
/// operation.
///
/// ```
/// use uring::{AnyOperation, Event, Ring, op};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring: Ring<AnyOperation> = Ring::builder().build()?;
/// ring.submit(AnyOperation::new(op::Nop::new()), ())?;
/// ring.wait(1, None)?;
/// if let Some(Event::Done { output, .. }) = ring.next() {
///     output.downcast::<op::Nop>().expect("it was a nop")?;
/// }
/// # Ok(()) }
/// ```
pub struct AnyOperation(Box<dyn Erased>);

impl AnyOperation {
    /// Boxes an operation.
    pub fn new<O: Operation<Item: 'static, Output: 'static> + 'static>(op: O) -> Self {
        Self(Box::new(op))
    }
}

impl fmt::Debug for AnyOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyOperation")
    }
}

/// What an [`AnyOperation`] yielded before its end.
#[derive(Debug)]
pub struct AnyItem(Box<dyn Any>);

/// What an [`AnyOperation`] yielded at its end.
#[derive(Debug)]
pub struct AnyOutput(Box<dyn Any>);

impl AnyItem {
    /// The item of an operation of type `O`.
    ///
    /// # Errors
    ///
    /// Gives the value back if the operation was of another type.
    pub fn downcast<O: Operation<Item: 'static>>(self) -> Result<O::Item, Self> {
        self.0.downcast().map(|item| *item).map_err(Self)
    }
}

impl AnyOutput {
    /// The output of an operation of type `O`.
    ///
    /// # Errors
    ///
    /// Gives the value back if the operation was of another type.
    pub fn downcast<O: Operation<Output: 'static>>(self) -> Result<O::Output, Self> {
        self.0.downcast().map(|output| *output).map_err(Self)
    }
}

/// [`Operation`] without its types.
trait Erased {
    /// # Safety
    ///
    /// As [`Operation::prepare`].
    unsafe fn prepare(&mut self, sqe: &mut Sqe);
    /// # Safety
    ///
    /// As [`Operation::item`].
    unsafe fn item(&mut self, cqe: Cqe) -> Box<dyn Any>;
    /// # Safety
    ///
    /// As [`Operation::finish`].
    unsafe fn finish(self: Box<Self>, cqe: Cqe) -> Box<dyn Any>;
    fn ring(&self) -> Option<RingId>;
}

impl<O: Operation<Item: 'static, Output: 'static>> Erased for O {
    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        // SAFETY: the caller's contract is this call's.
        unsafe { Operation::prepare(self, sqe) };
    }

    unsafe fn item(&mut self, cqe: Cqe) -> Box<dyn Any> {
        // SAFETY: the caller's contract is this call's.
        Box::new(unsafe { Operation::item(self, cqe) })
    }

    unsafe fn finish(self: Box<Self>, cqe: Cqe) -> Box<dyn Any> {
        // SAFETY: the caller's contract is this call's.
        Box::new(unsafe { Operation::finish(*self, cqe) })
    }

    fn ring(&self) -> Option<RingId> {
        Operation::ring(self)
    }
}

// SAFETY: everything is the inner operation's, which stays in its box until `finish`.
unsafe impl Operation for AnyOperation {
    type Item = AnyItem;
    type Output = AnyOutput;

    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        // SAFETY: the caller's contract is this call's; the operation stays in its box.
        unsafe { self.0.prepare(sqe) };
    }

    unsafe fn item(&mut self, cqe: Cqe) -> AnyItem {
        // SAFETY: the caller's contract is this call's.
        AnyItem(unsafe { self.0.item(cqe) })
    }

    unsafe fn finish(self, cqe: Cqe) -> AnyOutput {
        // SAFETY: the caller's contract is this call's.
        AnyOutput(unsafe { self.0.finish(cqe) })
    }

    fn ring(&self) -> Option<RingId> {
        self.0.ring()
    }
}
