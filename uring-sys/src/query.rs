pub const IO_URING_QUERY_OPCODES: u32 = 0;
pub const IO_URING_QUERY_SCQ: u32 = 2;
pub const __IO_URING_QUERY_MAX: u32 = 3;
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_query_hdr {
    pub next_entry: u64,
    pub query_data: u64,
    pub query_op: u32,
    pub size: u32,
    pub result: i32,
    pub __resv: [u32; 3],
}

const _: () =
    assert!(size_of::<io_uring_query_hdr>() == 40 && align_of::<io_uring_query_hdr>() == 8);
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_query_opcode {
    pub nr_request_opcodes: u32,
    pub nr_register_opcodes: u32,
    pub feature_flags: u64,
    pub ring_setup_flags: u64,
    pub enter_flags: u64,
    pub sqe_flags: u64,
    pub nr_query_opcodes: u32,
    pub __pad: u32,
}

const _: () =
    assert!(size_of::<io_uring_query_opcode>() == 48 && align_of::<io_uring_query_opcode>() == 8);
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_query_scq {
    pub hdr_size: u64,
    pub hdr_alignment: u64,
}

const _: () =
    assert!(size_of::<io_uring_query_scq>() == 16 && align_of::<io_uring_query_scq>() == 8);
