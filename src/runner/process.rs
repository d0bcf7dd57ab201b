//! One hook's process and its process group, from spawn to the last of its descendants.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::io::{self, PipeReader, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, killpg};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tracing::warn;

use super::child::{Child, ChildError, Inherited, Plan};
use super::files::AttemptFiles;
use super::secrets::Secret;
use crate::hook::Command;
use crate::launch::{Order, VARIABLE_PREFIX};
use crate::run::{Outcome, Output};

/// How often the files of a running script are kept from growing without end.
const TRIM_EVERY: Duration = Duration::from_millis(500);

/// How often a process group is asked whether anyone is left in it. There is nothing to wait on:
/// the members are not our children.
const GROUP_POLL: Duration = Duration::from_millis(10);

/// How long a killed group may take to be gone. Longer only where the kernel is stuck, say on a
/// network filesystem; then the run is over all the same.
const KILL_LIMIT: Duration = Duration::from_secs(1);

/// How much of the launcher's report is read, in bytes: one line.
const REPORT_BYTES_MAX: u64 = 4096;

/// Why there is no process.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpawnError {
    #[error("make a pipe for the launcher")]
    Pipe(#[source] io::Error),
    #[error(transparent)]
    Child(#[from] ChildError),
}

/// What a process is spawned with.
pub(super) struct Start<'a> {
    pub(super) command: &'a Command,
    /// What has to be done between boathook and the script; nothing, if it is empty.
    pub(super) order: &'a Order,
    /// The program that does it.
    pub(super) launcher: &'a Path,
    pub(super) inherited: &'a Inherited,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) files: AttemptFiles,
    pub(super) limit: Duration,
    pub(super) grace: Duration,
    pub(super) secret: Secret,
}

/// A process that runs, and everything that it started in its process group.
///
/// Dropping it kills the group at once.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// Where the launcher says why there is no script.
    report: Option<PipeReader>,
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

impl Start<'_> {
    /// Spawns it: the script itself, or the launcher that becomes the script.
    pub(super) fn spawn(self) -> Result<Process, SpawnError> {
        let (child, report) = if self.order.is_empty() { (self.script()?, None) } else { self.launch()? };
        let begun_at = Instant::now();
        Ok(Process {
            child,
            report,
            begun_at,
            deadline: begun_at + self.limit,
            grace: self.grace,
            files: self.files,
            state: State::Alive,
            _secret: self.secret,
        })
    }

    fn script(&self) -> Result<Child, SpawnError> {
        let argv: Vec<CString> = self.command.argv.iter().map(|it| c_string(it)).collect();
        let [stdin, stdout, stderr] = self.files.for_child();
        Ok(Child::spawn(&Plan {
            program: &self.command.program,
            argv: &argv,
            environment: &variables(&self.environment, ""),
            working_dir: &self.command.working_dir,
            umask: self.command.launch.umask,
            descriptors: &[stdin, stdout, stderr],
            inherited: self.inherited,
        })?)
    }

    fn launch(&self) -> Result<(Child, Option<PipeReader>), SpawnError> {
        let (report, written) = io::pipe().map_err(SpawnError::Pipe)?;
        // Read when the leader has ended: then there is a report, or there never will be.
        fcntl(&report, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|it| SpawnError::Pipe(it.into()))?;
        let (order, event) = (OsString::from(self.order.to_string()), self.files.event());
        let told = [self.launcher.as_os_str(), &order, event.as_os_str(), self.command.program.as_os_str()];
        let argv = told.into_iter().chain(self.command.argv.iter().map(OsString::as_os_str));
        let [stdin, stdout, stderr] = self.files.for_child();
        let child = Child::spawn(&Plan {
            program: self.launcher,
            argv: &argv.map(c_string).collect::<Vec<_>>(),
            environment: &variables(&self.environment, VARIABLE_PREFIX),
            working_dir: &self.command.working_dir,
            umask: self.command.launch.umask,
            descriptors: &[stdin, stdout, stderr, written.as_fd()],
            inherited: self.inherited,
        })?;
        Ok((child, Some(report)))
    }
}

/// `NAME=value`, each name once: of two values the last one holds.
fn variables(environment: &[(OsString, OsString)], prefix: &str) -> Vec<CString> {
    let last: BTreeMap<&OsString, &OsString> =
        environment.iter().map(|(name, value)| (name, value)).collect();
    let line = |(name, value): (&OsString, &OsString)| {
        let mut line = OsString::from(prefix);
        line.extend([name.as_os_str(), OsStr::new("="), value]);
        c_string(&line)
    };
    last.into_iter().map(line).collect()
}

fn c_string(text: &OsStr) -> CString {
    CString::new(text.as_bytes()).expect("what holds a NUL is refused or left out before")
}

impl Process {
    /// Waits for the script, at most until its deadline: then `None`, and everything still runs.
    /// May be dropped and called again.
    pub(super) async fn wait_until_deadline(&mut self) -> Option<Outcome> {
        loop {
            let trim_at = Instant::now() + TRIM_EVERY;
            match timeout_at(self.deadline.min(trim_at), self.child.wait()).await {
                Ok(Ok(outcome)) => {
                    self.state = State::Over;
                    return Some(self.never_started().unwrap_or(outcome));
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

    /// What the launcher has to say, if it never became the script.
    fn never_started(&mut self) -> Option<Outcome> {
        let mut text = Vec::new();
        // Without a report nothing is read, or, where a child that is just being spawned still
        // holds the other end, there is nothing to be read yet.
        let _ = self.report.take()?.take(REPORT_BYTES_MAX).read_to_end(&mut text);
        (!text.is_empty()).then(|| Outcome::NotStarted(String::from_utf8_lossy(&text).into_owned()))
    }

    /// How long ago it was started.
    pub(super) fn took(&self) -> Duration {
        self.begun_at.elapsed()
    }

    /// What has been written until now.
    pub(super) fn output(&mut self) -> Output {
        self.files.read().unwrap_or_else(|error| {
            warn!(%error, "cannot read what a hook wrote");
            Output::default()
        })
    }

    /// Ends the whole process group: SIGTERM, then, when the grace is over, SIGKILL.
    pub(super) async fn end(&mut self) {
        let kill_at = Instant::now() + self.grace;
        self.signal(Signal::SIGTERM);
        if !self.group_is_empty_by(kill_at).await {
            self.signal(Signal::SIGKILL);
            self.group_is_empty_by(Instant::now() + KILL_LIMIT).await;
        }
        self.state = State::Over;
    }

    /// What was written, once it is over. The files go.
    pub(super) async fn finish(mut self) -> Output {
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
                _ = self.child.wait(), if !self.child.is_reaped() => {}
                () = sleep_until(tick) => self.trim(),
            }
            if self.child.is_reaped() {
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
        killpg(self.child.pid(), None) != Err(Errno::ESRCH)
    }

    /// Sends to everyone in the group. Once the leader is reaped and the group empty, its number
    /// may belong to somebody else; so it is asked first.
    fn signal(&self, signal: Signal) {
        if !self.child.is_reaped() || self.group_has_members() {
            // It may have ended in between.
            let _ = killpg(self.child.pid(), signal);
        }
    }

    fn trim(&mut self) {
        if let Err(error) = self.files.trim() {
            warn!(%error, "cannot bound what a hook writes");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.state == State::Alive {
            self.signal(Signal::SIGKILL);
        }
    }
}
