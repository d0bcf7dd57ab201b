//! What a boathook before this one left of the attempts that it did not live to see through.
//!
//! Whatever became of them counts: those that have ended did so as their notes say, those that go on are
//! waited for, as their reaper is still there to see how they end. Only where nobody has seen it is an attempt
//! interrupted, and repeated.
//!
//! The journal may know less than the notes: an attempt need not wait until it is on disk that its run was planned.
//! Then the same event is told again, and the run that is planned for it is the one that is here.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nix::unistd::Pid;
use tokio::time::sleep;
use tracing::{info, warn};

use super::broom::{Broom, Traces};
use super::files::read_again;
use super::note::{Note, Told};
use super::survivors::{Survivor, is_reaping, processes, reapers};
use crate::hook::{Deadline, HookName};
use crate::lifecycle::{Event, Point};
use crate::run::{Outcome, Output, Phase, RunId};

/// How often it is looked whether an attempt has ended. A reaper that is not ours tells us nothing.
const POLL: Duration = Duration::from_millis(20);

/// Points that a container reaches once in a passage, by whatever way that is told.
const ONCE: &[Point] = &[Point::PostCreate, Point::PostStart, Point::PostStop, Point::PostRemove];

/// The attempts that are left.
#[derive(Debug, Default)]
pub struct Left {
    attempts: Vec<Attempt>,
    reapers: Arc<Reapers>,
    /// How much of each stream is kept, in bytes.
    kept_max: usize,
    broom: Option<Arc<Broom>>,
}

/// One of them.
#[derive(Clone, Debug)]
struct Attempt {
    run: String,
    number: u32,
    /// `None`: only its process is there.
    told: Option<Told>,
    deadline: Option<Timestamp>,
    dir: PathBuf,
    /// Whether the journal has never heard of the run.
    strange: bool,
}

/// The reapers of the boathooks before.
#[derive(Debug, Default)]
struct Reapers {
    runs_dir: PathBuf,
    pids: Vec<Pid>,
}

/// What is left of one attempt of a run, and of the run's processes.
#[derive(Debug)]
pub struct Remains {
    survivor: Survivor,
    attempt: Option<Attempt>,
    /// When the last process of the run is out of time.
    deadline: Option<Timestamp>,
    reapers: Arc<Reapers>,
    kept_max: usize,
    broom: Option<Arc<Broom>>,
}

/// What became of an attempt.
#[derive(Debug)]
pub enum Past {
    /// It has ended.
    Ended {
        /// How.
        outcome: Outcome,
        /// What it wrote.
        output: Output,
        /// What has to be kept until that is on disk.
        traces: Option<Traces>,
    },
    /// Nobody knows: it counts as interrupted.
    Unseen,
    /// It never began.
    NotBegun,
}

impl Left {
    /// Looks for them, in `runs_dir` and in the environments of all processes.
    pub(super) fn look(runs_dir: &Path, kept_max: usize, broom: &Arc<Broom>) -> Left {
        // First: what they have yet to write down they are seen by.
        let reapers = Reapers { runs_dir: runs_dir.to_owned(), pids: reapers(runs_dir) };
        let mut attempts: Vec<Attempt> = notes(runs_dir).collect();
        for it in processes() {
            if !attempts.iter().any(|known| known.run == it.run && known.number == it.attempt) {
                let dir = runs_dir.join(format!("{}.{}", it.run, it.attempt));
                let (run, number, deadline) = (it.run, it.attempt, it.deadline);
                attempts.push(Attempt { run, number, told: None, deadline, dir, strange: false });
            }
        }
        Left { attempts, reapers: reapers.into(), kept_max, broom: Some(broom.clone()) }
    }

    /// The runs that they belong to.
    pub fn runs(&self) -> HashSet<String> {
        self.attempts.iter().map(|it| it.run.clone()).collect()
    }

    /// The run is over, as the journal says: what is left of it means nothing any more.
    pub fn forget(&mut self, run: &str) {
        self.attempts.retain(|it| it.run != run);
    }

    /// The journal has never heard of the run.
    pub fn never_heard_of(&mut self, run: &str) {
        self.attempts.iter_mut().filter(|it| it.run == run).for_each(|it| it.strange = true);
    }

