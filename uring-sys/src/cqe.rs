//! Completion queue entries, and their flags.

use core::mem::offset_of;

use crate::sqe::WORD;
use crate::{msg::io_timespec, zcrx::io_uring_zcrx_cqe};

/// One completion: what became of one submission entry.
///
/// 16 bytes. In rings with [`IORING_SETUP_CQE32`](crate::IORING_SETUP_CQE32) all entries are
/// [`io_uring_cqe32`], and with [`IORING_SETUP_CQE_MIXED`](crate::IORING_SETUP_CQE_MIXED) those
/// are which carry [`IORING_CQE_F_32`]. Since Linux 5.1.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_cqe {
    /// The `user_data` of the submission entry, unchanged.
    pub user_data: u64,
    /// What the operation returns: usually a count or a descriptor, or a negated `errno`.
    pub res: i32,
    /// `IORING_CQE_F_*`; the upper 16 bits are a buffer's number if [`IORING_CQE_F_BUFFER`] is set.
    pub flags: u32,
}

/// A completion of 32 bytes: an [`io_uring_cqe`] and the two words after it.
///
/// Not a C name: the header has the words as the flexible array `big_cqe` of the short entry.
/// Since Linux 5.19.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_cqe32 {
    /// The first half, which every completion has.
    pub cqe: io_uring_cqe,
    /// What the operation adds: two words whose meaning is its own.
    pub big_cqe: [u64; 2],
}

impl io_uring_cqe32 {
    /// The extra words as [`IORING_OP_RECV_ZC`](crate::IORING_OP_RECV_ZC) fills them.
    #[must_use]
    pub const fn zcrx(&self) -> io_uring_zcrx_cqe {
        let [off, __pad] = self.big_cqe;
        io_uring_zcrx_cqe { off, __pad }
    }

    /// The extra words as
    /// [`SOCKET_URING_OP_TX_TIMESTAMP`](crate::SOCKET_URING_OP_TX_TIMESTAMP) fills them.
    #[must_use]
    pub const fn timestamp(&self) -> io_timespec {
        let [tv_sec, tv_nsec] = self.big_cqe;
        io_timespec { tv_sec, tv_nsec }
    }
}

// liburing/io_uring.h at 27255f4c (August 2026)
const _: () = {
    assert!(size_of::<io_uring_cqe>() == 16 && align_of::<io_uring_cqe>() == WORD);
    assert!(offset_of!(io_uring_cqe, user_data) == 0);
    assert!(offset_of!(io_uring_cqe, res) == 8);
    assert!(offset_of!(io_uring_cqe, flags) == 12);

    assert!(size_of::<io_uring_cqe32>() == 32 && align_of::<io_uring_cqe32>() == WORD);
    assert!(offset_of!(io_uring_cqe32, big_cqe) == 16);
};

// ---- `flags` of a completion

/// A provided buffer was used: its number is in the bits from [`IORING_CQE_BUFFER_SHIFT`] on.
/// Since Linux 5.7.
pub const IORING_CQE_F_BUFFER: u32 = 1 << 0;
/// The same submission will complete again. Since Linux 5.13.
pub const IORING_CQE_F_MORE: u32 = 1 << 1;
/// The socket has more to read. Since Linux 5.19.
pub const IORING_CQE_F_SOCK_NONEMPTY: u32 = 1 << 2;
/// The notification of a zero-copy send: its buffer is free now. Since Linux 6.0.
pub const IORING_CQE_F_NOTIF: u32 = 1 << 3;
/// The buffer is used in part only, and will be filled further; with
/// [`IOU_PBUF_RING_INC`](crate::IOU_PBUF_RING_INC). Since Linux 6.12.
pub const IORING_CQE_F_BUF_MORE: u32 = 1 << 4;
/// Not a completion: it fills a gap before the ring's end, and is to be passed over; with
/// [`IORING_SETUP_CQE_MIXED`](crate::IORING_SETUP_CQE_MIXED). Since Linux 6.18.
pub const IORING_CQE_F_SKIP: u32 = 1 << 5;
/// The completion has 32 bytes, two places in the ring; with
/// [`IORING_SETUP_CQE_MIXED`](crate::IORING_SETUP_CQE_MIXED). Since Linux 6.18.
pub const IORING_CQE_F_32: u32 = 1 << 15;

/// From this bit on, `flags` holds the number of the buffer used. Since Linux 5.7.
pub const IORING_CQE_BUFFER_SHIFT: u32 = 16;

// ---- `flags` of the completion ring: written by the program, read by the kernel

/// The registered eventfd is not signalled for the moment. Since Linux 5.8.
pub const IORING_CQ_EVENTFD_DISABLED: u32 = 1 << 0;
