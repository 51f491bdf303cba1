//! Runs each program as a user would.

mod cat;
mod check;
mod echo;
mod errors;
mod load;
mod util;
