//! The names of all items: what macros can turn into values, sizes and offsets.
//!
//! Rust cannot list the items of a crate, so the names are here once more. That this list is
//! complete is checked in both directions by `coverage`: against the table and against the source.
//! When a header has grown, add the new names here.

/// Gives all constants to a macro.
macro_rules! for_all_constants {
    ($macro:ident) => {
        $macro! {
            IORING_RW_ATTR_FLAG_PI, IORING_FILE_INDEX_ALLOC, IOSQE_FIXED_FILE, IOSQE_IO_DRAIN,
            IOSQE_IO_LINK, IOSQE_IO_HARDLINK, IOSQE_ASYNC, IOSQE_BUFFER_SELECT,
            IOSQE_CQE_SKIP_SUCCESS, IORING_SETUP_IOPOLL, IORING_SETUP_SQPOLL, IORING_SETUP_SQ_AFF,
            IORING_SETUP_CQSIZE, IORING_SETUP_CLAMP, IORING_SETUP_ATTACH_WQ,
            IORING_SETUP_R_DISABLED, IORING_SETUP_SUBMIT_ALL, IORING_SETUP_COOP_TASKRUN,
            IORING_SETUP_TASKRUN_FLAG, IORING_SETUP_SQE128, IORING_SETUP_CQE32,
            IORING_SETUP_SINGLE_ISSUER, IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_NO_MMAP,
            IORING_SETUP_REGISTERED_FD_ONLY, IORING_SETUP_NO_SQARRAY, IORING_SETUP_HYBRID_IOPOLL,
            IORING_SETUP_CQE_MIXED, IORING_SETUP_SQE_MIXED, IORING_SETUP_SQ_REWIND,
            IORING_URING_CMD_FIXED, IORING_URING_CMD_MASK, IORING_FSYNC_DATASYNC,
            IORING_TIMEOUT_ABS, IORING_TIMEOUT_UPDATE, IORING_TIMEOUT_BOOTTIME,
            IORING_TIMEOUT_REALTIME, IORING_LINK_TIMEOUT_UPDATE, IORING_TIMEOUT_ETIME_SUCCESS,
            IORING_TIMEOUT_MULTISHOT, IORING_TIMEOUT_IMMEDIATE_ARG, IORING_TIMEOUT_CLOCK_MASK,
            IORING_TIMEOUT_UPDATE_MASK, SPLICE_F_FD_IN_FIXED, IORING_POLL_ADD_MULTI,
            IORING_POLL_UPDATE_EVENTS, IORING_POLL_UPDATE_USER_DATA, IORING_POLL_ADD_LEVEL,
            IORING_ASYNC_CANCEL_ALL, IORING_ASYNC_CANCEL_FD, IORING_ASYNC_CANCEL_ANY,
            IORING_ASYNC_CANCEL_FD_FIXED, IORING_ASYNC_CANCEL_USERDATA, IORING_ASYNC_CANCEL_OP,
            IORING_RECVSEND_POLL_FIRST, IORING_RECV_MULTISHOT, IORING_RECVSEND_FIXED_BUF,
            IORING_SEND_ZC_REPORT_USAGE, IORING_RECVSEND_BUNDLE, IORING_SEND_VECTORIZED,
            IORING_NOTIF_USAGE_ZC_COPIED, IORING_ACCEPT_MULTISHOT, IORING_ACCEPT_DONTWAIT,
            IORING_ACCEPT_POLL_FIRST, IORING_MSG_RING_CQE_SKIP, IORING_MSG_RING_FLAGS_PASS,
            IORING_FIXED_FD_NO_CLOEXEC, IORING_NOP_INJECT_RESULT, IORING_NOP_CQE32,
            IORING_CQE_F_BUFFER, IORING_CQE_F_MORE, IORING_CQE_F_SOCK_NONEMPTY, IORING_CQE_F_NOTIF,
            IORING_CQE_F_BUF_MORE, IORING_CQE_F_SKIP, IORING_CQE_F_32, IORING_CQE_BUFFER_SHIFT,
            IORING_OFF_SQ_RING, IORING_OFF_CQ_RING, IORING_OFF_SQES, IORING_OFF_PBUF_RING,
            IORING_OFF_PBUF_SHIFT, IORING_OFF_MMAP_MASK, IORING_SQ_NEED_WAKEUP,
            IORING_SQ_CQ_OVERFLOW, IORING_SQ_TASKRUN, IORING_CQ_EVENTFD_DISABLED,
            IORING_ENTER_GETEVENTS, IORING_ENTER_SQ_WAKEUP, IORING_ENTER_SQ_WAIT,
            IORING_ENTER_EXT_ARG, IORING_ENTER_REGISTERED_RING, IORING_ENTER_ABS_TIMER,
            IORING_ENTER_EXT_ARG_REG, IORING_ENTER_NO_IOWAIT, IORING_FEAT_SINGLE_MMAP,
            IORING_FEAT_NODROP, IORING_FEAT_SUBMIT_STABLE, IORING_FEAT_RW_CUR_POS,
            IORING_FEAT_CUR_PERSONALITY, IORING_FEAT_FAST_POLL, IORING_FEAT_POLL_32BITS,
            IORING_FEAT_SQPOLL_NONFIXED, IORING_FEAT_EXT_ARG, IORING_FEAT_NATIVE_WORKERS,
            IORING_FEAT_RSRC_TAGS, IORING_FEAT_CQE_SKIP, IORING_FEAT_LINKED_FILE,
            IORING_FEAT_REG_REG_RING, IORING_FEAT_RECVSEND_BUNDLE, IORING_FEAT_MIN_TIMEOUT,
            IORING_FEAT_RW_ATTR, IORING_FEAT_NO_IOWAIT, IORING_RSRC_REGISTER_SPARSE,
            IORING_REGISTER_FILES_SKIP, IO_URING_OP_SUPPORTED, IORING_TIMESTAMP_HW_SHIFT,
            IORING_TIMESTAMP_TYPE_SHIFT, IORING_CQE_F_TSTAMP_HW, IORING_ZCRX_AREA_SHIFT,
            IORING_ZCRX_AREA_MASK, IOSQE_FIXED_FILE_BIT, IOSQE_IO_DRAIN_BIT, IOSQE_IO_LINK_BIT,
            IOSQE_IO_HARDLINK_BIT, IOSQE_ASYNC_BIT, IOSQE_BUFFER_SELECT_BIT,
            IOSQE_CQE_SKIP_SUCCESS_BIT, IORING_OP_NOP, IORING_OP_READV, IORING_OP_WRITEV,
            IORING_OP_FSYNC, IORING_OP_READ_FIXED, IORING_OP_WRITE_FIXED, IORING_OP_POLL_ADD,
            IORING_OP_POLL_REMOVE, IORING_OP_SYNC_FILE_RANGE, IORING_OP_SENDMSG, IORING_OP_RECVMSG,
            IORING_OP_TIMEOUT, IORING_OP_TIMEOUT_REMOVE, IORING_OP_ACCEPT, IORING_OP_ASYNC_CANCEL,
            IORING_OP_LINK_TIMEOUT, IORING_OP_CONNECT, IORING_OP_FALLOCATE, IORING_OP_OPENAT,
            IORING_OP_CLOSE, IORING_OP_FILES_UPDATE, IORING_OP_STATX, IORING_OP_READ,
            IORING_OP_WRITE, IORING_OP_FADVISE, IORING_OP_MADVISE, IORING_OP_SEND, IORING_OP_RECV,
            IORING_OP_OPENAT2, IORING_OP_EPOLL_CTL, IORING_OP_SPLICE, IORING_OP_PROVIDE_BUFFERS,
            IORING_OP_REMOVE_BUFFERS, IORING_OP_TEE, IORING_OP_SHUTDOWN, IORING_OP_RENAMEAT,
            IORING_OP_UNLINKAT, IORING_OP_MKDIRAT, IORING_OP_SYMLINKAT, IORING_OP_LINKAT,
            IORING_OP_MSG_RING, IORING_OP_FSETXATTR, IORING_OP_SETXATTR, IORING_OP_FGETXATTR,
            IORING_OP_GETXATTR, IORING_OP_SOCKET, IORING_OP_URING_CMD, IORING_OP_SEND_ZC,
            IORING_OP_SENDMSG_ZC, IORING_OP_READ_MULTISHOT, IORING_OP_WAITID, IORING_OP_FUTEX_WAIT,
            IORING_OP_FUTEX_WAKE, IORING_OP_FUTEX_WAITV, IORING_OP_FIXED_FD_INSTALL,
            IORING_OP_FTRUNCATE, IORING_OP_BIND, IORING_OP_LISTEN, IORING_OP_RECV_ZC,
            IORING_OP_EPOLL_WAIT, IORING_OP_READV_FIXED, IORING_OP_WRITEV_FIXED, IORING_OP_PIPE,
            IORING_OP_NOP128, IORING_OP_URING_CMD128, IORING_OP_LAST, IORING_MSG_DATA,
            IORING_MSG_SEND_FD, IORING_REGISTER_BUFFERS, IORING_UNREGISTER_BUFFERS,
            IORING_REGISTER_FILES, IORING_UNREGISTER_FILES, IORING_REGISTER_EVENTFD,
            IORING_UNREGISTER_EVENTFD, IORING_REGISTER_FILES_UPDATE, IORING_REGISTER_EVENTFD_ASYNC,
            IORING_REGISTER_PROBE, IORING_REGISTER_PERSONALITY, IORING_UNREGISTER_PERSONALITY,
            IORING_REGISTER_RESTRICTIONS, IORING_REGISTER_ENABLE_RINGS, IORING_REGISTER_FILES2,
            IORING_REGISTER_FILES_UPDATE2, IORING_REGISTER_BUFFERS2, IORING_REGISTER_BUFFERS_UPDATE,
            IORING_REGISTER_IOWQ_AFF, IORING_UNREGISTER_IOWQ_AFF, IORING_REGISTER_IOWQ_MAX_WORKERS,
            IORING_REGISTER_RING_FDS, IORING_UNREGISTER_RING_FDS, IORING_REGISTER_PBUF_RING,
            IORING_UNREGISTER_PBUF_RING, IORING_REGISTER_SYNC_CANCEL,
            IORING_REGISTER_FILE_ALLOC_RANGE, IORING_REGISTER_PBUF_STATUS, IORING_REGISTER_NAPI,
            IORING_UNREGISTER_NAPI, IORING_REGISTER_CLOCK, IORING_REGISTER_CLONE_BUFFERS,
            IORING_REGISTER_SEND_MSG_RING, IORING_REGISTER_ZCRX_IFQ, IORING_REGISTER_RESIZE_RINGS,
            IORING_REGISTER_MEM_REGION, IORING_REGISTER_QUERY, IORING_REGISTER_ZCRX_CTRL,
            IORING_REGISTER_BPF_FILTER, IORING_REGISTER_LAST, IORING_REGISTER_USE_REGISTERED_RING,
            IO_WQ_BOUND, IO_WQ_UNBOUND, IORING_MEM_REGION_TYPE_USER, IORING_MEM_REGION_REG_WAIT_ARG,
            IORING_REGISTER_SRC_REGISTERED, IORING_REGISTER_DST_REPLACE, IOU_PBUF_RING_MMAP,
            IOU_PBUF_RING_INC, IORING_RESTRICTION_REGISTER_OP, IORING_RESTRICTION_SQE_OP,
            IORING_RESTRICTION_SQE_FLAGS_ALLOWED, IORING_RESTRICTION_SQE_FLAGS_REQUIRED,
            IORING_RESTRICTION_LAST, IORING_REG_WAIT_TS, SOCKET_URING_OP_SIOCINQ,
            SOCKET_URING_OP_SIOCOUTQ, SOCKET_URING_OP_GETSOCKOPT, SOCKET_URING_OP_SETSOCKOPT,
            SOCKET_URING_OP_TX_TIMESTAMP, SOCKET_URING_OP_GETSOCKNAME, IORING_ZCRX_AREA_DMABUF,
            ZCRX_REG_IMPORT, ZCRX_REG_NODEV, ZCRX_FEATURE_RX_PAGE_SIZE, ZCRX_CTRL_FLUSH_RQ,
            ZCRX_CTRL_EXPORT, __ZCRX_CTRL_LAST, IO_URING_BPF_FILTER_DENY_REST,
            IO_URING_BPF_FILTER_SZ_STRICT, IO_URING_BPF_CMD_FILTER, IO_URING_QUERY_OPCODES,
            IO_URING_QUERY_ZCRX, IO_URING_QUERY_SCQ, __IO_URING_QUERY_MAX,

            // Not in the table, see `coverage::BEYOND_THE_TABLE`.
            IORING_NOP_FILE, IORING_NOP_FIXED_FILE, IORING_NOP_FIXED_BUFFER, IORING_NOP_TW,
            IO_URING_NAPI_REGISTER_OP, IO_URING_NAPI_STATIC_ADD_ID, IO_URING_NAPI_STATIC_DEL_ID,
            IO_URING_NAPI_TRACKING_DYNAMIC, IO_URING_NAPI_TRACKING_STATIC,
            IO_URING_NAPI_TRACKING_INACTIVE,
        }
    };
}

