//! The authorization plugin: gates, and who asked for what.
//!
//! Most calls concern nobody and are answered from method and target alone. The others are looked
//! at as the engine will look at them, and a gate is asked where a hook listens. What is let
//! through is remembered where it explains what hooks are told, because nothing in Docker's events
//! says who asked for a change.

use std::hash::Hasher as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use docker_plugin_sdk::authorization::{
    Authorization, Decision, Request as PluginRequest, Response as PluginResponse,
};
use futures_util::FutureExt as _;
use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use siphasher::sip::SipHasher13;
use tracing::{error, warn};

use super::api::{Operation, What, operation, plain_path, what};
use super::body;
use super::concerns::{ANSWERED_ANYWHERE, ASKED_ANYWHERE, answered_at, asked_at};
use super::drivers::Held;
use super::gates::{body_bytes, hidden_parameters, json_body};
use super::locks::{Locks, locks};
use super::looks::{Looks, Notice, Wants};
use super::mounts::taken_over;
use super::starts::Starts;
use crate::docker::{Docker, DockerError, LOOK_LIMIT, NetworkKnown, VolumeKnown};
use crate::driver::ipam::Ipam;
use crate::engine::Engine;
use crate::lifecycle::{
    Call, CallKind, Detail, EngineId, Facts, Mount, NetworkAttachment, NetworkDetail, Observation, Point,
    PointSet, Question, Request, Saw, Signal, Source, Subject, SubjectKind, Turn, Verdict, VolumeDetail,
    Withheld,
};
use crate::run::NESTED_HEADER;

/// How many containers a creation may take the mounts over from (`--volumes-from`) and still be read:
/// each has to be looked up while the client waits.
const TAKEN_OVER_MAX: usize = 16;

/// The longest that a gate waits for a look. An engine that takes longer is stuck.
const GATE_LOOK_MAX: Duration = Duration::from_secs(10);

/// How much of either end of a body tells a creation from others, in characters of base64. Reading
/// large ones to the last would take longer than all that is done with most.
const KEYED_MAX: usize = 1024;

/// The points at which Docker holds the lock of the container that waits for a hook, or can hold it.
const AT_DRIVERS: [Point; 4] = [Point::PreStart, Point::NetReady, Point::VolumeMount, Point::AddressRequest];

/// What a hook reads whose call is about the container that waits for it.
const STARTS: &str = "this container is being started, and docker waits for the hook that calls it: what is known \
    of it is in the hook's document";

/// What a hook at `address.request` reads whose call is about a container that does not run.
const MAY_START: &str = "docker waits for the hook that calls it with an address for a container, does not say \
    for which, and this one may be it";

/// What a hook reads whose call is about all containers, one of which waits for it.
const EVERYBODY_WAITS: &str =
    "one of these containers is being started, and docker waits for the hook that calls it";

/// Answers Docker's questions about API calls.
pub struct Gatekeeper {
    engine: Engine,
    docker: Docker,
    looks: Looks,
    starts: Starts,
    held: Held,
}

/// Who makes a call.
enum Caller {
    /// We ourselves: looks, the event stream.
    Boathook,
    /// A process of a hook that runs, known by its secret.
    Hook(String),
    /// Anyone else.
    Client,
}

/// Something that wants to pass a gate.
struct Passenger {
    subject: Subject,
    /// What its call is told by when it is answered, if it is to be.
    call: Option<u64>,
    facts: Facts,
    observation: Option<Box<Observation>>,
    detail: Detail,
    withheld: Option<Withheld>,
}

impl Gatekeeper {
    /// A gatekeeper that asks `engine`, and lets through one at a time who asks `ipam` for addresses.
    ///
    /// What `held` has is refused to hooks: they would wait for themselves.
    pub fn new(engine: Engine, docker: Docker, looks: Looks, ipam: Option<Ipam>, held: Held) -> Gatekeeper {
        let starts = Starts::new(docker.clone(), ipam);
        Gatekeeper { engine, docker, looks, starts, held }
    }

