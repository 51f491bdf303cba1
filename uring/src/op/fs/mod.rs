//! Files and their names.

mod close;

#[doc(alias("IORING_OP_CLOSE", "io_uring_prep_close"))]
pub use close::Close;
pub use close::leaked_descriptors;
