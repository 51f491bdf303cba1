//! Times.

use std::time::{Duration, Instant};

/// The time `limit` from now; the farthest that there is if that is too far.
pub(crate) fn after(limit: Duration) -> Instant {
    let now = Instant::now();
    let farthest = Duration::from_secs(100 * 365 * 24 * 3600);
    now.checked_add(limit.min(farthest)).unwrap_or(now)
}
