//! What this machine's io_uring can do, or why it is not there.

mod call;
mod evidence;
mod probe;
mod refusal;
mod unavailable;

pub use call::Call;
pub use probe::{Support, check};
pub use refusal::{Refusal, Refuser};
pub use unavailable::Unavailable;

pub(crate) use unavailable::{diagnose, disabled_by_environment, missing_features};
