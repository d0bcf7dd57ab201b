//! The few calls of the Docker Engine API that are made, over bollard.
//!
//! Connecting is lazy: dockerd may come up after us, and may be waiting for us. Every call has a
//! limit, because an engine that initialises accepts connections and answers none, and because an
//! inspect inside a driver call waits for a lock that the driver call holds.
//!
//! No API version is put in the path: each engine then speaks its newest, and only parts that all
//! of 20.10 to 29 have are read. (bollard drops the version from the path, whatever it is set to.)

mod endpoints;
mod exec;
mod lists;
mod networks_of;
mod networks_seen;
mod process;
mod translate;
mod volumes_used;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bollard::errors::Error as BollardError;
use bollard::models::EventMessage;
use bollard::query_parameters::{EventsOptions, InspectContainerOptions, StopContainerOptions};
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker as Client};
use futures_util::{Stream, StreamExt as _};
use hyper::header::{HeaderName, HeaderValue, USER_AGENT};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use hyperlocal::UnixConnector;
use jiff::Timestamp;
use tokio::time::timeout;

use crate::lifecycle::{EngineId, Observation};
use crate::run::NESTED_HEADER;
use translate::{instant, observation};

pub use endpoints::NetworkSeen;
pub use exec::{Attached, Exec, ExecState, Said};
pub use lists::{NetworkKnown, VolumeKnown};
pub use networks_seen::NetworkAddresses;
pub use process::EngineProcess;

/// The most that a look at a container may take. Docker's own command answers in milliseconds.
pub const LOOK_LIMIT: Duration = Duration::from_secs(2);

/// The most that a question about the engine itself may take.
const ENGINE_LIMIT: Duration = Duration::from_secs(5);

/// The most that stopping a container may take: the container's own stop timeout, which defaults
/// to 10 s, and then the kill.
const STOP_LIMIT: Duration = Duration::from_secs(120);

/// How many connections are kept for the next calls, and for how long.
const IDLE_MAX: usize = 8;
const IDLE_LIMIT: Duration = Duration::from_secs(30);

/// Why a call of the Docker API gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// The address is of no form that can be connected to.
    #[error("`{address}` is not `unix://` with an absolute path")]
    Address {
        /// As configured.
        address: String,
    },
    /// The engine cannot be reached, or answered with an error.
    #[error("call docker")]
    Call(#[source] Box<BollardError>),
    /// The engine did not answer in time.
    #[error("docker did not answer within {:?}", .limit)]
    Slow {
        /// How long it was waited for.
        limit: Duration,
    },
    /// No container can be called that.
    #[error("there is no container `{name}`")]
    NoSuchContainer {
        /// As it was written.
        name: String,
    },
    /// The answer lacks what every engine tells.
    #[error("docker's answer has no `{field}`")]
    Incomplete {
        /// What is missing.
        field: &'static str,
    },
}

impl From<BollardError> for DockerError {
    fn from(error: BollardError) -> DockerError {
        DockerError::Call(Box::new(error))
    }
}

/// One Docker Engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Docker {
    client: Client,
    identity: Arc<ArcSwapOption<EngineId>>,
    /// Whether it answers, as far as has been seen.
    answers: Arc<AtomicBool>,
    secret: Arc<str>,
    socket: Arc<Path>,
}

/// What an engine says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub id: EngineId,
    /// What its clock shows.
    pub now: Timestamp,
}

