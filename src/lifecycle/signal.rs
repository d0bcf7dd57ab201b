//! What one source saw.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Detail, EngineId, Facts, Point, Subject};

/// What one source saw of one subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// What it was seen of.
    pub subject: Subject,
    /// Who saw it.
    pub source: Source,
    /// When it happened, by the engine's clock where the engine told it.
    pub at: Timestamp,
    /// What tells it from every other message of the event stream; `None` for what the stream did
    /// not tell.
    pub mark: Option<u64>,
    /// What was seen.
    pub saw: Saw,
    /// What it was about besides the subject.
    pub detail: Option<Arc<Detail>>,
    /// What the source itself tells of the container: less sure than any look, so only for want of
    /// one.
    pub told: Option<Box<Facts>>,
    /// The container as it was looked up right after, if it was.
    pub observation: Option<Box<Observation>>,
}

impl Signal {
    /// What `source` saw of `subject`, and nothing besides.
    pub fn new(subject: Subject, source: Source, at: Timestamp, saw: Saw) -> Signal {
        Signal { subject, source, at, mark: None, saw, detail: None, told: None, observation: None }
    }
}

/// Where a signal comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A call of the Engine API that passed authorization. What it observes may be ahead of the
    /// event stream.
    Authorization,
    /// The engine's event stream, which tells every change, each at its turn.
    Events,
    /// A comparison of what is with what was known. What it observes may be ahead of the event
    /// stream.
    Reconcile,
}

/// What was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saw {
    /// It was created.
    Created,
    /// Its process started.
    Started,
    /// The engine sent it a signal that ends processes.
    Killed,
    /// The kernel's memory limit hit one of its processes.
    OutOfMemory,
    /// Its process ended.
    Ended {
        /// The exit status, if it comes from a place that a label cannot overwrite.
        code: Option<i64>,
    },
    /// It is gone.
    Removed,
    /// Something about it may have changed: its networks, its state. The observation tells.
    Changed,
    /// It is there, and was not known; of the engine: it is followed from now on.
    Found {
        /// What it did up to then was before anybody looked, and is told to nobody;
        /// [`Timestamp::MIN`]: nothing of it may be passed over.
        since: Timestamp,
    },
    /// A call about it has been answered, in whichever way. The observation tells what came of it.
    Answered(CallKind),
    /// It has reached a point that nothing else tells, and that leads to no other.
    Reached(Point),
}

/// A container as `GET /containers/{id}/json` told it at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// What it is.
    pub facts: Facts,
    /// What its process did.
    pub process: Process,
}

/// What a container's process is doing, by `State` of an inspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// It has not run yet.
    NeverStarted,
    /// It runs, or is paused.
    Running {
        /// `State.StartedAt`, which tells one start from the next.
        started_at: Timestamp,
    },
    /// It has ended, and may be about to be restarted by its policy.
    Ended {
        /// `State.StartedAt` of what has ended.
        started_at: Timestamp,
        /// `State.FinishedAt`.
        finished_at: Timestamp,
        /// `State.ExitCode`.
        code: i64,
        /// `State.OOMKilled`.
        out_of_memory: bool,
    },
}

impl Process {
    /// Whether it runs, or is paused.
    pub const fn is_running(&self) -> bool {
        matches!(self, Process::Running { .. })
    }

    /// `State.StartedAt`, if it has ever run.
    pub const fn started_at(&self) -> Option<Timestamp> {
        match self {
            Process::Running { started_at } | Process::Ended { started_at, .. } => Some(*started_at),
            Process::NeverStarted => None,
        }
    }
}

/// An API call that was let through, as far as it explains what the container does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The engine that was called.
    pub engine: EngineId,
    /// What was asked for.
    pub kind: CallKind,
    /// The container as the caller named it: name, id or prefix of the id. Empty for a creation.
    pub target: String,
    /// Whether it was let through just now, or has been answered.
    pub turn: Turn,
    /// What it says, as a number that is the same when it is let through and when it is answered.
    /// Two calls that say the same have the same.
    pub key: u64,
    /// The secret of the run that made the call, if a hook made it.
    pub nested: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// What an API call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// `POST /containers/create`.
    Create,
    /// `POST /containers/{n}/start`.
    Start,
    /// `POST /containers/{n}/stop`.
    Stop,
    /// `POST /containers/{n}/restart`.
    Restart,
    /// `POST /containers/{n}/kill`.
    Kill,
    /// `DELETE /containers/{n}`.
    Remove,
}

/// The two moments of an API call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It was let through.
    Opened,
    /// It has been answered.
    Closed {
        /// The id in the answer to a creation.
        created: Option<String>,
    },
}
