//! The commands. One file for each group; here are their words.
//!
//! Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 the
//! thing asked about is wrong, 2 the command line is wrong, 3 boathook or Docker cannot be reached.

mod check;
mod logging;
mod schema;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::daemon;
use check::Listing;
use logging::LogFormat;
use schema::Of;

/// Where the configuration is looked for when none is named, in this order.
const CONFIG_PATHS: [&str; 2] = ["/etc/boathook/config.yaml", "./config.yaml"];

/// The exit code for "the thing asked about is wrong".
const WRONG: u8 = 1;

/// Runs your scripts at every point of a Docker container's life, and never forgets to clean up.
#[derive(Debug, Parser)]
#[command(name = "boathook", version, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
struct Common {
    /// The configuration [default: /etc/boathook/config.yaml, then ./config.yaml]
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write results as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Say less; twice for errors only
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    quiet: u8,
    /// Say more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon: serve the plugin socket, follow Docker's events, run hooks
    ///
    /// SIGTERM ends it after hooks that run have had their `drain`; SIGHUP loads the configuration anew.
    Run {
        /// How log lines are written to standard error
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        log_format: LogFormat,
    },
    /// Check the configuration and its drop-ins, and show what they say or every mistake in them
    Check {
        /// With --json and no mistake: the hooks and their files, rather than an empty array
        #[arg(long, requires = "json")]
        hooks: bool,
    },
    /// Print a JSON Schema, for editors and for those who write scripts
    ///
    /// An editor uses it for a file that begins with `# yaml-language-server: $schema=PATH`.
    Schema {
        /// Of what
        #[arg(value_enum, default_value_t)]
        of: Of,
    },
}

/// Does what the command line says.
pub fn run(cli: &Cli) -> ExitCode {
    let config = cli.common.config();
    match &cli.command {
        Command::Run { log_format } => {
            logging::start(*log_format, cli.common.quiet, cli.common.verbose);
            match daemon::run(&config) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&error),
            }
        }
        Command::Check { hooks } => {
            let listing = if *hooks { Listing::Hooks } else { Listing::Mistakes };
            check::check(&config, cli.common.json, listing)
        }
        Command::Schema { of } => schema::print(*of),
    }
}

impl Common {
    fn config(&self) -> PathBuf {
        let default = || {
            let found = CONFIG_PATHS.into_iter().find(|it| Path::new(it).exists());
            PathBuf::from(found.unwrap_or(CONFIG_PATHS[0]))
        };
        self.config.clone().unwrap_or_else(default)
    }
}

/// Prints an error and its causes, once and in one line.
fn fail(error: &dyn std::error::Error) -> ExitCode {
    let mut line = format!("error: {error}");
    let mut cause = error.source();
    while let Some(it) = cause {
        line.push_str(&format!(": {it}"));
        cause = it.source();
    }
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(io::stderr(), "{line}");
    ExitCode::from(WRONG)
}
