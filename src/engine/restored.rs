//! Going on from where a boathook before this one ended, and what people ask for by hand.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot::Receiver;
use tracing::{error, info, warn};

use super::gather::lane_of;
use super::lanes::Item;
use super::ledger::Ledger;
use super::work::{Done, Work};
use crate::hook::Action;
use crate::journal::{Asked, OpenRun, Remembered};
use crate::lifecycle::{Cause, EngineId, Event, Point, Stage, Subject, SubjectKind};
use crate::run::{Conclusion, Debt, DebtState, Entry, Outcome, Output, Phase, Run, RunId, RunState};
use crate::runner::Remains;

impl Work {
    /// Takes up everything that was open.
    pub(super) fn restore(&mut self, remembered: Remembered) {
        let Remembered { lives, runs, debts, .. } = remembered;
        let (containers, open, owed) = (lives.len(), runs.len(), debts.len());
        self.tracker.restore(lives);
        self.ledger = Ledger::restored(debts);
        for run in runs {
            self.take_up(run);
        }
        self.pay_what_is_due();
        self.wait_for_calls();
        self.listen();
        self.write();
        if containers + open + owed > 0 {
            info!(containers, runs = open, debts = owed, "going on from the journal");
        }
    }

    /// The engine that is there is known now: a copy of its own journal is taken up.
    pub(super) fn meet(&mut self, engine: &EngineId) {
        match self.copy.take() {
            Some((of, remembered)) if of == *engine => {
                info!(%engine, "the journal is a copy of this engine's: going on from it");
                self.journal.accept_copy();
                self.restore(remembered);
            }
            Some(other) => {
                error!(%engine, of = %other.0, "the journal is a copy of another engine's: nothing of it is acted upon, \
                    no hook runs, and gates are answered by `outage`; put the right one in its place, or move it away");
                self.copy = Some(other);
            }
            None => {}
        }
    }

    /// Takes up a run where it was left. What a gate ran is not repeated: nobody waits for it.
    fn take_up(&mut self, open: OpenRun) {
        let OpenRun { run, state, last, due_at } = open;
        if run.phase == Phase::Setup && run.event.request.is_some() {
            return self.give_up_gate(&run, state);
        }
        self.ledger.expect(&run);
        let due = self.ledger.takes_up(&run);
        self.unit.extend(due.map(Entry::Debt));
        match state {
            RunState::Planned if self.take_up_put_off(&run) => {}
            RunState::Planned => self.enqueue(run, 1),
            RunState::Running { attempt } if self.left.has(&run.id, attempt) => {
                self.resumed.insert(run.id.clone(), run.clone());
                self.lanes.push(&lane_of(&run), Item::Run { run, attempt });
            }
            RunState::Running { attempt } => {
                self.interrupted(&run);
                self.enqueue(run, attempt + 1);
            }
            RunState::Attempted { attempts } => match last {
                Some(outcome) if outcome != Outcome::Interrupted => self.follow(run, attempts, &outcome),
                _ => self.enqueue(run, attempts + 1),
            },
            RunState::Waiting { attempts } => {
                let longest = run.hook.retry.map_or(Duration::ZERO, |it| it.max_delay * 2);
                let left = due_at.and_then(|at| Duration::try_from(at.duration_since(Timestamp::now())).ok());
                self.wait_for_turn(run, attempts + 1, left.unwrap_or_default().min(longest));
            }
            RunState::Concluded(_) => {}
        }
    }

    pub(super) fn interrupted(&mut self, run: &Run) {
        warn!(run = %run.id, hook = %run.hook.name, "was running when boathook ended: it is repeated");
        let (at, outcome, output) = (Timestamp::now(), Outcome::Interrupted, Output::default());
        self.unit.push(Entry::Ended { run: run.id.clone(), at, outcome, output });
    }

    fn give_up_gate(&mut self, run: &Arc<Run>, state: RunState) {
        let attempt = match state {
            RunState::Running { attempt } => attempt,
            _ => 0,
        };
        let mut remains = self.left.take(&run.id, attempt);
        if attempt > 0 {
            let ended = remains.as_mut().and_then(Remains::ended);
            // Else what it has started and left running would be ended with it.
            remains = remains.filter(|_| ended.is_none());
            let unseen = || (Outcome::Interrupted, Output::default(), None);
            let (outcome, output, traces) = ended.unwrap_or_else(unseen);
            self.ended(run, &outcome, output, traces);
        }
        self.conclude(run, Conclusion::Interrupted);
        if let Some(remains) = remains {
            let lane = run.event.subject.clone();
            let turn = self.lanes.push_gate(&lane);
            self.under_way.push(Box::pin(bury(remains, run.hook.deadline.grace, lane, turn)));
        }
    }

    /// Plans a clean-up for each debt that should have one and has none: where boathook ended between
    /// the two.
    fn pay_what_is_due(&mut self) {
        let waiting = self.turns.values().map(|(run, _)| run).chain(self.resumed.values());
        let expected: HashSet<_> = waiting.filter_map(|run| run.debt.clone()).collect();
        let orphaned: Vec<_> = self
            .ledger
            .open()
            .filter(|debt| match &debt.state {
                DebtState::Due { run } => !self.turns.contains_key(run) && !self.resumed.contains_key(run),
                DebtState::Owed => !expected.contains(&debt.id) && self.is_over(debt),
                _ => false,
            })
            .map(|it| it.id.clone())
            .collect();
        for debt in orphaned {
            self.take_up_again(&debt, Cause::Reconcile);
        }
    }

