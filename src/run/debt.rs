//! What is owed: the clean-up of a set-up that has begun.
//!
//! A debt holds everything that paying it takes, as it was declared when the set-up began: the hook
//! may be renamed or deleted by the time that the container goes.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Outcome, Output, RunId};
use crate::hook::{Cleanup, HookName};
use crate::lifecycle::{Event, Subject};

/// A clean-up that is owed, or was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Debt {
    /// The id of the set-up run that opened it.
    pub id: RunId,
    /// The hook whose set-up it was.
    pub hook: HookName,
    /// What it was set up for.
    pub subject: Subject,
    /// The network or volume that the set-up was about, where it was about one besides the subject:
    /// each has a set-up of its own.
    pub object: Option<Arc<str>>,
    /// The passage that it was set up for; 0 for what belongs to the subject's whole life.
    pub passage: u32,
    /// How it is paid.
    pub cleanup: Arc<Cleanup>,
    /// What the latest set-up answered.
    pub event: Arc<Event>,
    /// The set-ups that it cleans up after, in their order. Never empty.
    pub setups: Vec<Setup>,
    /// Where it stands.
    pub state: DebtState,
    /// When its first set-up began.
    pub opened_at: Timestamp,
    /// When it was paid, forgiven or merged.
    pub closed_at: Option<Timestamp>,
}

/// One set-up, as its clean-up is told of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// The run.
    pub run: RunId,
    /// How its last attempt ended; `None` while it runs, and when nobody saw the end.
    pub outcome: Option<Outcome>,
    /// What its last attempt wrote to standard output, bounded.
    pub stdout: String,
    /// The `.state` of its last attempt that told one.
    pub state: Option<Value>,
}

/// Where a debt stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DebtState {
    /// What it was set up for goes on.
    Owed,
    /// Its clean-up is planned, tried, or waits to be tried again.
    Due {
        /// The clean-up.
        run: RunId,
    },
    /// The clean-up exited with 0.
    Paid,
    /// The last attempt of the clean-up failed. It stays listed, and is paid or forgiven by hand.
    GivenUp {
        /// The clean-up.
        run: RunId,
    },
    /// Somebody has said that it need not be paid.
    Forgiven,
    /// A newer set-up of the hook has taken it over, with its set-ups.
    Merged {
        /// The debt that holds them now.
        into: RunId,
    },
}

impl Setup {
    /// A set-up that has just begun.
    pub fn begun(run: RunId) -> Setup {
        Setup { run, outcome: None, stdout: String::new(), state: None }
    }

    /// Takes in how an attempt of it ended.
    pub fn ended(&mut self, outcome: &Outcome, output: &Output) {
        self.outcome = Some(outcome.clone());
        self.stdout.clone_from(&output.stdout.text);
        if let Some(state) = output.reply().state {
            self.state = Some(state);
        }
    }
}

impl DebtState {
    /// A word for tables and JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            DebtState::Owed => "owed",
            DebtState::Due { .. } => "due",
            DebtState::Paid => "paid",
            DebtState::GivenUp { .. } => "given_up",
            DebtState::Forgiven => "forgiven",
            DebtState::Merged { .. } => "merged",
        }
    }

    /// Whether something is owed still. What is given up is.
    pub const fn is_open(&self) -> bool {
        matches!(self, DebtState::Owed | DebtState::Due { .. } | DebtState::GivenUp { .. })
    }
}

impl Debt {
    /// Whether the set-up `run` is among those that it cleans up after.
    pub fn has(&self, run: &RunId) -> bool {
        self.setups.iter().any(|it| it.run == *run)
    }
}
