//! What waits to be written, and what is known without reading: the side of the journal that its
//! callers touch.
//!
//! Two queues. What is committed goes first, in a small transaction; what was appended follows, in
//! larger ones. Where the two meet in one run, debt or subject, what was appended earlier goes along
//! with what overtakes it ([`Queue::depended_on`]), so that nothing is ever written out of order.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::{oneshot, watch};

use super::handle::WRITER_GONE;
use super::{CommitError, Journal, JournalError, Standing};
use crate::lifecycle::{EngineId, Subject};
use crate::run::{Entry, RunId, RunState};

/// How many entries may wait before [`Journal::has_room`] says no: what a writer gets through in a
/// tenth of a second, and some 5 MB.
const ROOM: usize = 16_384;

/// How many calls of the API are kept of one run. A hook that asks the engine in a loop is told of
/// by fewer.
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

/// What was handed over together, and comes to the disk together.
#[derive(Debug, Default)]
pub(super) struct Unit {
    pub(super) lines: Vec<Line>,
}

/// A unit that somebody waits for.
#[derive(Debug)]
pub(super) struct Urgent {
    pub(super) unit: Unit,
    /// What was known of its runs before it, the first of its entries first.
    undo: Vec<(RunId, Option<Known>)>,
    reply: oneshot::Sender<Result<(), CommitError>>,
}

/// A run that is not over.
#[derive(Clone, Copy, Debug)]
struct Known {
    place: Place,
    nested: u32,
}

/// How far an engine's event stream has been taken in.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) engine: EngineId,
    pub(super) cursor: Timestamp,
    pub(super) marks: VecDeque<u64>,
}

/// What handles and writer share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Where the store is.
    pub(super) dir: PathBuf,
    pub(super) standing: watch::Sender<Standing>,
    queue: Mutex<Queue>,
    /// Wakes the writer.
    pub(super) wake: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) urgent: VecDeque<Urgent>,
    pub(super) behind: VecDeque<Unit>,
    /// How many entries are in `behind`.
    pub(super) waiting: usize,
    /// Since when something has been in `behind`.
    pub(super) since: Option<Instant>,
    /// The stamp of a copy is to be taken off.
    pub(super) accepted: bool,
    /// There is no store, and there will be none: nothing is kept.
    storeless: bool,
    /// All handles are gone.
    pub(super) closed: bool,
    /// The writer has nothing to do and sleeps until it is woken.
    pub(super) idle: bool,
    /// Why nothing can be written, while that is so.
    failing: Option<Arc<str>>,
    runs: HashMap<RunId, Known>,
    /// The number of the run that is planned next.
    next: i64,
    taken: Vec<Taken>,
}

impl Shared {
    pub(super) fn new(dir: PathBuf, queue: Queue) -> Shared {
        let standing = match &queue.failing {
            None => Standing::Writable,
            Some(why) => Standing::Failing { why: why.clone() },
        };
        let (standing, _) = watch::channel(standing);
        Shared { dir, standing, queue: Mutex::new(queue), wake: Condvar::new() }
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn append(&self, entries: Vec<Entry>) -> Result<(), JournalError> {
        let mut queue = self.queue();
        if queue.storeless {
            return Ok(());
        }
        let mut unit = Unit { lines: Vec::with_capacity(entries.len()) };
        let admitted = entries.into_iter().try_for_each(|entry| {
            unit.lines.extend(queue.admit(entry, None)?);
            Ok(())
        });
        queue.push_behind(unit);
        if queue.idle {
            queue.idle = false;
            self.wake.notify_one();
        }
        admitted
    }

    pub(super) fn commit(&self, entries: Vec<Entry>, reply: oneshot::Sender<Result<(), CommitError>>) {
        let mut queue = self.queue();
        let answer = match queue.failing.clone() {
            Some(why) => Err(CommitError::Unwritable { why }),
            None => match queue.admit_all(entries) {
                Ok((unit, undo)) => {
                    queue.urgent.push_back(Urgent { unit, undo, reply });
                    queue.idle = false;
                    return self.wake.notify_one();
                }
                Err(error) => Err(error.into()),
            },
        };
        // Whoever does not wait any more need not know.
        let _ = reply.send(answer);
    }

    pub(super) fn has_room(&self) -> bool {
        let queue = self.queue();
        !queue.storeless && queue.waiting < ROOM
    }

    pub(super) fn cursor(&self, engine: &EngineId) -> Option<Timestamp> {
        self.queue().taken.iter().find(|it| it.engine == *engine).map(|it| it.cursor)
    }

    pub(super) fn marks(&self, engine: &EngineId) -> Vec<u64> {
        let queue = self.queue();
        let taken = queue.taken.iter().find(|it| it.engine == *engine);
        taken.map_or_else(Vec::new, |it| it.marks.iter().copied().collect())
    }

    pub(super) fn accept_copy(&self) {
        self.queue().accepted = true;
        self.wake.notify_one();
    }

    pub(super) fn close(&self) {
        self.queue().closed = true;
        self.wake.notify_one();
    }

    /// Nothing can be written: who waits is told, and who comes is told at once. What has been
    /// taken off the queues is refused, or put back.
    pub(super) fn fail(&self, why: &Arc<str>, mut urgent: Vec<Urgent>, behind: Vec<Unit>) {
        let mut queue = self.queue();
        queue.failing = Some(why.clone());
        queue.put_back(behind);
        urgent.extend(queue.urgent.drain(..));
        queue.refuse(urgent, why);
        drop(queue);
        self.standing.send_replace(Standing::Failing { why: why.clone() });
    }

    /// It can be written again.
    pub(super) fn mend(&self) {
        self.queue().failing = None;
        self.standing.send_replace(Standing::Writable);
    }

    /// There is no writer any more.
    pub(super) fn abandon(&self) {
        self.fail(&WRITER_GONE.into(), Vec::new(), Vec::new());
    }
}

impl Queue {
    /// A queue for a store that holds these runs, and whose next run has this number.
    pub(super) fn of(runs: impl IntoIterator<Item = (RunId, Place)>, next: i64, taken: Vec<Taken>) -> Queue {
        let runs = runs.into_iter().map(|(id, place)| (id, Known { place, nested: 0 })).collect();
        Queue { runs, next, taken, ..Queue::default() }
    }

