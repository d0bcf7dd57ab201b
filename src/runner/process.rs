//! One child process and its process group, from spawn to the last of its descendants.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tracing::warn;

use super::files::AttemptFiles;
use super::secrets::Secret;
use crate::hook::Command;
use crate::run::{Outcome, Output};

/// How often the files of a running script are kept from growing without end.
const TRIM_EVERY: Duration = Duration::from_millis(500);

/// How often a process group is asked whether anyone is left in it. There is nothing to wait on:
/// the members are not our children.
const GROUP_POLL: Duration = Duration::from_millis(10);

/// How long a killed group may take to be gone. Longer only where the kernel is stuck, say on a
/// network filesystem; then the run is over all the same.
const KILL_LIMIT: Duration = Duration::from_secs(1);

/// Why there is no process.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpawnError {
    #[error("open the script's files")]
    Files(#[source] io::Error),
    #[error("start `{}`", .program.display())]
    Start {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// A process that runs, and everything that it started in its process group.
///
/// Dropping it kills the group at once.
#[derive(Debug)]
pub struct Running {
    child: Child,
    group: Pid,
    begun_at: Instant,
    deadline: Instant,
    grace: Duration,
    files: AttemptFiles,
    state: State,
    _secret: Secret,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Alive,
    /// The leader has been reaped; the group was left alone, or is empty.
    Over,
}

pub(super) fn spawn(
    command: &Command,
    environment: Vec<(OsString, OsString)>,
    files: AttemptFiles,
    grace: Duration,
    limit: Duration,
    secret: Secret,
) -> Result<Running, SpawnError> {
    let [stdin, stdout, stderr] = files.for_child().map_err(SpawnError::Files)?;
    let (arg0, args) = command.argv.split_first().expect("a command has a name for itself");
    // Only what posix_spawn can do by itself is asked for: anything more makes a fork of it, which
    // costs several times as much, the more the larger we are.
    let child = tokio::process::Command::new(&command.program)
        .arg0(arg0)
        .args(args)
        .env_clear()
        .envs(environment)
        .current_dir(&command.working_dir)
        .process_group(0)
        .stdin(Stdio::from(stdin))
        .stdout(Stdio::from(stdout))
        .stderr(Stdio::from(stderr))
        .spawn()
        .map_err(|source| SpawnError::Start { program: command.program.clone(), source })?;
    let begun_at = Instant::now();
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).expect("a new child has a pid");
    Ok(Running {
        child,
        group: Pid::from_raw(pid),
        begun_at,
        deadline: begun_at + limit,
        grace,
        files,
        state: State::Alive,
        _secret: secret,
    })
}

impl Running {
    /// Waits for the script, and ends its process group when its deadline comes first.
    pub async fn wait(&mut self) -> Outcome {
        match self.wait_until_deadline().await {
            Some(outcome) => outcome,
            None => {
                self.end().await;
                Outcome::TimedOut
            }
        }
    }

    /// Waits for the script, at most until its deadline: then `None`, and everything still runs.
    /// May be dropped and called again.
    pub async fn wait_until_deadline(&mut self) -> Option<Outcome> {
        loop {
            let trim_at = Instant::now() + TRIM_EVERY;
            match timeout_at(self.deadline.min(trim_at), self.child.wait()).await {
                Ok(Ok(status)) => {
                    self.state = State::Over;
                    return Some(outcome(status));
                }
                Ok(Err(error)) => {
                    // Only if somebody else reaps our children; then nothing is known of its end.
                    warn!(%error, "cannot wait for a hook");
                    self.state = State::Over;
                    return Some(Outcome::Interrupted);
                }
                Err(_) if Instant::now() >= self.deadline => return None,
                Err(_) => self.trim(),
            }
        }
    }

    /// How long ago it was started.
    pub fn took(&self) -> Duration {
        self.begun_at.elapsed()
    }

    /// What has been written until now.
    pub fn output(&mut self) -> Output {
        self.files.read().unwrap_or_else(|error| {
            warn!(%error, "cannot read what a hook wrote");
            Output::default()
        })
    }

    /// Ends the whole process group: SIGTERM, then, when the grace is over, SIGKILL.
    pub async fn end(&mut self) {
        let kill_at = Instant::now() + self.grace;
        self.signal(Signal::SIGTERM);
        if !self.group_is_empty_by(kill_at).await {
            self.signal(Signal::SIGKILL);
            self.group_is_empty_by(Instant::now() + KILL_LIMIT).await;
        }
        self.state = State::Over;
    }

    /// What was written, once it is over. The files go.
    pub async fn finish(mut self) -> Output {
        if self.state == State::Alive {
            self.end().await;
        }
        self.output()
    }

    /// Whether nobody was left in the group before `limit`.
    async fn group_is_empty_by(&mut self, limit: Instant) -> bool {
        loop {
            let tick = (Instant::now() + GROUP_POLL).min(limit);
            // The leader is reaped as soon as it ends: as a zombie it would count as a member. The
            // group's number stays taken as long as anyone else is in it.
            tokio::select! {
                _ = self.child.wait(), if self.child.id().is_some() => {}
                () = sleep_until(tick) => self.trim(),
            }
            if self.child.id().is_none() {
                if !self.group_has_members() {
                    return true;
                }
                sleep(GROUP_POLL).await;
            }
            if Instant::now() >= limit {
                return false;
            }
        }
    }

    fn group_has_members(&self) -> bool {
        killpg(self.group, None) != Err(Errno::ESRCH)
    }

    /// Sends to everyone in the group. Once the leader is reaped and the group empty, its number
    /// may belong to somebody else; so it is asked first.
    fn signal(&self, signal: Signal) {
        if self.child.id().is_some() || self.group_has_members() {
            // It may have ended in between.
            let _ = killpg(self.group, signal);
        }
    }

    fn trim(&mut self) {
        if let Err(error) = self.files.trim() {
            warn!(%error, "cannot bound what a hook writes");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.state == State::Alive {
            self.signal(Signal::SIGKILL);
        }
    }
}

fn outcome(status: ExitStatus) -> Outcome {
    match (status.code(), status.signal()) {
        (Some(code), _) => Outcome::Exited(code),
        (None, Some(signal)) => Outcome::Signaled(signal),
        (None, None) => unreachable!("a process exits or is killed"),
    }
}
