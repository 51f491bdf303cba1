//! Reading and writing files, and all that reads and writes as files do.

mod offset;
mod read;
mod readv;
mod vectors;
mod write;
mod writev;

pub use offset::{At, Current, Offset, Position};
#[doc(alias("IORING_OP_READ", "io_uring_prep_read"))]
pub use read::Read;
#[doc(alias("IORING_OP_READV", "io_uring_prep_readv"))]
pub use readv::Readv;
#[doc(alias("IORING_OP_WRITE", "io_uring_prep_write"))]
pub use write::Write;
#[doc(alias("IORING_OP_WRITEV", "io_uring_prep_writev"))]
pub use writev::Writev;
