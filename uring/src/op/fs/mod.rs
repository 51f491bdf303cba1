//! Files and their names.

mod close;
mod fsync;

#[doc(alias("IORING_OP_CLOSE", "io_uring_prep_close"))]
pub use close::Close;
pub use close::leaked_descriptors;
#[doc(alias("IORING_OP_FSYNC", "io_uring_prep_fsync"))]
pub use fsync::Fsync;
pub use fsync::FsyncFlags;
