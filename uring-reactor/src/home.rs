//! Which loop an id belongs to.

use std::sync::atomic::{AtomicU32, Ordering};

/// The number of a loop among all that this process and its ancestors have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Home(u32);

impl Home {
    /// One that no other loop has.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Relaxed: only that numbers differ counts
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}
