pub const IORING_ZCRX_AREA_SHIFT: u32 = 48;
pub const IORING_ZCRX_AREA_MASK: u64 = 18446462598732840960;
pub const IORING_ZCRX_AREA_DMABUF: u32 = 1;
pub const ZCRX_REG_IMPORT: u32 = 1;
pub const ZCRX_REG_NODEV: u32 = 2;
pub const ZCRX_FEATURE_RX_PAGE_SIZE: u32 = 1;
pub const ZCRX_CTRL_FLUSH_RQ: u32 = 0;
pub const ZCRX_CTRL_EXPORT: u32 = 1;
pub const __ZCRX_CTRL_LAST: u32 = 2;
pub const IO_URING_QUERY_ZCRX: u32 = 1;
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_zcrx_rqe {
    pub off: u64,
    pub len: u32,
    pub __pad: u32,
}

const _: () = assert!(size_of::<io_uring_zcrx_rqe>() == 16 && align_of::<io_uring_zcrx_rqe>() == 8);
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_zcrx_cqe {
    pub off: u64,
    pub __pad: u64,
}

const _: () = assert!(size_of::<io_uring_zcrx_cqe>() == 16 && align_of::<io_uring_zcrx_cqe>() == 8);
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_zcrx_offsets {
    pub head: u32,
    pub tail: u32,
    pub rqes: u32,
    pub __resv2: u32,
    pub __resv: [u64; 2],
}

const _: () =
    assert!(size_of::<io_uring_zcrx_offsets>() == 32 && align_of::<io_uring_zcrx_offsets>() == 8);
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_zcrx_area_reg {
    pub addr: u64,
    pub len: u64,
    pub rq_area_token: u64,
    pub flags: u32,
    pub dmabuf_fd: u32,
    pub __resv2: [u64; 2],
}

const _: () =
    assert!(size_of::<io_uring_zcrx_area_reg>() == 48 && align_of::<io_uring_zcrx_area_reg>() == 8);
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_zcrx_ifq_reg {
    pub if_idx: u32,
    pub if_rxq: u32,
    pub rq_entries: u32,
    pub flags: u32,
    pub area_ptr: u64,
    pub region_ptr: u64,
    pub offsets: io_uring_zcrx_offsets,
    pub zcrx_id: u32,
    pub rx_buf_len: u32,
    pub __resv: [u64; 3],
}

const _: () =
    assert!(size_of::<io_uring_zcrx_ifq_reg>() == 96 && align_of::<io_uring_zcrx_ifq_reg>() == 8);
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct zcrx_ctrl_flush_rq {
    pub __resv: [u64; 6],
}

const _: () =
    assert!(size_of::<zcrx_ctrl_flush_rq>() == 48 && align_of::<zcrx_ctrl_flush_rq>() == 8);
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct zcrx_ctrl_export {
    pub zcrx_fd: u32,
    pub __resv1: [u32; 11],
}

const _: () = assert!(size_of::<zcrx_ctrl_export>() == 48 && align_of::<zcrx_ctrl_export>() == 4);
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct zcrx_ctrl {
    pub zcrx_id: u32,
    pub op: u32,
    pub __resv: [u64; 2],
    pub zc_export: zcrx_ctrl_export,
}

const _: () = assert!(size_of::<zcrx_ctrl>() == 72 && align_of::<zcrx_ctrl>() == 8);
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_query_zcrx {
    pub register_flags: u64,
    pub area_flags: u64,
    pub nr_ctrl_opcodes: u32,
    pub features: u32,
    pub rq_hdr_size: u32,
    pub rq_hdr_alignment: u32,
    pub __resv2: u64,
}

const _: () =
    assert!(size_of::<io_uring_query_zcrx>() == 40 && align_of::<io_uring_query_zcrx>() == 8);