    /// Whether the end of what a debt was set up for has been seen.
    fn is_over(&self, debt: &Debt) -> bool {
        debt.subject.kind == SubjectKind::Container
            && self.tracker.life(&debt.subject).is_none_or(|life| {
                life.stage() == Stage::Ended
                    && debt.passage <= life.passage()
                    && debt.cleanup.is_due(debt.event.point, Point::PostStop)
            })
    }

    /// What was set up behind a call whose answer nobody has seen.
    fn wait_for_calls(&mut self) {
        let ahead: Vec<Subject> = self
            .ledger
            .open()
            .filter(|it| it.state == DebtState::Owed)
            .filter(|it| match (it.subject.kind, self.tracker.life(&it.subject)) {
                (SubjectKind::Network | SubjectKind::Volume, _) => true,
                (_, Some(life)) => it.passage > life.passage(),
                (_, None) => it.event.point.is_gate(),
            })
            .map(|it| it.subject.clone())
            .collect();
        for subject in ahead {
            self.pending.open(&subject, None, Duration::ZERO);
            if subject.kind == SubjectKind::Creation {
                self.strangers.insert(subject);
            }
        }
    }

    /// Does what somebody asks for by hand.
    pub(super) fn grant(&mut self, asked: Asked) {
        match asked {
            Asked::Debt(debt) => self.pay_now(&debt),
            Asked::Forgive(debt) => self.forgive(&debt),
            Asked::Run(run) => self.run_again(&run),
            Asked::Failed => self.pay_all_given_up(),
        }
    }

    fn pay_now(&mut self, debt: &RunId) {
        let Some(owed) = self.ledger.debt_of(debt) else { return };
        match owed.state.clone() {
            DebtState::Due { run } => {
                if let Some((run, attempt)) = self.turns.get(&run).cloned() {
                    info!(%debt, run = %run.id, "tried again now: somebody asks for it");
                    self.enqueue(run, attempt);
                }
            }
            DebtState::GivenUp { .. } => {
                info!(%debt, "its clean-up is run: somebody asks for it");
                self.take_up_again(debt, Cause::Replay);
            }
            _ => warn!(%debt, "not paid by hand: what it was set up for goes on"),
        }
    }

    fn forgive(&mut self, debt: &RunId) {
        let Some(owed) = self.ledger.debt_of(debt).cloned() else { return };
        info!(%debt, hook = %owed.hook, subject = %owed.subject, "forgiven: nothing is owed for it any more");
        let settled = self.ledger.settle(debt, DebtState::Forgiven, Timestamp::now());
        self.unit.extend(settled.map(Entry::Debt));
        if let DebtState::Due { run } = owed.state
            && let Some((run, _)) = self.turns.get(&run).cloned()
        {
            self.conclude(&run, Conclusion::Superseded);
        }
        self.listen();
    }

    /// Tries a run once more. One that is over is not taken up again: its hook runs for the same event.
    fn run_again(&mut self, run: &Arc<Run>) {
        if let Some((run, attempt)) = self.turns.get(&run.id).cloned() {
            info!(run = %run.id, "tried again now: somebody asks for it");
            return self.enqueue(run, attempt);
        }
        if let Some(debt) = &run.debt {
            return self.pay_now(debt);
        }
        if let Some(why) = self.not_again(run) {
            return warn!(run = %run.id, hook = %run.hook.name, why, "not run again by hand");
        }
        info!(run = %run.id, hook = %run.hook.name, "its hook runs once more: somebody asks for it");
        let event = Event { cause: Cause::Replay, request: None, ..Event::clone(&run.event) };
        let again = self.plan(&run.hook, &Arc::new(event));
        let again = Arc::new(Run { batch: run.batch.clone(), ..Run::clone(&again) });
        if again.batch.is_some() {
            self.unit.push(Entry::Gathered(again.clone()));
        }
        self.enqueue(again, 1);
    }

    /// Why a run that is over must not be repeated, if that is so.
    fn not_again(&self, run: &Run) -> Option<&'static str> {
        if matches!(run.hook.action, Action::Deny { .. }) {
            return Some("its hook only says no");
        }
        let subject = &run.event.subject;
        let is_over = match subject.kind {
            SubjectKind::Container => {
                self.tracker.life(subject).is_none_or(|it| it.passage() > run.event.passage)
            }
            SubjectKind::Creation => true,
            _ => false,
        };
        (run.hook.cleanup.is_some() && is_over).then_some("nothing would ever make its clean-up due")
    }

    fn pay_all_given_up(&mut self) {
        let given_up = self.ledger.open().filter(|it| matches!(it.state, DebtState::GivenUp { .. }));
        let given_up: Vec<RunId> = given_up.map(|it| it.id.clone()).collect();
        given_up.iter().for_each(|debt| self.pay_now(debt));
    }
}

/// Ends what a gate left running, and holds its subject's lane until it is gone.
async fn bury(remains: Remains, grace: Duration, lane: Subject, mut turn: Receiver<()>) -> Done {
    remains.end(grace).await;
    let had_turn = turn.try_recv().is_ok();
    Done::Buried { lane, had_turn }
}
