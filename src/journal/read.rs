//! From rows to what they say.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Result, Row, params};
use serde::de::DeserializeOwned;
use tracing::error;

use super::columns::{instant, odd, of_json, optional_instant, optional_word, outcome, word};
use super::known::{Place, Taken};
use super::{OpenRun, Remembered};
use crate::hook::{Cleanup, Hook};
use crate::lifecycle::{EngineId, Event, Life, Subject};
use crate::run::{Conclusion, Debt, DebtState, Holding, HoldingKind, Outcome, Run, RunId, RunState};

/// What is read of a run, in this order; see [`Rows::run`].
pub(super) const RUN: &str = "SELECT run.number, run.id, run.phase, run.debt, run.planned_at, run.state, \
    run.attempts, run.conclusion, run.due_at, run.batch, run.recipe, run.event, run.overtook, run.concluded_at \
    FROM run";

/// What is read of a debt, in this order; see [`Rows::debt`].
pub(super) const DEBT: &str = "SELECT debt.id, debt.hook, debt.engine, debt.subject_kind, debt.subject_id, \
    debt.object, debt.passage, debt.state, debt.run, debt.opened_at, debt.closed_at, debt.cleanup, debt.event, \
    debt.setups FROM debt";

/// What makes a debt an open one. The indices are made for exactly this text.
pub(super) const OPEN_DEBT: &str = "debt.state IN ('owed', 'due', 'given_up')";

/// Reads rows that share hooks and events, each of which is read once.
pub(super) struct Rows<'a> {
    connection: &'a Connection,
    hooks: HashMap<i64, Arc<Hook>>,
    cleanups: HashMap<i64, Arc<Cleanup>>,
    events: HashMap<i64, Arc<Event>>,
}

impl<'a> Rows<'a> {
    pub(super) fn of(connection: &'a Connection) -> Rows<'a> {
        let (hooks, cleanups, events) = (HashMap::new(), HashMap::new(), HashMap::new());
        Rows { connection, hooks, cleanups, events }
    }

    /// The run that a row of [`RUN`] is.
    pub(super) fn run(&mut self, row: &Row<'_>) -> Result<Arc<Run>> {
        let content = "SELECT content FROM recipe WHERE number = ?1";
        let hook = shared(self.connection, &mut self.hooks, content, row.get(10)?)?;
        let event = self.event(row.get(11)?)?;
        let batch = row.get::<_, Option<String>>(9)?.map(|it| of_json(9, &it)).transpose()?;
        Ok(Arc::new(Run {
            id: word(row, 1)?,
            hook,
            phase: word(row, 2)?,
            event,
            batch,
            debt: optional_word(row, 3)?,
            setups: Vec::new(),
            planned_at: instant(row, 4)?,
        }))
    }

    /// The debt that a row of [`DEBT`] is.
    pub(super) fn debt(&mut self, row: &Row<'_>) -> Result<Debt> {
        let content = "SELECT content FROM recipe WHERE number = ?1";
        let subject = Subject {
            engine: EngineId::new(&row.get::<_, String>(2)?),
            kind: word(row, 3)?,
            id: row.get::<_, String>(4)?.into(),
        };
        Ok(Debt {
            id: word(row, 0)?,
            hook: word(row, 1)?,
            subject,
            object: row.get::<_, Option<String>>(5)?.map(Arc::from),
            passage: row.get(6)?,
            cleanup: shared(self.connection, &mut self.cleanups, content, row.get(11)?)?,
            event: self.event(row.get(12)?)?,
            setups: of_json(13, &row.get::<_, String>(13)?)?,
            state: debt_state(row)?,
            opened_at: instant(row, 9)?,
            closed_at: optional_instant(row, 10)?,
        })
    }

    fn event(&mut self, number: i64) -> Result<Arc<Event>> {
        let content = "SELECT content FROM event WHERE number = ?1";
        shared(self.connection, &mut self.events, content, number)
    }
}

/// What the past has left for the present.
pub(super) fn remembered(connection: &Connection) -> Result<Remembered> {
    Ok(Remembered {
        lives: lives(connection)?,
        engines: engines(connection)?,
        runs: open_runs(connection)?,
        debts: open_debts(connection)?,
        holdings: holdings(connection)?,
        copy_of: copy_of(connection)?,
    })
}

fn lives(connection: &Connection) -> Result<Vec<(Subject, Life)>> {
    let mut statement = connection.prepare("SELECT engine, kind, id, life FROM life ORDER BY number")?;
    let mut rows = statement.query([])?;
    let mut lives = Vec::new();
    while let Some(row) = rows.next()? {
        let subject = Subject {
            engine: EngineId::new(&row.get::<_, String>(0)?),
            kind: word(row, 1)?,
            id: row.get::<_, String>(2)?.into(),
        };
        match of_json(3, &row.get::<_, String>(3)?) {
            Ok(life) => lives.push((subject, life)),
            // It is looked up anew; without the others much more would be missed.
            Err(error) => error!(%subject, %error, "what was known of a container cannot be read"),
        }
    }
    Ok(lives)
}

fn engines(connection: &Connection) -> Result<Vec<EngineId>> {
    let sql = "SELECT id FROM engine UNION SELECT engine FROM life UNION SELECT engine FROM debt";
    let mut statement = connection.prepare(sql)?;
    statement.query_map([], |row| Ok(EngineId::new(&row.get::<_, String>(0)?)))?.collect()
}

fn open_runs(connection: &Connection) -> Result<Vec<OpenRun>> {
    let mut statement =
        connection.prepare(&format!("{RUN} WHERE run.concluded_at IS NULL ORDER BY run.number"))?;
    let (mut rows, mut of) = (statement.query([])?, Rows::of(connection));
    let mut open = Vec::new();
    while let Some(row) = rows.next()? {
        let (run, state, due_at) = (of.run(row)?, run_state(row)?, optional_instant(row, 8)?);
        open.push(OpenRun { run, state, last: last_outcome(connection, row.get(0)?)?, due_at });
    }
    Ok(open)
}

fn last_outcome(connection: &Connection, run: i64) -> Result<Option<Outcome>> {
    let sql = "SELECT outcome, exit_code, signal, reason FROM attempt \
        WHERE run = ?1 AND outcome IS NOT NULL ORDER BY attempt DESC LIMIT 1";
    connection.prepare_cached(sql)?.query_row([run], |row| outcome(row, 0)).optional().map(Option::flatten)
}

fn open_debts(connection: &Connection) -> Result<Vec<Debt>> {
    let mut statement = connection.prepare(&format!("{DEBT} WHERE {OPEN_DEBT} ORDER BY debt.number"))?;
    let mut of = Rows::of(connection);
    statement.query_map([], |row| of.debt(row))?.collect()
}

fn holdings(connection: &Connection) -> Result<Vec<Holding>> {
    let mut statement = connection.prepare("SELECT kind, key, content FROM holding ORDER BY kind, key")?;
    let holding = |row: &Row<'_>| {
        let kind: String = row.get(0)?;
        let kind =
            HoldingKind::from_name(&kind).ok_or_else(|| odd(0, format!("`{kind}` is no kind of holding")))?;
        Ok(Holding { kind, key: row.get::<_, String>(1)?.into(), document: Some(row.get(2)?) })
    };
    statement.query_map([], holding)?.collect()
}

