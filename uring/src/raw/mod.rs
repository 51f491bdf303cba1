//! The raw door: two queues shared with the kernel, and the calls that move them.
//!
//! Files: `fd` the descriptor and its registration, `map` the mapped memory, `sq` and `cq` the two
//! queues, `ring` what joins them.

mod cq;
mod fd;
mod map;
mod ring;
mod sq;

pub use cq::Completions;
pub use ring::RawRing;
pub use sq::PushError;

pub(crate) use fd::RingFd;
pub(crate) use map::Map;
pub(crate) use ring::timespec;
