//! The authorization plugin: gates, and who asked for what.
//!
//! Most calls reach no point and are answered from method and target alone. The others are looked
//! at as the engine will look at them, and a gate is asked where a hook listens. What is let
//! through is remembered, because nothing in Docker's events says who asked for a change.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use docker_plugin_sdk::authorization::{
    Authorization, Decision, Request as PluginRequest, Response as PluginResponse,
};
use futures_util::FutureExt as _;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use tracing::{error, warn};

use super::api::{Operation, StartBody, is_same_signal, is_terminating, operation};
use super::body;
use super::looks::{Looks, Notice, Wants};
use crate::docker::Docker;
use crate::engine::Engine;
use crate::lifecycle::{
    Call, CallKind, EngineId, Facts, Observation, Point, Question, Request, Saw, Signal, Source, Subject,
    Turn, Verdict, Withheld,
};
use crate::run::NESTED_HEADER;

/// Answers Docker's questions about API calls.
pub struct Gatekeeper {
    engine: Engine,
    docker: Docker,
    looks: Looks,
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

impl Gatekeeper {
    /// A gatekeeper that asks `engine`.
    pub fn new(engine: Engine, docker: Docker, looks: Looks) -> Gatekeeper {
        Gatekeeper { engine, docker, looks }
    }

    async fn decide(&self, operation: &Operation, request: &PluginRequest<'_>) -> Verdict {
        let caller = self.caller(request);
        if let Caller::Boathook = caller {
            return Verdict::Allow;
        }
        if let Caller::Client = caller {
            let verdict = self.ask(operation, request).await;
            if verdict != Verdict::Allow {
                return verdict;
            }
        }
        self.hear(operation, &caller, Turn::Opened);
        Verdict::Allow
    }

    fn caller(&self, request: &PluginRequest<'_>) -> Caller {
        let Some(secret) = request.headers.get(NESTED_HEADER) else { return Caller::Client };
        if self.docker.is_ours(&secret) {
            return Caller::Boathook;
        }
        match self.engine.run_of(&secret) {
            Some(run) => {
                self.engine.note_nested(run, &request.method, &request.uri);
                Caller::Hook(secret.into_owned())
            }
            None => Caller::Client,
        }
    }

    /// Asks every gate that the operation has to pass.
    async fn ask(&self, operation: &Operation, request: &PluginRequest<'_>) -> Verdict {
        let points = self.engine.points();
        match operation {
            Operation::Create { name } if points.contains(Point::PreCreate) => {
                self.ask_creation(name.as_deref(), request).await
            }
            Operation::Start { body: StartBody::ReplacesHostConfig, .. }
                if points.contains(Point::PreCreate) && may_have_body(request) =>
            {
                Verdict::Deny {
                    message:
                        "this start would replace the container's HostConfig behind the back of the hooks \
                        at pre_create: use API version 1.24 or later"
                            .into(),
                }
            }
            Operation::Create { .. } => Verdict::Allow,
            Operation::Start { target, .. }
            | Operation::Stop { target }
            | Operation::Restart { target }
            | Operation::Kill { target, .. }
            | Operation::Remove { target, .. } => self.ask_about(target, operation, request).await,
        }
    }

    async fn ask_creation(&self, name: Option<&str>, request: &PluginRequest<'_>) -> Verdict {
        let engine = match self.docker.engine_id().await {
            Ok(engine) => engine,
            Err(error) => return self.undecided(Point::PreCreate, &error),
        };
        let body = creation_body(request);
        let facts = match &body {
            Ok(body) => body::facts_of_creation(name, body),
            Err(_) => Facts { name: name.map(str::to_owned), ..Facts::default() },
        };
        let at = Timestamp::now();
        let withheld = body.as_ref().err().copied();
        self.engine
            .ask(Question {
                point: Point::PreCreate,
                subject: Subject::creation(&engine, &at.as_nanosecond().to_string()),
                facts: Arc::new(facts),
                observation: None,
                request: Arc::new(asked(request, body.ok())),
                withheld,
                at,
            })
            .await
    }

