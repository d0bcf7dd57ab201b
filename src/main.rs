//! Arguments in, exit code out.

use std::process::ExitCode;

use boathook::cli::{self, Cli};
use clap::Parser as _;

fn main() -> ExitCode {
    cli::run(&Cli::parse())
}
