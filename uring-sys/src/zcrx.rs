//! Zero-copy receive: the network card writes into memory of the program.
//!
//! A program registers an area and a refill ring for one queue of a card; receives then complete
//! with places in the area, which go back by the refill ring.

use core::mem::offset_of;

use crate::sqe::{WORD, from_halves, halves};

/// A place that goes back to the card: one entry of the refill ring. Since Linux 6.15.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_zcrx_rqe {
    /// The place in bytes from the area's start, with the area's token in the upper bits.
    pub off: u64,
    /// The length in bytes.
    pub len: u32,
    /// Zero.
    pub __pad: u32,
}

/// Where the received bytes are: the extra words of a completion of
/// [`IORING_OP_RECV_ZC`](crate::IORING_OP_RECV_ZC); `res` is their number. Since Linux 6.15.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_zcrx_cqe {
    /// The place in bytes from the area's start, with the area's number in the upper bits, see
    /// [`IORING_ZCRX_AREA_SHIFT`].
    pub off: u64,
    /// Nothing yet.
    pub __pad: u64,
}

/// From this bit on, a place holds the number of its area. Since Linux 6.15.
pub const IORING_ZCRX_AREA_SHIFT: u32 = 48;
/// The bits of a place that are the number of its area. Since Linux 6.15.
pub const IORING_ZCRX_AREA_MASK: u64 = 0xffff_0000_0000_0000;

/// Where the parts of the refill ring are, in bytes from the start of its region.
/// Since Linux 6.15.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_zcrx_offsets {
    /// The counter of consumed entries: the kernel's.
    pub head: u32,
    /// The counter of entries put in: the program's.
    pub tail: u32,
    /// The array of [`io_uring_zcrx_rqe`]s.
    pub rqes: u32,
    /// Zero.
    pub __resv2: u32,
    /// Zero.
    pub __resv: [u64; 2],
}

/// The memory that the card may write. Since Linux 6.15.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_zcrx_area_reg {
    /// The address of the memory; with [`IORING_ZCRX_AREA_DMABUF`], an offset in the buffer.
    pub addr: u64,
    /// The length in bytes, whole pages.
    pub len: u64,
    /// Written by the kernel: what to put into the upper bits of refill entries.
    pub rq_area_token: u64,
    /// [`IORING_ZCRX_AREA_DMABUF`].
    pub flags: u32,
    /// The descriptor of the dmabuf, with [`IORING_ZCRX_AREA_DMABUF`]. Since Linux 6.16.
    pub dmabuf_fd: u32,
    /// Zero.
    pub __resv2: [u64; 2],
}

/// In [`io_uring_zcrx_area_reg`]: the memory is a dmabuf, such as that of a GPU.
/// Since Linux 6.16.
pub const IORING_ZCRX_AREA_DMABUF: u32 = 1;

/// The operand of [`IORING_REGISTER_ZCRX_IFQ`](crate::IORING_REGISTER_ZCRX_IFQ).
/// Since Linux 6.15.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_zcrx_ifq_reg {
    /// The index of the network interface; with [`ZCRX_REG_IMPORT`], the descriptor to import.
    pub if_idx: u32,
    /// The number of the interface's receive queue.
    pub if_rxq: u32,
    /// The number of entries of the refill ring; the kernel rounds it up.
    pub rq_entries: u32,
    /// `ZCRX_REG_*`.
    pub flags: u32,
    /// The address of an [`io_uring_zcrx_area_reg`].
    pub area_ptr: u64,
    /// The address of an [`io_uring_region_desc`](crate::io_uring_region_desc) for the refill ring.
    pub region_ptr: u64,
    /// Written by the kernel: where the parts of the refill ring are.
    pub offsets: io_uring_zcrx_offsets,
    /// Written by the kernel: the number to receive and to control with. Since Linux 6.16.
    pub zcrx_id: u32,
    /// How large the pieces of the area are that the card fills, in bytes; 0 for pages. See
    /// [`ZCRX_FEATURE_RX_PAGE_SIZE`].
    pub rx_buf_len: u32,
    /// Zero.
    pub __resv: [u64; 3],
}

