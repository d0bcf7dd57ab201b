//! One hook's process and its process group, from spawn to the last of its descendants.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tracing::warn;

use super::broom::Traces;
use super::child::c_string;
use super::files::AttemptFiles;
use super::reaper::{Commission, Lost, Reaper, ReaperError, Ward};
use super::secrets::Secret;
use super::survivors::Survivor;
use crate::hook::Command;
use crate::launch::{Order, VARIABLE_PREFIX};
use crate::run::{Outcome, Output, RunId};

/// How often the files of a running script are kept from growing without end.
const TRIM_EVERY: Duration = Duration::from_millis(500);

/// How often a process group is asked whether anyone is left in it. There is nothing to wait on:
/// the members are not our children.
const GROUP_POLL: Duration = Duration::from_millis(10);

/// How long a killed group may take to be gone. Longer only where the kernel is stuck, say on a
/// network filesystem; then the run is over all the same.
const KILL_LIMIT: Duration = Duration::from_secs(1);

/// What a process is spawned with.
pub(super) struct Start<'a> {
    pub(super) run: &'a RunId,
    pub(super) command: &'a Command,
    /// What has to be done between boathook and the script; nothing, if it is empty.
    pub(super) order: &'a Order,
    /// The program that does it.
    pub(super) launcher: &'a Path,
    pub(super) reaper: &'a Reaper,
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
    run: RunId,
    child: Ward,
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
    /// Has it spawned: the script itself, or the launcher that becomes the script.
    pub(super) async fn spawn(self) -> Result<Process, ReaperError> {
        let commission = if self.order.is_empty() { self.script() } else { self.launch() };
        let begun_at = Instant::now();
        let child = self.reaper.start(&commission, self.files.for_reaper()).await?;
        Ok(Process {
            run: self.run.clone(),
            child,
            begun_at,
            deadline: begun_at + self.limit,
            grace: self.grace,
            files: self.files,
            state: State::Alive,
            _secret: self.secret,
        })
    }

    fn script(&self) -> Commission {
        Commission {
            program: self.command.program.clone(),
            argv: self.command.argv.iter().map(c_string).collect(),
            environment: variables(&self.environment, ""),
            working_dir: self.command.working_dir.clone(),
            umask: self.command.launch.umask,
            reports: false,
        }
    }

    fn launch(&self) -> Commission {
        let (order, event) = (OsString::from(self.order.to_string()), self.files.event());
        let told = [self.launcher.as_os_str(), &order, event.as_os_str(), self.command.program.as_os_str()];
        let argv = told.into_iter().chain(self.command.argv.iter().map(OsString::as_os_str));
        Commission {
            program: self.launcher.to_owned(),
            argv: argv.map(c_string).collect(),
            environment: variables(&self.environment, VARIABLE_PREFIX),
            working_dir: self.command.working_dir.clone(),
            umask: self.command.launch.umask,
            reports: true,
        }
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

impl Process {
    /// Waits for the script, at most until its deadline: then `None`, and everything still runs.
    /// May be dropped and called again.
    pub(super) async fn wait_until_deadline(&mut self) -> Option<Outcome> {
        loop {
            let trim_at = Instant::now() + TRIM_EVERY;
            match timeout_at(self.deadline.min(trim_at), self.child.wait()).await {
                Ok(Ok(outcome)) => {
                    self.state = State::Over;
                    return Some(outcome);
                }
                Ok(Err(Lost)) => {
                    warn!(run = %self.run, "nobody will see how a hook ends: who started it is gone");
                    self.end_lost().await;
                    return Some(Outcome::Interrupted);
                }
                Err(_) if Instant::now() >= self.deadline => return None,
                Err(_) => self.trim(),
            }
        }
    }

    /// Waits until nobody is left of an attempt whose end nobody sees, and ends it when it is out of time.
    async fn end_lost(&mut self) {
        let survivor = Survivor::of(&self.run);
        if !survivor.gone_within(self.deadline.saturating_duration_since(Instant::now())).await {
            survivor.end(self.grace).await;
        }
        self.state = State::Over;
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

    /// Ends the whole process group: SIGTERM, then, when the grace is over, SIGKILL. As what that counts is
    /// written down first: whoever finds the attempt after boathook's own end must not take what the script makes
    /// of SIGTERM for its outcome.
    pub(super) async fn end(&mut self, outcome: &Outcome) {
        if let Err(error) = self.files.end(outcome) {
            warn!(run = %self.run, %error, "cannot note why a hook is ended");
        }
        let kill_at = Instant::now() + self.grace;
        if !self.child.is_over() && timeout_at(kill_at, self.child.begun()).await.is_err() {
            // Its program hangs before it has begun, or the programs of others do.
            self.child.cancel();
            self.state = State::Over;
            return;
        }
        self.signal(Signal::SIGTERM);
        if !self.group_is_empty_by(kill_at).await {
            self.signal(Signal::SIGKILL);
            self.group_is_empty_by(Instant::now() + KILL_LIMIT).await;
        }
        self.state = State::Over;
    }

    /// What was written, once it is over. The files go with what is returned beside it.
    pub(super) async fn finish(mut self) -> (Output, Option<Traces>) {
        if self.state == State::Alive {
            self.end(&Outcome::Interrupted).await;
        }
        let output = self.output();
        (output, self.files.finish())
    }

    /// Whether nobody was left in the group before `limit`.
    async fn group_is_empty_by(&mut self, limit: Instant) -> bool {
        loop {
            let tick = (Instant::now() + GROUP_POLL).min(limit);
            // The group's number stays taken as long as anyone is in it; a leader that has not been reaped counts
            // as a member.
            tokio::select! {
                _ = self.child.wait(), if !self.child.is_over() => {}
                () = sleep_until(tick) => self.trim(),
            }
            if self.child.is_over() {
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
        self.child.pid().is_some_and(|it| killpg(it, None) != Err(Errno::ESRCH))
    }

    /// Sends to everyone in the group. Once the leader is reaped and the group empty, its number
    /// may belong to somebody else; so it is asked first.
    fn signal(&self, signal: Signal) {
        let Some(pid) = self.child.pid() else { return };
        if !self.child.is_over() || self.group_has_members() {
            // It may have ended in between.
            let _ = killpg(pid, signal);
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
            // Also if it has not begun yet.
            self.child.cancel();
            self.signal(Signal::SIGKILL);
        }
    }
}
