//! Operation codes, and whether the running kernel has them.

use std::fmt;

use uring_sys as sys;

/// What the kernel is asked to do: the `opcode` of a submission queue entry.
///
/// Newer kernels know more codes than this crate: any number is a valid value, and prints as
/// `OpCode(99)` if it has no name here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct OpCode(u8);

impl OpCode {
    /// The code of this number.
    #[must_use]
    pub const fn new(code: u8) -> Self {
        Self(code)
    }

    /// The number of this code.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

macro_rules! opcodes {
    ($($name:ident = $value:ident $alias:literal, $since:literal;)*) => {
        impl OpCode {
            $(
                #[doc = concat!("`", $alias, "`. Since Linux ", $since, ".")]
                #[doc(alias = $alias)]
                pub const $name: Self = Self(sys::$value);
            )*

            /// The name of this code, without the prefix; `None` if this crate does not know it.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            /// The first kernel with this code, such as `5.19`; `None` if this crate does not know
            /// it.
            #[must_use]
            pub const fn since(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($since),)*
                    _ => None,
                }
            }
        }
    };
}

opcodes! {
    NOP = IORING_OP_NOP "IORING_OP_NOP", "5.1";
    READV = IORING_OP_READV "IORING_OP_READV", "5.1";
    WRITEV = IORING_OP_WRITEV "IORING_OP_WRITEV", "5.1";
    FSYNC = IORING_OP_FSYNC "IORING_OP_FSYNC", "5.1";
    READ_FIXED = IORING_OP_READ_FIXED "IORING_OP_READ_FIXED", "5.1";
    WRITE_FIXED = IORING_OP_WRITE_FIXED "IORING_OP_WRITE_FIXED", "5.1";
    POLL_ADD = IORING_OP_POLL_ADD "IORING_OP_POLL_ADD", "5.1";
    POLL_REMOVE = IORING_OP_POLL_REMOVE "IORING_OP_POLL_REMOVE", "5.1";
    SYNC_FILE_RANGE = IORING_OP_SYNC_FILE_RANGE "IORING_OP_SYNC_FILE_RANGE", "5.2";
    SENDMSG = IORING_OP_SENDMSG "IORING_OP_SENDMSG", "5.3";
    RECVMSG = IORING_OP_RECVMSG "IORING_OP_RECVMSG", "5.3";
    TIMEOUT = IORING_OP_TIMEOUT "IORING_OP_TIMEOUT", "5.4";
    TIMEOUT_REMOVE = IORING_OP_TIMEOUT_REMOVE "IORING_OP_TIMEOUT_REMOVE", "5.5";
    ACCEPT = IORING_OP_ACCEPT "IORING_OP_ACCEPT", "5.5";
    ASYNC_CANCEL = IORING_OP_ASYNC_CANCEL "IORING_OP_ASYNC_CANCEL", "5.5";
    LINK_TIMEOUT = IORING_OP_LINK_TIMEOUT "IORING_OP_LINK_TIMEOUT", "5.5";
    CONNECT = IORING_OP_CONNECT "IORING_OP_CONNECT", "5.5";
    FALLOCATE = IORING_OP_FALLOCATE "IORING_OP_FALLOCATE", "5.6";
    OPENAT = IORING_OP_OPENAT "IORING_OP_OPENAT", "5.6";
    CLOSE = IORING_OP_CLOSE "IORING_OP_CLOSE", "5.6";
    FILES_UPDATE = IORING_OP_FILES_UPDATE "IORING_OP_FILES_UPDATE", "5.6";
    STATX = IORING_OP_STATX "IORING_OP_STATX", "5.6";
    READ = IORING_OP_READ "IORING_OP_READ", "5.6";
    WRITE = IORING_OP_WRITE "IORING_OP_WRITE", "5.6";
    FADVISE = IORING_OP_FADVISE "IORING_OP_FADVISE", "5.6";
    MADVISE = IORING_OP_MADVISE "IORING_OP_MADVISE", "5.6";
    SEND = IORING_OP_SEND "IORING_OP_SEND", "5.6";
    RECV = IORING_OP_RECV "IORING_OP_RECV", "5.6";
    OPENAT2 = IORING_OP_OPENAT2 "IORING_OP_OPENAT2", "5.6";
    EPOLL_CTL = IORING_OP_EPOLL_CTL "IORING_OP_EPOLL_CTL", "5.6";
    SPLICE = IORING_OP_SPLICE "IORING_OP_SPLICE", "5.7";
    PROVIDE_BUFFERS = IORING_OP_PROVIDE_BUFFERS "IORING_OP_PROVIDE_BUFFERS", "5.7";
    REMOVE_BUFFERS = IORING_OP_REMOVE_BUFFERS "IORING_OP_REMOVE_BUFFERS", "5.7";
    TEE = IORING_OP_TEE "IORING_OP_TEE", "5.8";
    SHUTDOWN = IORING_OP_SHUTDOWN "IORING_OP_SHUTDOWN", "5.11";
    RENAMEAT = IORING_OP_RENAMEAT "IORING_OP_RENAMEAT", "5.11";
    UNLINKAT = IORING_OP_UNLINKAT "IORING_OP_UNLINKAT", "5.11";
    MKDIRAT = IORING_OP_MKDIRAT "IORING_OP_MKDIRAT", "5.15";
    SYMLINKAT = IORING_OP_SYMLINKAT "IORING_OP_SYMLINKAT", "5.15";
    LINKAT = IORING_OP_LINKAT "IORING_OP_LINKAT", "5.15";
    MSG_RING = IORING_OP_MSG_RING "IORING_OP_MSG_RING", "5.18";
    FSETXATTR = IORING_OP_FSETXATTR "IORING_OP_FSETXATTR", "5.19";
    SETXATTR = IORING_OP_SETXATTR "IORING_OP_SETXATTR", "5.19";
    FGETXATTR = IORING_OP_FGETXATTR "IORING_OP_FGETXATTR", "5.19";
    GETXATTR = IORING_OP_GETXATTR "IORING_OP_GETXATTR", "5.19";
    SOCKET = IORING_OP_SOCKET "IORING_OP_SOCKET", "5.19";
    URING_CMD = IORING_OP_URING_CMD "IORING_OP_URING_CMD", "5.19";
    SEND_ZC = IORING_OP_SEND_ZC "IORING_OP_SEND_ZC", "6.0";
    SENDMSG_ZC = IORING_OP_SENDMSG_ZC "IORING_OP_SENDMSG_ZC", "6.1";
    READ_MULTISHOT = IORING_OP_READ_MULTISHOT "IORING_OP_READ_MULTISHOT", "6.7";
    WAITID = IORING_OP_WAITID "IORING_OP_WAITID", "6.7";
    FUTEX_WAIT = IORING_OP_FUTEX_WAIT "IORING_OP_FUTEX_WAIT", "6.7";
    FUTEX_WAKE = IORING_OP_FUTEX_WAKE "IORING_OP_FUTEX_WAKE", "6.7";
    FUTEX_WAITV = IORING_OP_FUTEX_WAITV "IORING_OP_FUTEX_WAITV", "6.7";
    FIXED_FD_INSTALL = IORING_OP_FIXED_FD_INSTALL "IORING_OP_FIXED_FD_INSTALL", "6.8";
    FTRUNCATE = IORING_OP_FTRUNCATE "IORING_OP_FTRUNCATE", "6.9";
    BIND = IORING_OP_BIND "IORING_OP_BIND", "6.11";
    LISTEN = IORING_OP_LISTEN "IORING_OP_LISTEN", "6.11";
    RECV_ZC = IORING_OP_RECV_ZC "IORING_OP_RECV_ZC", "6.15";
    EPOLL_WAIT = IORING_OP_EPOLL_WAIT "IORING_OP_EPOLL_WAIT", "6.15";
    READV_FIXED = IORING_OP_READV_FIXED "IORING_OP_READV_FIXED", "6.15";
    WRITEV_FIXED = IORING_OP_WRITEV_FIXED "IORING_OP_WRITEV_FIXED", "6.15";
    PIPE = IORING_OP_PIPE "IORING_OP_PIPE", "6.16";
    NOP128 = IORING_OP_NOP128 "IORING_OP_NOP128", "6.19";
    URING_CMD128 = IORING_OP_URING_CMD128 "IORING_OP_URING_CMD128", "6.19";
}

impl fmt::Debug for OpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "OpCode({})", self.0),
        }
    }
}

impl fmt::Display for OpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_print_their_name_or_their_number() {
        assert_eq!(format!("{:?}", OpCode::new(13)), "ACCEPT"); // 13 in the kernel's enum
        assert_eq!(format!("{}", OpCode::new(64)), "URING_CMD128");
        assert_eq!(format!("{:?}", OpCode::new(250)), "OpCode(250)");
    }
}
