//! `boathook runs`: what ran, for whom, and how it went.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::failure::{Fix, UNREACHABLE, WRONG, fail_with, remark};
use super::ids::{self, IdError};
use super::one_run;
use super::store::{ConfigFile, Store, StoreError};
use super::table::{Cell, Give, Table, Tone, terminal_width};
use super::words::{UNKNOWN, count, of_what, outcome, span, took, when, why};
use super::{Form, json};
use crate::config::read_duration;
use crate::hook::HookName;
use crate::journal::{Found, Record, RunFilter};

/// How many runs are shown if nobody says: some screens.
const SHOWN: u32 = 100;

/// Which runs are shown.
#[derive(Debug, Args)]
pub(super) struct RunsArgs {
    /// Only that run, with all that is known of it: its id, or enough of its beginning
    #[arg(value_name = "RUN", conflicts_with_all = ["failed", "open", "hook", "container", "since", "number"])]
    run: Option<String>,
    /// Only those that failed, denied or were interrupted
    #[arg(long, conflicts_with = "open")]
    failed: bool,
    /// Only those that are not over
    #[arg(long)]
    open: bool,
    /// Only those of that hook
    #[arg(long, value_name = "NAME", value_parser = hook_name)]
    hook: Option<HookName>,
    /// Only those for that container, network or volume: its name, or the beginning of its id
    #[arg(long, value_name = "NAME|ID")]
    container: Option<String>,
    /// Only those of the last so long (`1h`, `7d`), or since an instant (`2026-01-31T12:00:00Z`)
    #[arg(long, value_name = "SPAN", value_parser = since)]
    since: Option<Since>,
    /// Not more than the latest so many
    #[arg(short, long, value_name = "N", default_value_t = SHOWN, hide_default_value = false)]
    number: u32,
}

/// Since when.
#[derive(Clone, Copy, Debug)]
enum Since {
    Ago(Duration),
    At(Timestamp),
}

pub(super) fn hook_name(text: &str) -> Result<HookName, String> {
    HookName::parse(text).ok_or_else(|| "no hook can have that name".to_owned())
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(at) = text.parse() {
        return Ok(Since::At(at));
    }
    read_duration(text).map(Since::Ago)
}

impl Since {
    fn instant(self, now: Timestamp) -> Timestamp {
        match self {
            Since::Ago(span) => now.checked_sub(span).unwrap_or(Timestamp::MIN),
            Since::At(at) => at,
        }
    }
}

/// Shows the runs that are asked for, newest last.
pub(super) fn runs(config: &ConfigFile, args: &RunsArgs, form: Form) -> ExitCode {
    let store = match Store::open(config) {
        Ok(store) => store,
        Err(error) if error.is_missing() && args.run.is_none() => return nothing_yet(&error, form),
        Err(error) => return fail_with(error.code(), &error),
    };
    match &args.run {
        Some(id) => show_one(&store, id, form),
        None => match list(&store, args, form) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail_with(error.code(), &error),
        },
    }
}

/// Where no daemon has run yet, nothing has either.
pub(super) fn nothing_yet(error: &StoreError, form: Form) -> ExitCode {
    if form.json {
        let _ = writeln!(anstream::stdout(), "[]");
    }
    let fix = error.fix().map_or_else(String::new, |it| format!("; {it}"));
    remark(&format!("nothing has run yet: {error}{fix}"));
    ExitCode::SUCCESS
}

fn list(store: &Store, args: &RunsArgs, form: Form) -> Result<(), StoreError> {
    let (now, limit) = (Timestamp::now(), args.number);
    let found = match (args.failed, args.open) {
        (true, _) => Found::Failed,
        (false, true) => Found::Open,
        (false, false) => Found::All,
    };
    let mut records = store.reader.runs(&RunFilter {
        hook: args.hook.clone(),
        subject: args.container.clone(),
        since: args.since.map(|it| it.instant(now)),
        found,
        limit: limit.saturating_add(1),
        ..RunFilter::default()
    })?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let are_more = records.len() > shown;
    if are_more {
        records.remove(0);
    }
    // A reader that has closed the pipe has seen what it wanted.
    let _ = match form.json {
        true => {
            writeln!(anstream::stdout(), "{:#}", records.iter().map(json::run).collect::<serde_json::Value>())
        }
        false => write!(anstream::stdout(), "{}", table(&records, now).lines(terminal_width())),
    };
    if are_more && !form.quiet {
        let shown = count(shown, "run");
        remark(&format!("the latest {shown}; there are earlier ones: see `-n`, `--since`, `--hook`"));
    }
    Ok(())
}

fn table(records: &[Record], now: Timestamp) -> Table {
    use Give::{All, DownTo, Nothing};
    let zone = TimeZone::system();
    let mut table = Table::new([
        ("RUN", Nothing),
        ("WHEN", Nothing),
        ("FOR", DownTo(6)),
        ("POINT", Nothing),
        ("HOOK", DownTo(6)),
        ("PHASE", All),
        ("TRY", All),
        ("OUTCOME", DownTo(9)),
        ("TOOK", All),
        ("WHY", DownTo(6)),
    ]);
    for record in records {
        table.push(row(record, now, &zone));
    }
    table
}

fn row(record: &Record, now: Timestamp, zone: &TimeZone) -> [Cell; 10] {
    let run = &record.run;
    let last = record.attempts.last();
    let (outcome, tone) = outcome(record);
    let or_unknown = |text: Option<String>| Cell::from(text.unwrap_or_else(|| UNKNOWN.to_owned()));
    [
        run.id.as_str().into(),
        when(last.map_or(run.planned_at, |it| it.started_at), now, zone).into(),
        of_what(run).into(),
        run.event.point.name().into(),
        run.hook.name.as_str().into(),
        Cell::new(run.phase.name(), Tone::Plain),
        or_unknown(last.map(|_| record.attempts.len().to_string())),
        Cell::new(&outcome, tone),
        or_unknown(last.and_then(took).map(span)),
        or_unknown(why(record)),
    ]
}

fn show_one(store: &Store, text: &str, form: Form) -> ExitCode {
    let found = ids::find(&store.reader, text).and_then(|id| {
        let record = ids::run(&store.reader, &id)?;
        let owed = match &record {
            Some(record) => ids::debt_of(&store.reader, record)?,
            None => None,
        };
        let forgotten = IdError::Unknown { text: text.to_owned(), is_name: false };
        record.map(|it| (it, owed)).ok_or(forgotten)
    });
    match found {
        Ok((record, owed)) => {
            let owed = owed.as_ref();
            let _ = match form.json {
                true => {
                    writeln!(anstream::stdout(), "{:#}", serde_json::json!([json::whole_run(&record, owed)]))
                }
                false => write!(anstream::stdout(), "{}", one_run::told(&record, owed, &TimeZone::system())),
            };
            ExitCode::SUCCESS
        }
        Err(error @ IdError::Read(_)) => fail_with(UNREACHABLE, &error),
        Err(error) => fail_with(WRONG, &error),
    }
}
