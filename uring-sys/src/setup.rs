//! How a ring is created, what the kernel answers, and where to map it.

use core::mem::offset_of;

use crate::sqe::WORD;

/// What a program asks of a new ring, and what the kernel grants: the operand of
/// [`io_uring_setup`](crate::io_uring_setup). Since Linux 5.1.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_params {
    /// Written by the kernel: the number of submission entries, a power of two.
    pub sq_entries: u32,
    /// The number of completion entries: wanted, with [`IORING_SETUP_CQSIZE`]; then granted.
    pub cq_entries: u32,
    /// `IORING_SETUP_*`.
    pub flags: u32,
    /// The CPU of the polling thread, with [`IORING_SETUP_SQ_AFF`].
    pub sq_thread_cpu: u32,
    /// How long the polling thread looks for work before it sleeps, in milliseconds; 0 for one
    /// second.
    pub sq_thread_idle: u32,
    /// Written by the kernel: `IORING_FEAT_*`.
    pub features: u32,
    /// The descriptor of the ring to share workers with, with [`IORING_SETUP_ATTACH_WQ`].
    pub wq_fd: u32,
    /// Zero.
    pub resv: [u32; 3],
    /// Written by the kernel: where the parts of the submission ring are.
    pub sq_off: io_sqring_offsets,
    /// Written by the kernel: where the parts of the completion ring are.
    pub cq_off: io_cqring_offsets,
}

/// Where the parts of the submission ring are, in bytes from the start of its mapping.
/// Since Linux 5.1.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_sqring_offsets {
    /// The counter of consumed entries: the kernel's.
    pub head: u32,
    /// The counter of submitted entries: the program's.
    pub tail: u32,
    /// The number of entries minus one, by which counters become indices.
    pub ring_mask: u32,
    /// The number of entries.
    pub ring_entries: u32,
    /// `IORING_SQ_*`: what the kernel wants to say.
    pub flags: u32,
    /// The counter of entries that were dropped because their index was out of range.
    pub dropped: u32,
    /// The array of indices of entries; 0 with [`IORING_SETUP_NO_SQARRAY`].
    pub array: u32,
    /// Zero.
    pub resv1: u32,
    /// The program's memory for the entries, with [`IORING_SETUP_NO_MMAP`]. Since Linux 6.5.
    pub user_addr: u64,
}

/// Where the parts of the completion ring are, in bytes from the start of its mapping.
/// Since Linux 5.1.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_cqring_offsets {
    /// The counter of taken entries: the program's.
    pub head: u32,
    /// The counter of posted entries: the kernel's.
    pub tail: u32,
    /// The number of entries minus one, by which counters become indices.
    pub ring_mask: u32,
    /// The number of entries.
    pub ring_entries: u32,
    /// The counter of completions that were lost because the ring was full.
    pub overflow: u32,
    /// The array of entries.
    pub cqes: u32,
    /// `IORING_CQ_*`: what the program wants to say. Since Linux 5.8.
    pub flags: u32,
    /// Zero.
    pub resv1: u32,
    /// The program's memory for the rings, with [`IORING_SETUP_NO_MMAP`]. Since Linux 6.5.
    pub user_addr: u64,
}

// liburing/io_uring.h at 27255f4c (August 2026)
const _: () = {
    assert!(size_of::<io_uring_params>() == 120 && align_of::<io_uring_params>() == WORD);
    assert!(offset_of!(io_uring_params, sq_entries) == 0);
    assert!(offset_of!(io_uring_params, cq_entries) == 4);
    assert!(offset_of!(io_uring_params, flags) == 8);
    assert!(offset_of!(io_uring_params, sq_thread_cpu) == 12);
    assert!(offset_of!(io_uring_params, sq_thread_idle) == 16);
    assert!(offset_of!(io_uring_params, features) == 20);
    assert!(offset_of!(io_uring_params, wq_fd) == 24);
    assert!(offset_of!(io_uring_params, resv) == 28);
    assert!(offset_of!(io_uring_params, sq_off) == 40);
    assert!(offset_of!(io_uring_params, cq_off) == 80);

    assert!(size_of::<io_sqring_offsets>() == 40 && align_of::<io_sqring_offsets>() == WORD);
    assert!(offset_of!(io_sqring_offsets, head) == 0);
    assert!(offset_of!(io_sqring_offsets, tail) == 4);
    assert!(offset_of!(io_sqring_offsets, ring_mask) == 8);
    assert!(offset_of!(io_sqring_offsets, ring_entries) == 12);
    assert!(offset_of!(io_sqring_offsets, flags) == 16);
    assert!(offset_of!(io_sqring_offsets, dropped) == 20);
    assert!(offset_of!(io_sqring_offsets, array) == 24);
    assert!(offset_of!(io_sqring_offsets, resv1) == 28);
    assert!(offset_of!(io_sqring_offsets, user_addr) == 32);

    assert!(size_of::<io_cqring_offsets>() == 40 && align_of::<io_cqring_offsets>() == WORD);
    assert!(offset_of!(io_cqring_offsets, head) == 0);
    assert!(offset_of!(io_cqring_offsets, tail) == 4);
    assert!(offset_of!(io_cqring_offsets, ring_mask) == 8);
    assert!(offset_of!(io_cqring_offsets, ring_entries) == 12);
    assert!(offset_of!(io_cqring_offsets, overflow) == 16);
    assert!(offset_of!(io_cqring_offsets, cqes) == 20);
    assert!(offset_of!(io_cqring_offsets, flags) == 24);
    assert!(offset_of!(io_cqring_offsets, resv1) == 28);
    assert!(offset_of!(io_cqring_offsets, user_addr) == 32);
};

