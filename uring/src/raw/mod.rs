//! The raw door: two queues shared with the kernel, and the calls that move them.
//!
//! Files: `fd` the descriptor and its registration, `map` the mapped memory, `sq` and `cq` the two
//! queues, `gate` the way into the kernel, `ring` what joins them, `split` the same as three
//! handles.

mod cq;
mod fd;
mod gate;
mod map;
mod ring;
mod split;
mod sq;

pub use cq::Completions;
pub use ring::RawRing;
pub use split::{CompletionQueue, SubmissionQueue, Submitter};
pub use sq::PushError;

pub(crate) use fd::RingFd;
pub(crate) use gate::timespec;
pub(crate) use map::Map;
