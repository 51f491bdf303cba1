//! The io_uring kernel ABI, by hand: C names, checked layouts, three system calls.
