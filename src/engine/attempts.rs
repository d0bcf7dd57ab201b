//! From a run whose turn it is to what follows its end.
//!
//! What owes something is written down, and on disk, before its process exists. Where the old
//! clean-up of the same hook is due still, that is tried first: a set-up never runs into what is
//! about to be cleaned away.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::debts::Draft;
use super::lanes::{Item, Place, Start};
use super::ledger::{Turn, owes};
use super::work::{Done, Work};
use super::{keep, kept};
use crate::docker::Docker;
use crate::hook::{Action, Hook, OnFailure, Retry};
use crate::journal::{CommitError, Journal, Standing};
use crate::lifecycle::Subject;
use crate::run::{Conclusion, DebtState, Entry, Outcome, Output, Phase, Run};
use crate::runner::{Past, Runner, Traces};

/// How long an attempt waits that boathook could not begin, for want of space say.
const UNPREPARED_PAUSE: Duration = Duration::from_secs(5);

impl Work {
    /// Starts what may start now.
    pub(super) fn advance(&mut self) {
        if self.stopped || self.copy.is_some() || !self.journal.has_room() {
            return;
        }
        let limit = self.rules.load().concurrency.max(1);
        while let Some(start) = self.lanes.next(limit, Instant::now()) {
            // What is not to be tried any more under this number is somewhere else by now.
            let has_turn =
                self.turns.get(&start.run.id).is_some_and(|(_, attempt)| *attempt == start.attempt);
            if has_turn || self.resumed.contains_key(&start.run.id) {
                self.start(start);
            } else {
                self.lanes.release(&start.lane);
            }
        }
    }

    fn start(&mut self, start: Start) {
        match start.run.phase {
            _ if self.resumed.remove(&start.run.id).is_some() => self.spawn(start),
            Phase::Cleanup => self.start_clean_up(start),
            Phase::Setup if owes(&start.run) && !self.ledger.has_begun(&start.run.id) => {
                self.start_set_up(start);
            }
            Phase::Setup => self.begin(start),
        }
    }

    fn start_clean_up(&mut self, mut start: Start) {
        let (turn, debt) = self.ledger.turn_of(&start.run);
        self.unit.extend(debt.map(Entry::Debt));
        let conclusion = match turn {
            Turn::Pay(setups) => {
                start.run = Arc::new(Run { setups, ..Run::clone(&start.run) });
                return self.begin_clean_up(start);
            }
            Turn::Nothing if start.attempt == 1 => Conclusion::Skipped,
            Turn::Nothing | Turn::Over => Conclusion::Superseded,
        };
        self.lanes.release(&start.lane);
        self.conclude(&start.run, conclusion);
    }

    /// Has the old clean-up of the hook tried first, then opens the debt, then begins.
    fn start_set_up(&mut self, start: Start) {
        if let Some((old, attempt)) = self.old_clean_up_of(&start.run) {
            let Start { run, attempt: later, lane, limit, place } = start;
            drop(place);
            let limit = limit.min(old.hook.deadline.limit);
            self.lanes.push_front(&lane, Item::Run { run, attempt: later });
            return self.begin_clean_up(Start { run: old, attempt, lane, limit, place: Place::Free });
        }
        let Draft { debts: drafted, entries } = self.draft(&start.run);
        let (journal, stopping) = (self.journal.clone(), self.stopping.clone());
        self.under_way.push(Box::pin(async move {
            if commit_until(&journal, entries, &stopping).await {
                Done::Opened { start, drafted }
            } else {
                Done::Held { lane: start.lane }
            }
        }));
    }

    /// Begins an attempt of which nothing has to be on disk first. A server is asked when it is there, all the same:
    /// nothing else would know the run again after a crash, and the server knows it by its id.
    fn begin(&mut self, start: Start) {
        if matches!(start.run.hook.action, Action::Http(_)) {
            return self.begin_on_disk(start);
        }
        let entry =
            Entry::Started { run: start.run.id.clone(), attempt: start.attempt, at: Timestamp::now() };
        self.unit.push(entry);
        self.spawn(start);
    }

