//! The parts behind the plugin's socket, and how they are wired.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process;

use docker_plugin_sdk::network::{EndpointId, NetworkId};
use nix::unistd::{User, geteuid, gethostname};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{self, spawn_blocking};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::DaemonError;
use super::doors::Doors;
use super::obeyed::{Obeyed, chain};
use super::parts::Running;
use super::station::Station;
use super::volumes::{Late, Unopened, VolumePoints, look_after, points_of};
use crate::config::{Kind, Kinds, PluginName};
use crate::docker::Docker;
use crate::driver::ipam::{Ipam, IpamParts};
use crate::driver::network::{self, Networks};
use crate::driver::script::Scripts;
use crate::driver::volume::Volumes;
use crate::engine::{Engine, Parts, Work};
use crate::journal::{
    self, Asked, Journal, OpenError, Opened, Reader, Remembered, Retention, RunFilter, Writer,
};
use crate::runner::{Left, Runner, Secrets, Settings};
use crate::source::addresses::AddressWatch;
use crate::source::authorization::Gatekeeper;
use crate::source::drivers::{self, Held, Points};
use crate::source::events::EventSource;
use crate::source::looks::{Looks, Watch};
use crate::source::networks::NetworkWatch;

/// What the parts behind the plugin's socket are built with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CoreSettings {
    pub(super) docker: String,
    pub(super) state_dir: PathBuf,
    pub(super) output_bytes_max: usize,
    pub(super) retention: Retention,
    /// What there are drivers for; `None`: nobody has said.
    pub(super) kinds: Option<Kinds>,
    /// Where volumes are kept; `None`: nobody has said.
    pub(super) volumes_root: Option<PathBuf>,
    /// How the engine calls the drivers: the name that the socket was bound under.
    pub(super) plugin: PluginName,
}

impl CoreSettings {
    /// Opens the store. Blocks while what it holds is read.
    pub(super) fn open(&self) -> Result<Opened, OpenError> {
        journal::open(&self.state_dir, self.retention)
    }
}

/// Networks, and the points that they reach.
pub(super) type NetworkPoints = drivers::Networks<Networks>;

/// Addresses, and the points that they reach.
pub(super) type AddressPoints = drivers::Addresses<Ipam>;

