//! What a volume driver answers.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::driver::Scope;
use crate::driver::wire::{or_default, text_or_none};

/// What the engine is told about a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Capabilities {
    /// Whether a volume belongs to one host, or is the same one on all nodes of a cluster.
    pub scope: Scope,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Where it is mounted, if it is. Must be UTF-8.
    #[serde(default, serialize_with = "path_or_empty", deserialize_with = "text_or_none")]
    pub mountpoint: Option<PathBuf>,
    /// When it was made. Left out of the reply if `None`, or if it lies outside the years 1970 to 9999.
    #[serde(default, with = "rfc3339", skip_serializing_if = "is_not_writable")]
    pub created_at: Option<SystemTime>,
    /// What else there is to know, for `docker volume inspect`. No part of an answer to `List` that the
    /// engine would read.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Map::is_empty")]
    pub status: Map<String, Value>,
}

impl Volume {
    /// A volume of which no more is known.
    pub fn new(name: impl Into<String>) -> Volume {
        Volume { name: name.into(), mountpoint: None, created_at: None, status: Map::new() }
    }
}

/// The reply to `Capabilities`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Promised {
    pub(super) capabilities: Capabilities,
}

/// The reply to `Get`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Found {
    pub(super) volume: Volume,
}

/// The reply to `List`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listed {
    pub(super) volumes: Vec<Volume>,
}

/// The reply to `Mount` and `Path`. Empty for a volume that is not mounted.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MountedAt {
    pub(super) mountpoint: PathBuf,
}

/// The engine knows no absent mountpoint, only an empty one.
fn path_or_empty<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.clone().unwrap_or_default().serialize(serializer)
}

/// The first second of the year 10000, which RFC 3339 cannot write.
const YEAR_10000: Duration = Duration::from_secs(253_402_300_800);

fn is_not_writable(time: &Option<SystemTime>) -> bool {
    let since = time.and_then(|it| it.duration_since(UNIX_EPOCH).ok());
    since.is_none_or(|it| it >= YEAR_10000)
}

/// Times as Go reads them: it takes a reply whose time it cannot read for an error.
mod rfc3339 {
    use super::{Deserializer, Serializer, SystemTime, or_default};
    use serde::de::Error as _;

    pub(super) fn serialize<S: Serializer>(
        time: &Option<SystemTime>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.collect_str(&humantime::format_rfc3339_seconds(*time)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SystemTime>, D::Error> {
        let text: Option<String> = or_default(deserializer)?;
        let text = text.filter(|it| !it.is_empty());
        text.map(|it| humantime::parse_rfc3339(&it).map_err(D::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_volume_is_read_as_it_is_written() {
        let written = json!({
            "Name": "db", "Mountpoint": "/mnt/db", "CreatedAt": "2026-11-22T10:34:34Z", "Status": {"refs": 1},
        });
        let volume: Volume = serde_json::from_value(written.clone()).expect("a volume");
        assert_eq!(json!(volume), written);
        assert_eq!(json!(Volume::new("db")), json!({"Name": "db", "Mountpoint": ""}));
    }

    #[test]
    fn a_time_that_docker_could_not_read_is_left_out() {
        for time in [UNIX_EPOCH - Duration::from_secs(1), UNIX_EPOCH + YEAR_10000] {
            let volume = Volume { created_at: Some(time), ..Volume::new("db") };
            assert_eq!(json!(volume), json!({"Name": "db", "Mountpoint": ""}));
        }
        let last = UNIX_EPOCH + YEAR_10000 - Duration::from_secs(1);
        let volume = Volume { created_at: Some(last), ..Volume::new("db") };
        assert_eq!(json!(volume)["CreatedAt"], "9999-12-31T23:59:59Z");
    }

    #[test]
    fn a_path_that_json_cannot_hold_is_an_error() {
        let path = PathBuf::from(OsString::from_vec(vec![b'/', 0xff]));
        assert!(serde_json::to_vec(&MountedAt { mountpoint: path }).is_err());
    }
}