/// Gives the structs that `linux-raw-sys` has too to a macro, with what are fields there as well.
macro_rules! for_structs_of_linux_raw_sys {
    ($macro:ident) => {
        $macro! {
            io_uring_sqe { opcode, flags, ioprio, fd, len, user_data, personality }
            io_uring_attr_pi { flags, app_tag, len, addr, seed, rsvd }
            io_uring_cqe { user_data, res, flags }
            io_sqring_offsets {
                head, tail, ring_mask, ring_entries, flags, dropped, array, resv1, user_addr
            }
            io_cqring_offsets {
                head, tail, ring_mask, ring_entries, overflow, cqes, flags, resv1, user_addr
            }
            io_uring_params {
                sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, wq_fd, resv,
                sq_off, cq_off
            }
            io_uring_files_update { offset, resv, fds }
            io_uring_region_desc { user_addr, size, flags, id, mmap_offset, __resv }
            io_uring_mem_region_reg { region_uptr, flags, __resv }
            io_uring_rsrc_register { nr, flags, resv2, data, tags }
            io_uring_rsrc_update { offset, resv, data }
            io_uring_rsrc_update2 { offset, resv, data, tags, nr, resv2 }
            io_uring_probe_op { op, resv, flags, resv2 }
            io_uring_probe { last_op, ops_len, resv, resv2 }
            io_uring_restriction { opcode, resv, resv2 }
            io_uring_clock_register { clockid, __resv }
            io_uring_clone_buffers { src_fd, flags, src_off, dst_off, nr, pad }
            io_uring_buf { addr, len, bid, resv }
            io_uring_buf_ring {  }
            io_uring_buf_reg { ring_addr, ring_entries, bgid, flags, resv }
            io_uring_buf_status { buf_group, head, resv }
            io_uring_napi { busy_poll_to, prefer_busy_poll, pad, resv }
            io_uring_reg_wait { ts, min_wait_usec, flags, sigmask, sigmask_sz, pad, pad2 }
            io_uring_getevents_arg { sigmask, sigmask_sz, min_wait_usec, ts }
            io_uring_sync_cancel_reg { addr, fd, flags, timeout, opcode, pad, pad2 }
            io_uring_file_index_range { off, len, resv }
            io_uring_recvmsg_out { namelen, controllen, payloadlen, flags }
            io_timespec { tv_sec, tv_nsec }
            io_uring_zcrx_rqe { off, len, __pad }
            io_uring_zcrx_cqe { off, __pad }
            io_uring_zcrx_offsets { head, tail, rqes, __resv2, __resv }
            io_uring_zcrx_area_reg { addr, len, rq_area_token, flags, dmabuf_fd, __resv2 }
            io_uring_zcrx_ifq_reg {
                if_idx, if_rxq, rq_entries, flags, area_ptr, region_ptr, offsets, zcrx_id, __resv
            }
        }
    };
}

