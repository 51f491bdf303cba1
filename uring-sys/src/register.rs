//! What can be registered with a ring, and what can be asked of it.
//!
//! The operands that belong to a larger topic are in the files of that: buffer rings, regions for
//! waiting, zero-copy receive, queries, restrictions and filters.

use core::mem::offset_of;

use crate::enter::__kernel_timespec;
use crate::sqe::{WORD, from_halves, halves};

// ---- `opcode` of `io_uring_register`

/// Pins buffers, an array of `iovec`, for the `_FIXED` operations. Since Linux 5.1.
pub const IORING_REGISTER_BUFFERS: u32 = 0;
/// Lets all buffers go. Since Linux 5.1.
pub const IORING_UNREGISTER_BUFFERS: u32 = 1;
/// Makes a table of files, from an array of `i32`, for
/// [`IOSQE_FIXED_FILE`](crate::IOSQE_FIXED_FILE). Since Linux 5.1.
pub const IORING_REGISTER_FILES: u32 = 2;
/// Lets all files go. Since Linux 5.1.
pub const IORING_UNREGISTER_FILES: u32 = 3;
/// Signals an eventfd at each completion. Since Linux 5.2.
pub const IORING_REGISTER_EVENTFD: u32 = 4;
/// Signals it no more. Since Linux 5.2.
pub const IORING_UNREGISTER_EVENTFD: u32 = 5;
/// Replaces files of the table: [`io_uring_files_update`]. Since Linux 5.5.
pub const IORING_REGISTER_FILES_UPDATE: u32 = 6;
/// Signals an eventfd at completions that do not happen during the submission. Since Linux 5.6.
pub const IORING_REGISTER_EVENTFD_ASYNC: u32 = 7;
/// Which operations the kernel knows: [`io_uring_probe`]. Since Linux 5.6.
pub const IORING_REGISTER_PROBE: u32 = 8;
/// Keeps the caller's credentials, and returns a number for them. Since Linux 5.6.
pub const IORING_REGISTER_PERSONALITY: u32 = 9;
/// Lets credentials go; the number is `nr_args`. Since Linux 5.6.
pub const IORING_UNREGISTER_PERSONALITY: u32 = 10;
/// Limits what the ring may do: an array of [`io_uring_restriction`](crate::io_uring_restriction);
/// without a ring, what the task's rings may do. Since Linux 5.10; without a ring 7.0.
pub const IORING_REGISTER_RESTRICTIONS: u32 = 11;
/// Starts a ring made with [`IORING_SETUP_R_DISABLED`](crate::IORING_SETUP_R_DISABLED).
/// Since Linux 5.10.
pub const IORING_REGISTER_ENABLE_RINGS: u32 = 12;
/// Makes a table of files with tags: [`io_uring_rsrc_register`]. Since Linux 5.13.
pub const IORING_REGISTER_FILES2: u32 = 13;
/// Replaces files with tags: [`io_uring_rsrc_update2`]. Since Linux 5.13.
pub const IORING_REGISTER_FILES_UPDATE2: u32 = 14;
/// Pins buffers with tags: [`io_uring_rsrc_register`]. Since Linux 5.13.
pub const IORING_REGISTER_BUFFERS2: u32 = 15;
/// Replaces buffers with tags: [`io_uring_rsrc_update2`]. Since Linux 5.13.
pub const IORING_REGISTER_BUFFERS_UPDATE: u32 = 16;
/// On which CPUs workers run: a `cpu_set_t` of `nr_args` bytes. Since Linux 5.14.
pub const IORING_REGISTER_IOWQ_AFF: u32 = 17;
/// On any CPU again. Since Linux 5.14.
pub const IORING_UNREGISTER_IOWQ_AFF: u32 = 18;
/// How many workers there are at most: two `u32`, by [`IO_WQ_BOUND`] and [`IO_WQ_UNBOUND`]; 0
/// changes nothing, and the old numbers come back. Since Linux 5.15.
pub const IORING_REGISTER_IOWQ_MAX_WORKERS: u32 = 19;
/// Gives the ring's descriptor an index, per task, that is cheaper to enter with: an array of
/// [`io_uring_rsrc_update`]. Since Linux 5.18.
pub const IORING_REGISTER_RING_FDS: u32 = 20;
/// Takes such an index back. Since Linux 5.18.
pub const IORING_UNREGISTER_RING_FDS: u32 = 21;
/// Adds a buffer ring: [`io_uring_buf_reg`](crate::io_uring_buf_reg). Since Linux 5.19.
pub const IORING_REGISTER_PBUF_RING: u32 = 22;
/// Removes a buffer ring. Since Linux 5.19.
pub const IORING_UNREGISTER_PBUF_RING: u32 = 23;
/// Cancels operations, and waits until they are gone: [`io_uring_sync_cancel_reg`].
/// Since Linux 6.0.
pub const IORING_REGISTER_SYNC_CANCEL: u32 = 24;
/// From which slots [`IORING_FILE_INDEX_ALLOC`](crate::IORING_FILE_INDEX_ALLOC) chooses:
/// [`io_uring_file_index_range`]. Since Linux 6.0.
pub const IORING_REGISTER_FILE_ALLOC_RANGE: u32 = 25;
/// How far a buffer ring is used: [`io_uring_buf_status`](crate::io_uring_buf_status).
/// Since Linux 6.8.
pub const IORING_REGISTER_PBUF_STATUS: u32 = 26;
/// Polls the network cards while waiting: [`io_uring_napi`]. Since Linux 6.9.
pub const IORING_REGISTER_NAPI: u32 = 27;
/// Polls them no more. Since Linux 6.9.
pub const IORING_UNREGISTER_NAPI: u32 = 28;
/// The clock of timeouts while waiting: [`io_uring_clock_register`]. Since Linux 6.12.
pub const IORING_REGISTER_CLOCK: u32 = 29;
/// Takes over buffers of another ring: [`io_uring_clone_buffers`]. Since Linux 6.12.
pub const IORING_REGISTER_CLONE_BUFFERS: u32 = 30;
/// Sends a message to a ring, without a ring of its own: one
/// [`io_uring_sqe`](crate::io_uring_sqe), with fd -1. Since Linux 6.13.
pub const IORING_REGISTER_SEND_MSG_RING: u32 = 31;
/// Takes a receive queue of a network card:
/// [`io_uring_zcrx_ifq_reg`](crate::io_uring_zcrx_ifq_reg). Since Linux 6.15.
pub const IORING_REGISTER_ZCRX_IFQ: u32 = 32;
/// Changes the sizes of the rings: [`io_uring_params`](crate::io_uring_params). Since Linux 6.13.
pub const IORING_REGISTER_RESIZE_RINGS: u32 = 33;
/// Shares memory: [`io_uring_mem_region_reg`](crate::io_uring_mem_region_reg). Since Linux 6.13.
pub const IORING_REGISTER_MEM_REGION: u32 = 34;
/// Answers questions: a list of [`io_uring_query_hdr`](crate::io_uring_query_hdr); works with fd
/// -1. Since Linux 6.18.
pub const IORING_REGISTER_QUERY: u32 = 35;
/// Controls zero-copy receive: [`zcrx_ctrl`](crate::zcrx_ctrl). Since Linux 6.19.
pub const IORING_REGISTER_ZCRX_CTRL: u32 = 36;
/// Adds a filter for entries: [`io_uring_bpf`](crate::io_uring_bpf); with fd -1, for all rings
/// that the task will make. Since Linux 7.0.
pub const IORING_REGISTER_BPF_FILTER: u32 = 37;
/// One more than the last opcode of this header. A kernel may know fewer or more.
pub const IORING_REGISTER_LAST: u32 = 38;
/// Added to an opcode: the descriptor is the index of a registered ring. Since Linux 6.3.
pub const IORING_REGISTER_USE_REGISTERED_RING: u32 = 1 << 31;

