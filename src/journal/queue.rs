//! What waits to be written, between those who hand it over and the one who writes.
//!
//! Two queues. What is committed goes first, in a small transaction; what was appended follows, in
//! larger ones. Where the two meet in one run, debt or subject, what was appended earlier goes along
//! with what overtakes it ([`Queue::depended_on`]), so that nothing is ever written out of order.

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{oneshot, watch};

use super::handle::WRITER_GONE;
use super::known::{Known, Line, Undo};
use super::{CommitError, JournalError, Kept, Standing, fail_points};
use crate::lifecycle::Subject;
use crate::run::{Entry, HoldingKind, RunId};

#[cfg(doc)]
use super::Journal;

/// How many entries may wait before [`Journal::has_room`] says no: what the fastest stream tells
/// while the disk stands still for a third of a second, and some 10 MB.
const ROOM: usize = 65_536;

/// How many appended entries make it worth not to gather more.
pub(super) const PLENTY: usize = 2_048;

/// What was handed over together, and comes to the disk together.
#[derive(Debug, Default)]
pub(super) struct Unit {
    pub(super) lines: Vec<Line>,
    /// Dropped when the lines are on disk, or never will be.
    pub(super) _kept: Vec<Kept>,
}

/// A unit that somebody waits for.
#[derive(Debug)]
pub(super) struct Urgent {
    pub(super) unit: Unit,
    undo: Undo,
    reply: oneshot::Sender<Result<(), CommitError>>,
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
    /// What is in `behind` is not to gather any longer.
    pub(super) hurry: bool,
    /// The stamp of a copy is to be taken off.
    pub(super) accepted: bool,
    /// There is no store, and there will be none: nothing is kept.
    storeless: bool,
    /// All handles are gone.
    pub(super) closed: bool,
    /// The writer sleeps, and knows of nothing that it could wake up for.
    pub(super) idle: bool,
    /// Why nothing can be written, while that is so.
    failing: Option<Arc<str>>,
    pub(super) known: Known,
}

impl Shared {
    pub(super) fn new(dir: PathBuf, known: Known) -> Shared {
        let (standing, _) = watch::channel(Standing::Writable);
        let queue = Mutex::new(Queue { known, ..Queue::default() });
        Shared { dir, standing, queue, wake: Condvar::new() }
    }

