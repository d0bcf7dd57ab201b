//! What signals mean, what a gate is asked, and what it answers.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Facts, Observation, Point, Subject, SubjectKind};

/// One subject has reached one point.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// The point that was reached.
    pub point: Point,
    /// What reached it.
    pub subject: Subject,
    /// The stretch of the subject's life from start to end that the event belongs to, counted
    /// from 1; 0 before the first start.
    pub passage: u32,
    /// When it was reached, by the engine's clock where the engine told it.
    pub at: Timestamp,
    /// Who brought it about.
    pub cause: Cause,
    /// Why the container ended; only where one has.
    pub reason: Option<Reason>,
    /// How the container ended; only where one has.
    pub exit: Option<Exit>,
    /// The container as last known.
    pub facts: Arc<Facts>,
    /// What the event is about besides its subject.
    pub detail: Option<Arc<Detail>>,
    /// The API call that a gate is about.
    pub request: Option<Arc<Request>>,
    /// The subject was made by a call that a hook made itself. Only hooks that ask for it see it.
    pub nested: bool,
}

/// What an event is about besides its subject.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Detail {
    /// The network that is made, removed, connected or disconnected.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "NetworkDetail")]
    pub network: Option<NetworkDetail>,
    /// The volume that is made, removed, mounted or unmounted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "VolumeDetail")]
    pub volume: Option<VolumeDetail>,
    /// The address that is given away, or free again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AddressDetail")]
    pub address: Option<AddressDetail>,
    /// The image that is pulled, built or removed: its reference, or its digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub image: Option<String>,
    /// The command that was started in the container, as the engine writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub command: Option<String>,
    /// The name that the container had before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub old_name: Option<String>,
    /// The clean-up that was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DebtDetail")]
    pub debt: Option<DebtDetail>,
}

/// A network, as far as an event tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Network")]
pub struct NetworkDetail {
    /// Its id; null before it exists.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its driver.
    pub driver: Option<String>,
}

/// A volume, as far as an event tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Volume")]
pub struct VolumeDetail {
    /// Its name; null if the engine is to make one up.
    pub name: Option<String>,
    /// Its driver.
    pub driver: Option<String>,
    /// Where it is mounted in the container.
    pub destination: Option<String>,
}

/// An address of a pool of boathook's, as far as an event tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Address")]
pub struct AddressDetail {
    /// The address, with the length of its prefix where that is told.
    pub ip: Option<String>,
    /// The id of the pool that it belongs to.
    pub pool: Option<String>,
    /// Whether it is that of a network's gateway; null when not known.
    pub gateway: Option<bool>,
    /// The hardware address of the endpoint that it is for, if Docker tells.
    pub mac: Option<String>,
}

/// A clean-up, as far as an event tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Debt")]
pub struct DebtDetail {
    /// The name of the hook whose clean-up it is, as it was when the set-up began.
    pub hook: String,
    /// The id of the run that cleaned up, or tried to.
    pub run: String,
}

/// Who brought an event about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A call of the Engine API.
    Api,
    /// The engine itself, as its event stream tells: the container's own end, a restart policy, a
    /// call that authorization did not see.
    Engine,
    /// A comparison of what is with what was known: nobody saw it happen.
    Reconcile,
    /// Somebody has asked for it by hand.
    Replay,
    /// A set-up whose container never came to run, or never came to be.
    Aborted,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Cause; 5] = [Cause::Api, Cause::Engine, Cause::Reconcile, Cause::Replay, Cause::Aborted];

    /// The name in environment and document.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::Api => "api",
            Cause::Engine => "engine",
            Cause::Reconcile => "reconcile",
            Cause::Replay => "replay",
            Cause::Aborted => "aborted",
        }
    }
}

