//! The submission queue entry: what the kernel is asked to do.

use std::fmt;

use uring_sys as sys;

use super::opcode::OpCode;

bitflags::bitflags! {
    /// How an entry is treated: the `flags` of a submission queue entry.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct SqeFlags: u8 {
        /// The descriptor is a slot of the registered file table. Since Linux 5.1.
        #[doc(alias = "IOSQE_FIXED_FILE")]
        const FIXED_FILE = sys::IOSQE_FIXED_FILE;
        /// Starts after everything submitted before it. Since Linux 5.2.
        #[doc(alias = "IOSQE_IO_DRAIN")]
        const DRAIN = sys::IOSQE_IO_DRAIN;
        /// The next entry starts when this one has succeeded. Since Linux 5.3.
        #[doc(alias = "IOSQE_IO_LINK")]
        const LINK = sys::IOSQE_IO_LINK;
        /// The next entry starts when this one has ended, failed or not. Since Linux 5.5.
        #[doc(alias = "IOSQE_IO_HARDLINK")]
        const HARD_LINK = sys::IOSQE_IO_HARDLINK;
        /// Runs on a worker thread from the start. Since Linux 5.6.
        #[doc(alias = "IOSQE_ASYNC")]
        const ASYNC = sys::IOSQE_ASYNC;
        /// The kernel picks a provided buffer. Since Linux 5.7.
        #[doc(alias = "IOSQE_BUFFER_SELECT")]
        const BUFFER_SELECT = sys::IOSQE_BUFFER_SELECT;
        /// Success posts no completion. Since Linux 5.17.
        #[doc(alias = "IOSQE_CQE_SKIP_SUCCESS")]
        const CQE_SKIP_SUCCESS = sys::IOSQE_CQE_SKIP_SUCCESS;

        const _ = !0; // bits newer than this crate survive
    }
}

/// An entry of zeroes, which the constructors start from.
pub(crate) const ZERO: sys::io_uring_sqe = sys::io_uring_sqe {
    opcode: 0,
    flags: 0,
    ioprio: 0,
    fd: 0,
    off: 0,
    addr: 0,
    len: 0,
    op_flags: 0,
    user_data: 0,
    buf_index: 0,
    personality: 0,
    file_index: 0,
    addr3: 0,
    __pad2: [0],
};

/// A submission queue entry, for runtime authors.
///
/// It is made by the constructors that stand beside each operation, such as
/// [`Sqe::nop`]; those that carry a pointer or a descriptor are `unsafe`, and each says what must
/// stay valid. Pushing a finished entry is safe.
///
/// ```
/// use uring::{RawRing, Sqe};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring = RawRing::builder().entries(8).build()?;
/// ring.push(Sqe::nop().with_user_data(1).linked())?; // the next one starts when it has ended
/// ring.push(Sqe::nop().with_user_data(2))?;
/// ring.submit_and_wait(2)?;
/// let order: Vec<u64> = ring.completions().map(|cqe| cqe.user_data()).collect();
/// assert_eq!(order, [1, 2]);
/// # Ok(()) }
/// ```
#[must_use = "an entry does nothing until it is pushed onto a ring"]
#[derive(Default)]
#[repr(transparent)]
pub struct Sqe(sys::io_uring_sqe);

impl Sqe {
    pub(crate) const fn from_raw(raw: sys::io_uring_sqe) -> Self {
        Self(raw)
    }

