//! From liburing, and from the crate `io-uring`: what their names are here.
//!
//! There is no code in this module, only pages. The search of these docs knows the C names, so
//! `io_uring_prep_recv_multishot` leads to [`op::RecvMulti`] and `IOSQE_IO_LINK` to
//! [`SqeFlags::LINK`]; what is missing leads to [`not_yet`], what happens by itself to [`no_need`].
//! Who knows the crate `io-uring` reads [`crate_io_uring`].
//!
//! # The calls of liburing
//!
//! [`RawRing`] is liburing as it is: entries go in, completions come out, and what a pointer needs
//! is your contract. [`Ring`] keeps the operations in a table, so that there is no contract left.
//!
//! | liburing | [`RawRing`] | [`Ring`] |
//! | --- | --- | --- |
//! | `io_uring_queue_init`, `_params` | [`RawRing::builder`] | [`Ring::builder`] |
//! | `io_uring_queue_exit` | drop it | drop it, or [`Ring::close`] |
//! | `io_uring_get_sqe` | [`RawRing::push`], with an [`Sqe`] | [`Ring::submit`], with an operation of [`op`] |
//! | `io_uring_prep_read` | [`Sqe::read`] | [`op::Read`] |
//! | `io_uring_sqe_set_data64` | [`Sqe::with_user_data`] | the second argument of [`Ring::submit`] |
//! | offset -1 | [`Offset::kernel_position`] | [`op::Position`], or [`op::Current`] where there is none |
//! | `IOSQE_IO_LINK` | [`Sqe::linked`] | [`Ring::chain`], with [`lend`] for a buffer of two links |
//! | `IOSQE_ASYNC` | [`Sqe::on_worker`] | [`Operation::on_worker`] |
//! | `io_uring_submit` | [`RawRing::submit`] | [`Ring::wait`]`(0, None)` |
//! | `io_uring_submit_and_wait` | [`RawRing::submit_and_wait`] | [`Ring::wait`] |
//! | `io_uring_wait_cqe`, `_nr`, `_timeout` | [`RawRing::wait`] | [`Ring::wait`] |
//! | `io_uring_wait_cqes` with a signal mask | [`RawRing::wait_interruptible`] | [`Ring::wait_interruptible`] |
//! | `io_uring_peek_cqe`, `io_uring_cqe_seen` | [`RawRing::pop`] does both | [`Ring::next`] does both |
//! | `io_uring_for_each_cqe`, `io_uring_cq_advance` | [`RawRing::completions`] | [`Ring::next`] until `None` |
//! | `cqe->res` | [`Cqe::result`], [`Cqe::raw_result`] | the output in [`Event::Done`] |
//! | `io_uring_cqe_get_data64` | [`Cqe::user_data`] | `ctx` in [`Event::Done`] |
//! | `IORING_CQE_F_MORE` | [`Cqe::has_more`] | [`Event::Item`] has it, [`Event::Done`] not |
//! | `io_uring_prep_cancel64` | [`Sqe::cancel`] | [`Ring::cancel`] |
//! | `io_uring_setup_buf_ring` | [`RawRing::pool`] | [`Ring::pool`] |
//! | `io_uring_buf_ring_add`, `_advance` | drop the [`RecvBuf`] | drop the [`RecvBuf`] |
//! | `io_uring_get_probe`, `io_uring_opcode_supported` | [`check`], [`Support::has`] | the same |
//! | `io_uring_register` | [`RawRing::register`] | |
//!
//! # The same program three times
//!
//! With liburing:
//!
//! ```c
//! struct io_uring ring;
//! struct io_uring_cqe *cqe;
//! io_uring_queue_init(8, &ring, 0);
//! struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
//! io_uring_prep_read(sqe, fd, buffer, sizeof buffer, 0);
//! io_uring_sqe_set_data64(sqe, 7);
//! io_uring_submit(&ring);
//! io_uring_wait_cqe(&ring, &cqe);
//! int length = cqe->res; /* or a negative errno */
//! io_uring_cqe_seen(&ring, cqe);
//! io_uring_queue_exit(&ring);
//! ```
//!
//! With a [`RawRing`], call by call:
//!
//! ```
//! use std::os::fd::AsRawFd;
//! use uring::{At, RawRing, Sqe};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let Ok(_) = uring::check() else { return Ok(()) };
//! # let file = std::fs::File::open("/proc/self/comm")?;
//! let mut ring = RawRing::builder().entries(8).build()?;
//! let buffer = vec![0; 64].leak(); // it stays whatever fails below
//! // SAFETY: the buffer stays, untouched until the completion has been taken; so does the file.
//! let sqe = unsafe { Sqe::read(file.as_raw_fd(), buffer.as_mut_ptr(), 64, At(0).into()) };
//! ring.push(sqe.with_user_data(7))?;
//! ring.wait(1, None)?; // submits and waits, in one system call
//! let cqe = ring.pop().expect("one was waited for");
//! assert_eq!(cqe.user_data(), 7);
//! let length = cqe.result()?;
//! # assert!(length > 0);
//! # // SAFETY: it was a vector without room to spare, and the kernel is done with it.
//! # drop(unsafe { Box::from_raw(buffer) });
//! # Ok(()) }
//! ```
//!
//! With a [`Ring`], which owns the file and the buffer meanwhile, and gives them back:
//!
//! ```
//! use uring::{At, Event, Ring, op::Read};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let Ok(_) = uring::check() else { return Ok(()) };
//! # let file = std::fs::File::open("/proc/self/comm")?;
//! let mut ring: Ring<Read<std::fs::File, Vec<u8>>, u64> = Ring::builder().entries(8).build()?;
//! ring.submit(Read::new(file, Vec::with_capacity(64), At(0)), 7)?;
//! ring.wait(1, None)?;
//! let Some(Event::Done { ctx, output: (length, file, buffer), .. }) = ring.next() else {
//!     unreachable!("one was waited for")
//! };
//! assert_eq!((ctx, length?), (7, buffer.len()));
//! # drop(file);
//! # Ok(()) }
//! ```
//!
//! # What is not as in C
//!
//! - An entry is a value that is complete before it is pushed: there is no slot of the queue to
//!   fill in later, and a full queue gives the entry back in [`PushError`].
//! - Results are `io::Result`; nothing returns a negative errno but [`Cqe::raw_result`].
//! - A completion is a copy: there is nothing to mark as seen, and nothing to hold too long.
//! - [`Ring::builder`] and [`RawRing::builder`] ask for the best set-up flags that the kernel
//!   grants. [`Builder::flags`] asks for those that you name.
//! - Sends carry `MSG_NOSIGNAL`, and descriptors are closed on exec.
//! - A ring belongs to its thread.

