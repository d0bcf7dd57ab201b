//! Debts: what makes them due, and how they end.
//!
//! A point makes due what was set up for it; so does a passage or a creation that does not come
//! about. The clean-up is then a run as any other, planned and in its subject's lane, and what
//! becomes of it settles the debt.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout};
use tracing::{error, info, warn};

use super::gate::{Desk, GateOver, Old};
use super::keep;
use super::ledger::Payable;
use super::work::{Done, Work};
use crate::docker::{Docker, DockerError};
use crate::hook::Hook;
use crate::lifecycle::{
    Cause, DebtDetail, Detail, Event, Life, Point, Process, Subject, SubjectKind, Verdict,
};
use crate::run::{Conclusion, Debt, DebtState, Entry, Phase, Run, RunId};

/// How long a call that was let through is believed to be under way when its answer does not come: a
/// later plugin may have refused it, the engine may have died. Longer than an engine goes on asking a
/// plugin that was away (15 s).
const UNANSWERED_MAX: Duration = Duration::from_secs(20);

/// The same for a creation, whose volume plugin may take 120 s, and which cannot be looked at.
const UNANSWERED_CREATION_MAX: Duration = Duration::from_secs(150);

/// The most that a look at what became of a call may take.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// The calls that were let through and have not been answered, on whose outcome a debt hangs.
#[derive(Debug, Default)]
pub(super) struct Pending {
    calls: HashMap<Subject, Open>,
    /// Creations by what identifies their calls.
    creations: HashMap<u64, Vec<Subject>>,
}

#[derive(Debug)]
struct Open {
    /// When it was let through, at the latest.
    since: Instant,
    calls: u32,
    looking: bool,
}

/// What a set-up owes once it begins.
#[derive(Debug)]
pub(super) struct Draft {
    /// The debts as they are then.
    pub(super) debts: Vec<Debt>,
    /// All that is to be written down.
    pub(super) entries: Vec<Entry>,
}

/// What a look at an unanswered call found.
#[derive(Debug)]
pub(super) enum Found {
    /// What was asked for has come about, under this name.
    Come(Subject),
    /// It has not, and nobody is about it.
    NotCome,
    /// It is not known.
    Unknown,
}

impl Pending {
    /// A call about `subject` is let through after `within` at the latest.
    pub(super) fn open(&mut self, subject: &Subject, call: Option<u64>, within: Duration) {
        let since = Instant::now() + within;
        let open = Open { since, calls: 0, looking: false };
        let open = self.calls.entry(subject.clone()).or_insert(open);
        open.calls += 1;
        open.since = open.since.max(since);
        if let Some(call) = call.filter(|_| subject.kind == SubjectKind::Creation) {
            self.creations.entry(call).or_default().push(subject.clone());
        }
    }

    /// A call about `subject` is over. True: it was the last.
    pub(super) fn close(&mut self, subject: &Subject) -> bool {
        let Some(open) = self.calls.get_mut(subject) else { return false };
        open.calls = open.calls.saturating_sub(1);
        if open.calls == 0 {
            self.forget(subject);
            return true;
        }
        false
    }

    pub(super) fn forget(&mut self, subject: &Subject) {
        self.calls.remove(subject);
        if subject.kind == SubjectKind::Creation {
            self.creations.values_mut().for_each(|it| it.retain(|it| it != subject));
            self.creations.retain(|_, it| !it.is_empty());
        }
    }

    /// The oldest creation that was asked for by such a call.
    pub(super) fn creation(&self, call: u64) -> Option<Subject> {
        self.creations.get(&call)?.first().cloned()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Those whose answer should have come, and that nobody looks at.
    fn overdue(&mut self) -> Vec<Subject> {
        let patience = |subject: &Subject| match subject.kind {
            SubjectKind::Creation => UNANSWERED_CREATION_MAX,
            _ => UNANSWERED_MAX,
        };
        let overdue =
            self.calls.iter_mut().filter(|(it, open)| !open.looking && open.since.elapsed() > patience(it));
        overdue
            .map(|(subject, open)| {
                open.looking = true;
                subject.clone()
            })
            .collect()
    }

    fn looked(&mut self, subject: &Subject) {
        if let Some(open) = self.calls.get_mut(subject) {
            open.looking = false;
            open.since = Instant::now();
        }
    }
}

impl Work {
    /// Plans the clean-ups that `event` makes due, newest set-up first.
    pub(super) fn clean_up_at(&mut self, event: &Arc<Event>) {
        for payable in self.ledger.due_at(event) {
            self.make_due(&payable, event.clone());
        }
    }

