//! Benchmarks of the uring crates, and the side-by-side runs against their peers.
