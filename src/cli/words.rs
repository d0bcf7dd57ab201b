//! How runs and debts are told to people: times, spans, subjects, outcomes.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::table::Tone;
use crate::config::show_duration;
use crate::hook::Action;
use crate::journal::{Attempt, Record};
use crate::lifecycle::{Cause, Event, SubjectKind};
use crate::run::{Conclusion, Debt, Outcome, Run, RunState};

/// What stands for the unknown.
pub(super) const UNKNOWN: &str = "-";

pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// An instant in a table, in the time of this host; the year only if it is another than that of `now`.
pub(super) fn when(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    let format = if at.year() == now.year() { "%m-%d %H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    at.strftime(format).to_string()
}

/// An instant by itself.
pub(super) fn instant(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%.3f %Z").to_string()
}

/// A span of time, no more exactly than one wants to know.
pub(super) fn span(span: Duration) -> String {
    match span.as_secs() {
        0 => format!("{}ms", span.as_millis()),
        1..=59 => format!("{:.1}s", span.as_secs_f64()),
        secs => show_duration(Duration::from_secs(secs)),
    }
}

/// How long an attempt took, once it has ended.
pub(super) fn took(attempt: &Attempt) -> Option<Duration> {
    // A clock that was set back makes less than nothing of it.
    Some(Duration::try_from(attempt.ended_at?.duration_since(attempt.started_at)).unwrap_or_default())
}

/// The subject of an event, as somebody would name it: a container by its name, others with their kind.
pub(super) fn subject(event: &Event) -> String {
    let kind = event.subject.kind;
    let named = event.facts.name.as_deref();
    match kind {
        SubjectKind::Container => named.unwrap_or(event.subject.short_id()).to_owned(),
        // Its id is made up.
        SubjectKind::Creation | SubjectKind::Call => named.unwrap_or(UNKNOWN).to_owned(),
        SubjectKind::Engine => kind.name().to_owned(),
        _ => format!("{} {}", kind.name(), named.unwrap_or(event.subject.short_id())),
    }
}

/// For what a debt is owed.
pub(super) fn debtor(debt: &Debt) -> String {
    // What was asked for by a call may have come to be since.
    let name = subject(&Event { subject: debt.subject.clone(), ..Event::clone(&debt.event) });
    match &debt.object {
        Some(object) => format!("{name}, {}", object.get(..12).unwrap_or(object)),
        None => name,
    }
}

/// What a run is for.
pub(super) fn of_what(run: &Run) -> String {
    match &run.batch {
        Some(batch) => count(batch.events.len() + batch.more, "event"),
        None => subject(&run.event),
    }
}

/// How an attempt ended, in two words.
pub(super) fn ended(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Exited(status) => format!("exit {status}"),
        Outcome::Signaled(signal) => format!("signal {signal}"),
        Outcome::TimedOut => "timed out".to_owned(),
        Outcome::NotStarted(_) => "not started".to_owned(),
        Outcome::Answered(status) => format!("HTTP {status}"),
        Outcome::Unreachable(_) => "unreachable".to_owned(),
        Outcome::Interrupted => "interrupted".to_owned(),
    }
}

/// What became of a run, or how it stands.
pub(super) fn outcome(record: &Record) -> (String, Tone) {
    let last = last_outcome(&record.attempts);
    match record.state {
        RunState::Planned => ("planned".to_owned(), Tone::Open),
        RunState::Running { .. } => ("running".to_owned(), Tone::Open),
        RunState::Attempted { .. } | RunState::Waiting { .. } => {
            (last.map_or("waits".to_owned(), |it| format!("{}, waits", ended(it))), Tone::Open)
        }
        RunState::Concluded(Conclusion::Failed) => (last.map_or("failed".to_owned(), ended), Tone::Bad),
        RunState::Concluded(conclusion) => {
            let tone = match conclusion {
                Conclusion::Denied | Conclusion::Interrupted => Tone::Bad,
                Conclusion::Skipped | Conclusion::Superseded => Tone::Faint,
                Conclusion::Done | Conclusion::Failed => Tone::Plain,
            };
            (conclusion.name().to_owned(), tone)
        }
    }
}

/// How the latest attempt that has ended did.
pub(super) fn last_outcome(attempts: &[Attempt]) -> Option<&Outcome> {
    attempts.iter().rev().find_map(|it| it.outcome.as_ref())
}

/// What an attempt that failed has to say for itself.
pub(super) fn excuse(attempt: &Attempt) -> Option<String> {
    match attempt.outcome.as_ref()? {
        outcome if outcome.is_success() => None,
        Outcome::NotStarted(why) | Outcome::Unreachable(why) => Some(why.clone()),
        _ => attempt.output.reply().message,
    }
}

/// What the latest attempt that has ended has to say, if it failed.
pub(super) fn last_excuse(attempts: &[Attempt]) -> Option<String> {
    attempts.iter().rev().find(|it| it.outcome.is_some()).and_then(excuse)
}

/// Why a run is there, if that is out of the ordinary, and why it is not done.
pub(super) fn why(record: &Record) -> Option<String> {
    let cause = match record.run.event.cause {
        Cause::Api | Cause::Engine => None,
        Cause::Reconcile => Some("seen late"),
        Cause::Replay => Some("asked for by hand"),
        Cause::Aborted => Some("did not come about"),
    };
    let excuse = match &record.run.hook.action {
        Action::Deny { message } => Some(message.clone()),
        _ => last_excuse(&record.attempts),
    };
    let parts: Vec<String> = cause.map(str::to_owned).into_iter().chain(excuse).collect();
    (!parts.is_empty()).then(|| parts.join(": "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use jiff::tz::{TimeZone, offset};

    use super::{count, instant, span, when};

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn a_time_is_that_of_the_host_and_has_a_year_only_if_it_is_another() {
        let zone = TimeZone::fixed(offset(1));
        let now = at("2026-01-02T12:00:00Z");

        assert_eq!(when(at("2025-12-31T23:30:00Z"), now, &zone), "01-01 00:30:00");
        assert_eq!(when(at("2025-12-31T22:30:00Z"), now, &zone), "2025-12-31 23:30:00");
        assert_eq!(instant(at("2026-01-02T12:00:00.0125Z"), &TimeZone::UTC), "2026-01-02 12:00:00.012 UTC");
    }

    #[test]
    fn a_span_is_told_as_exactly_as_one_wants_to_know() {
        let told = [7, 1_249, 61_999, 7_200_000].map(|millis| span(Duration::from_millis(millis)));

        assert_eq!(told, ["7ms", "1.2s", "1m1s", "2h"]);
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!((count(1, "hook"), count(0, "hook")), ("1 hook".to_owned(), "0 hooks".to_owned()));
    }
}
