//! The io_uring kernel ABI, by hand: C names, checked layouts, three system calls.
#![no_std]
#![allow(
    non_camel_case_types,
    reason = "every item has the name that the kernel's header gives it"
)]

mod bpf;
mod buf_ring;
mod cqe;
mod enter;
mod msg;
mod opcode;
mod query;
mod register;
mod setup;
mod sqe;
mod syscall;
mod zcrx;

// The files sort the names by noun for the reader; the C names are one flat space, and so is what
// a user sees. Every public item of the private modules is part of the ABI, so globs lose nothing.
pub use bpf::*;
pub use buf_ring::*;
pub use cqe::*;
pub use enter::*;
pub use msg::*;
pub use opcode::*;
pub use query::*;
pub use register::*;
pub use setup::*;
pub use sqe::*;
pub use syscall::*;
pub use zcrx::*;
