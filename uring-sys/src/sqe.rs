//! Submission queue entries, and the flags that every operation can take.

use core::mem::offset_of;

/// One submission: what to do, to which descriptor, with which operands.
///
/// 64 bytes. The C struct overlays members of different operations in anonymous unions. Here each
/// place has one field, named after its most common use, and every other C member that lives there
/// is a pair of methods, `name` and `set_name`, which read and write the same bytes. All zeroes is
/// a valid entry: a no-op. Since Linux 5.1.
///
/// ```
/// use uring_sys as sys;
///
/// let mut sqe = sys::io_uring_sqe {
///     opcode: sys::IORING_OP_SPLICE,
///     fd: 5,
///     off: u64::MAX, // no offset: the output is a pipe
///     len: 4096,
///     user_data: 1,
///     ..Default::default()
/// };
/// sqe.set_splice_fd_in(4);
/// sqe.set_splice_off_in(0);
/// assert_eq!((sqe.splice_fd_in(), sqe.file_index), (4, 4));
/// ```
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_sqe {
    /// What to do: one of `IORING_OP_*`.
    pub opcode: u8,
    /// How to do it, whatever it is: `IOSQE_*`.
    pub flags: u8,
    /// The I/O priority of reads and writes, as `ioprio_set(2)` packs it; for socket operations
    /// flags of their own, such as [`IORING_RECV_MULTISHOT`](crate::IORING_RECV_MULTISHOT).
    pub ioprio: u16,
    /// The descriptor, or with [`IOSQE_FIXED_FILE`] its index in the registered files.
    pub fd: i32,
    /// The offset in the file, in bytes; `u64::MAX` for the file's own position. Also
    /// [`addr2`](Self::addr2), [`cmd_op`](Self::cmd_op).
    pub off: u64,
    /// The address of the buffer, of the `iovec`s or of another operand. Also
    /// [`splice_off_in`](Self::splice_off_in), [`level`](Self::level) and
    /// [`optname`](Self::optname).
    pub addr: u64,
    /// The length of the buffer in bytes, the number of `iovec`s, or another number.
    pub len: u32,
    /// The flags of the operation, under many names in C, all of 32 bits: `rw_flags`,
    /// `fsync_flags`, `sync_range_flags`, `msg_flags`, `timeout_flags`, `accept_flags`,
    /// `cancel_flags`, `open_flags`, `statx_flags`, `fadvise_advice`, `splice_flags`,
    /// `rename_flags`, `unlink_flags`, `hardlink_flags`, `xattr_flags`, `msg_ring_flags`,
    /// `uring_cmd_flags`, `waitid_flags`, `futex_flags`, `install_fd_flags`, `nop_flags` and
    /// `pipe_flags`. Also [`poll_events`](Self::poll_events) and
    /// [`poll32_events`](Self::poll32_events).
    pub op_flags: u32,
    /// What the completion carries back; the kernel does not look at it.
    pub user_data: u64,
    /// The index of a registered buffer. Also [`buf_group`](Self::buf_group).
    pub buf_index: u16,
    /// Credentials to use: what [`IORING_REGISTER_PERSONALITY`](crate::IORING_REGISTER_PERSONALITY)
    /// returned, or 0 for the submitter's own.
    pub personality: u16,
    /// Where a new direct descriptor goes: its index plus one,
    /// [`IORING_FILE_INDEX_ALLOC`], or 0 for a normal descriptor. Also
    /// [`splice_fd_in`](Self::splice_fd_in), [`zcrx_ifq_idx`](Self::zcrx_ifq_idx),
    /// [`optlen`](Self::optlen), [`addr_len`](Self::addr_len) and
    /// [`write_stream`](Self::write_stream).
    pub file_index: u32,
    /// A third address. Also [`attr_ptr`](Self::attr_ptr), [`optval`](Self::optval) and the first
    /// half of [`cmd`](Self::cmd).
    pub addr3: u64,
    /// Zero for most operations. Also [`attr_type_mask`](Self::attr_type_mask) and the second half
    /// of [`cmd`](Self::cmd).
    pub __pad2: [u64; 1],
}

/// Defines the methods of a C member that has the place and the type of a field.
macro_rules! same_place {
    ($($(#[$doc:meta])* $get:ident, $set:ident: $field:ident, $type:ty;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub const fn $get(&self) -> $type {
            self.$field
        }

        #[doc = concat!("Sets [`", stringify!($get), "`](Self::", stringify!($get), ").")]
        pub const fn $set(&mut self, value: $type) {
            self.$field = value;
        }
    )*};
}

