//! Waiting until the daemon has done what it was asked for.
//!
//! The journal tells: an attempt has ended that had not before. What is looked for is known before
//! the wish is left, so that nothing can come about unseen.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::thread::{Timespec, nanosleep};

use super::store::{Store, StoreError};
use crate::hook::Deadline;
use crate::journal::{ReadError, Reader, Record, RunFilter};
use crate::lifecycle::Cause;
use crate::run::{Outcome, Run, RunId, RunState};

/// Between two looks at the journal: short for a person, long against a look (1 ms).
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// How long boathook may take to get at what it is asked for, beyond what the hook may take: it looks
/// for wishes twice a second, and others may be in front.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many runs of one debt, or of one hook for one subject, are looked at, the latest: more than come
/// about between two looks.
const RUNS_MAX: u32 = 64;

/// Something that was asked for.
#[derive(Debug)]
pub(super) struct Watch {
    filter: RunFilter,
    /// How far the runs were that it may be about, before it was asked for.
    before: HashMap<RunId, Progress>,
    /// It will be done by a new run like this one.
    again: Option<Arc<Run>>,
    deadline: Deadline,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    attempts_ended: usize,
    is_over: bool,
}

/// How waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// Everything has ended.
    UntilTheEnd,
    /// The daemon has gone.
    DaemonGone,
    /// Nothing came of it for longer than it may take.
    TooLong,
}

impl Progress {
    fn of(record: &Record) -> Progress {
        Progress {
            attempts_ended: record.attempts.iter().filter(|it| it.outcome.is_some()).count(),
            is_over: record.conclusion().is_some(),
        }
    }
}

impl Watch {
    /// Watches for the next attempt of a run that is not over.
    pub(super) fn on_run(reader: &Reader, run: &Run) -> Result<Watch, ReadError> {
        let filter = RunFilter { id: Some(run.id.to_string()), limit: 1, ..RunFilter::default() };
        Watch::on(reader, filter, run.hook.deadline)
    }

    /// Watches for a run that answers the same event as one that is over.
    pub(super) fn on_another(reader: &Reader, run: &Arc<Run>) -> Result<Watch, ReadError> {
        let (hook, subject) = (Some(run.hook.name.clone()), Some(run.event.subject.id.to_string()));
        let filter = RunFilter { hook, subject, limit: RUNS_MAX, ..RunFilter::default() };
        let watch = Watch::on(reader, filter, run.hook.deadline)?;
        Ok(Watch { again: Some(run.clone()), ..watch })
    }

    /// Watches for the next attempt to pay a debt, by whatever run.
    pub(super) fn on_debt(reader: &Reader, debt: &RunId, deadline: Deadline) -> Result<Watch, ReadError> {
        let filter = RunFilter { debt: Some(debt.clone()), limit: RUNS_MAX, ..RunFilter::default() };
        Watch::on(reader, filter, deadline)
    }

    fn on(reader: &Reader, filter: RunFilter, deadline: Deadline) -> Result<Watch, ReadError> {
        let records = reader.runs(&filter)?;
        let before = records.iter().map(|it| (it.run.id.clone(), Progress::of(it))).collect();
        Ok(Watch { filter, before, again: None, deadline })
    }

    /// The run that has done it, once one has.
    fn look(&self, reader: &Reader) -> Result<Option<Record>, ReadError> {
        Ok(reader.runs(&self.filter)?.into_iter().rev().find(|it| self.is_done_by(it)))
    }

    fn is_done_by(&self, record: &Record) -> bool {
        let before = self.before.get(&record.run.id).copied();
        let is_meant = self.again.as_ref().is_none_or(|it| before.is_none() && is_again(&record.run, it));
        let (before, now) = (before.unwrap_or_default(), Progress::of(record));
        // What follows from an attempt is known with its end, or in the next moment.
        let is_decided = match record.state {
            RunState::Attempted { .. } => {
                record.attempts.last().is_some_and(|it| it.outcome == Some(Outcome::Interrupted))
            }
            _ => true,
        };
        is_meant
            && is_decided
            && (now.attempts_ended > before.attempts_ended || now.is_over && !before.is_over)
    }
}

/// Whether `run` does once more what `old` did.
fn is_again(run: &Run, old: &Run) -> bool {
    let (now, then) = (&run.event, &old.event);
    now.cause == Cause::Replay && now.point == then.point && now.subject == then.subject
}

