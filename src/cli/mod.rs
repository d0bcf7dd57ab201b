//! The commands. One file for each group; here are their words.
//!
//! Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 the
//! thing asked about is wrong, 2 the command line is wrong, 3 boathook or Docker cannot be reached.

mod backup;
mod check;
mod debts;
mod failure;
mod forgive;
mod ids;
mod json;
mod logging;
mod one_run;
mod retry;
mod runs;
mod schema;
mod store;
mod table;
mod target;
mod waiting;
mod words;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use fail::FailScenario;

use crate::daemon;
use backup::BackupArgs;
use check::Listing;
use debts::DebtsArgs;
use failure::{fail, remark};
use logging::LogFormat;
use retry::RetryArgs;
use runs::RunsArgs;
use schema::Of;
use store::ConfigFile;

/// Where the configuration is looked for when none is named, in this order.
const CONFIG_PATHS: [&str; 2] = ["/etc/boathook/config.yaml", "./config.yaml"];

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
    /// Show what ran, newest last; or all that is known of one run
    ///
    /// It reads the journal, whether the daemon runs or not.
    Runs(RunsArgs),
    /// Show what is owed: clean-ups that are still to come, are tried again, or were given up
    ///
    /// It reads the journal, whether the daemon runs or not.
    Debts(DebtsArgs),
    /// Try again now: a run that waits or has failed, a clean-up that is due or was given up
    ///
    /// Waits until it has ended, and exits with 1 if it has failed again. A run that is over is done once
    /// more by a run of its own. While the daemon is away it is asked to do it when it is there again. A
    /// debt has the id of the set-up that opened it; while it is due or given up that id means the debt.
    /// While what it was set up for goes on, the set-up is meant; afterwards neither.
    Retry(RetryArgs),
    /// Copy the journal into a file, whether the daemon runs or not
    ///
    /// The copy is of one moment. To go on from it, stop boathook, and put it in the place of `journal.db`
    /// in the state directory. On another engine than that of the original nothing of it is acted upon.
    Backup(BackupArgs),
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
            // Only a boathook that was built for tests has any.
            let _armed = fail::has_failpoints().then(FailScenario::setup);
            match daemon::run(&config) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&error),
            }
        }
        Command::Check { hooks } => {
            let listing = if *hooks { Listing::Hooks } else { Listing::Mistakes };
            check::check(&config, cli.common.json, listing)
        }
        Command::Runs(args) => runs::runs(&cli.common.config_file(), args, cli.common.form()),
        Command::Debts(args) => debts::debts(&cli.common.config_file(), args, cli.common.form()),
        Command::Retry(args) => retry::retry(&cli.common.config_file(), args, cli.common.form()),
        Command::Backup(args) => backup::backup(&cli.common.config_file(), args, cli.common.form()),
        Command::Schema { of } => schema::print(*of),
    }
}

/// How results are written.
#[derive(Clone, Copy, Debug)]
struct Form {
    json: bool,
    quiet: bool,
}

impl Form {
    /// Prints a line of the result, unless that is written as JSON.
    fn say(self, line: &str) {
        if !self.json {
            // A reader that has closed the pipe has seen what it wanted.
            let _ = writeln!(anstream::stdout(), "{line}");
        }
    }

    /// Says on standard error what is no part of the result.
    fn remark(self, text: &str) {
        if !self.quiet {
            remark(text);
        }
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

    fn config_file(&self) -> ConfigFile {
        if self.config.is_some() {
            ConfigFile::Named(self.config())
        } else {
            ConfigFile::Found(self.config())
        }
    }

    fn form(&self) -> Form {
        Form { json: self.json, quiet: self.quiet > 0 }
    }
}
