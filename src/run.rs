//! One hook for one event, from planned to concluded.
//!
//! A [`Run`] may take several attempts, each one process with one [`Outcome`]. What may follow
//! what is a table that can say no ([`RunState::after`]), so that the journal never holds a life
//! that no run can have had.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::hook::Hook;
use crate::lifecycle::Event;

/// The HTTP header by which an API call of a hook's own is recognised; its value is the secret of
/// the run. Docker shows it to authorization as any other header.
pub const NESTED_HEADER: &str = "X-Boathook-Run";

/// The identity of a run, the same over all its attempts: scripts may use it as a key.
///
/// Sixteen characters of Crockford's base 32, in lower case: 48 bits of milliseconds and 32 bits
/// of counter, so that ids sort by the time of planning.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(Arc<str>);

impl RunId {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

    fn new(at: Timestamp, count: u32) -> RunId {
        let millis = u128::from(at.as_millisecond().unsigned_abs() & 0xffff_ffff_ffff);
        let bits = (millis << 32) | u128::from(count);
        let digit = |place: u32| RunId::ALPHABET[((bits >> (5 * place)) & 31) as usize] as char;
        RunId((0..16).rev().map(digit).collect::<String>().into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Gives out run ids. One for each daemon; it starts at a random place, so that two daemons one
/// after the other do not give the same id in the same millisecond.
#[derive(Debug)]
pub struct RunIds(AtomicU32);

impl RunIds {
    /// Ids that count on from `start`.
    pub fn from(start: u32) -> RunIds {
        RunIds(AtomicU32::new(start))
    }

    /// The next id.
    pub fn next(&self, at: Timestamp) -> RunId {
        RunId::new(at, self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// One hook for one event.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its identity.
    pub id: RunId,
    /// The hook as it was declared when the run was planned.
    pub hook: Arc<Hook>,
    /// Set-up or clean-up.
    pub phase: Phase,
    /// What it answers; of several the first.
    pub event: Arc<Event>,
    /// Everything that it answers, if that may be more than one event; then it belongs to no
    /// subject.
    pub batch: Option<Batch>,
    /// When it was planned.
    pub planned_at: Timestamp,
}

/// The events that one run answers together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The first of them, in order.
    pub events: Vec<Arc<Event>>,
    /// How many more there were.
    pub more: usize,
}

impl Batch {
    /// How many events are kept: more than a script would go through, and a bound on the document.
    pub const EVENTS_MAX: usize = 256;

    /// Takes one more in.
    pub fn push(&mut self, event: Arc<Event>) {
        if self.events.len() < Batch::EVENTS_MAX {
            self.events.push(event);
        } else {
            self.more += 1;
        }
    }
}

/// Which half of a hook a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// What the hook does at its points.
    Setup,
}

impl Phase {
    /// The name in environment and document.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Setup => "setup",
        }
    }
}

/// How one attempt ended: five ways that look alike and are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It exited by itself, with that status.
    Exited(i32),
    /// A signal that boathook did not send killed it.
    Signaled(i32),
    /// It outlived its deadline, and its whole process group was ended.
    TimedOut,
    /// There was never a process: the program is missing, not executable, not trustworthy.
    NotStarted(String),
    /// Boathook stopped and took it along.
    Interrupted,
}

impl Outcome {
    /// The exit status by which a script asks to be tried again later (`EX_TEMPFAIL` of sysexits).
    pub const TRY_AGAIN: i32 = 75;

    /// Whether the hook did what it should.
    pub fn is_success(&self) -> bool {
        *self == Outcome::Exited(0)
    }

    /// A word for logs and JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Outcome::Exited(_) => "exited",
            Outcome::Signaled(_) => "signaled",
            Outcome::TimedOut => "timed_out",
            Outcome::NotStarted(_) => "not_started",
            Outcome::Interrupted => "interrupted",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Exited(status) => write!(f, "exited with {status}"),
            Outcome::Signaled(signal) => write!(f, "was killed by signal {signal}"),
            Outcome::TimedOut => f.write_str("took longer than it may"),
            Outcome::NotStarted(why) => write!(f, "could not be started: {why}"),
            Outcome::Interrupted => f.write_str("was interrupted"),
        }
    }
}

/// What one attempt left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// What it wrote to standard output.
    pub stdout: Captured,
    /// What it wrote to standard error.
    pub stderr: Captured,
}

/// What was written to one stream, bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// The text, lossily decoded. When it was too long: the beginning, a line that says what is
    /// left out, the end.
    pub text: String,
    /// How many bytes were written in all.
    pub bytes_total: u64,
}

/// What a script says to boathook: a JSON object on its standard output, or just words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// For the docker user, should this be a denial.
    pub message: Option<String>,
    /// For the clean-up.
    pub state: Option<Value>,
}

