//! Readiness.

mod events;
mod multi;
mod once;

pub use events::PollEvents;
#[doc(alias("IORING_OP_POLL_ADD", "IORING_POLL_ADD_MULTI", "io_uring_prep_poll_multishot"))]
pub use multi::PollMulti;
#[doc(alias("IORING_OP_POLL_ADD", "io_uring_prep_poll_add"))]
pub use once::Poll;
