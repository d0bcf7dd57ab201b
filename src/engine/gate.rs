//! A gate: the programs that Docker waits for, one after the other, until one says no.
//!
//! The verdict goes out when the gate's time is up at the latest; ending what still runs goes on
//! behind it. The gate keeps its place in its subject's lane until the last process is gone.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::groups::{Groups, Permit};
use super::{Rules, conclude, keep, log_attempt, retry_of};
use crate::hook::{Mode, OnFailure};
use crate::journal::Journal;
use crate::lifecycle::{Subject, Verdict};
use crate::run::{Conclusion, Entry, Outcome, Output, Run};
use crate::runner::{Runner, Running};

/// The longest message that a docker user is shown, in characters. It stands in one line of an
/// error of the docker command.
const MESSAGE_CHARS_MAX: usize = 1000;

/// A gate that has programs to run.
pub(super) struct Gate {
    pub(super) subject: Subject,
    /// In the order in which they are asked.
    pub(super) runs: Vec<Arc<Run>>,
    /// How long the whole gate may take from `opened_at`, waiting for its turn included.
    pub(super) limit: Duration,
    pub(super) opened_at: Instant,
    /// Told when the subject's earlier runs are through.
    pub(super) turn: oneshot::Receiver<()>,
    pub(super) reply: oneshot::Sender<Verdict>,
    pub(super) rules: Arc<Rules>,
    pub(super) room: Room,
    pub(super) groups: Groups,
    pub(super) runner: Runner,
    pub(super) journal: Journal,
    pub(super) stopping: CancellationToken,
}

/// Whether another gate may run programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Left,
    Full,
}

/// A gate whose last process is gone.
pub(super) struct GateOver {
    pub(super) subject: Subject,
    /// Whether it held its subject's lane.
    pub(super) had_turn: bool,
}

/// What one hook of a gate came to.
enum Answer {
    /// The next one is asked.
    GoOn,
    /// The gate says no, or cannot decide.
    Verdict(Verdict),
}

/// An attempt that has outlived its deadline and is still to be ended.
struct Leftover {
    run: Arc<Run>,
    attempt: u32,
    running: Running,
    _permit: Option<Permit>,
}

impl Gate {
    pub(super) async fn run(mut self) -> GateOver {
        let had_turn = self.wait_for_turn().await;
        let mut leftovers = Vec::new();
        let mut verdict = Verdict::Allow;
        let runs = std::mem::take(&mut self.runs);
        let mut left = runs.iter();
        for run in left.by_ref() {
            if let Answer::Verdict(it) = self.ask(run, &mut leftovers).await {
                verdict = it;
                break;
            }
        }
        // Nobody waits any more if dockerd went away.
        let _ = self.reply.send(verdict);
        for run in left {
            conclude(&self.journal, run, Conclusion::Skipped);
        }
        for leftover in leftovers {
            end(leftover, &self.journal).await;
        }
        GateOver { subject: self.subject, had_turn }
    }

    /// Waits for the subject's earlier runs, at most half the gate's time.
    async fn wait_for_turn(&mut self) -> bool {
        let until = self.opened_at + self.limit / 2;
        if let Ok(told) = timeout_at(until, &mut self.turn).await {
            return told.is_ok();
        }
        self.turn.close();
        if self.turn.try_recv().is_ok() {
            return true;
        }
        for run in &self.runs {
            warn!(run = %run.id, hook = %run.hook.name, point = %run.event.point, subject = %self.subject,
                "went ahead of earlier runs: half the gate's time was gone");
            keep(self.journal.append_behind([Entry::Overtook { run: run.id.clone() }]));
        }
        false
    }

    fn time_left(&self) -> Duration {
        (self.opened_at + self.limit).saturating_duration_since(Instant::now())
    }

    async fn ask(&self, run: &Arc<Run>, leftovers: &mut Vec<Leftover>) -> Answer {
        if self.room == Room::Full {
            conclude(&self.journal, run, Conclusion::Skipped);
            return self.failed(run, "too many gates at once");
        }
        let mut attempt = 1;
        loop {
            let limit = run.hook.deadline.limit.min(self.time_left());
            if limit.is_zero() && attempt == 1 {
                conclude(&self.journal, run, Conclusion::Skipped);
                return self.failed(run, "no time was left for it");
            }
            // Waiting for its group is part of what it may take.
            let until = Instant::now() + limit;
            let Some(permit) = self.permit(run, until).await else {
                let conclusion = if attempt == 1 { Conclusion::Skipped } else { Conclusion::Superseded };
                conclude(&self.journal, run, conclusion);
                return self.failed(run, "its group had no room in time");
            };
            let time_left = until.saturating_duration_since(Instant::now());
            let (outcome, output) = match self.attempt(run, attempt, time_left).await {
                Ok(ended) => ended,
                Err(mut running) => {
                    let said = running.output().reply().message;
                    leftovers.push(Leftover { run: run.clone(), attempt, running, _permit: permit });
                    return self.failed(run, &timed_out(limit, said));
                }
            };
            if let Some(pause) = self.pause_before_next(run, attempt, &outcome) {
                let until = Timestamp::now() + pause;
                keep(self.journal.append_behind([Entry::Deferred { run: run.id.clone(), until }]));
                drop(permit);
                sleep(pause).await;
                attempt += 1;
                continue;
            }
            return self.answer(run, &outcome, &output);
        }
    }

    /// Waits for a place in the hook's group, at most until then. `None`: there was none in time.
    async fn permit(&self, run: &Run, until: Instant) -> Option<Option<Permit>> {
        let Some(group) = &run.hook.group else { return Some(None) };
        timeout_at(until, self.groups.enter(group)).await.ok().map(Some)
    }