    /// What stands in where there is no store.
    pub(super) fn without_store(why: Arc<str>) -> Shared {
        let (standing, _) = watch::channel(Standing::Failing { why: why.clone() });
        let queue = Mutex::new(Queue { failing: Some(why), storeless: true, ..Queue::default() });
        Shared { dir: PathBuf::new(), standing, queue, wake: Condvar::new() }
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn append(&self, entries: Vec<Entry>) -> Result<(), JournalError> {
        self.append_keeping(entries, Vec::new())
    }

    pub(super) fn append_keeping(&self, entries: Vec<Entry>, kept: Vec<Kept>) -> Result<(), JournalError> {
        let mut queue = self.queue();
        if queue.storeless {
            return Ok(());
        }
        let mut unit = Unit { lines: Vec::with_capacity(entries.len()), _kept: kept };
        let admitted = entries.into_iter().try_for_each(|entry| {
            fail_points::before(&entry);
            unit.lines.extend(queue.known.admit(entry, None)?);
            Ok(())
        });
        let before = queue.waiting;
        queue.push_behind(unit);
        let is_plenty_now = before < PLENTY && queue.waiting >= PLENTY;
        if (queue.idle && queue.waiting > 0) || is_plenty_now {
            queue.idle = false;
            self.wake.notify_one();
        }
        admitted
    }

    pub(super) fn commit(&self, entries: Vec<Entry>, reply: oneshot::Sender<Result<(), CommitError>>) {
        entries.iter().for_each(fail_points::before);
        let mut queue = self.queue();
        let refusal = match queue.failing.clone() {
            Some(why) => CommitError::Unwritable { why },
            None => match queue.known.admit_all(entries) {
                Ok((lines, undo)) => {
                    let unit = Unit { lines, _kept: Vec::new() };
                    queue.urgent.push_back(Urgent { unit, undo, reply });
                    queue.idle = false;
                    return self.wake.notify_one();
                }
                Err(error) => error.into(),
            },
        };
        // Whoever does not wait any more need not know.
        let _ = reply.send(Err(refusal));
    }

    pub(super) fn hasten(&self) {
        let mut queue = self.queue();
        if queue.waiting > 0 {
            queue.hurry = true;
            queue.idle = false;
            self.wake.notify_one();
        }
    }

    pub(super) fn has_room(&self) -> bool {
        let queue = self.queue();
        !queue.storeless && queue.waiting < ROOM
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

    /// There is no writer any more. That is no trouble once nobody has a handle.
    pub(super) fn abandon(&self) {
        if !self.queue().closed {
            self.fail(&WRITER_GONE.into(), Vec::new(), Vec::new());
        }
    }
}

impl Queue {
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
            let is_first = lines == 0;
            lines += it.lines.len();
            is_first || lines <= lines_max
        });
        let count = fits.count();
        let units: Vec<Unit> = self.behind.drain(..count).collect();
        self.taken_out(units.iter().map(|it| it.lines.len()).sum());
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
        let lines = urgent.iter_mut().flat_map(|it| it.unit.take_reads()).collect();
        let later = Unit { lines, _kept: Vec::new() };
        let mut about: HashSet<Thing> = urgent.iter().flat_map(|it| it.unit.things()).collect();
        let mut first = Vec::new();
        for unit in self.behind.iter_mut().rev() {
            if unit.things().any(|it| about.contains(&it)) {
                about.extend(unit.things());
                let reads = unit.take_reads();
                first.push(std::mem::replace(unit, Unit { lines: reads, _kept: Vec::new() }));
            }
        }
        self.behind.retain(|it| !it.lines.is_empty());
        self.taken_out(first.iter().map(|it| it.lines.len()).sum());
        first.reverse();
        Overtaken { first, later }
    }

    /// Tells those who wait that nothing of theirs is recorded, and makes that true.
    pub(super) fn refuse(&mut self, urgent: Vec<Urgent>, why: &Arc<str>) {
        for one in urgent.into_iter().rev() {
            self.known.undo(one.undo);
            let _ = one.reply.send(Err(CommitError::Unwritable { why: why.clone() }));
        }
    }

    fn taken_out(&mut self, lines: usize) {
        self.waiting -= lines;
        self.since = self.since.filter(|_| !self.behind.is_empty());
        self.hurry = self.hurry && self.waiting > 0;
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Thing {
    Run(RunId),
    Debt(RunId),
    Life(Subject),
    Holding(HoldingKind, Arc<str>),
}

impl Unit {
    fn things(&self) -> impl Iterator<Item = Thing> {
        self.lines.iter().filter_map(|line| match &line.entry {
            Entry::Debt(debt) => Some(Thing::Debt(debt.id.clone())),
            Entry::Lived { subject, .. } => Some(Thing::Life(subject.clone())),
            Entry::Held(held) => Some(Thing::Holding(held.kind, held.key.clone())),
            entry => entry.run().cloned().map(Thing::Run),
        })
    }

    fn take_reads(&mut self) -> Vec<Line> {
        self.lines.extract_if(.., |it| matches!(it.entry, Entry::Read { .. })).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use jiff::Timestamp;
    use tokio::sync::oneshot;

    use super::{ROOM, Shared, Unit};
    use crate::journal::{CommitError, JournalError, Standing};
    use crate::lifecycle::EngineId;
    use crate::run::examples::run_for;
    use crate::run::{Entry, Run, RunIds};

    fn shared() -> Shared {
        Shared::new(PathBuf::from("nowhere"), super::Known::default())
    }

    fn started(run: &Run) -> Entry {
        Entry::Started { run: run.id.clone(), attempt: 1, at: Timestamp::UNIX_EPOCH }
    }

    fn read(mark: u64) -> Entry {
        Entry::Read { engine: EngineId::new("engine"), cursor: Timestamp::UNIX_EPOCH, mark }
    }

    fn commit(shared: &Shared, entries: Vec<Entry>) -> oneshot::Receiver<Result<(), CommitError>> {
        let (reply, answer) = oneshot::channel();
        shared.commit(entries, reply);
        answer
    }

    /// What units hold, in a word for each entry.
    fn words(units: &[Unit]) -> Vec<&'static str> {
        let word = |entry: &Entry| match entry {
            Entry::Planned(_) => "planned",
            Entry::Started { .. } => "started",
            Entry::Read { .. } => "read",
            _ => "other",
        };
        units.iter().flat_map(|it| &it.lines).map(|it| word(&it.entry)).collect()
    }

    #[test]
    fn what_goes_ahead_takes_along_what_it_follows_from_but_no_cursor() {
        let (shared, ids) = (shared(), RunIds::from(0));
        let runs: Vec<Arc<Run>> = ["a", "b", "c"].map(|it| run_for(&ids, it, None)).into();
        let plan = |run: usize| Entry::Planned(runs[run].clone());
        shared.append(vec![plan(0), read(1)]).expect("new runs");
        // Through this one, the first is about the second.
        shared.append(vec![plan(1), started(&runs[0]), read(2)]).expect("new runs");
        shared.append(vec![plan(2), read(3)]).expect("new runs");
        let _answer = commit(&shared, vec![started(&runs[1]), read(4)]);

        let mut queue = shared.queue();
        let mut urgent: Vec<_> = queue.urgent.drain(..).collect();
        let overtaken = queue.depended_on(&mut urgent);

        assert_eq!(words(&overtaken.first), ["planned", "planned", "started"]);
        assert_eq!(words(&[overtaken.later]), ["read"]);
        assert_eq!(words(&[urgent.remove(0).unit]), ["started"]);
        assert_eq!(queue.waiting, 4);
        assert_eq!(words(&queue.take_behind(usize::MAX)), ["read", "read", "planned", "read"]);
        assert_eq!(queue.waiting, 0);
    }

    #[test]
    fn what_is_refused_was_never_there() {
        let (shared, ids) = (shared(), RunIds::from(0));
        let (old, new) = (run_for(&ids, "a", None), run_for(&ids, "b", None));
        shared.append(vec![Entry::Planned(old.clone())]).expect("a new run");
        let mut first = commit(&shared, vec![started(&old)]);
        let mut second = commit(&shared, vec![Entry::Planned(new.clone()), started(&new)]);
        let in_hand: Vec<_> = shared.queue().urgent.drain(..1).collect();

        shared.fail(&"full".into(), in_hand, Vec::new());
        let mut third = commit(&shared, vec![Entry::Planned(new.clone())]);

        let full = Err(CommitError::Unwritable { why: "full".into() });
        for answer in [&mut first, &mut second, &mut third] {
            assert_eq!(answer.try_recv().expect("answered at once"), full);
        }
        assert_eq!(*shared.standing.borrow(), Standing::Failing { why: "full".into() });
        let unknown = JournalError::UnknownRun { run: new.id.clone() };
        assert_eq!(shared.append(vec![started(&new)]), Err(unknown));
        shared.mend();
        shared.append(vec![started(&old)]).expect("it was not started");
    }

    #[test]
    fn what_could_not_be_written_comes_first_again() {
        let shared = shared();
        (1..=3).for_each(|mark| shared.append(vec![read(mark)]).expect("a message"));

        let units = shared.queue().take_behind(2);
        shared.fail(&"full".into(), Vec::new(), units);

        let units = shared.queue().take_behind(usize::MAX);
        let marks = units.iter().flat_map(|it| &it.lines).map(|it| match it.entry {
            Entry::Read { mark, .. } => mark,
            _ => 0,
        });
        assert_eq!(marks.collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn there_is_room_until_there_is_not_and_nothing_is_turned_away() {
        let shared = shared();
        assert!(shared.has_room());

        shared.append(vec![read(1); ROOM]).expect("messages");
        assert!(!shared.has_room());
        shared.append(vec![read(2)]).expect("a message");

        let units = shared.queue().take_behind(usize::MAX);
        assert_eq!(units.iter().map(|it| it.lines.len()).sum::<usize>(), ROOM + 1);
        assert!(shared.has_room());
    }
}
