//! How a command says that it failed.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// The exit code for "the thing asked about is wrong".
pub(super) const WRONG: u8 = 1;

/// The exit code for "the command line is wrong".
pub(super) const USAGE: u8 = 2;

/// The exit code for "boathook or Docker cannot be reached".
pub(super) const UNREACHABLE: u8 = 3;

/// What helps against an error.
pub(super) trait Fix: Error {
    /// What to do about it, where that is not said already.
    fn fix(&self) -> Option<String>;
}

/// Prints an error and its causes, once and in one line.
pub(super) fn fail(error: &dyn Error) -> ExitCode {
    say(&chain(error));
    ExitCode::from(WRONG)
}

/// Prints an error and its causes, then what helps.
pub(super) fn fail_with(code: u8, error: &impl Fix) -> ExitCode {
    complain(error);
    ExitCode::from(code)
}

/// As [`fail_with`], where more is wrong.
pub(super) fn complain(error: &impl Fix) {
    let help = error.fix().map_or_else(String::new, |it| format!("\nhelp: {it}"));
    say(&format!("{}{help}", chain(error)));
}

fn chain(error: &dyn Error) -> String {
    let mut line = format!("error: {error}");
    let mut cause = error.source();
    while let Some(it) = cause {
        line.push_str(&format!(": {it}"));
        cause = it.source();
    }
    line
}

/// Prints a remark, on standard error: it is no part of the result.
pub(super) fn remark(text: &str) {
    say(text);
}

fn say(text: &str) {
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(io::stderr(), "{text}");
}
