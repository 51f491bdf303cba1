//! Event loops on io_uring: submit an operation with a closure, and the closure gets the result.
//!
//! ```
//! use std::{fs::File, sync::{Arc, mpsc}, time::Duration};
//! use uring_reactor::{Reactor, uring::{At, op::Read}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let Ok(_) = uring_reactor::check() else { return Ok(()) };
//! let reactor = Reactor::builder().loops(1).build()?;
//! let file = Arc::new(File::open("/proc/self/comm")?);
//! let (sender, receiver) = mpsc::channel();
//! reactor.handle().submit(
//!     Read::new(file, vec![0; 64], At(0)),
//!     move |(result, _file, buffer), _cx| sender.send(result.map(|_| buffer)).unwrap(),
//! )?;
//! println!("{}", String::from_utf8_lossy(&receiver.recv()??));
//! println!("{}", reactor.shutdown(Duration::from_secs(1)));
//! # Ok(()) }
//! ```
//!
//! # The pieces
//!
//! - [`Reactor`]: loops on threads of their own; [`EventLoop`]: one on the caller's.
//! - [`Handle`]: reaches a loop from any thread. It makes a system call only if the loop sleeps.
//! - [`Cx`]: the loop, as a callback on it sees it: submit, cancel, timers, tasks.
//! - [`Source`]: an object on the loop that many operations report to, without a closure for each.
//!
//! # What a turn is
//!
//! Commands, tasks, due timers, then one `io_uring_enter` that submits everything and waits if
//! there is nothing else to do, then completions. They have a budget each, so that no connection
//! starves the others. There is no tick: an idle loop sleeps until something happens.
//!
//! # What callbacks may count on
//!
//! Each runs exactly once for each result, on the loop's thread, with the real result: a cancelled
//! read that won the race still delivers its bytes. A callback may submit, cancel and panic; a
//! panic is counted and ends neither the loop nor its neighbours. What a loop that ends could not
//! call any more is counted in [`Report::lost`].
//!
//! # When a loop ends by itself
//!
//! No loop survives some errors of the kernel. [`Reactor::wait`] and [`Builder::on_loop_end`] tell,
//! and so does whatever is sent to it: [`Closed::cause`]. New work goes to the loops that live. In
//! a forked child every loop of the parent's counts as ended, and nothing blocks there.
//!
//! # Kernel
//!
//! Linux 6.1. [`check`] says what is missing below that.

#![deny(unsafe_code)]

mod birth;
mod builder;
mod clock;
mod end;
mod error;
mod event_loop;
mod fd;
mod here;
mod home;
#[cfg(all(test, loom))]
mod loom_models;
mod op;
mod reactor;
mod remote;
mod stats;
mod sync;
mod task;
mod timer;

pub use builder::{Builder, check};
pub use end::{Cause, LoopEnd};
pub use error::{BuildError, Closed};
pub use event_loop::source::{Source, SourceEvent, SourceId};
pub use event_loop::{Cx, EventLoop};
pub use fd::Fd;
pub use here::is_loop_thread;
pub use op::{LoopItem, LoopOp, LoopOutput};
pub use reactor::Reactor;
pub use remote::handle::{Handle, Request};
pub use stats::{Report, Stats};
pub use task::ready::Task;
pub use timer::TimerId;
pub use uring;
