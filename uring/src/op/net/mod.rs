//! Sockets.

mod accept;
mod accept_from;
mod accept_multi;
mod addr;
mod connect;
mod flags;
mod recv;
mod recv_multi;
mod send;
mod shutdown;

#[doc(alias("IORING_OP_ACCEPT", "io_uring_prep_accept"))]
pub use accept::Accept;
#[doc(alias("IORING_OP_ACCEPT", "io_uring_prep_accept"))]
pub use accept_from::AcceptFrom;
#[doc(alias("IORING_OP_ACCEPT", "IORING_ACCEPT_MULTISHOT", "io_uring_prep_multishot_accept"))]
pub use accept_multi::AcceptMulti;
#[doc(alias("IORING_OP_CONNECT", "io_uring_prep_connect"))]
pub use connect::Connect;
pub use flags::MsgFlags;
#[doc(alias("IORING_OP_RECV", "io_uring_prep_recv"))]
pub use recv::Recv;
#[doc(alias("IORING_OP_RECV", "IORING_RECV_MULTISHOT", "io_uring_prep_recv_multishot"))]
pub use recv_multi::RecvMulti;
#[doc(alias("IORING_OP_SEND", "io_uring_prep_send"))]
pub use send::Send;
#[doc(alias("IORING_OP_SHUTDOWN", "io_uring_prep_shutdown"))]
pub use shutdown::Shutdown;
