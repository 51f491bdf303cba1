//! The C names that nothing answers to yet, and what to do meanwhile.
//!
//! An operation that has no type here can be a raw entry: fill in the kernel's structure, take what
//! it needs as your contract, and push it onto a [`RawRing`]. `uring-sys` has all constants and
//! structures under their C names.
//!
//! ```
//! use std::os::fd::AsRawFd;
//! use uring::{RawRing, Sqe};
//! use uring_sys as sys;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let Ok(_) = uring::check() else { return Ok(()) };
//! # let file = std::fs::File::open("/proc/self/comm")?;
//! let raw = sys::io_uring_sqe {
//!     opcode: sys::IORING_OP_FADVISE,
//!     fd: file.as_raw_fd(),
//!     op_flags: libc::POSIX_FADV_SEQUENTIAL as u32, // of the whole file
//!     ..Default::default()
//! };
//! // SAFETY: the entry has no pointers, and the file stays open until the completion, below.
//! let advice = unsafe { Sqe::new(raw) };
//! let mut ring = RawRing::builder().entries(8).build()?;
//! ring.push(advice)?;
//! ring.submit_and_wait(1)?;
//! ring.pop().expect("one was waited for").result()?;
//! # Ok(()) }
//! ```
//!
//! What is done to a ring by `io_uring_register(2)` is [`RawRing::register`] meanwhile.
//!
//! - **Files:** open, stat, sync of a range, truncate, allocate, advise, rename, link, unlink,
//!   extended attributes, splice and tee, fixed files and buffers.
//! - **Sockets:** `socket`, `bind`, `listen`, messages (`sendmsg`, `recvmsg`), zero-copy, bundles.
//! - **Others:** link timeouts, updates of timeouts and polls, messages between rings, futexes,
//!   pipes, `waitid`, commands of drivers, entries of 128 bytes.
//! - **Rings:** event descriptors, restrictions, personalities, workers' limits, busy polling,
//!   clocks, resizing, rings in user memory, waits with a smallest time.

