//! How the daemon says what it does.

use std::io::{self, IsTerminal as _};

use clap::ValueEnum;
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line, for programs
    Json,
}

/// Starts logging to standard error. Colour only on a terminal, and not with `NO_COLOR`.
pub(super) fn start(format: LogFormat, quiet: u8, verbose: u8) {
    let ours = match i16::from(verbose) - i16::from(quiet) {
        ..=-2 => Level::ERROR,
        -1 => Level::WARN,
        0 => Level::INFO,
        1 => Level::DEBUG,
        2.. => Level::TRACE,
    };
    let libraries = if verbose >= 2 { Level::DEBUG } else { Level::WARN };
    let filter = Targets::new()
        .with_target("boathook", ours)
        .with_target("docker_plugin_sdk", ours)
        .with_default(LevelFilter::from_level(libraries.min(ours)));
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
    let lines = fmt::layer().with_writer(io::stderr).with_target(false);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(colour).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}