impl Output {
    /// The reply: `.message` and `.state` of a JSON object on standard output; without a message
    /// there, the last line of standard error.
    pub fn reply(&self) -> Reply {
        let object = serde_json::from_str(&self.stdout.text).ok().and_then(|value| match value {
            Value::Object(object) => Some(object),
            _ => None,
        });
        let (message, state) = match object {
            Some(mut object) => {
                let message = object.get("message").and_then(Value::as_str).map(str::to_owned);
                (message, object.remove("state"))
            }
            None => (None, None),
        };
        let last_words = || self.stderr.text.lines().rev().map(str::trim).find(|it| !it.is_empty());
        Reply { message: message.or_else(|| last_words().map(str::to_owned)), state }
    }
}

/// What the journal is told of runs, in the order in which it happens.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A run will be. Told before its first process exists.
    Planned(Arc<Run>),
    /// A gate went on although earlier runs of its subject were not through.
    Overtook {
        /// The run of the gate.
        run: RunId,
    },
    /// An attempt begins.
    Started {
        /// The run.
        run: RunId,
        /// Counted from 1.
        attempt: u32,
        /// When.
        at: Timestamp,
    },
    /// An attempt ended.
    Ended {
        /// The run.
        run: RunId,
        /// When.
        at: Timestamp,
        /// How.
        outcome: Outcome,
        /// What it wrote.
        output: Output,
    },
    /// The next attempt is put off.
    Deferred {
        /// The run.
        run: RunId,
        /// Until when.
        until: Timestamp,
    },
    /// The run is over.
    Concluded {
        /// The run.
        run: RunId,
        /// When.
        at: Timestamp,
        /// What became of it.
        conclusion: Conclusion,
    },
    /// A process of the run made an API call itself.
    Nested {
        /// The run.
        run: RunId,
        /// When.
        at: Timestamp,
        /// `POST`, …
        method: String,
        /// The request target.
        uri: String,
    },
}

impl Entry {
    /// The run that the entry is about.
    pub fn run(&self) -> &RunId {
        match self {
            Entry::Planned(run) => &run.id,
            Entry::Overtook { run }
            | Entry::Started { run, .. }
            | Entry::Ended { run, .. }
            | Entry::Deferred { run, .. }
            | Entry::Concluded { run, .. }
            | Entry::Nested { run, .. } => run,
        }
    }
}

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// An attempt succeeded.
    Done,
    /// The last attempt failed.
    Failed,
    /// A condition-only hook said no; there was no process.
    Denied,
    /// An earlier hook of the gate had said no, or the gate's time was up.
    Skipped,
    /// What it was for is over; it was not tried again.
    Superseded,
    /// Boathook stopped first.
    Interrupted,
}

impl Conclusion {
    /// A word for logs and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Conclusion::Done => "done",
            Conclusion::Failed => "failed",
            Conclusion::Denied => "denied",
            Conclusion::Skipped => "skipped",
            Conclusion::Superseded => "superseded",
            Conclusion::Interrupted => "interrupted",
        }
    }
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// It will be.
    Planned,
    /// A process exists, or is about to.
    Running {
        /// Counted from 1.
        attempt: u32,
    },
    /// An attempt has ended; what follows is not decided.
    Attempted {
        /// The attempts so far.
        attempts: u32,
    },
    /// The next attempt is put off.
    Waiting {
        /// The attempts so far.
        attempts: u32,
    },
    /// It is over.
    Concluded(Conclusion),
}

impl RunState {
    /// The state after `entry`, or `None` if no true journal holds that entry here.
    pub fn after(self, entry: &Entry) -> Option<RunState> {
        match (self, entry) {
            (state, Entry::Nested { .. }) => Some(state),
            (RunState::Planned, Entry::Overtook { .. }) => Some(RunState::Planned),
            (RunState::Planned, Entry::Started { attempt: 1, .. }) => Some(RunState::Running { attempt: 1 }),
            (
                RunState::Attempted { attempts } | RunState::Waiting { attempts },
                Entry::Started { attempt, .. },
            ) if *attempt == attempts + 1 => Some(RunState::Running { attempt: *attempt }),
            (RunState::Running { attempt }, Entry::Ended { .. }) => {
                Some(RunState::Attempted { attempts: attempt })
            }
            (RunState::Attempted { attempts }, Entry::Deferred { .. }) => {
                Some(RunState::Waiting { attempts })
            }
            (state, Entry::Concluded { conclusion, .. }) => {
                state.may_conclude(*conclusion).then_some(RunState::Concluded(*conclusion))
            }
            _ => None,
        }
    }

    fn may_conclude(self, conclusion: Conclusion) -> bool {
        match self {
            RunState::Planned => matches!(
                conclusion,
                Conclusion::Denied | Conclusion::Skipped | Conclusion::Superseded | Conclusion::Interrupted
            ),
            RunState::Attempted { .. } => {
                matches!(conclusion, Conclusion::Done | Conclusion::Failed | Conclusion::Interrupted)
            }
            RunState::Waiting { .. } => {
                matches!(conclusion, Conclusion::Superseded | Conclusion::Interrupted)
            }
            RunState::Running { .. } | RunState::Concluded(_) => false,
        }
    }
}

