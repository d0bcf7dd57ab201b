//! What one source saw.

use jiff::Timestamp;

use super::{Facts, Subject};

/// What one source saw of one subject.
#[derive(Clone, Debug)]
pub struct Signal {
    /// What it was seen of.
    pub subject: Subject,
    /// Who saw it.
    pub source: Source,
    /// When it happened, by the engine's clock where the engine told it.
    pub at: Timestamp,
    /// What was seen.
    pub saw: Saw,
    /// The container as it was looked up right after, if it was.
    pub observation: Option<Box<Observation>>,
}

/// Where a signal comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A call of the Engine API that passed authorization.
    Authorization,
    /// The engine's event stream.
    Events,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saw {
    /// It was created.
    Created,
    /// A hook's own call asks for a container to be created; which one is told by the answer.
    NestedCreateOpened {
        /// The secret of the run that makes the call.
        secret: String,
    },
    /// The answer to a hook's own call to create a container. The subject is the new container.
    NestedCreated {
        /// The secret of the run that made the call.
        secret: String,
    },
    /// A hook's own call to create a container ended without one.
    NestedCreateFailed {
        /// The secret of the run that made the call.
        secret: String,
    },
    /// Its process started.
    Started,
    /// An API client asked for a running container to end.
    StopAsked(StopKind),
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
    /// Its name is another one now.
    Renamed,
    /// Something about it changed: its networks, its limits. The observation tells.
    Changed,
}

/// How an API client asked for an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopKind {
    /// `POST /containers/{n}/stop`.
    Stop,
    /// `POST /containers/{n}/restart`.
    Restart,
    /// `POST /containers/{n}/kill` with a signal that ends processes, or a forced removal.
    Kill,
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
