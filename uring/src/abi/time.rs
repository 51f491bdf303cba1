//! Times in the kernel's form.

use std::time::Duration;

use uring_sys as sys;

/// The longest timeout that is passed on: a hundred years. Larger ones overflow in the kernel and
/// come back as `EINVAL`.
const TIMEOUT_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The kernel's form of a duration, clamped to what it takes.
pub(crate) fn timespec(time: Duration) -> sys::__kernel_timespec {
    let time = time.min(TIMEOUT_MAX);
    sys::__kernel_timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(time.subsec_nanos()),
    }
}