/// The smallest valid runs, for tests of the rooms downstream.
#[cfg(test)]
pub(crate) mod examples {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::{Phase, Run, RunIds};
    use crate::hook::{Action, Condition, Deadline, Group, Hook, HookName, Mode, OnFailure};
    use crate::lifecycle::{Cause, EngineId, Event, Point, Subject};

    /// A run for the start of `container`, of a hook in `group`.
    pub(crate) fn run_for(ids: &RunIds, container: &str, group: Option<Group>) -> Arc<Run> {
        let hook = Hook {
            name: HookName::parse("hook").expect("a name"),
            at: [Point::PostStart].into_iter().collect(),
            when: Condition::default(),
            action: Action::Deny { message: "unused".into() },
            deadline: Deadline::DEFAULT,
            on_failure: OnFailure::Ignore,
            mode: Mode::Enforce,
            group,
            debounce: None,
            retry: None,
            nested: false,
        };
        let event = Event {
            point: Point::PostStart,
            subject: Subject::container(&EngineId::new("engine"), container),
            passage: 1,
            at: Timestamp::UNIX_EPOCH,
            cause: Cause::Engine,
            reason: None,
            exit: None,
            facts: Arc::default(),
            detail: None,
            request: None,
            nested: false,
        };
        Arc::new(Run {
            id: ids.next(Timestamp::UNIX_EPOCH),
            hook: Arc::new(hook),
            phase: Phase::Setup,
            event: Arc::new(event),
            batch: None,
            planned_at: Timestamp::UNIX_EPOCH,
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::{Captured, Conclusion, Entry, Outcome, Output, RunId, RunIds, RunState};

    fn id() -> RunId {
        RunIds::from(0).next(Timestamp::UNIX_EPOCH)
    }

    fn started(attempt: u32) -> Entry {
        Entry::Started { run: id(), attempt, at: Timestamp::UNIX_EPOCH }
    }

    fn ended() -> Entry {
        let (at, outcome) = (Timestamp::UNIX_EPOCH, Outcome::Exited(75));
        Entry::Ended { run: id(), at, outcome, output: Output::default() }
    }

    fn deferred() -> Entry {
        Entry::Deferred { run: id(), until: Timestamp::UNIX_EPOCH }
    }

    fn concluded(conclusion: Conclusion) -> Entry {
        Entry::Concluded { run: id(), at: Timestamp::UNIX_EPOCH, conclusion }
    }

    fn after(entries: &[Entry]) -> Option<RunState> {
        entries.iter().try_fold(RunState::Planned, RunState::after)
    }

    #[test]
    fn a_run_may_take_two_attempts_with_a_pause_between() {
        let life = [started(1), ended(), deferred(), started(2), ended(), concluded(Conclusion::Done)];

        assert_eq!(after(&life), Some(RunState::Concluded(Conclusion::Done)));
    }

    #[test]
    fn no_run_has_two_processes_at_once_nor_one_after_its_conclusion() {
        assert_eq!(after(&[started(1), started(2)]), None);
        assert_eq!(after(&[started(2)]), None);
        assert_eq!(after(&[started(1), concluded(Conclusion::Done)]), None);
        assert_eq!(after(&[concluded(Conclusion::Denied), started(1)]), None);
        assert_eq!(after(&[concluded(Conclusion::Done)]), None);
        assert_eq!(after(&[deferred()]), None);
    }

    #[test]
    fn ids_sort_by_time_and_differ_within_one_millisecond() {
        let ids = RunIds::from(u32::MAX);
        let (first, second) = (ids.next(Timestamp::UNIX_EPOCH), ids.next(Timestamp::UNIX_EPOCH));
        let later = ids.next(Timestamp::from_millisecond(1).expect("in range"));

        assert_ne!(first, second);
        assert!(first < later && second < later);
        assert_eq!(first.as_str().len(), 16);
    }

    fn wrote(stdout: &str, stderr: &str) -> Output {
        let captured = |text: &str| Captured { text: text.into(), bytes_total: text.len() as u64 };
        Output { stdout: captured(stdout), stderr: captured(stderr) }
    }

    #[test]
    fn a_json_object_on_stdout_speaks_for_the_script() {
        let reply = wrote(r#"{"message":"no", "state": {"port": 7}}"#, "noise").reply();

        assert_eq!(reply.message.as_deref(), Some("no"));
        assert_eq!(reply.state, Some(json!({"port": 7})));
    }

    #[test]
    fn without_a_message_the_last_line_of_stderr_speaks() {
        for stdout in ["", "plain words", "[1]", r#"{"state": 1}"#, r#"{"message": 5}"#] {
            assert_eq!(
                wrote(stdout, "first\nlast \n\n").reply().message.as_deref(),
                Some("last"),
                "{stdout}"
            );
        }
        assert_eq!(wrote("words", "").reply().message, None);
    }
}
