//! What concerns the ring itself.

mod cancel;
mod nop;

#[doc(alias(
    "IORING_OP_ASYNC_CANCEL",
    "io_uring_prep_cancel",
    "io_uring_prep_cancel64",
    "io_uring_prep_cancel_fd"
))]
pub use cancel::Cancel;
#[doc(alias("IORING_OP_NOP", "io_uring_prep_nop"))]
pub use nop::Nop;
