//! The safe ring: operations that own their operands (`Ring`), or borrow them (`Scope`).
//!
//! `table` holds what is in flight; `engine` is what both doors share: one raw ring, one way in and
//! one way out. `chain` links operations, `drain` ends them.

pub(crate) mod chain;
mod drain;
pub(crate) mod engine;
pub(crate) mod error;
pub(crate) mod event;
pub(crate) mod owned;
pub(crate) mod scope;
pub(crate) mod table;