    /// What stands in for a queue where there is no store.
    pub(super) fn without_store(why: Arc<str>) -> Queue {
        Queue { failing: Some(why), storeless: true, ..Queue::default() }
    }

    /// Takes an entry in, if it can be true; `undo` gets what was known of its run before. `None`
    /// for an entry that is one too many.
    fn admit(
        &mut self,
        entry: Entry,
        undo: Option<&mut Vec<(RunId, Option<Known>)>>,
    ) -> Result<Option<Line>, JournalError> {
        if let Entry::Read { engine, cursor, mark } = &entry {
            self.take_in(engine, *cursor, *mark);
        }
        let Some(run) = entry.run() else { return Ok(Some(Line { entry, place: None })) };
        let before = self.runs.get(run).copied();
        let after = match (before, &entry) {
            (None, Entry::Planned(_)) => {
                self.next += 1;
                Known { place: Place { number: self.next - 1, state: RunState::Planned }, nested: 0 }
            }
            (Some(_), Entry::Planned(_)) => return Err(JournalError::PlannedTwice { run: run.clone() }),
            // A process that outlives its run may still call.
            (None, Entry::Nested { .. }) => return Ok(Some(Line { entry, place: None })),
            (None, _) => return Err(JournalError::UnknownRun { run: run.clone() }),
            (Some(known), _) => known.after(&entry)?,
        };
        if after.nested > NESTED_MAX {
            return Ok(None);
        }
        if let Some(undo) = undo {
            undo.push((run.clone(), before));
        }
        match after.place.state {
            RunState::Concluded(_) => self.runs.remove(run),
            _ => self.runs.insert(run.clone(), after),
        };
        Ok(Some(Line { entry, place: Some(after.place) }))
    }

    /// Takes entries in, all or none.
    #[expect(clippy::type_complexity, reason = "the parts of an `Urgent`, which its one caller completes")]
    fn admit_all(
        &mut self,
        entries: Vec<Entry>,
    ) -> Result<(Unit, Vec<(RunId, Option<Known>)>), JournalError> {
        let (mut unit, mut undo) = (Unit::default(), Vec::new());
        for entry in entries {
            match self.admit(entry, Some(&mut undo)) {
                Ok(line) => unit.lines.extend(line),
                Err(error) => {
                    self.undo(undo);
                    return Err(error);
                }
            }
        }
        Ok((unit, undo))
    }

    fn take_in(&mut self, engine: &EngineId, cursor: Timestamp, mark: u64) {
        let taken = match self.taken.iter_mut().position(|it| it.engine == *engine) {
            Some(at) => &mut self.taken[at],
            None => {
                self.taken.push(Taken { engine: engine.clone(), cursor, marks: VecDeque::new() });
                self.taken.last_mut().expect("one has just been pushed")
            }
        };
        taken.cursor = taken.cursor.max(cursor);
        if taken.marks.len() == Journal::MARKS_MAX {
            taken.marks.pop_front();
        }
        taken.marks.push_back(mark);
    }

