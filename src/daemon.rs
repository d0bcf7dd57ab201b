//! The daemon: build, run, drain.
//!
//! The plugin's socket is bound before anything else, so that an engine that starts finds it. The
//! parts are wired here and nowhere else, and only here are tasks spawned. Stopping goes the way
//! the data goes: sources are told to stop, and everything after them ends as its input ends.

mod core;
mod door;
mod doors;
mod obeyed;
mod parts;
mod signals;
mod station;
mod volumes;

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use docker_plugin_sdk::{ListenError, Listener, ServeError, Socket};
use nix::sys::stat::{Mode, umask};
use sd_notify::NotifyState;
use tokio::runtime;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::{self, Config, Kinds, Salvaged};
use crate::docker::DockerError;
use crate::journal::{OpenError, Opened, Retention};

use core::{Core, CoreSettings, RunningCore};
use doors::Doors;
use obeyed::Obeyed;
use parts::Running;
use signals::{Asked, Signals};
use station::Station;

/// Where the engine looks for plugins (`pkg/plugins/discovery.go` in moby).
const PLUGINS_DIR: &str = "/run/docker/plugins";

/// Threads that decide, and run hooks. What Docker waits for has its own, [`Station`]. A process takes a
/// millisecond to start; the second thread sees meanwhile how others end.
const THREADS: usize = 2;

/// How long answers may take after all hooks have been ended: the verdicts are there by then.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// How often a store or volumes that cannot be opened are tried again: a disk may come up late, somebody
/// else may end.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// How long a socket may be held by what a killed boathook leaves: from fork to exec takes a millisecond, some
/// hundred on a host that is very busy.
const LEGACY_MAX: Duration = Duration::from_secs(1);

/// How often a socket that is in use is tried again.
const BIND_RETRY: Duration = Duration::from_millis(25);

/// The permission bits that no file of the daemon's gets. Scripts have a umask of their own.
const UMASK: Mode = Mode::S_IRWXG.union(Mode::S_IRWXO);

