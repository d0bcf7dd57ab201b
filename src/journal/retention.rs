//! Forgetting what has been over for long enough.
//!
//! In small steps, each a transaction of its own, when nobody waits. A run that an open debt refers
//! to is kept as long as the debt; what is not over is never touched.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Result, params};

use super::Retention;
use super::columns::nanoseconds;
use super::write::Store;

/// How often the store is gone through for what is too old.
const ROUND: Duration = Duration::from_secs(600);

/// How many runs, or debts, are deleted in one transaction: some milliseconds of work.
const STEP: u32 = 200;

/// How many pages may be free without being given back: what comes next takes them.
const FREE_PAGES: i64 = 4_096;

/// How many pages are given back to the file system at a time.
const PAGES: i64 = 256;

/// Going through a store, again and again.
#[derive(Debug)]
pub(super) struct Pruning {
    keep: Retention,
    stage: Stage,
    /// When the next round begins; `None` for the first.
    due_at: Option<Instant>,
}

/// What comes next in a round.
#[derive(Debug)]
enum Stage {
    Debts,
    Runs(Scan),
    Recipes,
    Pages,
}

/// How far the concluded runs have been gone through.
#[derive(Debug)]
struct Scan {
    /// The runs that open debts refer to, and the debts.
    kept: HashSet<String>,
    /// Those are looked at that were concluded before.
    until: i64,
    /// When the last that was looked at was concluded, and its number.
    after: (i64, i64),
}

/// A run that may be forgotten.
struct Old {
    number: i64,
    id: String,
    debt: Option<String>,
    concluded_at: i64,
    event: i64,
}

impl Pruning {
    pub(super) fn new(keep: Retention) -> Pruning {
        Pruning { keep, stage: Stage::Debts, due_at: None }
    }

    /// Whether there is a step to take at `now`.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due_at.is_none_or(|it| it <= now)
    }

    /// Takes one step; a failed one is taken again in the next round.
    pub(super) fn step(&mut self, store: &mut Store, now: Timestamp) -> Result<()> {
        let next = self.next(&mut store.connection, now);
        // What is known to be in the file may be gone.
        store.written.forget();
        if !matches!(next, Ok(Some(_))) {
            self.due_at = Some(Instant::now() + ROUND);
        }
        self.stage = next?.unwrap_or(Stage::Debts);
        Ok(())
    }

    /// What comes after the step; `None` at the end of the round.
    fn next(&mut self, connection: &mut Connection, now: Timestamp) -> Result<Option<Stage>> {
        let horizon = now.checked_sub(self.keep.runs).map_or(i64::MIN, nanoseconds);
        let stage = std::mem::replace(&mut self.stage, Stage::Debts);
        Ok(match stage {
            Stage::Debts if forget_debts(connection, horizon)? => Some(Stage::Debts),
            Stage::Debts => {
                let until = horizon.max(surplus_until(connection, self.keep.runs_max)?);
                let kept = kept_for_debts(connection)?;
                Some(Stage::Runs(Scan { kept, until, after: (i64::MIN, 0) }))
            }
            Stage::Runs(mut scan) => {
                let more = scan.step(connection)?;
                Some(if more { Stage::Runs(scan) } else { Stage::Recipes })
            }
            Stage::Recipes => {
                forget_recipes(connection)?;
                Some(Stage::Pages)
            }
            Stage::Pages => give_back(connection)?.then_some(Stage::Pages),
        })
    }
}

impl Scan {
    /// Forgets the next runs; whether there may be more.
    fn step(&mut self, connection: &mut Connection) -> Result<bool> {
        let old = self.look(connection)?;
        if let Some(last) = old.last() {
            self.after = (last.concluded_at, last.number);
        }
        let is_kept = |it: &Old| {
            self.kept.contains(&it.id) || it.debt.as_ref().is_some_and(|it| self.kept.contains(it))
        };
        let transaction = connection.transaction()?;
        for run in old.iter().filter(|it| !is_kept(it)) {
            for sql in [
                "DELETE FROM attempt WHERE run = ?1",
                "DELETE FROM nested WHERE run = ?1",
                "DELETE FROM run WHERE number = ?1",
            ] {
                transaction.prepare_cached(sql)?.execute([run.number])?;
            }
            forget_event(&transaction, run.event)?;
        }
        transaction.commit()?;
        Ok(old.len() == STEP as usize)
    }

    fn look(&self, connection: &Connection) -> Result<Vec<Old>> {
        let sql = "SELECT number, id, debt, concluded_at, event FROM run WHERE concluded_at IS NOT NULL \
            AND (concluded_at, number) > (?1, ?2) AND concluded_at < ?3 ORDER BY concluded_at, number LIMIT ?4";
        let mut statement = connection.prepare_cached(sql)?;
        let (at, number) = self.after;
        let old = statement.query_map(params![at, number, self.until, STEP], |row| {
            Ok(Old {
                number: row.get(0)?,
                id: row.get(1)?,
                debt: row.get(2)?,
                concluded_at: row.get(3)?,
                event: row.get(4)?,
            })
        })?;
        old.collect()
    }
}

