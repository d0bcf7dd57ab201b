//! What was planned, tried and concluded.
//!
//! The rest of the program appends [`Entry`]s and reads records back; how they are kept is this
//! room's business. They are kept in memory: a daemon that starts anew knows nothing of the runs
//! of the one before it.
//!
//! Entries that no true life of a run holds are refused, by the table of [`RunState::after`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::run::{Conclusion, Entry, Outcome, Output, Run, RunId, RunState};

/// How many concluded runs are kept. Those that are not concluded are always kept.
const CONCLUDED_MAX: usize = 4096;

/// An entry that no true journal holds.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum JournalError {
    /// The run was never planned, or is so long over that it has been forgotten.
    #[error("no run `{run}`")]
    UnknownRun {
        /// The run that the entry is about.
        run: RunId,
    },
    /// The run is planned already.
    #[error("run `{run}` is planned twice")]
    PlannedTwice {
        /// The run.
        run: RunId,
    },
    /// The entry cannot follow what is there.
    #[error("run `{run}` is {state:?}, which the entry cannot follow")]
    OutOfOrder {
        /// The run.
        run: RunId,
        /// Where it stands.
        state: RunState,
    },
}

/// The durable record. Cheap to clone: all clones are the same journal.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    store: Arc<Mutex<Store>>,
}

/// One run as the journal knows it.
#[derive(Clone, Debug)]
pub struct Record {
    /// The run as planned.
    pub run: Arc<Run>,
    /// Where it stands.
    pub state: RunState,
    /// Its attempts, in order.
    pub attempts: Vec<Attempt>,
    /// Whether it is a gate's and went on before earlier runs of its subject were through.
    pub overtook: bool,
    /// API calls that it made itself, as `METHOD target`.
    pub nested: Vec<String>,
    /// When the next attempt is due, while it waits.
    pub due_at: Option<Timestamp>,
    /// When it was concluded.
    pub concluded_at: Option<Timestamp>,
}

/// One attempt as the journal knows it.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// What it wrote.
    pub output: Output,
}

#[derive(Debug, Default)]
struct Store {
    /// In the order of planning, as ids sort by it.
    records: BTreeMap<RunId, Record>,
    concluded: VecDeque<RunId>,
    cursor: Option<Timestamp>,
}

impl Journal {
    /// Adds entries, all or none up to the first that is refused; done when they are kept.
    ///
    /// # Errors
    ///
    /// When an entry cannot be true. The entries before it have been added.
    pub async fn append(&self, entries: impl IntoIterator<Item = Entry>) -> Result<(), JournalError> {
        self.append_behind(entries)
    }

    /// Adds entries without waiting until they are kept: for what may be lost in a crash.
    ///
    /// # Errors
    ///
    /// As for [`Journal::append`].
    pub fn append_behind(&self, entries: impl IntoIterator<Item = Entry>) -> Result<(), JournalError> {
        let mut store = self.store();
        entries.into_iter().try_for_each(|entry| store.add(entry))
    }

    /// Up to where the event stream has been taken in: the time of the last event, by the engine's
    /// clock.
    pub fn cursor(&self) -> Option<Timestamp> {
        self.store().cursor
    }

    /// Moves the cursor on; it never goes back.
    pub fn advance(&self, cursor: Timestamp) {
        let mut store = self.store();
        store.cursor = store.cursor.max(Some(cursor));
    }

    /// All runs that are kept, in the order of planning.
    pub fn runs(&self) -> Vec<Record> {
        self.store().records.values().cloned().collect()
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    fn add(&mut self, entry: Entry) -> Result<(), JournalError> {
        if let Entry::Planned(run) = entry {
            return self.plan(run);
        }
        let Some(run) = entry.run().cloned() else { return Ok(()) };
        let Some(record) = self.records.get_mut(&run) else {
            return Err(JournalError::UnknownRun { run });
        };
        let Some(state) = record.state.after(&entry) else {
            return Err(JournalError::OutOfOrder { run, state: record.state });
        };
        let concludes = matches!(entry, Entry::Concluded { .. });
        record.take(entry);
        record.state = state;
        if concludes {
            self.forget_beyond(run);
        }
        Ok(())
    }

    fn plan(&mut self, run: Arc<Run>) -> Result<(), JournalError> {
        let id = run.id.clone();
        if self.records.contains_key(&id) {
            return Err(JournalError::PlannedTwice { run: id });
        }
        self.records.insert(id, Record::new(run));
        Ok(())
    }

    fn forget_beyond(&mut self, concluded: RunId) {
        self.concluded.push_back(concluded);
        if self.concluded.len() > CONCLUDED_MAX
            && let Some(oldest) = self.concluded.pop_front()
        {
            self.records.remove(&oldest);
        }
    }
}

impl Record {
    fn new(run: Arc<Run>) -> Record {
        Record {
            run,
            state: RunState::Planned,
            attempts: Vec::new(),
            overtook: false,
            nested: Vec::new(),
            due_at: None,
            concluded_at: None,
        }
    }