impl Docker {
    /// The engine at `address`, `unix:///path`. Nothing is connected yet.
    ///
    /// `secret` marks our own calls, which come back to us through authorization.
    ///
    /// # Errors
    ///
    /// When the address is of no known form.
    pub fn at(address: &str, secret: &str) -> Result<Docker, DockerError> {
        let mark = HeaderValue::from_str(secret).expect("a secret is printable");
        let name = HeaderName::from_bytes(NESTED_HEADER.as_bytes()).expect("a header's name");
        let path = address.strip_prefix("unix://").filter(|it| it.starts_with('/'));
        let path = path.ok_or_else(|| DockerError::Address { address: address.into() })?;
        // bollard's own connection to a Unix socket wants the socket to be there already, and makes a
        // new connection for each call.
        let connections = HttpClient::builder(TokioExecutor::new())
            .pool_max_idle_per_host(IDLE_MAX)
            .pool_idle_timeout(IDLE_LIMIT)
            .build(UnixConnector);
        let transport = move |request: BollardRequest| {
            let answer = connections.request(request);
            async { answer.await.map_err(BollardError::from) }
        };
        let socket = Path::new(path).into();
        let host: String = path.bytes().map(|byte| format!("{byte:02x}")).collect();
        let host = Some(format!("unix://{host}"));
        let client = Client::connect_with_custom_transport(
            transport,
            host,
            STOP_LIMIT.as_secs(),
            API_DEFAULT_VERSION,
        )?
        .with_request_modifier(move |mut request| {
            request.headers_mut().insert(name.clone(), mark.clone());
            request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("boathook"));
            request
        });
        let (identity, answers) = (Arc::default(), Arc::default());
        Ok(Docker { client, identity, answers, secret: secret.into(), socket })
    }

    /// Whether a call that shows `secret` is one of ours.
    pub fn is_ours(&self, secret: &str) -> bool {
        *self.secret == *secret
    }

    /// The id of the engine, as it was when it last answered; asks it if it never has.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn engine_id(&self) -> Result<EngineId, DockerError> {
        match self.known_engine_id() {
            Some(id) => Ok(id),
            None => Ok(self.identify().await?.id),
        }
    }

    /// The id of the engine if it has ever answered.
    pub fn known_engine_id(&self) -> Option<EngineId> {
        self.identity.load().as_deref().cloned()
    }

    /// Whether the engine answers, as far as has been seen. While it starts it does not, and waits for its
    /// plugins: then nobody must wait for it in their calls.
    pub fn answers(&self) -> bool {
        self.answers.load(Ordering::Relaxed)
    }

    /// Takes note that the engine has gone away.
    pub fn has_gone(&self) {
        self.answers.store(false, Ordering::Relaxed);
    }

    /// Asks the engine who it is: `GET /info`.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn identify(&self) -> Result<Identity, DockerError> {
        let info = within(ENGINE_LIMIT, self.client.info()).await?;
        let id = info.id.filter(|it| !it.is_empty()).ok_or(DockerError::Incomplete { field: "ID" })?;
        let id = EngineId::new(&id);
        self.identity.store(Some(Arc::new(id.clone())));
        self.answers.store(true, Ordering::Relaxed);
        let now = info.system_time.as_deref().and_then(instant);
        Ok(Identity { id, now: now.ok_or(DockerError::Incomplete { field: "SystemTime" })? })
    }

    /// Looks a container up by id, name or prefix of the id. `None`: there is none.
    ///
    /// Not inside a driver call for the same container: the engine holds its lock then.
    ///
    /// # Errors
    ///
    /// When the engine does not answer within [`LOOK_LIMIT`].
    pub async fn inspect(&self, target: &str) -> Result<Option<Observation>, DockerError> {
        self.inspect_within(LOOK_LIMIT, target).await
    }

    /// As [`Docker::inspect`], with another limit.
    ///
    /// # Errors
    ///
    /// When the engine does not answer within `limit`.
    pub async fn inspect_within(
        &self,
        limit: Duration,
        target: &str,
    ) -> Result<Option<Observation>, DockerError> {
        let Some(target) = encode(target) else { return Ok(None) };
        match within(limit, self.client.inspect_container(&target, None::<InspectContainerOptions>)).await {
            Ok(container) => observation(container).map(Some),
            Err(DockerError::Call(error)) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Stops a container as `docker stop` does.
    ///
    /// # Errors
    ///
    /// When the engine cannot, or does not answer.
    pub async fn stop(&self, id: &str) -> Result<(), DockerError> {
        within(STOP_LIMIT, self.client.stop_container(id, None::<StopContainerOptions>)).await
    }

    /// The events of these types and actions from `since` on. The past is what the engine's ring
    /// still holds. With an `until` that has passed the stream ends with it, else it has no end.
    ///
    /// There is always a filter by type: an event of a type that bollard does not know would end
    /// the stream.
    pub fn events(
        &self,
        since: Timestamp,
        until: Option<Timestamp>,
        wanted: &EventFilter,
    ) -> impl Stream<Item = Result<EventMessage, DockerError>> + Send + use<> {
        let list = |values: &[&str]| values.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        let filters = [("type", &wanted.types), ("event", &wanted.actions)];
        let filters = filters.into_iter().map(|(key, values)| (key.to_owned(), list(values))).collect();
        let (since, until) = (Some(seconds(since)), until.map(seconds));
        let options = EventsOptions { since, until, filters: Some(filters) };
        self.client.events(Some(options)).map(|it| it.map_err(DockerError::from))
    }
}

/// Which events are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFilter {
    /// `container`, `network`, …; not empty.
    pub types: Vec<&'static str>,
    /// Actions, of whatever type. With an exec or health action among them the engine takes all of
    /// them for prefixes.
    pub actions: Vec<&'static str>,
}

async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, BollardError>>,
) -> Result<T, DockerError> {
    match timeout(limit, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(DockerError::Slow { limit }),
    }
}

/// An instant as the engine takes it: seconds and nanoseconds.
fn seconds(instant: Timestamp) -> String {
    let nanos = instant.as_nanosecond();
    format!("{}.{:09}", nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000))
}

fn is_not_found(error: &BollardError) -> bool {
    matches!(error, BollardError::DockerResponseServerError { status_code: 404, .. })
}

/// `target` for a path. `None` if no container can be called that: the engine cleans such paths
/// up and redirects them, or answers 404.
fn encode(target: &str) -> Option<String> {
    let clean = !target.is_empty() && target.split('/').all(|part| !matches!(part, "" | "." | ".."));
    clean.then(|| {
        target.bytes().fold(String::with_capacity(target.len()), |mut path, byte| {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => {
                    path.push(byte as char);
                }
                other => path.push_str(&format!("%{other:02X}")),
            }
            path
        })
    })
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn only_what_can_be_a_containers_name_gets_into_a_path() {
        assert_eq!(encode("web-1").as_deref(), Some("web-1"));
        assert_eq!(encode("web/db").as_deref(), Some("web/db"));
        assert_eq!(encode("a?b#c d%").as_deref(), Some("a%3Fb%23c%20d%25"));
        for bad in ["", ".", "..", "a/../b", "/a", "a/"] {
            assert_eq!(encode(bad), None, "{bad}");
        }
    }
}
