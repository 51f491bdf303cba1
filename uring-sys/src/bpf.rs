//! What a ring may do: restrictions, and filters that are programs.

use core::mem::offset_of;

use crate::sqe::WORD;

/// One thing that a restricted ring may, or must, do: an element of the operand of
/// [`IORING_REGISTER_RESTRICTIONS`](crate::IORING_REGISTER_RESTRICTIONS).
///
/// The C struct overlays three names for the second member. Since Linux 5.10.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_restriction {
    /// `IORING_RESTRICTION_*`.
    pub opcode: u16,
    /// For [`IORING_RESTRICTION_REGISTER_OP`]: one of `IORING_REGISTER_*`. Also
    /// [`sqe_op`](Self::sqe_op) and [`sqe_flags`](Self::sqe_flags).
    pub register_op: u8,
    /// Zero.
    pub resv: u8,
    /// Zero.
    pub resv2: [u32; 3],
}

impl io_uring_restriction {
    /// For [`IORING_RESTRICTION_SQE_OP`]: one of `IORING_OP_*`; in the place of `register_op`.
    #[must_use]
    pub const fn sqe_op(&self) -> u8 {
        self.register_op
    }

    /// Sets [`sqe_op`](Self::sqe_op).
    pub const fn set_sqe_op(&mut self, value: u8) {
        self.register_op = value;
    }

    /// For `IORING_RESTRICTION_SQE_FLAGS_*`: `IOSQE_*`; in the place of `register_op`.
    #[must_use]
    pub const fn sqe_flags(&self) -> u8 {
        self.register_op
    }

    /// Sets [`sqe_flags`](Self::sqe_flags).
    pub const fn set_sqe_flags(&mut self, value: u8) {
        self.register_op = value;
    }
}

/// Allows one opcode of [`io_uring_register`](crate::io_uring_register). Since Linux 5.10.
pub const IORING_RESTRICTION_REGISTER_OP: u16 = 0;
/// Allows one operation. Since Linux 5.10.
pub const IORING_RESTRICTION_SQE_OP: u16 = 1;
/// Allows flags of entries. Since Linux 5.10.
pub const IORING_RESTRICTION_SQE_FLAGS_ALLOWED: u16 = 2;
/// Wants flags on every entry. Since Linux 5.10.
pub const IORING_RESTRICTION_SQE_FLAGS_REQUIRED: u16 = 3;
/// One more than the last `IORING_RESTRICTION_*` of this header.
pub const IORING_RESTRICTION_LAST: u16 = 4;

/// The head of the restrictions of a task, for all rings that it will make: the operand of
/// [`IORING_REGISTER_RESTRICTIONS`](crate::IORING_REGISTER_RESTRICTIONS) without a ring.
///
/// The [`io_uring_restriction`]s follow in memory, see [`io_uring_task_restriction_with`].
/// Since Linux 7.0.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_task_restriction {
    /// Zero.
    pub flags: u16,
    /// The number of restrictions that follow.
    pub nr_res: u16,
    /// Zero.
    pub resv: [u32; 3],
}

/// An [`io_uring_task_restriction`] with `N` restrictions after it.
///
/// Not a C name: the header has them as the array `restrictions` of no length. Since Linux 7.0.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct io_uring_task_restriction_with<const N: usize> {
    /// The head; its `nr_res` is at most `N`.
    pub head: io_uring_task_restriction,
    /// What follows it.
    pub restrictions: [io_uring_restriction; N],
}

impl<const N: usize> Default for io_uring_task_restriction_with<N> {
    fn default() -> Self {
        Self { head: Default::default(), restrictions: [Default::default(); N] }
    }
}

/// What a filter sees of an entry: the packet that its `BPF_LD` reads.
///
/// The C struct ends in a union of `socket` and `open`, by the opcode. Since Linux 7.0.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_bpf_ctx {
    /// The entry's `user_data`.
    pub user_data: u64,
    /// The entry's opcode.
    pub opcode: u8,
    /// The entry's flags, `IOSQE_*`.
    pub sqe_flags: u8,
    /// How many bytes of `pdu` the kernel filled for this opcode.
    pub pdu_size: u8,
    /// Zero.
    pub pad: [u8; 5],
    /// The operands: [`socket`](Self::socket) or [`open`](Self::open).
    pub pdu: [u64; 3],
}

impl io_uring_bpf_ctx {
    /// The operands of [`IORING_OP_SOCKET`](crate::IORING_OP_SOCKET).
    #[must_use]
    pub const fn socket(&self) -> io_uring_bpf_ctx_socket {
        let [a, b, c, d, e, f, g, h] = self.pdu[0].to_ne_bytes();
        let [i, j, k, l, _, _, _, _] = self.pdu[1].to_ne_bytes();
        io_uring_bpf_ctx_socket {
            family: u32::from_ne_bytes([a, b, c, d]),
            r#type: u32::from_ne_bytes([e, f, g, h]),
            protocol: u32::from_ne_bytes([i, j, k, l]),
        }
    }

    /// The operands of [`IORING_OP_OPENAT`](crate::IORING_OP_OPENAT) and
    /// [`IORING_OP_OPENAT2`](crate::IORING_OP_OPENAT2).
    #[must_use]
    pub const fn open(&self) -> io_uring_bpf_ctx_open {
        let [flags, mode, resolve] = self.pdu;
        io_uring_bpf_ctx_open { flags, mode, resolve }
    }
}

/// The operands of `socket(2)` in an [`io_uring_bpf_ctx`], of which they are bytes 16 to 27.
///
/// Not a C name: the header leaves the struct unnamed. Since Linux 7.0.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_bpf_ctx_socket {
    /// `AF_*`.
    pub family: u32,
    /// `SOCK_*`.
    pub r#type: u32,
    /// `IPPROTO_*`.
    pub protocol: u32,
}

