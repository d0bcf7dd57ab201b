//! What the engine asks of a volume driver (`daemon/volume/drivers/proxy.go` in moby).

use serde::Deserialize;

use crate::driver::{DriverOptions, arguments, check_id, check_not_empty, text_type};

text_type! {
    /// Which volume. Not empty, and otherwise what the docker user wrote: only the engine's own driver is
    /// choosy. [`as_file_name`](VolumeName::as_file_name) is for drivers that keep volumes in folders.
    VolumeName, "volume name", check_not_empty
}

text_type! {
    /// Which use of a volume, by one container in one run: 64 hexadecimal digits.
    MountId, "mount id", check_id
}

impl VolumeName {
    /// The name, if it can be that of a file: no separator, nothing hidden, nothing that leads elsewhere.
    ///
    /// The rule is the one of the engine's own driver (`RestrictedNameChars` in moby,
    /// `daemon/names/names.go`): letters, digits, `_`, `.` and `-`, the first one a letter or digit. At most
    /// 255 of them, as file systems have it.
    pub fn as_file_name(&self) -> Option<&str> {
        let name = self.as_str();
        let begins_well = name.starts_with(|it: char| it.is_ascii_alphanumeric());
        let goes_on_well = name.bytes().all(|it| it.is_ascii_alphanumeric() || b"_.-".contains(&it));
        (begins_well && goes_on_well && name.len() <= 255).then_some(name)
    }
}

/// A volume is made.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Create {
    /// The new volume.
    pub name: VolumeName,
    /// What the docker user gave with `--opt`.
    #[serde(rename = "Opts", default)]
    pub options: DriverOptions,
}

/// A volume is removed.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Remove {
    /// The volume.
    pub name: VolumeName,
}

/// A volume is needed.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Mount {
    /// The volume.
    pub name: VolumeName,
    /// Who needs it.
    #[serde(rename = "ID")]
    pub id: MountId,
}

/// A volume is no longer needed.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Unmount {
    /// The volume.
    pub name: VolumeName,
    /// Who needed it.
    #[serde(rename = "ID")]
    pub id: MountId,
}

/// Is there such a volume?
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Get {
    /// The volume.
    pub name: VolumeName,
}

/// Where is a volume mounted?
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Path {
    /// The volume.
    pub name: VolumeName,
}

arguments! {
    Create: "/VolumeDriver.Create",
    Get: "/VolumeDriver.Get",
    Mount: "/VolumeDriver.Mount",
    Path: "/VolumeDriver.Path",
    Remove: "/VolumeDriver.Remove",
    Unmount: "/VolumeDriver.Unmount",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_elsewhere_is_no_file_name() {
        let as_file_name =
            |text: &str| VolumeName::new(text).expect("a name").as_file_name().map(ToOwned::to_owned);
        assert_eq!(as_file_name("db-1_a.b").as_deref(), Some("db-1_a.b"));
        for wrong in ["..", ".hidden", "a/b", "../etc", "-rf", "a b", "ä", "a\n", &"a".repeat(256)] {
            assert_eq!(as_file_name(wrong), None, "{wrong:?}");
        }
        assert!(VolumeName::new("").is_err());
    }
}
