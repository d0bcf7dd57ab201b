//! One hook for one event, from planned to concluded.
//!
//! A [`Run`] may take several attempts, each one process with one [`Outcome`]. What may follow
//! what is a table that can say no ([`RunState::after`]), so that the journal never holds a life
//! that no run can have had.

mod debt;
mod holding;
mod id;
mod outcome;
mod state;

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hook::Hook;
use crate::lifecycle::Event;

pub use debt::{Debt, DebtState, Setup};
pub use holding::{Holding, HoldingKind};
pub use id::{RunId, RunIds};
pub(crate) use outcome::last_line;
pub use outcome::{Captured, Outcome, Output, Reply};
pub use state::{Conclusion, Entry, RunState};

/// The HTTP header by which an API call of a hook's own is recognised; its value is the secret of
/// the run. Docker shows it to authorization as any other header.
pub const NESTED_HEADER: &str = "X-Boathook-Run";

/// One hook for one event.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    /// The debt that it pays, for a clean-up.
    pub debt: Option<RunId>,
    /// What it cleans up after, as known when the attempt begins; empty for a set-up.
    #[serde(skip)]
    pub setups: Vec<Setup>,
    /// When it was planned.
    pub planned_at: Timestamp,
}

/// The events that one run answers together.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// What the hook does at its points.
    Setup,
    /// What it does to clean up after that.
    Cleanup,
}

impl Phase {
    /// The name in environment and document.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Setup => "setup",
            Phase::Cleanup => "cleanup",
        }
    }
}

/// The smallest valid runs, for tests of the rooms downstream.
#[cfg(test)]
pub(crate) mod examples {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::{Phase, Run, RunIds};
    use crate::hook::{Group, Hook, HookName};
    use crate::lifecycle::{Cause, EngineId, Event, Point, Subject};

    /// A run for the start of `container`, of a hook in `group`.
    pub(crate) fn run_for(ids: &RunIds, container: &str, group: Option<Group>) -> Arc<Run> {
        let hook = Hook {
            at: [Point::PostStart].into_iter().collect(),
            group,
            ..Hook::named(HookName::parse("hook").expect("a name"))
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
            debt: None,
            setups: Vec::new(),
            planned_at: Timestamp::UNIX_EPOCH,
        })
    }
}
