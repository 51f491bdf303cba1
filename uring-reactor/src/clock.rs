//! Times.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// The time `limit` from now; the farthest that there is if that is too far.
pub(crate) fn after(limit: Duration) -> Instant {
    later(Instant::now(), limit)
}

/// The time `limit` from `now`; the farthest that there is if that is too far.
pub(crate) fn later(now: Instant, limit: Duration) -> Instant {
    let farthest = Duration::from_secs(100 * 365 * 24 * 3600);
    now.checked_add(limit.min(farthest)).unwrap_or(now)
}

/// The clock of a loop: read when somebody first asks, and then it stands still until the loop has
/// been in the kernel.
#[derive(Debug, Default)]
pub(crate) struct Clock(Cell<Option<Instant>>);

impl Clock {
    pub(crate) fn now(&self) -> Instant {
        let now = self.0.get().unwrap_or_else(Instant::now);
        self.0.set(Some(now));
        now
    }

    /// Time has passed.
    pub(crate) fn moves(&self) {
        self.0.set(None);
    }
}
