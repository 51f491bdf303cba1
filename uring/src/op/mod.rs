//! The operations, one type each: what the kernel can be asked to do.
//!
//! Each is a value that owns its operands; submit it to a [`Ring`](crate::Ring), run it with
//! [`Ring::run`](crate::Ring::run), or lend it to a [`Scope`](crate::Scope). Beside each stands the
//! constructor of its raw entry on [`Sqe`](crate::Sqe).
//!
//! Results are tuples: the result first, then the descriptor, then the buffers.
//!
//! # What can block the thread that submits
//!
//! The kernel tries an operation at once, in the thread that submits it, and puts it aside if it
//! would have to wait. Some cannot be put aside: they wait where they are tried, and with them
//! everything else on the ring. With a submission thread it is that one which waits, for all rings
//! that share it.
//!
//! | operation | waits | what to do |
//! | --- | --- | --- |
//! | [`Read`], [`Write`], [`Readv`], [`Writev`] on a terminal | once there is some input or some room: for the rest of it | [`on_worker`](crate::Operation::on_worker) |
//! | the same on other files that can be polled, but not told to do without waiting: of FUSE, some of `/proc`, `/sys` and control groups, some devices | for the server or the driver, each time | [`on_worker`](crate::Operation::on_worker) |
//! | [`Poll`], [`PollMulti`] on a file of FUSE | for the server, which is asked whether it is ready | [`on_worker`](crate::Operation::on_worker) |
//! | [`Close::in_place`] of a socket that lingers, or of a file that is flushed | for the peer, or the disk | [`Close`] without it goes to a worker by itself |
//! | a raw [`connect`](crate::Sqe::connect) to the path of a Unix socket, on a file system that is slow | for the look-up of the path | [`Sqe::on_worker`](crate::Sqe::on_worker) |
//! | any, if its buffers or its operands are memory that has to be fetched: swapped out, or mapped from a file that is slow | for the page | touch it before, or [`on_worker`](crate::Operation::on_worker) |
//! | a raw entry, or a request to cancel it, if it has the last reference to a socket that lingers, because its descriptor was closed meanwhile | for the peer, in the enter that reaps it | keep the descriptor open until the completion, as the operations here do |
//!
//! Where a file can neither be polled nor told to do without waiting, and where a file system
//! cannot do without, the kernel uses a worker by itself; so it does for each [`Fsync`] and each
//! [`Shutdown`]. Sockets, pipes and event descriptors are polled, uncached reads of local disks are
//! put aside, and timeouts and cancels have nothing to wait for. Who drops a descriptor that came
//! back with a result closes it, and waits as `close(2)` does: [`Close`] is for that.
//!
//! # Errors that are not the operation's own
//!
//! `ECANCELED` has three causes, which a completion does not tell apart: the operation was
//! cancelled; one before it in its [chain](crate::Chain) failed; or **no worker thread could be
//! started** for it, because of `ulimit -u` or of a control group's `pids.max`. It moved nothing in
//! each case. The third can come where nobody cancels and nothing is chained, to whatever goes to a
//! worker, [`Close`], [`Fsync`] and [`Shutdown`] included. Kernels before 6.11 do not even tell:
//! they try again until there is a thread to be had, and the operation waits. It cannot come once
//! there is a worker, because the kernel keeps the last of each kind for as long as the thread
//! lives that submits: then the operation waits its turn. So a program that may meet such a limit
//! starts the two kinds in time, one for regular files and one for all others, and learns without
//! doubt if it cannot (for older kernels: in a [scope](crate::Ring::scope), with a deadline):
//!
//! ```
//! use std::fs::File;
//! use uring::{Current, Operation, Ring, op};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let Ok(_) = uring::check() else { return Ok(()) };
//! let mut ring: Ring<op::Nop> = Ring::builder().build()?;
//! ring.run(op::Nop::new().on_worker())?; // ECANCELED: nobody did, so there is no thread to be had
//! let null = File::open("/dev/null")?;
//! ring.run(op::Read::new(&null, [0], Current).on_worker()).0?;
//! # Ok(()) }
//! ```
//!
//! `EINTR` is what an operation can end with, in place of `ECANCELED`, if it is cancelled while a
//! worker runs it. For some, opening a FIFO among them, the kernel lets a number of its own slip
//! out instead, 512 to 516, which no list of errors has: [`Cqe::result`](crate::Cqe::result) says
//! `EINTR` for those too.

mod fs;
mod net;
mod poll;
mod ring;
mod rw;
mod time;

// A family lists what is public in it, so that globs lose nothing; and the aliases, which stand
// there beside each name, are found only through them.
pub use fs::*;
pub use net::*;
pub use poll::*;
pub use ring::*;
pub use rw::*;
pub use time::*;

/// The pointer in the form that an entry carries; the kernel derives its access from it.
#[inline]
pub(crate) fn address<T: ?Sized>(pointer: *const T) -> u64 {
    pointer.cast::<u8>().expose_provenance() as u64
}
