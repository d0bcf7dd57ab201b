//! One attempt of a run: one process, its contract, its end.
//!
//! Which run comes when is decided upstream. Here a process is spawned with exactly the
//! environment, standard input and files of the contract, watched, ended at its deadline with
//! everything in its process group, and what it wrote is collected. No other room spawns a process.

mod contract;
mod files;
mod process;
mod secrets;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::hook::Action;
use crate::run::{Outcome, Run};
use crate::trust;

pub use contract::{CONTRACT, Document, HOST_PATH};
pub use process::Running;
pub use secrets::Secrets;

use files::AttemptFiles;

/// Where and for whom processes are run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory under which each attempt has one of its own while it lasts.
    pub runs_dir: PathBuf,
    /// `DOCKER_HOST` for the scripts.
    pub docker_host: String,
    /// `HOME` for the scripts: that of the daemon's user.
    pub home: String,
    /// `HOOK_HOST`: the name of this host.
    pub host: String,
    /// How much of each stream is kept, in bytes.
    pub output_bytes_max: usize,
}

/// Runs attempts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Runner {
    settings: Arc<Settings>,
    secrets: Secrets,
}

impl Runner {
    /// A runner; it has not touched anything yet.
    pub fn new(settings: Settings) -> Runner {
        Runner { settings: Arc::new(settings), secrets: Secrets::default() }
    }

    /// The secrets of the runs that live, by which their own API calls are recognised.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Starts attempt number `number` of `run`, which may take `limit`.
    ///
    /// The files are written and the process exists when this returns; it waits for neither.
    ///
    /// # Errors
    ///
    /// When there is no process: the outcome is [`Outcome::NotStarted`] with the reason.
    ///
    /// # Panics
    ///
    /// When the hook of the run has no program: such a hook is decided upstream.
    pub fn start(&self, run: &Run, number: u32, limit: Duration) -> Result<Running, Outcome> {
        let Action::Exec(command) = &run.hook.action else {
            unreachable!("a hook without a program has no attempts");
        };
        // Asked again before each process: what was safe when the configuration was read may have been
        // opened to others since.
        trust::vet(&command.program).map_err(|error| not_started(&error))?;
        let secret = self.secrets.admit(&run.id);
        let attempt = contract::Attempt {
            run,
            number,
            deadline: Timestamp::now() + limit,
            settings: &self.settings,
            secret: secret.as_str(),
        };
        let files = AttemptFiles::create(&attempt).map_err(|error| not_started(&error))?;
        let environment = contract::environment(&attempt, &files);
        process::spawn(command, environment, files, run.hook.deadline.grace, limit, secret)
            .map_err(|error| not_started(&error))
    }
}

/// The whole chain of causes in one line, as the outcome is shown by itself.
fn not_started(error: &dyn std::error::Error) -> Outcome {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(it) = cause {
        text.push_str(": ");
        text.push_str(&it.to_string());
        cause = it.source();
    }
    Outcome::NotStarted(text)
}
