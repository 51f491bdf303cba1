//! What a submission entry can ask for, and the flags that single operations take.
//!
//! Flags of sockets and of messages between rings are in `msg`.

/// Does nothing, and completes with 0. For tests and benchmarks. Since Linux 5.1.
pub const IORING_OP_NOP: u8 = 0;
/// `preadv2(2)`: reads into several buffers. Since Linux 5.1.
pub const IORING_OP_READV: u8 = 1;
/// `pwritev2(2)`: writes from several buffers. Since Linux 5.1.
pub const IORING_OP_WRITEV: u8 = 2;
/// `fsync(2)`, or `fdatasync(2)` with [`IORING_FSYNC_DATASYNC`]. Since Linux 5.1.
pub const IORING_OP_FSYNC: u8 = 3;
/// Reads into a part of a registered buffer. Since Linux 5.1.
pub const IORING_OP_READ_FIXED: u8 = 4;
/// Writes from a part of a registered buffer. Since Linux 5.1.
pub const IORING_OP_WRITE_FIXED: u8 = 5;
/// Waits for readiness, as `poll(2)`: once, or again and again with [`IORING_POLL_ADD_MULTI`].
/// Since Linux 5.1.
pub const IORING_OP_POLL_ADD: u8 = 6;
/// Ends a poll, or changes it with [`IORING_POLL_UPDATE_EVENTS`]. Since Linux 5.1.
pub const IORING_OP_POLL_REMOVE: u8 = 7;
/// `sync_file_range(2)`. Since Linux 5.2.
pub const IORING_OP_SYNC_FILE_RANGE: u8 = 8;
/// `sendmsg(2)`. Since Linux 5.3.
pub const IORING_OP_SENDMSG: u8 = 9;
/// `recvmsg(2)`; with [`IORING_RECV_MULTISHOT`](crate::IORING_RECV_MULTISHOT) for each message.
/// Since Linux 5.3.
pub const IORING_OP_RECVMSG: u8 = 10;
/// Completes after a time, or after a number of other completions. Since Linux 5.4.
pub const IORING_OP_TIMEOUT: u8 = 11;
/// Ends a timeout, or changes it with [`IORING_TIMEOUT_UPDATE`]. Since Linux 5.5.
pub const IORING_OP_TIMEOUT_REMOVE: u8 = 12;
/// `accept4(2)`; with [`IORING_ACCEPT_MULTISHOT`](crate::IORING_ACCEPT_MULTISHOT) for each
/// connection. Since Linux 5.5.
pub const IORING_OP_ACCEPT: u8 = 13;
/// Cancels other operations: those that `IORING_ASYNC_CANCEL_*` select. Since Linux 5.5.
pub const IORING_OP_ASYNC_CANCEL: u8 = 14;
/// Cancels the operation it is linked to, if that takes longer than a time. Since Linux 5.5.
pub const IORING_OP_LINK_TIMEOUT: u8 = 15;
/// `connect(2)`. Since Linux 5.5.
pub const IORING_OP_CONNECT: u8 = 16;
/// `fallocate(2)`. Since Linux 5.6.
pub const IORING_OP_FALLOCATE: u8 = 17;
/// `openat(2)`. Since Linux 5.6.
pub const IORING_OP_OPENAT: u8 = 18;
/// `close(2)`, or empties a slot of the registered files. Since Linux 5.6.
pub const IORING_OP_CLOSE: u8 = 19;
/// Replaces registered files, or puts them into free slots. Since Linux 5.6.
pub const IORING_OP_FILES_UPDATE: u8 = 20;
/// `statx(2)`. Since Linux 5.6.
pub const IORING_OP_STATX: u8 = 21;
/// `pread(2)`, or `read(2)` at the file's own position. Since Linux 5.6.
pub const IORING_OP_READ: u8 = 22;
/// `pwrite(2)`, or `write(2)` at the file's own position. Since Linux 5.6.
pub const IORING_OP_WRITE: u8 = 23;
/// `posix_fadvise(2)`. Since Linux 5.6.
pub const IORING_OP_FADVISE: u8 = 24;
/// `madvise(2)`. Since Linux 5.6.
pub const IORING_OP_MADVISE: u8 = 25;
/// `send(2)`, or `sendto(2)` with an address. Since Linux 5.6.
pub const IORING_OP_SEND: u8 = 26;
/// `recv(2)`; with [`IORING_RECV_MULTISHOT`](crate::IORING_RECV_MULTISHOT) for all that arrives.
/// Since Linux 5.6.
pub const IORING_OP_RECV: u8 = 27;
/// `openat2(2)`. Since Linux 5.6.
pub const IORING_OP_OPENAT2: u8 = 28;
/// `epoll_ctl(2)`. Since Linux 5.6.
pub const IORING_OP_EPOLL_CTL: u8 = 29;
/// `splice(2)`. Since Linux 5.7.
pub const IORING_OP_SPLICE: u8 = 30;
/// Gives buffers to a group, one call for each batch: the way before buffer rings. Since Linux 5.7.
pub const IORING_OP_PROVIDE_BUFFERS: u8 = 31;
/// Takes back buffers that [`IORING_OP_PROVIDE_BUFFERS`] gave. Since Linux 5.7.
pub const IORING_OP_REMOVE_BUFFERS: u8 = 32;
/// `tee(2)`. Since Linux 5.8.
pub const IORING_OP_TEE: u8 = 33;
/// `shutdown(2)`. Since Linux 5.11.
pub const IORING_OP_SHUTDOWN: u8 = 34;
/// `renameat2(2)`. Since Linux 5.11.
pub const IORING_OP_RENAMEAT: u8 = 35;
/// `unlinkat(2)`. Since Linux 5.11.
pub const IORING_OP_UNLINKAT: u8 = 36;
/// `mkdirat(2)`. Since Linux 5.15.
pub const IORING_OP_MKDIRAT: u8 = 37;
/// `symlinkat(2)`. Since Linux 5.15.
pub const IORING_OP_SYMLINKAT: u8 = 38;
/// `linkat(2)`. Since Linux 5.15.
pub const IORING_OP_LINKAT: u8 = 39;
/// Posts a completion on another ring, or passes it a registered file. Since Linux 5.18.
pub const IORING_OP_MSG_RING: u8 = 40;
/// `fsetxattr(2)`. Since Linux 5.19.
pub const IORING_OP_FSETXATTR: u8 = 41;
/// `setxattr(2)`. Since Linux 5.19.
pub const IORING_OP_SETXATTR: u8 = 42;
/// `fgetxattr(2)`. Since Linux 5.19.
pub const IORING_OP_FGETXATTR: u8 = 43;
/// `getxattr(2)`. Since Linux 5.19.
pub const IORING_OP_GETXATTR: u8 = 44;
/// `socket(2)`. Since Linux 5.19.
pub const IORING_OP_SOCKET: u8 = 45;
/// A command of the file's own driver, such as `SOCKET_URING_OP_*`. Since Linux 5.19.
pub const IORING_OP_URING_CMD: u8 = 46;
/// Sends without copying; a second completion says when the buffer is free. Since Linux 6.0.
pub const IORING_OP_SEND_ZC: u8 = 47;
/// `sendmsg(2)` without copying, see [`IORING_OP_SEND_ZC`]. Since Linux 6.1.
pub const IORING_OP_SENDMSG_ZC: u8 = 48;
/// Reads whenever there is something to read, into provided buffers. Since Linux 6.7.
pub const IORING_OP_READ_MULTISHOT: u8 = 49;
/// `waitid(2)`. Since Linux 6.7.
pub const IORING_OP_WAITID: u8 = 50;
/// `futex_wait(2)`. Since Linux 6.7.
pub const IORING_OP_FUTEX_WAIT: u8 = 51;
/// `futex_wake(2)`. Since Linux 6.7.
pub const IORING_OP_FUTEX_WAKE: u8 = 52;
/// `futex_waitv(2)`: waits for the first of several futexes. Since Linux 6.7.
pub const IORING_OP_FUTEX_WAITV: u8 = 53;
/// Makes a normal descriptor of a registered file. Since Linux 6.8.
pub const IORING_OP_FIXED_FD_INSTALL: u8 = 54;
/// `ftruncate(2)`. Since Linux 6.9.
pub const IORING_OP_FTRUNCATE: u8 = 55;
/// `bind(2)`. Since Linux 6.11.
pub const IORING_OP_BIND: u8 = 56;
/// `listen(2)`. Since Linux 6.11.
pub const IORING_OP_LISTEN: u8 = 57;
/// Receives into memory that the network card writes, without a copy. Since Linux 6.15.
pub const IORING_OP_RECV_ZC: u8 = 58;
/// `epoll_wait(2)`, without its timeout. Since Linux 6.15.
pub const IORING_OP_EPOLL_WAIT: u8 = 59;
/// Reads into several parts of a registered buffer. Since Linux 6.15.
pub const IORING_OP_READV_FIXED: u8 = 60;
/// Writes from several parts of a registered buffer. Since Linux 6.15.
pub const IORING_OP_WRITEV_FIXED: u8 = 61;
/// `pipe2(2)`. Since Linux 6.16.
pub const IORING_OP_PIPE: u8 = 62;
/// [`IORING_OP_NOP`] in an entry of 128 bytes, for rings that mix sizes. Since Linux 6.19.
pub const IORING_OP_NOP128: u8 = 63;
/// [`IORING_OP_URING_CMD`] in an entry of 128 bytes, for rings that mix sizes. Since Linux 6.19.
pub const IORING_OP_URING_CMD128: u8 = 64;
/// One more than the last opcode of this header. A kernel may know fewer or more: ask it with
/// [`IORING_REGISTER_PROBE`](crate::IORING_REGISTER_PROBE).
pub const IORING_OP_LAST: u8 = 65;

