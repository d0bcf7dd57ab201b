//! What the journal knows without reading: how the runs stand that are not over, and how far the
//! event streams have been taken in. Here it is judged which entries can be true.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;

use super::{Journal, JournalError};
use crate::lifecycle::EngineId;
use crate::run::{Entry, RunId, RunState};

/// How many calls of the API are kept of one run: enough to see what a hook does that asks the
/// engine in a loop.
const NESTED_MAX: u32 = 1_000;

/// An entry and what follows from it, worked out when it was handed over.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) entry: Entry,
    /// The run that it is about, unless it is about none, or one that is over.
    pub(super) place: Option<Place>,
}

/// Where a run is, and how it stands after an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its number in the order of planning.
    pub(super) number: i64,
    pub(super) state: RunState,
}

/// How far an engine's event stream has been taken in.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) engine: EngineId,
    pub(super) cursor: Timestamp,
    pub(super) marks: VecDeque<u64>,
}

/// What is known of runs and streams, entries included that are not written yet.
#[derive(Debug, Default)]
pub(super) struct Known {
    runs: HashMap<RunId, OfRun>,
    /// The number of the run that is planned next.
    next: i64,
    taken: Vec<Taken>,
}

/// What is known of a run that is not over.
#[derive(Clone, Copy, Debug)]
struct OfRun {
    place: Place,
    nested: u32,
}

/// What was known of runs before entries were taken in, the first of the entries first.
#[derive(Debug, Default)]
pub(super) struct Undo(Vec<(RunId, Option<OfRun>)>);

impl Known {
    /// What a store tells that holds these open runs, and whose next run has this number.
    pub(super) fn of(runs: Vec<(RunId, Place)>, next: i64, taken: Vec<Taken>) -> Known {
        let runs = runs.into_iter().map(|(id, place)| (id, OfRun { place, nested: 0 })).collect();
        Known { runs, next, taken }
    }

    /// Takes an entry in, if it can be true, and keeps in `undo` what was known before. `None` for
    /// an entry that is one too many.
    pub(super) fn admit(
        &mut self,
        entry: Entry,
        undo: Option<&mut Undo>,
    ) -> Result<Option<Line>, JournalError> {
        if let Entry::Read { engine, cursor, mark } = &entry {
            self.take_in(engine, *cursor, *mark);
        }
        let Some(run) = entry.run() else { return Ok(Some(Line { entry, place: None })) };
        let before = self.runs.get(run).copied();
        let after = match (before, &entry) {
            (None, Entry::Planned(_)) => OfRun { place: self.plan(), nested: 0 },
            (Some(_), Entry::Planned(_)) => return Err(JournalError::PlannedTwice { run: run.clone() }),
            // A process that outlives its run may still call.
            (None, Entry::Nested { .. }) => return Ok(Some(Line { entry, place: None })),
            (None, _) => return Err(JournalError::UnknownRun { run: run.clone() }),
            (Some(known), _) => known.after(run, &entry)?,
        };
        if after.nested > NESTED_MAX {
            return Ok(None);
        }
        if let Some(undo) = undo {
            undo.0.push((run.clone(), before));
        }
        match after.place.state {
            RunState::Concluded(_) => self.runs.remove(run),
            _ => self.runs.insert(run.clone(), after),
        };
        Ok(Some(Line { entry, place: Some(after.place) }))
    }

    /// Takes entries in, all or none.
    pub(super) fn admit_all(&mut self, entries: Vec<Entry>) -> Result<(Vec<Line>, Undo), JournalError> {
        let (mut lines, mut undo) = (Vec::with_capacity(entries.len()), Undo::default());
        for entry in entries {
            match self.admit(entry, Some(&mut undo)) {
                Ok(line) => lines.extend(line),
                Err(error) => {
                    self.undo(undo);
                    return Err(error);
                }
            }
        }
        Ok((lines, undo))
    }

    /// Knows of the runs only what was known before. That messages have been read stays known: the
    /// next one says so again.
    pub(super) fn undo(&mut self, undo: Undo) {
        for (run, before) in undo.0.into_iter().rev() {
            match before {
                Some(known) => self.runs.insert(run, known),
                None => self.runs.remove(&run),
            };
        }
    }

