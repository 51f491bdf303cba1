//! What this machine's io_uring can do, or why it is not there.

mod evidence;
mod probe;
mod unavailable;

pub use probe::{Support, check};
pub use unavailable::Unavailable;

pub(crate) use unavailable::{diagnose, disabled_by_environment, missing_features};