#[cfg(doc)] // for the links
use crate::{
    abi::{
        cqe::Cqe,
        sqe::{Sqe, SqeFlags},
    },
    op::{self, Offset},
    operation::{Operation, lend::lend},
    pool::buf::RecvBuf,
    raw::{ring::RawRing, sq::PushError},
    ring::{event::Event, owned::Ring},
    setup::builder::Builder,
    support::probe::{Support, check},
};

pub mod not_yet;

/// What the names of the crate `io-uring` are here.
///
/// | `io-uring` | here |
/// | --- | --- |
/// | `IoUring::new(8)` | [`RawRing::builder`]`().entries(8).build()` |
/// | `IoUring::builder().setup_sqpoll(2000)` | [`Builder::submission_thread`] |
/// | `IoUring::split`, `submission`, `completion` | [`RawRing::split`], or the calls of [`RawRing`] itself |
/// | `squeue::Entry`, `squeue::Flags` | [`Sqe`], [`SqeFlags`] |
/// | `opcode::Readv::new(..).build()` | [`Sqe::readv`], or the operation [`op::Readv`] |
/// | `opcode::Readv::CODE` | [`OpCode::READV`](crate::OpCode::READV) |
/// | `Entry::user_data(7)` | [`Sqe::with_user_data`] |
/// | `SubmissionQueue::push` (unsafe) | [`RawRing::push`] (safe: what can go wrong is promised where the entry is made) |
/// | `SubmissionQueue::sync` | [`SubmissionQueue::publish`](crate::SubmissionQueue::publish); a [`RawRing`] does it by itself |
/// | `Submitter::submit_and_wait` | [`RawRing::submit_and_wait`], [`Submitter::submit_and_wait`](crate::Submitter::submit_and_wait) |
/// | `Submitter::submit_with_args`, `types::SubmitArgs` | [`RawRing::wait`], [`Submitter::submit_and_wait_timeout`](crate::Submitter::submit_and_wait_timeout) |
/// | `Submitter::squeue_wait` | [`RawRing::wait_for_room`] |
/// | `Submitter::register_probe`, `Probe::is_supported` | [`check`], [`Support::has`] |
/// | `Submitter::register_buf_ring` | [`RawRing::pool`], [`Ring::pool`] |
/// | other `Submitter::register_*` | [`RawRing::register`] |
/// | `CompletionQueue::next` | [`RawRing::pop`], [`RawRing::completions`] |
/// | `cqueue::Entry::result`, an `i32` | [`Cqe::result`], an `io::Result`; [`Cqe::raw_result`] |
/// | `cqueue::more`, `buffer_select`, `notif` | [`Cqe::has_more`], [`Cqe::buffer_id`], [`Cqe::is_notification`] |
/// | `types::Fd` | a `RawFd` in [`Sqe`]; anything that is an [`OpFd`](crate::OpFd) in [`op`] |
/// | `types::Fixed` | not yet: [`SqeFlags::FIXED_FILE`] by hand |
/// | `types::Timespec` | `std::time::Duration` and `Instant` |
/// | `types::CancelBuilder` | [`op::Cancel`] |
/// | `squeue::Entry128`, `cqueue::Entry32`, `types::RecvMsgOut`, `types::OpenHow` | not yet |
///
/// The same steps in both. This is `io-uring`:
///
/// ```text
/// let mut ring = IoUring::new(8)?;
/// let entry = opcode::Nop::new().build().user_data(7);
/// unsafe { ring.submission().push(&entry)? };
/// ring.submit_and_wait(1)?;
/// let cqe = ring.completion().next().unwrap();
/// assert_eq!((cqe.user_data(), cqe.result()), (7, 0));
/// ```
///
/// And this is a [`RawRing`]:
///
/// ```
/// use uring::{RawRing, Sqe};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring = RawRing::builder().entries(8).build()?;
/// let entry = Sqe::nop().with_user_data(7);
/// ring.push(entry)?;
/// ring.submit_and_wait(1)?;
/// let cqe = ring.pop().unwrap();
/// assert_eq!((cqe.user_data(), cqe.result()?), (7, 0));
/// # Ok(()) }
/// ```
#[doc(alias("submit_with_args", "squeue_wait", "setup_sqpoll"))]
pub mod crate_io_uring {}

