//! What every operation is: a value that owns its operands until the terminal completion.
//!
//! `one_shot` writes the common kinds; `choice` makes one type of several, `any` one of all; `buf`,
//! `fd` and `lend` are the operands that all of them share.

pub(crate) mod any;
pub(crate) mod buf;
pub(crate) mod choice;
pub(crate) mod fd;
pub(crate) mod lend;
pub(crate) mod one_shot;
pub(crate) mod result;
pub(crate) mod worker;

use std::io;

use self::worker::OnWorker;
use crate::abi::{cqe::Cqe, sqe::Sqe, token::RingId};

/// An operation: its operands, how it is encoded, and what its completions mean.
///
/// Use those of [`op`](crate::op), and make one type of several by
/// [`operations!`](crate::operations). Implementing it by hand is for opcodes that this crate does
/// not have.
///
/// # Safety
///
/// For whatever sequence of safe calls came before `prepare`:
/// - Memory that the entry points to, and that which is pointed to from there, can be used by the
///   kernel as the opcode does, until the value is given to `finish`: while it is neither moved nor
///   touched. So do descriptors stay open, or belong to [`ring`](Self::ring).
/// - If it yields items, memory that the kernel writes lies outside of the value: in a box, in a
///   pool. Else it may lie inside.
/// - The entry ends in exactly one completion without `MORE`, and all its completions carry the
///   entry's own `user_data`: no `MSG_RING`, no update of a poll's `user_data`.
/// - It neither changes nor removes what others rely on: operations, registered files and buffers,
///   groups of buffers.
/// - `ring` names the ring whose pools, files or buffers the entry refers to. It has no default:
///   who forgets it uses another ring's.
///
/// The engine decides `user_data`, links, drain and skipped completions: what `prepare` writes
/// there is replaced.
pub unsafe trait Operation {
    /// What a completion with [`MORE`](crate::CqeFlags::MORE) yields: an accepted descriptor, a
    /// received buffer, the byte count of a zero-copy send.
    type Item;
    /// What the terminal completion yields, the resources included.
    type Output;

    /// Writes the entry, which is all zeroes. Called once a submission, when the value sits where
    /// it stays; one that was given back may be submitted again, and be elsewhere by then.
    ///
    /// # Safety
    ///
    /// The entry is never submitted; or until its terminal completion is handed to
    /// [`finish`](Self::finish) the value is neither moved, dropped nor touched, but by
    /// [`item`](Self::item).
    unsafe fn prepare(&mut self, sqe: &mut Sqe);

    /// Turns a completion with `MORE` into what it brought.
    ///
    /// # Safety
    ///
    /// - `this` points to an operation that was prepared and not finished, and nothing else
    ///   accesses it during the call but the kernel.
    /// - `cqe` is a completion of this operation, with `MORE`, and is passed once: it may carry a
    ///   descriptor or a buffer, of which the result becomes the owner.
    unsafe fn item(this: *mut Self, cqe: Cqe) -> Self::Item;

    /// Turns the terminal completion into the result, and gives the resources back.
    ///
    /// # Safety
    ///
    /// `cqe` is the completion of this operation without `MORE`, and is passed once.
    unsafe fn finish(self, cqe: Cqe) -> Self::Output;

    /// What the operation yields if the kernel never sees it: its resources, and the error.
    ///
    /// There is no completion here: nothing that a caller chooses decides what is owned. That a
    /// number became a descriptor is what the compiler refuses:
    ///
    /// ```compile_fail,E0308
    /// use uring::{Operation as _, op};
    ///
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// let (stdin, _) = op::Accept::new(&listener).refuse(0);
    /// ```
    ///
    /// ```compile_fail,E0133
    /// use uring::{Cqe, Operation as _, op};
    ///
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    /// let (stdin, _) = op::Accept::new(&listener).finish(Cqe::new(Default::default()));
    /// ```
    fn refuse(self, error: io::Error) -> Self::Output;

    /// The one ring that the operation can be submitted to, if there is only one.
    fn ring(&self) -> Option<RingId>;

    /// Runs the operation on a worker thread from the start, instead of trying it first.
    ///
    /// For operations that may block where they are tried, which is in the thread that submits:
    /// [`op`](crate::op#what-can-block-the-thread-that-submits) has the list. Since Linux 5.6.
    ///
    /// If no worker can be started (`ulimit -u`, a control group's `pids.max`), the operation ends
    /// with `ECANCELED` although nobody cancelled it, and nothing in the completion tells; before
    /// Linux 6.11 it waits until one can be started. A worker that is there prevents it: see
    /// [there](crate::op#errors-that-are-not-the-operations-own). One that is cancelled while a
    /// worker runs it can end with `EINTR`.
    #[doc(alias = "IOSQE_ASYNC")]
    fn on_worker(self) -> OnWorker<Self>
    where
        Self: Sized,
    {
        OnWorker::new(self)
    }
}
