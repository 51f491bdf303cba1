//! The ring against a real kernel: one file per subject.
//!
//! What counts descriptors, allocations or signals runs in a process of its own: see
//! [`util::isolated`].

#[macro_use]
mod util;

mod alloc;
mod cancel;
mod counters;
mod descriptors;
mod operations;
mod pool;
mod scenes;
mod teardown;
mod twins;

#[global_allocator]
static ALLOCATOR: alloc::Allocator = alloc::Allocator;
