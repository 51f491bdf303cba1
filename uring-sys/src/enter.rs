//! Submitting and waiting: flags, timeouts and registered waits.

use core::mem::offset_of;

use crate::sqe::WORD;

// ---- `flags` of `io_uring_enter`

/// Waits for completions, and fetches those that did not fit. Since Linux 5.1.
pub const IORING_ENTER_GETEVENTS: u32 = 1 << 0;
/// Wakes the polling thread. Since Linux 5.1.
pub const IORING_ENTER_SQ_WAKEUP: u32 = 1 << 1;
/// Waits until the polling thread has made room in the submission ring. Since Linux 5.10.
pub const IORING_ENTER_SQ_WAIT: u32 = 1 << 2;
/// The argument is an [`io_uring_getevents_arg`], not a signal mask. Since Linux 5.11.
pub const IORING_ENTER_EXT_ARG: u32 = 1 << 3;
/// The descriptor is the index of a registered ring. Since Linux 5.18.
pub const IORING_ENTER_REGISTERED_RING: u32 = 1 << 4;
/// The timeout is a point on the ring's clock, not a duration. Since Linux 6.12.
pub const IORING_ENTER_ABS_TIMER: u32 = 1 << 5;
/// The argument is an offset into the registered wait region, where an [`io_uring_reg_wait`] is.
/// Since Linux 6.13.
pub const IORING_ENTER_EXT_ARG_REG: u32 = 1 << 6;
/// Waiting does not count as waiting for I/O in the CPU's statistics and frequency.
/// Since Linux 6.15.
pub const IORING_ENTER_NO_IOWAIT: u32 = 1 << 7;

/// A time or a duration as the kernel takes it: 64 bits on all architectures. Its home in C is
/// `linux/time_types.h`. Since Linux 5.1.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct __kernel_timespec {
    /// Whole seconds.
    pub tv_sec: i64,
    /// The rest, in nanoseconds, below a thousand million.
    pub tv_nsec: i64,
}

/// How to wait: the operand of [`IORING_ENTER_EXT_ARG`]. Since Linux 5.11.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_getevents_arg {
    /// The address of the signal mask during the wait, or 0.
    pub sigmask: u64,
    /// The size of the signal mask in bytes: 8.
    pub sigmask_sz: u32,
    /// How long to wait for all the completions wanted before one is enough, in microseconds.
    /// Since Linux 6.12, with [`IORING_FEAT_MIN_TIMEOUT`](crate::IORING_FEAT_MIN_TIMEOUT); zero
    /// before.
    pub min_wait_usec: u32,
    /// The address of a [`__kernel_timespec`], the timeout; or 0.
    pub ts: u64,
}

/// How to wait, kept in a registered region: what [`IORING_ENTER_EXT_ARG_REG`] selects.
/// Since Linux 6.13.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_reg_wait {
    /// The timeout, if [`IORING_REG_WAIT_TS`] is set.
    pub ts: __kernel_timespec,
    /// How long to wait for all the completions wanted before one is enough, in microseconds.
    pub min_wait_usec: u32,
    /// [`IORING_REG_WAIT_TS`].
    pub flags: u32,
    /// The address of the signal mask during the wait, or 0.
    pub sigmask: u64,
    /// The size of the signal mask in bytes: 8.
    pub sigmask_sz: u32,
    /// Zero.
    pub pad: [u32; 3],
    /// Zero.
    pub pad2: [u64; 2],
}

/// In [`io_uring_reg_wait`]: `ts` is the timeout. Since Linux 6.13.
pub const IORING_REG_WAIT_TS: u32 = 1 << 0;

/// A piece of memory that program and kernel share. Since Linux 6.13.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_region_desc {
    /// The address of the memory, with [`IORING_MEM_REGION_TYPE_USER`]; else 0.
    pub user_addr: u64,
    /// The size in bytes, whole pages.
    pub size: u64,
    /// [`IORING_MEM_REGION_TYPE_USER`].
    pub flags: u32,
    /// Zero.
    pub id: u32,
    /// Written by the kernel: the offset for `mmap(2)`, if it allocated the memory.
    pub mmap_offset: u64,
    /// Zero.
    pub __resv: [u64; 4],
}

/// In [`io_uring_region_desc`]: the memory is the program's. Without this flag the kernel
/// allocates it, to be mapped. Since Linux 6.13.
pub const IORING_MEM_REGION_TYPE_USER: u32 = 1;

/// The operand of [`IORING_REGISTER_MEM_REGION`](crate::IORING_REGISTER_MEM_REGION).
/// Since Linux 6.13.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct io_uring_mem_region_reg {
    /// The address of an [`io_uring_region_desc`].
    pub region_uptr: u64,
    /// [`IORING_MEM_REGION_REG_WAIT_ARG`].
    pub flags: u64,
    /// Zero.
    pub __resv: [u64; 2],
}

/// In [`io_uring_mem_region_reg`]: the region holds [`io_uring_reg_wait`]s. Since Linux 6.13.
pub const IORING_MEM_REGION_REG_WAIT_ARG: u64 = 1;

// liburing/io_uring.h at 27255f4c (August 2026); `__kernel_timespec`: linux/time_types.h, v6.18
const _: () = {
    assert!(size_of::<__kernel_timespec>() == 16 && align_of::<__kernel_timespec>() == WORD);
    assert!(offset_of!(__kernel_timespec, tv_sec) == 0);
    assert!(offset_of!(__kernel_timespec, tv_nsec) == 8);

    assert!(
        size_of::<io_uring_getevents_arg>() == 24 && align_of::<io_uring_getevents_arg>() == WORD
    );
    assert!(offset_of!(io_uring_getevents_arg, sigmask) == 0);
    assert!(offset_of!(io_uring_getevents_arg, sigmask_sz) == 8);
    assert!(offset_of!(io_uring_getevents_arg, min_wait_usec) == 12);
    assert!(offset_of!(io_uring_getevents_arg, ts) == 16);

    assert!(size_of::<io_uring_reg_wait>() == 64 && align_of::<io_uring_reg_wait>() == WORD);
    assert!(offset_of!(io_uring_reg_wait, ts) == 0);
    assert!(offset_of!(io_uring_reg_wait, min_wait_usec) == 16);
    assert!(offset_of!(io_uring_reg_wait, flags) == 20);
    assert!(offset_of!(io_uring_reg_wait, sigmask) == 24);
    assert!(offset_of!(io_uring_reg_wait, sigmask_sz) == 32);
    assert!(offset_of!(io_uring_reg_wait, pad) == 36);
    assert!(offset_of!(io_uring_reg_wait, pad2) == 48);

    assert!(size_of::<io_uring_region_desc>() == 64 && align_of::<io_uring_region_desc>() == WORD);
    assert!(offset_of!(io_uring_region_desc, user_addr) == 0);
    assert!(offset_of!(io_uring_region_desc, size) == 8);
    assert!(offset_of!(io_uring_region_desc, flags) == 16);
    assert!(offset_of!(io_uring_region_desc, id) == 20);
    assert!(offset_of!(io_uring_region_desc, mmap_offset) == 24);
    assert!(offset_of!(io_uring_region_desc, __resv) == 32);

    assert!(size_of::<io_uring_mem_region_reg>() == 32);
    assert!(align_of::<io_uring_mem_region_reg>() == WORD);
    assert!(offset_of!(io_uring_mem_region_reg, region_uptr) == 0);
    assert!(offset_of!(io_uring_mem_region_reg, flags) == 8);
    assert!(offset_of!(io_uring_mem_region_reg, __resv) == 16);
};
