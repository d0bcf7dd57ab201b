//! Options as a docker user gives them.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize};

use super::wire::or_default;

/// What a docker user gave with `--opt`, `--ipam-opt` and the like: names and values, both text.
///
/// Shown without the values in debug output: passwords for remote volumes are among them.
#[derive(Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct DriverOptions(BTreeMap<String, String>);

impl Deref for DriverOptions {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

impl From<BTreeMap<String, String>> for DriverOptions {
    fn from(options: BTreeMap<String, String>) -> DriverOptions {
        DriverOptions(options)
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for DriverOptions {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(options: I) -> DriverOptions {
        options
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect::<BTreeMap<_, _>>()
            .into()
    }
}

impl<'de> Deserialize<'de> for DriverOptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<DriverOptions, D::Error> {
        or_default(deserializer).map(DriverOptions)
    }
}

impl fmt::Debug for DriverOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_options_are_written_as_null_or_as_none() {
        let read = |text| serde_json::from_str::<DriverOptions>(text).expect("options");
        assert!(read("null").is_empty() && read("{}").is_empty());
        assert_eq!(read(r#"{"size":"1g"}"#)["size"], "1g");
    }

    #[test]
    fn debug_output_shows_no_values() {
        let options: DriverOptions = [("password", "secret")].into_iter().collect();
        assert_eq!(format!("{options:?}"), r#"{"password"}"#);
    }
}
