//! `boathook runs RUN`: everything that is known of one run.

use std::fmt::{self, Write as _};

use jiff::tz::TimeZone;

use super::words::{UNKNOWN, count, ended, instant, of_what, outcome, span, took};
use crate::journal::{Attempt, DebtRecord, Record};
use crate::lifecycle::Facts;
use crate::run::{Captured, Outcome};

/// The run for people, a line for each thing.
pub(super) fn told(record: &Record, owed: Option<&DebtRecord>, zone: &TimeZone) -> String {
    let mut text = String::new();
    tell(&mut text, record, owed, zone).expect("text grows");
    text
}

fn tell(to: &mut String, record: &Record, owed: Option<&DebtRecord>, zone: &TimeZone) -> fmt::Result {
    let run = &record.run;
    let (event, (outcome, _)) = (&run.event, outcome(record));
    writeln!(to, "run       {}", run.id)?;
    writeln!(to, "hook      {}, {}", run.hook.name, run.phase.name())?;
    writeln!(to, "point     {}, cause {}", event.point, event.cause.name())?;
    writeln!(to, "for       {}{}", line(&of_what(run)), about(&event.facts, event.passage))?;
    writeln!(to, "planned   {}", instant(run.planned_at, zone))?;
    let overtook = if record.overtook { ", ahead of earlier runs that took too long" } else { "" };
    writeln!(to, "outcome   {outcome} after {}{overtook}", count(record.attempts.len(), "attempt"))?;
    if let Some(at) = record.due_at.filter(|_| record.conclusion().is_none()) {
        writeln!(to, "next      {}", instant(at, zone))?;
    }
    if let Some(owed) = owed {
        writeln!(to, "debt      {}, {}", owed.debt.id, debt(owed))?;
    }
    for (nth, attempt) in record.attempts.iter().enumerate() {
        writeln!(to)?;
        tell_attempt(to, nth + 1, attempt, zone)?;
    }
    if !record.nested.is_empty() {
        writeln!(to, "\nwhat it asked the engine:")?;
        record.nested.iter().try_for_each(|it| writeln!(to, "    {}", line(it)))?;
    }
    Ok(())
}

/// What is known of a container besides its name.
fn about(facts: &Facts, passage: u32) -> String {
    let id = facts.id.as_deref().map(|it| format!("id {}", it.get(..12).unwrap_or(it)));
    let image = facts.image.as_deref().map(|it| format!("image {}", line(it)));
    let ip = facts.addresses().ip.map(|it| format!("address {it}"));
    let start = (passage > 0).then(|| format!("start {passage}"));
    [id, image, ip, start].into_iter().flatten().map(|it| format!(", {it}")).collect()
}

/// How a debt stands.
fn debt(owed: &DebtRecord) -> String {
    let state = owed.debt.state.name().replace('_', " ");
    match owed.attempts.len() {
        0 => state,
        tries => format!("{state}, {} to clean up", count(tries, "attempt")),
    }
}

fn tell_attempt(to: &mut String, nth: usize, attempt: &Attempt, zone: &TimeZone) -> fmt::Result {
    let how = attempt.outcome.as_ref().map_or("running".to_owned(), ended);
    let took = took(attempt).map_or(UNKNOWN.to_owned(), span);
    writeln!(to, "attempt {nth}: {how}, began {}, took {took}", instant(attempt.started_at, zone))?;
    if let Some(Outcome::NotStarted(why) | Outcome::Unreachable(why)) = &attempt.outcome {
        writeln!(to, "    {}", line(why))?;
    }
    tell_output(to, "stdout", &attempt.output.stdout)?;
    tell_output(to, "stderr", &attempt.output.stderr)
}

/// What was written, without what would play with the terminal.
fn tell_output(to: &mut String, name: &str, written: &Captured) -> fmt::Result {
    if written.bytes_total == 0 {
        return Ok(());
    }
    writeln!(to, "  {name}, {}:", count(usize::try_from(written.bytes_total).unwrap_or(usize::MAX), "byte"))?;
    written.text.lines().try_for_each(|it| writeln!(to, "    {}", line(it)))
}

/// Printable text.
fn line(text: &str) -> String {
    text.chars().map(|it| if it.is_control() && it != '\t' { ' ' } else { it }).collect()
}
