//! The ring against a real kernel: one file per subject.
//!
//! What counts descriptors, allocations or signals runs in a process of its own: see
//! [`isolated!`].

#[macro_use]
extern crate testing;

mod bounds;
mod cancel;
mod chains;
mod closing;
mod contracts;
mod counters;
mod datagrams;
mod descriptors;
mod forks;
mod forks_within;
mod fuse;
mod hostile;
mod identity;
mod intercept;
mod leaks;
mod lending;
mod operations;
mod pool;
mod positions;
mod queues;
mod raw;
mod refusals;
mod scenes;
mod signals;
mod sizes;
mod stale;
mod teardown;
mod traits;
mod twins;
mod util;
mod waits;
mod workers;

#[global_allocator]
static ALLOCATOR: testing::alloc::Allocator = testing::alloc::Allocator;
