//! What is left to write of many entries: of each thing how it is in the end.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::known::Line;
use super::queue::Unit;
use crate::lifecycle::{EngineId, Life, Subject};
use crate::run::{Debt, Entry, Holding, HoldingKind, Outcome, Output, Run, RunId, RunState};

/// What one transaction writes.
#[derive(Debug, Default)]
pub(super) struct Batch<'a> {
    pub(super) runs: Vec<RunChange<'a>>,
    /// As they are in the end, in the order in which they were first met.
    pub(super) debts: Vec<&'a Arc<Debt>>,
    pub(super) lives: Vec<(&'a Subject, Option<&'a Life>)>,
    pub(super) holdings: Vec<&'a Holding>,
    pub(super) reads: Vec<Reads<'a>>,
    pub(super) calls: Vec<Call<'a>>,
}

/// What has happened to a run.
#[derive(Debug)]
pub(super) struct RunChange<'a> {
    pub(super) number: i64,
    /// The run, if it is new.
    pub(super) planned: Option<&'a Arc<Run>>,
    /// The run with the events that it has gathered.
    pub(super) gathered: Option<&'a Arc<Run>>,
    pub(super) overtook: bool,
    pub(super) state: RunState,
    pub(super) due_at: Option<Timestamp>,
    pub(super) concluded_at: Option<Timestamp>,
    /// Its attempts that have begun or ended, in order.
    pub(super) attempts: Vec<AttemptChange<'a>>,
}

/// What has happened to an attempt: it has begun, or ended, or both.
#[derive(Debug)]
pub(super) struct AttemptChange<'a> {
    /// Counted from 1.
    pub(super) attempt: u32,
    pub(super) started_at: Option<Timestamp>,
    pub(super) ended: Option<(Timestamp, &'a Outcome, &'a Output)>,
}

/// The messages of an engine that have been read.
#[derive(Debug)]
pub(super) struct Reads<'a> {
    pub(super) engine: &'a EngineId,
    /// The latest.
    pub(super) cursor: Timestamp,
    pub(super) marks: Vec<u64>,
}

/// A call of the API that a run made itself.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) run: &'a RunId,
    pub(super) at: Timestamp,
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
}

/// Where in a batch each thing is.
#[derive(Default)]
struct Places<'a> {
    runs: HashMap<i64, usize>,
    debts: HashMap<&'a RunId, usize>,
    lives: HashMap<&'a Subject, usize>,
    holdings: HashMap<(HoldingKind, &'a str), usize>,
}

impl<'a> Batch<'a> {
    /// What there is to write of these units, which were handed over in this order.
    pub(super) fn of(units: impl IntoIterator<Item = &'a Unit>) -> Batch<'a> {
        let (mut batch, mut places) = (Batch::default(), Places::default());
        for line in units.into_iter().flat_map(|it| &it.lines) {
            batch.take(line, &mut places);
        }
        batch
    }

    fn take(&mut self, line: &'a Line, places: &mut Places<'a>) {
        match &line.entry {
            Entry::Debt(debt) => {
                let at = *places.debts.entry(&debt.id).or_insert_with(|| {
                    self.debts.push(debt);
                    self.debts.len() - 1
                });
                self.debts[at] = debt;
            }
            Entry::Lived { subject, life } => {
                let at = *places.lives.entry(subject).or_insert_with(|| {
                    self.lives.push((subject, None));
                    self.lives.len() - 1
                });
                self.lives[at].1 = life.as_deref();
            }
            Entry::Held(held) => {
                let at = *places.holdings.entry((held.kind, &*held.key)).or_insert_with(|| {
                    self.holdings.push(held);
                    self.holdings.len() - 1
                });
                self.holdings[at] = held;
            }
            Entry::Read { engine, cursor, mark } => self.read(engine, *cursor, *mark),
            Entry::Nested { run, at, method, uri } => {
                self.calls.push(Call { run, at: *at, method, uri });
            }
            entry => {
                let place = line.place.expect("such an entry is about a run that is known");
                let at = *places.runs.entry(place.number).or_insert_with(|| {
                    self.runs.push(RunChange::none(place.number, place.state));
                    self.runs.len() - 1
                });
                self.runs[at].take(entry, place.state);
            }
        }
    }

    fn read(&mut self, engine: &'a EngineId, cursor: Timestamp, mark: u64) {
        match self.reads.iter_mut().find(|it| it.engine == engine) {
            Some(reads) => {
                reads.cursor = reads.cursor.max(cursor);
                reads.marks.push(mark);
            }
            None => self.reads.push(Reads { engine, cursor, marks: vec![mark] }),
        }
    }
}

impl<'a> RunChange<'a> {
    fn none(number: i64, state: RunState) -> RunChange<'a> {
        RunChange {
            number,
            planned: None,
            gathered: None,
            overtook: false,
            state,
            due_at: None,
            concluded_at: None,
            attempts: Vec::new(),
        }
    }

