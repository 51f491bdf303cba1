//! The ring against a real kernel: one file per subject.
//!
//! What counts descriptors, allocations or signals runs in a process of its own: see
//! [`util::isolated`].

#[macro_use]
mod util;

mod alloc;
mod cancel;
mod chains;
mod counters;
mod descriptors;
mod hostile;
mod operations;
mod pool;
mod queues;
mod raw;
mod refusals;
mod scenes;
mod stale;
mod teardown;
mod traits;
mod twins;
mod waits;

#[global_allocator]
static ALLOCATOR: alloc::Allocator = alloc::Allocator;