    /// What became of it, once it is over.
    pub fn conclusion(&self) -> Option<Conclusion> {
        match self.state {
            RunState::Concluded(conclusion) => Some(conclusion),
            _ => None,
        }
    }

    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Planned(_) | Entry::Debt(_) | Entry::Lived { .. } | Entry::Read { .. } => {}
            Entry::Gathered(run) => self.run = run,
            Entry::Overtook { .. } => self.overtook = true,
            Entry::Started { at, .. } => {
                self.due_at = None;
                let (ended_at, outcome, output) = (None, None, Output::default());
                self.attempts.push(Attempt { started_at: at, ended_at, outcome, output });
            }
            Entry::Ended { at, outcome, output, .. } => {
                let attempt = self.attempts.last_mut().expect("an attempt that ends has begun");
                attempt.ended_at = Some(at);
                attempt.outcome = Some(outcome);
                attempt.output = output;
            }
            Entry::Deferred { until, .. } => self.due_at = Some(until),
            Entry::Concluded { at, .. } => {
                self.due_at = None;
                self.concluded_at = Some(at);
            }
            Entry::Nested { method, uri, .. } => self.nested.push(format!("{method} {uri}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{CONCLUDED_MAX, Journal, JournalError};
    use crate::run::examples::run_for;
    use crate::run::{Conclusion, Entry, Outcome, Output, RunId, RunIds};

    fn planned(ids: &RunIds) -> (RunId, Entry) {
        let run = run_for(ids, "aa", None);
        (run.id.clone(), Entry::Planned(run))
    }

    fn skipped(run: &RunId) -> Entry {
        let conclusion = Conclusion::Skipped;
        Entry::Concluded { run: run.clone(), at: Timestamp::UNIX_EPOCH, conclusion }
    }

    #[test]
    fn a_run_is_kept_with_its_attempts() {
        let (journal, ids) = (Journal::default(), RunIds::from(0));
        let (run, plan) = planned(&ids);
        let at = Timestamp::UNIX_EPOCH;
        let started = Entry::Started { run: run.clone(), attempt: 1, at };
        let (outcome, output) = (Outcome::Exited(3), Output::default());
        let ended = Entry::Ended { run: run.clone(), at, outcome, output };

        journal.append_behind([plan, started, ended]).expect("a true life");

        let runs = journal.runs();
        assert_eq!(runs[0].attempts[0].outcome, Some(Outcome::Exited(3)));
        assert_eq!(runs[0].conclusion(), None);
    }

    #[test]
    fn what_cannot_be_true_is_refused() {
        let (journal, ids) = (Journal::default(), RunIds::from(0));
        let (run, plan) = planned(&ids);

        assert_eq!(
            journal.append_behind([skipped(&run)]),
            Err(JournalError::UnknownRun { run: run.clone() })
        );
        journal.append_behind([plan.clone()]).expect("a new run");
        assert_eq!(journal.append_behind([plan]), Err(JournalError::PlannedTwice { run: run.clone() }));
        journal.append_behind([skipped(&run)]).expect("it may be skipped");
        assert!(matches!(journal.append_behind([skipped(&run)]), Err(JournalError::OutOfOrder { .. })));
    }

    #[test]
    fn old_runs_are_forgotten_but_none_that_is_not_over() {
        let (journal, ids) = (Journal::default(), RunIds::from(0));
        let (open, plan) = planned(&ids);
        journal.append_behind([plan]).expect("a new run");

        for _ in 0..CONCLUDED_MAX + 10 {
            let (run, plan) = planned(&ids);
            journal.append_behind([plan, skipped(&run)]).expect("a true life");
        }

        let runs = journal.runs();
        assert_eq!(runs.len(), CONCLUDED_MAX + 1);
        assert_eq!(runs[0].run.id, open);
    }

    #[test]
    fn the_cursor_never_goes_back() {
        let journal = Journal::default();
        let at = |second| Timestamp::from_second(second).expect("in range");

        journal.advance(at(5));
        journal.advance(at(3));

        assert_eq!(journal.cursor(), Some(at(5)));
    }
}
