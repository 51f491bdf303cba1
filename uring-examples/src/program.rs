//! How a program starts and ends: what every one answers, one line on standard error if it failed,
//! and an exit code that scripts can tell apart.

use std::process::ExitCode;

use crate::{
    args::Args,
    failure::Failure,
    output::{print_error, print_result},
};

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