/// Gives the fields of these structs that `linux-raw-sys` lacks, or has inside unions only.
macro_rules! for_newer_fields {
    ($macro:ident) => {
        $macro! {
            io_uring_sqe { off, addr, op_flags, buf_index, file_index, addr3, __pad2 }
            io_uring_restriction { register_op }
            io_uring_buf_ring { resv1, resv2, resv3, tail }
            io_uring_buf_reg { min_left }
            io_uring_zcrx_ifq_reg { rx_buf_len }
        }
    };
}

/// Gives the structs that `linux-raw-sys` lacks to a macro.
macro_rules! for_newer_structs {
    ($macro:ident) => {
        $macro! {
            io_uring_task_restriction { flags, nr_res, resv }
            zcrx_ctrl_flush_rq { __resv }
            zcrx_ctrl_export { zcrx_fd, __resv1 }
            zcrx_ctrl { zcrx_id, op, __resv, zc_export }
            io_uring_bpf_ctx { user_data, opcode, sqe_flags, pdu_size, pad, pdu }
            io_uring_bpf_filter { opcode, flags, filter_len, pdu_size, resv, filter_ptr, resv2 }
            io_uring_bpf { cmd_type, cmd_flags, resv, filter }
            io_uring_query_hdr { next_entry, query_data, query_op, size, result, __resv }
            io_uring_query_opcode {
                nr_request_opcodes, nr_register_opcodes, feature_flags, ring_setup_flags,
                enter_flags, sqe_flags, nr_query_opcodes, __pad
            }
            io_uring_query_zcrx {
                register_flags, area_flags, nr_ctrl_opcodes, features, rq_hdr_size,
                rq_hdr_alignment, __resv2
            }
            io_uring_query_scq { hdr_size, hdr_alignment }
        }
    };
}

pub(crate) use {
    for_all_constants, for_newer_fields, for_newer_structs, for_structs_of_linux_raw_sys,
};
