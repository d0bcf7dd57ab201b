//! From a batch to rows.

mod runs;

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::{Arc, Weak};

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use serde::Serialize;

use super::batch::{Batch, Call, Reads};
use super::columns::{clamped, kind_word, nanoseconds, to_json};
use super::{Journal, fail_points};
use crate::hook::{Cleanup, Hook};
use crate::lifecycle::{EngineId, Event, Life, Subject};
use crate::run::{Debt, DebtState, Holding, RunId};

use runs::put_run;

/// How many hooks, clean-ups and events the number of which is known without asking: as many as one
/// batch may have.
const KEPT_MAX: usize = 8_192;

/// The store, as its one writer has it.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) connection: Connection,
    pub(super) written: Written,
}

/// What is known of the file without reading it.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// The lives that have a row.
    pub(super) lives: HashSet<Subject>,
    /// How many messages of each engine have been read in all.
    pub(super) messages: HashMap<EngineId, u64>,
    hooks: Kept<Hook>,
    cleanups: Kept<Cleanup>,
    events: Kept<Event>,
}

/// The numbers of rows that hold a value, by where in memory it is.
#[derive(Debug)]
struct Kept<T> {
    /// As long as one looks at an address weakly, nothing else comes to lie there.
    numbers: HashMap<usize, (Weak<T>, i64)>,
}

impl<T> Default for Kept<T> {
    fn default() -> Kept<T> {
        Kept { numbers: HashMap::new() }
    }
}

impl<T> Kept<T> {
    fn get(&self, value: &Arc<T>) -> Option<i64> {
        self.numbers.get(&Arc::as_ptr(value).addr()).map(|(_, number)| *number)
    }

    fn insert(&mut self, value: &Arc<T>, number: i64) {
        if self.numbers.len() >= KEPT_MAX {
            self.numbers.clear();
        }
        self.numbers.insert(Arc::as_ptr(value).addr(), (Arc::downgrade(value), number));
    }
}

impl Written {
    /// Forgets which rows hold what: they may not be there.
    pub(super) fn forget(&mut self) {
        self.hooks = Kept::default();
        self.cleanups = Kept::default();
        self.events = Kept::default();
    }
}

impl Store {
    pub(super) fn new(connection: Connection) -> Store {
        Store { connection, written: Written::default() }
    }

    /// Puts another connection to the same file in place of this one.
    pub(super) fn replace(&mut self, connection: Connection) {
        self.written.forget();
        drop(mem::replace(&mut self.connection, connection));
    }

    /// Writes a batch in one transaction; done when it is on disk.
    pub(super) fn put(&mut self, batch: &Batch<'_>) -> rusqlite::Result<()> {
        let put = self.try_put(batch);
        match &put {
            Ok(()) => self.note(batch),
            // Rows that were written in vain are gone again.
            Err(_) => self.written.forget(),
        }
        put
    }

    fn try_put(&mut self, batch: &Batch<'_>) -> rusqlite::Result<()> {
        let rows = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let written = &mut self.written;
        batch.runs.iter().try_for_each(|it| put_run(&rows, written, it))?;
        batch.debts.iter().try_for_each(|it| put_debt(&rows, written, it))?;
        batch.calls.iter().try_for_each(|it| put_call(&rows, it))?;
        batch.lives.iter().try_for_each(|(subject, life)| put_life(&rows, written, subject, *life))?;
        batch.holdings.iter().try_for_each(|it| put_holding(&rows, it))?;
        batch.reads.iter().try_for_each(|it| put_reads(&rows, written, it))?;
        fail_points::before_commit();
        rows.commit()?;
        fail_points::after_commit();
        Ok(())
    }

    /// Remembers what has been written.
    fn note(&mut self, batch: &Batch<'_>) {
        for (subject, life) in &batch.lives {
            match life {
                Some(_) if self.written.lives.contains(*subject) => {}
                Some(_) => {
                    self.written.lives.insert((*subject).clone());
                }
                None => {
                    self.written.lives.remove(*subject);
                }
            }
        }
        for reads in &batch.reads {
            *self.written.messages.entry(reads.engine.clone()).or_default() += count(reads);
        }
    }
}

const PUT_DEBT: &str = "INSERT INTO debt (id, hook, engine, subject_kind, subject_id, subject_name, object, passage, \
    state, run, opened_at, closed_at, cleanup, event, setups) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, \
    ?11, ?12, ?13, ?14, ?15) ON CONFLICT (id) DO UPDATE SET subject_kind = excluded.subject_kind, \
    subject_id = excluded.subject_id, subject_name = excluded.subject_name, \
    passage = excluded.passage, state = excluded.state, run = excluded.run, closed_at = excluded.closed_at, \
    cleanup = excluded.cleanup, event = excluded.event, setups = excluded.setups";

