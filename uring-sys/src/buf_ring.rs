//! Rings of buffers, from which the kernel takes one when data has come.

use core::mem::offset_of;

use crate::sqe::WORD;

/// One buffer: an entry of a buffer ring. Since Linux 5.19.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_buf {
    /// The address of the buffer.
    pub addr: u64,
    /// The length of the buffer in bytes.
    pub len: u32,
    /// The number of the buffer, which the completion carries.
    pub bid: u16,
    /// Nothing; but in the first entry, the ring's tail: never write there as a part of an entry.
    pub resv: u16,
}

/// A buffer ring, as far as it is not entries: its tail, in the unused bytes of the first entry.
///
/// The C struct overlays this with the array of entries, see [`bufs`](Self::bufs).
/// Since Linux 5.19.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_buf_ring {
    /// The first entry's `addr`.
    pub resv1: u64,
    /// The first entry's `len`.
    pub resv2: u32,
    /// The first entry's `bid`.
    pub resv3: u16,
    /// The counter of buffers given: written by the program, atomically, after the entries.
    pub tail: u16,
}

impl io_uring_buf_ring {
    /// The first entry of the ring `ring`: the same address, with the type of an entry.
    #[must_use]
    pub const fn bufs(ring: *mut Self) -> *mut io_uring_buf {
        ring.cast()
    }
}

/// The operand of [`IORING_REGISTER_PBUF_RING`](crate::IORING_REGISTER_PBUF_RING) and
/// [`IORING_UNREGISTER_PBUF_RING`](crate::IORING_UNREGISTER_PBUF_RING). Since Linux 5.19.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_buf_reg {
    /// The address of the ring, on a page's start; 0 with [`IOU_PBUF_RING_MMAP`].
    pub ring_addr: u64,
    /// The number of entries, a power of two up to 32768.
    pub ring_entries: u32,
    /// The number of the group that the ring serves.
    pub bgid: u16,
    /// `IOU_PBUF_RING_*`. Since Linux 6.4; zero before.
    pub flags: u16,
    /// With [`IOU_PBUF_RING_INC`]: a buffer with fewer bytes left is done; 0 for one.
    /// Since Linux 7.1; zero before.
    pub min_left: u32,
    /// Zero.
    pub resv: [u32; 5],
}

/// In [`io_uring_buf_reg`]: the kernel allocates the ring; it is mapped at
/// [`IORING_OFF_PBUF_RING`](crate::IORING_OFF_PBUF_RING). Since Linux 6.4.
pub const IOU_PBUF_RING_MMAP: u16 = 1;
/// In [`io_uring_buf_reg`]: each use takes as much of a buffer as it needs, and the next goes on
/// behind it. Since Linux 6.12.
pub const IOU_PBUF_RING_INC: u16 = 2;

/// The operand of [`IORING_REGISTER_PBUF_STATUS`](crate::IORING_REGISTER_PBUF_STATUS).
/// Since Linux 6.8.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_buf_status {
    /// The number of the group.
    pub buf_group: u32,
    /// Written by the kernel: the counter of buffers taken.
    pub head: u32,
    /// Zero.
    pub resv: [u32; 8],
}

// liburing/io_uring.h at 27255f4c (August 2026)
const _: () = {
    assert!(size_of::<io_uring_buf>() == 16 && align_of::<io_uring_buf>() == WORD);
    assert!(offset_of!(io_uring_buf, addr) == 0);
    assert!(offset_of!(io_uring_buf, len) == 8);
    assert!(offset_of!(io_uring_buf, bid) == 12);
    assert!(offset_of!(io_uring_buf, resv) == 14);

    assert!(size_of::<io_uring_buf_ring>() == 16 && align_of::<io_uring_buf_ring>() == WORD);
    assert!(offset_of!(io_uring_buf_ring, resv1) == 0);
    assert!(offset_of!(io_uring_buf_ring, resv2) == 8);
    assert!(offset_of!(io_uring_buf_ring, resv3) == 12);
    assert!(offset_of!(io_uring_buf_ring, tail) == 14);

    assert!(size_of::<io_uring_buf_reg>() == 40 && align_of::<io_uring_buf_reg>() == WORD);
    assert!(offset_of!(io_uring_buf_reg, ring_addr) == 0);
    assert!(offset_of!(io_uring_buf_reg, ring_entries) == 8);
    assert!(offset_of!(io_uring_buf_reg, bgid) == 12);
    assert!(offset_of!(io_uring_buf_reg, flags) == 14);
    assert!(offset_of!(io_uring_buf_reg, min_left) == 16);
    assert!(offset_of!(io_uring_buf_reg, resv) == 20);

    assert!(size_of::<io_uring_buf_status>() == 40 && align_of::<io_uring_buf_status>() == 4);
    assert!(offset_of!(io_uring_buf_status, buf_group) == 0);
    assert!(offset_of!(io_uring_buf_status, head) == 4);
    assert!(offset_of!(io_uring_buf_status, resv) == 8);
};