    async fn decide(&self, operation: Option<&Operation<'_>>, request: &PluginRequest<'_>) -> Verdict {
        let caller = self.caller(request);
        if let Caller::Boathook = caller {
            return Verdict::Allow;
        }
        if let Caller::Hook(secret) = &caller
            && let Some(message) = self.would_wait(secret, request).await
        {
            return Verdict::Deny { message: message.into() };
        }
        if let Caller::Client = caller {
            let verdict = self.ask(operation, request).await;
            if verdict != Verdict::Allow {
                return verdict;
            }
        }
        if let Some(operation) = operation {
            self.hear(operation, request, &caller, Turn::Opened);
        }
        Verdict::Allow
    }

    fn caller(&self, request: &PluginRequest<'_>) -> Caller {
        let Some(secret) = request.headers.get(NESTED_HEADER) else { return Caller::Client };
        if self.docker.is_ours(secret) {
            return Caller::Boathook;
        }
        match self.engine.run_of(secret) {
            Some(run) => {
                self.engine.note_nested(run, &request.method, &request.uri);
                Caller::Hook(secret.to_owned())
            }
            None => Caller::Client,
        }
    }

    /// Why a hook must not make a call: it would wait for itself.
    async fn would_wait(&self, secret: &str, request: &PluginRequest<'_>) -> Option<&'static str> {
        if !self.held.is_anybody() {
            return None;
        }
        let locks = locks(request);
        // Who is not waited for by a driver's call waits for others, who do not wait for him.
        let point = self.engine.point_of(secret).filter(|it| AT_DRIVERS.contains(it));
        match &locks {
            Locks::Everybody => point.map(|_| EVERYBODY_WAITS),
            _ if self.held.blocks(&locks) => Some(STARTS),
            Locks::One(target) if point == Some(Point::AddressRequest) && !self.is_up(target).await => {
                Some(MAY_START)
            }
            _ => None,
        }
    }

    /// Whether a container is known to have started long since.
    async fn is_up(&self, target: &str) -> bool {
        self.docker.is_up(target).await.unwrap_or_else(|error| {
            warn!(target, %error, "not known whether a container that a hook calls runs");
            false
        })
    }

    /// Asks every gate that the call has to pass.
    async fn ask(&self, operation: Option<&Operation<'_>>, request: &PluginRequest<'_>) -> Verdict {
        let points = self.engine.points();
        if points.contains(Point::Api) {
            let verdict = self.ask_call(request).await;
            if verdict != Verdict::Allow {
                return verdict;
            }
        }
        let Some(operation) = operation else { return Verdict::Allow };
        if points.contains(Point::PreCreate) && operation.replaces_host_config(request) {
            return Verdict::Deny {
                message:
                    "this start would replace the container's HostConfig behind the back of the hooks at \
                    pre_create: use API version 1.24 or later"
                        .into(),
            };
        }
        let asked = match operation.what {
            What::ContainerStart
            | What::ContainerStop
            | What::ContainerRestart
            | What::ContainerKill
            | What::ContainerRemove => self.ask_about(operation, request).await,
            What::ContainerPrune if points.contains(Point::PreRemove) => {
                self.ask_container_prune(operation, request).await
            }
            _ if points.contains_any(operation.gates()) => self.ask_thing(operation, request).await,
            _ => return Verdict::Allow,
        };
        match (asked, operation.gates().first()) {
            (Ok(verdict), _) => verdict,
            (Err(error), Some(point)) => self.engine.undecided(*point, &in_words(&error)),
            (Err(_), None) => Verdict::Allow,
        }
    }

    /// Asks the general gate.
    async fn ask_call(&self, request: &PluginRequest<'_>) -> Verdict {
        let engine = match self.docker.engine_id().await {
            Ok(engine) => engine,
            Err(error) => return self.engine.undecided(Point::Api, &in_words(&error)),
        };
        let subject = made_up(&engine, SubjectKind::Call);
        self.pass(Point::Api, Passenger::new(subject), &asked(request, json_body(request).ok())).await
    }

    /// Asks the gates of an operation on a container that exists.
    async fn ask_about(
        &self,
        operation: &Operation<'_>,
        request: &PluginRequest<'_>,
    ) -> Result<Verdict, DockerError> {
        let points = self.engine.points();
        let listens = points.contains_any(operation.gates());
        // The last moment at which a container can be looked up is when it is about to go.
        let last_look = operation.what == What::ContainerRemove
            && !operation.gates().is_empty()
            && points.contains_any(&[Point::PostStop, Point::PostRemove]);
        let Some(target) = operation.target.as_deref().filter(|_| listens || last_look) else {
            return Ok(Verdict::Allow);
        };
        // A gate would rather wait for a busy engine than leave the decision to `outage`.
        let limit = if listens { self.gate_look_limit() } else { LOOK_LIMIT };
        let observation = match self.docker.inspect_within(limit, target).await {
            Ok(Some(observation)) => observation,
            // The engine will say so itself.
            Ok(None) => return Ok(Verdict::Allow),
            Err(error) if listens => return Err(error),
            Err(error) => {
                warn!(target, %error, "cannot look a container up before it is removed");
                return Ok(Verdict::Allow);
            }
        };
        let subject = self.subject_of(&observation).await?;
        // What was seen of it before this call is told before the gate is asked.
        self.looks.settle(&subject).await;
        let withheld = hidden_parameters(request);
        let mut gates = operation.gates_with(&observation, withheld);
        gates.retain(|it| points.contains(*it));
        if gates.is_empty() {
            self.observed(subject, observation);
            return Ok(Verdict::Allow);
        }
        let request = asked(request, None);
        for point in gates {
            let passenger = Passenger {
                observation: Some(Box::new(observation.clone())),
                withheld,
                ..Passenger::new(subject.clone())
            };
            let verdict = self.pass(point, passenger, &request).await;
            if verdict != Verdict::Allow {
                return Ok(verdict);
            }
        }
        Ok(Verdict::Allow)
    }

    /// How long a gate waits for a look at what it is about.
    fn gate_look_limit(&self) -> Duration {
        (self.engine.gate_deadline() / 2).min(GATE_LOOK_MAX)
    }

    async fn subject_of(&self, observation: &Observation) -> Result<Subject, DockerError> {
        let id = observation.facts.id.as_deref().ok_or(DockerError::Incomplete { field: "Id" })?;
        Ok(Subject::container(&self.docker.engine_id().await?, id))
    }

    /// Asks for each container that a prune may take; one denial denies the call.
    async fn ask_container_prune(
        &self,
        operation: &Operation<'_>,
        request: &PluginRequest<'_>,
    ) -> Result<Verdict, DockerError> {
        let filters = operation.query.first("filters").unwrap_or_default();
        let withheld = hidden_parameters(request);
        let asked = asked(request, None);
        for id in self.docker.prunable_containers(&filters).await? {
            let Some(observation) = self.docker.inspect_within(self.gate_look_limit(), &id).await? else {
                continue;
            };
            let subject = self.subject_of(&observation).await?;
            self.looks.settle(&subject).await;
            let observation = Some(Box::new(observation));
            let passenger = Passenger { observation, withheld, ..Passenger::new(subject) };
            let verdict = self.pass(Point::PreRemove, passenger, &asked).await;
            if verdict != Verdict::Allow {
                return Ok(verdict);
            }
        }
        Ok(Verdict::Allow)
    }

    /// Asks the gate of an operation on something else, or on a container that is to be.
    async fn ask_thing(
        &self,
        operation: &Operation<'_>,
        request: &PluginRequest<'_>,
    ) -> Result<Verdict, DockerError> {
        let Some(&point) = operation.gates().first() else { return Ok(Verdict::Allow) };
        let engine = self.docker.engine_id().await?;
        if operation.what == What::ContainerCreate && self.nobody_means(&engine, operation, request) {
            return Ok(Verdict::Allow);
        }
        let body = json_body(request);
        let passengers = self.passengers(&engine, operation, &body).await?;
        let asked = asked(request, body.ok());
        let call = (operation.what == What::ContainerCreate).then(|| key(operation, request));
        for mut passenger in passengers {
            passenger.call = call;
            passenger.withheld = passenger.withheld.or_else(|| hidden_parameters(request));
            let verdict = self.pass(point, passenger, &asked).await;
            if verdict != Verdict::Allow {
                return Ok(verdict);
            }
        }
        Ok(Verdict::Allow)
    }

    /// Whether a creation passes by its name, or else by what decides of its body. If not, all of it is read.
    fn nobody_means(
        &self,
        engine: &EngineId,
        operation: &Operation<'_>,
        request: &PluginRequest<'_>,
    ) -> bool {
        if hidden_parameters(request).is_some() {
            return false;
        }
        let name = operation.created_name();
        let facts = Facts { name: name.clone(), ..Facts::default() };
        let creation = Passenger { facts, ..Passenger::new(made_up(engine, SubjectKind::Creation)) };
        let mut question = creation.question(Point::PreCreate, &asked(request, None));
        let sieve = self.engine.sieve(&question);
        if sieve.is_empty() {
            return true;
        }
        let Ok(Ok(sketch)) = body_bytes(request).map(|it| body::sketch(&it)) else { return false };
        // The mounts of other containers have to be looked up.
        if !taken_over(&sketch).is_empty() {
            return false;
        }
        question.facts = Arc::new(body::facts_of_creation(name.as_deref(), &sketch));
        sieve.sift(&question).is_empty()
    }

    /// What an operation is about. Nothing, if it does not exist: the engine will say so itself.
    async fn passengers(
        &self,
        engine: &EngineId,
        operation: &Operation<'_>,
        body: &Result<Value, Withheld>,
    ) -> Result<Vec<Passenger>, DockerError> {
        let target = operation.target.as_deref().unwrap_or_default();
        let filters = operation.query.first("filters").unwrap_or_default();
        Ok(match operation.what {
            What::ContainerCreate => {
                let mut creation = Passenger::creation(engine, operation.created_name().as_deref(), body);
                if let Ok(body) = body {
                    self.take_over(&taken_over(body), &mut creation).await?;
                }
                vec![creation]
            }
            What::NetworkCreate => vec![Passenger::new_network(engine, body)],
            What::VolumeCreate => vec![Passenger::new_volume(engine, body)],
            What::NetworkRemove => {
                let found = self.docker.network(target).await?;
                found.into_iter().map(|it| Passenger::network(engine, it)).collect()
            }
            What::NetworkPrune => {
                let found = self.docker.prunable_networks(&filters).await?;
                found.into_iter().map(|it| Passenger::network(engine, it)).collect()
            }
            What::VolumeRemove => {
                let found = self.docker.volume(target).await?;
                found.into_iter().map(|it| Passenger::volume(engine, it)).collect()
            }
            What::VolumePrune => {
                let found = self.docker.prunable_volumes(&filters).await?;
                found.into_iter().map(|it| Passenger::volume(engine, it)).collect()
            }
            _ => vec![Passenger::image(engine, operation.image())],
        })
    }

    /// Adds the mounts of the containers `from` to what a creation asks for.
    async fn take_over(&self, from: &[String], creation: &mut Passenger) -> Result<(), DockerError> {
        if from.len() > TAKEN_OVER_MAX {
            warn!(containers = from.len(), "a creation that takes over the mounts of too many containers");
            creation.withheld = Some(Withheld::Unreadable);
            return Ok(());
        }
        // One that does not exist makes the engine refuse the creation itself.
        let found = try_join_all(from.iter().map(|it| self.docker.inspect(it))).await?;
        let theirs = found.into_iter().flatten().flat_map(|it| it.facts.mounts.unwrap_or_default());
        // What is not known does not become known by this.
        if let Some(mounts) = &mut creation.facts.mounts {
            mounts.extend(theirs);
        }
        Ok(())
    }

    async fn pass(&self, point: Point, passenger: Passenger, request: &Arc<Request>) -> Verdict {
        self.engine.ask(passenger.question(point, request)).await
    }

    fn observed(&self, subject: Subject, observation: Observation) {
        let mut signal = signal(subject, Saw::Changed, Timestamp::now());
        signal.observation = Some(Box::new(observation));
        // Lost only when nothing is taken in any more; the events tell the rest then.
        let _ = self.looks.submit(Notice { signal, wants: Wants::Nothing });
    }

    /// Whether anybody wants to hear of a call before the engine acts on it.
    fn concerns_anybody(&self, request: &PluginRequest<'_>) -> bool {
        let points = self.engine.points();
        let of_hook = request.headers.get(NESTED_HEADER).is_some();
        if points.contains(Point::Api)
            || (of_hook && self.held.is_anybody() && locks(request) != Locks::Nobody)
        {
            return true;
        }
        // Nothing that reads reaches any other point, nor does what the engine does not know.
        if matches!(&*request.method, "GET" | "HEAD" | "OPTIONS") {
            return false;
        }
        // What hooks do themselves is always told.
        if !of_hook && !points.meets(ASKED_ANYWHERE) {
            return false;
        }
        what(&request.method, &request.uri).is_some_and(|it| of_hook || asked_at(it).meets(points))
    }

    /// Whether anybody wants to hear of the answer to a call.
    fn answer_concerns_anybody(&self, request: &PluginRequest<'_>) -> bool {
        if request.method == "GET" {
            return false;
        }
        // That a hook made a container has to be known even before anybody listens to that.
        let (points, of_hook) = (self.engine.points(), request.headers.get(NESTED_HEADER).is_some());
        if !of_hook && !points.meets(ANSWERED_ANYWHERE) {
            return false;
        }
        let at = what(&request.method, &request.uri).map_or(PointSet::EMPTY, answered_at);
        !at.is_empty() && (of_hook || at.meets(points))
    }

    /// Remembers that a call was let through or answered.
    fn hear(&self, operation: &Operation<'_>, request: &PluginRequest<'_>, caller: &Caller, turn: Turn) {
        if !matches!(caller, Caller::Hook(_)) && !self.engine.points().meets(answered_at(operation.what)) {
            return;
        }
        let (Some(kind), Some(engine)) = (call_kind(operation.what), self.docker.known_engine_id()) else {
            return;
        };
        let nested = match caller {
            Caller::Hook(secret) => Some(secret.clone()),
            Caller::Boathook | Caller::Client => None,
        };
        let target = operation.target.clone().unwrap_or_default();
        let key = key(operation, request);
        self.engine.hear(Call { engine, kind, target, turn, key, nested, at: Timestamp::now() });
    }

    /// Takes note of how a call was answered.
    fn answered(&self, operation: &Operation<'_>, response: &PluginResponse<'_>) {
        let caller = match response.request.headers.get(NESTED_HEADER) {
            Some(secret) if self.docker.is_ours(secret) => return,
            Some(secret) => Caller::Hook(secret.to_owned()),
            None => Caller::Client,
        };
        let created = created_id(operation, response);
        let turn = Turn::Closed { created: created.clone() };
        self.hear(operation, &response.request, &caller, turn);
        let (at, points) = (Timestamp::now(), self.engine.points());
        match (operation.what, &operation.target) {
            (What::ContainerCreate, _) => {
                if let (Some(engine), Some(id)) = (self.docker.known_engine_id(), created) {
                    let signal = signal(Subject::container(&engine, &id), Saw::Created, at);
                    // Lost only when nothing is taken in any more; the event tells it as well.
                    let _ = self.looks.submit(Notice { signal, wants: Wants::Look });
                }
            }
            // What was set up for a start has to go if the start did not come about.
            (What::ContainerStart | What::ContainerRestart, Some(target))
                if points.contains_any(&[Point::PreStart, Point::NetReady, Point::VolumeMount]) =>
            {
                let kind = call_kind(operation.what).expect("a start is a call that is remembered");
                self.looks.suspect(target, Saw::Answered(kind), at);
            }
            (What::ContainerStop | What::ContainerRestart | What::ContainerKill, Some(target))
                if response.status == Some(204) && points.contains(Point::PostStop) =>
            {
                self.looks.suspect(target, Saw::Changed, at);
            }
            _ => {}
        }
    }
}

impl Authorization for Gatekeeper {
    async fn request(&self, request: PluginRequest<'_>) -> Decision {
        // Most calls are answered here.
        if !self.concerns_anybody(&request) {
            self.starts.wait(&request).await;
            return Decision::Allow;
        }
        let operation = operation(&request.method, &request.uri);
        // A panic of ours is no reason to break Docker: `outage` covers it.
        let decided = AssertUnwindSafe(self.decide(operation.as_ref(), &request)).catch_unwind().await;
        let verdict = decided.unwrap_or_else(|_| {
            let gate = operation.as_ref().and_then(|it| it.gates().first()).copied().unwrap_or(Point::Api);
            self.engine.undecided(gate, "boathook panicked; this is a mistake in boathook")
        });
        match verdict {
            Verdict::Allow => {
                self.starts.wait(&request).await;
                Decision::Allow
            }
            Verdict::Deny { message } => Decision::Deny { message },
        }
    }

