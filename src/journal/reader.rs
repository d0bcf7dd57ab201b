//! The store as others see it: the command line, while the daemon runs and while it is away.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use super::backup::{BackupError, Copied, copy};
use super::columns::{instant, nanoseconds, optional_instant, outcome};
use super::failure::why;
use super::open::{OpenError, connect_to_read};
use super::read::{DEBT, OPEN_DEBT, RUN, Rows, run_state};
use crate::hook::HookName;
use crate::run::{Captured, Conclusion, Debt, Outcome, Output, Run, RunId, RunState};

/// Why the store cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct ReadError {
    why: Arc<str>,
}

impl From<OpenError> for ReadError {
    fn from(error: OpenError) -> ReadError {
        ReadError { why: error.to_string().into() }
    }
}

/// Reads a store; it disturbs nobody who writes it.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    dir: std::path::PathBuf,
}

/// Which runs are asked for. The default: the latest hundred.
#[derive(Clone, Debug)]
pub struct RunFilter {
    /// Those whose id begins so.
    pub id: Option<String>,
    /// Those of that hook.
    pub hook: Option<HookName>,
    /// Those of a subject of that name, or whose id begins so.
    pub subject: Option<String>,
    /// Those that pay that debt.
    pub debt: Option<RunId>,
    /// Those that were planned then or later.
    pub since: Option<Timestamp>,
    /// How they stand.
    pub found: Found,
    /// Not more than the latest so many.
    pub limit: u32,
}

impl Default for RunFilter {
    fn default() -> RunFilter {
        let (id, hook, subject, debt, since) = (None, None, None, None, None);
        RunFilter { id, hook, subject, debt, since, found: Found::All, limit: 100 }
    }
}

/// How a run has to stand to be found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Found {
    /// However.
    #[default]
    All,
    /// Not concluded.
    Open,
    /// Concluded as failed or denied, or interrupted.
    Failed,
}

/// Which debts are asked for. The default: those that are open.
#[derive(Clone, Debug)]
pub struct DebtFilter {
    /// Those whose id begins so.
    pub id: Option<String>,
    /// Those of that hook.
    pub hook: Option<HookName>,
    /// Those of a subject of that name, or whose id begins so.
    pub subject: Option<String>,
    /// Those that are paid, forgiven or merged as well.
    pub closed: bool,
    /// Not more than the latest so many.
    pub limit: u32,
}

impl Default for DebtFilter {
    fn default() -> DebtFilter {
        DebtFilter { id: None, hook: None, subject: None, closed: false, limit: 1_000 }
    }
}

/// One run as the journal knows it.
#[derive(Clone, Debug)]
pub struct Record {
    /// The run as planned.
    pub run: Arc<Run>,
    /// Where it stands.
    pub state: RunState,
    /// Its attempts, in order.
    pub attempts: Vec<Attempt>,
    /// Whether it is a gate's and went on before earlier runs of its subject were through.
    pub overtook: bool,
    /// API calls that it made itself, as `METHOD target`.
    pub nested: Vec<String>,
    /// When the next attempt is due, while it waits.
    pub due_at: Option<Timestamp>,
    /// When it was concluded.
    pub concluded_at: Option<Timestamp>,
}

impl Record {
    /// What became of it, once it is over.
    pub fn conclusion(&self) -> Option<Conclusion> {
        match self.state {
            RunState::Concluded(conclusion) => Some(conclusion),
            _ => None,
        }
    }
}

/// One attempt as the journal knows it.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// What it wrote.
    pub output: Output,
}

/// One debt, and how paying it went.
#[derive(Clone, Debug)]
pub struct DebtRecord {
    /// The debt.
    pub debt: Debt,
    /// The attempts of its clean-ups, in order.
    pub attempts: Vec<Attempt>,
    /// When the next attempt is due, while one waits.
    pub due_at: Option<Timestamp>,
}

impl Reader {
    /// Opens the store in `dir`. Blocks, as all that a reader does.
    ///
    /// # Errors
    ///
    /// When there is none, or none that can be read.
    pub fn open(dir: &Path) -> Result<Reader, OpenError> {
        Ok(Reader { connection: connect_to_read(dir)?, dir: dir.to_owned() })
    }

    /// The runs that the filter lets through, in the order of planning.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn runs(&self, filter: &RunFilter) -> Result<Vec<Record>, ReadError> {
        self.records(filter).map_err(|error| self.told(&error))
    }

    /// The debts that the filter lets through, in the order of opening.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn debts(&self, filter: &DebtFilter) -> Result<Vec<DebtRecord>, ReadError> {
        self.debt_records(filter).map_err(|error| self.told(&error))
    }

    /// Copies the store into `file`, which must not exist yet.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or the file not be written; then there is no file.
    pub fn backup(&self, file: &Path) -> Result<Copied, BackupError> {
        copy(&self.connection, file)
    }

    fn told(&self, error: &rusqlite::Error) -> ReadError {
        ReadError { why: why(error, &self.dir) }
    }

    fn records(&self, filter: &RunFilter) -> rusqlite::Result<Vec<Record>> {
        let asked = Asked::for_runs(filter);
        // One transaction: a run and its attempts are of one moment.
        let connection = self.connection.unchecked_transaction()?;
        let mut statement =
            connection.prepare(&format!("{RUN} {asked} ORDER BY run.number DESC LIMIT {}", filter.limit))?;
        let (mut rows, mut of) = (statement.query(params_from_iter(&asked.values))?, Rows::of(&connection));
        let mut records = Vec::new();
        while let Some(row) = rows.next()? {
            records.push(record(&connection, row, of.run(row)?)?);
        }
        records.reverse();
        Ok(records)
    }

    fn debt_records(&self, filter: &DebtFilter) -> rusqlite::Result<Vec<DebtRecord>> {
        let asked = Asked::for_debts(filter);
        let connection = self.connection.unchecked_transaction()?;
        let mut statement = connection
            .prepare(&format!("{DEBT} {asked} ORDER BY debt.number DESC LIMIT {}", filter.limit))?;
        let (mut rows, mut of) = (statement.query(params_from_iter(&asked.values))?, Rows::of(&connection));
        let mut records = Vec::new();
        while let Some(row) = rows.next()? {
            records.push(debt_record(&connection, of.debt(row)?)?);
        }
        records.reverse();
        Ok(records)
    }
}