// rustdoc drops an alias like `types::Fd` unless the item is in something called `types`: hence a
// module for each of theirs, with one page in it.

/// The names of `io_uring::squeue`.
pub mod squeue {
    /// `squeue::Entry` is [`Sqe`](crate::Sqe), `squeue::Flags` is [`SqeFlags`](crate::SqeFlags).
    ///
    /// [`SubmissionQueue`](crate::SubmissionQueue) and [`PushError`](crate::PushError) have their
    /// names. The rest is in the [table](crate::porting::crate_io_uring).
    #[doc(alias(
        "squeue::Entry",
        "squeue::Entry128",
        "squeue::Flags",
        "squeue::PushError",
        "squeue::SubmissionQueue",
    ))]
    pub mod here {}
}

/// The names of `io_uring::cqueue`.
pub mod cqueue {
    /// `cqueue::Entry` is [`Cqe`](crate::Cqe), which has what the functions of `cqueue` tell.
    ///
    /// `more` is [`has_more`](crate::Cqe::has_more), `buffer_select` is
    /// [`buffer_id`](crate::Cqe::buffer_id), `notif` is
    /// [`is_notification`](crate::Cqe::is_notification), and `sock_nonempty` is the flag
    /// [`SOCK_NONEMPTY`](crate::CqeFlags::SOCK_NONEMPTY). The rest is in the
    /// [table](crate::porting::crate_io_uring).
    #[doc(alias(
        "cqueue::Entry",
        "cqueue::Entry32",
        "cqueue::CompletionQueue",
        "cqueue::more",
        "cqueue::buffer_select",
        "cqueue::buffer_more",
        "cqueue::notif",
        "cqueue::sock_nonempty",
    ))]
    pub mod here {}
}

