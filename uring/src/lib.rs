//! A safe io_uring ring: no sequence of safe calls lets the kernel touch memory that was given
//! back.
//!
//! Who comes from liburing or from the crate `io-uring` searches for the names that they know, or
//! reads [`porting`]; what liburing can do and this crate cannot is in [`porting::not_yet`].
//!
//! # Three doors, one set of operations
//!
//! | door | for whom | memory | type |
//! | --- | --- | --- | --- |
//! | owned | servers, reactors | the operation owns its buffers until its last completion | [`Ring`] |
//! | borrowed | scripts, file tools | `&mut [u8]` on the stack; the call blocks | [`Ring::run`], [`Ring::scope`] |
//! | raw | runtime authors | yours, by contract | [`RawRing`], [`Sqe`], [`Cqe`] |
//!
//! # Example: one operation
//!
//! ```
//! use uring::{At, Ring, op};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let Ok(_) = uring::check() else { return Ok(()) };
//! let mut ring = Ring::<op::Nop>::builder().build()?;
//! let file = std::fs::File::open("/proc/self/comm")?;
//! let mut name = [0; 64];
//! let (result, _, _) = ring.run(op::Read::new(&file, &mut name[..], At(0)));
//! let length = result?;
//! println!("{}", String::from_utf8_lossy(&name[..length]));
//! # Ok(()) }
//! ```
//!
//! # Example: many operations at once
//!
//! ```
//! use std::{fs::File, sync::Arc};
//! use uring::{At, Event, Ring, op::Read};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let Ok(_) = uring::check() else { return Ok(()) };
//! let mut ring: Ring<Read<Arc<File>, Vec<u8>>, u64> = Ring::builder().build()?;
//! let file = Arc::new(File::open("/proc/self/exe")?);
//! for block in 0..8 {
//!     let buffer = Vec::with_capacity(4096);
//!     ring.submit(Read::new(file.clone(), buffer, At(block * 4096)), block)?;
//! }
//! let mut done = 0;
//! while done < 8 {
//!     ring.wait(1, None)?;
//!     while let Some(event) = ring.next() {
//!         if let Event::Done { ctx: block, output: (result, _, _buffer), .. } = event {
//!             println!("block {block}: {} bytes", result?);
//!             done += 1;
//!         }
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! # Who owns what until when
//!
//! An operation moves into the ring when it is submitted and comes back, with its descriptor and
//! its buffer, in its **terminal completion**: the one without [`CqeFlags::MORE`]. Nothing else
//! releases memory. [`Ring::cancel`] is a request; the result still arrives. Dropping a ring
//! cancels what is in flight and waits for it; what the kernel does not give back in five seconds
//! is leaked, and counted by [`leaked_operations`].
//!
//! # What it does not do
//!
//! It has no event loop, no callbacks and no futures: that is `uring-reactor` and above. It does
//! not fall back to epoll: [`check`] says why io_uring is not there, and what to do.

#![deny(unsafe_op_in_unsafe_fn)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod abi;
mod kernel;
mod operation;
mod pool;
mod raw;
mod ring;
mod setup;
mod support;

pub mod op;
pub mod porting;

// An alias of a type or function stands on its `pub use`: rustdoc 1.95 drops those of an item that
// is shown elsewhere than where it is (rust-lang/rust#152939). `.ci/docs-index` looks.
#[doc(alias = "io_uring_cqe")]
pub use abi::cqe::Cqe;
pub use abi::cqe::CqeFlags;
#[doc(alias = "io_uring_op")]
pub use abi::opcode::OpCode;
#[doc(alias = "io_uring_sqe")]
pub use abi::sqe::Sqe;
pub use abi::sqe::SqeFlags;
pub use abi::token::{OpId, RingId};
pub use kernel::call::Call;
pub use op::{At, Current, FsyncFlags, MsgFlags, Offset, PollEvents, Position};
pub use operation::Operation;
pub use operation::any::{AnyItem, AnyOperation, AnyOutput};
pub use operation::buf::{Buf, BufMut, Slice};
pub use operation::fd::OpFd;
pub use operation::lend::{Lent, LentMut, lend};
pub use operation::worker::OnWorker;
#[doc(alias("io_uring_buf_ring", "io_uring_setup_buf_ring"))]
pub use pool::Pool;
#[doc(alias("io_uring_buf_ring_add", "io_uring_buf_ring_advance"))]
pub use pool::buf::RecvBuf;
pub use pool::buf::SharedBuf;
pub use pool::error::PoolError;
pub use pool::payload::Payload;
#[doc(alias("io_uring_for_each_cqe", "io_uring_cq_advance", "io_uring_peek_batch_cqe"))]
pub use raw::cq::Completions;
pub use raw::enter::{EnterFlags, SqFlags};
#[doc(alias("io_uring", "io_uring_queue_exit"))]
pub use raw::ring::RawRing;
pub use raw::split::{CompletionQueue, SubmissionQueue, Submitter};
pub use raw::sq::PushError;
#[doc(alias = "IOSQE_IO_LINK")]
pub use ring::chain::Chain;
pub use ring::engine::Stats;
pub use ring::error::{Reason, Rejected};
pub use ring::event::Event;
#[doc(alias("io_uring", "IoUring"))]
pub use ring::owned::Ring;
pub use ring::scope::Scope;
pub use ring::table::leaked_operations;
#[doc(alias("io_uring_queue_init", "io_uring_queue_init_params", "io_uring_params"))]
pub use setup::builder::Builder;
pub use setup::builder::SetupError;
pub use setup::flags::{Features, SetupFlags};
pub use support::probe::Support;
#[doc(alias("io_uring_get_probe_ring", "io_uring_get_probe", "io_uring_register_probe"))]
pub use support::probe::check;
pub use support::refusal::{Refusal, Refuser};
pub use support::unavailable::Unavailable;
