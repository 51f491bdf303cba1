//! The safe ring: operations that own their operands (`Ring`), or borrow them (`Scope`).
//!
//! `engine` is what both share: one table, one raw ring, one way in and one way out. `chain` links
//! operations, `drain` ends them.

mod chain;
mod drain;
mod engine;
mod event;
mod owned;
mod scope;

pub use crate::table::leaked_operations;
pub use chain::Chain;
pub use engine::Stats;
pub use event::Event;
pub use owned::Ring;
pub use scope::Scope;