impl io_uring_sqe {
    same_place! {
        /// A second address, such as the new path of a rename; in the place of `off`.
        addr2, set_addr2: off, u64;
        /// The offset to splice from, in bytes, or `u64::MAX` for a pipe; in the place of `addr`.
        splice_off_in, set_splice_off_in: addr, u64;
        /// All 32 bits of the events to poll for; in the place of `op_flags`.
        ///
        /// The kernel wants the two 16-bit halves swapped on big-endian machines, so that
        /// [`poll_events`](Self::poll_events) keeps its place; the caller swaps. Since Linux 5.9.
        poll32_events, set_poll32_events: op_flags, u32;
        /// The group to take a buffer from, with [`IOSQE_BUFFER_SELECT`]; in the place of
        /// `buf_index`. Since Linux 5.7.
        buf_group, set_buf_group: buf_index, u16;
        /// The zero-copy receive queue; in the place of `file_index`. Since Linux 6.15.
        zcrx_ifq_idx, set_zcrx_ifq_idx: file_index, u32;
        /// The length of a socket option in bytes; in the place of `file_index`. Since Linux 6.7.
        optlen, set_optlen: file_index, u32;
        /// The address of attribute information, see
        /// [`attr_type_mask`](Self::attr_type_mask); in the place of `addr3`. Since Linux 6.14.
        attr_ptr, set_attr_ptr: addr3, u64;
        /// The address of a socket option's value; in the place of `addr3`. Since Linux 6.7.
        optval, set_optval: addr3, u64;
    }

    /// The command of [`IORING_OP_URING_CMD`](crate::IORING_OP_URING_CMD); in the first half of
    /// `off`. Since Linux 5.19.
    #[must_use]
    pub const fn cmd_op(&self) -> u32 {
        halves(self.off)[0]
    }

    /// Sets [`cmd_op`](Self::cmd_op), and clears the other half, as the kernel asks.
    pub const fn set_cmd_op(&mut self, value: u32) {
        self.off = from_halves([value, 0]);
    }

    /// The protocol level of a socket option; in the first half of `addr`. Since Linux 6.7.
    #[must_use]
    pub const fn level(&self) -> u32 {
        halves(self.addr)[0]
    }

    /// Sets [`level`](Self::level), and leaves [`optname`](Self::optname).
    pub const fn set_level(&mut self, value: u32) {
        self.addr = from_halves([value, halves(self.addr)[1]]);
    }

    /// The name of a socket option; in the second half of `addr`. Since Linux 6.7.
    #[must_use]
    pub const fn optname(&self) -> u32 {
        halves(self.addr)[1]
    }

    /// Sets [`optname`](Self::optname), and leaves [`level`](Self::level).
    pub const fn set_optname(&mut self, value: u32) {
        self.addr = from_halves([halves(self.addr)[0], value]);
    }

    /// The events to poll for, where the kernel lacks
    /// [`IORING_FEAT_POLL_32BITS`](crate::IORING_FEAT_POLL_32BITS); in the first half of
    /// `op_flags`.
    #[must_use]
    pub const fn poll_events(&self) -> u16 {
        let [a, b, _, _] = self.op_flags.to_ne_bytes();
        u16::from_ne_bytes([a, b])
    }

    /// Sets [`poll_events`](Self::poll_events), and clears the other half.
    pub const fn set_poll_events(&mut self, value: u16) {
        let [a, b] = value.to_ne_bytes();
        self.op_flags = u32::from_ne_bytes([a, b, 0, 0]);
    }

    /// The descriptor to splice from; in the place of `file_index`. Since Linux 5.7.
    #[must_use]
    pub const fn splice_fd_in(&self) -> i32 {
        i32::from_ne_bytes(self.file_index.to_ne_bytes())
    }

    /// Sets [`splice_fd_in`](Self::splice_fd_in).
    pub const fn set_splice_fd_in(&mut self, value: i32) {
        self.file_index = u32::from_ne_bytes(value.to_ne_bytes());
    }

    /// The length in bytes of the address that a send goes to; in the first half of `file_index`.
    /// Since Linux 6.0.
    #[must_use]
    pub const fn addr_len(&self) -> u16 {
        let [a, b, _, _] = self.file_index.to_ne_bytes();
        u16::from_ne_bytes([a, b])
    }

    /// Sets [`addr_len`](Self::addr_len), and clears the other half, as the kernel asks.
    pub const fn set_addr_len(&mut self, value: u16) {
        let [a, b] = value.to_ne_bytes();
        self.file_index = u32::from_ne_bytes([a, b, 0, 0]);
    }