    /// Asks the gates of an operation on a container that exists.
    async fn ask_about(&self, target: &str, operation: &Operation, request: &PluginRequest<'_>) -> Verdict {
        let points = self.engine.points();
        let gates = operation.gates();
        let listens = gates.iter().any(|it| points.contains(*it));
        // The last moment at which a container can be looked up is when it is about to go.
        let last_look = matches!(operation, Operation::Remove { .. })
            && (points.contains(Point::PostStop) || points.contains(Point::PostRemove));
        if !listens && !last_look {
            return Verdict::Allow;
        }
        let observation = match self.docker.inspect(target).await {
            Ok(Some(observation)) => observation,
            // The engine will say so itself.
            Ok(None) => return Verdict::Allow,
            Err(error) if listens => return self.undecided(gates[0], &error),
            Err(error) => {
                warn!(target, %error, "cannot look a container up before it is removed");
                return Verdict::Allow;
            }
        };
        let (engine, id) = match (self.docker.engine_id().await, &observation.facts.id) {
            (Ok(engine), Some(id)) => (engine, id),
            (Err(error), _) => return self.undecided(gates[0], &error),
            (_, None) => return Verdict::Allow,
        };
        let subject = Subject::container(&engine, id);
        // What was seen of it before this call is told before the gate is asked.
        self.looks.settle(&subject).await;
        let wanted = operation.gates_for(&observation, request).into_iter();
        let wanted: Vec<_> = wanted.filter(|(point, _)| points.contains(*point)).collect();
        if wanted.is_empty() {
            self.observed(subject, observation);
            return Verdict::Allow;
        }
        let request = Arc::new(asked(request, None));
        for (point, withheld) in wanted {
            let verdict = self
                .engine
                .ask(Question {
                    point,
                    subject: subject.clone(),
                    facts: Arc::default(),
                    observation: Some(Box::new(observation.clone())),
                    request: request.clone(),
                    withheld,
                    at: Timestamp::now(),
                })
                .await;
            if verdict != Verdict::Allow {
                return verdict;
            }
        }
        Verdict::Allow
    }

    fn undecided(&self, point: Point, error: &dyn std::error::Error) -> Verdict {
        self.engine.undecided(point, &format!("the container cannot be looked up: {error}"))
    }

    fn observed(&self, subject: Subject, observation: Observation) {
        let signal = Signal {
            subject,
            source: Source::Authorization,
            at: Timestamp::now(),
            saw: Saw::Changed,
            told: None,
            observation: Some(Box::new(observation)),
        };
        // Lost only when nothing is taken in any more; the events tell the rest then.
        let _ = self.looks.submit(Notice { signal, wants: Wants::Nothing });
    }

    /// Remembers that a call was let through or answered.
    fn hear(&self, operation: &Operation, caller: &Caller, turn: Turn) {
        let Some(engine) = self.docker.known_engine_id() else { return };
        let (kind, target) = match operation {
            Operation::Create { .. } => (CallKind::Create, ""),
            Operation::Start { target, .. } => (CallKind::Start, target.as_str()),
            Operation::Stop { target } => (CallKind::Stop, target.as_str()),
            Operation::Restart { target } => (CallKind::Restart, target.as_str()),
            Operation::Kill { target, .. } => (CallKind::Kill, target.as_str()),
            Operation::Remove { target, .. } => (CallKind::Remove, target.as_str()),
        };
        let nested = match caller {
            Caller::Hook(secret) => Some(secret.clone()),
            Caller::Boathook | Caller::Client => None,
        };
        let target = target.to_owned();
        self.engine.hear(Call { engine, kind, target, turn, nested, at: Timestamp::now() });
    }

    /// Takes note of how a call was answered.
    fn answered(&self, operation: &Operation, response: &PluginResponse<'_>) {
        let secret = response.request.headers.get(NESTED_HEADER);
        let caller = match secret {
            Some(secret) if self.docker.is_ours(&secret) => return,
            Some(secret) => Caller::Hook(secret.into_owned()),
            None => Caller::Client,
        };
        let created = created_id(operation, response);
        self.hear(operation, &caller, Turn::Closed { created: created.clone() });
        let at = Timestamp::now();
        match operation {
            Operation::Create { .. } => {
                if let (Some(engine), Some(id)) = (self.docker.known_engine_id(), created) {
                    self.created(&engine, &id, at);
                }
            }
            Operation::Stop { target } | Operation::Restart { target } | Operation::Kill { target, .. }
                if response.status == Some(204) && self.engine.points().contains(Point::PostStop) =>
            {
                self.looks.suspect(target, at);
            }
            _ => {}
        }
    }

