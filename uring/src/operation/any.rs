//! One type for all operations.

use std::{any::Any, fmt, io, ptr::NonNull};

use super::Operation;
use crate::abi::{cqe::Cqe, sqe::Sqe, token::RingId};

/// Any operation, boxed: for scripts, and where the choice is open.
///
/// Its results are boxed too, and are taken out with [`AnyOutput::downcast`] by naming the
/// operation; or [`with`](Self::with) hands them to a closure, and then the operation may borrow.
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
///
/// Different operations in one scope, over what the stack has:
///
/// ```
/// use uring::{AnyOperation, At, Ring, op};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring: Ring<op::Nop> = Ring::builder().build()?;
/// let file = std::fs::File::open("/proc/self/exe")?;
/// let (mut magic, mut read, mut slept) = ([0; 4], None, false);
/// ring.scope::<AnyOperation<'_>, (), _>(2, |s| {
///     let head = op::Read::new(&file, &mut magic[..], At(0));
///     s.submit(AnyOperation::with(head, |(result, ..)| read = result.ok()), ())?;
///     let nap = op::Timeout::new(std::time::Duration::from_millis(1));
///     s.submit(AnyOperation::with(nap, |result| slept = result.is_ok()), ())?;
///     while s.in_flight() > 0 {
///         s.wait(1, None)?;
///         while s.next().is_some() {}
///     }
///     Ok::<_, std::io::Error>(())
/// })?;
/// assert_eq!((read, slept, magic), (Some(4), true, *b"\x7fELF"));
/// # Ok(()) }
/// ```
///
/// # What the compiler refuses
///
/// To look at what a closure writes to, while the operation has it:
///
/// ```compile_fail,E0502
/// # use uring::{AnyOperation, Ring, op};
/// # let mut ring: Ring<op::Nop> = Ring::builder().build().unwrap();
/// let mut done = false;
/// ring.scope::<AnyOperation<'_>, (), _>(1, |s| {
///     s.submit(AnyOperation::with(op::Nop::new(), |_| done = true), ()).unwrap();
///     println!("{done}");
/// });
/// ```
///
/// An operation that borrows, in a ring, whose operations may outlive the frame:
///
/// ```compile_fail,E0597
/// # use uring::{AnyOperation, Ring, op};
/// let mut ring: Ring<AnyOperation<'static>> = Ring::builder().build().unwrap();
/// let mut done = false;
/// let told = &mut done;
/// ring.submit(AnyOperation::with(op::Nop::new(), move |_| *told = true), ()).unwrap();
/// ```
pub struct AnyOperation<'a>(Boxed<'a>);

impl AnyOperation<'static> {
    /// Boxes an operation whose output is taken out of [`AnyOutput`].
    pub fn new<O: Operation<Item: 'static, Output: 'static> + 'static>(op: O) -> Self {
        Self(Boxed::new(Plain(op)))
    }
}

impl<'a> AnyOperation<'a> {
    /// Boxes an operation whose output goes to `then`, on the thread of the ring, as soon as the
    /// event of its end is made. What it yields before is dropped. The event carries `()`.
    pub fn with<O: Operation + 'a>(op: O, then: impl FnOnce(O::Output) + 'a) -> Self {
        Self(Boxed::new(Then { op, then }))
    }
}

impl fmt::Debug for AnyOperation<'_> {
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
    /// Gives the value back if the operation was of another type, or made by
    /// [`AnyOperation::with`].
    pub fn downcast<O: Operation<Output: 'static>>(self) -> Result<O::Output, Self> {
        self.0.downcast().map(|output| *output).map_err(Self)
    }
}

/// A box that does not claim to be the only way to its contents, which the kernel may be writing.
struct Boxed<'a> {
    op: NonNull<dyn Erased + 'a>,
    /// [`Erased::item`] of the type that `op` points to: a method would take a reference.
    item: unsafe fn(*mut u8, Cqe) -> Box<dyn Any>,
}

impl<'a> Boxed<'a> {
    fn new<E: Erased + 'a>(op: E) -> Self {
        let op: Box<dyn Erased + 'a> = Box::new(op);
        Self { op: NonNull::from(Box::leak(op)), item: E::item }
    }

    fn into_box(self) -> Box<dyn Erased + 'a> {
        let op = self.op;
        std::mem::forget(self);
        // SAFETY: the pointer came from a box, and with `self` forgotten nobody else frees it.
        unsafe { Box::from_raw(op.as_ptr()) }
    }
}

impl Drop for Boxed<'_> {
    fn drop(&mut self) {
        // SAFETY: the pointer came from a box, and `into_box` forgets the value that it empties. A
        // value is dropped while the kernel does not have the operation.
        drop(unsafe { Box::from_raw(self.op.as_ptr()) });
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
    /// As [`Operation::item`], and `this` points to a `Self`.
    unsafe fn item(this: *mut u8, cqe: Cqe) -> Box<dyn Any>
    where
        Self: Sized;
    /// # Safety
    ///
    /// As [`Operation::finish`].
    unsafe fn finish(self: Box<Self>, cqe: Cqe) -> Box<dyn Any>;
    fn refuse(self: Box<Self>, error: io::Error) -> Box<dyn Any>;
    fn ring(&self) -> Option<RingId>;
}

/// An operation whose results are boxed.
struct Plain<O>(O);