/// Index of the workers for what ends in bounded time: files and block devices. Since Linux 5.15.
pub const IO_WQ_BOUND: usize = 0;
/// Index of the workers for what may take forever: sockets and the like. Since Linux 5.15.
pub const IO_WQ_UNBOUND: usize = 1;

// ---- files and buffers

/// The operand of [`IORING_REGISTER_FILES_UPDATE`]. [`io_uring_rsrc_update`] has the same layout,
/// and replaces it. Since Linux 5.5.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_files_update {
    /// The first slot to replace.
    pub offset: u32,
    /// Zero.
    pub resv: u32,
    /// The address of an array of `i32`: descriptors, -1 for none, or
    /// [`IORING_REGISTER_FILES_SKIP`].
    pub fds: u64,
}

/// A table of files or buffers, with tags. Since Linux 5.13.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_rsrc_register {
    /// The number of slots.
    pub nr: u32,
    /// [`IORING_RSRC_REGISTER_SPARSE`]. Since Linux 5.19; zero before.
    pub flags: u32,
    /// Zero.
    pub resv2: u64,
    /// The address of an array of `i32` or `iovec`.
    pub data: u64,
    /// The address of an array of `u64`, the tags: when a resource is gone that has one, not 0, a
    /// completion with that `user_data` is posted. Or 0.
    pub tags: u64,
}