    async fn response(&self, response: PluginResponse<'_>) -> Decision {
        self.starts.answered(&response.request);
        if self.answer_concerns_anybody(&response.request)
            && let Some(operation) = operation(&response.request.method, &response.request.uri)
            && catch_unwind(AssertUnwindSafe(|| self.answered(&operation, &response))).is_err()
        {
            error!("panicked on an answer of docker's; this is a mistake in boathook");
        }
        Decision::Allow
    }
}

impl Passenger {
    fn new(subject: Subject) -> Passenger {
        let (facts, detail) = (Facts::default(), Detail::default());
        Passenger { subject, call: None, facts, observation: None, detail, withheld: None }
    }

    fn question(self, point: Point, request: &Arc<Request>) -> Question {
        let Passenger { subject, call, facts, observation, detail, withheld } = self;
        Question {
            point,
            subject,
            facts: Arc::new(facts),
            observation,
            detail: (detail != Detail::default()).then(|| Arc::new(detail)),
            request: Some(request.clone()),
            withheld,
            call,
            at: Timestamp::now(),
        }
    }

    fn creation(engine: &EngineId, name: Option<&str>, body: &Result<Value, Withheld>) -> Passenger {
        let facts = match body {
            Ok(body) => body::facts_of_creation(name, body),
            Err(_) => Facts { name: name.map(str::to_owned), ..Facts::default() },
        };
        let withheld = body.as_ref().err().copied();
        Passenger { facts, withheld, ..Passenger::new(made_up(engine, SubjectKind::Creation)) }
    }