impl<O: Operation<Item: 'static, Output: 'static>> Erased for Plain<O> {
    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        // SAFETY: the caller's contract is this call's.
        unsafe { self.0.prepare(sqe) };
    }

    unsafe fn item(this: *mut u8, cqe: Cqe) -> Box<dyn Any> {
        // SAFETY: `this` points to a `Self`, so to a place that holds the operation.
        let op = unsafe { &raw mut (*this.cast::<Self>()).0 };
        // SAFETY: the caller's contract is this call's.
        Box::new(unsafe { O::item(op, cqe) })
    }

    unsafe fn finish(self: Box<Self>, cqe: Cqe) -> Box<dyn Any> {
        // SAFETY: the caller's contract is this call's.
        Box::new(unsafe { self.0.finish(cqe) })
    }

    fn refuse(self: Box<Self>, error: io::Error) -> Box<dyn Any> {
        Box::new(self.0.refuse(error))
    }

    fn ring(&self) -> Option<RingId> {
        self.0.ring()
    }
}

/// An operation whose output goes to a closure.
struct Then<O, F> {
    op: O,
    then: F,
}

impl<O: Operation, F: FnOnce(O::Output)> Erased for Then<O, F> {
    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        // SAFETY: the caller's contract is this call's.
        unsafe { self.op.prepare(sqe) };
    }

    unsafe fn item(this: *mut u8, cqe: Cqe) -> Box<dyn Any> {
        // SAFETY: `this` points to a `Self`, so to a place that holds the operation.
        let op = unsafe { &raw mut (*this.cast::<Self>()).op };
        // SAFETY: the caller's contract is this call's.
        drop(unsafe { O::item(op, cqe) });
        Box::new(())
    }

    unsafe fn finish(self: Box<Self>, cqe: Cqe) -> Box<dyn Any> {
        let Self { op, then } = *self;
        // SAFETY: the caller's contract is this call's.
        then(unsafe { op.finish(cqe) });
        Box::new(())
    }

    fn refuse(self: Box<Self>, error: io::Error) -> Box<dyn Any> {
        let Self { op, then } = *self;
        then(op.refuse(error));
        Box::new(())
    }

    fn ring(&self) -> Option<RingId> {
        self.op.ring()
    }
}

// SAFETY: everything is the inner operation's, which stays in its box until `finish`.
unsafe impl Operation for AnyOperation<'_> {
    type Item = AnyItem;
    type Output = AnyOutput;

    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        // SAFETY: the box is ours, and the kernel does not have the operation yet.
        let op = unsafe { self.0.op.as_mut() };
        // SAFETY: the caller's contract is this call's; the operation stays in its box.
        unsafe { op.prepare(sqe) };
    }

    unsafe fn item(this: *mut Self, cqe: Cqe) -> AnyItem {
        // SAFETY: `this` points to a value, which the kernel does not write: it writes at most to
        // what is in the box.
        let Boxed { op, item } = unsafe { &(*this).0 };
        // SAFETY: `item` is that of the type in the box; the rest is the caller's contract.
        AnyItem(unsafe { item(op.as_ptr().cast(), cqe) })
    }

    unsafe fn finish(self, cqe: Cqe) -> AnyOutput {
        // SAFETY: the caller's contract is this call's.
        AnyOutput(unsafe { self.0.into_box().finish(cqe) })
    }

    fn refuse(self, error: io::Error) -> AnyOutput {
        AnyOutput(self.0.into_box().refuse(error))
    }

    fn ring(&self) -> Option<RingId> {
        // SAFETY: the kernel does not have an operation that can be borrowed.
        unsafe { self.0.op.as_ref() }.ring()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::op::{At, Read};

    /// Writes where an entry points to, as the kernel does; nothing may refer to it then.
    fn write(sqe: &Sqe, bytes: [u8; 4]) -> Cqe {
        let address = usize::try_from(sqe.raw().addr).expect("an address");
        let place = std::ptr::with_exposed_provenance_mut::<[u8; 4]>(address);
        // SAFETY: the entry was made for a live operation, and asks for four bytes.
        unsafe { place.write(bytes) };
        Cqe::new(uring_sys::io_uring_cqe { user_data: 0, res: 4, flags: 0 })
    }

    #[test]
    fn a_simulated_kernel_writes_into_the_box_and_the_output_comes_out() {
        let mut told = None;
        let mut any = AnyOperation::with(Read::new(io::stdin(), [0; 4], At(0)), |output| {
            told = Some(output);
        });
        let mut sqe = Sqe::default();
        // SAFETY: the entry is never submitted.
        unsafe { any.prepare(&mut sqe) };
        let moved = std::hint::black_box(any); // the operation stays in its box
        let cqe = write(&sqe, [1, 2, 3, 4]);
        // SAFETY: the completion of this operation, passed once.
        let output = unsafe { moved.finish(cqe) };
        output.downcast::<Read<io::Stdin, [u8; 4]>>().expect_err("the closure has it");
        let (result, _, bytes) = told.expect("the closure is called");
        assert_eq!((result.expect("four"), bytes), (4, [1, 2, 3, 4]));
    }

    #[test]
    fn an_output_is_taken_out_by_the_name_of_its_operation_and_by_no_other() {
        let mut any = AnyOperation::new(Read::new(io::stdin(), [0; 4], At(0)).on_worker());
        let mut sqe = Sqe::default();
        // SAFETY: the entry is never submitted.
        unsafe { any.prepare(&mut sqe) };
        let cqe = write(&sqe, [5; 4]);
        // SAFETY: the completion of this operation, passed once.
        let output = unsafe { any.finish(cqe) };
        let output = output.downcast::<crate::op::Nop>().expect_err("it was a read");
        let output = output.downcast::<Read<io::Stdin, [u8; 4]>>().expect("the same output");
        assert_eq!(output.2, [5; 4]);
    }

    #[test]
    fn what_is_neither_finished_nor_refused_is_dropped_with_its_closure() {
        let held = std::rc::Rc::new(());
        let keeps = held.clone();
        drop(AnyOperation::with(crate::op::Nop::new(), move |_| drop(keeps)));
        assert_eq!(std::rc::Rc::strong_count(&held), 1);
    }
}