/// Since when the runs are as many as are kept at most; what was concluded before is too much.
fn surplus_until(connection: &Connection, runs_max: u64) -> Result<i64> {
    let runs_max = i64::try_from(runs_max).unwrap_or(i64::MAX);
    // Numbers are given out one by one: this asks two leaves, where counting reads them all.
    let span: Option<i64> =
        connection.query_row("SELECT max(number) - min(number) FROM run", [], |row| row.get(0))?;
    if span.is_none_or(|it| it < runs_max) {
        return Ok(i64::MIN);
    }
    let sql = "SELECT concluded_at FROM run WHERE concluded_at IS NOT NULL \
        ORDER BY concluded_at DESC LIMIT 1 OFFSET ?1";
    let first: Option<i64> = connection.query_row(sql, [runs_max], |row| row.get(0)).optional()?;
    Ok(first.map_or(i64::MIN, |it| it.saturating_add(1)))
}

/// The ids of the open debts, and of the runs that they refer to.
fn kept_for_debts(connection: &Connection) -> Result<HashSet<String>> {
    let sql = "SELECT id, run FROM debt WHERE state IN ('owed', 'due', 'given_up') UNION ALL \
        SELECT debt.id, json_extract(setup.value, '$.run') FROM debt, json_each(debt.setups) AS setup \
        WHERE debt.state IN ('owed', 'due', 'given_up')";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut kept = HashSet::new();
    while let Some(row) = rows.next()? {
        kept.insert(row.get(0)?);
        kept.extend(row.get::<_, Option<String>>(1)?);
    }
    Ok(kept)
}

/// Forgets debts that were closed before `horizon`; whether there may be more.
fn forget_debts(connection: &mut Connection, horizon: i64) -> Result<bool> {
    let sql = "SELECT number, event FROM debt WHERE state NOT IN ('owed', 'due', 'given_up') \
        AND closed_at < ?1 ORDER BY closed_at LIMIT ?2";
    let transaction = connection.transaction()?;
    let mut statement = transaction.prepare_cached(sql)?;
    let debts = statement.query_map(params![horizon, STEP], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let debts: Vec<(i64, i64)> = debts.collect::<Result<_>>()?;
    for (number, event) in &debts {
        transaction.prepare_cached("DELETE FROM debt WHERE number = ?1")?.execute([number])?;
        forget_event(&transaction, *event)?;
    }
    drop(statement);
    transaction.commit()?;
    Ok(debts.len() == STEP as usize)
}

/// Forgets an event that nothing refers to.
fn forget_event(connection: &Connection, event: i64) -> Result<()> {
    let sql = "DELETE FROM event WHERE number = ?1 AND NOT EXISTS (SELECT 1 FROM run WHERE event = ?1) \
        AND NOT EXISTS (SELECT 1 FROM debt WHERE event = ?1)";
    connection.prepare_cached(sql)?.execute([event]).map(drop)
}

/// Forgets hooks and clean-ups that nothing refers to.
fn forget_recipes(connection: &Connection) -> Result<()> {
    let sql = "DELETE FROM recipe WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.recipe = recipe.number) \
        AND NOT EXISTS (SELECT 1 FROM debt WHERE debt.cleanup = recipe.number)";
    connection.execute(sql, []).map(drop)
}

/// Gives free pages back to the file system; whether there are more.
fn give_back(connection: &Connection) -> Result<bool> {
    let free = || connection.pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0));
    if free()? <= FREE_PAGES {
        return Ok(false);
    }
    connection.execute_batch(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    Ok(free()? > FREE_PAGES)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::Instant;

    use jiff::Timestamp;
    use rusqlite::Connection;

    use super::Pruning;
    use crate::journal::Retention;
    use crate::journal::batch::Batch;
    use crate::journal::known::Known;
    use crate::journal::queue::Shared;
    use crate::journal::read::remembered;
    use crate::journal::schema::{STEPS, migrate};
    use crate::journal::write::Store;
    use crate::run::examples::run_for;
    use crate::run::{Conclusion, Entry, Run, RunIds};

    #[test]
    fn hooks_and_events_that_come_again_after_they_were_forgotten_are_written_again() {
        let mut memory = Connection::open_in_memory().expect("memory");
        migrate(&mut memory, 0, STEPS).expect("our own steps");
        let (mut store, ids) = (Store::new(memory), RunIds::from(0));
        let shared = Shared::new(PathBuf::new(), Known::default());
        let put = |store: &mut Store, entries| {
            shared.append(entries).expect("true");
            store.put(&Batch::of(&shared.queue().take_behind(usize::MAX))).expect("memory");
        };
        let (over, at) = (run_for(&ids, "a", None), Timestamp::UNIX_EPOCH);
        let again = Arc::new(Run { id: run_for(&ids, "a", None).id.clone(), ..Run::clone(&over) });
        let skipped = Entry::Concluded { run: over.id.clone(), at, conclusion: Conclusion::Skipped };
        put(&mut store, vec![Entry::Planned(over), skipped]);

        let mut pruning = Pruning::new(Retention::default());
        while pruning.is_due(Instant::now()) {
            pruning.step(&mut store, Timestamp::MAX).expect("memory");
        }
        let recipes = store.connection.query_row("SELECT count(*) FROM recipe", [], |row| row.get(0));
        assert_eq!(recipes, Ok(0));
        put(&mut store, vec![Entry::Planned(again.clone())]);

        let found = remembered(&store.connection).expect("every row can be read").runs;
        assert_eq!(found[0].run.hook.name, again.hook.name);
    }
}
