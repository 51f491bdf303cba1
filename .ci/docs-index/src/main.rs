//! Looks into the search index that rustdoc has written whether each C name leads where it should.
//!
//! `docs-index DOC_FOLDER NAMES_FILE [CRATE_FOLDER...]` reads `DOC_FOLDER/search.index`, which
//! `cargo doc` wrote. Each line of `NAMES_FILE` is a name that a reader may search for, and the
//! path of the item that has to come first in the search of that crate. Each alias that stands in
//! the sources of the crates has to be found too.
//!
//! Files: `stringdex` and `json` the formats, `index` what they hold, `search` the order of hits,
//! `check` what is wrong.

mod check;
mod index;
mod json;
mod search;
mod stringdex;
#[cfg(test)]
mod tests;

use std::{env, path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let args: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [doc, names, crates @ ..] = args.as_slice() else {
        eprintln!("usage: docs-index DOC_FOLDER NAMES_FILE [CRATE_FOLDER...]");
        return ExitCode::from(2);
    };
    match check::run(doc, names, crates) {
        Ok(report) if report.faults.is_empty() => {
            println!("{}", report.summary);
            ExitCode::SUCCESS
        }
        Ok(report) => {
            for fault in &report.faults {
                println!("{fault}");
            }
            eprintln!("{} places where the search of the docs is wrong", report.faults.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
