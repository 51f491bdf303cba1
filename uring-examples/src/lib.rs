//! What the programs share: command lines, errors, signals, limits, listening, percentiles.
//!
//! The programs are in `src/bin`; the README says what each shows. Nothing here uses more than the
//! standard library, `libc` and the operations of `uring`.

mod advice;
mod args;
mod failure;
mod files;
mod histogram;
mod limits;
mod net;
mod output;
mod program;
mod signals;

pub use advice::{advice, explained, refusal};
pub use args::Args;
pub use failure::{Failure, reason};
pub use files::{appends, close, in_background};
pub use histogram::Histogram;
pub use limits::{
    cpu_seconds, locked_memory_limit, raise_descriptor_limit, with_locked_memory_limit,
};
pub use net::{connecting_socket, limit_socket_buffers, listen};
pub use output::{print_error, print_line, print_result, unwritten};
pub use program::run;
pub use signals::{NextSignal, Signals, die_of_sigpipe, raise_file_size_signal, signal_name};
