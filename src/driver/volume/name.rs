//! The names of volumes.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of a volume, which is that of a directory as well.
///
/// Docker's own rule, `[a-zA-Z0-9][a-zA-Z0-9_.-]+` (`RestrictedNamePattern` in moby, `daemon/names/names.go`),
/// which it does not ask of volumes that have a driver; and no longer than a file's name may be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VolumeName(Arc<str>);

/// A text that is no name of a volume.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is no name for a volume: use 2 to {} letters, digits, `_`, `.`, `-`, the first a letter or digit",
    .0.escape_debug(),
    VolumeName::BYTES_MAX
)]
pub struct NameError(String);

impl VolumeName {
    /// The longest name, in bytes: of a file's 255, some are left for what we put before it.
    pub const BYTES_MAX: usize = 240;

    /// The name, if it keeps the rules.
    ///
    /// # Errors
    ///
    /// When it could lead anywhere else than to a directory of that name.
    pub fn parse(text: &str) -> Result<VolumeName, NameError> {
        let ok = (2..=VolumeName::BYTES_MAX).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
        match ok {
            true => Ok(VolumeName(text.into())),
            // Somebody reads it: a name of a megabyte would be no help.
            false => Err(NameError(text.chars().take(VolumeName::BYTES_MAX).collect())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VolumeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for VolumeName {
    type Error = NameError;

    fn try_from(text: String) -> Result<VolumeName, NameError> {
        VolumeName::parse(&text)
    }
}

impl From<VolumeName> for String {
    fn from(name: VolumeName) -> String {
        name.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::VolumeName;

    #[test]
    fn a_name_is_a_name_to_docker_as_well() {
        for name in ["db", "v1.2_x-y", "0a", &"f".repeat(64)] {
            assert_eq!(VolumeName::parse(name).expect(name).as_str(), name);
        }
    }

    #[test]
    fn a_name_cannot_lead_out_of_its_directory() {
        for name in ["", "a", "..", ".x", "a/b", "../ab", "a\0b", "ab\n", "-ab", "ü-ab", &"x".repeat(241)] {
            assert!(VolumeName::parse(name).is_err(), "{name:?}");
        }
    }
}
