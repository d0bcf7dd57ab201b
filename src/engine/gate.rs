//! A gate: the programs that Docker waits for, one after the other, until one says no.
//!
//! The verdict goes out when the gate's time is up at the latest; ending what still runs goes on
//! behind it. The gate keeps its place in its subject's lane until the last process is gone.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::attempts::{commit_if_writable, retry_of};
use super::debts::Draft;
use super::groups::{Groups, Permit};
use super::ledger::owes;
use super::telling::log_attempt;
use super::{Rules, conclude, keep, kept};
use crate::hook::{Mode, OnFailure};
use crate::journal::{CommitError, Journal};
use crate::lifecycle::{Subject, Verdict};
use crate::run::{Conclusion, Debt, Entry, Outcome, Output, Run};
use crate::runner::{Runner, Running, Traces};

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
    /// Where it asks about debts.
    pub(super) desk: mpsc::Sender<Desk>,
    /// Whether the outcome of the call is waited for.
    pub(super) awaited: bool,
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
    pub(super) runs: Vec<Arc<Run>>,
    /// What Docker was told.
    pub(super) verdict: Verdict,
    pub(super) awaited: bool,
}

/// What a gate asks of those who keep the ledger, or tells them.
#[derive(Debug)]
pub(super) enum Desk {
    /// Is there an old clean-up that has to be tried before this set-up?
    Old { run: Arc<Run>, reply: oneshot::Sender<Old> },
    /// What does this set-up owe once it has begun?
    Draft { run: Arc<Run>, reply: oneshot::Sender<Draft> },
    /// The set-up begins, and what it owes is on disk.
    Opened { run: Arc<Run>, drafted: Vec<Debt> },
    /// An attempt has ended that a debt hangs on.
    Ended {
        run: Arc<Run>,
        attempt: u32,
        outcome: Outcome,
        output: Output,
        traces: Option<Traces>,
        reply: oneshot::Sender<()>,
    },
}

/// The clean-up of an earlier set-up of the same hook.
#[derive(Debug)]
pub(super) enum Old {
    /// There is none.
    None,
    /// It is to be tried now, and this is which attempt.
    Try(Arc<Run>, u32),
    /// It is due, but cannot be tried now: it is under way, or has just been tried.
    UnderWay,
}

/// Whether the debt of a set-up is on disk.
enum Opening {
    Done,
    Unwritable(String),
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
        let told = verdict.clone();
        let (reply, _) = oneshot::channel();
        // Nobody waits any more if dockerd went away.
        let _ = std::mem::replace(&mut self.reply, reply).send(told);
        for run in left {
            conclude(&self.journal, run, Conclusion::Skipped);
        }
        for leftover in leftovers {
            self.end(leftover).await;
        }
        GateOver { subject: self.subject, had_turn, runs, verdict, awaited: self.awaited }
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
            keep(self.journal.append([Entry::Overtook { run: run.id.clone() }]));
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
            if attempt == 1
                && owes(run)
                && let Some(answer) = self.clean_up_before(run, limit, leftovers).await
            {
                return answer;
            }
            // Waiting for its group is part of what it may take.
            let until = Instant::now() + limit;
            let Some(permit) = self.permit(run, until).await else {
                let conclusion = if attempt == 1 { Conclusion::Skipped } else { Conclusion::Superseded };
                conclude(&self.journal, run, conclusion);
                return self.failed(run, "its group had no room in time");
            };
            if let Opening::Unwritable(why) = self.open(run, attempt, until).await {
                conclude(&self.journal, run, Conclusion::Skipped);
                let why = format!("what hook `{}` will owe cannot be written down: {why}", run.hook.name);
                return self.undecided(run, &why);
            }
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
                keep(self.journal.append([Entry::Deferred { run: run.id.clone(), until }]));
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

    /// Tries the old clean-up of the same hook. An answer: the set-up must not run.
    async fn clean_up_before(
        &self,
        run: &Arc<Run>,
        limit: Duration,
        leftovers: &mut Vec<Leftover>,
    ) -> Option<Answer> {
        let (reply, old) = oneshot::channel();
        let _ = self.desk.send(Desk::Old { run: run.clone(), reply }).await;
        let why = match old.await.ok()? {
            Old::None => return None,
            Old::UnderWay => "it is not done yet".to_owned(),
            Old::Try(old, attempt) => {
                let limit = limit.min(old.hook.deadline.limit);
                let at = Timestamp::now();
                let started = Entry::Started { run: old.id.clone(), attempt, at };
                // A disk that does not answer has it in its queue.
                let _ = timeout(limit, commit_if_writable(&self.journal, started)).await;
                match self.attempt(&old, attempt, limit).await {
                    Ok((outcome, _)) if outcome.is_success() => return None,
                    Ok((outcome, output)) => output.reply().message.unwrap_or_else(|| outcome.to_string()),
                    Err(mut running) => {
                        let said = running.output().reply().message;
                        leftovers.push(Leftover { run: old, attempt, running, _permit: None });
                        timed_out(limit, said)
                    }
                }
            }
        };
        match self.failed(run, &format!("its clean-up of before has to work first: {why}")) {
            Answer::GoOn => None,
            denied => {
                conclude(&self.journal, run, Conclusion::Skipped);
                Some(denied)
            }
        }
    }