/// Why the daemon could not run, or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The plugin's socket cannot be had.
    #[error("open the plugin socket")]
    Listen(#[from] ListenError),
    /// The operating system refuses threads or signals.
    #[error("start the runtime")]
    Runtime(#[source] io::Error),
    /// The configured address of Docker makes no sense.
    #[error("address docker")]
    Docker(#[from] DockerError),
    /// The thread that writes the journal broke off.
    #[error("write the journal")]
    Journal(#[source] JoinError),
    /// The sockets cannot be watched.
    #[error("serve the plugin")]
    Serve(#[from] ServeError),
    /// A part of the daemon ended although nobody had told it to.
    #[error("`{part}` ended unasked")]
    Fault {
        /// Which.
        part: &'static str,
        /// Its panic, if that was it.
        #[source]
        source: Option<JoinError>,
    },
}

/// Runs the daemon with the configuration in `path` until it is told to stop.
///
/// # Errors
///
/// When it cannot begin to serve, or when a part of it fails. A configuration that cannot be used
/// is no error: the last good one is obeyed in its place, or else gates are answered by `outage`, until
/// a better one is loaded. Nor is a store that cannot be opened: it is tried again, and until then gates
/// are answered by `outage`. Nor are volumes: calls wait for them.
pub fn run(path: &Path) -> Result<(), DaemonError> {
    // What boathook writes is for its own user alone, unless it says otherwise.
    umask(UMASK);
    let salvaged = config::salvage(path);
    let listener = match Listener::activated()? {
        Some(listener) => listener,
        None => {
            let socket = Path::new(PLUGINS_DIR).join(format!("{}.sock", salvaged.plugin));
            bind(&socket)?
        }
    };
    let obeyed = Obeyed::at_start(path, &salvaged);
    let settled = Settled::at_start(&obeyed, &salvaged);
    let station = Station::open("docker").map_err(DaemonError::Runtime)?;
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .map_err(DaemonError::Runtime)?;
    runtime.block_on(async {
        let stopping = CancellationToken::new();
        let store = settled.core.open();
        let core = Core::build(settled.core.clone(), store, &obeyed, &stopping)?;
        let (path, parts) = (path.to_owned(), Running::default());
        let daemon = Daemon { path, settled, obeyed, parts, station, stopping };
        daemon.run(core, listener).await
    })
}

/// Binds the plugin's socket. One that is in use is tried again for a moment: it may be held by a child of a
/// boathook that has just been killed, which has all that its parent had until its own program begins.
fn bind(socket: &Path) -> Result<Listener, ListenError> {
    let give_up_at = Instant::now() + LEGACY_MAX;
    loop {
        match Socket::new(socket).bind() {
            Err(ListenError::InUse { .. }) if Instant::now() < give_up_at => thread::sleep(BIND_RETRY),
            bound => return bound,
        }
    }
}

/// What stays as it is until the daemon is started anew; of the core, until there is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Settled {
    /// What the socket answers for.
    kinds: Kinds,
    drain: Duration,
    core: CoreSettings,
}

impl Settled {
    fn of(config: &Config) -> Settled {
        Settled {
            kinds: config.kinds,
            drain: config.drain,
            core: CoreSettings {
                docker: config.docker.clone(),
                state_dir: config.state_dir.clone(),
                output_bytes_max: config.output_bytes_max,
                retention: Retention { runs: config.retention_runs, ..Retention::default() },
                kinds: Some(config.kinds),
                volumes_root: Some(config.volumes.root.clone()),
                plugin: config.plugin.clone(),
            },
        }
    }

    /// The socket is bound by then, under the name that was salvaged.
    fn at_start(obeyed: &Obeyed, salvaged: &Salvaged) -> Settled {
        let salvaged_core = || CoreSettings {
            docker: salvaged.docker.clone(),
            state_dir: salvaged.state_dir.clone(),
            output_bytes_max: Config::OUTPUT_BYTES_MAX,
            retention: Retention::default(),
            kinds: None,
            volumes_root: None,
            plugin: salvaged.plugin.clone(),
        };
        match obeyed.config().map(Settled::of) {
            Some(settled) => {
                let core = CoreSettings { plugin: salvaged.plugin.clone(), ..settled.core };
                Settled { core, ..settled }
            }
            None => Settled { kinds: Kinds::default(), drain: Config::DRAIN, core: salvaged_core() },
        }
    }

    /// The keys whose values in `newer` wait for a restart.
    fn unlike(&self, newer: &Settled) -> Vec<&'static str> {
        let differs = [
            ("docker", self.core.docker != newer.core.docker),
            ("state_dir", self.core.state_dir != newer.core.state_dir),
            ("plugin", self.core.plugin != newer.core.plugin || self.kinds != newer.kinds),
            ("volumes.root", self.core.volumes_root != newer.core.volumes_root),
            ("retention.output", self.core.output_bytes_max != newer.core.output_bytes_max),
            ("retention.runs", self.core.retention != newer.core.retention),
            ("drain", self.drain != newer.drain),
        ];
        differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }
}

/// The daemon around its core.
struct Daemon {
    path: PathBuf,
    settled: Settled,
    obeyed: Obeyed,
    parts: Running,
    /// Where calls are answered, events read and containers looked up.
    station: Station,
    stopping: CancellationToken,
}

impl Daemon {
    async fn run(mut self, core: Core, listener: Listener) -> Result<(), DaemonError> {
        let mut signals = Signals::new().map_err(DaemonError::Runtime)?;
        let doors = Doors::to(&core);
        let plugin = doors.plugin(self.settled.kinds);
        let mut core = core.start(&mut self.parts, &self.station);
        let closing = CancellationToken::new();
        let (told, limit) = (closing.clone().cancelled_owned(), self.settled.drain + ANSWER_LIMIT);
        self.parts.spawn("plugin", self.station.handle(), async move {
            let drained = plugin.serve(listener, told, limit).await?;
            info!(?drained, "the plugin socket is closed");
            Ok(())
        });
        notify(&[NotifyState::Ready, NotifyState::Status(&self.obeyed.status())]);
        info!(config = %self.path.display(), plugin = %self.settled.core.plugin, "boathook serves");

        let fault = loop {
            tokio::select! {
                ended = self.parts.next() => break ended,
                asked = signals.next() => match asked {
                    Asked::Reload => core = self.reload(core, &doors),
                    Asked::Stop => break Ok(()),
                },
                () = sleep(STORE_RETRY), if core.is_lacking() => core = self.try_again(core, &doors).await,
            }
        };
        // The engine ends when nobody can send to it any more.
        drop((core.engine, core.volumes, core.late, core.ipam, doors));
        core.stop.cancel();
        closing.cancel();
        notify(&[NotifyState::Stopping]);
        info!(drain = ?self.settled.drain, "boathook stops");
        let drained = drain(&mut self.parts, &mut signals, self.settled.drain, &self.stopping).await;
        fault.and(drained)
    }

    /// Puts the configuration in place of the one that is obeyed, if it holds no mistake.
    fn reload(&mut self, core: RunningCore, doors: &Doors) -> RunningCore {
        notify(&[NotifyState::Reloading]);
        let core = match obeyed::load(&self.path) {
            Ok(config) => self.obey(config, core, doors),
            Err(_) => {
                error!("the new configuration has mistakes: the old one goes on");
                core
            }
        };
        notify(&[NotifyState::Ready, NotifyState::Status(&self.obeyed.status())]);
        core
    }

    fn obey(&mut self, config: Config, core: RunningCore, doors: &Doors) -> RunningCore {
        let (hooks, newer) = (config.hooks.len(), Settled::of(&config));
        let before = std::mem::replace(&mut self.obeyed, Obeyed::Written(config));
        let mut core = match before.config() {
            // No gate's hook has run, nobody is being asked for a verdict that the old core alone can give.
            None if self.settled.core != newer.core => {
                let (settings, store) = (newer.core.clone(), newer.core.open());
                self.replace(core, settings, store, doors)
            }
            _ => core,
        };
        let waiting = self.settled.unlike(&newer);
        if !waiting.is_empty() {
            warn!(keys = waiting.join(", "), "changes of these keys wait for a restart");
        }
        core.obey(&self.obeyed);
        info!(hooks, "the configuration is reloaded");
        core
    }

    /// Opens what could not be opened, if that works now: the store, or else the volumes.
    async fn try_again(&mut self, mut core: RunningCore, doors: &Doors) -> RunningCore {
        if core.has_store {
            core.try_volumes(&mut self.parts, &self.station, doors).await;
            return core;
        }
        let settings = self.settled.core.clone();
        let opening = settings.clone();
        match spawn_blocking(move || opening.open()).await {
            Ok(Ok(store)) => self.replace(core, settings, Ok(store), doors),
            // It has been told.
            Ok(Err(_)) | Err(_) => core,
        }
    }

    /// Starts a core with other settings, or with a store, and lets the old one end behind it: the socket
    /// stays open, and calls that the old one has been asked about are answered by it.
    fn replace(
        &mut self,
        old: RunningCore,
        settings: CoreSettings,
        store: Result<Opened, OpenError>,
        doors: &Doors,
    ) -> RunningCore {
        let (docker, state_dir) = (settings.docker.clone(), settings.state_dir.clone());
        // The socket keeps the name that it was bound under.
        let settings = CoreSettings { plugin: self.settled.core.plugin.clone(), ..settings };
        let new = match Core::build(settings.clone(), store, &self.obeyed, &self.stopping) {
            Ok(core) => core,
            Err(error) => {
                error!(%error, "cannot start with the new settings");
                return old;
            }
        };
        doors.lead_to(&new);
        let new = new.start(&mut self.parts, &self.station);
        self.parts.dismiss(&old.tasks);
        old.stop.cancel();
        old.stopping.cancel();
        self.settled.core = settings;
        info!(docker, state_dir = %state_dir.display(), has_store = new.has_store, "started anew behind the same socket");
        new
    }
}

/// Waits for all parts to end. When the drain is over, or on a second request to stop, hooks that
/// still run are ended.
async fn drain(
    parts: &mut Running,
    signals: &mut Signals,
    limit: Duration,
    stopping: &CancellationToken,
) -> Result<(), DaemonError> {
    let mut over = std::pin::pin!(sleep(limit));
    let mut result = Ok(());
    while !parts.is_empty() {
        tokio::select! {
            ended = parts.drained() => result = result.and(ended),
            () = &mut over, if !stopping.is_cancelled() => stopping.cancel(),
            Asked::Stop = signals.next(), if !stopping.is_cancelled() => {
                warn!("told to stop again: ending the hooks that run");
                stopping.cancel();
            }
        }
    }
    result
}

/// Tells systemd, if it is there.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "cannot tell systemd");
    }
}
