//! A host of its own for one test: files, commands, an engine, a boathook.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::boathook::{Boathook, BoathookOptions};
use super::dockerd::{Dockerd, DockerdOptions};
use super::generation::Generation;
use super::host::Host;
use super::image;
use super::installation::{Engine, Unavailable};
use super::process::{Output, Process, write_program};

/// For one command. A client whose engine misses its authorization plugin takes 32 s to say so.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// A host of its own. Handles of the processes in it may outlive it; the processes do not.
pub struct Sandbox {
    host: Arc<Host>,
}

impl Sandbox {
    /// A sandbox with the installed engine, or `None` where there can be none: the reason is on stderr,
    /// and the test has nothing to do.
    ///
    /// # Panics
    ///
    /// Instead of `None`, with `CI=true` or `BOATHOOK_TEST_ENGINE=required` in the environment: there a
    /// test that does not run is a test that fails.
    pub fn available() -> Option<Self> {
        Self::unless_unavailable(Ok(Engine::installed()))
    }

    /// As [`Sandbox::available`], with the engine of a generation. `None` as well, and not a word, where
    /// tests are to be run on others only.
    pub fn available_on(generation: Generation) -> Option<Self> {
        if generation.is_wanted() { Self::unless_unavailable(Engine::of(generation)) } else { None }
    }

    fn unless_unavailable(engine: Result<Engine, Unavailable>) -> Option<Self> {
        match engine.and_then(Self::new) {
            Ok(sandbox) => Some(sandbox),
            Err(reason) if is_required() => panic!("{reason}"),
            Err(reason) => {
                // Not by `eprintln`: the test harness would keep it to itself.
                writeln!(io::stderr(), "skipped: {reason}").expect("write to stderr");
                None
            }
        }
    }

    /// A sandbox with this engine, which is not started yet.
    ///
    /// # Errors
    ///
    /// When there can be none here, and what to do about it.
    pub fn new(engine: Engine) -> Result<Self, Unavailable> {
        Ok(Self { host: Arc::new(Host::open(engine)?) })
    }

    /// Its folder, at the same place inside and outside. `/run` inside is `run` in here.
    pub fn dir(&self) -> &Path {
        self.host.dir()
    }

    /// Where the engine listens; inside, `/var/run/docker.sock` is the same.
    pub fn docker_socket(&self) -> PathBuf {
        self.host.docker_socket()
    }

