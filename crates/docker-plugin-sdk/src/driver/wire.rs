//! How Go writes nothing: as `null`, as an empty text, or by leaving the key out.

use std::fmt::Display;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// The value, or the default in place of `null`: a slice or map of Go's that was never filled.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A value that is written as text, or `None` in place of `null` and of an empty text.
pub(crate) fn text_or_none<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text: Option<String> = or_default(deserializer)?;
    let text = text.filter(|it| !it.is_empty());
    text.map(|it| it.parse().map_err(D::Error::custom)).transpose()
}

/// Whether a key can be left out because its value is what the engine takes for granted.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