    /// Plans the clean-ups of what was set up for a passage that does not come about.
    fn abort_ahead(&mut self, subject: &Subject) {
        let passage = self.tracker.life(subject).map_or(0, Life::passage);
        let ahead = self.ledger.ahead_of(subject, passage);
        self.abort(ahead);
    }

    /// Plans clean-ups for want of what they were set up for.
    pub(super) fn abort(&mut self, payables: Vec<Payable>) {
        for payable in payables {
            let Some(debt) = self.ledger.debt_of(&payable.debt) else { continue };
            info!(debt = %debt.id, hook = %debt.hook, subject = %debt.subject, "what it was set up for does not come about");
            let event = Arc::new(self.outside_life(debt, Cause::Aborted));
            self.make_due(&payable, event);
        }
    }

    /// What a clean-up is told that no point of its subject's life has made due.
    fn outside_life(&self, debt: &Debt, cause: Cause) -> Event {
        let known = self.tracker.life(&debt.subject).map(|it| it.facts().clone());
        Event {
            point: debt.cleanup.at.iter().next().unwrap_or(Point::PostRemove),
            subject: debt.subject.clone(),
            passage: debt.passage,
            at: Timestamp::now(),
            cause,
            reason: None,
            exit: None,
            facts: known.unwrap_or_else(|| debt.event.facts.clone()),
            detail: debt.event.detail.clone(),
            request: None,
            nested: debt.event.nested,
        }
    }

    /// Plans the clean-up.
    fn make_due(&mut self, payable: &Payable, event: Arc<Event>) -> Arc<Run> {
        let planned_at = Timestamp::now();
        let run = Arc::new(Run {
            id: self.ids.next(planned_at),
            hook: Arc::new(payable.cleanup.hook(&payable.hook)),
            phase: Phase::Cleanup,
            event,
            batch: None,
            debt: Some(payable.debt.clone()),
            setups: Vec::new(),
            planned_at,
        });
        self.unit.push(Entry::Planned(run.clone()));
        let debt = self.ledger.due(payable, &run.id);
        self.unit.extend(debt.map(Entry::Debt));
        self.enqueue(run.clone(), 1);
        run
    }

    /// The clean-up that a set-up has to try before it begins, once, and which attempt that is.
    pub(super) fn old_clean_up_of(&mut self, run: &Run) -> Option<(Arc<Run>, u32)> {
        let old = self.ledger.old_debt_of(run)?;
        if !self.met.insert(run.id.clone()) {
            return None;
        }
        let (id, setups) = (old.id.clone(), old.setups.clone());
        let (clean_up, attempt) = match &old.state {
            DebtState::Due { run: due } => self.turns.get(due)?.clone(),
            _ => (self.take_up_again(&id, run.event.cause)?, 1),
        };
        Some((Arc::new(Run { setups, ..Run::clone(&clean_up) }), attempt))
    }

    /// Plans another clean-up for a debt that was given up.
    pub(super) fn take_up_again(&mut self, debt: &RunId, cause: Cause) -> Option<Arc<Run>> {
        let debt = self.ledger.debt_of(debt)?.clone();
        let event = Arc::new(self.outside_life(&debt, cause));
        let Debt { id, hook, cleanup, .. } = debt;
        let payable = Payable { debt: id, hook, cleanup, event: event.clone() };
        Some(self.make_due(&payable, event))
    }

    /// What is written down when a set-up begins, together: what it owes, the end of clean-ups whose
    /// debts it takes over, and that it begins.
    pub(super) fn draft(&mut self, run: &Run) -> Draft {
        let at = Timestamp::now();
        let debts = self.ledger.draft(run, at);
        let mut entries: Vec<Entry> = debts.iter().map(|it| Entry::Debt(Arc::new(it.clone()))).collect();
        for merged in debts.iter().filter(|it| !it.state.is_open()) {
            let old = self.ledger.debt_of(&merged.id).map(|it| it.state.clone());
            let Some(DebtState::Due { run: due }) = old else { continue };
            // One that is under way ends by itself, and finds nothing to settle.
            if let Some(clean_up) = self.turns.remove(&due) {
                let conclusion = Conclusion::Superseded;
                entries.push(Entry::Concluded { run: due, at, conclusion });
                self.overtaken.entry(run.id.clone()).or_default().push(clean_up);
            }
        }
        entries.push(Entry::Started { run: run.id.clone(), attempt: 1, at });
        Draft { debts, entries }
    }