    /// How far the stream of `engine` has been taken in.
    pub(super) fn taken(&self, engine: &EngineId) -> Option<&Taken> {
        self.taken.iter().find(|it| it.engine == *engine)
    }

    fn plan(&mut self) -> Place {
        let number = self.next;
        self.next += 1;
        Place { number, state: RunState::Planned }
    }

    fn take_in(&mut self, engine: &EngineId, cursor: Timestamp, mark: u64) {
        let at = self.taken.iter().position(|it| it.engine == *engine).unwrap_or_else(|| {
            self.taken.push(Taken { engine: engine.clone(), cursor, marks: VecDeque::new() });
            self.taken.len() - 1
        });
        let taken = &mut self.taken[at];
        taken.cursor = taken.cursor.max(cursor);
        if taken.marks.len() == Journal::MARKS_MAX {
            taken.marks.pop_front();
        }
        taken.marks.push_back(mark);
    }
}

impl OfRun {
    fn after(self, run: &RunId, entry: &Entry) -> Result<OfRun, JournalError> {
        let OfRun { place: Place { number, state }, nested } = self;
        let after = state.after(entry).ok_or_else(|| JournalError::OutOfOrder { run: run.clone(), state })?;
        let nested = nested + u32::from(matches!(entry, Entry::Nested { .. }));
        Ok(OfRun { place: Place { number, state: after }, nested })
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{Known, NESTED_MAX};
    use crate::journal::{Journal, JournalError};
    use crate::lifecycle::EngineId;
    use crate::run::examples::run_for;
    use crate::run::{Conclusion, Entry, RunIds};

    #[test]
    fn a_run_is_forgotten_when_it_is_over_and_its_calls_are_taken_all_the_same() {
        let (mut known, run) = (Known::default(), run_for(&RunIds::from(0), "a", None));
        let (at, conclusion) = (Timestamp::UNIX_EPOCH, Conclusion::Skipped);
        let skipped = || Entry::Concluded { run: run.id.clone(), at, conclusion };
        let call = || Entry::Nested { run: run.id.clone(), at, method: String::new(), uri: String::new() };

        known.admit(Entry::Planned(run.clone()), None).expect("a new run");
        assert!(known.admit(call(), None).expect("a call").expect("one of few").place.is_some());
        known.admit(skipped(), None).expect("it may be skipped");

        let unknown = JournalError::UnknownRun { run: run.id.clone() };
        assert_eq!(known.admit(skipped(), None).expect_err("it is over"), unknown);
        assert!(known.admit(call(), None).expect("a call").expect("a line").place.is_none());
    }

    #[test]
    fn of_very_many_calls_the_first_are_kept() {
        let (mut known, run) = (Known::default(), run_for(&RunIds::from(0), "a", None));
        let at = Timestamp::UNIX_EPOCH;
        let call = || Entry::Nested { run: run.id.clone(), at, method: String::new(), uri: String::new() };
        known.admit(Entry::Planned(run.clone()), None).expect("a new run");

        let kept = (0..NESTED_MAX + 5).filter(|_| known.admit(call(), None).expect("a call").is_some());

        assert_eq!(kept.count(), NESTED_MAX as usize);
    }

    #[test]
    fn the_cursor_never_goes_back_and_the_oldest_marks_go() {
        let (mut known, engine) = (Known::default(), EngineId::new("engine"));
        let at = |second| Timestamp::from_second(second).expect("in range");
        let mut read = |second, mark| {
            known
                .admit(Entry::Read { engine: engine.clone(), cursor: at(second), mark }, None)
                .expect("a message");
        };

        read(5, 0);
        (1..=Journal::MARKS_MAX as u64).for_each(|mark| read(3, mark));

        let taken = known.taken(&engine).expect("it was heard of");
        assert_eq!(taken.cursor, at(5));
        assert_eq!((taken.marks.len(), taken.marks[0]), (Journal::MARKS_MAX, 1));
    }
}
