//! Runs and their attempts.

use rusqlite::{Connection, Result, params};

use super::{Written, event_number, recipe};
use crate::journal::batch::{AttemptChange, RunChange, attempts};
use crate::journal::columns::{Ending, clamped, kind_word, nanoseconds, state_word, to_json};
use crate::run::{Outcome, RunId, RunState};

const INSERT_RUN: &str = "INSERT INTO run (number, id, hook, point, phase, engine, subject_kind, subject_id, \
    subject_name, passage, cause, debt, state, attempts, planned_at, due_at, concluded_at, conclusion, overtook, \
    recipe, event, batch) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, \
    ?18, ?19, ?20, ?21, ?22)";

const UPDATE_RUN: &str = "UPDATE run SET state = ?2, attempts = max(attempts, ?3), due_at = ?4, \
    concluded_at = ?5, conclusion = ?6, overtook = max(overtook, ?7) WHERE number = ?1";

const UPDATE_BATCH: &str = "UPDATE run SET batch = ?2 WHERE number = ?1";

const UPDATE_LAST: &str = "UPDATE run SET started_at = coalesce(?2, started_at), ended_at = ?3, outcome = ?4, \
    exit_code = ?5 WHERE number = ?1";

pub(super) fn put_run(rows: &Connection, written: &mut Written, change: &RunChange<'_>) -> Result<()> {
    let conclusion = match change.state {
        RunState::Concluded(conclusion) => Some(conclusion.name()),
        _ => None,
    };
    let begun = change.attempts.last().map_or(0, |it| it.attempt).max(attempts(change.state));
    let (due_at, concluded_at) = (change.due_at.map(nanoseconds), change.concluded_at.map(nanoseconds));
    if let Some(run) = change.planned {
        let (event, subject) = (&run.event, &run.event.subject);
        let batch = change.gathered.unwrap_or(run).batch.as_ref().map(to_json).transpose()?;
        let recipe = recipe(rows, &mut written.hooks, &run.hook)?;
        let event_number = event_number(rows, &mut written.events, event)?;
        rows.prepare_cached(INSERT_RUN)?.execute(params![
            change.number,
            run.id.as_str(),
            run.hook.name.as_str(),
            event.point.name(),
            run.phase.name(),
            subject.engine.to_string(),
            kind_word(subject.kind),
            &*subject.id,
            event.facts.name.as_deref(),
            event.passage,
            event.cause.name(),
            run.debt.as_ref().map(RunId::as_str),
            state_word(change.state),
            begun,
            nanoseconds(run.planned_at),
            due_at,
            concluded_at,
            conclusion,
            change.overtook,
            recipe,
            event_number,
            batch,
        ])?;
    } else {
        let (state, overtook) = (state_word(change.state), change.overtook);
        let row = params![change.number, state, begun, due_at, concluded_at, conclusion, overtook];
        rows.prepare_cached(UPDATE_RUN)?.execute(row)?;
        if let Some(batch) = change.gathered.and_then(|it| it.batch.as_ref()) {
            rows.prepare_cached(UPDATE_BATCH)?.execute(params![change.number, to_json(batch)?])?;
        }
    }
    change.attempts.iter().try_for_each(|it| put_attempt(rows, change.number, it))?;
    change.attempts.last().map_or(Ok(()), |it| put_last(rows, change.number, it))
}

/// Repeats what people ask for of the last attempt in the row of its run.
fn put_last(rows: &Connection, run: i64, last: &AttemptChange<'_>) -> Result<()> {
    let (ended_at, outcome) = last.ended.map(|(at, outcome, _)| (at, outcome)).unzip();
    rows.prepare_cached(UPDATE_LAST)?.execute(params![
        run,
        last.started_at.map(nanoseconds),
        ended_at.map(nanoseconds),
        outcome.map(Outcome::name),
        outcome.and_then(|it| Ending::of(it).exit_code),
    ])?;
    Ok(())
}

const INSERT_ATTEMPT: &str = "INSERT INTO attempt (run, attempt, started_at, ended_at, outcome, exit_code, signal, \
    reason, stdout, stdout_bytes, stderr, stderr_bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

const UPDATE_ATTEMPT: &str = "UPDATE attempt SET started_at = coalesce(?3, started_at), ended_at = ?4, \
    outcome = ?5, exit_code = ?6, signal = ?7, reason = ?8, stdout = ?9, stdout_bytes = ?10, stderr = ?11, \
    stderr_bytes = ?12 WHERE run = ?1 AND attempt = ?2";

fn put_attempt(rows: &Connection, run: i64, change: &AttemptChange<'_>) -> Result<()> {
    let is_new = change.started_at.is_some();
    let mut statement = rows.prepare_cached(if is_new { INSERT_ATTEMPT } else { UPDATE_ATTEMPT })?;
    let (ended_at, outcome, output) = match change.ended {
        Some((at, outcome, output)) => (Some(at), Some(outcome), Some(output)),
        None => (None, None, None),
    };
    let ending = outcome.map(Ending::of).unwrap_or_default();
    let (stdout, stderr) = output.map(|it| (&it.stdout, &it.stderr)).unzip();
    statement.execute(params![
        run,
        change.attempt,
        change.started_at.map(nanoseconds),
        ended_at.map(nanoseconds),
        outcome.map(Outcome::name),
        ending.exit_code,
        ending.signal,
        ending.reason,
        stdout.map_or("", |it| &it.text),
        stdout.map_or(0, |it| clamped(it.bytes_total)),
        stderr.map_or("", |it| &it.text),
        stderr.map_or(0, |it| clamped(it.bytes_total)),
    ])?;
    Ok(())
}
