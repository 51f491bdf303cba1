//! What the tests of all crates share.
//!
//! It knows nothing of `uring`, so that each crate can use it; what needs the types of one crate
//! stands in the `util.rs` of that crate's tests. It is a dev-dependency by path, without a
//! version, so that cargo leaves it out of the packages.
//!
//! - [`skip!`]: ends a test that cannot run here, loudly.
//! - [`isolated!`]: runs a test in a process of its own.
//! - [`alloc`]: an allocator that counts, and that can keep freed memory to see who writes into it.
//! - [`Random`]: numbers that look random, the same for the same seed.
//! - [`until`], [`until_asleep`], [`get`], [`rounds`]: waits that end, counts for slow machines.
//! - [`pipe`], [`descriptors`], [`limit`]: descriptors, and how many there are.

pub mod alloc;
mod isolated;
mod limits;
mod random;
mod skip;
mod test;
mod wait;

pub use isolated::isolated;
pub use limits::{descriptors, limit, pipe};
pub use random::Random;
pub use skip::skip;
pub use test::Test;
pub use wait::{LONG, get, rounds, thread_id, until, until_asleep};
