//! TCP against a real kernel: peers are sockets of the standard library. One file per subject.
//!
//! What counts descriptors, allocations or connections runs in a process of its own: see
//! [`isolated!`].

#[macro_use]
extern crate testing;
#[macro_use]
mod util;

mod blocking;
mod connect;
mod crowd;
mod deadlines;
mod echo;
mod ends;
mod handler;
mod listen;
mod shutdown;
mod steady;
mod twin;

#[global_allocator]
static ALLOCATOR: testing::alloc::Allocator = testing::alloc::Allocator;
