//! What this machine's io_uring can do, or why it is not there.

pub(crate) mod probe;
pub(crate) mod refusal;
pub(crate) mod unavailable;
