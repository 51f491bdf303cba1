//! The tests of event loops, against the running kernel.

#[macro_use]
mod util;

mod build;
mod callbacks;
mod cancel;
mod commands;
mod deadlines;
mod loops;
mod overflow;
mod panics;
mod quiet;
mod room;
mod shutdown;
mod sources;
mod tasks;
mod timers;
