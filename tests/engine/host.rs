//! The inside of a sandbox, shared by its handles: which engine is used, where files are, how things start.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::installation::{Engine, Unavailable};
use super::process::Process;
use super::space::Space;

/// Lines of each log that are shown when a test fails.
const TAIL_LINES: usize = 30;

/// The inside of a sandbox.
pub(super) struct Host {
    space: Space,
    engine: Engine,
    /// Counts what was started, to name files.
    started: AtomicU32,
}

impl Host {
    /// An inside in which nothing runs.
    ///
    /// # Errors
    ///
    /// When there can be none here.
    pub(super) fn open(engine: Engine) -> Result<Self, Unavailable> {
        engine.check()?;
        let space = Space::open()?;
        fs::create_dir(space.dir().join("output")).expect("write to a new folder");
        Ok(Self { space, engine, started: AtomicU32::new(0) })
    }

    /// Ends everything in it. Nothing can be started any more.
    ///
    /// # Errors
    ///
    /// When something stays behind, and what.
    pub(super) fn close(&self) -> Result<(), String> {
        self.space.close()
    }

    /// The folder, at the same place inside and outside.
    pub(super) fn dir(&self) -> &Path {
        self.space.dir()
    }

    /// A path in the folder, with the folders above it.
    pub(super) fn place(&self, name: &str) -> PathBuf {
        let path = self.dir().join(name);
        fs::create_dir_all(path.parent().unwrap_or(&path)).expect("make a folder in the sandbox's");
        path
    }

    /// A socket that listens inside.
    pub(super) fn listen(&self) -> io::Result<TcpListener> {
        self.space.listen()
    }

    /// Where the engine listens: inside, the place that is every client's default.
    pub(super) fn docker_socket(&self) -> PathBuf {
        self.dir().join("run/docker.sock")
    }

    /// The docker client.
    pub(super) fn client(&self) -> &OsStr {
        self.engine.client().as_os_str()
    }

    /// A command with the sandbox's environment, and nothing of ours except `PATH`.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", self.engine.path()).env("HOME", self.dir());
        command.env("DOCKER_HOST", format!("unix://{}", self.docker_socket().display()));
        command.current_dir(self.dir()).stdin(Stdio::null()).process_group(0);
        command
    }

    /// A number that nothing else in this sandbox has.
    pub(super) fn number(&self) -> u32 {
        self.started.fetch_add(1, Ordering::Relaxed)
    }

    /// Starts a command whose output is appended to these files of the folder.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[track_caller]
    pub(super) fn start(&self, mut command: Command, stdout: &str, stderr: &str) -> Arc<Process> {
        let (stdout, stderr) = (self.dir().join(stdout), self.dir().join(stderr));
        command.stdout(append(&stdout)).stderr(append(&stderr));
        match self.space.spawn(&mut command, stdout, stderr) {
            Ok(process) => process,
            Err(error) => panic!("start `{}`: {error}", command.get_program().display()),
        }
    }

    /// The ends of the logs in the folder, for a test that has failed.
    pub(super) fn tails(&self) -> String {
        let entries = fs::read_dir(self.dir()).into_iter().flatten().flatten();
        let mut logs: Vec<_> =
            entries.map(|it| it.path()).filter(|it| it.extension().is_some_and(|it| it == "log")).collect();
        logs.sort();
        logs.iter().map(|it| tail(it)).collect()
    }
}

fn append(path: &Path) -> File {
    File::options().create(true).append(true).open(path).expect("write into the sandbox's folder")
}

fn tail(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    let end = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    format!("--- the end of {} ---\n{}\n", path.display(), end.join("\n"))
}
