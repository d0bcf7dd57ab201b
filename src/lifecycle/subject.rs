//! What events happen to.

use std::fmt;
use std::sync::Arc;

/// The identity of a Docker Engine: `ID` of `GET /info`.
///
/// It lives in the engine's data directory. A restored disk or another `--data-root` has another
/// id, and what vanishes under one id has not been removed under the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EngineId(Arc<str>);

impl EngineId {
    /// The id as `GET /info` tells it.
    pub fn new(id: &str) -> EngineId {
        EngineId(id.into())
    }
}

impl fmt::Display for EngineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The kinds of things that events happen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubjectKind {
    /// A container; its id is Docker's 64 hexadecimal digits.
    Container,
    /// An asked-for creation of a container that has no id yet; its id is made by us.
    Creation,
}

/// One thing that events happen to. Two subjects are the same only on the same engine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// The engine it lives on.
    pub engine: EngineId,
    /// What it is.
    pub kind: SubjectKind,
    /// Its id within the engine and kind.
    pub id: Arc<str>,
}

impl Subject {
    /// The container with that full id.
    pub fn container(engine: &EngineId, id: &str) -> Subject {
        Subject { engine: engine.clone(), kind: SubjectKind::Container, id: id.into() }
    }

    /// A creation that is being asked for; `id` is any text that no other creation has.
    pub fn creation(engine: &EngineId, id: &str) -> Subject {
        Subject { engine: engine.clone(), kind: SubjectKind::Creation, id: id.into() }
    }

    /// The first twelve characters of the id, as the docker command shows ids.
    pub fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short_id())
    }
}