    /// Writes a file into the folder, and the folders above it. The path is its name.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.host.place(name);
        fs::write(&path, text).expect("write into the sandbox's folder");
        path
    }

    /// As [`Sandbox::write`], for a file that is run.
    pub fn write_program(&self, name: &str, text: &str) -> PathBuf {
        let path = self.host.place(name);
        write_program(&path, text).expect("write into the sandbox's folder");
        path
    }

    /// A socket that listens on the loopback address inside.
    ///
    /// # Panics
    ///
    /// When there is none to be had.
    pub fn listen(&self) -> TcpListener {
        self.host.listen().expect("a socket in the sandbox's network")
    }

    /// Runs a command inside.
    ///
    /// # Panics
    ///
    /// When it cannot be started or takes more than a minute.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, command: &[S]) -> Output {
        self.spawn(command).output(COMMAND_LIMIT)
    }

    /// Starts a command inside.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[track_caller]
    pub fn spawn<S: AsRef<OsStr>>(&self, command: &[S]) -> Arc<Process> {
        let [program, arguments @ ..] = command else { panic!("a command has a program") };
        let mut command = self.host.command(program);
        command.args(arguments);
        let number = self.host.number();
        self.host.start(command, &format!("output/{number}.stdout"), &format!("output/{number}.stderr"))
    }

    /// Runs the docker client. Panics as [`Sandbox::run`] does.
    #[track_caller]
    pub fn docker<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Output {
        let client = [self.host.client()];
        let command: Vec<_> = client.into_iter().chain(arguments.iter().map(AsRef::as_ref)).collect();
        self.run(&command)
    }

    /// Runs the docker client; what it printed, trimmed.
    ///
    /// # Panics
    ///
    /// When it fails, and as [`Sandbox::run`] does.
    #[track_caller]
    pub fn docker_ok<S: AsRef<OsStr>>(&self, arguments: &[S]) -> String {
        let output = self.docker(arguments);
        if !output.status.success() {
            let arguments: Vec<_> = arguments.iter().map(AsRef::as_ref).collect();
            panic!("docker {arguments:?}: {}: {}", output.status, output.stderr);
        }
        output.stdout.trim().to_owned()
    }

    /// Runs the docker client, which must not succeed; what it said.
    ///
    /// # Panics
    ///
    /// When it does, and as [`Sandbox::run`] does.
    #[track_caller]
    pub fn docker_refused<S: AsRef<OsStr>>(&self, arguments: &[S]) -> String {
        let output = self.docker(arguments);
        if output.status.success() {
            let arguments: Vec<_> = arguments.iter().map(AsRef::as_ref).collect();
            panic!("docker {arguments:?} succeeds: {}", output.stdout);
        }
        output.stderr
    }

    /// Runs a script in a shell inside; what it printed.
    ///
    /// # Panics
    ///
    /// When it fails, and as [`Sandbox::run`] does.
    #[track_caller]
    pub fn shell(&self, script: &str) -> String {
        let output = self.run(&["sh", "-c", script]);
        assert!(output.status.success(), "{script}: {}", output.stderr);
        output.stdout
    }

    /// Starts the engine and waits until it answers. Panics as [`Dockerd::wait_until_it_answers`] does.
    #[track_caller]
    pub fn start_dockerd(&self, options: DockerdOptions<'_>) -> Dockerd {
        let dockerd = self.spawn_dockerd(options);
        dockerd.wait_until_it_answers();
        dockerd
    }

    /// Starts the engine.
    pub fn spawn_dockerd(&self, options: DockerdOptions<'_>) -> Dockerd {
        Dockerd::spawn(Arc::clone(&self.host), options)
    }

    /// Starts boathook with this config and waits until its plugin socket can be connected to.
    #[track_caller]
    pub fn start_boathook(&self, config: &str, options: BoathookOptions<'_>) -> Boathook {
        let boathook = self.spawn_boathook(config, options);
        boathook.wait_until_it_listens();
        boathook
    }

    /// Starts boathook with this config.
    pub fn spawn_boathook(&self, config: &str, options: BoathookOptions<'_>) -> Boathook {
        let config = self.write("config.yaml", config);
        Boathook::spawn(&self.host, &config, options)
    }

    /// Starts boathook with the config that lies there, and waits until its plugin socket can be
    /// connected to.
    #[track_caller]
    pub fn start_boathook_from(&self, config: &Path, options: BoathookOptions<'_>) -> Boathook {
        let boathook = Boathook::spawn(&self.host, config, options);
        boathook.wait_until_it_listens();
        boathook
    }

    /// The ends of the logs: of the engine, of boathook.
    pub fn tails(&self) -> String {
        self.host.tails()
    }

    /// Gives the engine the image `busybox:test`.
    pub fn import_busybox(&self) {
        image::import_busybox(self);
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let failed = thread::panicking();
        if failed {
            complain(&self.host.tails());
        }
        match self.host.close() {
            Err(left) if failed => complain(&left),
            Err(left) => panic!("{left}"),
            Ok(()) => {}
        }
    }
}

/// To where the test harness puts what belongs to the test that fails.
#[expect(clippy::print_stderr, reason = "only this way is it shown with the test, and only if it fails")]
fn complain(text: &str) {
    eprintln!("{text}");
}

fn is_required() -> bool {
    let is = |name, value| env::var_os(name).is_some_and(|it| it == value);
    is("CI", "true") || is("BOATHOOK_TEST_ENGINE", "required")
}