// ---- `op_flags` of IORING_OP_NOP

/// The no-op completes with `len` as its result. Since Linux 6.10.
pub const IORING_NOP_INJECT_RESULT: u32 = 1 << 0;
/// The no-op looks up the file `fd`, and fails if there is none. Since Linux 6.13.
pub const IORING_NOP_FILE: u32 = 1 << 1;
/// That file is an index in the registered files. Since Linux 6.13.
pub const IORING_NOP_FIXED_FILE: u32 = 1 << 2;
/// The no-op looks up the registered buffer `buf_index`, and fails if there is none.
/// Since Linux 6.13.
pub const IORING_NOP_FIXED_BUFFER: u32 = 1 << 3;
/// The no-op completes from task work, as an operation that had to wait. Since Linux 6.16.
pub const IORING_NOP_TW: u32 = 1 << 4;
/// The no-op posts a completion of 32 bytes, with `off` and `addr` as its extra words, on a ring
/// that has such. Since Linux 6.18.
pub const IORING_NOP_CQE32: u32 = 1 << 5;

// ---- `op_flags` of IORING_OP_FSYNC

/// Syncs the data, and of the metadata only what reading it needs. Since Linux 5.1.
pub const IORING_FSYNC_DATASYNC: u32 = 1 << 0;

// ---- `len` of IORING_OP_POLL_ADD and IORING_OP_POLL_REMOVE: the events have taken `op_flags`

