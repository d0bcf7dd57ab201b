//! What events happen to.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The identity of a Docker Engine: `ID` of `GET /info`.
///
/// It lives in the engine's data directory. A restored disk or another `--data-root` has another
/// id, and what vanishes under one id has not been removed under the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// A container; its id is Docker's 64 hexadecimal digits.
    Container,
    /// A container whose id is not known yet: one that is asked for, whose id is made by us; or one that
    /// starts and cannot be identified, whose id is that of its endpoint.
    Creation,
    /// A network. Its id is Docker's, or the name by which a caller asks for it.
    Network,
    /// A volume; its id is its name.
    Volume,
    /// An address of a pool of ours; its id is the address itself.
    Address,
    /// An image; its id is what it is called where it is met: a reference, or a digest.
    Image,
    /// The engine itself; its id is empty.
    Engine,
    /// A call of the API; its id is made by us.
    Call,
}

impl SubjectKind {
    /// The name in environment and document.
    pub const fn name(self) -> &'static str {
        match self {
            SubjectKind::Container | SubjectKind::Creation => "container",
            SubjectKind::Network => "network",
            SubjectKind::Volume => "volume",
            SubjectKind::Address => "address",
            SubjectKind::Image => "image",
            SubjectKind::Engine => "engine",
            SubjectKind::Call => "call",
        }
    }
}

/// One thing that events happen to. Two subjects are the same only on the same engine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subject {
    /// The engine it lives on.
    pub engine: EngineId,
    /// What it is.
    pub kind: SubjectKind,
    /// Its id within the engine and kind.
    pub id: Arc<str>,
}

impl Subject {
    /// The subject of that kind and id.
    pub fn new(engine: &EngineId, kind: SubjectKind, id: &str) -> Subject {
        Subject { engine: engine.clone(), kind, id: id.into() }
    }

    /// The container with that full id.
    pub fn container(engine: &EngineId, id: &str) -> Subject {
        Subject::new(engine, SubjectKind::Container, id)
    }

    /// The id as the docker command shows it: the first twelve characters where it is Docker's own.
    pub fn short_id(&self) -> &str {
        let is_dockers = self.id.len() == 64 && self.id.bytes().all(|it| it.is_ascii_hexdigit());
        if is_dockers { &self.id[..12] } else { &self.id }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short_id())
    }
}
