pub const IORING_RESTRICTION_REGISTER_OP: u16 = 0;
pub const IORING_RESTRICTION_SQE_OP: u16 = 1;
pub const IORING_RESTRICTION_SQE_FLAGS_ALLOWED: u16 = 2;
pub const IORING_RESTRICTION_SQE_FLAGS_REQUIRED: u16 = 3;
pub const IORING_RESTRICTION_LAST: u16 = 4;
pub const IO_URING_BPF_FILTER_DENY_REST: u32 = 1;
pub const IO_URING_BPF_FILTER_SZ_STRICT: u32 = 2;
pub const IO_URING_BPF_CMD_FILTER: u16 = 1;
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_restriction {
    pub opcode: u16,
    pub register_op: u8,
    pub resv: u8,
    pub resv2: [u32; 3],
}

const _: () =
    assert!(size_of::<io_uring_restriction>() == 16 && align_of::<io_uring_restriction>() == 4);
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_task_restriction {
    pub flags: u16,
    pub nr_res: u16,
    pub resv: [u32; 3],
}

const _: () = assert!(
    size_of::<io_uring_task_restriction>() == 16 && align_of::<io_uring_task_restriction>() == 4
);
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_bpf_ctx {
    pub user_data: u64,
    pub opcode: u8,
    pub sqe_flags: u8,
    pub pdu_size: u8,
    pub pad: [u8; 5],
    pub pdu: [u64; 3],
}

const _: () = assert!(size_of::<io_uring_bpf_ctx>() == 40 && align_of::<io_uring_bpf_ctx>() == 8);
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_bpf_filter {
    pub opcode: u32,
    pub flags: u32,
    pub filter_len: u32,
    pub pdu_size: u8,
    pub resv: [u8; 3],
    pub filter_ptr: u64,
    pub resv2: [u64; 5],
}

const _: () =
    assert!(size_of::<io_uring_bpf_filter>() == 64 && align_of::<io_uring_bpf_filter>() == 8);
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_bpf {
    pub cmd_type: u16,
    pub cmd_flags: u16,
    pub resv: u32,
    pub filter: io_uring_bpf_filter,
}

const _: () = assert!(size_of::<io_uring_bpf>() == 72 && align_of::<io_uring_bpf>() == 8);
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct io_uring_task_restriction_with<const N: usize> {
    pub head: io_uring_task_restriction,
    pub restrictions: [io_uring_restriction; N],
}
