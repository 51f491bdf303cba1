//! Doing nothing.

use uring_sys as sys;

use crate::{
    abi::sqe::{Sqe, ZERO},
    operation::one_shot::one_shot,
};

impl Sqe {
    /// An entry that does nothing: see [`Nop`].
    #[doc(alias = "io_uring_prep_nop")]
    pub const fn nop() -> Self {
        Self::from_raw(sys::io_uring_sqe { opcode: sys::IORING_OP_NOP, fd: -1, ..ZERO })
    }
}

/// Does nothing: to measure, to test, and to wake a ring.
///
/// - **Result:** nothing.
/// - **Completes:** once, at submission.
/// - **Since:** Linux 5.1.
/// - **Manual:** [`io_uring_prep_nop(3)`].
///
/// ```
/// use uring::{Ring, op};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring: Ring<op::Nop> = Ring::builder().build()?;
/// ring.run(op::Nop::new())?; // through the kernel and back: io_uring works
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// None of its own; `ECANCELED` in a chain that was broken.
///
/// [`io_uring_prep_nop(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_nop.3.html
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Clone, Copy, Debug, Default)]
pub struct Nop(());

impl Nop {
    /// An operation that does nothing.
    pub const fn new() -> Self {
        Self(())
    }
}

one_shot! {
    // SAFETY: there are no operands.
    unsafe impl[] Operation for Nop {
        entry: |Self(())| Sqe::nop(),
        on: nothing,
        result: nothing -> (),
        held: (),
    }
}
