//! Benchmarks of the uring crates, and the side-by-side runs against their peers.
//!
//! What is here is shared by the criterion benchmarks and by the programs that `nop/run` measures:
//!
//! - [`nop`]: the same loop of nops through each door, ours and the crate `io-uring`'s.
//! - [`criterion()`]: how long a benchmark takes.

pub mod nop;
mod settings;

pub use settings::criterion;