// ---- `flags` of `io_uring_params`

/// Completions are found by asking the device, not by interrupts; for files that can be polled,
/// opened with `O_DIRECT`. Since Linux 5.1.
pub const IORING_SETUP_IOPOLL: u32 = 1 << 0;
/// A thread of the kernel takes the entries, so that submitting needs no system call while it is
/// awake. Since Linux 5.1.
pub const IORING_SETUP_SQPOLL: u32 = 1 << 1;
/// The polling thread runs on the CPU `sq_thread_cpu`. Since Linux 5.1.
pub const IORING_SETUP_SQ_AFF: u32 = 1 << 2;
/// The completion ring has `cq_entries` entries, rather than twice those of the submission ring.
/// Since Linux 5.5.
pub const IORING_SETUP_CQSIZE: u32 = 1 << 3;
/// Sizes above the maximum become the maximum, instead of `EINVAL`. Since Linux 5.6.
pub const IORING_SETUP_CLAMP: u32 = 1 << 4;
/// Shares the workers, and the polling thread, of the ring `wq_fd`. Since Linux 5.6.
pub const IORING_SETUP_ATTACH_WQ: u32 = 1 << 5;
/// The ring takes nothing before
/// [`IORING_REGISTER_ENABLE_RINGS`](crate::IORING_REGISTER_ENABLE_RINGS). Since Linux 5.10.
pub const IORING_SETUP_R_DISABLED: u32 = 1 << 6;
/// A bad entry does not stop the submission of those after it. Since Linux 5.18.
pub const IORING_SETUP_SUBMIT_ALL: u32 = 1 << 7;
/// The kernel does not interrupt the task to finish operations; they are finished when the task
/// enters the kernel next. Since Linux 5.19.
pub const IORING_SETUP_COOP_TASKRUN: u32 = 1 << 8;
/// [`IORING_SQ_TASKRUN`] shows when there is something to finish; with
/// [`IORING_SETUP_COOP_TASKRUN`] or [`IORING_SETUP_DEFER_TASKRUN`]. Since Linux 5.19.
pub const IORING_SETUP_TASKRUN_FLAG: u32 = 1 << 9;
/// All submission entries have 128 bytes. Since Linux 5.19.
pub const IORING_SETUP_SQE128: u32 = 1 << 10;
/// All completion entries have 32 bytes. Since Linux 5.19.
pub const IORING_SETUP_CQE32: u32 = 1 << 11;
/// Promises that one task submits; others get `EEXIST`. Since Linux 6.0.
pub const IORING_SETUP_SINGLE_ISSUER: u32 = 1 << 12;
/// Operations are finished only when the task waits for completions; with
/// [`IORING_SETUP_SINGLE_ISSUER`]. Since Linux 6.1.
pub const IORING_SETUP_DEFER_TASKRUN: u32 = 1 << 13;
/// The rings live in memory of the program, at the two `user_addr`. Since Linux 6.5.
pub const IORING_SETUP_NO_MMAP: u32 = 1 << 14;
/// The result is the index of a registered ring, and there is no descriptor; with
/// [`IORING_SETUP_NO_MMAP`]. Since Linux 6.5.
pub const IORING_SETUP_REGISTERED_FD_ONLY: u32 = 1 << 15;
/// Entries are submitted in their order in memory, without the array of indices. Since Linux 6.6.
pub const IORING_SETUP_NO_SQARRAY: u32 = 1 << 16;
/// With [`IORING_SETUP_IOPOLL`]: sleeps a while before it asks the device. Since Linux 6.13.
pub const IORING_SETUP_HYBRID_IOPOLL: u32 = 1 << 17;
/// Completions of 16 and of 32 bytes in one ring. Since Linux 6.18.
pub const IORING_SETUP_CQE_MIXED: u32 = 1 << 18;
/// Entries of 64 and of 128 bytes in one ring. Since Linux 6.19.
pub const IORING_SETUP_SQE_MIXED: u32 = 1 << 19;
/// Each submission starts at the first entry, and head and tail stay 0; with
/// [`IORING_SETUP_NO_SQARRAY`], without [`IORING_SETUP_SQPOLL`]. Since Linux 7.0.
pub const IORING_SETUP_SQ_REWIND: u32 = 1 << 20;

// ---- `features` of `io_uring_params`