    /// Whether a file among the directories of attempts belongs to one that is left.
    pub fn owns(&self, path: &Path) -> bool {
        let dir = Note::directory(path).unwrap_or_else(|| path.to_owned());
        self.attempts.iter().any(|it| it.dir == dir)
    }

    /// The run of `hook` for `event`, if it has begun and the journal has never heard of it.
    pub fn run_for(&mut self, hook: &HookName, event: &Event) -> Option<RunId> {
        let same =
            |it: &&mut Attempt| it.strange && it.told.as_ref().is_some_and(|told| is_for(told, hook, event));
        let run = self.attempts.iter_mut().find(same)?.told.as_ref()?.begun.run.clone();
        self.attempts.iter_mut().filter(|it| it.run == run.as_str()).for_each(|it| it.strange = false);
        Some(run)
    }

    /// Whether such an attempt has begun.
    pub fn has(&self, run: &RunId, number: u32) -> bool {
        self.attempts.iter().any(|it| it.run == run.as_str() && it.number == number)
    }

    /// What is left of an attempt, or of others of its run, which must be through before it begins. It is not
    /// known here afterwards.
    pub fn take(&mut self, run: &RunId, number: u32) -> Option<Remains> {
        let of_run = |it: &&Attempt| it.run == run.as_str();
        let deadline = self.attempts.iter().filter(of_run).map(|it| it.deadline).max()?;
        let index = self.attempts.iter().position(|it| it.run == run.as_str() && it.number == number);
        Some(Remains {
            survivor: Survivor::of(run),
            attempt: index.map(|it| self.attempts.swap_remove(it)),
            deadline,
            reapers: self.reapers.clone(),
            kept_max: self.kept_max,
            broom: self.broom.clone(),
        })
    }
}

/// Whether what is told of is an attempt of the run that answers `event`.
fn is_for(told: &Told, hook: &HookName, event: &Event) -> bool {
    let begun = &told.begun;
    let same_time = begun.at == event.at || ONCE.contains(&event.point);
    begun.phase == Phase::Setup
        && !begun.singular
        && begun.hook == *hook
        && begun.point == event.point
        && begun.subject == event.subject
        && begun.passage == event.passage
        && same_time
}

/// The attempts that there are notes of.
fn notes(runs_dir: &Path) -> impl Iterator<Item = Attempt> {
    let entries = fs::read_dir(runs_dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let dir = Note::directory(&entry.path())?;
        let told = Told::read(&fs::read_to_string(entry.path()).ok()?)?;
        let (run, number) = (told.begun.run.to_string(), told.begun.attempt);
        let deadline = Some(told.begun.deadline);
        Some(Attempt { run, number, told: Some(told), deadline, dir, strange: false })
    })
}

impl Reapers {
    fn are_gone(&self) -> bool {
        !self.pids.iter().any(|it| is_reaping(*it, &self.runs_dir))
    }
}

impl Remains {
    /// Waits until it is known what became of the attempt, and ends it at its deadline as boathook would
    /// have.
    pub async fn outlived(self, deadline: Deadline) -> Past {
        let left = |until: Timestamp| Duration::try_from(until.duration_since(Timestamp::now())).ok();
        let left = self.deadline.and_then(left).unwrap_or_default().min(deadline.limit);
        let mut waited = Duration::ZERO;
        while self.outcome().is_none() {
            // Asked in this order: a reaper that has ended has written everything down.
            if self.reapers.are_gone() && self.survivor.is_gone() {
                break;
            }
            if waited >= left {
                self.end_as(&Outcome::TimedOut, deadline.grace).await;
                break;
            }
            if waited.is_zero() {
                info!(run = self.run(), wait = ?left, "waiting for a process that outlived its boathook");
            }
            sleep(POLL).await;
            waited += POLL;
        }
        self.past(deadline.grace).await
    }

    /// How the attempt has ended, if it has: what nobody waits for is not waited for here.
    pub fn ended(&mut self) -> Option<(Outcome, Output, Option<Traces>)> {
        let outcome = self.outcome().filter(|it| !is_of_boathook(it))?;
        let (output, traces) = self.take();
        Some((outcome, output, traces))
    }