/// In [`io_uring_zcrx_ifq_reg`]: shares what another ring exported. Since Linux 6.19.
pub const ZCRX_REG_IMPORT: u32 = 1;
/// In [`io_uring_zcrx_ifq_reg`]: no network card; the kernel copies. Since Linux 7.1.
pub const ZCRX_REG_NODEV: u32 = 2;

/// In [`io_uring_query_zcrx`](crate::io_uring_query_zcrx): `rx_buf_len` may be chosen.
/// Since Linux 7.0.
pub const ZCRX_FEATURE_RX_PAGE_SIZE: u32 = 1 << 0;

/// The operand of [`IORING_REGISTER_ZCRX_CTRL`](crate::IORING_REGISTER_ZCRX_CTRL).
///
/// The C struct ends in a union of `zc_export` and `zc_flush`, by `op`. Since Linux 6.19.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct zcrx_ctrl {
    /// What [`io_uring_zcrx_ifq_reg::zcrx_id`] was.
    pub zcrx_id: u32,
    /// `ZCRX_CTRL_*`.
    pub op: u32,
    /// Zero.
    pub __resv: [u64; 2],
    /// For [`ZCRX_CTRL_EXPORT`]. Also [`zc_flush`](Self::zc_flush).
    pub zc_export: zcrx_ctrl_export,
}

impl zcrx_ctrl {
    /// The operand of [`ZCRX_CTRL_FLUSH_RQ`], in the place of `zc_export`.
    #[must_use]
    pub const fn zc_flush(&self) -> zcrx_ctrl_flush_rq {
        let zcrx_ctrl_export { zcrx_fd: a, __resv1: [b, c, d, e, f, g, h, i, j, k, l] } =
            self.zc_export;
        let halves = [[a, b], [c, d], [e, f], [g, h], [i, j], [k, l]];
        let mut __resv = [0; 6];
        let mut index = 0; // `for` is not const
        while index < 6 {
            __resv[index] = from_halves(halves[index]);
            index += 1;
        }
        zcrx_ctrl_flush_rq { __resv }
    }

    /// Sets [`zc_flush`](Self::zc_flush).
    pub const fn set_zc_flush(&mut self, value: zcrx_ctrl_flush_rq) {
        let [a, b, c, d, e, f] = value.__resv;
        let ([a, b], [c, d], [e, f], [g, h], [i, j], [k, l]) =
            (halves(a), halves(b), halves(c), halves(d), halves(e), halves(f));
        self.zc_export =
            zcrx_ctrl_export { zcrx_fd: a, __resv1: [b, c, d, e, f, g, h, i, j, k, l] };
    }
}

/// In [`zcrx_ctrl`]: takes what is in the refill ring now, without waiting for the card to ask.
/// Since Linux 6.19.
pub const ZCRX_CTRL_FLUSH_RQ: u32 = 0;
/// In [`zcrx_ctrl`]: makes a descriptor by which another ring can share the queue.
/// Since Linux 6.19.
pub const ZCRX_CTRL_EXPORT: u32 = 1;
/// One more than the last `ZCRX_CTRL_*` of this header.
pub const __ZCRX_CTRL_LAST: u32 = 2;

/// The operand of [`ZCRX_CTRL_FLUSH_RQ`]: nothing yet. Since Linux 6.19.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct zcrx_ctrl_flush_rq {
    /// Zero.
    pub __resv: [u64; 6],
}

/// The operand of [`ZCRX_CTRL_EXPORT`]. Since Linux 6.19.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct zcrx_ctrl_export {
    /// Written by the kernel: the descriptor.
    pub zcrx_fd: u32,
    /// Zero.
    pub __resv1: [u32; 11],
}

