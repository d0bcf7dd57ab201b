//! One attempt of a run: one process, its contract, its end; or one request to a server, or one command in
//! a container.
//!
//! Which run comes when is decided upstream. Here a process is spawned with exactly the
//! environment, standard input and files of the contract, watched, ended at its deadline with
//! everything in its process group, and what it wrote is collected. No other room spawns a process; what a
//! driver needs done by a program is an errand.

mod broom;
mod child;
mod client;
mod contract;
mod errand;
mod files;
mod http;
mod inside;
mod kept;
mod left;
mod namespace;
mod note;
mod process;
mod reaper;
mod running;
mod secrets;
mod survivors;

use std::env;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tracing::error;

use crate::docker::Docker;
use crate::hook::{Action, Command, Inside, Request};
use crate::launch::{Network, Order, Person, User};
use crate::run::{Outcome, Run};
use crate::trust;

pub use broom::Traces;
pub use contract::{CONTRACT, Document, HOST_PATH};
pub use errand::{ErrandError, Tool};
pub use left::{Left, Past, Remains};
pub use reaper::{REAP, reap};
pub use running::Running;
pub use secrets::Secrets;

use broom::Broom;
use child::Inherited;
use files::AttemptFiles;
use http::{Letter, Roots};
use inside::Visit;
use process::Start;
use reaper::Reaper;

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
    roots: Roots,
    /// Whose containers commands can be run in.
    docker: Option<Docker>,
}