/// Waits until everything has ended, and hands each end on to `tell`, with its number.
pub(super) fn wait(
    store: &Store,
    watches: &[Watch],
    mut tell: impl FnMut(usize, Record),
) -> Result<Waited, StoreError> {
    let mut pending: Vec<usize> = (0..watches.len()).collect();
    let longest = watches.iter().map(|it| it.deadline.limit + it.deadline.grace).max().unwrap_or_default();
    let mut since = Instant::now();
    loop {
        // Who has gone by now may have done it before.
        let is_held = store.is_held()?;
        let mut left = Vec::new();
        for nth in pending {
            match watches[nth].look(&store.reader)? {
                Some(record) => {
                    tell(nth, record);
                    since = Instant::now();
                }
                None => left.push(nth),
            }
        }
        pending = left;
        match (pending.is_empty(), is_held) {
            (true, _) => return Ok(Waited::UntilTheEnd),
            (false, false) => return Ok(Waited::DaemonGone),
            (false, true) if since.elapsed() > longest + PATIENCE => return Ok(Waited::TooLong),
            (false, true) => pause(),
        }
    }
}

/// Sleeps a moment; less, if a signal comes.
pub(super) fn pause() {
    let _ = nanosleep(&PAUSE);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::{Progress, Watch};
    use crate::hook::Deadline;
    use crate::journal::{Attempt, Record, RunFilter};
    use crate::lifecycle::{Cause, Event};
    use crate::run::examples::run_for;
    use crate::run::{Conclusion, Outcome, Output, Run, RunIds, RunState};

    fn record(run: Arc<Run>, state: RunState, outcomes: &[Option<Outcome>]) -> Record {
        let at = Timestamp::UNIX_EPOCH;
        let attempt = |outcome: &Option<Outcome>| Attempt {
            started_at: at,
            ended_at: outcome.is_some().then_some(at),
            outcome: outcome.clone(),
            output: Output::default(),
        };
        Record {
            run,
            state,
            attempts: outcomes.iter().map(attempt).collect(),
            overtook: false,
            nested: Vec::new(),
            due_at: None,
            concluded_at: None,
        }
    }

    fn watch_on(before: &Record) -> Watch {
        let before = [(before.run.id.clone(), Progress::of(before))].into();
        Watch { filter: RunFilter::default(), before, again: None, deadline: Deadline::DEFAULT }
    }

    #[test]
    fn an_attempt_that_had_not_ended_before_has_done_it() {
        let run = run_for(&RunIds::from(0), "web", None);
        let exited = Some(Outcome::Exited(1));
        let waiting = RunState::Waiting { attempts: 1 };
        let before = record(run.clone(), waiting, std::slice::from_ref(&exited));
        let watch = watch_on(&before);

        assert!(!watch.is_done_by(&before));
        let under_way = [exited.clone(), None];
        assert!(!watch.is_done_by(&record(run.clone(), RunState::Running { attempt: 2 }, &under_way)));
        let ended = [exited.clone(), exited];
        assert!(!watch.is_done_by(&record(run.clone(), RunState::Attempted { attempts: 2 }, &ended)));
        assert!(watch.is_done_by(&record(run.clone(), RunState::Waiting { attempts: 2 }, &ended)));
        assert!(watch.is_done_by(&record(run, RunState::Concluded(Conclusion::Superseded), &ended[..1])));
    }

    #[test]
    fn another_run_is_a_new_one_that_somebody_has_asked_for() {
        let (ids, done) = (RunIds::from(0), RunState::Concluded(Conclusion::Done));
        let old = run_for(&ids, "web", None);
        let exited = [Some(Outcome::Exited(0))];
        let watch = Watch { again: Some(old.clone()), ..watch_on(&record(old.clone(), done, &exited)) };
        let with_cause = |cause| {
            let new = run_for(&ids, "web", None);
            let event = Event { cause, ..Event::clone(&new.event) };
            record(Arc::new(Run { event: Arc::new(event), ..Run::clone(&new) }), done, &exited)
        };

        assert!(watch.is_done_by(&with_cause(Cause::Replay)));
        assert!(!watch.is_done_by(&with_cause(Cause::Engine)));
        assert!(!watch.is_done_by(&record(old, done, &exited)));
    }
}