/// In [`io_uring_rsrc_register`]: all slots start empty, and `data` is 0. Since Linux 5.19.
pub const IORING_RSRC_REGISTER_SPARSE: u32 = 1 << 0;

/// Slots to replace, or with [`IORING_REGISTER_RING_FDS`] a ring to register. Since Linux 5.13.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_rsrc_update {
    /// The first slot; for a ring the index, or `u32::MAX` to have one chosen and written here.
    pub offset: u32,
    /// Zero.
    pub resv: u32,
    /// The address of an array; for a ring its descriptor.
    pub data: u64,
}

/// Slots to replace, with tags. Since Linux 5.13.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_rsrc_update2 {
    /// The first slot.
    pub offset: u32,
    /// Zero.
    pub resv: u32,
    /// The address of an array of `i32` or `iovec`.
    pub data: u64,
    /// The address of an array of `u64`, the tags; or 0.
    pub tags: u64,
    /// The number of slots.
    pub nr: u32,
    /// Zero.
    pub resv2: u32,
}

/// In place of a descriptor: the slot stays as it is. Since Linux 5.12.
pub const IORING_REGISTER_FILES_SKIP: i32 = -2;

/// From which slots of the files the kernel chooses. Since Linux 6.0.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_file_index_range {
    /// The first slot.
    pub off: u32,
    /// The number of slots.
    pub len: u32,
    /// Zero.
    pub resv: u64,
}

/// Which buffers to take over from another ring. Since Linux 6.12.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_clone_buffers {
    /// The descriptor of the other ring, or its index.
    pub src_fd: u32,
    /// [`IORING_REGISTER_SRC_REGISTERED`], [`IORING_REGISTER_DST_REPLACE`].
    pub flags: u32,
    /// The first buffer there. Since Linux 6.13; zero before.
    pub src_off: u32,
    /// The first slot here. Since Linux 6.13; zero before.
    pub dst_off: u32,
    /// The number of buffers, or 0 for all. Since Linux 6.13; zero before.
    pub nr: u32,
    /// Zero.
    pub pad: [u32; 3],
}

/// In [`io_uring_clone_buffers`]: `src_fd` is the index of a registered ring. Since Linux 6.12.
pub const IORING_REGISTER_SRC_REGISTERED: u32 = 1 << 0;
/// In [`io_uring_clone_buffers`]: buffers that are there are replaced. Since Linux 6.13.
pub const IORING_REGISTER_DST_REPLACE: u32 = 1 << 1;

// ---- which operations there are

/// What the kernel says about one operation. Since Linux 5.6.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_probe_op {
    /// The opcode, one of `IORING_OP_*`, or newer.
    pub op: u8,
    /// Zero.
    pub resv: u8,
    /// [`IO_URING_OP_SUPPORTED`].
    pub flags: u16,
    /// Zero.
    pub resv2: u32,
}

/// In [`io_uring_probe_op`]: the operation works here. Since Linux 5.6.
pub const IO_URING_OP_SUPPORTED: u16 = 1 << 0;

/// The head of the answer to [`IORING_REGISTER_PROBE`]; the [`io_uring_probe_op`]s follow in
/// memory, see [`io_uring_probe_with_ops`]. All zeroes before the call. Since Linux 5.6.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_probe {
    /// The last opcode that the kernel knows.
    pub last_op: u8,
    /// How many `io_uring_probe_op` the kernel wrote.
    pub ops_len: u8,
    /// Zero.
    pub resv: u16,
    /// Zero.
    pub resv2: [u32; 3],
}

/// An [`io_uring_probe`] with room for `N` operations after it; `nr_args` of the call is at most
/// `N`, and at most 256.
///
/// Not a C name: the header has them as the flexible array `ops`. Since Linux 5.6.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct io_uring_probe_with_ops<const N: usize> {
    /// The head; its `ops_len` tells how many of `ops` are filled.
    pub probe: io_uring_probe,
    /// What follows it: at the index of an opcode, what is said about that.
    pub ops: [io_uring_probe_op; N],
}

impl<const N: usize> Default for io_uring_probe_with_ops<N> {
    fn default() -> Self {
        Self { probe: Default::default(), ops: [Default::default(); N] }
    }
}

