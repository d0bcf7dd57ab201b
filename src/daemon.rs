//! The daemon: build, run, drain.
//!
//! The plugin's socket is bound before anything else, so that an engine that starts finds it. The
//! parts are wired here and nowhere else, and only here are tasks spawned. Stopping goes the way
//! the data goes: sources are told to stop, and everything after them ends as its input ends.

use std::collections::HashMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use docker_plugin_sdk::{ListenError, Listener, Plugin, ServeError, Socket};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{User, geteuid, gethostname};
use sd_notify::NotifyState;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::{self, Config, Report, Salvaged};
use crate::docker::{Docker, DockerError};
use crate::engine::{Engine, Parts, Rules, Standing, Work};
use crate::hook::HookSet;
use crate::journal::Journal;
use crate::runner::{Runner, Secrets, Settings};
use crate::source::authorization::Gatekeeper;
use crate::source::events::EventSource;
use crate::source::looks::{Looks, Watch};

/// Where the engine looks for plugins (`pkg/plugins/discovery.go` in moby).
const PLUGINS_DIR: &str = "/run/docker/plugins";

/// Threads of the runtime. The work is parsing and waiting: one for what comes from Docker, one
/// for what a slow disk may hold up.
const THREADS: usize = 2;

/// How long answers may take after all hooks have been ended: the verdicts are there by then.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

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
/// is no error: gates are then answered by `outage` until a better one is loaded.
pub fn run(path: &Path) -> Result<(), DaemonError> {
    // What boathook writes is for its own user alone, unless it says otherwise.
    umask(UMASK);
    let salvaged = config::salvage(path);
    let listener = match Listener::activated()? {
        Some(listener) => listener,
        None => {
            let socket = Path::new(PLUGINS_DIR).join(format!("{}.sock", salvaged.plugin));
            Socket::new(socket).bind()?
        }
    };
    let loaded = config::load(path).map_err(|report| complain(&report));
    let settled = Settled::of(loaded.as_ref().ok());
    let rules = rules(loaded.as_ref().ok(), &salvaged);
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .map_err(DaemonError::Runtime)?;
    runtime.block_on(async {
        let daemon = Daemon::build(path, settled, rules)?;
        daemon.run(listener).await
    })
}

/// What stays as it is until the daemon is started anew.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Settled {
    docker: String,
    state_dir: PathBuf,
    plugin: config::PluginName,
    output_bytes_max: usize,
    drain: Duration,
}

impl Settled {
    fn of(config: Option<&Config>) -> Settled {
        match config {
            Some(config) => Settled {
                docker: config.docker.clone(),
                state_dir: config.state_dir.clone(),
                plugin: config.plugin.clone(),
                output_bytes_max: config.output_bytes_max,
                drain: config.drain,
            },
            None => Settled {
                docker: Config::DOCKER.into(),
                state_dir: Config::STATE_DIR.into(),
                plugin: config::PluginName::default(),
                output_bytes_max: Config::OUTPUT_BYTES_MAX,
                drain: Config::DRAIN,
            },
        }
    }

    /// The keys whose values in `newer` wait for a restart.
    fn unlike(&self, newer: &Settled) -> Vec<&'static str> {
        let differs = [
            ("docker", self.docker != newer.docker),
            ("state_dir", self.state_dir != newer.state_dir),
            ("plugin", self.plugin != newer.plugin),
            ("retention.output", self.output_bytes_max != newer.output_bytes_max),
            ("drain", self.drain != newer.drain),
        ];
        differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }
}

fn rules(config: Option<&Config>, salvaged: &Salvaged) -> Rules {
    match config {
        Some(config) => Rules {
            hooks: HookSet::new(&config.hooks),
            outage: config.outage,
            gate_deadline: config.gate_deadline,
            concurrency: config.concurrency.get(),
            standing: Standing::Configured,
        },
        None => Rules {
            hooks: HookSet::default(),
            outage: salvaged.outage,
            gate_deadline: Config::GATE_DEADLINE,
            concurrency: Config::CONCURRENCY.get(),
            standing: Standing::Unconfigured,
        },
    }
}

/// Every mistake of a configuration, in the log. The snippets are for `boathook check`.
fn complain(report: &Report) {
    for it in report.diagnostics() {
        let place = format!("{}:{}:{}", it.file.display(), it.line, it.column);
        let help = it.help.as_deref().unwrap_or_default();
        error!(place, mistake = it.message, code = it.code, help, "the configuration has a mistake");
    }
}

/// The parts of a daemon that is about to run.
struct Daemon {
    path: PathBuf,
    settled: Settled,
    engine: Engine,
    work: Work,
    looks: Looks,
    watch: Watch,
    docker: Docker,
    stopping: CancellationToken,
}

