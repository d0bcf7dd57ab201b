//! What is owed, and by which clean-up it is going to be paid.
//!
//! The ledger is a pure record of the debts that are open. It says which of them a point makes due,
//! and what a set-up that is about to begin changes; writing it down and running clean-ups is for
//! others. One hook owes one subject, and one network or volume of it, at most one debt that is not
//! due yet: a set-up that is repeated renews it.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::hook::{Cleanup, HookName};
use crate::lifecycle::{Detail, Event, Point, PointSet, Subject};
use crate::run::{Debt, DebtState, Outcome, Output, Phase, Run, RunId, Setup};

/// The debts that are open, and the set-ups that will open one.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// In the order in which they were opened, those that were moved behind the others.
    debts: HashMap<Subject, Vec<Debt>>,
    /// The subject of every open debt, by the ids of its set-ups, of which one is its own.
    subjects: HashMap<RunId, Subject>,
    /// Set-ups that are planned and have not begun, in the order of planning.
    expected: HashMap<Subject, Vec<Expected>>,
}

#[derive(Debug)]
struct Expected {
    run: Arc<Run>,
    /// The clean-up that waits for it, once the point has been reached that makes it due.
    doomed: Option<RunId>,
}

/// Something that a point makes due.
#[derive(Debug)]
pub(super) struct Payable {
    /// The debt, or the set-up that will open it.
    pub(super) debt: RunId,
    pub(super) hook: HookName,
    pub(super) cleanup: Arc<Cleanup>,
    /// What was set up for.
    pub(super) event: Arc<Event>,
}

/// What may be done when it is a clean-up's turn.
#[derive(Debug)]
pub(super) enum Turn {
    /// It cleans up after these.
    Pay(Vec<Setup>),
    /// Nothing was ever set up.
    Nothing,
    /// The debt is not its own to pay any more.
    Over,
}

impl Ledger {
    /// The ledger of what was owed before.
    pub(super) fn restored(debts: Vec<Debt>) -> Ledger {
        let mut ledger = Ledger::default();
        for debt in debts {
            ledger.put(debt);
        }
        ledger
    }

    /// Takes note of a set-up that will be, if it will owe something.
    pub(super) fn expect(&mut self, run: &Arc<Run>) {
        if owes(run) && self.debt_of(&run.id).is_none() {
            let expected = Expected { run: run.clone(), doomed: None };
            self.expected.entry(run.event.subject.clone()).or_default().push(expected);
        }
    }

    /// A set-up will never begin.
    pub(super) fn forget(&mut self, run: &Run) {
        self.take_expected(&run.event.subject, &run.id);
    }

    /// What `event` makes due, newest set-up first. The removal of a subject makes everything due
    /// that it owes still.
    pub(super) fn due_at(&self, event: &Event) -> Vec<Payable> {
        let subject = &event.subject;
        let reaches = |cleanup: &Cleanup, setup: &Event| {
            let ends_all = is_removal(event.point);
            let reached = cleanup.is_due(setup.point, event.point)
                && setup.passage <= event.passage
                && object(setup).is_none_or(|it| object(event).is_none_or(|now| now == it));
            reached || ends_all
        };
        let expected = self.expected.get(subject).into_iter().flatten().filter(|it| it.doomed.is_none());
        let expected = expected.filter_map(|it| Some((&it.run, it.run.hook.cleanup.as_ref()?)));
        let expected =
            expected.filter(|(run, cleanup)| reaches(cleanup, &run.event)).map(|(run, cleanup)| {
                let (debt, hook) = (run.id.clone(), run.hook.name.clone());
                Payable { debt, hook, cleanup: cleanup.clone(), event: run.event.clone() }
            });
        let owed = self.of(subject).filter(|it| it.state == DebtState::Owed);
        let owed = owed.filter(|it| reaches(&it.cleanup, &it.event)).map(payable);
        let mut due: Vec<Payable> = owed.chain(expected).collect();
        due.reverse();
        due
    }

    /// What was set up for a passage that has not come about, newest first.
    pub(super) fn ahead_of(&self, subject: &Subject, passage: u32) -> Vec<Payable> {
        let mut ahead: Vec<Payable> = self
            .of(subject)
            .filter(|it| it.state == DebtState::Owed && it.passage > passage)
            .map(payable)
            .collect();
        ahead.reverse();
        ahead
    }

    /// What these set-ups owe, newest first.
    pub(super) fn owed_for(&self, runs: &[Arc<Run>]) -> Vec<Payable> {
        let mut owed: Vec<Payable> = runs
            .iter()
            .filter_map(|run| self.debt_of(&run.id))
            .filter(|it| it.state == DebtState::Owed)
            .map(payable)
            .collect();
        owed.reverse();
        owed
    }

    /// Everything that a subject owes and that is not due, newest first.
    pub(super) fn owed_by(&self, subject: &Subject) -> Vec<Payable> {
        let mut owed: Vec<Payable> =
            self.of(subject).filter(|it| it.state == DebtState::Owed).map(payable).collect();
        owed.reverse();
        owed
    }