    fn new_network(engine: &EngineId, body: &Result<Value, Withheld>) -> Passenger {
        let new = body.as_ref().ok().map(body::NewThing::read).unwrap_or_default();
        let subject = Subject::new(engine, SubjectKind::Network, new.name.as_deref().unwrap_or_default());
        let attachment =
            new.name.clone().map(|name| NetworkAttachment { name, ..NetworkAttachment::default() });
        Passenger {
            facts: Facts {
                name: new.name.clone(),
                labels: new.labels,
                networks: attachment.map(|it| vec![it]),
                ..Facts::default()
            },
            detail: Detail {
                network: Some(NetworkDetail { id: None, name: new.name, driver: new.driver }),
                ..Detail::default()
            },
            withheld: body.as_ref().err().copied(),
            ..Passenger::new(subject)
        }
    }

    fn new_volume(engine: &EngineId, body: &Result<Value, Withheld>) -> Passenger {
        let new = body.as_ref().ok().map(body::NewThing::read).unwrap_or_default();
        let subject = match &new.name {
            Some(name) => Subject::new(engine, SubjectKind::Volume, name),
            None => made_up(engine, SubjectKind::Volume),
        };
        let mount = |name: String| Mount { kind: "volume".into(), name: Some(name), ..Mount::default() };
        Passenger {
            facts: Facts {
                name: new.name.clone(),
                labels: new.labels,
                mounts: new.name.clone().map(|name| vec![mount(name)]),
                ..Facts::default()
            },
            detail: Detail {
                volume: Some(VolumeDetail { name: new.name, driver: new.driver, destination: None }),
                ..Detail::default()
            },
            withheld: body.as_ref().err().copied(),
            ..Passenger::new(subject)
        }
    }

