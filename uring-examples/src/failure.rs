//! How a program ends: one line on standard error, and an exit code that scripts can tell apart.

use std::{error::Error, fmt, io, process::ExitCode};

use crate::{Args, advice, print_error, print_result, refusal};

/// Why a program does not go on.
#[derive(Debug)]
pub enum Failure {
    /// The command line makes no sense: exit code 2.
    Usage(String),
    /// It could not do what it was asked for: exit code 1.
    Failed(String),
    /// The same, and the user has been told already.
    Told,
}

impl Failure {
    /// A failure: what was tried, and the error with its causes; or if a ring's system call was
    /// refused, by whom, and what to do.
    pub fn new(tried: impl fmt::Display, error: &(dyn Error + 'static)) -> Self {
        if let Some(refusal) = refusal(error) {
            return Self::Failed(format!("{tried}: {refusal}"));
        }
        let mut text = format!("{tried}: {error}");
        let mut source = error.source();
        while let Some(cause) = source {
            // some errors print their cause themselves
            let cause_text = cause.to_string();
            if !text.ends_with(&cause_text) {
                text = format!("{text}: {cause_text}");
            }
            source = cause.source();
        }
        Self::Failed(text)
    }

    /// As [`new`](Self::new), and what to do about it, if that is known.
    pub fn advised(tried: impl fmt::Display, error: &(dyn Error + 'static)) -> Self {
        match (Self::new(tried, error), advice(error)) {
            (Self::Failed(text), Some(advice)) => Self::Failed(format!("{text}; {advice}")),
            (failure, _) => failure,
        }
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

/// The words for an error, as other programs say them: without its number.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let number = error.raw_os_error().map(|errno| format!(" (os error {errno})"));
    let short = number.and_then(|number| text.strip_suffix(&number).map(str::to_owned));
    short.unwrap_or(text)
}

/// Runs a program: answers `--help` and `--version`, hands the command line to `body`, tells how it
/// failed.
pub fn run(name: &str, help: &str, body: fn(Args) -> Result<(), Failure>) -> ExitCode {
    let args = Args::from_environment();
    let ended = if args.asks_for(&["--help", "-h"]) {
        print_result(help)
    } else if args.asks_for(&["--version"]) {
        let [package, version] = [env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")];
        print_result(&format!("{name} ({package}) {version}\n"))
    } else {
        body(args)
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(text)) => {
            print_error(&format!("{name}: {text}; `{name} --help` says more"));
            ExitCode::from(2)
        }
        Err(Failure::Failed(text)) => {
            print_error(&format!("{name}: {text}"));
            ExitCode::FAILURE
        }
        Err(Failure::Told) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once() {
        let inner = io::Error::other("the disk is full");
        let outer = io::Error::other(inner); // prints its cause itself
        let Failure::Failed(text) = Failure::new("cannot save `x`", &outer) else {
            panic!("a failure")
        };
        assert_eq!(text, "cannot save `x`: the disk is full");
    }
}