/// Why a container ended, as far as it is known when the end is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The process ended by itself.
    Exit,
    /// The kernel killed it for want of memory.
    Oom,
    /// `docker stop` or `docker restart`.
    Stop,
    /// `docker kill`, `docker rm -f`, or a signal that the engine sent for another reason.
    Kill,
    /// The engine ended, and took the container along.
    Daemon,
    /// The end itself was not seen.
    Unknown,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 6] =
        [Reason::Exit, Reason::Oom, Reason::Stop, Reason::Kill, Reason::Daemon, Reason::Unknown];

    /// The name in configuration, environment and document.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Exit => "exit",
            Reason::Oom => "oom",
            Reason::Stop => "stop",
            Reason::Kill => "kill",
            Reason::Daemon => "daemon",
            Reason::Unknown => "unknown",
        }
    }
}

/// How a container's process ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The exit status as Docker reports it: 0 to 255, 128 + n for signal n. `None` when it could
    /// not be learned from a source that a label cannot overwrite.
    pub code: Option<i64>,
    /// When it ended, by the engine's clock.
    pub at: Option<Timestamp>,
}

/// The API call that a gate is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// `POST`, `DELETE`, …
    pub method: String,
    /// The request target as the client sent it: version prefix, query and encoding included.
    pub uri: String,
    /// What the engine goes by of that: the decoded path, without version prefix and query.
    pub path: String,
    /// The common name of the client certificate; absent on Unix sockets.
    pub user: Option<String>,
    /// The JSON body, if there was one and the engine showed it.
    pub body: Option<serde_json::Value>,
}

/// Why the body of a call could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// The engine did not show a body: too large, not `application/json`, or really empty.
    Absent,
    /// The body is not JSON, or not of the shape that the call takes.
    Unreadable,
    /// The parameters may be in a form body, which the engine obeys and does not show.
    FormBody,
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Withheld::Absent => {
                "docker did not show its body (1 MiB or more, not `application/json`, or empty)"
            }
            Withheld::Unreadable => "its body cannot be read as JSON of the kind the call takes",
            Withheld::FormBody => {
                "it has a form body, whose parameters docker obeys but does not show: send them in the query"
            }
        })
    }
}

/// What a gate is asked: may `subject` go past `point`?
#[derive(Clone, Debug)]
pub struct Question {
    /// The gate; [`Point::is_gate`] holds.
    pub point: Point,
    /// What wants to pass.
    pub subject: Subject,
    /// What the call tells of it; what is known of it already is not repeated.
    pub facts: Arc<Facts>,
    /// The container as it was looked up for this call, if it exists.
    pub observation: Option<Box<Observation>>,
    /// What it is about besides its subject.
    pub detail: Option<Arc<Detail>>,
    /// The call that asks; `None`: Docker has called one of our drivers.
    pub request: Option<Arc<Request>>,
    /// Why the call could not be read as a whole, if it could not.
    pub withheld: Option<Withheld>,
    /// [`Call::key`](super::Call::key) of the call, if it is one that a [`Call`](super::Call) will tell of.
    pub call: Option<u64>,
    /// When it was asked.
    pub at: Timestamp,
}

impl Question {
    /// The event that the gate is about, by what the question itself tells.
    pub fn event(&self) -> Event {
        Event {
            point: self.point,
            subject: self.subject.clone(),
            passage: u32::from(self.is_about_a_start()),
            at: self.at,
            cause: if self.is_of_driver() { Cause::Engine } else { Cause::Api },
            reason: None,
            exit: None,
            facts: self.facts.clone(),
            detail: self.detail.clone(),
            request: self.request.clone(),
            nested: false,
        }
    }

    /// Whether it is asked for the passage that is about to begin.
    pub fn is_about_a_start(&self) -> bool {
        match self.point {
            Point::PreStart | Point::NetReady => true,
            Point::VolumeMount => self.is_of_driver(),
            _ => false,
        }
    }

    /// Whether Docker has called one of our drivers: it holds the container's lock until that has answered.
    pub fn is_of_driver(&self) -> bool {
        self.request.is_none()
    }

    /// Whether something may be known of the subject that the question itself does not tell: only containers
    /// that exist are followed.
    pub fn has_past(&self) -> bool {
        self.subject.kind == SubjectKind::Container
    }
}

/// The answer of a gate, the only thing that travels back to Docker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The call may go on.
    Allow,
    /// The call is refused.
    Deny {
        /// What the docker user reads: printable, bounded, never with the environment in it.
        message: String,
    },
}