/// What is asked for, in SQL.
#[derive(Default)]
struct Asked {
    terms: Vec<&'static str>,
    values: Vec<Value>,
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.terms.as_slice() {
            [] => Ok(()),
            terms => write!(f, "WHERE {}", terms.join(" AND ")),
        }
    }
}

impl Asked {
    /// Adds a term, each `?` of which is `value`, if there is one.
    fn add(&mut self, term: &'static str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            let value = value.into();
            self.values.extend(term.matches('?').map(|_| value.clone()));
            self.terms.push(term);
        }
    }

    fn for_runs(filter: &RunFilter) -> Asked {
        let mut asked = Asked::default();
        // As a range, which the index of ids answers.
        asked.add("(run.id >= ? AND run.id < ? || '~')", filter.id.clone());
        asked.add("run.hook = ?", filter.hook.as_ref().map(|it| it.as_str().to_owned()));
        asked.add(
            "(run.subject_name = ? OR substr(run.subject_id, 1, length(?)) = ?)",
            filter.subject.clone(),
        );
        asked.add("run.debt = ?", filter.debt.as_ref().map(|it| it.as_str().to_owned()));
        asked.add("run.planned_at >= ?", filter.since.map(nanoseconds));
        match filter.found {
            Found::All => {}
            Found::Open => asked.terms.push("run.concluded_at IS NULL"),
            Found::Failed => asked.terms.push("run.conclusion IN ('failed', 'denied', 'interrupted')"),
        }
        asked
    }

    fn for_debts(filter: &DebtFilter) -> Asked {
        let mut asked = Asked::default();
        asked.add("(debt.id >= ? AND debt.id < ? || '~')", filter.id.clone());
        asked.add("debt.hook = ?", filter.hook.as_ref().map(|it| it.as_str().to_owned()));
        asked.add(
            "(debt.subject_name = ? OR substr(debt.subject_id, 1, length(?)) = ?)",
            filter.subject.clone(),
        );
        if !filter.closed {
            asked.terms.push(OPEN_DEBT);
        }
        asked
    }
}

fn record(connection: &Connection, row: &Row<'_>, run: Arc<Run>) -> rusqlite::Result<Record> {
    let number: i64 = row.get(0)?;
    let mut nested =
        connection.prepare_cached("SELECT method, uri FROM nested WHERE run = ?1 ORDER BY number")?;
    let call = |row: &Row<'_>| Ok(format!("{} {}", row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    Ok(Record {
        run,
        state: run_state(row)?,
        attempts: attempts(connection, "run = ?1", number)?,
        overtook: row.get(12)?,
        nested: nested.query_map([number], call)?.collect::<Result<_, _>>()?,
        due_at: optional_instant(row, 8)?,
        concluded_at: optional_instant(row, 13)?,
    })
}

fn debt_record(connection: &Connection, debt: Debt) -> rusqlite::Result<DebtRecord> {
    let (id, term) = (debt.id.as_str(), "run IN (SELECT number FROM run WHERE debt = ?1)");
    let attempts = attempts(connection, term, id)?;
    let sql = "SELECT min(due_at) FROM run WHERE debt = ?1 AND concluded_at IS NULL";
    let due_at = connection.prepare_cached(sql)?.query_row([id], |row| optional_instant(row, 0))?;
    Ok(DebtRecord { debt, attempts, due_at })
}

fn attempts(connection: &Connection, term: &str, of: impl rusqlite::ToSql) -> rusqlite::Result<Vec<Attempt>> {
    let sql = format!(
        "SELECT started_at, ended_at, outcome, exit_code, signal, reason, stdout, stdout_bytes, stderr, \
        stderr_bytes FROM attempt WHERE {term} ORDER BY run, attempt"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let attempts = statement.query_map(params![of], |row| {
        Ok(Attempt {
            started_at: instant(row, 0)?,
            ended_at: optional_instant(row, 1)?,
            outcome: outcome(row, 2)?,
            output: Output { stdout: captured(row, 6)?, stderr: captured(row, 8)? },
        })
    })?;
    attempts.collect()
}

fn captured(row: &Row<'_>, column: usize) -> rusqlite::Result<Captured> {
    let bytes_total = row.get::<_, i64>(column + 1)?.cast_unsigned();
    Ok(Captured { text: row.get(column)?, bytes_total })
}