/// The parts behind the plugin's socket, which nothing runs yet, and nothing is connected.
pub(super) struct Core {
    engine: Engine,
    work: Work,
    looks: Looks,
    watch: Watch,
    docker: Docker,
    /// The containers that Docker holds while it waits for a driver of ours.
    held: Held,
    scripts: Scripts,
    /// `None`: they cannot be served, and calls wait.
    networks: Option<Networks>,
    /// `None`: they cannot be served, and calls wait.
    volumes: Option<Volumes>,
    /// Volumes that could not be opened.
    unopened: Option<Unopened>,
    /// `None`: there is no store, and calls wait.
    ipam: Option<Ipam>,
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
    scripts: Scripts,
    pub(super) volumes: Option<Volumes>,
    pub(super) late: Option<Late>,
    pub(super) ipam: Option<Ipam>,
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
        obeyed: &Obeyed,
        stopping: &CancellationToken,
    ) -> Result<Core, DaemonError> {
        let stopping = stopping.child_token();
        let Store { journal, writer, mut remembered, wishes } = Store::from(store);
        let runs_dir = settings.state_dir.join("runs");
        let docker = Docker::at(&settings.docker, &Secrets::fresh())?;
        let runs_as = Settings {
            runs_dir: runs_dir.clone(),
            docker_host: settings.docker,
            home: home(),
            host: gethostname().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default(),
            output_bytes_max: settings.output_bytes_max,
        };
        let runner = Runner::new(runs_as).map_err(DaemonError::Runtime)?.with_containers_of(docker.clone());
        // Without a store somebody else may be at work there.
        let left = match &writer {
            Some(_) => left(&runner, &settings.state_dir, &remembered),
            None => Left::default(),
        };
        if writer.is_some()
            && let Err(error) = prepare(&runs_dir, &left)
        {
            error!(dir = %runs_dir.display(), %error, "cannot prepare the directory for runs: hooks will fail");
        }
        let scripts =
            Scripts::new(runner.clone(), obeyed.config().map(|it| it.scripts.clone()).unwrap_or_default());
        let holdings = std::mem::take(&mut remembered.holdings);
        let root = settings.volumes_root.filter(|_| writer.is_some());
        let unopened = root.map(|root| {
            let paths = obeyed.config().map(|it| it.volumes.paths.clone()).unwrap_or_default();
            Unopened::new(root, paths, journal.clone(), scripts.clone(), &holdings)
        });
        let (volumes, unopened) = unopened.map_or((None, None), Unopened::open_or_tell);
        let ipam = writer.is_some().then(|| {
            let (journal, scripts) = (journal.clone(), scripts.clone());
            let (driver, settings) = (settings.plugin.to_string(), obeyed.ipam());
            Ipam::new(IpamParts { journal, holdings: &holdings, driver, settings, scripts })
        });
        let makes_networks = settings.kinds.is_some_and(|it| it.contains(Kind::Network));
        let networks = (makes_networks && writer.is_some()).then(|| {
            let (journal, scripts, runner) = (journal.clone(), scripts.clone(), runner.clone());
            let parts = network::Parts { plugin: settings.plugin.to_string(), journal, scripts, runner };
            Networks::new(parts, &holdings)
        });
        let (engine, work) = Engine::new(Parts {
            rules: obeyed.rules(),
            journal,
            remembered,
            wishes,
            left,
            runner,
            docker: docker.clone(),
            stopping: stopping.clone(),
        });
        let (looks, watch) = Looks::new(docker.clone(), engine.clone());
        Ok(Core {
            engine,
            work,
            looks,
            watch,
            docker,
            held: Held::default(),
            scripts,
            networks,
            volumes,
            unopened,
            ipam,
            writer,
            stopping,
        })
    }

    pub(super) fn gatekeeper(&self) -> Gatekeeper {
        Gatekeeper::new(
            self.engine.clone(),
            self.docker.clone(),
            self.looks.clone(),
            self.ipam.clone(),
            self.held.clone(),
        )
    }

    pub(super) fn networks(&self) -> Option<NetworkPoints> {
        let networks = self.networks.clone()?;
        let links = networks.clone();
        let host_link = move |network: &NetworkId, endpoint: &EndpointId| {
            links.place(network, endpoint).and_then(|it| it.host_link)
        };
        Some(drivers::Networks::new(networks, self.points(), host_link))
    }

    pub(super) fn volumes(&self) -> Option<VolumePoints> {
        Some(points_of(self.volumes.clone()?, self.points()))
    }

    pub(super) fn addresses(&self) -> Option<AddressPoints> {
        Some(drivers::Addresses::new(self.ipam.clone()?, self.points()))
    }

    /// What the drivers' calls are points of.
    fn points(&self) -> Points {
        Points::new(self.engine.clone(), self.docker.clone(), self.looks.clone(), self.held.clone())
    }

    pub(super) fn start(self, parts: &mut Running, station: &Station) -> RunningCore {
        let points = self.points();
        let Core {
            engine,
            work,
            looks,
            watch,
            docker,
            held: _,
            scripts,
            networks,
            volumes,
            unopened,
            ipam,
            writer,
            stopping,
        } = self;
        let (events, reconciler) = EventSource::new(docker, looks, engine.clone());
        let beat = reconciler.beat();
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
        tasks.extend(networks.map(|networks| {
            let watch = NetworkWatch::new(beat.clone(), networks);
            parts.spawn("networks", station.handle(), async {
                watch.run().await;
                Ok(())
            })
        }));
        tasks.extend(volumes.clone().map(|it| look_after(it, beat.clone(), parts, station)));
        tasks.extend(ipam.clone().map(|ipam| {
            let watch = AddressWatch::new(beat.clone(), ipam);
            parts.spawn("addresses", station.handle(), async {
                watch.run().await;
                Ok(())
            })
        }));
        let has_store = writer.is_some();
        tasks.extend(writer.map(|writer| {
            parts.spawn("journal", &Handle::current(), async {
                // It blocks on the disk, on a thread of its own; a panic there is one here.
                spawn_blocking(|| writer.run()).await.map_err(DaemonError::Journal)
            })
        }));
        let late = unopened.map(|unopened| Late { unopened, points, beat });
        RunningCore { has_store, engine, scripts, volumes, late, ipam, stop, stopping, tasks }
    }
}

