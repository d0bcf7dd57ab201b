//! One process in a sandbox, and what it prints.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::iter;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::wait::wait_until;

/// Held while a child is started and while a script is written: a child that exists, but does not run
/// its program yet, holds a script that is being written open, and running the script then fails with
/// "text file busy".
static FORK: Mutex<()> = Mutex::new(());

/// How a command ended, and what it printed.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// All of it; bytes that are not UTF-8 replaced.
    pub stdout: String,
    /// As `stdout`.
    pub stderr: String,
}

/// One process in a sandbox. It ends with the sandbox at the latest.
pub struct Process {
    /// For people.
    command: String,
    child: Mutex<Child>,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// The child of `command`, which prints to these files.
    pub(super) fn new(command: &Command, child: Child, stdout: PathBuf, stderr: PathBuf) -> Self {
        let words = iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
        Self { command: words.join(" "), child: Mutex::new(child), stdout, stderr }
    }

    /// Its id as the outside counts it.
    pub fn id(&self) -> u32 {
        self.child().id()
    }

    /// Whether it runs still.
    pub fn is_alive(&self) -> bool {
        self.ended().is_none()
    }

    /// Sends a signal, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        let mut child = self.child();
        // The id is its own as long as it is not reaped, and the lock keeps others from doing that.
        if child.try_wait().expect("wait for a child").is_none() {
            let id = i32::try_from(child.id()).expect("a process id");
            kill(Pid::from_raw(id), signal).expect("signal a child");
        }
    }

    /// How it ends.
    ///
    /// # Panics
    ///
    /// When it runs for longer than `limit`.
    #[track_caller]
    pub fn wait(&self, limit: Duration) -> ExitStatus {
        match wait_until(Instant::now() + limit, || self.ended()) {
            Some(status) => status,
            None => panic!(
                "`{}` runs for more than {limit:?}\nstdout: {}\nstderr: {}",
                self.command,
                self.stdout(),
                self.stderr()
            ),
        }
    }

    /// How it ends, and what it has printed by then. Panics as [`Process::wait`] does.
    #[track_caller]
    pub fn output(&self, limit: Duration) -> Output {
        let status = self.wait(limit);
        Output { status, stdout: self.stdout(), stderr: self.stderr() }
    }

    /// What it has printed up to now.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What it has complained about up to now.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    fn ended(&self) -> Option<ExitStatus> {
        self.child().try_wait().expect("wait for a child")
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a child of ours.
pub(super) fn fork(command: &mut Command) -> io::Result<Child> {
    let _one = FORK.lock().unwrap_or_else(PoisonError::into_inner);
    command.spawn()
}

/// Writes a file that can be run at once.
pub(super) fn write_program(path: &Path, text: &str) -> io::Result<()> {
    let _one = FORK.lock().unwrap_or_else(PoisonError::into_inner);
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

fn read(path: &Path) -> String {
    fs::read(path).map(|it| String::from_utf8_lossy(&it).into_owned()).unwrap_or_default()
}
