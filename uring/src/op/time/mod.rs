//! The passing of time.

mod timeout;

#[doc(alias("IORING_OP_TIMEOUT", "io_uring_prep_timeout"))]
pub use timeout::Timeout;