/// What boathook was started with, as far as its children are concerned.
#[derive(Debug)]
struct Host {
    /// The program that becomes a script with less than boathook has.
    launcher: PathBuf,
    inherited: Inherited,
    reaper: Reaper,
    broom: Arc<Broom>,
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
        let inherited = Inherited::look()?;
        let reaper = Reaper::new(launcher.clone(), settings.runs_dir.clone(), inherited.clone());
        let host = Arc::new(Host { launcher, inherited, reaper, broom: Broom::start().into() });
        Ok(Runner {
            settings: Arc::new(settings),
            secrets: Secrets::default(),
            host,
            roots: Roots::default(),
            docker: None,
        })
    }

    /// The same runner, which can have commands run in the containers of that engine.
    pub fn with_containers_of(self, docker: Docker) -> Runner {
        Runner { docker: Some(docker), ..self }
    }

    /// The secrets of the runs that live, by which their own API calls are recognised.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// What a boathook before this one left behind. To be asked before anything is started.
    pub fn left(&self) -> Left {
        Left::look(&self.settings.runs_dir, self.settings.output_bytes_max, &self.host.broom)
    }

    /// Makes ready for the first attempt, which would have to wait otherwise.
    pub fn prepare(&self) {
        if let Err(error) = self.host.reaper.prepare() {
            error!(error = told(&error), "cannot start the process that starts hooks: will try again");
        }
    }

    /// Starts attempt number `number` of `run`, which may take `limit`.
    ///
    /// The files are written and the process is asked for when this returns; that there is none, if so, is told as
    /// its end. A request is sent while its answer is waited for.
    ///
    /// # Errors
    ///
    /// When there is no process: the outcome is [`Outcome::NotStarted`] with the reason, or
    /// [`Outcome::Interrupted`] where boathook itself is not able to begin.
    ///
    /// # Panics
    ///
    /// When the hook of the run only denies: such a hook is decided upstream.
    pub async fn start(&self, run: &Run, number: u32, limit: Duration) -> Result<Running, Outcome> {
        match &run.hook.action {
            Action::Exec(command) => self.spawn(command, run, number, limit).await,
            Action::Http(request) => self.send(request, run, number, limit),
            Action::Inside(inside) => self.enter(inside, run, number, limit),
            Action::Deny { .. } => unreachable!("a hook that only denies has no attempts"),
        }
    }

    async fn spawn(
        &self,
        command: &Command,
        run: &Run,
        number: u32,
        limit: Duration,
    ) -> Result<Running, Outcome> {
        // Asked again before each process: what was safe when the configuration was read may have been
        // opened to others since.
        trust::vet(&command.program).map_err(|error| not_started(&error))?;
        let person = command.launch.user.as_ref().map(User::resolve).transpose();
        let person = person.map_err(|error| not_started(&error))?;
        let mut order = order(command, person.as_ref());
        if command.launch.network == Network::Container {
            order.network = Some(namespace::of(&run.event).map_err(|error| not_started(&error))?);
        }
        if !order.is_empty() {
            trust::vet(&self.host.launcher).map_err(|error| not_started(&error))?;
        }
        let secret = self.secrets.admit(run);
        let attempt = contract::Attempt {
            run,
            number,
            deadline: Timestamp::now() + limit,
            settings: &self.settings,
            person: person.as_ref(),
            secret: secret.as_str(),
        };
        let files = AttemptFiles::create(&attempt, &self.host.broom);
        let files = files.map_err(|error| unprepared(run, &error, "is the disk full?"))?;
        let environment = contract::environment(&attempt, &files);
        let start = Start {
            run: &run.id,
            command,
            order: &order,
            launcher: &self.host.launcher,
            reaper: &self.host.reaper,
            environment,
            files,
            limit,
            grace: run.hook.deadline.grace,
            secret,
        };
        let spawned = start.spawn().await.map(Running::from);
        spawned.map_err(|error| unprepared(run, &error, "is boathook-launch where boathook is?"))
    }

    fn enter(&self, inside: &Inside, run: &Run, number: u32, limit: Duration) -> Result<Running, Outcome> {
        let attempt = self.elsewhere(run, number, limit);
        let visit = Visit {
            inside,
            run,
            environment: contract::environment_inside(&attempt, inside),
            document: serde_json::to_vec(&Document::of(&attempt)).expect("a document is JSON"),
            limit,
            kept_max: self.settings.output_bytes_max,
        };
        visit.begin(self.docker.as_ref()).map(Running::from).map_err(|error| not_started(&error))
    }

    fn send(&self, request: &Request, run: &Run, number: u32, limit: Duration) -> Result<Running, Outcome> {
        let attempt = self.elsewhere(run, number, limit);
        let body = serde_json::to_vec(&Document::of(&attempt)).expect("a document is JSON");
        let kept_max = self.settings.output_bytes_max;
        let letter = Letter { request, key: run.id.as_str(), body, limit, kept_max };
        letter.send(&self.roots).map(Running::from).map_err(|error| not_started(&error))
    }

    /// An attempt that is no process here. What runs in a container, and a server, are not trusted to pass
    /// gates: they get no secret.
    fn elsewhere<'a>(&'a self, run: &'a Run, number: u32, limit: Duration) -> contract::Attempt<'a> {
        let deadline = Timestamp::now() + limit;
        contract::Attempt { run, number, deadline, settings: &self.settings, person: None, secret: "" }
    }
}

/// What stands between boathook and the script of `command`, which `person` runs.
fn order(command: &Command, person: Option<&Person>) -> Order {
    Order {
        identity: person.map(|it| it.identity.clone()),
        rlimits: command.launch.rlimits.clone(),
        no_new_privileges: command.launch.no_new_privileges,
        network: None,
    }
}

/// Boathook itself is not able to begin: no fault of the hook's, so the attempt counts for nothing.
fn unprepared(run: &Run, error: &dyn std::error::Error, help: &str) -> Outcome {
    let error = told(error);
    error!(run = %run.id, hook = %run.hook.name, error, help, "cannot prepare a hook's attempt");
    Outcome::Interrupted
}

fn not_started(error: &dyn std::error::Error) -> Outcome {
    Outcome::NotStarted(told(error))
}

/// The whole chain of causes in one line, as the outcome is shown by itself.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(it) = cause {
        text.push_str(": ");
        text.push_str(&it.to_string());
        cause = it.source();
    }
    text
}