/// The operands of `openat2(2)` in an [`io_uring_bpf_ctx`], of which they are bytes 16 to 39.
///
/// Not a C name: the header leaves the struct unnamed. Since Linux 7.0.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_bpf_ctx_open {
    /// `O_*`.
    pub flags: u64,
    /// The permissions of a new file.
    pub mode: u64,
    /// `RESOLVE_*`.
    pub resolve: u64,
}

/// A filter for one opcode: a classic BPF program that returns 0 to deny. Since Linux 7.0.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_bpf_filter {
    /// The operation to filter, one of `IORING_OP_*`.
    pub opcode: u32,
    /// `IO_URING_BPF_FILTER_*`.
    pub flags: u32,
    /// The number of instructions.
    pub filter_len: u32,
    /// How many bytes of operands the program expects; on `EMSGSIZE`, the kernel writes its own
    /// number.
    pub pdu_size: u8,
    /// Zero.
    pub resv: [u8; 3],
    /// The address of the instructions, `struct sock_filter` of `linux/filter.h`.
    pub filter_ptr: u64,
    /// Zero.
    pub resv2: [u64; 5],
}

/// In [`io_uring_bpf_filter`]: denies operations that have no filter. Since Linux 7.0.
pub const IO_URING_BPF_FILTER_DENY_REST: u32 = 1;
/// In [`io_uring_bpf_filter`]: fails if `pdu_size` is not what the kernel has; without this flag,
/// a smaller one is taken. Since Linux 7.0.
pub const IO_URING_BPF_FILTER_SZ_STRICT: u32 = 2;

/// The operand of [`IORING_REGISTER_BPF_FILTER`](crate::IORING_REGISTER_BPF_FILTER).
///
/// The C struct ends in a union that has one member so far. Since Linux 7.0.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_bpf {
    /// [`IO_URING_BPF_CMD_FILTER`].
    pub cmd_type: u16,
    /// Zero.
    pub cmd_flags: u16,
    /// Zero.
    pub resv: u32,
    /// The filter to add.
    pub filter: io_uring_bpf_filter,
}

/// In [`io_uring_bpf`]: adds a filter. Since Linux 7.0.
pub const IO_URING_BPF_CMD_FILTER: u16 = 1;

// liburing/io_uring.h and liburing/io_uring/bpf_filter.h at 27255f4c (August 2026)
const _: () = {
    assert!(size_of::<io_uring_restriction>() == 16 && align_of::<io_uring_restriction>() == 4);
    assert!(offset_of!(io_uring_restriction, opcode) == 0);
    assert!(offset_of!(io_uring_restriction, register_op) == 2);
    assert!(offset_of!(io_uring_restriction, resv) == 3);
    assert!(offset_of!(io_uring_restriction, resv2) == 4);

    assert!(size_of::<io_uring_task_restriction>() == 16);
    assert!(align_of::<io_uring_task_restriction>() == 4);
    assert!(offset_of!(io_uring_task_restriction, flags) == 0);
    assert!(offset_of!(io_uring_task_restriction, nr_res) == 2);
    assert!(offset_of!(io_uring_task_restriction, resv) == 4);
    assert!(offset_of!(io_uring_task_restriction_with<2>, restrictions) == 16);

    assert!(size_of::<io_uring_bpf_ctx>() == 40 && align_of::<io_uring_bpf_ctx>() == WORD);
    assert!(offset_of!(io_uring_bpf_ctx, user_data) == 0);
    assert!(offset_of!(io_uring_bpf_ctx, opcode) == 8);
    assert!(offset_of!(io_uring_bpf_ctx, sqe_flags) == 9);
    assert!(offset_of!(io_uring_bpf_ctx, pdu_size) == 10);
    assert!(offset_of!(io_uring_bpf_ctx, pad) == 11);
    assert!(offset_of!(io_uring_bpf_ctx, pdu) == 16);

    assert!(size_of::<io_uring_bpf_ctx_socket>() == 12);
    assert!(offset_of!(io_uring_bpf_ctx_socket, family) == 0);
    assert!(offset_of!(io_uring_bpf_ctx_socket, r#type) == 4);
    assert!(offset_of!(io_uring_bpf_ctx_socket, protocol) == 8);

    assert!(size_of::<io_uring_bpf_ctx_open>() == 24);
    assert!(offset_of!(io_uring_bpf_ctx_open, flags) == 0);
    assert!(offset_of!(io_uring_bpf_ctx_open, mode) == 8);
    assert!(offset_of!(io_uring_bpf_ctx_open, resolve) == 16);

    assert!(size_of::<io_uring_bpf_filter>() == 64 && align_of::<io_uring_bpf_filter>() == WORD);
    assert!(offset_of!(io_uring_bpf_filter, opcode) == 0);
    assert!(offset_of!(io_uring_bpf_filter, flags) == 4);
    assert!(offset_of!(io_uring_bpf_filter, filter_len) == 8);
    assert!(offset_of!(io_uring_bpf_filter, pdu_size) == 12);
    assert!(offset_of!(io_uring_bpf_filter, resv) == 13);
    assert!(offset_of!(io_uring_bpf_filter, filter_ptr) == 16);
    assert!(offset_of!(io_uring_bpf_filter, resv2) == 24);

    assert!(size_of::<io_uring_bpf>() == 72 && align_of::<io_uring_bpf>() == WORD);
    assert!(offset_of!(io_uring_bpf, cmd_type) == 0);
    assert!(offset_of!(io_uring_bpf, cmd_flags) == 2);
    assert!(offset_of!(io_uring_bpf, resv) == 4);
    assert!(offset_of!(io_uring_bpf, filter) == 8);
};
