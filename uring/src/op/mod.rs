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
//! would have to wait. A few cannot be put aside: they wait where they are tried, and with them
//! everything else on the ring.
//!
//! | operation | waits | what to do |
//! | --- | --- | --- |
//! | [`Read`], [`Write`], [`Readv`], [`Writev`] on a terminal, and on devices that know no other way | for input, or until all of it went out | [`on_worker`](crate::Operation::on_worker) |
//! | the same on a regular file whose file system cannot do without waiting | for the disk | the kernel uses a worker by itself |
//! | [`Close`] of a socket that lingers, or of a file that is flushed | for the peer, or the server | it goes to a worker by itself; [`Close::in_place`] does not |
//!
//! The other operations never wait there: sockets, pipes and event descriptors are polled, and
//! timeouts and cancels have nothing to wait for.

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
