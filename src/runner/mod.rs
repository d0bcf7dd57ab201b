//! One attempt of a run: one process, its contract, its end.
//!
//! Which run comes when is decided upstream. Here a process is spawned with exactly the
//! environment, standard input and files of the contract, watched, ended at its deadline with
//! everything in its process group, and what it wrote is collected. No other room spawns a process.

mod child;
mod client;
mod contract;
mod files;
mod process;
mod secrets;

use std::env;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::hook::{Action, Command};
use crate::launch::{Order, Person, User};
use crate::run::{Outcome, Run};
use crate::trust;

pub use contract::{CONTRACT, Document, HOST_PATH};
pub use process::Running;
pub use secrets::Secrets;

use child::Inherited;
use files::AttemptFiles;
use process::Start;

/// The name of the launcher's program.
const LAUNCHER: &str = "boathook-launch";

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
    host: Arc<Host>,
}

/// What boathook was started with, as far as its children are concerned.
#[derive(Debug)]
struct Host {
    /// The program that becomes a script with less than boathook has.
    launcher: PathBuf,
    inherited: Inherited,
}

impl Runner {
    /// A runner, to be made before much else is open: what is open now and would stay open in a
    /// script is closed there.
    ///
    /// # Errors
    ///
    /// When `/proc` does not say what is open, or which program this is.
    pub fn new(settings: Settings) -> io::Result<Runner> {
        // It is installed beside boathook, so both are of the same version.
        let launcher = env::current_exe()?.with_file_name(LAUNCHER);
        let host = Arc::new(Host { launcher, inherited: Inherited::look()? });
        Ok(Runner { settings: Arc::new(settings), secrets: Secrets::default(), host })
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
        let person = command.launch.user.as_ref().map(User::resolve).transpose();
        let person = person.map_err(|error| not_started(&error))?;
        let order = order(command, person.as_ref());
        if !order.is_empty() {
            trust::vet(&self.host.launcher).map_err(|error| not_started(&error))?;
        }
        let secret = self.secrets.admit(&run.id);
        let attempt = contract::Attempt {
            run,
            number,
            deadline: Timestamp::now() + limit,
            settings: &self.settings,
            person: person.as_ref(),
            secret: secret.as_str(),
        };
        let files = AttemptFiles::create(&attempt).map_err(|error| not_started(&error))?;
        let environment = contract::environment(&attempt, &files);
        let start = Start {
            command,
            order: &order,
            launcher: &self.host.launcher,
            inherited: &self.host.inherited,
            environment,
            files,
            limit,
            grace: run.hook.deadline.grace,
            secret,
        };
        start.spawn().map_err(|error| not_started(&error))
    }
}

/// What stands between boathook and the script of `command`, which `person` runs.
fn order(command: &Command, person: Option<&Person>) -> Order {
    Order {
        identity: person.map(|it| it.identity.clone()),
        rlimits: command.launch.rlimits.clone(),
        no_new_privileges: command.launch.no_new_privileges,
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