    fn undo(&mut self, undo: Vec<(RunId, Option<Known>)>) {
        for (run, before) in undo.into_iter().rev() {
            match before {
                Some(known) => self.runs.insert(run, known),
                None => self.runs.remove(&run),
            };
        }
    }

    pub(super) fn push_behind(&mut self, unit: Unit) {
        if !unit.lines.is_empty() {
            self.waiting += unit.lines.len();
            self.since.get_or_insert_with(Instant::now);
            self.behind.push_back(unit);
        }
    }

    /// Takes units off the front of what is behind, up to so many entries, but one at least.
    pub(super) fn take_behind(&mut self, lines_max: usize) -> Vec<Unit> {
        let mut lines = 0;
        let fits = self.behind.iter().take_while(|it| {
            let first = lines == 0;
            lines += it.lines.len();
            first || lines <= lines_max
        });
        let count = fits.count();
        let units: Vec<Unit> = self.behind.drain(..count).collect();
        self.waiting -= units.iter().map(|it| it.lines.len()).sum::<usize>();
        self.since = self.since.filter(|_| !self.behind.is_empty());
        units
    }

    /// Puts back what could not be written, before all else.
    pub(super) fn put_back(&mut self, units: Vec<Unit>) {
        for unit in units.into_iter().rev().filter(|it| !it.lines.is_empty()) {
            self.waiting += unit.lines.len();
            self.since.get_or_insert_with(Instant::now);
            self.behind.push_front(unit);
        }
    }

    /// Takes out what has to be written before `urgent`: the units that are about one of the same
    /// things, those that are about one of theirs, and so on.
    ///
    /// That messages have been read stays where it is. It says that all that follows from them is
    /// recorded, and other units of theirs may wait still. So what `urgent` itself says of that is
    /// to be written [`later`](Overtaken::later).
    pub(super) fn depended_on(&mut self, urgent: &mut [Urgent]) -> Overtaken {
        if self.behind.is_empty() {
            return Overtaken::default();
        }
        let later = Unit { lines: urgent.iter_mut().flat_map(|it| it.unit.take_reads()).collect() };
        let mut about: HashSet<Thing> = urgent.iter().flat_map(|it| it.unit.things()).collect();
        let mut found = Vec::new();
        for unit in self.behind.iter_mut().rev() {
            if unit.things().any(|it| about.contains(&it)) {
                about.extend(unit.things());
                let reads = unit.take_reads();
                found.push(std::mem::replace(unit, Unit { lines: reads }));
            }
        }
        self.behind.retain(|it| !it.lines.is_empty());
        self.waiting -= found.iter().map(|it| it.lines.len()).sum::<usize>();
        self.since = self.since.filter(|_| !self.behind.is_empty());
        found.reverse();
        Overtaken { first: found, later }
    }

    /// Tells those who wait that nothing of theirs is recorded, and makes that true.
    pub(super) fn refuse(&mut self, urgent: Vec<Urgent>, why: &Arc<str>) {
        for one in urgent.into_iter().rev() {
            self.undo(one.undo);
            let _ = one.reply.send(Err(CommitError::Unwritable { why: why.clone() }));
        }
    }
}

impl Known {
    fn after(self, entry: &Entry) -> Result<Known, JournalError> {
        let Known { place: Place { number, state }, nested } = self;
        match state.after(entry) {
            Some(state) => {
                let nested = nested + u32::from(matches!(entry, Entry::Nested { .. }));
                Ok(Known { place: Place { number, state }, nested })
            }
            None => {
                let run = entry.run().expect("only an entry about a run is judged by it").clone();
                Err(JournalError::OutOfOrder { run, state })
            }
        }
    }
}

impl Urgent {
    /// Tells the one who waits that it is on disk.
    pub(super) fn done(self) {
        let _ = self.reply.send(Ok(()));
    }
}

/// What belongs around units that go ahead.
#[derive(Debug, Default)]
pub(super) struct Overtaken {
    /// What has to be written before them.
    pub(super) first: Vec<Unit>,
    /// What may be written only after all that they have overtaken.
    pub(super) later: Unit,
}

/// What the entries of two units may both be about, so that their order matters.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Thing {
    Run(RunId),
    Debt(RunId),
    Life(Subject),
}

impl Unit {
    fn things(&self) -> impl Iterator<Item = Thing> {
        self.lines.iter().filter_map(|line| match &line.entry {
            Entry::Debt(debt) => Some(Thing::Debt(debt.id.clone())),
            Entry::Lived { subject, .. } => Some(Thing::Life(subject.clone())),
            entry => entry.run().cloned().map(Thing::Run),
        })
    }

    fn take_reads(&mut self) -> Vec<Line> {
        self.lines.extract_if(.., |it| matches!(it.entry, Entry::Read { .. })).collect()
    }
}
