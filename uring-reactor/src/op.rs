//! What a loop submits.

use std::{os::fd::OwnedFd, sync::Arc};

use uring::{AnyOperation, Payload, op};

use crate::fd::Fd;

uring::operations! {
    /// The operations of a loop: those of sources by name, so that they need no allocation, and any
    /// other boxed.
    pub enum LoopOp, LoopItem, LoopOutput {
        Accept(op::AcceptMulti<Fd>),
        Connect(op::Connect<Fd>),
        Recv(op::Recv<Fd, Vec<u8>>),
        RecvMulti(op::RecvMulti<Fd>),
        Send(op::Send<Fd, Payload>),
        Shutdown(op::Shutdown<Fd>),
        Close(op::Close),
        Bell(op::Read<Arc<OwnedFd>, [u8; 8]>),
        Any(AnyOperation<'static>),
    }
}