    fn take(&mut self, entry: &'a Entry, after: RunState) {
        self.state = after;
        match entry {
            Entry::Planned(run) => self.planned = Some(run),
            Entry::Gathered(run) => self.gathered = Some(run),
            Entry::Overtook { .. } => self.overtook = true,
            Entry::Started { attempt, at, .. } => {
                self.due_at = None;
                self.attempts.push(AttemptChange { attempt: *attempt, started_at: Some(*at), ended: None });
            }
            Entry::Ended { at, outcome, output, .. } => self.ended(after, (*at, outcome, output)),
            Entry::Deferred { until, .. } => self.due_at = Some(*until),
            Entry::Concluded { at, .. } => {
                self.due_at = None;
                self.concluded_at = Some(*at);
            }
            Entry::Debt(_)
            | Entry::Lived { .. }
            | Entry::Held(_)
            | Entry::Read { .. }
            | Entry::Nested { .. } => {}
        }
    }

    fn ended(&mut self, after: RunState, ended: (Timestamp, &'a Outcome, &'a Output)) {
        match self.attempts.last_mut() {
            Some(last) => last.ended = Some(ended),
            None => {
                let attempt = attempts(after);
                self.attempts.push(AttemptChange { attempt, started_at: None, ended: Some(ended) });
            }
        }
    }
}

/// How many attempts have begun, as far as the state tells.
pub(super) fn attempts(state: RunState) -> u32 {
    match state {
        RunState::Running { attempt: attempts }
        | RunState::Attempted { attempts }
        | RunState::Waiting { attempts } => attempts,
        RunState::Planned | RunState::Concluded(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use jiff::Timestamp;

    use super::Batch;
    use crate::journal::known::Known;
    use crate::journal::queue::Shared;
    use crate::lifecycle::{EngineId, Subject};
    use crate::run::examples::run_for;
    use crate::run::{Conclusion, Entry, Outcome, Output, RunIds, RunState};

    #[test]
    fn of_everything_the_end_is_written_once() {
        let (shared, ids) = (Shared::new(PathBuf::new(), Known::default()), RunIds::from(0));
        let (engine, at) = (EngineId::new("engine"), Timestamp::UNIX_EPOCH);
        let run = run_for(&ids, "a", None);
        let id = &run.id;
        let (outcome, output) = (Outcome::Exited(75), Output::default());
        let gone = || Entry::Lived { subject: Subject::container(&engine, "a"), life: None };
        let read = |mark| Entry::Read { engine: engine.clone(), cursor: at, mark };

        shared.append(vec![Entry::Planned(run.clone()), gone(), read(1)]).expect("true");
        shared.append(vec![Entry::Started { run: id.clone(), attempt: 1, at }]).expect("true");
        shared.append(vec![Entry::Ended { run: id.clone(), at, outcome, output }, gone()]).expect("true");
        shared.append(vec![Entry::Deferred { run: id.clone(), until: at }, read(2)]).expect("true");
        let units = shared.queue().take_behind(usize::MAX);
        let batch = Batch::of(&units);

        assert_eq!((batch.runs.len(), batch.lives.len(), batch.reads.len()), (1, 1, 1));
        assert_eq!(batch.runs[0].state, RunState::Waiting { attempts: 1 });
        assert_eq!((batch.runs[0].due_at, batch.runs[0].attempts.len()), (Some(at), 1));
        assert!(batch.runs[0].planned.is_some() && batch.runs[0].attempts[0].ended.is_some());
        assert_eq!(batch.reads[0].marks, [1, 2]);
    }

    #[test]
    fn an_end_whose_beginning_is_written_finds_its_attempt() {
        let (shared, ids) = (Shared::new(PathBuf::new(), Known::default()), RunIds::from(0));
        let (run, at) = (run_for(&ids, "a", None), Timestamp::UNIX_EPOCH);
        let id = &run.id;
        let ended =
            || Entry::Ended { run: id.clone(), at, outcome: Outcome::TimedOut, output: Output::default() };
        let started = |attempt| Entry::Started { run: id.clone(), attempt, at };
        shared.append(vec![Entry::Planned(run.clone()), started(1), ended(), started(2)]).expect("true");
        drop(shared.queue().take_behind(usize::MAX));

        let conclusion = Conclusion::Failed;
        shared.append(vec![ended(), Entry::Concluded { run: id.clone(), at, conclusion }]).expect("true");
        let units = shared.queue().take_behind(usize::MAX);
        let batch = Batch::of(&units);

        let attempt = &batch.runs[0].attempts[0];
        assert_eq!((attempt.attempt, attempt.started_at), (2, None));
        assert_eq!(batch.runs[0].state, RunState::Concluded(conclusion));
    }
}