    /// Wraps an entry of the kernel's layout, for operations that this crate does not know.
    ///
    /// # Safety
    ///
    /// Until the terminal completion of the entry has been taken:
    /// - memory that the kernel reads is not changed, memory that it writes is not touched, and
    ///   neither is freed;
    /// - structures that it points to do not move;
    /// - its descriptors stay open, and are the caller's to use so (to close one, it is his own).
    ///
    /// And what it does to others:
    /// - it makes the kernel post no `user_data` of somebody else's choice of meaning: no message
    ///   (`MSG_RING`) to a ring whose completions release memory, such as a [`Ring`](crate::Ring),
    ///   and no poll update that gives an operation of somebody else another `user_data`;
    /// - it neither changes nor removes an operation, a registered file or buffer, or a group of
    ///   buffers that somebody else relies on (`TIMEOUT_REMOVE` with an update, `POLL_REMOVE`,
    ///   `FILES_UPDATE`, `PROVIDE_BUFFERS`, `REMOVE_BUFFERS`).
    ///
    /// Asking to cancel is harmless: an operation that is cancelled still completes.
    pub const unsafe fn new(raw: sys::io_uring_sqe) -> Self {
        Self(raw)
    }

    /// The entry in the kernel's layout.
    #[must_use]
    pub const fn raw(&self) -> &sys::io_uring_sqe {
        &self.0
    }

    /// The entry in the kernel's layout, to change.
    ///
    /// # Safety
    ///
    /// What is written keeps the contract of [`Sqe::new`].
    pub const unsafe fn raw_mut(&mut self) -> &mut sys::io_uring_sqe {
        &mut self.0
    }

    /// What the kernel is asked to do.
    pub const fn opcode(&self) -> OpCode {
        OpCode::new(self.0.opcode)
    }

    /// Sets the number that the completions carry.
    #[doc(alias = "io_uring_sqe_set_data64")]
    #[doc(alias = "io_uring_sqe_set_data")]
    pub const fn with_user_data(mut self, user_data: u64) -> Self {
        self.0.user_data = user_data;
        self
    }

    /// Makes the next entry of the same submission start when this one has succeeded.
    #[doc(alias = "io_uring_sqe_set_flags")]
    #[doc(alias = "IOSQE_IO_LINK")]
    pub const fn linked(mut self) -> Self {
        self.0.flags |= sys::IOSQE_IO_LINK;
        self
    }

    /// Makes the next entry of the same submission start when this one has ended, failed or not.
    #[doc(alias = "IOSQE_IO_HARDLINK")]
    pub const fn hard_linked(mut self) -> Self {
        self.0.flags |= sys::IOSQE_IO_HARDLINK;
        self
    }

    /// Starts only after everything submitted before it has completed.
    #[doc(alias = "IOSQE_IO_DRAIN")]
    pub const fn drained(mut self) -> Self {
        self.0.flags |= sys::IOSQE_IO_DRAIN;
        self
    }

    /// Runs on a worker thread from the start.
    #[doc(alias = "IOSQE_ASYNC")]
    pub const fn on_worker(mut self) -> Self {
        self.0.flags |= sys::IOSQE_ASYNC;
        self
    }

    /// Posts no completion if it succeeds. Since Linux 5.17.
    #[doc(alias = "IOSQE_CQE_SKIP_SUCCESS")]
    pub const fn skip_success(mut self) -> Self {
        self.0.flags |= sys::IOSQE_CQE_SKIP_SUCCESS;
        self
    }

    pub(crate) const fn set_fd(&mut self, fd: i32) {
        self.0.fd = fd;
    }

    pub(crate) const fn add_flags(&mut self, flags: SqeFlags) {
        self.0.flags |= flags.bits();
    }

    /// What the engine, not the operation, decides: whose the completions are, and the flags that
    /// would change how many come and when it starts.
    #[inline]
    pub(crate) const fn seal(&mut self, user_data: u64, flags: SqeFlags) {
        const OF_THE_OPERATION: SqeFlags =
            SqeFlags::FIXED_FILE.union(SqeFlags::ASYNC).union(SqeFlags::BUFFER_SELECT);
        self.0.user_data = user_data;
        self.0.flags = self.0.flags & OF_THE_OPERATION.bits() | flags.bits();
    }
}

impl fmt::Debug for Sqe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqe")
            .field("opcode", &self.opcode())
            .field("flags", &SqeFlags::from_bits_retain(self.0.flags))
            .field("fd", &self.0.fd)
            .field("user_data", &format_args!("{:#x}", self.0.user_data))
            .finish_non_exhaustive()
    }
}
