//! The tests of event loops, against the running kernel.

#[macro_use]
extern crate testing;
#[macro_use]
mod util;

mod build;
mod callbacks;
mod cancel;
mod commands;
mod deadlines;
mod driven;
mod ends;
mod forks;
mod loops;
mod overflow;
mod panics;
mod quiet;
mod room;
mod shutdown;
mod sources;
mod tasks;
mod timers;

#[global_allocator]
static ALLOCATOR: testing::alloc::Allocator = testing::alloc::Allocator;