// Whoever adds one of these takes its line away, and .ci/docs-index asks for it.
#![doc(alias(
    "io_uring_prep_accept_direct",
    "io_uring_prep_bind",
    "io_uring_prep_close_direct",
    "io_uring_prep_cmd_discard",
    "io_uring_prep_cmd_getsockname",
    "io_uring_prep_cmd_sock",
    "io_uring_prep_cmd_zone_reset_all",
    "io_uring_prep_epoll_ctl",
    "io_uring_prep_epoll_wait",
    "io_uring_prep_fadvise",
    "io_uring_prep_fadvise64",
    "io_uring_prep_fallocate",
    "io_uring_prep_fgetxattr",
    "io_uring_prep_files_update",
    "io_uring_prep_fixed_fd_install",
    "io_uring_prep_fsetxattr",
    "io_uring_prep_ftruncate",
    "io_uring_prep_futex_wait",
    "io_uring_prep_futex_waitv",
    "io_uring_prep_futex_wake",
    "io_uring_prep_getxattr",
    "io_uring_prep_link",
    "io_uring_prep_link_timeout",
    "io_uring_prep_linkat",
    "io_uring_prep_listen",
    "io_uring_prep_madvise",
    "io_uring_prep_madvise64",
    "io_uring_prep_mkdir",
    "io_uring_prep_mkdirat",
    "io_uring_prep_msg_ring",
    "io_uring_prep_msg_ring_cqe_flags",
    "io_uring_prep_msg_ring_fd",
    "io_uring_prep_msg_ring_fd_alloc",
    "io_uring_prep_multishot_accept_direct",
    "io_uring_prep_nop128",
    "io_uring_prep_open",
    "io_uring_prep_open_direct",
    "io_uring_prep_openat",
    "io_uring_prep_openat2",
    "io_uring_prep_openat2_direct",
    "io_uring_prep_openat_direct",
    "io_uring_prep_pipe",
    "io_uring_prep_pipe_direct",
    "io_uring_prep_poll_remove",
    "io_uring_prep_poll_update",
    "io_uring_prep_provide_buffers",
    "io_uring_prep_read_fixed",
    "io_uring_prep_read_multishot",
    "io_uring_prep_readv2",
    "io_uring_prep_readv_fixed",
    "io_uring_prep_recvmsg",
    "io_uring_prep_recvmsg_multishot",
    "io_uring_prep_remove_buffers",
    "io_uring_prep_rename",
    "io_uring_prep_renameat",
    "io_uring_prep_send_bundle",
    "io_uring_prep_send_set_addr",
    "io_uring_prep_send_zc",
    "io_uring_prep_send_zc_fixed",
    "io_uring_prep_sendmsg",
    "io_uring_prep_sendmsg_zc",
    "io_uring_prep_sendmsg_zc_fixed",
    "io_uring_prep_sendto",
    "io_uring_prep_setxattr",
    "io_uring_prep_socket",
    "io_uring_prep_socket_direct",
    "io_uring_prep_socket_direct_alloc",
    "io_uring_prep_splice",
    "io_uring_prep_statx",
    "io_uring_prep_symlink",
    "io_uring_prep_symlinkat",
    "io_uring_prep_sync_file_range",
    "io_uring_prep_tee",
    "io_uring_prep_timeout_remove",
    "io_uring_prep_timeout_update",
    "io_uring_prep_unlink",
    "io_uring_prep_unlinkat",
    "io_uring_prep_uring_cmd",
    "io_uring_prep_uring_cmd128",
    "io_uring_prep_waitid",
    "io_uring_prep_write_fixed",
    "io_uring_prep_writev2",
    "io_uring_prep_writev_fixed",
    "io_uring_get_sqe128",
    "io_uring_recvmsg_cmsg_firsthdr",
    "io_uring_recvmsg_cmsg_nexthdr",
    "io_uring_recvmsg_name",
    "io_uring_recvmsg_out",
    "io_uring_recvmsg_payload",
    "io_uring_recvmsg_payload_length",
    "io_uring_recvmsg_validate",
))]
// What is not an operation.
#![doc(alias(
    "io_uring_clone_buffers",
    "io_uring_clone_buffers_offset",
    "io_uring_close_ring_fd",
    "io_uring_cq_eventfd_enabled",
    "io_uring_cq_eventfd_toggle",
    "io_uring_cqe_nr",
    "io_uring_enable_rings",
    "io_uring_queue_init_mem",
    "io_uring_register_bpf_filter",
    "io_uring_register_bpf_filter_task",
    "io_uring_register_buffers",
    "io_uring_register_buffers_sparse",
    "io_uring_register_buffers_tags",
    "io_uring_register_buffers_update_tag",
    "io_uring_register_clock",
    "io_uring_register_eventfd",
    "io_uring_register_eventfd_async",
    "io_uring_register_file_alloc_range",
    "io_uring_register_files",
    "io_uring_register_files_sparse",
    "io_uring_register_files_tags",
    "io_uring_register_files_update",
    "io_uring_register_files_update_tag",
    "io_uring_register_ifq",
    "io_uring_register_iowq_aff",
    "io_uring_register_iowq_max_workers",
    "io_uring_register_napi",
    "io_uring_register_personality",
    "io_uring_register_query",
    "io_uring_register_region",
    "io_uring_register_restrictions",
    "io_uring_register_sync_cancel",
    "io_uring_register_sync_msg",
    "io_uring_register_wait_reg",
    "io_uring_register_zcrx_ctrl",
    "io_uring_resize_rings",
    "io_uring_set_iowait",
    "io_uring_submit_and_wait_min_timeout",
    "io_uring_submit_and_wait_reg",
    "io_uring_unregister_buffers",
    "io_uring_unregister_eventfd",
    "io_uring_unregister_files",
    "io_uring_unregister_iowq_aff",
    "io_uring_unregister_napi",
    "io_uring_unregister_personality",
    "io_uring_wait_cqes_min_timeout",
    "IORING_TIMEOUT_ABS",
    "IORING_TIMEOUT_BOOTTIME",
    "IORING_TIMEOUT_REALTIME",
    "IORING_TIMEOUT_ETIME_SUCCESS",
    "IORING_TIMEOUT_MULTISHOT",
    "IORING_TIMEOUT_UPDATE",
    "IORING_ACCEPT_DONTWAIT",
    "IORING_ACCEPT_POLL_FIRST",
    "IORING_RECVSEND_BUNDLE",
    "IORING_RECVSEND_FIXED_BUF",
    "IORING_SEND_ZC_REPORT_USAGE",
    "IORING_POLL_ADD_LEVEL",
    "IORING_ASYNC_CANCEL_OP",
    "IORING_ASYNC_CANCEL_FD_FIXED",
))]

#[cfg(doc)] // for the links
use crate::raw::ring::RawRing;
