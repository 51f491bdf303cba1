//! Members of C that are not fields here, because they share their place with one.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::mem::offset_of;
use std::slice;

use linux_raw_sys::io_uring as raw;
use uring_sys as sys;

use crate::sources::bytes;
use crate::table::{Fact, Facts};

/// Names of fields that C does not have: they stand for unions without a name.
pub(crate) const RUST_ONLY: [&str; 2] = ["io_uring_sqe.op_flags", "io_uring_bpf_ctx.pdu"];

/// Names that C has in `io_uring_sqe` for what is `op_flags` here.
const FLAGS: [&str; 22] = [
    "rw_flags",
    "fsync_flags",
    "sync_range_flags",
    "msg_flags",
    "timeout_flags",
    "accept_flags",
    "cancel_flags",
    "open_flags",
    "statx_flags",
    "fadvise_advice",
    "splice_flags",
    "rename_flags",
    "unlink_flags",
    "hardlink_flags",
    "xattr_flags",
    "msg_ring_flags",
    "uring_cmd_flags",
    "waitid_flags",
    "futex_flags",
    "install_fd_flags",
    "nop_flags",
    "pipe_flags",
];

/// The bytes of a struct of this crate.
fn bytes_of<T>(value: &T) -> &[u8] {
    // SAFETY: `from_raw_parts` wants the bytes valid, initialised and unchanged meanwhile: they are
    // those of a borrowed value, and the structs of this crate name all their padding.
    unsafe { slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

/// Where a setter writes, found out by writing all ones; and whether the getter reads that.
fn place<T: Default, V: Debug + PartialEq>(
    set: impl Fn(&mut T, V),
    get: impl Fn(&T) -> V,
    [zeroes, ones]: [V; 2],
) -> Fact {
    let mut value = T::default();
    assert_eq!(get(&value), zeroes);
    let expected = format!("{ones:?}");
    set(&mut value, ones);
    assert_eq!(format!("{:?}", get(&value)), expected, "the getter reads what was written");
    let written: BTreeSet<usize> =
        (0..).zip(bytes_of(&value)).filter(|(_, byte)| **byte != 0).map(|(at, _)| at).collect();
    assert!(written.iter().all(|at| bytes_of(&value)[*at] == 0xff));
    let (first, last) = (written.first().expect("bytes"), written.last().expect("bytes"));
    assert_eq!(last - first + 1, written.len(), "the bytes are in one piece");
    Fact::Member { offset: bytes(*first), size: Some(bytes(written.len())) }
}

macro_rules! places {
    ($facts:ident; $($name:ident { $($get:ident $set:ident $type:ty),* $(,)? })*) => {$($({
        let range: [$type; 2] = [<$type>::ZEROES, <$type>::ONES];
        let fact = place(sys::$name::$set, sys::$name::$get, range);
        $facts.insert(concat!(stringify!($name), ".", stringify!($get)).to_owned(), fact);
    })*)*};
}

/// Values with all bits clear, and all bits set.
trait Bits {
    const ZEROES: Self;
    const ONES: Self;
}

macro_rules! bits {
    ($($type:ty = $zeroes:expr, $ones:expr;)*) => {$(
        impl Bits for $type {
            const ZEROES: Self = $zeroes;
            const ONES: Self = $ones;
        }
    )*};
}
bits! {
    u8 = 0, !0;
    u16 = 0, !0;
    u32 = 0, !0;
    u64 = 0, !0;
    i32 = 0, !0;
    [u64; 2] = [0; 2], [!0; 2];
    [u64; 10] = [0; 10], [!0; 10];
    sys::zcrx_ctrl_flush_rq = Self { __resv: [0; 6] }, Self { __resv: [!0; 6] };
}

/// The members that have a getter and a setter.
fn with_accessors() -> Facts {
    let mut facts = Facts::new();
    places! { facts;
        io_uring_sqe {
            addr2 set_addr2 u64,
            cmd_op set_cmd_op u32,
            splice_off_in set_splice_off_in u64,
            level set_level u32,
            optname set_optname u32,
            poll_events set_poll_events u16,
            poll32_events set_poll32_events u32,
            buf_group set_buf_group u16,
            splice_fd_in set_splice_fd_in i32,
            zcrx_ifq_idx set_zcrx_ifq_idx u32,
            optlen set_optlen u32,
            addr_len set_addr_len u16,
            write_stream set_write_stream u8,
            attr_ptr set_attr_ptr u64,
            attr_type_mask set_attr_type_mask u64,
            optval set_optval u64,
            cmd set_cmd [u64; 2],
        }
        io_uring_sqe128 { cmd set_cmd [u64; 10] }
        io_uring_napi { opcode set_opcode u8, op_param set_op_param u32 }
        io_uring_restriction { sqe_op set_sqe_op u8, sqe_flags set_sqe_flags u8 }
        zcrx_ctrl { zc_flush set_zc_flush sys::zcrx_ctrl_flush_rq }
    }
    facts
}

/// All members of C that are not fields of the same name in the same struct.
pub(crate) fn members() -> Facts {
    let mut facts = with_accessors();
    // Not C's: the struct is ours.
    facts.remove("io_uring_sqe128.cmd");
    let mut add = |name: &str, offset: usize, size: Option<usize>| {
        let size = size.map(bytes);
        facts.insert(name.to_owned(), Fact::Member { offset: bytes(offset), size });
    };
    for name in FLAGS {
        let offset = offset_of!(sys::io_uring_sqe, op_flags);
        add(&format!("io_uring_sqe.{name}"), offset, Some(size_of::<u32>()));
    }
    // Arrays without a length are members of a second struct.
    add("io_uring_cqe.big_cqe", offset_of!(sys::io_uring_cqe32, big_cqe), None);
    add("io_uring_probe.ops", offset_of!(sys::io_uring_probe_with_ops<1>, ops), None);
    let offset = offset_of!(sys::io_uring_task_restriction_with<1>, restrictions);
    add("io_uring_task_restriction.restrictions", offset, None);
    // This one starts where its struct starts.
    let mut ring = sys::io_uring_buf_ring::default();
    let bufs = sys::io_uring_buf_ring::bufs(&raw mut ring);
    add("io_uring_buf_ring.bufs", bufs.addr() - (&raw const ring).addr(), None);

    let pdu = offset_of!(sys::io_uring_bpf_ctx, pdu);
    macro_rules! parts {
        ($($part:ident $struct:ident { $($field:ident $type:ty),* })*) => {$($(
            let name = concat!("io_uring_bpf_ctx.", stringify!($part), ".", stringify!($field));
            let offset = pdu + offset_of!(sys::$struct, $field);
            add(&name.replace("r#", ""), offset, Some(size_of::<$type>()));
        )*)*};
    }
    parts! {
        socket io_uring_bpf_ctx_socket { family u32, r#type u32, protocol u32 }
        open io_uring_bpf_ctx_open { flags u64, mode u64, resolve u64 }
    }
    facts
}

/// The members that are inside unions in `linux-raw-sys`.
pub(crate) fn members_of_linux_raw_sys() -> Facts {
    let mut facts = Facts::new();
    macro_rules! members {
        ($($struct:ident $path:tt { $($field:ident),* $(,)? })*) => {$($(
            let offset = bytes(members!(@offset $struct $path $field));
            let name = concat!(stringify!($struct), ".", stringify!($field));
            facts.insert(name.to_owned(), Fact::Member { offset, size: None });
        )*)*};
        (@offset $struct:ident ($($path:tt)+) $field:ident) => {
            offset_of!(raw::$struct, $($path)+.$field)
        };
    }
    members! {
        io_uring_sqe (__bindgen_anon_1) { off, addr2 }
        io_uring_sqe (__bindgen_anon_1.__bindgen_anon_1) { cmd_op }
        io_uring_sqe (__bindgen_anon_2) { addr, splice_off_in }
        io_uring_sqe (__bindgen_anon_2.__bindgen_anon_1) { level, optname }
        io_uring_sqe (__bindgen_anon_3) {
            rw_flags, fsync_flags, poll_events, poll32_events, sync_range_flags, msg_flags,
            timeout_flags, accept_flags, cancel_flags, open_flags, statx_flags, fadvise_advice,
            splice_flags, rename_flags, unlink_flags, hardlink_flags, xattr_flags, msg_ring_flags,
            uring_cmd_flags, waitid_flags, futex_flags, install_fd_flags, nop_flags, pipe_flags,
        }
        io_uring_sqe (__bindgen_anon_4) { buf_index, buf_group }
        io_uring_sqe (__bindgen_anon_5) { splice_fd_in, file_index, zcrx_ifq_idx, optlen }
        io_uring_sqe (__bindgen_anon_5.__bindgen_anon_1) { addr_len }
        io_uring_sqe (__bindgen_anon_5.__bindgen_anon_2) { write_stream }
        io_uring_restriction (__bindgen_anon_1) { register_op, sqe_op, sqe_flags }
    }
    let mut add = |name: &str, offset: usize| {
        facts.insert(name.to_owned(), Fact::Member { offset: bytes(offset), size: None });
    };
    add("io_uring_cqe.big_cqe", offset_of!(raw::io_uring_cqe, big_cqe));
    add("io_uring_probe.ops", offset_of!(raw::io_uring_probe, ops));
    add("io_uring_napi.opcode", offset_of!(raw::io_uring_napi, opcode));
    add("io_uring_napi.op_param", offset_of!(raw::io_uring_napi, op_param));
    facts
}

#[test]
fn every_setter_is_in_the_list() {
    let listed: BTreeSet<String> = with_accessors()
        .into_keys()
        .map(|name| name.rsplit('.').next().expect("a member").to_owned())
        .collect();
    let source: BTreeSet<String> =
        crate::coverage::setters().into_iter().map(ToOwned::to_owned).collect();
    assert_eq!(listed, source);
}

#[test]
fn a_setter_of_one_half_leaves_the_other_as_documented() {
    let mut sqe = sys::io_uring_sqe { addr: u64::MAX, ..Default::default() };
    sqe.set_level(1); // SOL_SOCKET in asm-generic/socket.h
    assert_eq!((sqe.level(), sqe.optname()), (1, u32::MAX));
    sqe.set_optname(2); // SO_REUSEADDR in asm-generic/socket.h
    assert_eq!((sqe.level(), sqe.optname()), (1, 2));

    let mut sqe = sys::io_uring_sqe {
        off: u64::MAX,
        op_flags: u32::MAX,
        file_index: u32::MAX,
        ..Default::default()
    };
    sqe.set_cmd_op(3);
    assert_eq!(bytes_of(&sqe.off), [3_u32.to_ne_bytes(), [0; 4]].concat());
    sqe.set_poll_events(1); // POLLIN in asm-generic/poll.h
    assert_eq!(bytes_of(&sqe.op_flags), [1_u16.to_ne_bytes(), [0; 2]].concat());
    sqe.set_addr_len(16); // sizeof(struct sockaddr_in)
    assert_eq!(bytes_of(&sqe.file_index), [16_u16.to_ne_bytes(), [0; 2]].concat());
    sqe.set_write_stream(5);
    assert_eq!(bytes_of(&sqe.file_index), [5, 0, 0, 0]);
}

#[test]
fn the_extra_words_of_a_long_completion_read_as_structs() {
    let cqe = sys::io_uring_cqe32 { big_cqe: [1, 2], ..Default::default() };
    assert_eq!(cqe.zcrx(), sys::io_uring_zcrx_cqe { off: 1, __pad: 2 });
    assert_eq!(cqe.timestamp(), sys::io_timespec { tv_sec: 1, tv_nsec: 2 });
}

#[test]
fn the_operands_that_a_filter_sees_read_as_structs() {
    let socket = sys::io_uring_bpf_ctx_socket { family: 2, r#type: 1, protocol: 6 };
    let mut packet = [0; 24];
    packet[..12].copy_from_slice(bytes_of(&socket));
    let word = |at: usize| u64::from_ne_bytes(packet[at..at + 8].try_into().expect("8 bytes"));
    let pdu = [word(0), word(8), word(16)];
    let ctx = sys::io_uring_bpf_ctx { pdu, ..Default::default() };
    assert_eq!(ctx.socket(), socket);

    let ctx = sys::io_uring_bpf_ctx { pdu: [7, 8, 9], ..Default::default() };
    assert_eq!(ctx.open(), sys::io_uring_bpf_ctx_open { flags: 7, mode: 8, resolve: 9 });
}