/// One mapping holds both rings. Since Linux 5.4.
pub const IORING_FEAT_SINGLE_MMAP: u32 = 1 << 0;
/// Completions that do not fit are kept, not lost, unless memory runs out. Since Linux 5.5.
pub const IORING_FEAT_NODROP: u32 = 1 << 1;
/// What an entry points to (not the data) may go once the entry is submitted. Since Linux 5.5.
pub const IORING_FEAT_SUBMIT_STABLE: u32 = 1 << 2;
/// The offset -1 means the file's own position. Since Linux 5.6.
pub const IORING_FEAT_RW_CUR_POS: u32 = 1 << 3;
/// Operations use the credentials of the task that submits, not of the one that made the ring.
/// Since Linux 5.6.
pub const IORING_FEAT_CUR_PERSONALITY: u32 = 1 << 4;
/// Operations on pollable files wait without a worker thread. Since Linux 5.7.
pub const IORING_FEAT_FAST_POLL: u32 = 1 << 5;
/// Polling takes 32 bits of events, so that `EPOLLEXCLUSIVE` works. Since Linux 5.9.
pub const IORING_FEAT_POLL_32BITS: u32 = 1 << 6;
/// The polling thread takes normal descriptors, not just registered ones. Since Linux 5.11.
pub const IORING_FEAT_SQPOLL_NONFIXED: u32 = 1 << 7;
/// [`IORING_ENTER_EXT_ARG`](crate::IORING_ENTER_EXT_ARG) works. Since Linux 5.11.
pub const IORING_FEAT_EXT_ARG: u32 = 1 << 8;
/// Workers are threads of the task, with its credentials and limits. Since Linux 5.12.
pub const IORING_FEAT_NATIVE_WORKERS: u32 = 1 << 9;
/// Registered resources can carry tags, which are posted when the last user is gone.
/// Since Linux 5.13.
pub const IORING_FEAT_RSRC_TAGS: u32 = 1 << 10;
/// [`IOSQE_CQE_SKIP_SUCCESS`](crate::IOSQE_CQE_SKIP_SUCCESS) works. Since Linux 5.17.
pub const IORING_FEAT_CQE_SKIP: u32 = 1 << 11;
/// A linked operation looks its file up when it starts, so an earlier one of the chain can open
/// it. Since Linux 5.18.
pub const IORING_FEAT_LINKED_FILE: u32 = 1 << 12;
/// [`io_uring_register`](crate::io_uring_register) takes a registered ring. Since Linux 6.3.
pub const IORING_FEAT_REG_REG_RING: u32 = 1 << 13;
/// [`IORING_RECVSEND_BUNDLE`](crate::IORING_RECVSEND_BUNDLE) works. Since Linux 6.10.
pub const IORING_FEAT_RECVSEND_BUNDLE: u32 = 1 << 14;
/// Waiting takes a minimum time, `min_wait_usec`. Since Linux 6.12.
pub const IORING_FEAT_MIN_TIMEOUT: u32 = 1 << 15;
/// Reads and writes take attributes, see
/// [`attr_type_mask`](crate::io_uring_sqe::attr_type_mask). Since Linux 6.14.
pub const IORING_FEAT_RW_ATTR: u32 = 1 << 16;
/// [`IORING_ENTER_NO_IOWAIT`](crate::IORING_ENTER_NO_IOWAIT) works. Since Linux 6.15.
pub const IORING_FEAT_NO_IOWAIT: u32 = 1 << 17;

// ---- offsets for `mmap(2)` of the ring's descriptor, in bytes

/// The submission ring, and with [`IORING_FEAT_SINGLE_MMAP`] the completion ring too.
/// Since Linux 5.1.
pub const IORING_OFF_SQ_RING: u64 = 0;
/// The completion ring. Since Linux 5.1.
pub const IORING_OFF_CQ_RING: u64 = 0x0800_0000;
/// The submission entries. Since Linux 5.1.
pub const IORING_OFF_SQES: u64 = 0x1000_0000;
/// The buffer ring of group 0, if the kernel allocated it; for others see
/// [`IORING_OFF_PBUF_SHIFT`]. Since Linux 6.4.
pub const IORING_OFF_PBUF_RING: u64 = 0x8000_0000;
/// How far left the number of a buffer group goes in an offset. Since Linux 6.4.
pub const IORING_OFF_PBUF_SHIFT: u32 = 16;
/// The bits of an offset that say what is mapped. Since Linux 6.4.
pub const IORING_OFF_MMAP_MASK: u64 = 0xf800_0000;

// ---- `flags` of the submission ring: written by the kernel, read atomically

/// The polling thread sleeps: enter with
/// [`IORING_ENTER_SQ_WAKEUP`](crate::IORING_ENTER_SQ_WAKEUP). Since Linux 5.1.
pub const IORING_SQ_NEED_WAKEUP: u32 = 1 << 0;
/// The kernel keeps completions that did not fit: enter to get them. Since Linux 5.8.
pub const IORING_SQ_CQ_OVERFLOW: u32 = 1 << 1;
/// Operations are to be finished: enter for it. Since Linux 5.19.
pub const IORING_SQ_TASKRUN: u32 = 1 << 2;