impl Daemon {
    /// Wires the parts. Nothing runs yet, and nothing is connected.
    fn build(path: &Path, settled: Settled, rules: Rules) -> Result<Daemon, DaemonError> {
        let runs_dir = settled.state_dir.join("runs");
        if let Err(error) = prepare(&runs_dir) {
            error!(dir = %runs_dir.display(), %error, "cannot prepare the directory for runs: hooks will fail");
        }
        let docker = Docker::at(&settled.docker, &Secrets::fresh())?;
        let stopping = CancellationToken::new();
        let runner = Runner::new(Settings {
            runs_dir,
            docker_host: settled.docker.clone(),
            home: home(),
            host: gethostname().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default(),
            output_bytes_max: settled.output_bytes_max,
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
        Ok(Daemon { path: path.to_owned(), settled, engine, work, looks, watch, docker, stopping })
    }

    async fn run(self, listener: Listener) -> Result<(), DaemonError> {
        let Daemon { path, settled, engine, work, looks, watch, docker, stopping } = self;
        let mut signals = Signals::new().map_err(DaemonError::Runtime)?;
        let stop = CancellationToken::new();
        let gatekeeper = Gatekeeper::new(engine.clone(), docker.clone(), looks.clone());
        let plugin = Plugin::builder().authorization(gatekeeper).build();
        let events = EventSource::new(docker, looks, engine.clone());

        let mut parts = Running::default();
        parts.spawn("engine", async {
            work.run().await;
            Ok(())
        });
        parts.spawn("looks", async {
            watch.run().await;
            Ok(())
        });
        parts.spawn("events", {
            let stop = stop.clone();
            async {
                events.run(stop).await;
                Ok(())
            }
        });
        let (told, limit) = (stop.clone().cancelled_owned(), settled.drain + ANSWER_LIMIT);
        parts.spawn("plugin", async move {
            let drained = plugin.serve(listener, told, limit).await?;
            info!(?drained, "the plugin socket is closed");
            Ok(())
        });
        notify(&[NotifyState::Ready, NotifyState::Status("serving")]);
        info!(config = %path.display(), plugin = %settled.plugin, "boathook serves");

        let fault = loop {
            tokio::select! {
                ended = parts.next() => break ended,
                asked = signals.next() => match asked {
                    Asked::Reload => reload(&path, &settled, &engine),
                    Asked::Stop => break Ok(()),
                },
            }
        };
        // The engine ends when nobody can send to it any more.
        drop(engine);
        stop.cancel();
        notify(&[NotifyState::Stopping]);
        info!(drain = ?settled.drain, "boathook stops");
        let drained = drain(&mut parts, &mut signals, settled.drain, &stopping).await;
        fault.and(drained)
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

/// Puts the configuration in place of the one that runs, if it holds no mistake.
fn reload(path: &Path, settled: &Settled, engine: &Engine) {
    notify(&[NotifyState::Reloading]);
    match config::load(path) {
        Ok(config) => {
            let waiting = settled.unlike(&Settled::of(Some(&config)));
            if !waiting.is_empty() {
                warn!(keys = waiting.join(", "), "changes of these keys wait for a restart");
            }
            engine.obey(rules(Some(&config), &Salvaged::default()));
            info!(hooks = config.hooks.len(), "the configuration is reloaded");
        }
        Err(report) => {
            complain(&report);
            error!("the new configuration has mistakes: the old one goes on");
        }
    }
    notify(&[NotifyState::Ready]);
}

/// Tells systemd, if it is there.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "cannot tell systemd");
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

/// The tasks under way.
#[derive(Default)]
struct Running {
    tasks: JoinSet<(&'static str, Result<(), DaemonError>)>,
    names: HashMap<task::Id, &'static str>,
}

impl Running {
    fn spawn(
        &mut self,
        part: &'static str,
        task: impl Future<Output = Result<(), DaemonError>> + Send + 'static,
    ) {
        let handle = self.tasks.spawn(async move { (part, task.await) });
        self.names.insert(handle.id(), part);
    }

    fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Waits for a part that ends although nobody has told it to: a fault even without an error.
    async fn next(&mut self) -> Result<(), DaemonError> {
        match self.tasks.join_next().await {
            Some(Ok((_, Err(error)))) => Err(error),
            Some(Ok((part, Ok(())))) => Err(DaemonError::Fault { part, source: None }),
            Some(Err(panic)) => Err(self.panicked(panic)),
            None => Ok(()),
        }
    }

    /// Waits for a part that has been told to end.
    async fn drained(&mut self) -> Result<(), DaemonError> {
        match self.tasks.join_next().await {
            Some(Ok((_, result))) => result,
            Some(Err(panic)) => Err(self.panicked(panic)),
            None => Ok(()),
        }
    }

    fn panicked(&self, panic: JoinError) -> DaemonError {
        let part = self.names.get(&panic.id()).copied().unwrap_or("a task");
        DaemonError::Fault { part, source: Some(panic) }
    }
}

/// What the daemon is asked to do by signals.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

enum Asked {
    Reload,
    Stop,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.hangup.recv() => Asked::Reload,
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
        }
    }
}