// ---- waiting and cancelling

/// The clock of timeouts while waiting. Since Linux 6.12.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_clock_register {
    /// `CLOCK_MONOTONIC` or `CLOCK_BOOTTIME`.
    pub clockid: u32,
    /// Zero.
    pub __resv: [u32; 3],
}

/// How to poll network cards while waiting; the former settings come back. Since Linux 6.9.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_napi {
    /// How long to poll, in microseconds.
    pub busy_poll_to: u32,
    /// 1 to prefer polling over interrupts.
    pub prefer_busy_poll: u8,
    /// Zero. Also [`opcode`](Self::opcode).
    pub pad: [u8; 3],
    /// Zero. Also [`op_param`](Self::op_param).
    pub resv: u64,
}

// The kernel's own header gave names to these bytes, which liburing's copy still has as reserved.
impl io_uring_napi {
    /// `IO_URING_NAPI_REGISTER_OP` or `IO_URING_NAPI_STATIC_*`; in the first byte of `pad`.
    /// Since Linux 6.13.
    #[must_use]
    pub const fn opcode(&self) -> u8 {
        self.pad[0]
    }

    /// Sets [`opcode`](Self::opcode).
    pub const fn set_opcode(&mut self, value: u8) {
        self.pad[0] = value;
    }

    /// `IO_URING_NAPI_TRACKING_*`, or for `IO_URING_NAPI_STATIC_*` the number of a receive queue;
    /// in the first half of `resv`. Since Linux 6.13.
    #[must_use]
    pub const fn op_param(&self) -> u32 {
        halves(self.resv)[0]
    }

    /// Sets [`op_param`](Self::op_param).
    pub const fn set_op_param(&mut self, value: u32) {
        self.resv = from_halves([value, halves(self.resv)[1]]);
    }
}

/// In [`io_uring_napi`]: sets how long to poll, and how to find out what. Since Linux 6.13.
pub const IO_URING_NAPI_REGISTER_OP: u8 = 0;
/// In [`io_uring_napi`]: adds a receive queue to poll. Since Linux 6.13.
pub const IO_URING_NAPI_STATIC_ADD_ID: u8 = 1;
/// In [`io_uring_napi`]: removes a receive queue. Since Linux 6.13.
pub const IO_URING_NAPI_STATIC_DEL_ID: u8 = 2;
/// In [`io_uring_napi`]: polls the queues that the sockets in use belong to. Since Linux 6.13.
pub const IO_URING_NAPI_TRACKING_DYNAMIC: u32 = 0;
/// In [`io_uring_napi`]: polls the queues that were added. Since Linux 6.13.
pub const IO_URING_NAPI_TRACKING_STATIC: u32 = 1;
/// Comes back from [`io_uring_napi`]: nothing is polled. Since Linux 6.13.
pub const IO_URING_NAPI_TRACKING_INACTIVE: u32 = 255;

/// What to cancel, and how long to wait until it is gone. Since Linux 6.0.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_sync_cancel_reg {
    /// The `user_data` to match, unless the flags say otherwise.
    pub addr: u64,
    /// The descriptor to match, with `IORING_ASYNC_CANCEL_FD`.
    pub fd: i32,
    /// `IORING_ASYNC_CANCEL_*`.
    pub flags: u32,
    /// How long to wait; both members -1 for ever.
    pub timeout: __kernel_timespec,
    /// The opcode to match, with `IORING_ASYNC_CANCEL_OP`. Since Linux 6.6; zero before.
    pub opcode: u8,
    /// Zero.
    pub pad: [u8; 7],
    /// Zero.
    pub pad2: [u64; 3],
}

