//! How runs and debts are told to programs. Keys stay; there may be more of them later.

use serde_json::{Value, json};

use super::words::{excuse, last_excuse, last_outcome};
use crate::journal::{Attempt, DebtRecord, Record};
use crate::lifecycle::{Event, Point, SubjectKind};
use crate::run::{Captured, Conclusion, Debt, DebtState, Outcome, RunId, RunState};

/// A run without what it wrote.
pub(super) fn run(record: &Record) -> Value {
    let (run, last) = (&record.run, record.attempts.last());
    let outcome = last_outcome(&record.attempts);
    json!({
        "id": run.id,
        "hook": run.hook.name,
        "point": run.event.point.name(),
        "phase": run.phase.name(),
        // Of a run for many events none is the subject.
        "subject": run.batch.is_none().then(|| subject(&run.event)),
        "events": run.batch.as_ref().map(|it| it.events.len() + it.more),
        "passage": run.event.passage,
        "cause": run.event.cause.name(),
        "state": state(record.state),
        "conclusion": record.conclusion().map(Conclusion::name),
        "attempt": record.attempts.len(),
        "outcome": outcome.map(Outcome::name),
        "exit_code": exit_code(outcome),
        "message": last_excuse(&record.attempts),
        "debt": run.debt,
        "overtook": record.overtook,
        "planned_at": run.planned_at,
        "started_at": last.map(|it| it.started_at),
        "ended_at": last.and_then(|it| it.ended_at),
        "due_at": record.due_at,
        "concluded_at": record.concluded_at,
    })
}

/// A run with all that is known of it, and the debt that it has opened or pays.
pub(super) fn whole_run(record: &Record, owed: Option<&DebtRecord>) -> Value {
    let mut told = run(record);
    told["attempts"] = record.attempts.iter().map(attempt).collect();
    told["nested"] = json!(record.nested);
    told["owed"] = owed.map_or(Value::Null, debt);
    told
}

fn attempt(attempt: &Attempt) -> Value {
    let captured = |it: &Captured| json!({"text": it.text, "bytes": it.bytes_total});
    json!({
        "outcome": attempt.outcome.as_ref().map(Outcome::name),
        "exit_code": exit_code(attempt.outcome.as_ref()),
        "message": excuse(attempt),
        "started_at": attempt.started_at,
        "ended_at": attempt.ended_at,
        "stdout": captured(&attempt.output.stdout),
        "stderr": captured(&attempt.output.stderr),
    })
}

/// A debt, and how far paying it has come.
pub(super) fn debt(record: &DebtRecord) -> Value {
    let debt = &record.debt;
    let last = last_outcome(&record.attempts);
    let (run, merged_into): (Option<&RunId>, Option<&RunId>) = match &debt.state {
        DebtState::Due { run } | DebtState::GivenUp { run } => (Some(run), None),
        DebtState::Merged { into } => (None, Some(into)),
        DebtState::Owed | DebtState::Paid | DebtState::Forgiven => (None, None),
    };
    json!({
        "id": debt.id,
        "hook": debt.hook,
        "subject": subject_of(debt),
        "object": debt.object,
        "passage": debt.passage,
        "state": debt.state.name(),
        "at": debt.cleanup.at.iter().map(Point::name).collect::<Vec<_>>(),
        "setups": debt.setups.iter().map(|it| &it.run).collect::<Vec<_>>(),
        "run": run,
        "merged_into": merged_into,
        "attempts": record.attempts.len(),
        "outcome": last.map(Outcome::name),
        "exit_code": exit_code(last),
        "message": last_excuse(&record.attempts),
        "opened_at": debt.opened_at,
        "due_at": record.due_at,
        "closed_at": debt.closed_at,
    })
}

/// The subject as the document that a script is given tells it, and its engine.
fn subject(event: &Event) -> Value {
    let subject = &event.subject;
    let id = match subject.kind {
        SubjectKind::Creation | SubjectKind::Call | SubjectKind::Engine => None,
        _ => Some(&subject.id),
    };
    json!({
        "kind": subject.kind.name(),
        "id": id,
        "name": event.facts.name,
        "engine": subject.engine,
    })
}

fn subject_of(debt: &Debt) -> Value {
    // What was asked for by a call may have come to be since.
    subject(&Event { subject: debt.subject.clone(), ..Event::clone(&debt.event) })
}

fn exit_code(outcome: Option<&Outcome>) -> Option<i32> {
    match outcome? {
        Outcome::Exited(status) => Some(*status),
        _ => None,
    }
}

const fn state(state: RunState) -> &'static str {
    match state {
        RunState::Planned => "planned",
        RunState::Running { .. } => "running",
        RunState::Attempted { .. } => "attempted",
        RunState::Waiting { .. } => "waiting",
        RunState::Concluded(_) => "concluded",
    }
}
