//! The raw door: two queues shared with the kernel, and the calls that move them.
//!
//! `fd` is the descriptor and its registration, `sq` and `cq` are the two queues and `cursors`
//! where we are in them, `enter` decides how to enter the kernel and `gate` does it, `ring` joins
//! them all, `split` is the same as three handles.

pub(crate) mod cq;
mod cursors;
pub(crate) mod enter;
pub(crate) mod fd;
pub(crate) mod gate;
pub(crate) mod ring;
pub(crate) mod split;
pub(crate) mod sq;
