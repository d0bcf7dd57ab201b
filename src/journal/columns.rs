//! How single values are written into columns, and read from them.

use std::borrow::Cow;

use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Error, Result, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::lifecycle::SubjectKind;
use crate::run::{Outcome, RunState};

/// An instant as the file has it. It reaches from 1677 to 2262; what lies beyond is put at the edge.
pub(super) fn nanoseconds(at: Timestamp) -> i64 {
    let edge = if at < Timestamp::UNIX_EPOCH { i64::MIN } else { i64::MAX };
    i64::try_from(at.as_nanosecond()).unwrap_or(edge)
}

pub(super) fn clamped(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn to_json(value: &(impl Serialize + ?Sized)) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::ToSqlConversionFailure(error.into()))
}

pub(super) fn of_json<T: DeserializeOwned>(column: usize, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|it| odd(column, it))
}

/// The word for a kind; unlike [`SubjectKind::name`] another one for each.
pub(super) const fn kind_word(kind: SubjectKind) -> &'static str {
    match kind {
        SubjectKind::Container => "container",
        SubjectKind::Creation => "creation",
        SubjectKind::Network => "network",
        SubjectKind::Volume => "volume",
        SubjectKind::Address => "address",
        SubjectKind::Image => "image",
        SubjectKind::Engine => "engine",
        SubjectKind::Call => "call",
    }
}

pub(super) const fn state_word(state: RunState) -> &'static str {
    match state {
        RunState::Planned => "planned",
        RunState::Running { .. } => "running",
        RunState::Attempted { .. } => "attempted",
        RunState::Waiting { .. } => "waiting",
        RunState::Concluded(_) => "concluded",
    }
}

/// What there is to an outcome besides its name.
#[derive(Default)]
pub(super) struct Ending<'a> {
    pub(super) exit_code: Option<i32>,
    pub(super) signal: Option<i32>,
    pub(super) reason: Option<Cow<'a, str>>,
}

impl Ending<'_> {
    pub(super) fn of(outcome: &Outcome) -> Ending<'_> {
        match outcome {
            Outcome::Exited(status) => Ending { exit_code: Some(*status), ..Ending::default() },
            Outcome::Signaled(signal) => Ending { signal: Some(*signal), ..Ending::default() },
            Outcome::NotStarted(why) | Outcome::Unreachable(why) => {
                Ending { reason: Some(why.into()), ..Ending::default() }
            }
            Outcome::Answered(status) => {
                Ending { reason: Some(status.to_string().into()), ..Ending::default() }
            }
            Outcome::TimedOut | Outcome::Interrupted => Ending::default(),
        }
    }
}

/// The outcome that `outcome, exit_code, signal, reason` tell, the first of which is in `column`.
pub(super) fn outcome(row: &Row<'_>, column: usize) -> Result<Option<Outcome>> {
    let Some(name) = row.get::<_, Option<String>>(column)? else { return Ok(None) };
    Ok(Some(match name.as_str() {
        "exited" => Outcome::Exited(row.get(column + 1)?),
        "signaled" => Outcome::Signaled(row.get(column + 2)?),
        "timed_out" => Outcome::TimedOut,
        "not_started" => Outcome::NotStarted(row.get(column + 3)?),
        "answered" => {
            let status: String = row.get(column + 3)?;
            let status = status.parse().map_err(|_| odd(column + 3, format!("`{status}` is no status")))?;
            Outcome::Answered(status)
        }
        "unreachable" => Outcome::Unreachable(row.get(column + 3)?),
        "interrupted" => Outcome::Interrupted,
        other => return Err(odd(column, format!("`{other}` is no outcome"))),
    }))
}

/// What a column holds that is one word of ours.
pub(super) fn word<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T> {
    parse(column, &row.get::<_, String>(column)?)
}

pub(super) fn optional_word<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<Option<T>> {
    row.get::<_, Option<String>>(column)?.map(|it| parse(column, &it)).transpose()
}

pub(super) fn parse<T: DeserializeOwned>(column: usize, text: &str) -> Result<T> {
    serde_json::from_value(Value::String(text.to_owned())).map_err(|it| odd(column, it))
}

pub(super) fn instant(row: &Row<'_>, column: usize) -> Result<Timestamp> {
    of_nanoseconds(column, row.get(column)?)
}

pub(super) fn optional_instant(row: &Row<'_>, column: usize) -> Result<Option<Timestamp>> {
    row.get::<_, Option<i64>>(column)?.map(|it| of_nanoseconds(column, it)).transpose()
}

pub(super) fn of_nanoseconds(column: usize, nanoseconds: i64) -> Result<Timestamp> {
    Timestamp::from_nanosecond(nanoseconds.into()).map_err(|it| odd(column, it))
}

/// What no writer of ours has written.
pub(super) fn odd(column: usize, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::FromSqlConversionFailure(column, Type::Text, error.into())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{kind_word, nanoseconds, of_nanoseconds, parse};
    use crate::lifecycle::SubjectKind;

    #[test]
    fn the_word_for_a_kind_is_read_back() {
        let kinds = [
            SubjectKind::Container,
            SubjectKind::Creation,
            SubjectKind::Network,
            SubjectKind::Volume,
            SubjectKind::Address,
            SubjectKind::Image,
            SubjectKind::Engine,
            SubjectKind::Call,
        ];
        for kind in kinds {
            assert_eq!(parse::<SubjectKind>(0, kind_word(kind)), Ok(kind));
        }
    }

    #[test]
    fn an_instant_is_read_back_and_one_beyond_the_edge_is_put_there() {
        let at = Timestamp::from_nanosecond(-1_700_000_000_123_456_789).expect("in range");

        assert_eq!(of_nanoseconds(0, nanoseconds(at)), Ok(at));
        assert_eq!(nanoseconds(Timestamp::MIN), i64::MIN);
        assert_eq!(nanoseconds(Timestamp::MAX), i64::MAX);
    }
}
