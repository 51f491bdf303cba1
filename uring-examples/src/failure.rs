//! Why a program fails, in words.

use std::{error::Error, fmt, io};

use crate::advice::{advice, refusal};

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
