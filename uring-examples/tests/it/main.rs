//! Runs each program as a user would.

#[macro_use]
extern crate testing;
#[macro_use]
mod util;

mod cat;
mod check;
mod echo;
mod errors;
mod load;