fn put_debt(rows: &Connection, written: &mut Written, debt: &Debt) -> rusqlite::Result<()> {
    let subject = &debt.subject;
    let cleanup = recipe(rows, &mut written.cleanups, &debt.cleanup)?;
    let event = event_number(rows, &mut written.events, &debt.event)?;
    let run = match &debt.state {
        DebtState::Due { run } | DebtState::GivenUp { run } | DebtState::Merged { into: run } => Some(run),
        DebtState::Owed | DebtState::Paid | DebtState::Forgiven => None,
    };
    rows.prepare_cached(PUT_DEBT)?.execute(params![
        debt.id.as_str(),
        debt.hook.as_str(),
        subject.engine.to_string(),
        kind_word(subject.kind),
        &*subject.id,
        debt.event.facts.name.as_deref(),
        debt.object.as_deref(),
        debt.passage,
        debt.state.name(),
        run.map(RunId::as_str),
        nanoseconds(debt.opened_at),
        debt.closed_at.map(nanoseconds),
        cleanup,
        event,
        to_json(&debt.setups)?,
    ])?;
    Ok(())
}

/// The number of the recipe that `value` is, stored if it is a new one.
fn recipe<T: Serialize>(rows: &Connection, kept: &mut Kept<T>, value: &Arc<T>) -> rusqlite::Result<i64> {
    if let Some(number) = kept.get(value) {
        return Ok(number);
    }
    let content = to_json(&**value)?;
    let mut find = rows.prepare_cached("SELECT number FROM recipe WHERE content = ?1")?;
    let number = match find.query_row([&content], |row| row.get(0)).optional()? {
        Some(number) => number,
        None => rows.prepare_cached("INSERT INTO recipe (content) VALUES (?1)")?.insert([&content])?,
    };
    kept.insert(value, number);
    Ok(number)
}

fn event_number(rows: &Connection, kept: &mut Kept<Event>, event: &Arc<Event>) -> rusqlite::Result<i64> {
    if let Some(number) = kept.get(event) {
        return Ok(number);
    }
    let number =
        rows.prepare_cached("INSERT INTO event (content) VALUES (?1)")?.insert([to_json(&**event)?])?;
    kept.insert(event, number);
    Ok(number)
}

const PUT_CALL: &str =
    "INSERT INTO nested (run, called_at, method, uri) SELECT number, ?2, ?3, ?4 FROM run WHERE id = ?1";

fn put_call(rows: &Connection, call: &Call<'_>) -> rusqlite::Result<()> {
    let row = params![call.run.as_str(), nanoseconds(call.at), call.method, call.uri];
    rows.prepare_cached(PUT_CALL)?.execute(row)?;
    Ok(())
}

const PUT_LIFE: &str = "INSERT INTO life (engine, kind, id, life) VALUES (?1, ?2, ?3, ?4) \
    ON CONFLICT (id, kind, engine) DO UPDATE SET life = excluded.life";

const DELETE_LIFE: &str = "DELETE FROM life WHERE engine = ?1 AND kind = ?2 AND id = ?3";

fn put_life(
    rows: &Connection,
    written: &Written,
    subject: &Subject,
    life: Option<&Life>,
) -> rusqlite::Result<()> {
    let kind = kind_word(subject.kind);
    match life {
        Some(life) => rows.prepare_cached(PUT_LIFE)?.execute(params![
            subject.engine.to_string(),
            kind,
            &*subject.id,
            to_json(life)?
        ]),
        None if written.lives.contains(subject) => {
            rows.prepare_cached(DELETE_LIFE)?.execute(params![subject.engine.to_string(), kind, &*subject.id])
        }
        None => Ok(0),
    }
    .map(drop)
}

const PUT_HOLDING: &str = "INSERT INTO holding (kind, key, content) VALUES (?1, ?2, ?3) \
    ON CONFLICT (kind, key) DO UPDATE SET content = excluded.content";

const DELETE_HOLDING: &str = "DELETE FROM holding WHERE kind = ?1 AND key = ?2";

fn put_holding(rows: &Connection, held: &Holding) -> rusqlite::Result<()> {
    let (kind, key) = (held.kind.name(), &*held.key);
    match &held.document {
        Some(content) => rows.prepare_cached(PUT_HOLDING)?.execute(params![kind, key, &**content]),
        None => rows.prepare_cached(DELETE_HOLDING)?.execute(params![kind, key]),
    }
    .map(drop)
}

const PUT_CURSOR: &str = "INSERT INTO engine (id, cursor, messages) VALUES (?1, ?2, ?3) ON CONFLICT (id) \
    DO UPDATE SET cursor = max(cursor, excluded.cursor), messages = excluded.messages";

const PUT_MARK: &str = "INSERT INTO mark (engine, slot, message, mark) VALUES (?1, ?2, ?3, ?4) \
    ON CONFLICT (engine, slot) DO UPDATE SET message = excluded.message, mark = excluded.mark";

fn put_reads(rows: &Connection, written: &Written, reads: &Reads<'_>) -> rusqlite::Result<()> {
    let (engine, slots) = (reads.engine.to_string(), Journal::MARKS_MAX as u64);
    let messages = written.messages.get(reads.engine).copied().unwrap_or(0) + count(reads);
    rows.prepare_cached(PUT_CURSOR)?.execute(params![
        engine,
        nanoseconds(reads.cursor),
        clamped(messages)
    ])?;
    let mut put_mark = rows.prepare_cached(PUT_MARK)?;
    for (message, mark) in (0..messages).rev().zip(reads.marks.iter().rev()).take(Journal::MARKS_MAX) {
        let row = params![engine, clamped(message % slots), clamped(message), mark.cast_signed()];
        put_mark.execute(row)?;
    }
    Ok(())
}

fn count(reads: &Reads<'_>) -> u64 {
    reads.marks.len() as u64
}