    fn network(engine: &EngineId, known: NetworkKnown) -> Passenger {
        let id = known.detail.id.clone().unwrap_or_default();
        Passenger {
            facts: known.facts,
            detail: Detail { network: Some(known.detail), ..Detail::default() },
            ..Passenger::new(Subject::new(engine, SubjectKind::Network, &id))
        }
    }

    fn volume(engine: &EngineId, known: VolumeKnown) -> Passenger {
        let name = known.detail.name.clone().unwrap_or_default();
        Passenger {
            facts: known.facts,
            detail: Detail { volume: Some(known.detail), ..Detail::default() },
            ..Passenger::new(Subject::new(engine, SubjectKind::Volume, &name))
        }
    }

    fn image(engine: &EngineId, image: Option<String>) -> Passenger {
        let subject = match &image {
            Some(image) => Subject::new(engine, SubjectKind::Image, image),
            None => made_up(engine, SubjectKind::Image),
        };
        Passenger {
            facts: Facts { image: image.clone(), name: image.clone(), ..Facts::default() },
            detail: Detail { image, ..Detail::default() },
            ..Passenger::new(subject)
        }
    }
}

/// A subject that has no id of its own yet.
fn made_up(engine: &EngineId, kind: SubjectKind) -> Subject {
    Subject::new(engine, kind, &format!("{}-{:08x}", Timestamp::now().as_nanosecond(), fastrand::u32(..)))
}

fn signal(subject: Subject, saw: Saw, at: Timestamp) -> Signal {
    Signal::new(subject, Source::Authorization, at, saw)
}

fn asked(request: &PluginRequest<'_>, body: Option<Value>) -> Arc<Request> {
    Arc::new(Request {
        method: request.method.clone().into_owned(),
        uri: request.uri.clone().into_owned(),
        path: plain_path(&request.uri),
        user: Some(request.user.clone().into_owned()).filter(|it| !it.is_empty()),
        body,
    })
}

/// What a creation says, as a number: the same when it is asked about and when it is answered. 0 for
/// other calls, whose container says which they are.
fn key(operation: &Operation<'_>, request: &PluginRequest<'_>) -> u64 {
    if operation.what != What::ContainerCreate {
        return 0;
    }
    let body = request.body.as_ref().map_or("", |it| it.as_base64()).as_bytes();
    let ends = [&body[..body.len().min(KEYED_MAX)], &body[body.len().saturating_sub(KEYED_MAX)..]];
    let mut hasher = SipHasher13::new();
    hasher.write_usize(body.len());
    for part in [request.method.as_bytes(), request.uri.as_bytes(), ends[0], ends[1]] {
        hasher.write(part);
        // No text holds it.
        hasher.write_u8(0xff);
    }
    hasher.finish()
}

fn in_words(error: &DockerError) -> String {
    format!("what the call is about cannot be looked up: {error}")
}

pub(super) fn call_kind(what: What) -> Option<CallKind> {
    Some(match what {
        What::ContainerCreate => CallKind::Create,
        What::ContainerStart => CallKind::Start,
        What::ContainerStop => CallKind::Stop,
        What::ContainerRestart => CallKind::Restart,
        What::ContainerKill => CallKind::Kill,
        What::ContainerRemove => CallKind::Remove,
        _ => return None,
    })
}

/// The id of the container that was created.
fn created_id(operation: &Operation<'_>, response: &PluginResponse<'_>) -> Option<String> {
    #[derive(Deserialize)]
    struct Created {
        #[serde(rename = "Id")]
        id: String,
    }
    if operation.what != What::ContainerCreate || response.status != Some(201) {
        return None;
    }
    let body = response.body.as_ref()?.decode().ok()?;
    serde_json::from_slice::<Created>(&body).ok().map(|it| it.id)
}