/// The poll completes again each time, with [`IORING_CQE_F_MORE`](crate::IORING_CQE_F_MORE) until
/// it ends. Since Linux 5.13.
pub const IORING_POLL_ADD_MULTI: u32 = 1 << 0;
/// Changes the events of the poll that `addr` names by its `user_data`. Since Linux 5.13.
pub const IORING_POLL_UPDATE_EVENTS: u32 = 1 << 1;
/// Changes the `user_data` of the poll that `addr` names, to `off`. Since Linux 5.13.
pub const IORING_POLL_UPDATE_USER_DATA: u32 = 1 << 2;
/// Reports as long as the descriptor is ready, not only when it becomes so. Since Linux 6.0.
pub const IORING_POLL_ADD_LEVEL: u32 = 1 << 3;

// ---- `op_flags` of IORING_OP_TIMEOUT, IORING_OP_TIMEOUT_REMOVE and IORING_OP_LINK_TIMEOUT

/// The time is a point on the clock, not a duration. Since Linux 5.5.
pub const IORING_TIMEOUT_ABS: u32 = 1 << 0;
/// [`IORING_OP_TIMEOUT_REMOVE`] changes the timeout instead of ending it. Since Linux 5.11.
pub const IORING_TIMEOUT_UPDATE: u32 = 1 << 1;
/// The clock is `CLOCK_BOOTTIME`, instead of `CLOCK_MONOTONIC`. Since Linux 5.15.
pub const IORING_TIMEOUT_BOOTTIME: u32 = 1 << 2;
/// The clock is `CLOCK_REALTIME`, instead of `CLOCK_MONOTONIC`. Since Linux 5.15.
pub const IORING_TIMEOUT_REALTIME: u32 = 1 << 3;
/// [`IORING_OP_TIMEOUT_REMOVE`] changes a linked timeout instead of ending it. Since Linux 5.15.
pub const IORING_LINK_TIMEOUT_UPDATE: u32 = 1 << 4;
/// That the time is over counts as success, so that a link goes on; `res` is `-ETIME` as ever.
/// Since Linux 5.16.
pub const IORING_TIMEOUT_ETIME_SUCCESS: u32 = 1 << 5;
/// The timeout completes again each time, as often as `off` says, or forever if that is 0.
/// Since Linux 6.4.
pub const IORING_TIMEOUT_MULTISHOT: u32 = 1 << 6;
/// `addr` is the time itself in nanoseconds, not the address of a
/// [`__kernel_timespec`](crate::__kernel_timespec). Since Linux 7.1.
pub const IORING_TIMEOUT_IMMEDIATE_ARG: u32 = 1 << 7;
/// The bits that choose a clock; at most one of them is set. Since Linux 5.15.
pub const IORING_TIMEOUT_CLOCK_MASK: u32 = 0xc;
/// The bits that make [`IORING_OP_TIMEOUT_REMOVE`] an update. Since Linux 5.15.
pub const IORING_TIMEOUT_UPDATE_MASK: u32 = 0x12;

