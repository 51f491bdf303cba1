//! A safe io_uring ring: everything liburing can do, and no sequence of safe calls that lets the
//! kernel touch memory that was given back.
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

mod addr;
mod buf;
mod cast;
mod cqe;
mod enter;
mod error;
mod fd;
mod opcode;
mod operation;
mod operations;
mod payload;
mod pool;
mod raw;
mod ring;
mod setup;
mod sqe;
mod support;
mod table;
mod token;

pub mod op;

pub use buf::{Buf, BufMut, Slice};
pub use cqe::{Cqe, CqeFlags};
pub use enter::{EnterFlags, SqFlags};
pub use error::{Reason, Rejected};
pub use fd::OpFd;
pub use op::{At, Current, MsgFlags, Offset, PollEvents};
pub use opcode::OpCode;
pub use operation::{AnyItem, AnyOperation, AnyOutput, OnWorker, Operation};
pub use payload::Payload;
pub use pool::{Pool, PoolError, RecvBuf, SharedBuf};
pub use raw::{CompletionQueue, Completions, PushError, RawRing, SubmissionQueue, Submitter};
pub use ring::{Chain, Event, Ring, Scope, Stats, leaked_operations};
pub use setup::{Builder, Features, SetupError, SetupFlags};
pub use sqe::{Sqe, SqeFlags};
pub use support::{Call, Refusal, Refuser, Support, Unavailable, check};
pub use token::{OpId, RingId};
