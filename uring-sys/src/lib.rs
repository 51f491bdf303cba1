//! The io_uring kernel ABI, by hand: C names, checked layouts, three system calls.
//!
//! Every constant and struct of the kernel's headers `linux/io_uring.h`, `linux/io_uring/query.h`
//! and `linux/io_uring/bpf_filter.h`, up to the opcode [`IORING_OP_URING_CMD128`], and the calls
//! [`io_uring_setup`], [`io_uring_enter`] and [`io_uring_register`]. All of it has the name that C
//! knows it by, so that a manual page, a kernel commit or a program for liburing can be read side
//! by side with a Rust program. Each item says what it is for, its unit, and since which kernel;
//! what is here may be newer than the kernel that runs.
//!
//! # What it does not do
//!
//! - **No policy.** Nothing is mapped, kept, closed or checked. The crate `uring` does that.
//! - **No `errno`.** The calls return what the kernel returns: a result, or a negated `errno`.
//! - **No Rust enums.** The kernel may write a value that is newer than this crate.
//! - **No unions.** Where C overlays members, a field has the name of one of them, and methods have
//!   the names of the others: [`io_uring_sqe::off`] and [`io_uring_sqe::addr2`]. Where C ends in an
//!   array of any length, there is a second struct: [`io_uring_probe_with_ops`].
//! - **No allocation, no `std`.** It depends on `libc` for the calls on architectures where it does
//!   not make them itself.
//! - **No other targets.** Linux with pointers of 64 bits, little-endian: elsewhere it does not
//!   compile. What is built on top sizes memory that the kernel writes, and in a narrow `usize`
//!   such a size can wrap.
//!
//! # Example
//!
//! Which operations does this kernel know?
//!
//! ```
//! use std::ffi::c_void;
//! use uring_sys as sys;
//!
//! let mut params = sys::io_uring_params::default();
//! // SAFETY: `params` is borrowed for us alone, and the flags ask for nothing that lives longer.
//! let ring = unsafe { sys::io_uring_setup(1, &raw mut params) };
//! if ring < 0 {
//!     return println!("no ring: {}", std::io::Error::from_raw_os_error(-ring));
//! }
//!
//! let mut answer = sys::io_uring_probe_with_ops::<256>::default();
//! let arg: *mut c_void = (&raw mut answer).cast();
//! // SAFETY: `answer` is borrowed for us alone, and has room for the 256 operations asked for.
//! let result = unsafe { sys::io_uring_register(ring, sys::IORING_REGISTER_PROBE, arg, 256) };
//! assert_eq!(result, 0); // since Linux 5.6
//!
//! let known = answer.ops.iter().filter(|op| op.flags & sys::IO_URING_OP_SUPPORTED != 0);
//! println!("{} operations, the last is {}", known.count(), answer.probe.last_op);
//! # // SAFETY: the descriptor is ours, and nothing uses it any more.
//! # unsafe { libc::close(ring) };
//! ```
//!
//! # What the next kernel brings
//!
//! When a header has grown, everything is done in this crate, in this order:
//!
//! 1. Add rows to `tests/abi.tsv` from the new header, and name that in the table's first line. The
//!    tests now fail, and name each row that has no item.
//! 2. Add the items to the file of their noun, in the order of the header, with docs that end in
//!    "Since Linux X.Y". A struct gets its size, alignment and offsets as assertions at the file's
//!    end: numbers counted in the header, not taken from the compiler. Reserved fields that got a
//!    name keep their old value, zero, as the default.
//! 3. Add the names to the list in `tests/it/items.rs`. The tests then compare the items with the
//!    table, with the crate `linux-raw-sys` (raise its version first) and with the header of the
//!    machine, and print how many rows each of them has checked.
#![no_std]
#![allow(
    non_camel_case_types,
    reason = "every item has the name that the kernel's header gives it"
)]

#[cfg(not(all(target_os = "linux", target_pointer_width = "64", target_endian = "little")))]
compile_error!(
    "this target is not supported: `uring-sys` is for Linux with 64-bit pointers, little-endian \
     (x86_64, aarch64, riscv64, loongarch64, powerpc64le, mips64el)"
);

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