// liburing/io_uring.h at 27255f4c (August 2026)
const _: () = {
    assert!(size_of::<io_uring_zcrx_rqe>() == 16 && align_of::<io_uring_zcrx_rqe>() == WORD);
    assert!(offset_of!(io_uring_zcrx_rqe, off) == 0);
    assert!(offset_of!(io_uring_zcrx_rqe, len) == 8);
    assert!(offset_of!(io_uring_zcrx_rqe, __pad) == 12);

    assert!(size_of::<io_uring_zcrx_cqe>() == 16 && align_of::<io_uring_zcrx_cqe>() == WORD);
    assert!(offset_of!(io_uring_zcrx_cqe, off) == 0);
    assert!(offset_of!(io_uring_zcrx_cqe, __pad) == 8);

    assert!(
        size_of::<io_uring_zcrx_offsets>() == 32 && align_of::<io_uring_zcrx_offsets>() == WORD
    );
    assert!(offset_of!(io_uring_zcrx_offsets, head) == 0);
    assert!(offset_of!(io_uring_zcrx_offsets, tail) == 4);
    assert!(offset_of!(io_uring_zcrx_offsets, rqes) == 8);
    assert!(offset_of!(io_uring_zcrx_offsets, __resv2) == 12);
    assert!(offset_of!(io_uring_zcrx_offsets, __resv) == 16);

    assert!(
        size_of::<io_uring_zcrx_area_reg>() == 48 && align_of::<io_uring_zcrx_area_reg>() == WORD
    );
    assert!(offset_of!(io_uring_zcrx_area_reg, addr) == 0);
    assert!(offset_of!(io_uring_zcrx_area_reg, len) == 8);
    assert!(offset_of!(io_uring_zcrx_area_reg, rq_area_token) == 16);
    assert!(offset_of!(io_uring_zcrx_area_reg, flags) == 24);
    assert!(offset_of!(io_uring_zcrx_area_reg, dmabuf_fd) == 28);
    assert!(offset_of!(io_uring_zcrx_area_reg, __resv2) == 32);

    assert!(
        size_of::<io_uring_zcrx_ifq_reg>() == 96 && align_of::<io_uring_zcrx_ifq_reg>() == WORD
    );
    assert!(offset_of!(io_uring_zcrx_ifq_reg, if_idx) == 0);
    assert!(offset_of!(io_uring_zcrx_ifq_reg, if_rxq) == 4);
    assert!(offset_of!(io_uring_zcrx_ifq_reg, rq_entries) == 8);
    assert!(offset_of!(io_uring_zcrx_ifq_reg, flags) == 12);
    assert!(offset_of!(io_uring_zcrx_ifq_reg, area_ptr) == 16);
    assert!(offset_of!(io_uring_zcrx_ifq_reg, region_ptr) == 24);
    assert!(offset_of!(io_uring_zcrx_ifq_reg, offsets) == 32);
    assert!(offset_of!(io_uring_zcrx_ifq_reg, zcrx_id) == 64);
    assert!(offset_of!(io_uring_zcrx_ifq_reg, rx_buf_len) == 68);
    assert!(offset_of!(io_uring_zcrx_ifq_reg, __resv) == 72);

    assert!(size_of::<zcrx_ctrl>() == 72 && align_of::<zcrx_ctrl>() == WORD);
    assert!(offset_of!(zcrx_ctrl, zcrx_id) == 0);
    assert!(offset_of!(zcrx_ctrl, op) == 4);
    assert!(offset_of!(zcrx_ctrl, __resv) == 8);
    assert!(offset_of!(zcrx_ctrl, zc_export) == 24);

    assert!(size_of::<zcrx_ctrl_flush_rq>() == 48 && align_of::<zcrx_ctrl_flush_rq>() == WORD);
    assert!(offset_of!(zcrx_ctrl_flush_rq, __resv) == 0);

    assert!(size_of::<zcrx_ctrl_export>() == 48 && align_of::<zcrx_ctrl_export>() == 4);
    assert!(offset_of!(zcrx_ctrl_export, zcrx_fd) == 0);
    assert!(offset_of!(zcrx_ctrl_export, __resv1) == 4);
};
