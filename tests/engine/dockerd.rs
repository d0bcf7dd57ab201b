//! The engine of a host.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::host::Host;
use super::process::Process;
use super::wait::wait_for;

/// From start to first answer: a third of a second, but 15 s for each plugin that is missing, and more
/// where a network's plugin is.
const START_LIMIT: Duration = Duration::from_secs(120);

/// dockerd itself gives containers 15 s, then ends.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// For one answer to a ping, which waits for authorization plugins.
const PING_LIMIT: Duration = Duration::from_secs(20);

/// How the engine is started.
#[derive(Debug, Clone, Copy, Default)]
pub struct DockerdOptions<'a> {
    /// The name of the plugin that is asked about every call.
    pub authorization_plugin: Option<&'a str>,
    /// Whether containers run on while the engine is away.
    pub live_restore: bool,
    /// What else is on its command line.
    pub arguments: &'a [&'a str],
}

/// The engine of a sandbox, running or not.
pub struct Dockerd {
    host: Arc<Host>,
    arguments: Vec<String>,
    process: Mutex<Arc<Process>>,
}

impl Dockerd {
    /// Starts the engine of `host`.
    pub(super) fn spawn(host: Arc<Host>, options: DockerdOptions<'_>) -> Self {
        let arguments = arguments(&host, options);
        let process = Mutex::new(spawn(&host, &arguments));
        Self { host, arguments, process }
    }

    /// Waits until the API answers.
    ///
    /// # Panics
    ///
    /// When the engine exits instead, or does neither.
    #[track_caller]
    pub fn wait_until_it_answers(&self) {
        wait_for("dockerd to answer", START_LIMIT, || {
            assert!(self.is_alive(), "dockerd exits instead of answering");
            self.answers().then_some(())
        });
    }

    /// Whether the API answers.
    pub fn answers(&self) -> bool {
        ping(&self.host).is_some_and(|reply| reply.starts_with("HTTP/1.1 200 "))
    }

    /// Whether the process runs.
    pub fn is_alive(&self) -> bool {
        self.process().is_alive()
    }

    /// Its process, the present one.
    pub fn process(&self) -> Arc<Process> {
        Arc::clone(&self.slot())
    }

    /// Reloads its configuration, `/etc/docker/daemon.json`.
    pub fn hangup(&self) {
        self.process().signal(Signal::SIGHUP);
    }

    /// Stops it as a host does.
    pub fn stop(&self) -> ExitStatus {
        self.process().signal(Signal::SIGTERM);
        self.process().wait(STOP_LIMIT)
    }

    /// Ends it without a chance to say goodbye. Its containerd goes with it, containers stay.
    pub fn kill9(&self) {
        self.process().signal(Signal::SIGKILL);
        self.process().wait(STOP_LIMIT);
    }

    /// Starts it after its end, and waits until it answers.
    #[track_caller]
    pub fn start(&self) {
        assert!(!self.is_alive(), "dockerd runs already");
        *self.slot() = spawn(&self.host, &self.arguments);
        self.wait_until_it_answers();
    }

    /// Stops it, and starts it again.
    #[track_caller]
    pub fn restart(&self) {
        self.stop();
        self.start();
    }

    fn slot(&self) -> MutexGuard<'_, Arc<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The command line that keeps an engine within its host.
fn arguments(host: &Host, options: DockerdOptions<'_>) -> Vec<String> {
    let dir = host.dir().display();
    let name = host.dir().file_name().expect("a folder with a name").display();
    let mut arguments = vec![
        format!("--host=unix://{}", host.docker_socket().display()),
        format!("--data-root={dir}/data"),
        format!("--exec-root={dir}/exec"),
        format!("--pidfile={dir}/dockerd.pid"),
        // Control groups are the machine's: below this one they are found when the sandbox ends.
        format!("--cgroup-parent=/{name}"),
        "--exec-opt=native.cgroupdriver=cgroupfs".to_owned(),
    ];
    arguments.extend(options.authorization_plugin.map(|it| format!("--authorization-plugin={it}")));
    arguments.extend(options.live_restore.then(|| "--live-restore".to_owned()));
    arguments.extend(options.arguments.iter().map(|&it| it.to_owned()));
    arguments
}

fn spawn(host: &Host, arguments: &[String]) -> Arc<Process> {
    let mut command = host.command("dockerd");
    command.args(arguments);
    host.start(command, "dockerd.log", "dockerd.log")
}

/// What the engine says to a ping, if anybody listens.
fn ping(host: &Host) -> Option<String> {
    let mut socket = UnixStream::connect(host.docker_socket()).ok()?;
    socket.set_read_timeout(Some(PING_LIMIT)).ok()?;
    socket.write_all(b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n").ok()?;
    let mut reply = String::new();
    socket.read_to_string(&mut reply).ok()?;
    Some(reply)
}
