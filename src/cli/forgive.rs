//! `boathook debts --forgive`: what need not be cleaned up any more.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::failure::{Fix, UNREACHABLE, WRONG, complain, fail_with, remark};
use super::ids::{self, IdError};
use super::store::{Store, StoreError};
use super::waiting::pause;
use super::words::{count, debtor};
use super::{Form, json as told};
use crate::journal::{self, DebtRecord, Wish};
use crate::run::RunId;

/// How long boathook may take to write down that a debt is closed: it looks for wishes twice a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a debt cannot be forgiven.
#[derive(Debug, thiserror::Error)]
enum ForgiveError {
    #[error(transparent)]
    Id(#[from] IdError),
    /// The id is that of a run that owes nothing.
    #[error("run `{id}` owes nothing")]
    NoDebt { id: RunId },
    /// It is closed already.
    #[error("debt `{id}` is {state}: there is nothing to forgive")]
    Closed { id: RunId, state: &'static str },
}

impl Fix for ForgiveError {
    fn fix(&self) -> Option<String> {
        match self {
            ForgiveError::Id(error) => error.fix(),
            ForgiveError::NoDebt { .. } | ForgiveError::Closed { .. } => {
                Some("`boathook debts` shows what is owed".to_owned())
            }
        }
    }
}

/// Closes debts without a clean-up; none of them, if anything is wrong with one.
pub(super) fn forgive(store: &Store, texts: &[String], form: Form) -> ExitCode {
    let (mut debts, mut errors): (Vec<DebtRecord>, Vec<ForgiveError>) = (Vec::new(), Vec::new());
    for text in texts {
        match find(store, text) {
            Ok(found) if debts.iter().any(|it| it.debt.id == found.debt.id) => {}
            Ok(found) => debts.push(found),
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        errors.iter().for_each(complain);
        return ExitCode::from(WRONG);
    }
    close(store, &debts, form).unwrap_or_else(|error| fail_with(error.code(), &error))
}

fn find(store: &Store, text: &str) -> Result<DebtRecord, ForgiveError> {
    let id = ids::find(&store.reader, text)?;
    match ids::debt(&store.reader, &id).map_err(IdError::from)? {
        Some(found) if found.debt.state.is_open() => Ok(found),
        Some(found) => Err(ForgiveError::Closed { id, state: found.debt.state.name() }),
        None => Err(ForgiveError::NoDebt { id }),
    }
}

fn close(store: &Store, debts: &[DebtRecord], form: Form) -> Result<ExitCode, StoreError> {
    for owed in debts {
        journal::wish(&store.dir, &Wish::Forgive(owed.debt.id.clone()))?;
    }
    let is_held = store.is_held()?;
    let until = Instant::now() + PATIENCE;
    let mut now = look(store, debts)?;
    while is_held && now.iter().any(|it| it.debt.state.is_open()) && Instant::now() < until {
        pause();
        now = look(store, debts)?;
    }
    let open = now.iter().filter(|it| it.debt.state.is_open()).count();
    if form.json {
        let array: Value = now.iter().map(|it| json!({"id": it.debt.id, "debt": told::debt(it)})).collect();
        let _ = writeln!(anstream::stdout(), "{array:#}");
    }
    for owed in &now {
        let (hook, of) = (&owed.debt.hook, debtor(&owed.debt));
        form.say(&match owed.debt.state.is_open() {
            true => format!("`{hook}` for {of}: will be forgiven"),
            false => {
                format!("`{hook}` for {of}: {}; no clean-up runs for it any more", owed.debt.state.name())
            }
        });
    }
    if open > 0 && is_held {
        remark(&format!("{} open still: boathook has not come to it, see its log", count(open, "debt")));
        return Ok(ExitCode::from(UNREACHABLE));
    }
    if open > 0 {
        form.remark("boathook does not run: it is done when it does");
    }
    Ok(ExitCode::SUCCESS)
}

/// The debts as they are now; one that is forgotten already, as it was.
fn look(store: &Store, debts: &[DebtRecord]) -> Result<Vec<DebtRecord>, StoreError> {
    let mut now = Vec::with_capacity(debts.len());
    for owed in debts {
        now.push(ids::debt(&store.reader, &owed.debt.id)?.unwrap_or_else(|| owed.clone()));
    }
    Ok(now)
}