    /// Begins a clean-up once it is on disk, with how its set-ups ended: after a crash it is repeated as the
    /// run that it was, and told the same. Where nothing can be written it does not wait for that: what is
    /// cleaned up twice does less harm than what is not.
    fn begin_clean_up(&mut self, start: Start) {
        self.begin_on_disk(start);
    }

    fn begin_on_disk(&mut self, start: Start) {
        self.turns.remove(&start.run.id);
        self.write();
        let entry =
            Entry::Started { run: start.run.id.clone(), attempt: start.attempt, at: Timestamp::now() };
        let journal = self.journal.clone();
        self.under_way.push(Box::pin(async move {
            commit_if_writable(&journal, entry).await;
            Done::Begun { start }
        }));
    }

    /// Begins an attempt that is recorded already.
    pub(super) fn spawn(&mut self, start: Start) {
        let Start { run, attempt, lane, limit, place } = start;
        self.turns.remove(&run.id);
        let (runner, stopping) = (self.runner.clone(), self.stopping.clone());
        let remains = self.left.take(&run.id, attempt);
        self.under_way.push(Box::pin(async move {
            let begun = Instant::now();
            if let Some(remains) = remains {
                match remains.outlived(run.hook.deadline).await {
                    Past::Ended { outcome, output, traces } => {
                        let took = begun.elapsed();
                        return Done::Attempt { run, attempt, lane, took, outcome, output, traces };
                    }
                    Past::Unseen => return Done::Unseen { run, attempt, lane },
                    Past::NotBegun => {}
                }
            }
            let begun = Instant::now();
            let (outcome, output, traces) = match place {
                Place::Missed => (no_room(&run), Output::default(), None),
                Place::Free => attempt_until(&runner, &run, attempt, limit, &stopping).await,
                Place::Taken(permit) => {
                    let ended = attempt_until(&runner, &run, attempt, limit, &stopping).await;
                    drop(permit);
                    ended
                }
            };
            Done::Attempt { run, attempt, lane, took: begun.elapsed(), outcome, output, traces }
        }));
    }

    /// Takes in the end of an attempt.
    pub(super) fn ended(
        &mut self,
        run: &Arc<Run>,
        outcome: &Outcome,
        output: Output,
        traces: Option<Traces>,
    ) {
        self.kept.extend(kept(traces));
        let debt = match run.phase {
            Phase::Setup => self.ledger.ended(&run.id, outcome, &output),
            Phase::Cleanup => None,
        };
        let (at, outcome) = (Timestamp::now(), outcome.clone());
        self.unit.push(Entry::Ended { run: run.id.clone(), at, outcome, output });
        self.unit.extend(debt.map(Entry::Debt));
    }

    /// What follows an attempt: nothing, another one, or the failure's consequence.
    pub(super) fn follow(&mut self, run: Arc<Run>, attempt: u32, outcome: &Outcome) {
        if outcome.is_success() {
            self.conclude(&run, Conclusion::Done);
            return self.settle(&run, DebtState::Paid);
        }
        if *outcome == Outcome::Interrupted {
            // When boathook stops it is repeated as soon as it is there again.
            if !self.stopping.is_cancelled() {
                self.wait_for_turn(run, attempt + 1, UNPREPARED_PAUSE);
            }
            return;
        }
        if let Some(pause) = retry_of(&run.hook, outcome).and_then(|it| it.pause_after(attempt)).map(jittered)
        {
            return self.defer(run, attempt + 1, pause);
        }
        self.conclude(&run, Conclusion::Failed);
        self.settle(&run, DebtState::GivenUp { run: run.id.clone() });
        if run.hook.on_failure == OnFailure::Stop && run.event.point.may_run() {
            let (docker, subject) = (self.docker.clone(), run.event.subject.clone());
            self.under_way.push(Box::pin(stop_container(docker, run, subject)));
        }
    }

    fn defer(&mut self, run: Arc<Run>, attempt: u32, pause: Duration) {
        let until = Timestamp::now() + pause;
        info!(run = %run.id, hook = %run.hook.name, ?pause, attempt, "will try again");
        self.unit.push(Entry::Deferred { run: run.id.clone(), until });
        self.wait_for_turn(run, attempt, pause);
    }

