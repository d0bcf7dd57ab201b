//! What the journal is told of a run, and what may follow what.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Debt, Holding, Outcome, Output, Run, RunId};
use crate::lifecycle::{EngineId, Life, Subject};

/// What the journal is told, in the order in which it happens.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A run will be. Told before its first process exists.
    Planned(Arc<Run>),
    /// A run that gathers events has begun to answer those that it has; the run as it is now.
    Gathered(Arc<Run>),
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
    /// A debt is as it is now: opened, renewed, due, closed.
    Debt(Arc<Debt>),
    /// A container is known as it is now; `None`: it is gone.
    Lived {
        /// The container.
        subject: Subject,
        /// What is remembered of it.
        life: Option<Box<Life>>,
    },
    /// A driver holds this, or does not hold it any more.
    Held(Holding),
    /// A message of the engine's event stream has been taken in, with all that follows from it.
    Read {
        /// The engine.
        engine: EngineId,
        /// The time of the message, by the engine's clock.
        cursor: Timestamp,
        /// What tells it from every other message.
        mark: u64,
    },
}

impl Entry {
    /// The run that the entry is about, if it is about one.
    pub fn run(&self) -> Option<&RunId> {
        match self {
            Entry::Planned(run) | Entry::Gathered(run) => Some(&run.id),
            Entry::Debt(_) | Entry::Lived { .. } | Entry::Held(_) | Entry::Read { .. } => None,
            Entry::Overtook { run }
            | Entry::Started { run, .. }
            | Entry::Ended { run, .. }
            | Entry::Deferred { run, .. }
            | Entry::Concluded { run, .. }
            | Entry::Nested { run, .. } => Some(run),
        }
    }
}

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
            (RunState::Planned, Entry::Overtook { .. } | Entry::Gathered(_)) => Some(RunState::Planned),
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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{Conclusion, Entry, RunState};
    use crate::run::{Outcome, Output, RunId, RunIds};

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
}
