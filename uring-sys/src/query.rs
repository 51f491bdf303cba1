//! Asking the kernel what it knows, without trying it out.

use core::mem::offset_of;

use crate::sqe::WORD;

/// One question: an element of the list that
/// [`IORING_REGISTER_QUERY`](crate::IORING_REGISTER_QUERY) takes, which needs no ring.
/// Since Linux 6.18.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_query_hdr {
    /// The address of the next question, or 0.
    pub next_entry: u64,
    /// The address of the answer: the struct that `query_op` names.
    pub query_data: u64,
    /// `IO_URING_QUERY_*`.
    pub query_op: u32,
    /// The size of the answer in bytes: the room for it, and then what the kernel filled.
    pub size: u32,
    /// Written by the kernel: 0, or a negated `errno` such as `-EOPNOTSUPP` for a question that it
    /// does not know.
    pub result: i32,
    /// Zero.
    pub __resv: [u32; 3],
}

/// Which opcodes and flags there are: [`io_uring_query_opcode`]. Since Linux 6.18.
pub const IO_URING_QUERY_OPCODES: u32 = 0;
/// What zero-copy receive can do: [`io_uring_query_zcrx`]. Since Linux 6.19.
pub const IO_URING_QUERY_ZCRX: u32 = 1;
/// How much room the heads of the rings take: [`io_uring_query_scq`]. Since Linux 6.19.
pub const IO_URING_QUERY_SCQ: u32 = 2;
/// One more than the last `IO_URING_QUERY_*` of this header.
pub const __IO_URING_QUERY_MAX: u32 = 3;

/// The answer to [`IO_URING_QUERY_OPCODES`]. Since Linux 6.18.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_query_opcode {
    /// The number of operations: one more than the last opcode.
    pub nr_request_opcodes: u32,
    /// The number of opcodes of [`io_uring_register`](crate::io_uring_register).
    pub nr_register_opcodes: u32,
    /// All `IORING_FEAT_*` that it has.
    pub feature_flags: u64,
    /// All `IORING_SETUP_*` that it takes.
    pub ring_setup_flags: u64,
    /// All `IORING_ENTER_*` that it takes.
    pub enter_flags: u64,
    /// All `IOSQE_*` that it takes.
    pub sqe_flags: u64,
    /// The number of questions that it knows. Since Linux 6.19.
    pub nr_query_opcodes: u32,
    /// Zero.
    pub __pad: u32,
}

/// The answer to [`IO_URING_QUERY_ZCRX`]. Since Linux 6.19.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_query_zcrx {
    /// All `ZCRX_REG_*` that it takes.
    pub register_flags: u64,
    /// All `IORING_ZCRX_AREA_*` that it takes.
    pub area_flags: u64,
    /// The number of `ZCRX_CTRL_*`.
    pub nr_ctrl_opcodes: u32,
    /// All `ZCRX_FEATURE_*` that it has. Since Linux 7.0.
    pub features: u32,
    /// The size of the refill ring's head, in bytes.
    pub rq_hdr_size: u32,
    /// The alignment of the refill ring's head, in bytes.
    pub rq_hdr_alignment: u32,
    /// Zero.
    pub __resv2: u64,
}

/// The answer to [`IO_URING_QUERY_SCQ`], for rings in memory of the program. Since Linux 6.19.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_query_scq {
    /// The size of the rings' head, in bytes.
    pub hdr_size: u64,
    /// The alignment of the rings' head, in bytes.
    pub hdr_alignment: u64,
}

// liburing/io_uring/query.h at 27255f4c (August 2026)
const _: () = {
    assert!(size_of::<io_uring_query_hdr>() == 40 && align_of::<io_uring_query_hdr>() == WORD);
    assert!(offset_of!(io_uring_query_hdr, next_entry) == 0);
    assert!(offset_of!(io_uring_query_hdr, query_data) == 8);
    assert!(offset_of!(io_uring_query_hdr, query_op) == 16);
    assert!(offset_of!(io_uring_query_hdr, size) == 20);
    assert!(offset_of!(io_uring_query_hdr, result) == 24);
    assert!(offset_of!(io_uring_query_hdr, __resv) == 28);

    assert!(
        size_of::<io_uring_query_opcode>() == 48 && align_of::<io_uring_query_opcode>() == WORD
    );
    assert!(offset_of!(io_uring_query_opcode, nr_request_opcodes) == 0);
    assert!(offset_of!(io_uring_query_opcode, nr_register_opcodes) == 4);
    assert!(offset_of!(io_uring_query_opcode, feature_flags) == 8);
    assert!(offset_of!(io_uring_query_opcode, ring_setup_flags) == 16);
    assert!(offset_of!(io_uring_query_opcode, enter_flags) == 24);
    assert!(offset_of!(io_uring_query_opcode, sqe_flags) == 32);
    assert!(offset_of!(io_uring_query_opcode, nr_query_opcodes) == 40);
    assert!(offset_of!(io_uring_query_opcode, __pad) == 44);

    assert!(size_of::<io_uring_query_zcrx>() == 40 && align_of::<io_uring_query_zcrx>() == WORD);
    assert!(offset_of!(io_uring_query_zcrx, register_flags) == 0);
    assert!(offset_of!(io_uring_query_zcrx, area_flags) == 8);
    assert!(offset_of!(io_uring_query_zcrx, nr_ctrl_opcodes) == 16);
    assert!(offset_of!(io_uring_query_zcrx, features) == 20);
    assert!(offset_of!(io_uring_query_zcrx, rq_hdr_size) == 24);
    assert!(offset_of!(io_uring_query_zcrx, rq_hdr_alignment) == 28);
    assert!(offset_of!(io_uring_query_zcrx, __resv2) == 32);

    assert!(size_of::<io_uring_query_scq>() == 16 && align_of::<io_uring_query_scq>() == WORD);
    assert!(offset_of!(io_uring_query_scq, hdr_size) == 0);
    assert!(offset_of!(io_uring_query_scq, hdr_alignment) == 8);
};
