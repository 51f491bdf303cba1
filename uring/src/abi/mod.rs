//! Values of the kernel's interface, typed: what goes into an entry and what comes out of a
//! completion.

pub(crate) mod cast;
pub(crate) mod cqe;
pub(crate) mod opcode;
pub(crate) mod sqe;
pub(crate) mod time;
pub(crate) mod token;
