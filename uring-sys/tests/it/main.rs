//! The tests of the ABI: is everything there, is it right, and does the kernel agree?

#[macro_use]
extern crate testing;

mod accessors;
mod coverage;
mod header;
mod items;
mod sources;
mod syscalls;
mod table;
mod targets;