impl RunningCore {
    /// Goes by what is obeyed from now on.
    pub(super) fn obey(&mut self, obeyed: &Obeyed) {
        self.engine.obey(obeyed.rules());
        if let Some(ipam) = &self.ipam {
            ipam.obey(obeyed.ipam());
        }
        if let Some(config) = obeyed.config() {
            self.scripts.obey(config.scripts.clone());
            if let Some(volumes) = &self.volumes {
                volumes.obey(config.volumes.paths.clone());
            }
            if let Some(late) = &mut self.late {
                late.obey(config.volumes.paths.clone());
            }
        }
    }

    /// Whether something that is on disk could not be opened.
    pub(super) fn is_lacking(&self) -> bool {
        !self.has_store || self.late.is_some()
    }

    /// Opens the volumes that could not be opened, if that works now, and leads calls to them.
    pub(super) async fn try_volumes(&mut self, parts: &mut Running, station: &Station, doors: &Doors) {
        let Some(late) = &self.late else { return };
        let Some(volumes) = late.open().await else { return };
        let Late { points, beat, .. } = self.late.take().expect("it was there just now");
        doors.lead_to_volumes(points_of(volumes.clone(), points));
        self.tasks.push(look_after(volumes.clone(), beat, parts, station));
        self.volumes = Some(volumes);
    }
}

/// What a store brings, or what stands in for one that cannot be opened.
struct Store {
    journal: Journal,
    writer: Option<Writer>,
    remembered: Remembered,
    wishes: mpsc::Receiver<Asked>,
}

impl Store {
    /// There is none, for this reason.
    fn none(why: &str) -> Store {
        let (_, wishes) = mpsc::channel(1);
        Store {
            journal: Journal::without_store(why),
            writer: None,
            remembered: Remembered::default(),
            wishes,
        }
    }
}

impl From<Result<Opened, OpenError>> for Store {
    fn from(opened: Result<Opened, OpenError>) -> Store {
        match opened {
            Ok(Opened { journal, writer, remembered, wishes }) => {
                Store { journal, writer: Some(writer), remembered, wishes }
            }
            // By the core that is being replaced.
            Err(OpenError::Locked { pid, .. }) if pid == Some(process::id()) => {
                info!(
                    "the journal is handed over, which takes a moment: gates are answered by `outage` until then"
                );
                Store::none("it is being handed over to the new settings")
            }
            Err(error) => {
                let (why, fix) = (chain(&error), error.fix().unwrap_or_default());
                error!(
                    error = why,
                    fix, "there is no journal: no hook runs, and gates are answered by `outage`"
                );
                Store::none(&why)
            }
        }
    }
}

/// What a daemon before this one left of attempts, as far as the journal does not say how they ended.
fn left(runner: &Runner, state_dir: &Path, remembered: &Remembered) -> Left {
    let mut left = runner.left();
    let mut unheard_of = left.runs();
    unheard_of.retain(|run| !remembered.runs.iter().any(|it| it.run.id.as_str() == run));
    let reader = Reader::open(state_dir).ok();
    for run in unheard_of {
        let filter = RunFilter { id: Some(run.clone()), limit: 1, ..RunFilter::default() };
        // If that cannot be read it may well be over, and it does less harm to repeat what is not.
        match reader.as_ref().map(|it| it.runs(&filter)) {
            Some(Ok(found)) if found.is_empty() => left.never_heard_of(&run),
            _ => left.forget(&run),
        }
    }
    let runs = left.runs().len();
    if runs > 0 {
        warn!(runs, "hooks of a boathook that was killed are taken up");
    }
    left
}

/// Makes the directory for runs, and removes what a daemon before this one left there, but for what a
/// script of it still uses.
fn prepare(runs_dir: &Path, owners: &Left) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(runs_dir)?;
    for left in fs::read_dir(runs_dir)? {
        let left = left?;
        match left.file_type()?.is_dir() {
            _ if owners.owns(&left.path()) => {}
            true => fs::remove_dir_all(left.path())?,
            false => fs::remove_file(left.path())?,
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