    /// A set-up begins, and its debt is on disk.
    pub(super) fn opened(&mut self, run: &Run, drafted: Vec<Debt>) {
        self.overtaken.remove(&run.id);
        let due = self.ledger.begin(run, drafted);
        self.unit.extend(due.map(Entry::Debt));
        self.met.remove(&run.id);
        self.listen();
    }

    /// What becomes of the debt that a clean-up was to pay.
    pub(super) fn settle(&mut self, run: &Arc<Run>, state: DebtState) {
        let Some(id) = &run.debt else { return };
        let Some(debt) =
            self.ledger.debt_of(id).filter(|it| it.state == DebtState::Due { run: run.id.clone() })
        else {
            return;
        };
        let (id, given_up) = (debt.id.clone(), matches!(state, DebtState::GivenUp { .. }));
        let Some(debt) = self.ledger.settle(&id, state, Timestamp::now()) else { return };
        self.unit.push(Entry::Debt(debt.clone()));
        self.listen();
        if given_up {
            let container = run.event.facts.display_name();
            error!(debt = %debt.id, hook = %debt.hook, subject = %debt.subject, container,
                "a clean-up is given up: see to it by hand, then `boathook retry` or `boathook debts --forgive`");
            let event = self.outside_life(&debt, run.event.cause);
            let told = DebtDetail { hook: debt.hook.to_string(), run: run.id.to_string() };
            let detail = Detail { debt: Some(told), ..event.detail.as_deref().cloned().unwrap_or_default() };
            self.reach(Event { point: Point::DebtGivenUp, detail: Some(Arc::new(detail)), ..event });
        }
    }

    /// A gate has been asked: on what becomes of the call hangs what is set up behind it.
    pub(super) fn await_call(
        &mut self,
        event: &Event,
        hooks: &[Arc<Hook>],
        call: Option<u64>,
        limit: Duration,
    ) -> bool {
        let awaited = hooks.iter().any(|it| it.cleanup.is_some()) && is_of_something_new(event.point);
        if awaited {
            self.pending.open(&event.subject, call, limit);
        }
        awaited
    }

    /// A gate is over.
    pub(super) fn gate_over(&mut self, over: GateOver) {
        self.gates -= 1;
        self.lanes.close_gate(&over.subject, over.had_turn);
        for run in &over.runs {
            self.met.remove(&run.id);
            self.ledger.forget(run);
            // The set-up that was to take their debts over has not begun.
            for (clean_up, attempt) in self.overtaken.remove(&run.id).unwrap_or_default() {
                self.wait_for_turn(clean_up, attempt, Duration::ZERO);
            }
        }
        if over.verdict == Verdict::Allow {
            return;
        }
        if over.awaited {
            self.pending.close(&over.subject);
        }
        let owed = self.ledger.owed_for(&over.runs);
        self.abort(owed);
    }

    /// A call about `subject` was answered, and what it asked for has been looked at.
    pub(super) fn answered(&mut self, subject: &Subject) {
        if self.pending.close(subject) {
            self.abort_ahead(subject);
        }
    }

    /// The call of a creation was answered.
    pub(super) fn creation_answered(&mut self, call: u64, created: Option<&Subject>) {
        let Some(creation) = self.pending.creation(call) else { return };
        match created {
            Some(container) => self.came_about(&creation, container),
            None => self.not_come_about(&creation),
        }
    }

    /// What was asked for is there.
    pub(super) fn came_about(&mut self, asked_for: &Subject, subject: &Subject) {
        self.pending.forget(asked_for);
        self.strangers.remove(asked_for);
        let moved = self.ledger.move_to(asked_for, subject);
        self.unit.extend(moved.into_iter().map(Entry::Debt));
    }

    /// What was asked for is not going to be there.
    pub(super) fn not_come_about(&mut self, asked_for: &Subject) {
        self.pending.forget(asked_for);
        self.strangers.remove(asked_for);
        match asked_for.kind {
            SubjectKind::Container => self.abort_ahead(asked_for),
            _ => {
                let owed = self.ledger.owed_by(asked_for);
                self.abort(owed);
            }
        }
    }

