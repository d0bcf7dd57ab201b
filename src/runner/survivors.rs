//! Processes whose end nobody will tell.
//!
//! A boathook that is killed leaves the scripts that it ran behind, and a reaper that sees how they end. Where
//! that is gone as well nobody can tell any more. A run must never have two processes at once, so one that is to be
//! repeated waits until its survivors are through, at most until their own deadline, and then has them
//! ended. They are known by the id of their run in their environment, which their children inherit; a reaper
//! by the directory that it starts processes for.

use std::collections::HashSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getpgid, getpid};
use tokio::time::sleep;
use tracing::warn;

use super::reaper::REAPER_VARIABLE;
use crate::run::RunId;

/// How often a survivor is looked for. There is nothing to wait on.
const POLL: Duration = Duration::from_millis(100);

/// How long a killed survivor may take to be gone. Longer only where the kernel is stuck; then its run
/// is repeated all the same.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// The processes of one run.
#[derive(Debug)]
pub(super) struct Survivor {
    run: RunId,
}

impl Survivor {
    pub(super) fn of(run: &RunId) -> Survivor {
        Survivor { run: run.clone() }
    }

    /// Whether there is none.
    pub(super) fn is_gone(&self) -> bool {
        self.groups().is_empty()
    }

    /// Kills them at once.
    pub(super) fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// Ends them: nobody waits for what they would say.
    pub(super) async fn end(&self, grace: Duration) {
        if self.is_gone() {
            return;
        }
        warn!(run = %self.run, "ending a process that outlived its boathook");
        self.terminate(grace).await;
    }

    /// Ends them: SIGTERM, then, when the grace is over, SIGKILL.
    pub(super) async fn terminate(&self, grace: Duration) {
        self.signal(Signal::SIGTERM);
        if self.gone_within(grace).await {
            return;
        }
        self.signal(Signal::SIGKILL);
        if !self.gone_within(KILL_LIMIT).await {
            warn!(run = %self.run, "a killed process is still there");
        }
    }

    pub(super) async fn gone_within(&self, limit: Duration) -> bool {
        let mut waited = Duration::ZERO;
        loop {
            if self.is_gone() {
                return true;
            }
            if waited >= limit {
                return false;
            }
            sleep(POLL).await;
            waited += POLL;
        }
    }

    fn groups(&self) -> HashSet<Pid> {
        processes().filter(|it| it.run == self.run.as_str()).map(|it| it.group).collect()
    }

    fn signal(&self, signal: Signal) {
        for group in self.groups() {
            match killpg(group, signal) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => warn!(run = %self.run, %group, %error, "cannot end a process"),
            }
        }
    }
}

/// A process that knows which run it belongs to.
pub(super) struct Process {
    pub(super) run: String,
    pub(super) attempt: u32,
    pub(super) deadline: Option<Timestamp>,
    group: Pid,
}

/// The processes of hooks on this host, as far as `/proc` shows them. Not of those that we ourselves
/// belong to: boathook may be started by a hook.
pub(super) fn processes() -> impl Iterator<Item = Process> {
    let ours = getpgid(None).ok();
    environments().filter_map(move |(pid, environment)| {
        let run = variable(&environment, b"HOOK_RUN_ID=")?;
        let attempt = variable(&environment, b"HOOK_ATTEMPT=").and_then(|it| it.parse().ok()).unwrap_or(1);
        let group = getpgid(Some(pid)).ok()?;
        let deadline = variable(&environment, b"HOOK_DEADLINE=").and_then(|it| it.parse().ok());
        let deadline = deadline.and_then(|seconds| Timestamp::from_second(seconds).ok());
        (pid != getpid() && Some(group) != ours).then_some(Process { run, attempt, deadline, group })
    })
}

/// The reapers that have not ended of boathooks that started attempts in `runs_dir`.
pub(super) fn reapers(runs_dir: &Path) -> Vec<Pid> {
    environments().filter(|(_, it)| is_of_reaper(it, runs_dir)).map(|(pid, _)| pid).collect()
}

/// Whether the reaper `pid` has not ended.
pub(super) fn is_reaping(pid: Pid, runs_dir: &Path) -> bool {
    environment(pid).is_some_and(|it| is_of_reaper(&it, runs_dir))
}

fn is_of_reaper(environment: &[u8], runs_dir: &Path) -> bool {
    let mut variables = environment.split(|byte| *byte == 0);
    let dir = variables.find_map(|it| it.strip_prefix(REAPER_VARIABLE.as_bytes()));
    dir == Some(runs_dir.as_os_str().as_bytes())
}

fn environments() -> impl Iterator<Item = (Pid, Vec<u8>)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?);
        Some((pid, environment(pid)?))
    })
}

/// What a process began with; nothing is left of it once the process has ended.
fn environment(pid: Pid) -> Option<Vec<u8>> {
    fs::read(format!("/proc/{pid}/environ")).ok()
}

/// The value of a variable in what `/proc/PID/environ` holds.
fn variable(environment: &[u8], name: &[u8]) -> Option<String> {
    let value = environment.split(|byte| *byte == 0).find_map(|it| it.strip_prefix(name))?;
    String::from_utf8(value.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::variable;

    #[test]
    fn a_variable_is_found_by_its_whole_name() {
        let environment = b"NOT_HOOK_RUN_ID=no\0HOOK_RUN_ID=06b4\0HOOK_DEADLINE=17\0";

        assert_eq!(variable(environment, b"HOOK_RUN_ID=").as_deref(), Some("06b4"));
        assert_eq!(variable(environment, b"HOOK_HOST="), None);
    }
}
