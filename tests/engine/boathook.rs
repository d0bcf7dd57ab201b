//! The daemon under test, seen from outside: a config file, a socket, signals, a log.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::host::Host;
use super::process::Process;
use super::wait::wait_for;

/// From start to a bound socket: milliseconds, however much is remembered.
const START_LIMIT: Duration = Duration::from_secs(20);

/// More than the ten seconds that running hooks are given.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// For a line to appear in the log.
const LOG_LIMIT: Duration = Duration::from_secs(30);

/// How the daemon is started.
#[derive(Debug, Clone, Copy)]
pub struct BoathookOptions<'a> {
    /// The daemon's program; `env!("CARGO_BIN_EXE_boathook")` in tests.
    pub program: &'a Path,
    /// The plugin's name in the config, where its socket is looked for.
    pub plugin: &'a str,
    /// What follows on the command line.
    pub arguments: &'a [&'a str],
    /// What it finds in its environment, besides `PATH`, `HOME` and `DOCKER_HOST`.
    pub environment: &'a [(&'a str, &'a str)],
}

impl<'a> BoathookOptions<'a> {
    /// A daemon of this program whose plugin has the name `boathook`.
    pub fn new(program: &'a Path) -> Self {
        Self { program, plugin: "boathook", arguments: &[], environment: &[] }
    }
}

/// One process of the daemon.
pub struct Boathook {
    process: Arc<Process>,
    socket: PathBuf,
}

impl Boathook {
    /// Starts the daemon inside `host`.
    pub(super) fn spawn(host: &Host, config: &Path, options: BoathookOptions<'_>) -> Self {
        let mut command = host.command(options.program);
        command.arg("run").arg("-c").arg(config).args(["--log-format", "json"]).args(options.arguments);
        command.envs(options.environment.iter().copied());
        let number = host.number();
        let process =
            host.start(command, &format!("output/{number}.stdout"), &format!("boathook-{number}.log"));
        let socket = host.dir().join("run/docker/plugins").join(format!("{}.sock", options.plugin));
        Self { process, socket }
    }

    /// Waits until the plugin socket can be connected to. The socket of a predecessor that drains still
    /// will do as well.
    ///
    /// # Panics
    ///
    /// When the daemon exits instead, or does neither.
    #[track_caller]
    pub fn wait_until_it_listens(&self) {
        wait_for("boathook to listen", START_LIMIT, || {
            assert!(self.is_alive(), "boathook exits instead of listening");
            UnixStream::connect(&self.socket).ok()
        });
    }

    /// The plugin socket, as it is reached from outside the sandbox.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Whether it runs still.
    pub fn is_alive(&self) -> bool {
        self.process.is_alive()
    }

    /// Makes it read its config again.
    pub fn hangup(&self) {
        self.process.signal(Signal::SIGHUP);
    }

    /// Ends it without a chance to say goodbye.
    pub fn kill9(&self) {
        self.process.signal(Signal::SIGKILL);
        self.process.wait(STOP_LIMIT);
    }

    /// Stops it as a host does.
    #[track_caller]
    pub fn terminate(&self) -> ExitStatus {
        self.process.signal(Signal::SIGTERM);
        self.process.wait(STOP_LIMIT)
    }

    /// What it has logged: whole lines only, as JSON; a line that is none, a panic's text say, as a string.
    pub fn logs(&self) -> Vec<Value> {
        let text = self.process.stderr();
        let whole = text.split_inclusive('\n').filter_map(|it| it.strip_suffix('\n'));
        whole.map(|it| serde_json::from_str(it).unwrap_or_else(|_| Value::from(it))).collect()
    }

    /// The first line for which `is_it` holds, logged already or soon.
    ///
    /// # Panics
    ///
    /// When there is none after half a minute, with `what` it should have said.
    #[track_caller]
    pub fn wait_for_log(&self, what: &str, mut is_it: impl FnMut(&Value) -> bool) -> Value {
        wait_for(what, LOG_LIMIT, || self.logs().into_iter().find(|it| is_it(it)))
    }
}