/// The names of `io_uring::opcode`.
pub mod opcode {
    /// `opcode::Accept` is [`op::Accept`](crate::op::Accept), and as a raw entry
    /// [`Sqe::accept`](crate::Sqe::accept); so it is for each.
    ///
    /// Those that are missing are on the page of what is [not there yet](crate::porting::not_yet).
    #[doc(alias(
        "opcode::AcceptMulti",
        "opcode::AsyncCancel2",
        "opcode::RecvMulti",
        "opcode::RecvMsgMulti",
        "opcode::SendBundle",
        "opcode::RecvBundle",
        "opcode::RecvMultiBundle",
    ))]
    pub mod here {}
}

/// The names of `io_uring::types`.
pub mod types {
    /// `types::Fd` is a plain descriptor, `types::SubmitArgs` the arguments of
    /// [`RawRing::wait`](crate::RawRing::wait), `types::Timespec` a `Duration` or an `Instant`.
    ///
    /// - `types::Fd`: a `RawFd` in the constructors of [`Sqe`](crate::Sqe); in [`op`](crate::op)
    ///   anything that is an [`OpFd`](crate::OpFd), such as a `File` or an `Arc<TcpStream>`, which
    ///   stays open until the operation has ended.
    /// - `types::CancelBuilder`: [`op::Cancel`](crate::op::Cancel).
    /// - `types::FsyncFlags`: [`FsyncFlags`](crate::FsyncFlags), or
    ///   [`Fsync::data_only`](crate::op::Fsync::data_only).
    /// - `types::Fixed`, `types::DestinationSlot`, `types::OpenHow`, `types::RecvMsgOut`,
    ///   `types::FutexWaitV`: [not there yet](crate::porting::not_yet).
    #[doc(alias(
        "types::Fd",
        "types::Fixed",
        "types::Timespec",
        "types::SubmitArgs",
        "types::CancelBuilder",
        "types::DestinationSlot",
        "types::OpenHow",
        "types::RecvMsgOut",
        "types::BufRingEntry",
        "types::FsyncFlags",
        "types::TimeoutFlags",
        "types::FutexWaitV",
        "SubmitArgs",
        "Timespec",
    ))]
    pub mod here {}
}

/// What liburing has calls for, and what happens by itself here.
///
/// | liburing | here |
/// | --- | --- |
/// | `io_uring_register_ring_fd`, `_unregister_` | a ring registers its descriptor itself, if the kernel has room for it |
/// | `io_uring_queue_mmap`, `io_uring_ring_dontfork` | done when a ring is built; a forked child does not get the memory |
/// | `io_uring_free_probe` | [`Support`] is a plain value |
/// | `io_uring_buf_ring_init`, `_mask`, `_cq_advance` | [`Pool`](crate::Pool) keeps its ring |
/// | `io_uring_free_buf_ring`, `io_uring_unregister_buf_ring` | when the last of a [`Pool`](crate::Pool) and its buffers is dropped |
/// | `io_uring_sqe_set_buf_group` | [`op::RecvMulti`] takes the pool itself |
/// | `io_uring_mlock_size`, `io_uring_memory_size_params` | if the limit of locked memory is too low, [`SetupError`](crate::SetupError) says so |
/// | `io_uring_check_version` | features are asked for by [`check`], never by a version |
#[doc(alias(
    "io_uring_register_ring_fd",
    "io_uring_unregister_ring_fd",
    "io_uring_queue_mmap",
    "io_uring_ring_dontfork",
    "io_uring_free_probe",
    "io_uring_buf_ring_init",
    "io_uring_buf_ring_mask",
    "io_uring_buf_ring_cq_advance",
    "io_uring_free_buf_ring",
    "io_uring_unregister_buf_ring",
    "io_uring_sqe_set_buf_group",
    "io_uring_mlock_size",
    "io_uring_mlock_size_params",
    "io_uring_memory_size_params",
    "io_uring_check_version",
    "io_uring_major_version",
    "io_uring_minor_version",
))]
pub mod no_need {}