// liburing/io_uring.h at 27255f4c (August 2026)
const _: () = {
    assert!(
        size_of::<io_uring_files_update>() == 16 && align_of::<io_uring_files_update>() == WORD
    );
    assert!(offset_of!(io_uring_files_update, offset) == 0);
    assert!(offset_of!(io_uring_files_update, resv) == 4);
    assert!(offset_of!(io_uring_files_update, fds) == 8);

    assert!(
        size_of::<io_uring_rsrc_register>() == 32 && align_of::<io_uring_rsrc_register>() == WORD
    );
    assert!(offset_of!(io_uring_rsrc_register, nr) == 0);
    assert!(offset_of!(io_uring_rsrc_register, flags) == 4);
    assert!(offset_of!(io_uring_rsrc_register, resv2) == 8);
    assert!(offset_of!(io_uring_rsrc_register, data) == 16);
    assert!(offset_of!(io_uring_rsrc_register, tags) == 24);

    assert!(size_of::<io_uring_rsrc_update>() == 16 && align_of::<io_uring_rsrc_update>() == WORD);
    assert!(offset_of!(io_uring_rsrc_update, offset) == 0);
    assert!(offset_of!(io_uring_rsrc_update, resv) == 4);
    assert!(offset_of!(io_uring_rsrc_update, data) == 8);

    assert!(
        size_of::<io_uring_rsrc_update2>() == 32 && align_of::<io_uring_rsrc_update2>() == WORD
    );
    assert!(offset_of!(io_uring_rsrc_update2, offset) == 0);
    assert!(offset_of!(io_uring_rsrc_update2, resv) == 4);
    assert!(offset_of!(io_uring_rsrc_update2, data) == 8);
    assert!(offset_of!(io_uring_rsrc_update2, tags) == 16);
    assert!(offset_of!(io_uring_rsrc_update2, nr) == 24);
    assert!(offset_of!(io_uring_rsrc_update2, resv2) == 28);

    assert!(size_of::<io_uring_file_index_range>() == 16);
    assert!(align_of::<io_uring_file_index_range>() == WORD);
    assert!(offset_of!(io_uring_file_index_range, off) == 0);
    assert!(offset_of!(io_uring_file_index_range, len) == 4);
    assert!(offset_of!(io_uring_file_index_range, resv) == 8);

    assert!(size_of::<io_uring_clone_buffers>() == 32 && align_of::<io_uring_clone_buffers>() == 4);
    assert!(offset_of!(io_uring_clone_buffers, src_fd) == 0);
    assert!(offset_of!(io_uring_clone_buffers, flags) == 4);
    assert!(offset_of!(io_uring_clone_buffers, src_off) == 8);
    assert!(offset_of!(io_uring_clone_buffers, dst_off) == 12);
    assert!(offset_of!(io_uring_clone_buffers, nr) == 16);
    assert!(offset_of!(io_uring_clone_buffers, pad) == 20);

    assert!(size_of::<io_uring_probe_op>() == 8 && align_of::<io_uring_probe_op>() == 4);
    assert!(offset_of!(io_uring_probe_op, op) == 0);
    assert!(offset_of!(io_uring_probe_op, resv) == 1);
    assert!(offset_of!(io_uring_probe_op, flags) == 2);
    assert!(offset_of!(io_uring_probe_op, resv2) == 4);

    assert!(size_of::<io_uring_probe>() == 16 && align_of::<io_uring_probe>() == 4);
    assert!(offset_of!(io_uring_probe, last_op) == 0);
    assert!(offset_of!(io_uring_probe, ops_len) == 1);
    assert!(offset_of!(io_uring_probe, resv) == 2);
    assert!(offset_of!(io_uring_probe, resv2) == 4);
    assert!(offset_of!(io_uring_probe_with_ops<2>, ops) == 16);

    assert!(size_of::<io_uring_clock_register>() == 16);
    assert!(align_of::<io_uring_clock_register>() == 4);
    assert!(offset_of!(io_uring_clock_register, clockid) == 0);
    assert!(offset_of!(io_uring_clock_register, __resv) == 4);

    assert!(size_of::<io_uring_napi>() == 16 && align_of::<io_uring_napi>() == WORD);
    assert!(offset_of!(io_uring_napi, busy_poll_to) == 0);
    assert!(offset_of!(io_uring_napi, prefer_busy_poll) == 4);
    assert!(offset_of!(io_uring_napi, pad) == 5);
    assert!(offset_of!(io_uring_napi, resv) == 8);

    assert!(size_of::<io_uring_sync_cancel_reg>() == 64);
    assert!(align_of::<io_uring_sync_cancel_reg>() == WORD);
    assert!(offset_of!(io_uring_sync_cancel_reg, addr) == 0);
    assert!(offset_of!(io_uring_sync_cancel_reg, fd) == 8);
    assert!(offset_of!(io_uring_sync_cancel_reg, flags) == 12);
    assert!(offset_of!(io_uring_sync_cancel_reg, timeout) == 16);
    assert!(offset_of!(io_uring_sync_cancel_reg, opcode) == 32);
    assert!(offset_of!(io_uring_sync_cancel_reg, pad) == 33);
    assert!(offset_of!(io_uring_sync_cancel_reg, pad2) == 40);
};
