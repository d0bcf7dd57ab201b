//! What boathook keeps, and how often it makes sure that it has missed nothing: `retention`, `reconcile`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Config;
use super::quantity::{self, Zero};
use super::report::Report;
use super::shape::{Preset, Shape};
use super::table::{Field, table};

/// A day, in seconds.
const DAY: u64 = 24 * 60 * 60;

/// Bounds of what is kept of a run's output. It is in memory while the hook runs.
const OUTPUT_BYTES: RangeInclusive<u64> = 1024..=16 * 1024 * 1024;

/// Bounds of how long runs are kept: with less nobody could look at one that has failed, and more is no
/// limit that anybody lives to see.
const RUNS_KEPT: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(3650 * DAY);

/// Bounds of how often the engine's list is compared with what is known: a list of thousands of
/// containers costs the engine a second, and what nobody has seen must not wait for days.
const EVERY: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(DAY);

table! {
    /// `retention`, as written.
    RetentionDraft, "`retention`" {
        /// How long runs that have ended, and debts that are paid, are kept: 1m to 3650d. What is owed is
        /// kept in any case.
        runs: Shape::Duration(Zero::Refused) => Preset::Span(Config::RETENTION_RUNS),
        /// How much of what a run prints is kept, of each of its two streams: 1KiB to 16MiB.
        output: Shape::Size => Preset::Bytes(Config::OUTPUT_BYTES_MAX as u64),
    }
    later {}
    synonyms { "logs": "output", "history": "runs", "journal": "runs" }
}

table! {
    /// `reconcile`, as written.
    ReconcileDraft, "`reconcile`" {
        /// How often the engine's list is compared with what is known, for what no event has told: 1s to 1d.
        every: Shape::Duration(Zero::Refused) => Preset::Span(Config::RECONCILE_EVERY),
    }
    later {}
    synonyms { "interval": "every", "period": "every" }
}

/// What is kept of runs.
pub(super) struct Retention {
    pub(super) runs: Duration,
    pub(super) output_bytes_max: usize,
}

/// What `field` says, or `None` once everything wrong with it is in `report`.
pub(super) fn retention(field: Option<&Field>, report: &mut Report) -> Option<Retention> {
    let (runs, output) = (Config::RETENTION_RUNS, Config::OUTPUT_BYTES_MAX);
    let Some(field) = field else { return Some(Retention { runs, output_bytes_max: output }) };
    let draft = RetentionDraft::read(&field.value, report)?;
    let runs = report.parse_or(draft.runs.as_ref(), runs, |it| quantity::duration_within(it, RUNS_KEPT));
    let output = report.parse_or(draft.output.as_ref(), output, |it| {
        quantity::size(it, OUTPUT_BYTES).map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
    });
    draft.outline.sound()?;
    Some(Retention { runs: runs?, output_bytes_max: output? })
}

/// How often `field` says, or `None` once everything wrong with it is in `report`.
pub(super) fn reconcile(field: Option<&Field>, report: &mut Report) -> Option<Duration> {
    let Some(field) = field else { return Some(Config::RECONCILE_EVERY) };
    let draft = ReconcileDraft::read(&field.value, report)?;
    let every = report
        .parse_or(draft.every.as_ref(), Config::RECONCILE_EVERY, |it| quantity::duration_within(it, EVERY));
    draft.outline.sound().and(every)
}
