//! Waiting for time to pass.

use std::{io, time::Duration};

use uring_sys as sys;

use crate::{
    abi::{
        cqe::Cqe,
        sqe::{Sqe, ZERO},
        time::timespec,
        token::RingId,
    },
    op::address,
    operation::Operation,
};

fn entry(time: *const sys::__kernel_timespec) -> Sqe {
    Sqe::from_raw(sys::io_uring_sqe {
        opcode: sys::IORING_OP_TIMEOUT,
        fd: -1,
        addr: address(time),
        len: 1,
        ..ZERO
    })
}

impl Sqe {
    /// An entry that completes, with `ETIME`, after a time: see [`Timeout`].
    ///
    /// # Safety
    ///
    /// `time` can be read and does not change until the completion has been taken.
    #[doc(alias = "io_uring_prep_timeout")]
    pub unsafe fn timeout(time: *const sys::__kernel_timespec) -> Self {
        entry(time)
    }
}

/// Completes after a time, measured by `CLOCK_MONOTONIC`.
///
/// - **Result:** nothing. That the time is up counts as success; not in a chain, where the kernel
///   takes it for a failure: what stands behind it needs [hard](crate::Chain::hard) links.
/// - **Completes:** once.
/// - **Since:** Linux 5.4.
/// - **Manual:** [`io_uring_prep_timeout(3)`].
///
/// ```
/// use std::time::{Duration, Instant};
/// use uring::{Ring, op};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring: Ring<op::Nop> = Ring::builder().build()?;
/// let start = Instant::now();
/// ring.run(op::Timeout::new(Duration::from_millis(5)))?; // time that is up is no error
/// assert!(start.elapsed() >= Duration::from_millis(5));
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// `ECANCELED` if it was cancelled. Times over a hundred years are cut to that.
///
/// [`io_uring_prep_timeout(3)`]: https://man7.org/linux/man-pages/man3/io_uring_prep_timeout.3.html
#[must_use = "an operation does nothing until it is submitted to a ring"]
#[derive(Clone, Copy, Debug)]
pub struct Timeout {
    time: sys::__kernel_timespec,
}

impl Timeout {
    /// Completes `after` the time of submission.
    pub fn new(after: Duration) -> Self {
        Self { time: timespec(after) }
    }
}

// SAFETY: the entry points to the time, which stays here until `finish`. It completes once, and
// posts nothing else.
unsafe impl Operation for Timeout {
    type Item = ();
    type Output = io::Result<()>;

    unsafe fn prepare(&mut self, sqe: &mut Sqe) {
        let Self { time } = self;
        *sqe = entry(time);
    }

    unsafe fn item(_this: *mut Self, _cqe: Cqe) {}

    unsafe fn finish(self, cqe: Cqe) -> io::Result<()> {
        match cqe.raw_result() {
            errno if errno == -libc::ETIME => Ok(()),
            _ => cqe.result().map(drop),
        }
    }

    fn refuse(self, error: io::Error) -> io::Result<()> {
        Err(error)
    }

    fn ring(&self) -> Option<RingId> {
        None
    }
}
