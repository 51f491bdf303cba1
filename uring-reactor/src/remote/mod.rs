//! Reaching a loop from other threads.

pub(crate) mod handle;
pub(crate) mod shared;
pub(crate) mod wakeup;
