//! The check of the modules: `modules FOLDER...`, a folder for each crate, with `src/lib.rs` in it.
//!
//! 1. No modules import each other in a circle, also not through names that others hand on. What is
//!    inside of each other is one thing: a parent and its children may.
//! 2. Imports name the module that defines a thing. A module's `pub use` is for those outside of
//!    it: `crate::Ring` inside of the crate, where `lib.rs` has `pub use ring::Ring`, hides that
//!    this imports `crate::ring::Ring`.
//!
//! Tests, comments and the bodies of `macro_rules!` are left out. `.ci/modules.ratchet` lists the
//! crates that are not yet clean; it may only shrink.

use std::{env, fs, path::Path, process::ExitCode};

mod check;
mod lex;
mod parse;
mod resolve;

#[cfg(test)]
mod tests;

const RATCHET: &str = ".ci/modules.ratchet";

/// What is wrong in each crate, but for what the list allows, and what is wrong with the list.
fn run(folders: &[String]) -> Result<Vec<String>, String> {
    let list = fs::read_to_string(RATCHET).map_err(|error| format!("{RATCHET}: {error}"))?;
    let mut allowed: Vec<_> = list
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    let mut wrong = Vec::new();
    let mut count = 0;
    for folder in folders {
        let read = |file: &str| fs::read_to_string(Path::new(folder).join("src").join(file)).ok();
        let modules = parse::modules(&format!("{folder}/src"), &read)?;
        count += modules.len();
        let mut findings =
            [("circle", check::circles(&modules)), ("import", check::imports(&modules))];
        for (rule, found) in &mut findings {
            let line = format!("{folder} {rule}");
            if let Some(place) = allowed.iter().position(|known| *known == line) {
                allowed.swap_remove(place);
                if found.is_empty() {
                    wrong.push(format!("{RATCHET}:1: good: take `{line}` out"));
                } else {
                    println!(
                        "{line}: {} known places, shown once its line is taken out of {RATCHET}",
                        found.len()
                    );
                }
            } else {
                wrong.append(found);
            }
        }
    }
    wrong.extend(allowed.iter().map(|line| format!("{RATCHET}:1: `{line}` is no crate and rule")));
    println!("{} crates, {count} modules", folders.len());
    Ok(wrong)
}

fn main() -> ExitCode {
    let folders: Vec<_> = env::args().skip(1).collect();
    if folders.is_empty() {
        eprintln!("usage: modules FOLDER..., in the repository's top folder");
        return ExitCode::from(2);
    }
    match run(&folders) {
        Ok(wrong) if wrong.is_empty() => ExitCode::SUCCESS,
        Ok(wrong) => {
            for line in &wrong {
                println!("{line}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("modules: {error}");
            ExitCode::FAILURE
        }
    }
}
