//! What people ask the daemon for, from another process.
//!
//! The command line writes a wish into the store, and the writer hands it on to the daemon. The
//! store is there when the daemon is not: then a wish waits for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tracing::warn;

use super::columns::{nanoseconds, word};
use super::failure::why;
use super::open::{OpenError, connect, connect_to_read};
use super::reader::{Reader, RunFilter};
use crate::run::{Run, RunId};

/// How many wishes are handed on before the daemon has taken one. The others wait in the store.
pub(super) const WISHES_MAX: usize = 64;

/// Something that a person asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// That a run is tried once more.
    RetryRun(RunId),
    /// That a debt is paid now; the debt's id.
    RetryDebt(RunId),
    /// That every debt that has been given up is tried once more.
    RetryFailed,
    /// That a debt need not be paid; the debt's id.
    Forgive(RunId),
}

/// What a wish comes to for the daemon.
#[derive(Clone, Debug)]
pub enum Asked {
    /// This run once more, which may be over.
    Run(Arc<Run>),
    /// This debt now.
    Debt(RunId),
    /// Every debt that has been given up.
    Failed,
    /// This debt need not be paid.
    Forgive(RunId),
}

/// Why a wish has not been left.
#[derive(Debug, thiserror::Error)]
pub enum WishError {
    /// There is no store to leave it in.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be written.
    #[error("{why}")]
    Unwritable {
        /// In words, with what to do about it.
        why: Arc<str>,
    },
}

impl Wish {
    fn parts(&self) -> (&'static str, Option<&RunId>) {
        match self {
            Wish::RetryRun(run) => ("retry_run", Some(run)),
            Wish::RetryDebt(debt) => ("retry_debt", Some(debt)),
            Wish::RetryFailed => ("retry_failed", None),
            Wish::Forgive(debt) => ("forgive", Some(debt)),
        }
    }

    fn of(name: &str, run: Option<RunId>) -> Option<Wish> {
        match (name, run) {
            ("retry_run", Some(run)) => Some(Wish::RetryRun(run)),
            ("retry_debt", Some(debt)) => Some(Wish::RetryDebt(debt)),
            ("retry_failed", None) => Some(Wish::RetryFailed),
            ("forgive", Some(debt)) => Some(Wish::Forgive(debt)),
            _ => None,
        }
    }
}

/// Leaves a wish in the store in `dir`, for the daemon that holds it, or the next one. Blocks; it is
/// on disk when this returns.
///
/// # Errors
///
/// When there is no store, or it cannot be written.
pub fn wish(dir: &Path, wish: &Wish) -> Result<(), WishError> {
    // Only a reader looks whether the store is one of our version.
    drop(connect_to_read(dir)?);
    let (name, run) = wish.parts();
    let left = connect(dir).and_then(|connection| {
        let row = params![name, run.map(RunId::as_str), nanoseconds(Timestamp::now())];
        connection.execute("INSERT INTO wish (wish, run, wished_at) VALUES (?1, ?2, ?3)", row)
    });
    left.map(drop).map_err(|error| WishError::Unwritable { why: why(&error, dir) })
}

/// The wishes in a store, handed on one after the other.
#[derive(Debug)]
pub(super) struct Wishes {
    hand_on: mpsc::Sender<Asked>,
    /// Where the store is.
    dir: PathBuf,
    /// `PRAGMA data_version` when they were looked for last.
    version: Option<i64>,
    /// The number of the last one that was handed on.
    last: i64,
}

impl Wishes {
    pub(super) fn new(hand_on: mpsc::Sender<Asked>, dir: PathBuf) -> Wishes {
        Wishes { hand_on, dir, version: None, last: 0 }
    }

    /// What a wish comes to; `None` if it is about what is not there.
    fn understood(&self, wish: Wish) -> Option<Asked> {
        Some(match wish {
            Wish::RetryDebt(debt) => Asked::Debt(debt),
            Wish::RetryFailed => Asked::Failed,
            Wish::Forgive(debt) => Asked::Forgive(debt),
            Wish::RetryRun(run) => {
                let filter = RunFilter { id: Some(run.to_string()), limit: 1, ..RunFilter::default() };
                let found = Reader::open(&self.dir).ok()?.runs(&filter).ok()?;
                Asked::Run(found.into_iter().next()?.run)
            }
        })
    }

    /// Looks at the store as if for the first time.
    pub(super) fn look_anew(&mut self) {
        self.version = None;
    }

    /// Hands on what has come since, and then takes it out of the store.
    pub(super) fn look(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let version = connection.pragma_query_value(None, "data_version", |row| row.get(0))?;
        if self.version == Some(version) {
            return Ok(());
        }
        let all = self.hand_on(connection)?;
        let handed_on =
            connection.prepare_cached("DELETE FROM wish WHERE number <= ?1")?.execute([self.last]);
        // What is in the way of the others is looked at again.
        self.version = Some(version).filter(|_| all && handed_on.is_ok());
        handed_on.map(drop)
    }

    /// Hands on in order; whether that was all.
    fn hand_on(&mut self, connection: &Connection) -> rusqlite::Result<bool> {
        let sql = "SELECT number, wish, run FROM wish WHERE number > ?1 ORDER BY number";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([self.last])?;
        while let Some(row) = rows.next()? {
            let (number, name): (i64, String) = (row.get(0)?, row.get(1)?);
            let run = row.get::<_, Option<String>>(2)?.map(|_| word(row, 2)).transpose()?;
            match Wish::of(&name, run).and_then(|wish| self.understood(wish)) {
                Some(asked) => match self.hand_on.try_send(asked) {
                    Ok(()) => {}
                    Err(TrySendError::Full(_)) => return Ok(false),
                    // Nobody listens: they are for the next daemon.
                    Err(TrySendError::Closed(_)) => return Ok(true),
                },
                None => warn!(wish = name, "somebody asks for what this boathook does not know"),
            }
            self.last = number;
        }
        Ok(true)
    }
}