    /// One attempt, or the process that has outlived it.
    async fn attempt(
        &self,
        run: &Arc<Run>,
        attempt: u32,
        limit: Duration,
    ) -> Result<(Outcome, Output), Running> {
        let begun = Instant::now();
        let at = Timestamp::now();
        keep(self.journal.append_behind([Entry::Started { run: run.id.clone(), attempt, at }]));
        let (outcome, output) = match self.runner.start(run, attempt, limit) {
            Err(outcome) => (outcome, Output::default()),
            Ok(mut running) => match self.stopping.run_until_cancelled(running.wait_until_deadline()).await {
                Some(Some(outcome)) => (outcome, running.finish().await),
                Some(None) => return Err(running),
                None => {
                    running.end().await;
                    (Outcome::Interrupted, running.finish().await)
                }
            },
        };
        record(&self.journal, run, attempt, begun.elapsed(), &outcome, &output);
        Ok((outcome, output))
    }

    /// The pause before the next attempt, if there is one and it still fits into the gate's time.
    fn pause_before_next(&self, run: &Run, attempt: u32, outcome: &Outcome) -> Option<Duration> {
        if outcome.is_success() || *outcome == Outcome::Interrupted {
            return None;
        }
        retry_of(&run.hook, outcome)?.pause_after(attempt).filter(|pause| *pause < self.time_left())
    }

    fn answer(&self, run: &Arc<Run>, outcome: &Outcome, output: &Output) -> Answer {
        match outcome {
            Outcome::Interrupted => {
                conclude(&self.journal, run, Conclusion::Interrupted);
                let why = format!("hook `{}` was interrupted, as boathook stops", run.hook.name);
                match self.rules.undecided(run.event.point, &why) {
                    Verdict::Allow => Answer::GoOn,
                    deny => Answer::Verdict(deny),
                }
            }
            outcome if outcome.is_success() => {
                conclude(&self.journal, run, Conclusion::Done);
                Answer::GoOn
            }
            outcome => {
                conclude(&self.journal, run, Conclusion::Failed);
                self.failed(run, &output.reply().message.unwrap_or_else(|| outcome.to_string()))
            }
        }
    }

    /// What the failure of a hook means here.
    fn failed(&self, run: &Run, why: &str) -> Answer {
        match (run.hook.on_failure, run.hook.mode) {
            (OnFailure::Deny, Mode::Audit) => {
                log_would_deny(run, why);
                Answer::GoOn
            }
            (OnFailure::Deny, Mode::Enforce) => {
                log_denial(run, why);
                Answer::Verdict(Verdict::Deny { message: denial(run, why) })
            }
            (OnFailure::Ignore | OnFailure::Stop, _) => Answer::GoOn,
        }
    }
}

fn timed_out(limit: Duration, said: Option<String>) -> String {
    // What was left of the gate's time is seldom a round number.
    let tenths = u64::try_from(limit.as_millis().div_ceil(100)).unwrap_or(u64::MAX);
    let limit = Duration::from_millis(tenths.saturating_mul(100));
    match said {
        Some(said) => format!("took longer than {limit:?}: {said}"),
        None => format!("took longer than {limit:?}"),
    }
}

async fn end(leftover: Leftover, journal: &Journal) {
    let Leftover { run, attempt, mut running, _permit } = leftover;
    running.end().await;
    let took = running.took();
    let output = running.finish().await;
    record(journal, &run, attempt, took, &Outcome::TimedOut, &output);
    conclude(journal, &run, Conclusion::Failed);
}

fn record(journal: &Journal, run: &Run, attempt: u32, took: Duration, outcome: &Outcome, output: &Output) {
    log_attempt(run, attempt, took, outcome, output);
    let (outcome, output) = (outcome.clone(), output.clone());
    let ended = Entry::Ended { run: run.id.clone(), at: Timestamp::now(), outcome, output };
    keep(journal.append_behind([ended]));
}

/// Says in the log that the gate denied. Without a process nothing else would.
pub(super) fn log_denial(run: &Run, why: &str) {
    let event = &run.event;
    info!(run = %run.id, hook = %run.hook.name, point = %event.point, subject = %event.subject,
        container = event.facts.display_name(), why, "denied");
}

/// Says in the log what a hook in audit mode would have done.
pub(super) fn log_would_deny(run: &Run, why: &str) {
    let event = &run.event;
    warn!(run = %run.id, hook = %run.hook.name, point = %event.point, subject = %event.subject,
        container = event.facts.display_name(), why, "would have denied (audit)");
}

/// What the docker user reads: who says no, why, and the run to look for.
pub(super) fn denial(run: &Run, why: &str) -> String {
    format!("hook `{}`: {} (run {})", run.hook.name, for_people(why), run.id)
}

/// Words of a script, or of a container, as they may be shown on a terminal: printable, one line,
/// bounded.
fn for_people(text: &str) -> String {
    let text: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match text.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::{MESSAGE_CHARS_MAX, for_people};

    #[test]
    fn what_a_script_says_cannot_move_the_cursor_of_a_terminal() {
        assert_eq!(for_people("no\u{1b}[2J\nway\u{9b}\u{7f}!\r\n"), "no [2J way  !");
    }

    #[test]
    fn what_a_script_says_is_bounded_in_characters() {
        let said = for_people(&"ü".repeat(MESSAGE_CHARS_MAX + 1));

        assert_eq!(said.chars().count(), MESSAGE_CHARS_MAX + 1);
        assert!(said.ends_with('…'));
    }
}