    /// The clean-up `run` is going to pay. The debt as it is now, if it is open already.
    pub(super) fn due(&mut self, payable: &Payable, run: &RunId) -> Option<Arc<Debt>> {
        if let Some(debt) = self.debt_mut(&payable.debt) {
            debt.state = DebtState::Due { run: run.clone() };
            return Some(Arc::new(debt.clone()));
        }
        let mut expected = self.expected.get_mut(&payable.event.subject).into_iter().flatten();
        if let Some(expected) = expected.find(|it| it.run.id == payable.debt) {
            expected.doomed = Some(run.clone());
        }
        None
    }

    /// A clean-up that was planned before is there again: what it is to pay is due, or will be once the set-up
    /// has begun. The debt as it is now, if that is news.
    pub(super) fn takes_up(&mut self, run: &Run) -> Option<Arc<Debt>> {
        let id = run.debt.as_ref()?;
        if let Some(debt) = self.debt_mut(id) {
            if debt.state != DebtState::Owed || debt.id != *id {
                return None;
            }
            debt.state = DebtState::Due { run: run.id.clone() };
            return Some(Arc::new(debt.clone()));
        }
        let mut expected = self.expected.get_mut(&run.event.subject).into_iter().flatten();
        if let Some(expected) = expected.find(|it| it.run.id == *id) {
            expected.doomed = Some(run.id.clone());
        }
        None
    }

    /// What may be done now that it is the turn of the clean-up `run`, and the debt as it is then.
    pub(super) fn turn_of(&mut self, run: &Run) -> (Turn, Option<Arc<Debt>>) {
        let Some(id) = &run.debt else { return (Turn::Over, None) };
        let Some(debt) = self.debt_mut(id) else { return (Turn::Nothing, None) };
        match &debt.state {
            DebtState::Due { run: due } if *due == run.id => (Turn::Pay(debt.setups.clone()), None),
            // It was planned before the debt was opened.
            DebtState::Owed if debt.id == *id => {
                debt.state = DebtState::Due { run: run.id.clone() };
                (Turn::Pay(debt.setups.clone()), Some(Arc::new(debt.clone())))
            }
            _ => (Turn::Over, None),
        }
    }

    /// The debt of the hook of `run` that is due or given up, which the set-up must not run into.
    pub(super) fn old_debt_of(&self, run: &Run) -> Option<&Debt> {
        let (hook, object) = (&run.hook.name, object(&run.event));
        self.of(&run.event.subject)
            .find(|it| it.hook == *hook && it.object.as_deref() == object && it.state != DebtState::Owed)
    }

    /// Whether `run` has begun to set up before.
    pub(super) fn has_begun(&self, run: &RunId) -> bool {
        self.debt_of(run).is_some()
    }

    /// The debts as they are when the set-up `run` begins: its own, opened or renewed, then those that
    /// it takes over. Nothing is changed by this: see [`Ledger::begin`].
    pub(super) fn draft(&self, run: &Run, at: Timestamp) -> Vec<Debt> {
        let Some(cleanup) = &run.hook.cleanup else { return Vec::new() };
        let (subject, name, object) = (&run.event.subject, &run.hook.name, object(&run.event));
        let same = |it: &&Debt| it.hook == *name && it.object.as_deref() == object;
        let renewed = self.of(subject).filter(same).find(|it| it.state == DebtState::Owed);
        let mut debt = renewed.cloned().unwrap_or_else(|| Debt {
            id: run.id.clone(),
            hook: name.clone(),
            subject: subject.clone(),
            object: object.map(Into::into),
            passage: run.event.passage,
            cleanup: cleanup.clone(),
            event: run.event.clone(),
            setups: Vec::new(),
            state: DebtState::Owed,
            opened_at: at,
            closed_at: None,
        });
        let old = self.of(subject).filter(same).filter(|it| it.state != DebtState::Owed);
        let taken_over: Vec<Debt> = old
            .map(|it| {
                let state = DebtState::Merged { into: debt.id.clone() };
                Debt { state, closed_at: Some(at), ..it.clone() }
            })
            .collect();
        let before = taken_over.iter().flat_map(|it| it.setups.clone());
        debt.setups = before.chain(std::mem::take(&mut debt.setups)).collect();
        debt.setups.push(Setup::begun(run.id.clone()));
        debt.passage = run.event.passage;
        debt.cleanup = cleanup.clone();
        debt.event = run.event.clone();
        let expected = self.expected.get(subject).into_iter().flatten().find(|it| it.run.id == run.id);
        if let Some(doomed) = expected.and_then(|it| it.doomed.clone()) {
            debt.state = DebtState::Due { run: doomed };
        }
        std::iter::once(debt).chain(taken_over).collect()
    }

