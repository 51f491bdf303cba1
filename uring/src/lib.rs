//! A safe io_uring ring for Rust: all of liburing, and no way to free a buffer that the kernel still uses.