    /// The stream that a write belongs to, for devices that keep streams apart; in the first byte
    /// of `file_index`. Since Linux 6.16.
    #[must_use]
    pub const fn write_stream(&self) -> u8 {
        self.file_index.to_ne_bytes()[0]
    }

    /// Sets [`write_stream`](Self::write_stream), and clears the other bytes, as the kernel asks.
    pub const fn set_write_stream(&mut self, value: u8) {
        self.file_index = u32::from_ne_bytes([value, 0, 0, 0]);
    }

    /// Which attributes [`attr_ptr`](Self::attr_ptr) leads to: [`IORING_RW_ATTR_FLAG_PI`]; in the
    /// place of `__pad2`. Since Linux 6.14.
    #[must_use]
    pub const fn attr_type_mask(&self) -> u64 {
        self.__pad2[0]
    }

    /// Sets [`attr_type_mask`](Self::attr_type_mask).
    pub const fn set_attr_type_mask(&mut self, value: u64) {
        self.__pad2[0] = value;
    }

    /// The 16 bytes that belong to a command, in the place of `addr3` and `__pad2`. A long entry
    /// has [80](io_uring_sqe128::cmd). Since Linux 5.19.
    #[must_use]
    pub const fn cmd(&self) -> [u64; 2] {
        [self.addr3, self.__pad2[0]]
    }

    /// Sets [`cmd`](Self::cmd).
    pub const fn set_cmd(&mut self, words: [u64; 2]) {
        [self.addr3, self.__pad2[0]] = words;
    }
}

/// An entry of 128 bytes: an [`io_uring_sqe`] and 64 more bytes for its command.
///
/// Not a C name: the header has the bytes as the flexible array `cmd`. All entries are like this in
/// a ring with [`IORING_SETUP_SQE128`](crate::IORING_SETUP_SQE128), and with
/// [`IORING_SETUP_SQE_MIXED`](crate::IORING_SETUP_SQE_MIXED) those are whose opcode ends in `128`.
/// Since Linux 5.19.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_sqe128 {
    /// The first half, which every entry has; the command begins in its last 16 bytes.
    pub sqe: io_uring_sqe,
    /// The rest of the command: its bytes 16 to 79.
    pub cmd_rest: [u64; 8],
}

impl io_uring_sqe128 {
    /// The 80 bytes that belong to the command, as ten words in the machine's byte order.
    #[must_use]
    pub const fn cmd(&self) -> [u64; 10] {
        let [a, b] = self.sqe.cmd();
        let [c, d, e, f, g, h, i, j] = self.cmd_rest;
        [a, b, c, d, e, f, g, h, i, j]
    }

    /// Sets [`cmd`](Self::cmd).
    pub const fn set_cmd(&mut self, words: [u64; 10]) {
        let [a, b, c, d, e, f, g, h, i, j] = words;
        self.sqe.set_cmd([a, b]);
        self.cmd_rest = [c, d, e, f, g, h, i, j];
    }
}

/// How 64-bit words are aligned: to 8 bytes in the header. By the ABI of 32-bit x86 it would be 4:
/// with that exception, the refusal of the target in `lib.rs` is the only error that is seen there.
pub(crate) const WORD: usize = if cfg!(target_arch = "x86") { 4 } else { 8 };

/// The halves of a word, the lower address first.
pub(crate) const fn halves(word: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = word.to_ne_bytes();
    [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])]
}

/// The word whose halves are these, the lower address first.
pub(crate) const fn from_halves([first, second]: [u32; 2]) -> u64 {
    let [a, b, c, d] = first.to_ne_bytes();
    let [e, f, g, h] = second.to_ne_bytes();
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

/// Protection information for a read or write: what [`attr_ptr`](io_uring_sqe::attr_ptr) points to
/// with [`IORING_RW_ATTR_FLAG_PI`]. Since Linux 6.14.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_attr_pi {
    /// What the device checks: `IO_INTEGRITY_CHK_*` of `linux/fs.h`.
    pub flags: u16,
    /// The application tag to put into, or to compare with, each interval.
    pub app_tag: u16,
    /// The length of the metadata buffer, in bytes.
    pub len: u32,
    /// The address of the metadata buffer.
    pub addr: u64,
    /// The first reference tag.
    pub seed: u64,
    /// Zero.
    pub rsvd: u64,
}

