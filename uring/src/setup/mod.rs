//! How a ring is made: settings, the ladder of flags, and what was granted.

mod builder;
mod flags;
mod ladder;

pub use builder::{Builder, SetupError};
pub use flags::{Features, SetupFlags};

pub(crate) use ladder::{Granted, Settings, create};
