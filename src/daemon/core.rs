//! The parts behind the plugin's socket, and how they are wired.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{User, geteuid, gethostname};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{self, spawn_blocking};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::DaemonError;
use super::obeyed::chain;
use super::parts::Running;
use super::station::Station;
use crate::docker::Docker;
use crate::engine::{Engine, Parts, Rules, Work};
use crate::journal::{self, Asked, Journal, OpenError, Opened, Remembered, Retention, Writer};
use crate::runner::{Runner, Secrets, Settings, Survivors};
use crate::source::authorization::Gatekeeper;
use crate::source::events::EventSource;
use crate::source::looks::{Looks, Watch};

/// What the parts behind the plugin's socket are built with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CoreSettings {
    pub(super) docker: String,
    pub(super) state_dir: PathBuf,
    pub(super) output_bytes_max: usize,
    pub(super) retention: Retention,
}

impl CoreSettings {
    /// Opens the store. Blocks while what it holds is read.
    pub(super) fn open(&self) -> Result<Opened, OpenError> {
        journal::open(&self.state_dir, self.retention)
    }
}

/// The parts behind the plugin's socket, which nothing runs yet, and nothing is connected.
pub(super) struct Core {
    engine: Engine,
    work: Work,
    looks: Looks,
    watch: Watch,
    docker: Docker,
    /// `None`: there is no store, and gates are answered by `outage`.
    writer: Option<Writer>,
    stopping: CancellationToken,
}

/// A core that runs.
pub(super) struct RunningCore {
    /// Whether it has a store. Without one nothing runs, and another core has to follow.
    pub(super) has_store: bool,
    /// The way in; the engine ends when it and those of the sources are gone.
    pub(super) engine: Engine,
    /// Ends its sources.
    pub(super) stop: CancellationToken,
    /// Ends the hooks that it runs.
    pub(super) stopping: CancellationToken,
    pub(super) tasks: Vec<task::Id>,
}

impl Core {
    /// Wires the parts.
    pub(super) fn build(
        settings: CoreSettings,
        store: Result<Opened, OpenError>,
        rules: Rules,
        stopping: &CancellationToken,
    ) -> Result<Core, DaemonError> {
        let stopping = stopping.child_token();
        let Store { journal, writer, remembered, wishes } = Store::from(store);
        let runs_dir = settings.state_dir.join("runs");
        let survivors = match &writer {
            Some(_) => Survivors::look(),
            None => Survivors::default(),
        };
        // Without a store somebody else may be at work there.
        if writer.is_some()
            && let Err(error) = prepare(&runs_dir, &survivors)
        {
            error!(dir = %runs_dir.display(), %error, "cannot prepare the directory for runs: hooks will fail");
        }
        let docker = Docker::at(&settings.docker, &Secrets::fresh())?;
        let runner = Runner::new(Settings {
            runs_dir,
            docker_host: settings.docker,
            home: home(),
            host: gethostname().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default(),
            output_bytes_max: settings.output_bytes_max,
        })
        .map_err(DaemonError::Runtime)?;
        let (engine, work) = Engine::new(Parts {
            rules,
            journal,
            remembered,
            wishes,
            survivors,
            runner,
            docker: docker.clone(),
            stopping: stopping.clone(),
        });
        let (looks, watch) = Looks::new(docker.clone(), engine.clone());
        Ok(Core { engine, work, looks, watch, docker, writer, stopping })
    }

    pub(super) fn gatekeeper(&self) -> Gatekeeper {
        Gatekeeper::new(self.engine.clone(), self.docker.clone(), self.looks.clone())
    }

    pub(super) fn start(self, parts: &mut Running, station: &Station) -> RunningCore {
        let Core { engine, work, looks, watch, docker, writer, stopping } = self;
        let (events, reconciler) = EventSource::new(docker, looks, engine.clone());
        let stop = CancellationToken::new();
        let told = stop.clone();
        let mut tasks = vec![
            parts.spawn("engine", &Handle::current(), async {
                work.run().await;
                Ok(())
            }),
            parts.spawn("looks", station.handle(), async {
                watch.run().await;
                Ok(())
            }),
            parts.spawn("events", station.handle(), async {
                events.run(told).await;
                Ok(())
            }),
            parts.spawn("reconcile", station.handle(), async {
                reconciler.run().await;
                Ok(())
            }),
        ];
        let has_store = writer.is_some();
        tasks.extend(writer.map(|writer| {
            parts.spawn("journal", &Handle::current(), async {
                // It blocks on the disk, on a thread of its own; a panic there is one here.
                spawn_blocking(|| writer.run()).await.map_err(DaemonError::Journal)
            })
        }));
        RunningCore { has_store, engine, stop, stopping, tasks }
    }
}

/// What a store brings, or what stands in for one that cannot be opened.
struct Store {
    journal: Journal,
    writer: Option<Writer>,
    remembered: Remembered,
    wishes: mpsc::Receiver<Asked>,
}

impl From<Result<Opened, OpenError>> for Store {
    fn from(opened: Result<Opened, OpenError>) -> Store {
        match opened {
            Ok(Opened { journal, writer, remembered, wishes }) => {
                Store { journal, writer: Some(writer), remembered, wishes }
            }
            Err(error) => {
                let (why, fix) = (chain(&error), error.fix().unwrap_or_default());
                error!(
                    error = why,
                    fix, "there is no journal: no hook runs, and gates are answered by `outage`"
                );
                let (_, wishes) = mpsc::channel(1);
                let journal = Journal::without_store(&why);
                Store { journal, writer: None, remembered: Remembered::default(), wishes }
            }
        }
    }
}

/// Makes the directory for runs, and removes what a daemon before this one left there, but for what a
/// script of it still uses.
fn prepare(runs_dir: &Path, survivors: &Survivors) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(runs_dir)?;
    for left in fs::read_dir(runs_dir)? {
        let left = left?.path();
        if !survivors.own(&left) {
            fs::remove_dir_all(left)?;
        }
    }
    Ok(())
}

/// The home of the user that the daemon runs as. The environment is not asked: systemd sets no
/// `HOME` for root.
fn home() -> String {
    let user = User::from_uid(geteuid()).ok().flatten();
    user.map_or_else(|| "/".into(), |it| it.dir.to_string_lossy().into_owned())
}