/// The places of the runs that are open, by their ids, and the number of the next run.
pub(super) fn places(connection: &Connection) -> Result<(Vec<(RunId, Place)>, i64)> {
    let mut statement = connection.prepare(&format!("{RUN} WHERE run.concluded_at IS NULL"))?;
    let place = |row: &Row<'_>| Ok((word(row, 1)?, Place { number: row.get(0)?, state: run_state(row)? }));
    let places = statement.query_map([], place)?.collect::<Result<_>>()?;
    let next = connection.query_row("SELECT coalesce(max(number), 0) + 1 FROM run", [], |row| row.get(0))?;
    Ok((places, next))
}

/// How far the event streams have been taken in, and how many messages that were in all.
pub(super) fn taken(connection: &Connection) -> Result<Vec<(Taken, u64)>> {
    let mut statement = connection.prepare("SELECT id, cursor, messages FROM engine")?;
    let mut marks = connection.prepare("SELECT mark FROM mark WHERE engine = ?1 ORDER BY message")?;
    let mut rows = statement.query([])?;
    let mut taken = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        let marks = marks.query_map(params![id], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))?;
        let (engine, cursor, marks) = (EngineId::new(&id), instant(row, 1)?, marks.collect::<Result<_>>()?);
        taken.push((Taken { engine, cursor, marks }, row.get::<_, i64>(2)?.cast_unsigned()));
    }
    Ok(taken)
}

/// The engine whose store this file is a copy of, if it is one.
fn copy_of(connection: &Connection) -> Result<Option<EngineId>> {
    let sql = "SELECT value FROM meta WHERE key = 'copy_of'";
    let id: Option<String> = connection.query_row(sql, [], |row| row.get(0)).optional()?;
    Ok(id.map(|it| EngineId::new(&it)))
}

/// The state that a row of [`RUN`] tells.
pub(super) fn run_state(row: &Row<'_>) -> Result<RunState> {
    let attempts = row.get(6)?;
    match row.get::<_, String>(5)?.as_str() {
        "planned" => Ok(RunState::Planned),
        "running" => Ok(RunState::Running { attempt: attempts }),
        "attempted" => Ok(RunState::Attempted { attempts }),
        "waiting" => Ok(RunState::Waiting { attempts }),
        "concluded" => word::<Conclusion>(row, 7).map(RunState::Concluded),
        other => Err(odd(5, format!("`{other}` is no state of a run"))),
    }
}

/// The state that a row of [`DEBT`] tells.
fn debt_state(row: &Row<'_>) -> Result<DebtState> {
    match row.get::<_, String>(7)?.as_str() {
        "owed" => Ok(DebtState::Owed),
        "due" => Ok(DebtState::Due { run: word(row, 8)? }),
        "paid" => Ok(DebtState::Paid),
        "given_up" => Ok(DebtState::GivenUp { run: word(row, 8)? }),
        "forgiven" => Ok(DebtState::Forgiven),
        "merged" => Ok(DebtState::Merged { into: word(row, 8)? }),
        other => Err(odd(7, format!("`{other}` is no state of a debt"))),
    }
}

/// The value behind a number, read if nobody has read it yet.
fn shared<T: DeserializeOwned>(
    connection: &Connection,
    known: &mut HashMap<i64, Arc<T>>,
    sql: &str,
    number: i64,
) -> Result<Arc<T>> {
    if let Some(value) = known.get(&number) {
        return Ok(value.clone());
    }
    let content: String = connection.prepare_cached(sql)?.query_row([number], |row| row.get(0))?;
    let value: Arc<T> = Arc::new(of_json(0, &content)?);
    known.insert(number, value.clone());
    Ok(value)
}