    /// Looks at what became of calls that nobody has answered.
    pub(super) fn look_at_overdue(&mut self) {
        for subject in self.pending.overdue() {
            let docker = self.docker.clone();
            let name = self.ledger.owed_by(&subject).first().and_then(|it| it.event.facts.name.clone());
            self.under_way.push(Box::pin(async move {
                let found = timeout(LOOK_MAX, look(&docker, &subject, name.as_deref())).await;
                let found = found.unwrap_or(Ok(Found::Unknown)).unwrap_or_else(|error| {
                    warn!(%subject, %error, "cannot look at what became of a call");
                    Found::Unknown
                });
                Done::Looked { subject, found }
            }));
        }
    }

    pub(super) fn looked(&mut self, subject: &Subject, found: Found) {
        match found {
            Found::Come(container) if container == *subject => self.pending.forget(subject),
            Found::Come(container) => self.came_about(subject, &container),
            Found::NotCome => self.not_come_about(subject),
            Found::Unknown => self.pending.looked(subject),
        }
    }

    /// Answers a gate that has something to do with debts.
    pub(super) fn serve(&mut self, desk: Desk) {
        // A gate that does not listen any more has been told to end.
        match desk {
            Desk::Old { run, reply } => {
                let old = match self.old_clean_up_of(&run) {
                    Some((old, attempt)) => {
                        self.turns.remove(&old.id);
                        Old::Try(old, attempt)
                    }
                    None if self.ledger.old_debt_of(&run).is_some() => Old::UnderWay,
                    None => Old::None,
                };
                self.write();
                drop(reply.send(old));
            }
            Desk::Draft { run, reply } => drop(reply.send(self.draft(&run))),
            Desk::Opened { run, drafted } => self.opened(&run, drafted),
            Desk::Ended { run, attempt, outcome, output, traces, reply } => {
                self.ended(&run, &outcome, output, traces);
                if run.phase == Phase::Cleanup {
                    self.follow(run, attempt, &outcome);
                }
                self.write();
                let _ = reply.send(());
            }
        }
    }

    /// Writes down what has come together, as one.
    pub(super) fn write(&mut self) {
        if !self.unit.is_empty() {
            let kept = std::mem::take(&mut self.kept);
            keep(self.journal.append_keeping(std::mem::take(&mut self.unit), kept));
        }
    }
}

/// What has become of `subject`, for which a call was let through.
async fn look(docker: &Docker, subject: &Subject, name: Option<&str>) -> Result<Found, DockerError> {
    // Of an engine that is not there nothing can be said.
    if docker.engine_id().await? != subject.engine {
        return Ok(Found::Unknown);
    }
    let named = |id: Option<&str>, kind| {
        id.map_or(Found::NotCome, |id| Found::Come(Subject::new(&subject.engine, kind, id)))
    };
    Ok(match subject.kind {
        SubjectKind::Container => match docker.inspect(&subject.id).await? {
            Some(it) if matches!(it.process, Process::Running { .. }) => Found::Come(subject.clone()),
            _ => Found::NotCome,
        },
        SubjectKind::Creation => match name {
            Some(name) => {
                let found = docker.inspect(name).await?;
                named(found.as_ref().and_then(|it| it.facts.id.as_deref()), SubjectKind::Container)
            }
            // One that has started, of which only its endpoint is known.
            None => {
                let found = docker.container_at(&subject.id).await?;
                named(found.as_deref(), SubjectKind::Container)
            }
        },
        SubjectKind::Network => {
            let found = docker.network(&subject.id).await?;
            named(found.as_ref().and_then(|it| it.detail.id.as_deref()), SubjectKind::Network)
        }
        SubjectKind::Volume => {
            let found = docker.volume(&subject.id).await?;
            named(found.as_ref().and_then(|it| it.detail.name.as_deref()), SubjectKind::Volume)
        }
        SubjectKind::Address | SubjectKind::Image | SubjectKind::Engine | SubjectKind::Call => {
            Found::Come(subject.clone())
        }
    })
}

/// Whether a gate decides on something that may not come about.
fn is_of_something_new(point: Point) -> bool {
    matches!(
        point,
        Point::PreCreate
            | Point::PreStart
            | Point::NetReady
            | Point::VolumeMount
            | Point::NetworkPreCreate
            | Point::VolumePreCreate
    )
}
