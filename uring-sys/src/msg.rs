pub const IORING_RECVSEND_POLL_FIRST: u16 = 1;
pub const IORING_RECV_MULTISHOT: u16 = 2;
pub const IORING_RECVSEND_FIXED_BUF: u16 = 4;
pub const IORING_SEND_ZC_REPORT_USAGE: u16 = 8;
pub const IORING_RECVSEND_BUNDLE: u16 = 16;
pub const IORING_SEND_VECTORIZED: u16 = 32;
pub const IORING_NOTIF_USAGE_ZC_COPIED: u32 = 2147483648;
pub const IORING_ACCEPT_MULTISHOT: u16 = 1;
pub const IORING_ACCEPT_DONTWAIT: u16 = 2;
pub const IORING_ACCEPT_POLL_FIRST: u16 = 4;
pub const IORING_MSG_RING_CQE_SKIP: u32 = 1;
pub const IORING_MSG_RING_FLAGS_PASS: u32 = 2;
pub const IORING_TIMESTAMP_HW_SHIFT: u32 = 16;
pub const IORING_TIMESTAMP_TYPE_SHIFT: u32 = 17;
pub const IORING_CQE_F_TSTAMP_HW: u32 = 65536;
pub const IORING_MSG_DATA: u64 = 0;
pub const IORING_MSG_SEND_FD: u64 = 1;
pub const SOCKET_URING_OP_SIOCINQ: u32 = 0;
pub const SOCKET_URING_OP_SIOCOUTQ: u32 = 1;
pub const SOCKET_URING_OP_GETSOCKOPT: u32 = 2;
pub const SOCKET_URING_OP_SETSOCKOPT: u32 = 3;
pub const SOCKET_URING_OP_TX_TIMESTAMP: u32 = 4;
pub const SOCKET_URING_OP_GETSOCKNAME: u32 = 5;
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_recvmsg_out {
    pub namelen: u32,
    pub controllen: u32,
    pub payloadlen: u32,
    pub flags: u32,
}

const _: () =
    assert!(size_of::<io_uring_recvmsg_out>() == 16 && align_of::<io_uring_recvmsg_out>() == 4);
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_timespec {
    pub tv_sec: u64,
    pub tv_nsec: u64,
}

const _: () = assert!(size_of::<io_timespec>() == 16 && align_of::<io_timespec>() == 8);