// ---- `op_flags` of IORING_OP_SPLICE and IORING_OP_TEE, beside those of `splice(2)`

/// The descriptor to splice from is an index in the registered files. Since Linux 5.7.
pub const SPLICE_F_FD_IN_FIXED: u32 = 1 << 31;

// ---- `op_flags` of IORING_OP_ASYNC_CANCEL, `flags` of `io_uring_sync_cancel_reg`

/// Cancels all that match, not just the first; `res` is their number. Since Linux 5.19.
pub const IORING_ASYNC_CANCEL_ALL: u32 = 1 << 0;
/// Matches by the descriptor instead of `user_data`. Since Linux 5.19.
pub const IORING_ASYNC_CANCEL_FD: u32 = 1 << 1;
/// Matches any operation. Since Linux 5.19.
pub const IORING_ASYNC_CANCEL_ANY: u32 = 1 << 2;
/// The descriptor to match is an index in the registered files. Since Linux 6.0.
pub const IORING_ASYNC_CANCEL_FD_FIXED: u32 = 1 << 3;
/// Matches by `user_data`, in addition to other criteria; alone it is the default.
/// Since Linux 6.6.
pub const IORING_ASYNC_CANCEL_USERDATA: u32 = 1 << 4;
/// Matches by the opcode, which is in `len`. Since Linux 6.6.
pub const IORING_ASYNC_CANCEL_OP: u32 = 1 << 5;

// ---- `op_flags` of IORING_OP_URING_CMD; the upper eight bits are the kernel's

/// The command's buffer is the registered one at `buf_index`. Since Linux 6.1.
pub const IORING_URING_CMD_FIXED: u32 = 1 << 0;
/// The flags of a command that programs may set. Since Linux 6.6.
pub const IORING_URING_CMD_MASK: u32 = 1 << 0;

// ---- `op_flags` of IORING_OP_FIXED_FD_INSTALL

/// The new descriptor stays open across `execve(2)`; without this flag it does not.
/// Since Linux 6.8.
pub const IORING_FIXED_FD_NO_CLOEXEC: u32 = 1 << 0;