// liburing/io_uring.h at 27255f4c (August 2026)
const _: () = {
    assert!(size_of::<io_uring_sqe>() == 64 && align_of::<io_uring_sqe>() == WORD);
    assert!(offset_of!(io_uring_sqe, opcode) == 0);
    assert!(offset_of!(io_uring_sqe, flags) == 1);
    assert!(offset_of!(io_uring_sqe, ioprio) == 2);
    assert!(offset_of!(io_uring_sqe, fd) == 4);
    assert!(offset_of!(io_uring_sqe, off) == 8);
    assert!(offset_of!(io_uring_sqe, addr) == 16);
    assert!(offset_of!(io_uring_sqe, len) == 24);
    assert!(offset_of!(io_uring_sqe, op_flags) == 28);
    assert!(offset_of!(io_uring_sqe, user_data) == 32);
    assert!(offset_of!(io_uring_sqe, buf_index) == 40);
    assert!(offset_of!(io_uring_sqe, personality) == 42);
    assert!(offset_of!(io_uring_sqe, file_index) == 44);
    assert!(offset_of!(io_uring_sqe, addr3) == 48);
    assert!(offset_of!(io_uring_sqe, __pad2) == 56);

    assert!(size_of::<io_uring_sqe128>() == 128 && align_of::<io_uring_sqe128>() == WORD);
    assert!(offset_of!(io_uring_sqe128, cmd_rest) == 64);

    assert!(size_of::<io_uring_attr_pi>() == 32 && align_of::<io_uring_attr_pi>() == WORD);
    assert!(offset_of!(io_uring_attr_pi, flags) == 0);
    assert!(offset_of!(io_uring_attr_pi, app_tag) == 2);
    assert!(offset_of!(io_uring_attr_pi, len) == 4);
    assert!(offset_of!(io_uring_attr_pi, addr) == 8);
    assert!(offset_of!(io_uring_attr_pi, seed) == 16);
    assert!(offset_of!(io_uring_attr_pi, rsvd) == 24);
};

/// In `file_index`: the kernel chooses the slot of the new direct descriptor, and returns it.
/// Since Linux 5.19.
pub const IORING_FILE_INDEX_ALLOC: u32 = u32::MAX;

/// In [`attr_type_mask`](io_uring_sqe::attr_type_mask): [`attr_ptr`](io_uring_sqe::attr_ptr)
/// points to an [`io_uring_attr_pi`]. Since Linux 6.14.
pub const IORING_RW_ATTR_FLAG_PI: u64 = 1 << 0;

// ---- `flags` of an entry

/// `fd` is an index in the registered files. Since Linux 5.1.
pub const IOSQE_FIXED_FILE: u8 = 1 << 0;
/// Starts when all before it are complete; all after it wait for it. Since Linux 5.2.
pub const IOSQE_IO_DRAIN: u8 = 1 << 1;
/// The next entry starts when this one has succeeded; else the rest of the chain is cancelled.
/// Since Linux 5.3.
pub const IOSQE_IO_LINK: u8 = 1 << 2;
/// The next entry starts when this one is complete, even if it failed. Since Linux 5.5.
pub const IOSQE_IO_HARDLINK: u8 = 1 << 3;
/// Goes to a worker at once, without a first attempt here. Since Linux 5.6.
pub const IOSQE_ASYNC: u8 = 1 << 4;
/// The kernel takes a buffer of the group [`buf_group`](io_uring_sqe::buf_group).
/// Since Linux 5.7.
pub const IOSQE_BUFFER_SELECT: u8 = 1 << 5;
/// No completion if it succeeds. Since Linux 5.17.
pub const IOSQE_CQE_SKIP_SUCCESS: u8 = 1 << 6;

// ---- the same as numbers of bits

/// The number of the bit that [`IOSQE_FIXED_FILE`] is. Since Linux 5.1.
pub const IOSQE_FIXED_FILE_BIT: u32 = 0;
/// The number of the bit that [`IOSQE_IO_DRAIN`] is. Since Linux 5.2.
pub const IOSQE_IO_DRAIN_BIT: u32 = 1;
/// The number of the bit that [`IOSQE_IO_LINK`] is. Since Linux 5.3.
pub const IOSQE_IO_LINK_BIT: u32 = 2;
/// The number of the bit that [`IOSQE_IO_HARDLINK`] is. Since Linux 5.5.
pub const IOSQE_IO_HARDLINK_BIT: u32 = 3;
/// The number of the bit that [`IOSQE_ASYNC`] is. Since Linux 5.6.
pub const IOSQE_ASYNC_BIT: u32 = 4;
/// The number of the bit that [`IOSQE_BUFFER_SELECT`] is. Since Linux 5.7.
pub const IOSQE_BUFFER_SELECT_BIT: u32 = 5;
/// The number of the bit that [`IOSQE_CQE_SKIP_SUCCESS`] is. Since Linux 5.17.
pub const IOSQE_CQE_SKIP_SUCCESS_BIT: u32 = 6;
