//! Processes of a boathook that is no more.
//!
//! A boathook that is killed leaves the scripts that it ran behind. They are not our children: nobody can
//! tell any more how they end. A run must never have two processes at once, so one that is to be
//! repeated waits until its survivors are through, at most until their own deadline, and then has them
//! ended. They are known by the id of their run in their environment, which their children inherit.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getpgid, getpid};
use tokio::time::sleep;
use tracing::{info, warn};

use crate::hook::Deadline;
use crate::run::RunId;

/// How often a survivor is looked for. There is nothing to wait on.
const POLL: Duration = Duration::from_millis(100);

/// How long a killed survivor may take to be gone. Longer only where the kernel is stuck; then its run
/// is repeated all the same.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// What a boathook before this one left running.
#[derive(Debug, Default)]
pub struct Survivors {
    runs: HashMap<String, Survivor>,
}

/// The processes of one run.
#[derive(Debug)]
pub struct Survivor {
    run: String,
    /// When the attempt is out of time, as its script was told.
    deadline: Option<Timestamp>,
}

impl Survivors {
    /// Looks for them, in the environments of all processes.
    pub fn look() -> Survivors {
        let mut runs: HashMap<String, Survivor> = HashMap::new();
        for process in processes() {
            let survivor = Survivor { run: process.run.clone(), deadline: process.deadline };
            runs.entry(process.run).or_insert(survivor);
        }
        if !runs.is_empty() {
            warn!(runs = runs.len(), "hooks of a boathook that was killed still run");
        }
        Survivors { runs }
    }

    /// Those of `run`, if there are any. They are not known here afterwards.
    pub fn take(&mut self, run: &RunId) -> Option<Survivor> {
        self.runs.remove(run.as_str())
    }

    /// Whether the directory of an attempt, `RUN.NUMBER`, belongs to one.
    pub fn own(&self, dir: &Path) -> bool {
        let name = dir.file_name().and_then(|it| it.to_str()).unwrap_or_default();
        name.split('.').next().is_some_and(|run| self.runs.contains_key(run))
    }
}

impl Survivor {
    /// Waits until they are through, and ends them at their deadline as boathook would have.
    pub async fn outlived(self, deadline: Deadline) {
        let left = |until: Timestamp| Duration::try_from(until.duration_since(Timestamp::now())).ok();
        let left = self.deadline.and_then(left).unwrap_or_default().min(deadline.limit);
        info!(run = self.run, wait = ?left, "waiting for a process that outlived its boathook");
        if self.gone_within(left).await {
            return;
        }
        self.end(deadline.grace).await;
    }

    /// Ends them: nobody waits for what they would say.
    pub async fn end(self, grace: Duration) {
        warn!(run = self.run, "ending a process that outlived its boathook");
        self.signal(Signal::SIGTERM);
        if self.gone_within(grace).await {
            return;
        }
        self.signal(Signal::SIGKILL);
        if !self.gone_within(KILL_LIMIT).await {
            warn!(run = self.run, "a killed process is still there");
        }
    }

    async fn gone_within(&self, limit: Duration) -> bool {
        let mut waited = Duration::ZERO;
        loop {
            if self.groups().is_empty() {
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
        processes().filter(|it| it.run == self.run).map(|it| it.group).collect()
    }

    fn signal(&self, signal: Signal) {
        for group in self.groups() {
            match killpg(group, signal) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => warn!(run = self.run, %group, %error, "cannot end a process"),
            }
        }
    }
}

/// A process that knows which run it belongs to.
struct Process {
    run: String,
    deadline: Option<Timestamp>,
    group: Pid,
}

/// The processes of hooks on this host, as far as `/proc` shows them. Not of those that we ourselves
/// belong to: boathook may be started by a hook.
fn processes() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ours = getpgid(None).ok();
    entries.filter_map(move |entry| {
        let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?);
        let environment = fs::read(entry.path().join("environ")).ok()?;
        let run = variable(&environment, b"HOOK_RUN_ID=")?;
        let group = getpgid(Some(pid)).ok()?;
        let deadline = variable(&environment, b"HOOK_DEADLINE=").and_then(|it| it.parse().ok());
        let deadline = deadline.and_then(|seconds| Timestamp::from_second(seconds).ok());
        (pid != getpid() && Some(group) != ours).then_some(Process { run, deadline, group })
    })
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
