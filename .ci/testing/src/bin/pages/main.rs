//! The check of the pages for contributors: `pages`, in the repository's top folder.
//!
//! What ARCHITECTURE.md and CONTRIBUTING.md say is held against what is there:
//!
//! 1. A path in backticks exists; `<family>` in it stands for any name. A name in backticks, such
//!    as `one_shot!` or `Ring::submit`, is a word of the sources or scripts. Links lead somewhere,
//!    those of all other pages too.
//! 2. Below a heading like `uring/src`, the first cells of tables name modules, and all of them:
//!    one that is missing is a fault. A name that ends in a slash stands for what is in it.
//! 3. A block of code behind `<!-- file: PATH -->` is that file; behind `<!-- part of: PATH -->` it
//!    is lines of it that follow each other.
//! 4. The steps that follow `.ci/run` in backticks are steps of the gate.
//! 5. Each operation of `uring::op` is named by a test: the step that is forgotten first.

use std::{collections::BTreeMap, fs, io, path::Path, process::ExitCode};

mod check;
mod markdown;
#[cfg(test)]
mod tests;

/// All text of the repository, by path.
type Sources = BTreeMap<String, String>;

/// Reads all files below a folder, but for what is built and what git keeps.
fn read(folder: &Path, sources: &mut Sources) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && name != ".git" {
                read(&path, sources)?;
            }
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(".").unwrap_or(&path).to_string_lossy().into_owned();
            sources.insert(path, text);
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let mut sources = Sources::new();
    if let Err(error) = read(Path::new("."), &mut sources) {
        eprintln!("pages: {error}");
        return ExitCode::FAILURE;
    }
    let report = check::run(&sources);
    for fault in &report.faults {
        println!("{fault}");
    }
    if report.faults.is_empty() {
        println!("{}", report.summary);
        ExitCode::SUCCESS
    } else {
        eprintln!("{} places where the pages for contributors are wrong", report.faults.len());
        ExitCode::FAILURE
    }
}