    /// Ends the processes: nobody waits for what they would say. The files go.
    pub async fn end(mut self, grace: Duration) {
        self.survivor.end(grace).await;
        drop(self.take());
    }

    fn run(&self) -> &str {
        self.attempt.as_ref().map_or("", |it| &it.run)
    }

    /// How the attempt has ended, as its note says now.
    fn outcome(&self) -> Option<Outcome> {
        let attempt = self.attempt.as_ref()?;
        let told = attempt.told.as_ref()?;
        told.outcome.clone().or_else(|| read(&attempt.dir)?.outcome)
    }

    async fn end_as(&self, outcome: &Outcome, grace: Duration) {
        if let Some(attempt) = &self.attempt {
            let note = Note::reopen(&Note::beside(&attempt.dir)).and_then(|it| it.end(outcome));
            if let Err(error) = note {
                warn!(run = attempt.run, %error, "cannot note why a hook is ended");
            }
        }
        self.survivor.end(grace).await;
    }

    async fn past(mut self, grace: Duration) -> Past {
        let outcome = self.outcome();
        // The boathook before may not have been through with what it says there.
        if outcome.as_ref().is_some_and(is_of_boathook) {
            self.survivor.end(grace).await;
        }
        let begun = self.attempt.is_some();
        let (output, traces) = self.take();
        match outcome {
            Some(Outcome::Interrupted) => Past::Unseen,
            Some(outcome) => Past::Ended { outcome, output, traces },
            None if begun => Past::Unseen,
            None => Past::NotBegun,
        }
    }

    /// What the attempt has written, and what has to be kept of it.
    fn take(&mut self) -> (Output, Option<Traces>) {
        let (Some(attempt), Some(broom)) = (self.attempt.take(), &self.broom) else {
            return (Output::default(), None);
        };
        let output = read_again(&attempt.dir, self.kept_max).unwrap_or_else(|error| {
            warn!(run = attempt.run, %error, "cannot read what a hook wrote");
            Output::default()
        });
        (output, Traces::at(attempt.dir, broom).keep())
    }
}

fn read(dir: &Path) -> Option<Told> {
    Told::read(&fs::read_to_string(Note::beside(dir)).ok()?)
}

/// Whether only boathook itself ends an attempt in that way.
fn is_of_boathook(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::TimedOut | Outcome::Interrupted)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::note::{Begun, Told};
    use super::is_for;
    use crate::lifecycle::{Event, Point};
    use crate::run::examples::run_for;
    use crate::run::{Phase, Run, RunIds};

    fn told(run: &Run) -> Told {
        Told { begun: Begun::of(run, 1, Timestamp::UNIX_EPOCH), outcome: None }
    }

    #[test]
    fn a_run_is_known_again_by_its_hook_and_its_event() {
        let run = run_for(&RunIds::from(0), "web", None);
        let (hook, event) = (&run.hook.name, Event::clone(&run.event));
        let later = Timestamp::from_second(1).expect("in range");

        assert!(is_for(&told(&run), hook, &event));
        assert!(is_for(&told(&run), hook, &Event { at: later, ..event.clone() }), "it starts once");
        assert!(!is_for(&told(&run), hook, &Event { passage: 2, ..event.clone() }));
        assert!(!is_for(&told(&run), hook, &Event { point: Point::PostStop, ..event.clone() }));
        let clean_up = Run { phase: Phase::Cleanup, ..Run::clone(&run) };
        assert!(!is_for(&told(&clean_up), hook, &event));
    }

    #[test]
    fn what_may_happen_often_in_a_passage_is_known_again_by_its_time() {
        let run = run_for(&RunIds::from(0), "web", None);
        let event = Event { point: Point::Healthy, ..Event::clone(&run.event) };
        let run = Run { event: event.clone().into(), ..Run::clone(&run) };
        let later = Timestamp::from_second(1).expect("in range");

        assert!(is_for(&told(&run), &run.hook.name, &event));
        assert!(!is_for(&told(&run), &run.hook.name, &Event { at: later, ..event }));
    }
}