    fn created(&self, engine: &EngineId, id: &str, at: Timestamp) {
        let subject = Subject::container(engine, id);
        let (source, saw) = (Source::Authorization, Saw::Created);
        let signal = Signal { subject, source, at, saw, told: None, observation: None };
        // Lost only when nothing is taken in any more; the event tells it as well.
        let _ = self.looks.submit(Notice { signal, wants: Wants::Look });
    }
}

impl Authorization for Gatekeeper {
    async fn request(&self, request: PluginRequest<'_>) -> Decision {
        let Some(operation) = operation(&request.method, &request.uri) else { return Decision::Allow };
        // A panic of ours is no reason to break Docker: `outage` covers it.
        let decided = AssertUnwindSafe(self.decide(&operation, &request)).catch_unwind().await;
        let verdict = decided.unwrap_or_else(|_| {
            self.engine.undecided(operation.gates()[0], "boathook panicked; this is a mistake in boathook")
        });
        match verdict {
            Verdict::Allow => Decision::Allow,
            Verdict::Deny { message } => Decision::Deny { message },
        }
    }

    async fn response(&self, response: PluginResponse<'_>) -> Decision {
        if let Some(operation) = operation(&response.request.method, &response.request.uri)
            && std::panic::catch_unwind(AssertUnwindSafe(|| self.answered(&operation, &response))).is_err()
        {
            error!("panicked on an answer of docker's; this is a mistake in boathook");
        }
        Decision::Allow
    }
}

impl Operation {
    /// The gates that the operation may have to pass, in order. Never empty.
    fn gates(&self) -> &'static [Point] {
        match self {
            Operation::Create { .. } => &[Point::PreCreate],
            Operation::Start { .. } => &[Point::PreStart],
            Operation::Restart { .. } => &[Point::PreStop, Point::PreStart],
            Operation::Stop { .. } | Operation::Kill { .. } => &[Point::PreStop],
            Operation::Remove { force: true, .. } => &[Point::PreStop, Point::PreRemove],
            Operation::Remove { force: false, .. } => &[Point::PreRemove],
        }
    }

    /// The gates that it has to pass with the container as it is, and why a gate cannot see the
    /// whole of the call. Starting what runs and stopping what is stopped asks nothing.
    fn gates_for(
        &self,
        container: &Observation,
        request: &PluginRequest<'_>,
    ) -> Vec<(Point, Option<Withheld>)> {
        let running = container.process.is_running();
        let applies = |point: Point| match (self, point) {
            (Operation::Kill { signal, .. }, _) => {
                let own = container.facts.stop_signal.as_deref();
                let stops = is_terminating(signal)
                    || own.is_some_and(|own| is_same_signal(own, signal))
                    || has_form_body(request);
                running && stops
            }
            (Operation::Restart { .. }, Point::PreStart) => true,
            (_, Point::PreStart) => !running,
            (_, Point::PreStop) => running,
            _ => true,
        };
        let withheld = has_form_body(request).then_some(Withheld::FormBody);
        self.gates().iter().copied().filter(|it| applies(*it)).map(|it| (it, withheld)).collect()
    }
}

fn asked(request: &PluginRequest<'_>, body: Option<Value>) -> Request {
    Request {
        method: request.method.clone().into_owned(),
        uri: request.uri.clone().into_owned(),
        user: Some(request.user.clone().into_owned()).filter(|it| !it.is_empty()),
        body,
    }
}

fn creation_body(request: &PluginRequest<'_>) -> Result<Value, Withheld> {
    if has_form_body(request) {
        return Err(Withheld::FormBody);
    }
    let body = request.body.as_ref().ok_or(Withheld::Absent)?;
    let bytes = body.decode().map_err(|_| Withheld::Unreadable)?;
    body::read(&bytes).map_err(|error| {
        warn!(%error, "a creation whose body cannot be read");
        Withheld::Unreadable
    })
}

/// Whether the parameters of a call may be hidden in a form, which takes precedence over the query
/// and is not shown to plugins.
fn has_form_body(request: &PluginRequest<'_>) -> bool {
    let Some(kind) = request.headers.get("Content-Type") else { return false };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    request.method == "POST" && kind == "application/x-www-form-urlencoded"
}

/// Whether there may be a body. One that is sent in chunks shows no length.
fn may_have_body(request: &PluginRequest<'_>) -> bool {
    request.body.is_some() || request.headers.get("Content-Length").as_deref() != Some("0")
}

/// The id of the container that was created.
fn created_id(operation: &Operation, response: &PluginResponse<'_>) -> Option<String> {
    #[derive(Deserialize)]
    struct Created {
        #[serde(rename = "Id")]
        id: String,
    }
    if !matches!(operation, Operation::Create { .. }) || response.status != Some(201) {
        return None;
    }
    let body = response.body.as_ref()?.decode().ok()?;
    serde_json::from_slice::<Created>(&body).ok().map(|it| it.id)
}
