//! What was planned, tried and concluded, what is owed, and what is known of containers: on disk.
//!
//! The rest of the program hands over [`Entry`]s; how they are kept is this room's business. It is
//! an SQLite file with one [`Writer`], which groups what comes close together into one transaction,
//! and writes of what came and went in between only the last. Who has to know that something is on
//! disk uses [`Journal::commit`]; all else is [`Journal::append`]ed and follows within moments.
//! A [`Reader`] sees what is committed, from another process as well.
//!
//! Entries that no true life of a run holds are refused, by the table of [`RunState::after`]. What
//! has been appended is not lost while the process lives, however long the disk is full.

mod backup;
mod batch;
mod columns;
mod fail_points;
mod failure;
mod handle;
mod identity;
mod known;
mod lock;
mod open;
mod queue;
mod read;
mod reader;
mod retention;
mod schema;
mod wish;
mod write;
mod writer;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::lifecycle::{EngineId, Life, Subject};
use crate::run::{Debt, Holding, Outcome, Run, RunId, RunState};

pub use backup::{BackupError, Copied};
pub use handle::Journal;
pub use lock::holder;
pub use open::{OpenError, open};
pub use reader::{Attempt, DebtFilter, DebtRecord, Found, ReadError, Reader, Record, RunFilter};
pub use wish::{Asked, Wish, WishError, wish};
pub use writer::Writer;

#[cfg(doc)]
use crate::run::Entry;

/// An entry that no true journal holds.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum JournalError {
    /// The run was never planned, or is over.
    #[error("no run `{run}` that is not over")]
    UnknownRun {
        /// The run that the entry is about.
        run: RunId,
    },
    /// The run is planned already.
    #[error("run `{run}` is planned twice")]
    PlannedTwice {
        /// The run.
        run: RunId,
    },
    /// The entry cannot follow what is there.
    #[error("run `{run}` is {state:?}, which the entry cannot follow")]
    OutOfOrder {
        /// The run.
        run: RunId,
        /// Where it stands.
        state: RunState,
    },
}

/// Why entries are not on disk. None of them is recorded, now or later.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum CommitError {
    /// One of them cannot be true.
    #[error(transparent)]
    Refused(#[from] JournalError),
    /// The store cannot be written. What they are for must not be done, or is asked for again.
    #[error("the journal cannot be written: {why}")]
    Unwritable {
        /// In words, with what to do about it.
        why: Arc<str>,
    },
}

/// Something that has to stay until entries are on disk, and goes when it is dropped.
pub struct Kept(Box<dyn Send + Sync>);

impl Kept {
    /// Whatever it is.
    pub fn new(it: impl Send + Sync + 'static) -> Kept {
        Kept(Box::new(it))
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kept").field(&std::ptr::from_ref(&*self.0)).finish()
    }
}

/// Whether the store can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As far as is known.
    Writable,
    /// The last try failed. It is tried again, soon and for as long as the process lives.
    Failing {
        /// In words, with what to do about it.
        why: Arc<str>,
    },
}

/// How long what is over is kept. What is not over is always kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Concluded runs, with what they wrote, and debts that are closed.
    pub runs: Duration,
    /// How many concluded runs are kept at most, the latest: a bound on the disk that a busy host
    /// takes.
    pub runs_max: u64,
}

impl Default for Retention {
    /// `retention: {runs: 30d}`, and a million runs: with an output of some hundred bytes each they
    /// take 2 GB.
    fn default() -> Retention {
        Retention { runs: Duration::from_secs(30 * 24 * 60 * 60), runs_max: 1_000_000 }
    }
}

/// A store that is open, and ours alone to write.
#[derive(Debug)]
pub struct Opened {
    /// The way in. Cheap to clone.
    pub journal: Journal,
    /// What writes; nothing reaches the disk before it runs.
    pub writer: Writer,
    /// What the daemons before have left.
    pub remembered: Remembered,
    /// What people ask for on the command line, each at least once.
    pub wishes: mpsc::Receiver<Asked>,
}

/// What a store holds of the past that the present has to know.
#[derive(Debug, Default)]
pub struct Remembered {
    /// What is known of the containers that were there last.
    pub lives: Vec<(Subject, Life)>,
    /// The engines that the store knows.
    pub engines: Vec<EngineId>,
    /// The runs that are not concluded, in the order of planning.
    pub runs: Vec<OpenRun>,
    /// The debts that are open, given up ones included, in the order of opening.
    pub debts: Vec<Debt>,
    /// What the drivers hold.
    pub holdings: Vec<Holding>,
    /// The store is a backup, made where that engine was followed. Nothing of it may be acted upon
    /// where another is; [`Journal::accept_copy`] makes it a store like any other.
    pub copy_of: Option<EngineId>,
}

/// A run that is not concluded.
#[derive(Clone, Debug)]
pub struct OpenRun {
    /// The run as planned.
    pub run: Arc<Run>,
    /// Where it stands.
    pub state: RunState,
    /// How the latest attempt that ended did.
    pub last: Option<Outcome>,
    /// When the next attempt is due, while it waits.
    pub due_at: Option<Timestamp>,
}
