//! What a volume is: what its `--opt`s say, without any mistake left.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What a volume is, as it was created. It does not change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Spec {
    /// A directory of its own, or one that the operator's `volumes.paths` allow.
    Directory {
        /// Whom it belongs to, and who may do what.
        #[serde(flatten)]
        permissions: Permissions,
        /// The directory; `None`: one of our own, which goes with the volume.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<PathBuf>,
        /// The most that it may hold, in bytes, never zero; `None`: what its disk does. Only without a path.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
    },
    /// Memory. What is in it is gone when nobody uses it any more.
    Tmpfs {
        /// Whom it belongs to, and who may do what.
        #[serde(flatten)]
        permissions: Permissions,
        /// The most that it may hold, in bytes, never zero; `None`: half of the machine's memory, as the
        /// kernel has it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
    },
    /// A directory that is there already, and is left as it is.
    Bind {
        /// The directory.
        path: PathBuf,
    },
    /// Whatever a script of the operator's makes of it.
    Script {
        /// Its name in the configuration.
        script: String,
        /// What else was said, for the script to understand.
        #[serde(default)]
        options: BTreeMap<String, String>,
    },
}

/// Whom a directory belongs to, and who may do what in it. What is not said is left to the defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// Permission bits, at most 7777 octal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// The owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
}

impl Spec {
    /// The word for it, as in `--opt type=`.
    pub fn word(&self) -> &'static str {
        match self {
            Spec::Directory { .. } => "directory",
            Spec::Tmpfs { .. } => "tmpfs",
            Spec::Bind { .. } => "bind",
            Spec::Script { .. } => "script",
        }
    }

    /// The most that it may hold, in bytes, if that was said and is ours to keep.
    pub fn size(&self) -> Option<u64> {
        match self {
            Spec::Directory { size, .. } | Spec::Tmpfs { size, .. } => *size,
            Spec::Bind { .. } | Spec::Script { .. } => None,
        }
    }

    /// Whether we mount it ourselves, over the directory that every volume has.
    ///
    /// A directory elsewhere is mounted as well: a path that was looked at could lead somewhere else by
    /// the time that Docker follows it, a mount cannot.
    pub fn is_mounted_by_us(&self) -> bool {
        match self {
            Spec::Directory { path, .. } => path.is_some(),
            Spec::Tmpfs { .. } | Spec::Bind { .. } => true,
            Spec::Script { .. } => false,
        }
    }
}
