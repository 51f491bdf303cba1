//! Runs each program as a user would.

#[macro_use]
extern crate testing;
#[macro_use]
mod util;
#[macro_use]
mod twin;

mod cat;
mod cat_waits;
mod check;
mod echo;
mod errors;
mod load;
mod terminal;