    /// Has an attempt come due after `pause`.
    pub(super) fn wait_for_turn(&mut self, run: Arc<Run>, attempt: u32, pause: Duration) {
        self.turns.insert(run.id.clone(), (run.clone(), attempt));
        let stopping = self.stopping.clone();
        self.under_way.push(Box::pin(async move {
            stopping.run_until_cancelled(sleep(pause)).await;
            Done::Due { run, attempt }
        }));
    }

    pub(super) fn come_due(&mut self, run: Arc<Run>, attempt: u32) {
        if self.turns.get(&run.id).is_none_or(|(_, next)| *next != attempt) {
            return;
        }
        let is_over = run.phase == Phase::Setup && run.batch.is_none() && self.tracker.is_over(&run.event);
        if is_over {
            info!(run = %run.id, hook = %run.hook.name, "not tried again: what it was for is over");
            self.conclude(&run, Conclusion::Superseded);
        } else {
            self.enqueue(run, attempt);
        }
    }

    /// Writes down what became of a run.
    pub(super) fn conclude(&mut self, run: &Run, conclusion: Conclusion) {
        self.turns.remove(&run.id);
        self.met.remove(&run.id);
        if owes(run) {
            self.ledger.forget(run);
        }
        let at = Timestamp::now();
        self.unit.push(Entry::Concluded { run: run.id.clone(), at, conclusion });
    }
}

/// Has the entries on disk, however long that takes. False: boathook stops first.
async fn commit_until(journal: &Journal, entries: Vec<Entry>, stopping: &CancellationToken) -> bool {
    let mut standing = journal.standing();
    loop {
        match journal.commit(entries.clone()).await {
            Ok(()) => return true,
            Err(CommitError::Refused(error)) => {
                error!(%error, "an entry that cannot be true was not recorded");
                return false;
            }
            Err(CommitError::Unwritable { .. }) => {
                let writable = standing.wait_for(|it| *it == Standing::Writable);
                if !matches!(stopping.run_until_cancelled(writable).await, Some(Ok(_))) {
                    return false;
                }
            }
        }
    }
}

/// Has an entry on disk, with what belongs before it, or at least recorded if nothing can be written.
pub(super) async fn commit_if_writable(journal: &Journal, entry: Entry) {
    match journal.commit(vec![entry.clone()]).await {
        Ok(()) => {}
        Err(CommitError::Unwritable { .. }) => keep(journal.append([entry])),
        Err(CommitError::Refused(error)) => keep(Err(error)),
    }
}

async fn stop_container(docker: Docker, run: Arc<Run>, subject: Subject) -> Done {
    let container = run.event.facts.display_name();
    warn!(run = %run.id, hook = %run.hook.name, container, "stopping the container, as its hook failed");
    if let Err(error) = docker.stop(&subject.id).await {
        error!(run = %run.id, hook = %run.hook.name, container, %error, "cannot stop the container");
    }
    Done::Stopped
}

/// One attempt, ended early when `stopping` is cancelled.
async fn attempt_until(
    runner: &Runner,
    run: &Run,
    attempt: u32,
    limit: Duration,
    stopping: &CancellationToken,
) -> (Outcome, Output, Option<Traces>) {
    let mut running = match runner.start(run, attempt, limit).await {
        Ok(running) => running,
        Err(outcome) => return (outcome, Output::default(), None),
    };
    let outcome = match stopping.run_until_cancelled(running.wait()).await {
        Some(outcome) => outcome,
        None => {
            running.end(&Outcome::Interrupted).await;
            Outcome::Interrupted
        }
    };
    let (output, traces) = running.finish().await;
    (outcome, output, traces)
}

/// What becomes of a run that waited for its group until it was out of time.
fn no_room(run: &Run) -> Outcome {
    let group = run.hook.group.as_ref().map_or("", |it| &it.name);
    Outcome::NotStarted(format!("its group `{group}` had no room in time"))
}

pub(super) fn retry_of(hook: &Hook, outcome: &Outcome) -> Option<Retry> {
    hook.retry.or(outcome.asks_again().then_some(Retry::ON_REQUEST))
}

/// A pause up to a quarter longer, so that what failed together is not tried again together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(1.0 + fastrand::f64() / 4.0)
}
