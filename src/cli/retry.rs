//! `boathook retry`: once more, by hand.
//!
//! What is asked for is left in the journal, where the daemon finds it, now or when it is there again.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::failure::{UNREACHABLE, WRONG, complain, fail_with, remark};
use super::store::{ConfigFile, Store, StoreError};
use super::table::clipped;
use super::target::{RetryError, Target};
use super::waiting::{Waited, Watch, wait};
use super::words::{count, ended, last_excuse, last_outcome, span, took, when};
use super::{Form, json as told};
use crate::journal::{self, Record, Wish};
use crate::run::Outcome;

/// What is tried again.
#[derive(Debug, Args)]
pub(super) struct RetryArgs {
    /// Runs or debts: their ids, or enough of their beginnings
    #[arg(value_name = "RUN|DEBT", required_unless_present = "failed")]
    ids: Vec<String>,
    /// Every debt that was given up
    #[arg(long, conflicts_with = "ids")]
    failed: bool,
    /// Ask for it, and do not wait until it has ended
    #[arg(long)]
    no_wait: bool,
}

/// What has become of what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Became {
    /// It worked.
    Done,
    /// It has failed again.
    Failed,
    /// It was not tried: what it was for is over, or boathook stops.
    NotTried,
    /// Boathook has been asked, and nobody has waited.
    Asked,
    /// Nobody knows yet.
    Pending,
}

/// Has it tried again, and tells how that went.
pub(super) fn retry(config: &ConfigFile, args: &RetryArgs, form: Form) -> ExitCode {
    let store = match Store::open(config) {
        Ok(store) => store,
        Err(error) => return fail_with(error.code(), &error),
    };
    let targets = match targets(&store, args) {
        Ok(targets) => targets,
        Err(errors) => {
            errors.iter().for_each(complain);
            return ExitCode::from(errors.iter().map(RetryError::code).max().unwrap_or(WRONG));
        }
    };
    ask(&store, &targets, args, form).unwrap_or_else(|error| fail_with(error.code(), &error))
}

/// All that is named, or everything that is wrong with that. Nothing is asked for if anything is.
fn targets(store: &Store, args: &RetryArgs) -> Result<Vec<Target>, Vec<RetryError>> {
    if args.failed {
        return Target::given_up(&store.reader).map_err(|error| vec![error.into()]);
    }
    let (mut targets, mut errors): (Vec<Target>, Vec<RetryError>) = (Vec::new(), Vec::new());
    for text in &args.ids {
        match Target::named(&store.reader, text) {
            // Twice is as good as once.
            Ok(target) if targets.iter().any(|it| it.id() == target.id()) => {}
            Ok(target) => targets.push(target),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(targets) } else { Err(errors) }
}

fn ask(store: &Store, targets: &[Target], args: &RetryArgs, form: Form) -> Result<ExitCode, StoreError> {
    let watches: Vec<Watch> = targets.iter().map(|it| it.watch(&store.reader)).collect::<Result<_, _>>()?;
    let wishes = match args.failed {
        true if targets.is_empty() => Vec::new(),
        true => vec![Wish::RetryFailed],
        false => targets.iter().filter_map(Target::wish).collect(),
    };
    for wish in &wishes {
        journal::wish(&store.dir, wish)?;
    }
    let waits = !args.no_wait && store.is_held()?;
    let mut became: Vec<(Became, Option<Record>)> = vec![(Became::Asked, None); targets.len()];
    let mut waited = Waited::UntilTheEnd;
    if waits && !targets.is_empty() {
        form.remark(&format!("waiting for {}", count(targets.len(), "attempt")));
        became.fill((Became::Pending, None));
        waited = wait(store, &watches, |nth, record| {
            let how = Became::by(&record);
            form.say(&line(&targets[nth], how, Some(&record)));
            became[nth] = (how, Some(record));
        })?;
    }
    let told = targets.iter().zip(&became);
    if form.json {
        let array: Value =
            told.map(|(target, (how, record))| object(target, *how, record.as_ref())).collect();
        let _ = writeln!(anstream::stdout(), "{array:#}");
    } else {
        let rest = told.filter(|(_, (_, record))| record.is_none());
        rest.for_each(|(target, (how, _))| form.say(&line(target, *how, None)));
        if targets.is_empty() {
            form.say("no debt is given up: there is nothing to try again");
        }
    }
    conclude(store, waited, &became, form)
}

/// What there is to say besides, and the exit code.
fn conclude(
    store: &Store,
    waited: Waited,
    became: &[(Became, Option<Record>)],
    form: Form,
) -> Result<ExitCode, StoreError> {
    let has = |wanted: Became| became.iter().any(|(how, _)| *how == wanted);
    match waited {
        Waited::DaemonGone => remark("boathook has ended: what is pending is done when it runs again"),
        Waited::TooLong => {
            remark("boathook has not come to it, see its log; what is pending may still be done");
        }
        Waited::UntilTheEnd if has(Became::Asked) && !store.is_held()? => {
            form.remark("boathook does not run: it is done when it does");
        }
        Waited::UntilTheEnd => {}
    }
    Ok(match () {
        () if has(Became::Failed) || has(Became::NotTried) => ExitCode::from(WRONG),
        () if has(Became::Pending) => ExitCode::from(UNREACHABLE),
        () => ExitCode::SUCCESS,
    })
}

impl Became {
    /// What the end of a run says.
    fn by(record: &Record) -> Became {
        match last_outcome(&record.attempts) {
            Some(outcome) if outcome.is_success() => Became::Done,
            None | Some(Outcome::Interrupted) => Became::NotTried,
            Some(_) => Became::Failed,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Became::Done => "done",
            Became::Failed => "failed",
            Became::NotTried => "not_tried",
            Became::Asked => "asked",
            Became::Pending => "pending",
        }
    }
}

fn line(target: &Target, became: Became, record: Option<&Record>) -> String {
    let what = target.what();
    match became {
        Became::Done => format!("{what}: done{}", details(record)),
        Became::Failed => format!("{what}: failed again{}", details(record)),
        Became::NotTried => format!("{what}: not tried{}", details(record)),
        Became::Asked if target.wish().is_none() => format!("{what}: is under way"),
        Became::Asked => format!("{what}: asked for"),
        Became::Pending => format!("{what}: not yet"),
    }
}

/// How an attempt went, and what follows.
fn details(record: Option<&Record>) -> String {
    let Some(record) = record else { return String::new() };
    let zone = TimeZone::system();
    let last = record.attempts.last();
    let how = last_outcome(&record.attempts).map(|it| format!(", {}", ended(it)));
    let took = last.and_then(took).map(|it| format!(" after {}", span(it)));
    let why = last_excuse(&record.attempts).map(|it| format!(": {it}"));
    let next = record.due_at.filter(|_| record.conclusion().is_none());
    let next = next.map(|at| format!("; next at {}", when(at, Timestamp::now(), &zone)));
    let run = format!(" (run {})", record.run.id);
    let parts = [how, took, why, next, Some(run)];
    clipped(&parts.into_iter().flatten().collect::<String>(), usize::MAX)
}

fn object(target: &Target, became: Became, record: Option<&Record>) -> Value {
    json!({
        "id": target.id(),
        "kind": target.kind(),
        "result": became.name(),
        "run": record.map(told::run),
    })
}
