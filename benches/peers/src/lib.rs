//! Echo servers of other stacks, and the runner that measures them beside ours.
//!
//! The servers are `src/bin/*.rs` and `c/*.c`, the runner is the binary `side_by_side`. What each
//! column of its table means, and what makes a cell void, is in `README.md`.

pub mod chart;
pub mod check;
pub mod grid;
pub mod host;
pub mod report;
pub mod run;
pub mod servers;
pub mod startup;
pub mod stats;
