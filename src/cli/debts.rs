//! `boathook debts`: what is owed, and what becomes of it.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::failure::{fail_with, remark};
use super::runs::{hook_name, nothing_yet};
use super::store::{ConfigFile, Store, StoreError};
use super::table::{Cell, Give, Table, Tone, terminal_width};
use super::words::{UNKNOWN, count, debtor, ended, last_excuse, last_outcome, when};
use super::{Form, forgive, json};
use crate::hook::HookName;
use crate::journal::{DebtFilter, DebtRecord};
use crate::lifecycle::Point;
use crate::run::DebtState;

/// How many debts are shown at most: more than anybody reads.
const SHOWN_MAX: usize = 1_000;

/// Which debts are shown, or forgiven.
#[derive(Debug, Args)]
pub(super) struct DebtsArgs {
    /// Those as well that are paid, forgiven, or merged into a newer one
    #[arg(long)]
    all: bool,
    /// Only those of that hook
    #[arg(long, value_name = "NAME", value_parser = hook_name)]
    hook: Option<HookName>,
    /// Only those for that container, network or volume: its name, or the beginning of its id
    #[arg(long, value_name = "NAME|ID")]
    container: Option<String>,
    /// Close these debts without a clean-up: none will run for them any more, whatever is left behind
    #[arg(long, value_name = "DEBT", num_args = 1.., conflicts_with_all = ["all", "hook", "container"])]
    forgive: Vec<String>,
}

/// Shows what is owed, oldest first, or forgives it.
pub(super) fn debts(config: &ConfigFile, args: &DebtsArgs, form: Form) -> ExitCode {
    let store = match Store::open(config) {
        Ok(store) => store,
        Err(error) if error.is_missing() && args.forgive.is_empty() => return nothing_yet(&error, form),
        Err(error) => return fail_with(error.code(), &error),
    };
    if !args.forgive.is_empty() {
        return forgive::forgive(&store, &args.forgive, form);
    }
    match list(&store, args, form) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail_with(error.code(), &error),
    }
}

fn list(store: &Store, args: &DebtsArgs, form: Form) -> Result<(), StoreError> {
    let mut records = store.reader.debts(&DebtFilter {
        id: None,
        hook: args.hook.clone(),
        subject: args.container.clone(),
        closed: args.all,
        limit: u32::try_from(SHOWN_MAX).unwrap_or(u32::MAX) + 1,
    })?;
    let are_more = records.len() > SHOWN_MAX;
    if are_more {
        records.remove(0);
    }
    let daemon = if store.is_held()? { Daemon::Runs } else { Daemon::IsAway };
    let now = Timestamp::now();
    // A reader that has closed the pipe has seen what it wanted.
    let _ = match form.json {
        true => writeln!(
            anstream::stdout(),
            "{:#}",
            records.iter().map(json::debt).collect::<serde_json::Value>()
        ),
        false if records.is_empty() => writeln!(anstream::stdout(), "nothing is owed"),
        false => write!(anstream::stdout(), "{}", table(&records, daemon, now).lines(terminal_width())),
    };
    if !form.quiet {
        remarks(&records, daemon, are_more).iter().for_each(|it| remark(it));
    }
    Ok(())
}

/// Whether there is somebody who pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Daemon {
    Runs,
    IsAway,
}

/// What there is to do.
fn remarks(records: &[DebtRecord], daemon: Daemon, are_more: bool) -> Vec<String> {
    let mut remarks = Vec::new();
    if are_more {
        remarks
            .push(format!("the latest {SHOWN_MAX} debts; there are older ones: see `--hook`, `--container`"));
    }
    let given_up = records.iter().filter(|it| matches!(it.debt.state, DebtState::GivenUp { .. })).count();
    if given_up > 0 {
        remarks.push(format!(
            "{} given up: mend what the clean-up needs, then `boathook retry DEBT` or `boathook retry --failed`; \
             clean up by hand, then `boathook debts --forgive DEBT`",
            count(given_up, "debt")
        ));
    }
    if daemon == Daemon::IsAway && records.iter().any(|it| it.debt.state.is_open()) {
        remarks.push("boathook does not run: nothing is paid until it does".to_owned());
    }
    remarks
}

fn table(records: &[DebtRecord], daemon: Daemon, now: Timestamp) -> Table {
    use Give::{All, DownTo, Nothing};
    let zone = TimeZone::system();
    let mut table = Table::new([
        ("DEBT", Nothing),
        ("SINCE", Nothing),
        ("FOR", DownTo(6)),
        ("HOOK", DownTo(6)),
        ("STATE", Nothing),
        ("TRIES", All),
        ("LAST", DownTo(6)),
        ("NEXT", DownTo(12)),
    ]);
    for record in records {
        table.push(row(record, daemon, now, &zone));
    }
    table
}

fn row(record: &DebtRecord, daemon: Daemon, now: Timestamp, zone: &TimeZone) -> [Cell; 8] {
    let debt = &record.debt;
    let tone = match debt.state {
        DebtState::GivenUp { .. } => Tone::Bad,
        DebtState::Due { .. } => Tone::Open,
        DebtState::Owed => Tone::Plain,
        DebtState::Paid | DebtState::Forgiven | DebtState::Merged { .. } => Tone::Faint,
    };
    [
        debt.id.as_str().into(),
        when(debt.opened_at, now, zone).into(),
        debtor(debt).into(),
        debt.hook.as_str().into(),
        Cell::new(&debt.state.name().replace('_', " "), tone),
        record.attempts.len().to_string().into(),
        last(record).into(),
        next(record, daemon, now, zone).into(),
    ]
}

/// How its clean-up went last.
fn last(record: &DebtRecord) -> String {
    let how = last_outcome(&record.attempts).map(ended);
    let parts: Vec<String> = how.into_iter().chain(last_excuse(&record.attempts)).collect();
    if parts.is_empty() { UNKNOWN.to_owned() } else { parts.join(": ") }
}

/// What comes next, or what came of it.
fn next(record: &DebtRecord, daemon: Daemon, now: Timestamp, zone: &TimeZone) -> String {
    let debt = &record.debt;
    let closed =
        |how: &str| debt.closed_at.map_or(how.to_owned(), |at| format!("{how} {}", when(at, now, zone)));
    match &debt.state {
        DebtState::Owed => {
            let points: Vec<&str> = debt.cleanup.at.iter().map(Point::name).collect();
            format!("at {}", points.join(", "))
        }
        DebtState::Due { .. } if daemon == Daemon::IsAway => "when boathook runs".to_owned(),
        DebtState::Due { .. } => match (record.due_at, record.attempts.last()) {
            (Some(at), _) => format!("tried at {}", when(at, now, zone)),
            (None, Some(attempt)) if attempt.ended_at.is_none() => "is running".to_owned(),
            (None, _) => "waits for its turn".to_owned(),
        },
        DebtState::GivenUp { .. } => "retry or forgive".to_owned(),
        DebtState::Paid => closed("paid"),
        DebtState::Forgiven => closed("forgiven"),
        DebtState::Merged { into } => format!("paid with {into}"),
    }
}
