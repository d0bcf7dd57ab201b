//! Scripts that answer in a driver's place.

use std::fmt;
use std::sync::Arc;

use super::{Command, Deadline, HookName};

/// The name of a script, by which users of docker choose it: `docker network create -o script=NAME`.
///
/// The rules are those of a [`HookName`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScriptName(HookName);

impl ScriptName {
    /// The name, if it keeps the rules.
    pub fn parse(name: &str) -> Option<ScriptName> {
        HookName::parse(name).map(ScriptName)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for ScriptName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A script that the operator has declared to answer calls of the engine to a driver.
///
/// A user of docker can choose one by its name, and never say what is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// How it is called.
    pub name: ScriptName,
    /// What is run.
    pub command: Arc<Command>,
    /// How long one call may take.
    pub deadline: Deadline,
}
