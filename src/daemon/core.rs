//! The parts behind the plugin's socket, and how they are wired.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{User, geteuid, gethostname};
use tokio::task;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::DaemonError;
use super::parts::Running;
use crate::docker::Docker;
use crate::engine::{Engine, Parts, Rules, Work};
use crate::journal::Journal;
use crate::runner::{Runner, Secrets, Settings};
use crate::source::authorization::Gatekeeper;
use crate::source::events::EventSource;
use crate::source::looks::{Looks, Watch};

/// What the parts behind the plugin's socket are built with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CoreSettings {
    pub(super) docker: String,
    pub(super) state_dir: PathBuf,
    pub(super) output_bytes_max: usize,
}

/// The parts behind the plugin's socket, which nothing runs yet, and nothing is connected.
pub(super) struct Core {
    engine: Engine,
    work: Work,
    looks: Looks,
    watch: Watch,
    docker: Docker,
}

/// A core that runs.
pub(super) struct RunningCore {
    /// The way in; the engine ends when it and those of the sources are gone.
    pub(super) engine: Engine,
    /// Ends its sources.
    pub(super) stop: CancellationToken,
    pub(super) tasks: Vec<task::Id>,
}

impl Core {
    /// Wires the parts.
    pub(super) fn build(
        settings: CoreSettings,
        rules: Rules,
        stopping: &CancellationToken,
    ) -> Result<Core, DaemonError> {
        let runs_dir = settings.state_dir.join("runs");
        if let Err(error) = prepare(&runs_dir) {
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
            journal: Journal::default(),
            runner,
            docker: docker.clone(),
            stopping: stopping.clone(),
        });
        let (looks, watch) = Looks::new(docker.clone(), engine.clone());
        Ok(Core { engine, work, looks, watch, docker })
    }

    pub(super) fn gatekeeper(&self) -> Gatekeeper {
        Gatekeeper::new(self.engine.clone(), self.docker.clone(), self.looks.clone())
    }

    pub(super) fn start(self, parts: &mut Running) -> RunningCore {
        let Core { engine, work, looks, watch, docker } = self;
        let events = EventSource::new(docker, looks, engine.clone());
        let stop = CancellationToken::new();
        let told = stop.clone();
        let tasks = vec![
            parts.spawn("engine", async {
                work.run().await;
                Ok(())
            }),
            parts.spawn("looks", async {
                watch.run().await;
                Ok(())
            }),
            parts.spawn("events", async {
                events.run(told).await;
                Ok(())
            }),
        ];
        RunningCore { engine, stop, tasks }
    }
}

/// Makes the directory for runs, and removes what a daemon before this one left there.
fn prepare(runs_dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(runs_dir)?;
    for left in fs::read_dir(runs_dir)? {
        fs::remove_dir_all(left?.path())?;
    }
    Ok(())
}

/// The home of the user that the daemon runs as. The environment is not asked: systemd sets no
/// `HOME` for root.
fn home() -> String {
    let user = User::from_uid(geteuid()).ok().flatten();
    user.map_or_else(|| "/".into(), |it| it.dir.to_string_lossy().into_owned())
}
