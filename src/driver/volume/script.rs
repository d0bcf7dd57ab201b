//! Volumes that a script makes: what it is asked, and what its answer means.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::name::VolumeName;
use super::spec::Spec;
use super::{VolumeError, Volumes};

/// What the script is asked to do. The names are Docker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Create,
    Remove,
    Mount,
    Unmount,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Method::Create => "VolumeDriver.Create",
            Method::Remove => "VolumeDriver.Remove",
            Method::Mount => "VolumeDriver.Mount",
            Method::Unmount => "VolumeDriver.Unmount",
        }
    }
}

/// What is about to happen to which volume.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) method: Method,
    pub(super) name: &'a VolumeName,
    pub(super) spec: &'a Spec,
    /// The volume's directory, which is the script's to keep things in. While it is being made it has
    /// another name than later.
    pub(super) directory: &'a Path,
    /// Where it is mounted, or where it would best be.
    pub(super) mountpoint: Option<&'a Path>,
}

/// A request as the script reads it: Docker's own keys, and where things are.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Request<'a> {
    name: &'a VolumeName,
    opts: &'a BTreeMap<String, String>,
    directory: &'a Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    mountpoint: Option<&'a Path>,
}

/// A reply, of which the rest is ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Reply {
    mountpoint: Option<PathBuf>,
}

impl Volumes {
    /// Asks the script of a volume, and tells where it says that it has mounted it. A volume without a
    /// script needs none.
    pub(super) async fn ask(&self, question: Question<'_>) -> Result<Option<PathBuf>, VolumeError> {
        let Spec::Script { script, options } = question.spec else { return Ok(None) };
        let Question { method, name, directory, mountpoint, .. } = question;
        let request = Request { name, opts: options, directory, mountpoint };
        let request = serde_json::to_vec(&request).expect("a request is JSON");
        let reply = self.scripts().call(script, method.name(), &request).await;
        let reply = reply.map_err(VolumeError::Script)?;
        understood(reply).map_err(|why| VolumeError::Reply { script: script.clone(), why })
    }
}

/// What a reply without an error says: where the volume is mounted.
fn understood(reply: Value) -> Result<Option<PathBuf>, String> {
    let reply: Reply = serde_json::from_value(reply).map_err(|it| format!("its reply is none: {it}"))?;
    match reply.mountpoint.filter(|it| !it.as_os_str().is_empty()) {
        Some(path) if !path.is_absolute() => {
            Err(format!("its `Mountpoint` is `{}`, and no path from the root", path.display()))
        }
        mountpoint => Ok(mountpoint),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::understood;

    #[test]
    fn a_reply_says_where() {
        assert_eq!(understood(json!({})), Ok(None));
        assert_eq!(understood(json!({"Err": "", "Mountpoint": "/mnt/x"})), Ok(Some("/mnt/x".into())));
        assert_eq!(understood(json!({"Mountpoint": ""})), Ok(None));
        for wrong in [json!({"Mountpoint": "x"}), json!({"Mountpoint": 5})] {
            assert!(understood(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
