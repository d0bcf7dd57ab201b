//! What people write for a run or a debt: its id, or enough of its beginning.

use std::collections::BTreeSet;

use super::failure::Fix;
use crate::journal::{DebtFilter, DebtRecord, ReadError, Reader, Record, RunFilter};
use crate::run::RunId;

/// How many ids are named where several are meant.
const NAMED_MAX: usize = 5;

/// Why a text says no run or debt.
#[derive(Debug, thiserror::Error)]
pub(super) enum IdError {
    /// None has an id that begins so.
    #[error("no run or debt has the id `{text}`, or one that begins so")]
    Unknown {
        text: String,
        /// Whether something is called so.
        is_name: bool,
    },
    /// More than one has.
    #[error("`{text}` begins the ids of several: {}", listed(.ids))]
    Ambiguous { text: String, ids: BTreeSet<RunId> },
    /// The journal cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Fix for IdError {
    fn fix(&self) -> Option<String> {
        match self {
            IdError::Unknown { text, is_name: true } => Some(format!(
                "that is a name: `boathook runs --container {text}` and `boathook debts` show the ids"
            )),
            IdError::Unknown { .. } => Some("`boathook runs` and `boathook debts` show the ids".to_owned()),
            IdError::Ambiguous { .. } => Some("write more of it".to_owned()),
            IdError::Read(_) => None,
        }
    }
}

/// The ids, as far as that many can be read.
fn listed(ids: &BTreeSet<RunId>) -> String {
    let named: Vec<String> = ids.iter().take(NAMED_MAX).map(|it| format!("`{it}`")).collect();
    let more = if ids.len() > NAMED_MAX { ", …" } else { "" };
    named.join(", ") + more
}

/// The id that `text` is, or begins.
pub(super) fn find(reader: &Reader, text: &str) -> Result<RunId, IdError> {
    let limit = u32::try_from(NAMED_MAX).unwrap_or(u32::MAX) + 1;
    let id = Some(text.to_ascii_lowercase());
    let runs = reader.runs(&RunFilter { id: id.clone(), limit, ..RunFilter::default() })?;
    let debts = reader.debts(&DebtFilter { id, closed: true, limit, ..DebtFilter::default() })?;
    let runs = runs.into_iter().map(|it| it.run.id.clone());
    match choose(text, runs.chain(debts.into_iter().map(|it| it.debt.id)).collect()) {
        Err(IdError::Unknown { text, .. }) => {
            let filter = RunFilter { subject: Some(text.clone()), limit: 1, ..RunFilter::default() };
            let is_name = !text.is_empty() && !reader.runs(&filter)?.is_empty();
            Err(IdError::Unknown { text, is_name })
        }
        chosen => chosen,
    }
}

fn choose(text: &str, mut ids: BTreeSet<RunId>) -> Result<RunId, IdError> {
    let text = text.to_owned();
    match (ids.pop_first(), ids.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(one), false) => {
            ids.insert(one);
            Err(IdError::Ambiguous { text, ids })
        }
        (None, _) => Err(IdError::Unknown { text, is_name: false }),
    }
}

/// The run with that id. What is old has been forgotten.
pub(super) fn run(reader: &Reader, id: &RunId) -> Result<Option<Record>, ReadError> {
    let filter = RunFilter { id: Some(id.to_string()), limit: 1, ..RunFilter::default() };
    Ok(reader.runs(&filter)?.pop())
}

/// The debt with that id, closed or not.
pub(super) fn debt(reader: &Reader, id: &RunId) -> Result<Option<DebtRecord>, ReadError> {
    let filter = DebtFilter { id: Some(id.to_string()), closed: true, limit: 1, ..DebtFilter::default() };
    Ok(reader.debts(&filter)?.pop())
}

/// The debt that a run has opened, renewed, or pays.
pub(super) fn debt_of(reader: &Reader, record: &Record) -> Result<Option<DebtRecord>, ReadError> {
    let run = &record.run;
    if let Some(found) = debt(reader, run.debt.as_ref().unwrap_or(&run.id))? {
        return Ok(Some(found));
    }
    let (hook, subject) = (Some(run.hook.name.clone()), Some(run.event.subject.id.to_string()));
    let of_hook = reader.debts(&DebtFilter { hook, subject, closed: true, ..DebtFilter::default() })?;
    Ok(of_hook.into_iter().rev().find(|it| it.debt.has(&run.id)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::Timestamp;

    use super::{IdError, choose};
    use crate::run::{RunId, RunIds};

    fn ids(count: usize) -> BTreeSet<RunId> {
        let ids = RunIds::from(0);
        (0..count).map(|_| ids.next(Timestamp::UNIX_EPOCH)).collect()
    }

    #[test]
    fn what_begins_one_id_is_that_one() {
        let one = ids(1);

        assert_eq!(choose("0", one.clone()).ok(), one.first().cloned());
        assert!(matches!(choose("x", BTreeSet::new()), Err(IdError::Unknown { .. })));
    }

    #[test]
    fn what_begins_several_is_refused_with_some_of_them() {
        let told = |count| choose("00", ids(count)).map_err(|it| it.to_string());

        assert_eq!(
            told(2),
            Err("`00` begins the ids of several: `0000000000000000`, `0000000000000001`".to_owned())
        );
        assert!(told(6).is_err_and(|it| it.ends_with("`0000000000000004`, …")));
    }
}