    /// Has what the set-up will owe on disk, before its process exists; and that it begins.
    async fn open(&self, run: &Arc<Run>, attempt: u32, until: Instant) -> Opening {
        if attempt > 1 || !owes(run) {
            let at = Timestamp::now();
            keep(self.journal.append([Entry::Started { run: run.id.clone(), attempt, at }]));
            return Opening::Done;
        }
        let (reply, drafted) = oneshot::channel();
        let _ = self.desk.send(Desk::Draft { run: run.clone(), reply }).await;
        let Ok(Draft { debts: drafted, entries }) = drafted.await else {
            return Opening::Unwritable("boathook stops".into());
        };
        let written = timeout_at(until, self.journal.commit(entries)).await;
        let why = match written {
            Ok(Ok(())) => None,
            Ok(Err(CommitError::Unwritable { why })) => return Opening::Unwritable(why.to_string()),
            Ok(Err(CommitError::Refused(error))) => return Opening::Unwritable(error.to_string()),
            // It may be on disk yet, so it counts as begun: cleaning up too much does no harm.
            Err(_) => Some("the disk does not answer".to_owned()),
        };
        let _ = self.desk.send(Desk::Opened { run: run.clone(), drafted }).await;
        why.map_or(Opening::Done, Opening::Unwritable)
    }

    /// One attempt, or the process that has outlived it. That it begins is recorded.
    async fn attempt(
        &self,
        run: &Arc<Run>,
        attempt: u32,
        limit: Duration,
    ) -> Result<(Outcome, Output), Running> {
        let begun = Instant::now();
        let (outcome, (output, traces)) = match self.runner.start(run, attempt, limit).await {
            Err(outcome) => (outcome, (Output::default(), None)),
            Ok(mut running) => match self.stopping.run_until_cancelled(running.wait_until_deadline()).await {
                Some(Some(outcome)) => (outcome, running.finish().await),
                Some(None) => return Err(running),
                None => {
                    running.end(&Outcome::Interrupted).await;
                    (Outcome::Interrupted, running.finish().await)
                }
            },
        };
        log_attempt(run, attempt, begun.elapsed(), &outcome, &output);
        self.record(run, attempt, &outcome, &output, traces).await;
        Ok((outcome, output))
    }

    /// Records how an attempt ended; what follows for its debt is seen to.
    async fn record(
        &self,
        run: &Arc<Run>,
        attempt: u32,
        outcome: &Outcome,
        output: &Output,
        traces: Option<Traces>,
    ) {
        let (outcome, output) = (outcome.clone(), output.clone());
        if run.debt.is_none() && !owes(run) {
            let ended = Entry::Ended { run: run.id.clone(), at: Timestamp::now(), outcome, output };
            return keep(self.journal.append_keeping([ended], kept(traces)));
        }
        let (reply, seen_to) = oneshot::channel();
        let _ =
            self.desk.send(Desk::Ended { run: run.clone(), attempt, outcome, output, traces, reply }).await;
        // Those who keep the ledger outlive every gate.
        let _ = seen_to.await;
    }

    async fn end(&self, leftover: Leftover) {
        let Leftover { run, attempt, mut running, _permit } = leftover;
        running.end(&Outcome::TimedOut).await;
        let took = running.took();
        let (output, traces) = running.finish().await;
        log_attempt(&run, attempt, took, &Outcome::TimedOut, &output);
        self.record(&run, attempt, &Outcome::TimedOut, &output, traces).await;
        // What becomes of a clean-up is seen to with its debt.
        if run.debt.is_none() {
            conclude(&self.journal, &run, Conclusion::Failed);
        }
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
                let why = if self.stopping.is_cancelled() {
                    "boathook stops"
                } else {
                    "its files cannot be written"
                };
                self.undecided(run, &format!("hook `{}` cannot be run through: {why}", run.hook.name))
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

    /// Boathook itself cannot decide.
    fn undecided(&self, run: &Run, why: &str) -> Answer {
        match self.rules.undecided(run.event.point, why) {
            Verdict::Allow => Answer::GoOn,
            deny => Answer::Verdict(deny),
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
