//! Sockets, and messages between rings: flags, commands and what they write.

use core::mem::offset_of;

use crate::sqe::WORD;

// ---- `ioprio` of send and receive operations

/// Waits for readiness before the first attempt, for when that would come too early anyway.
/// Since Linux 5.19.
pub const IORING_RECVSEND_POLL_FIRST: u16 = 1 << 0;
/// The receive completes again for each arrival, into provided buffers, with
/// [`IORING_CQE_F_MORE`](crate::IORING_CQE_F_MORE) until it ends. Since Linux 6.0.
pub const IORING_RECV_MULTISHOT: u16 = 1 << 1;
/// The buffer is in the registered one at `buf_index`; for zero-copy sends. Since Linux 6.0.
pub const IORING_RECVSEND_FIXED_BUF: u16 = 1 << 2;
/// The notification of a zero-copy send says in `res` whether the kernel copied after all, see
/// [`IORING_NOTIF_USAGE_ZC_COPIED`]. Since Linux 6.2.
pub const IORING_SEND_ZC_REPORT_USAGE: u16 = 1 << 3;
/// One operation takes several buffers of the group; the completion names the first, and `res` is
/// the total in bytes. Since Linux 6.10.
pub const IORING_RECVSEND_BUNDLE: u16 = 1 << 4;
/// `addr` and `len` of a send are an array of `iovec`s, not one buffer. Since Linux 6.17.
pub const IORING_SEND_VECTORIZED: u16 = 1 << 5;

/// In the `res` of a notification: the data was copied, at least in part. A bit, not an error, and
/// the other bits mean nothing yet. Since Linux 6.2.
pub const IORING_NOTIF_USAGE_ZC_COPIED: u32 = 1 << 31;

// ---- `ioprio` of IORING_OP_ACCEPT

/// The accept completes again for each connection, with
/// [`IORING_CQE_F_MORE`](crate::IORING_CQE_F_MORE) until it ends. Since Linux 5.19.
pub const IORING_ACCEPT_MULTISHOT: u16 = 1 << 0;
/// Completes with `-EAGAIN` if no connection waits. Since Linux 6.10.
pub const IORING_ACCEPT_DONTWAIT: u16 = 1 << 1;
/// Waits for readiness before the first attempt. Since Linux 6.10.
pub const IORING_ACCEPT_POLL_FIRST: u16 = 1 << 2;

// ---- IORING_OP_MSG_RING: `addr` says what, `op_flags` how

/// Posts a completion: `len` becomes its `res`, and `off` its `user_data`. Since Linux 5.18.
pub const IORING_MSG_DATA: u64 = 0;
/// Passes the registered file at `addr3` to the slot `file_index` of the other ring.
/// Since Linux 6.0.
pub const IORING_MSG_SEND_FD: u64 = 1;
/// Posts no completion on the other ring when a file is passed. Since Linux 6.0.
pub const IORING_MSG_RING_CQE_SKIP: u32 = 1 << 0;
/// The `flags` of the posted completion are what `file_index` holds. Since Linux 6.3.
pub const IORING_MSG_RING_FLAGS_PASS: u32 = 1 << 1;

// ---- `cmd_op` of IORING_OP_URING_CMD on a socket

/// How many bytes can be read, as the ioctl `SIOCINQ`. Since Linux 6.6.
pub const SOCKET_URING_OP_SIOCINQ: u32 = 0;
/// How many bytes are not sent yet, as the ioctl `SIOCOUTQ`. Since Linux 6.6.
pub const SOCKET_URING_OP_SIOCOUTQ: u32 = 1;
/// `getsockopt(2)`, for the level `SOL_SOCKET`. Since Linux 6.7.
pub const SOCKET_URING_OP_GETSOCKOPT: u32 = 2;
/// `setsockopt(2)`. Since Linux 6.7.
pub const SOCKET_URING_OP_SETSOCKOPT: u32 = 3;
/// Delivers the time stamps of what was sent, one completion of 32 bytes for each; needs a ring
/// that has such. Since Linux 6.17.
pub const SOCKET_URING_OP_TX_TIMESTAMP: u32 = 4;
/// `getsockname(2)`, or `getpeername(2)` if `optlen` is 1. Since Linux 6.19.
pub const SOCKET_URING_OP_GETSOCKNAME: u32 = 5;

// ---- `flags` of completions of SOCKET_URING_OP_TX_TIMESTAMP

/// The number of the bit that [`IORING_CQE_F_TSTAMP_HW`] is. Since Linux 6.17.
pub const IORING_TIMESTAMP_HW_SHIFT: u32 = 16;
/// From this bit on, the flags hold the type of the time stamp: `SCM_TSTAMP_*` of
/// `linux/errqueue.h`. Since Linux 6.17.
pub const IORING_TIMESTAMP_TYPE_SHIFT: u32 = 17;
/// The network card took the time, not the kernel. Since Linux 6.17.
pub const IORING_CQE_F_TSTAMP_HW: u32 = 1 << 16;

/// A time stamp: the extra words of a completion of [`SOCKET_URING_OP_TX_TIMESTAMP`].
///
/// Not for timeouts: those take a [`__kernel_timespec`](crate::__kernel_timespec), which is signed.
/// Since Linux 6.17.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_timespec {
    /// Whole seconds.
    pub tv_sec: u64,
    /// The rest, in nanoseconds.
    pub tv_nsec: u64,
}

/// What a multishot [`IORING_OP_RECVMSG`](crate::IORING_OP_RECVMSG) writes at the start of each
/// buffer.
///
/// After it come the address, the control data and the payload, each of the first two in as much
/// room as the `msghdr` of the submission reserved. Since Linux 6.0.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_recvmsg_out {
    /// The length of the sender's address in bytes; more than was reserved if it was cut.
    pub namelen: u32,
    /// The length of the control data in bytes.
    pub controllen: u32,
    /// The length of the payload in bytes; with `MSG_TRUNC`, of all that was sent.
    pub payloadlen: u32,
    /// `MSG_*` as `recvmsg(2)` returns them, such as `MSG_TRUNC`.
    pub flags: u32,
}

// liburing/io_uring.h at 27255f4c (August 2026)
const _: () = {
    assert!(size_of::<io_timespec>() == 16 && align_of::<io_timespec>() == WORD);
    assert!(offset_of!(io_timespec, tv_sec) == 0);
    assert!(offset_of!(io_timespec, tv_nsec) == 8);

    assert!(size_of::<io_uring_recvmsg_out>() == 16 && align_of::<io_uring_recvmsg_out>() == 4);
    assert!(offset_of!(io_uring_recvmsg_out, namelen) == 0);
    assert!(offset_of!(io_uring_recvmsg_out, controllen) == 4);
    assert!(offset_of!(io_uring_recvmsg_out, payloadlen) == 8);
    assert!(offset_of!(io_uring_recvmsg_out, flags) == 12);
};
