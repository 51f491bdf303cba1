//! The ring against a real kernel: one file per subject.
//!
//! What counts descriptors, allocations or signals runs in a process of its own: see
//! [`util::isolated`].

#[macro_use]
mod util;

mod alloc;
mod scenes;
mod teardown;

#[global_allocator]
static ALLOCATOR: alloc::Allocator = alloc::Allocator;
