//! The operations, one type each: what the kernel can be asked to do.
//!
//! Each is a value that owns its operands; submit it to a [`Ring`](crate::Ring), run it with
//! [`Ring::run`](crate::Ring::run), or lend it to a [`Scope`](crate::Scope). Beside each stands the
//! constructor of its raw entry on [`Sqe`](crate::Sqe).
//!
//! Results are tuples: the result first, then the descriptor, then the buffers.

mod accept;
mod cancel;
mod close;
mod connect;
mod nop;
mod poll;
mod recv;
mod rw;
mod send;
mod shutdown;
mod timeout;
mod vectored;

pub use accept::{Accept, AcceptFrom, AcceptMulti};
pub use cancel::Cancel;
pub use close::Close;
pub use connect::Connect;
pub use nop::Nop;
pub use poll::{Poll, PollEvents, PollMulti};
pub use recv::{Recv, RecvMulti};
pub use rw::{At, Current, Offset, Read, Write};
pub use send::{MsgFlags, Send};
pub use shutdown::Shutdown;
pub use timeout::Timeout;
pub use vectored::{Readv, Writev};

use std::io;

use crate::Cqe;

/// The byte count of a completion.
#[inline]
pub(crate) fn transferred(cqe: Cqe) -> io::Result<usize> {
    cqe.result().map(|bytes| bytes as usize)
}

/// The pointer in the form that an entry carries; the kernel derives its access from it.
#[inline]
pub(crate) fn address<T: ?Sized>(pointer: *const T) -> u64 {
    pointer.cast::<u8>().expose_provenance() as u64
}