    /// A set-up begins: the debts are as they were drafted. Its own, if the point that makes it due
    /// has been reached meanwhile.
    pub(super) fn begin(&mut self, run: &Run, drafted: Vec<Debt>) -> Option<Arc<Debt>> {
        let doomed = self.take_expected(&run.event.subject, &run.id).and_then(|it| it.doomed);
        for mut debt in drafted {
            if debt.state == DebtState::Owed
                && let Some(Debt { state: state @ DebtState::Due { .. }, .. }) = self.debt_of(&debt.id)
            {
                debt.state = state.clone();
            }
            self.put(debt);
        }
        let cleanup = doomed?;
        let debt = self.debt_mut(&run.id)?;
        debt.state = DebtState::Due { run: cleanup };
        Some(Arc::new(debt.clone()))
    }

    /// Takes in how an attempt of a set-up ended. The debt as it is then.
    pub(super) fn ended(&mut self, run: &RunId, outcome: &Outcome, output: &Output) -> Option<Arc<Debt>> {
        let debt = self.debt_mut(run)?;
        debt.setups.iter_mut().find(|it| it.run == *run)?.ended(outcome, output);
        Some(Arc::new(debt.clone()))
    }

    /// Closes a debt, or gives it up. The debt as it is then.
    pub(super) fn settle(&mut self, id: &RunId, state: DebtState, at: Timestamp) -> Option<Arc<Debt>> {
        let debt = self.debt_mut(id)?;
        debt.state = state;
        debt.closed_at = (!debt.state.is_open()).then_some(at);
        let debt = Arc::new(debt.clone());
        if !debt.state.is_open() {
            self.put(Debt::clone(&debt));
        }
        Some(debt)
    }

    /// What was owed by `from` is owed by `to`: it has got its name.
    pub(super) fn move_to(&mut self, from: &Subject, to: &Subject) -> Vec<Arc<Debt>> {
        let mut moved = Vec::new();
        for mut debt in self.debts.remove(from).unwrap_or_default() {
            debt.subject = to.clone();
            moved.push(Arc::new(debt.clone()));
            self.put(debt);
        }
        moved
    }

    /// The open debt with that id, or that a set-up with that id is part of.
    pub(super) fn debt_of(&self, id: &RunId) -> Option<&Debt> {
        let subject = self.subjects.get(id)?;
        self.of(subject).find(|it| it.has(id))
    }

    /// The points that make an open debt due.
    pub(super) fn points(&self) -> PointSet {
        self.debts.values().flatten().flat_map(|it| it.cleanup.at.iter()).collect()
    }

    /// The debts that are open.
    pub(super) fn open(&self) -> impl Iterator<Item = &Debt> {
        self.debts.values().flatten()
    }

    fn of(&self, subject: &Subject) -> impl Iterator<Item = &Debt> {
        self.debts.get(subject).into_iter().flatten()
    }

    fn debt_mut(&mut self, id: &RunId) -> Option<&mut Debt> {
        let subject = self.debt_of(id)?.subject.clone();
        self.debts.get_mut(&subject)?.iter_mut().find(|it| it.has(id))
    }

    /// The debt is as given; one that is closed is not kept.
    fn put(&mut self, debt: Debt) {
        let debts = self.debts.entry(debt.subject.clone()).or_default();
        let known = debts.iter().position(|it| it.id == debt.id);
        if !debt.state.is_open() {
            // Those that it was merged into another with are known by that one.
            if !matches!(debt.state, DebtState::Merged { .. }) {
                debt.setups.iter().for_each(|it| drop(self.subjects.remove(&it.run)));
            }
            let subject = debt.subject;
            debts.retain(|it| it.id != debt.id);
            if debts.is_empty() {
                self.debts.remove(&subject);
            }
            return;
        }
        self.subjects.extend(debt.setups.iter().map(|it| (it.run.clone(), debt.subject.clone())));
        match known {
            Some(index) => debts[index] = debt,
            None => debts.push(debt),
        }
    }

    fn take_expected(&mut self, subject: &Subject, run: &RunId) -> Option<Expected> {
        let expected = self.expected.get_mut(subject)?;
        let index = expected.iter().position(|it| it.run.id == *run)?;
        let taken = expected.remove(index);
        if expected.is_empty() {
            self.expected.remove(subject);
        }
        Some(taken)
    }
}

/// Whether a run owes something once it has begun.
pub(super) fn owes(run: &Run) -> bool {
    run.phase == Phase::Setup && run.hook.cleanup.is_some()
}

/// Whether everything that the subject owes is due with `point`.
fn is_removal(point: Point) -> bool {
    matches!(
        point,
        Point::PostRemove | Point::NetworkPostRemove | Point::VolumePostRemove | Point::AddressRelease
    )
}

fn payable(debt: &Debt) -> Payable {
    Payable {
        debt: debt.id.clone(),
        hook: debt.hook.clone(),
        cleanup: debt.cleanup.clone(),
        event: debt.event.clone(),
    }
}

/// The network or volume that an event of a container is about.
fn object(event: &Event) -> Option<&str> {
    let detail: &Detail = event.detail.as_deref()?;
    match event.point {
        Point::NetworkConnect | Point::NetworkDisconnect => {
            let network = detail.network.as_ref()?;
            network.id.as_deref().or(network.name.as_deref())
        }
        Point::VolumeMount | Point::VolumeUnmount => detail.volume.as_ref()?.name.as_deref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
