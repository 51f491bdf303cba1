//! How a ring is made: settings (`builder`), the ladder of flags, and what was granted.

pub(crate) mod builder;
pub(crate) mod flags;
pub(crate) mod ladder;
