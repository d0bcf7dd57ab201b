//! What a script is told: version 1 of the contract.
//!
//! Nothing of the container ever becomes part of a command line. The environment holds the values
//! that a shell script can use as they are; the document on standard input holds everything.
//! What is not known is not set.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::Settings;
use super::files::AttemptFiles;
use super::secrets::header_line;
use crate::hook::Action;
use crate::launch::Person;
use crate::lifecycle::{Cause, Detail, Event, Facts, Mount, NetworkAttachment, Reason, SubjectKind};
use crate::run::{NESTED_HEADER, Phase, Run};

/// The version of the contract: environment, document, reply, exit status.
pub const CONTRACT: u32 = 1;

/// `PATH` for scripts, and where a program written without a slash is looked for.
pub const HOST_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The longest value that goes into the environment, in bytes. The kernel refuses to start a
/// program with a variable of 128 KiB or more (`MAX_ARG_STRLEN`): a container must not be able to
/// keep its own clean-up from running by an enormous label.
const VARIABLE_BYTES_MAX: usize = 32 * 1024;

/// One attempt, as far as the script is told of it.
pub(super) struct Attempt<'a> {
    pub(super) run: &'a Run,
    pub(super) number: u32,
    pub(super) deadline: Timestamp,
    pub(super) settings: &'a Settings,
    /// The user it runs as, if that is not boathook's own.
    pub(super) person: Option<&'a Person>,
    pub(super) secret: &'a str,
}

impl Attempt<'_> {
    /// The home of the user that the script runs as.
    pub(super) fn home(&self) -> &Path {
        self.person.map_or(Path::new(&self.settings.home), |it| &it.home)
    }
}

/// The JSON document on standard input, version 1.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Document<'a> {
    /// The version of the contract: 1.
    contract: u32,
    /// The id of the run, the same over all its attempts.
    run: &'a str,
    /// Which attempt this is, from 1.
    attempt: u32,
    /// The name of the hook.
    hook: &'a str,
    /// The point that was reached.
    point: &'a str,
    /// Which half of the hook this is.
    phase: Phase,
    /// Who brought the event about.
    cause: Cause,
    /// Why the container ended, where it has.
    reason: Option<Reason>,
    /// When the point was reached, RFC 3339.
    at: String,
    /// When this attempt is ended, RFC 3339.
    deadline: String,
    /// The name of the Docker host.
    host: &'a str,
    /// The engine's id, as `docker info` shows it.
    engine: String,
    /// The stretch of the container's life from start to end that this belongs to, from 1; 0
    /// before the first start.
    passage: u32,
    /// What the event happened to; null for a run that answers several events.
    subject: Option<SubjectDocument<'a>>,
    /// The container as last known; null where the event is about something else.
    container: Option<ContainerDocument<'a>>,
    /// The networks that the container is, or was last, attached to; null when not known.
    networks: Option<&'a [NetworkAttachment]>,
    /// Its mounts; null when not known.
    mounts: Option<&'a [Mount]>,
    /// Its labels; null when not known.
    labels: Option<&'a BTreeMap<String, String>>,
    /// How it ended, where it has.
    exit: Option<ExitDocument>,
    /// What the event is about besides its subject: the network that is connected, say.
    #[serde(flatten)]
    detail: Detail,
    /// The API call that a gate is about.
    request: Option<RequestDocument<'a>>,
    /// The events that a debounced run answers together, oldest first; absent for other runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<EventDocument<'a>>>,
    /// How many more events there were than `events` holds; absent without `events`.
    #[serde(skip_serializing_if = "Option::is_none")]
    more_events: Option<usize>,
}

/// One of the events that a debounced run answers together.
#[derive(Debug, Serialize, JsonSchema)]
struct EventDocument<'a> {
    /// The point that was reached.
    point: &'a str,
    /// Who brought it about.
    cause: Cause,
    /// Why the container ended, where it has.
    reason: Option<Reason>,
    /// When the point was reached, RFC 3339.
    at: String,
    /// What it happened to.
    subject: SubjectDocument<'a>,
    /// The container as it was known then; null where the event is about something else.
    container: Option<ContainerDocument<'a>>,
    /// Its networks; null when not known.
    networks: Option<&'a [NetworkAttachment]>,
    /// Its labels; null when not known.
    labels: Option<&'a BTreeMap<String, String>>,
}

/// What an event happened to.
#[derive(Debug, Serialize, JsonSchema)]
struct SubjectDocument<'a> {
    /// `container`, `network`, `volume`, `image`, `engine` or `call`.
    kind: &'a str,
    /// Docker's id of it, or its name where Docker has no other; null before it exists.
    id: Option<&'a str>,
    /// What people call it.
    name: Option<&'a str>,
}

/// The container in the document. Each value is null when it is not known.
#[derive(Debug, Serialize, JsonSchema)]
struct ContainerDocument<'a> {
    /// The full id.
    id: Option<&'a str>,
    /// The name without the leading slash.
    name: Option<&'a str>,
    /// The image as given at create.
    image: Option<&'a str>,
    /// The digest of the image.
    image_id: Option<&'a str>,
    /// The host name inside.
    hostname: Option<&'a str>,
    /// The user that the process runs as, as given.
    user: Option<&'a str>,
    /// Whether it is privileged.
    privileged: Option<bool>,
    /// Whether the engine removes it when it ends.
    auto_remove: Option<bool>,
    /// The process id on the host, of the last time that it ran.
    pid: Option<u32>,
    /// The path of its network namespace, of the last time that it ran.
    netns: Option<&'a str>,
    /// When it was made, RFC 3339.
    created_at: Option<&'a str>,
}

/// How the container ended.
#[derive(Debug, Serialize, JsonSchema)]
struct ExitDocument {
    /// The exit status as Docker reports it; null when it could not be learned.
    code: Option<i64>,
    /// When, RFC 3339.
    at: Option<String>,
}

/// The API call that a gate is about.
#[derive(Debug, Serialize, JsonSchema)]
struct RequestDocument<'a> {
    /// `POST`, `DELETE`, …
    method: &'a str,
    /// The request target as sent.
    path: &'a str,
    /// The common name of the client certificate.
    user: Option<&'a str>,
    /// The JSON body of the call.
    body: Option<&'a serde_json::Value>,
}

impl<'a> Document<'a> {
    pub(super) fn of(attempt: &Attempt<'a>) -> Document<'a> {
        let (run, event) = (attempt.run, &*attempt.run.event);
        // A run that answers several events is about none of their containers.
        let single = run.batch.is_none().then_some(event);
        let facts = single.map(|it| &*it.facts);
        let container = single.filter(|it| is_of_container(it));
        Document {
            contract: CONTRACT,
            run: run.id.as_str(),
            attempt: attempt.number,
            hook: run.hook.name.as_str(),
            point: event.point.name(),
            phase: run.phase,
            cause: event.cause,
            reason: event.reason.filter(|_| single.is_some()),
            at: event.at.to_string(),
            deadline: attempt.deadline.to_string(),
            host: &attempt.settings.host,
            engine: event.subject.engine.to_string(),
            passage: event.passage,
            subject: single.map(SubjectDocument::of),
            container: container.map(|it| ContainerDocument::of(&it.facts)),
            networks: facts.and_then(|it| it.networks.as_deref()),
            mounts: facts.and_then(|it| it.mounts.as_deref()),
            labels: facts.and_then(|it| it.labels.as_ref()),
            exit: single
                .and_then(|it| it.exit)
                .map(|it| ExitDocument { code: it.code, at: it.at.map(|at| at.to_string()) }),
            detail: single.and_then(|it| it.detail.as_deref()).cloned().unwrap_or_default(),
            request: event.request.as_deref().map(|it| RequestDocument {
                method: &it.method,
                path: &it.uri,
                user: it.user.as_deref(),
                body: it.body.as_ref(),
            }),
            events: run.batch.as_ref().map(|it| it.events.iter().map(|it| EventDocument::of(it)).collect()),
            more_events: run.batch.as_ref().map(|it| it.more),
        }
    }
}

impl<'a> EventDocument<'a> {
    fn of(event: &'a Event) -> EventDocument<'a> {
        EventDocument {
            point: event.point.name(),
            cause: event.cause,
            reason: event.reason,
            at: event.at.to_string(),
            subject: SubjectDocument::of(event),
            container: is_of_container(event).then(|| ContainerDocument::of(&event.facts)),
            networks: event.facts.networks.as_deref(),
            labels: event.facts.labels.as_ref(),
        }
    }
}

fn is_of_container(event: &Event) -> bool {
    matches!(event.subject.kind, SubjectKind::Container | SubjectKind::Creation)
}

impl<'a> SubjectDocument<'a> {
    fn of(event: &'a Event) -> SubjectDocument<'a> {
        let subject = &event.subject;
        let id = match subject.kind {
            // Its id is made up, or is a name that the caller gave.
            SubjectKind::Creation | SubjectKind::Call => None,
            _ if event.point.is_gate() && event.request.is_some() => {
                let detail = event.detail.as_deref();
                match subject.kind {
                    SubjectKind::Network => detail.and_then(|it| it.network.as_ref()?.id.as_deref()),
                    SubjectKind::Volume | SubjectKind::Image => event.facts.name.as_deref(),
                    _ => Some(&*subject.id),
                }
            }
            SubjectKind::Engine => None,
            _ => Some(&*subject.id),
        };
        SubjectDocument { kind: subject.kind.name(), id, name: event.facts.name.as_deref() }
    }
}

impl<'a> ContainerDocument<'a> {
    fn of(facts: &'a Facts) -> ContainerDocument<'a> {
        ContainerDocument {
            id: facts.id.as_deref(),
            name: facts.name.as_deref(),
            image: facts.image.as_deref(),
            image_id: facts.image_id.as_deref(),
            hostname: facts.hostname.as_deref(),
            user: facts.user.as_deref(),
            privileged: facts.privileged,
            auto_remove: facts.auto_remove,
            pid: facts.pid,
            netns: facts.netns.as_deref(),
            created_at: facts.created_at.as_deref(),
        }
    }
}

/// The whole environment of an attempt. Nothing is inherited.
pub(super) fn environment(attempt: &Attempt<'_>, files: &AttemptFiles) -> Vec<(OsString, OsString)> {
    let Attempt { run, number, deadline, settings, person: _, secret } = *attempt;
    let mut variables = Variables(Vec::with_capacity(40));
    variables.set("PATH", HOST_PATH);
    variables.set_os("HOME", attempt.home().as_os_str().to_owned());
    variables.set("DOCKER_HOST", &settings.docker_host);
    variables.set_os("DOCKER_CONFIG", files.docker_config().as_os_str().to_owned());
    variables.set("DOCKER_CUSTOM_HEADERS", format!("{NESTED_HEADER}={secret}"));
    variables.set("HOOK_API_HEADER", header_line(secret));
    variables.set("HOOK_CONTRACT", CONTRACT.to_string());
    variables.set("HOOK_NAME", run.hook.name.as_str());
    variables.set("HOOK_POINT", run.event.point.name());
    variables.set("HOOK_PHASE", run.phase.name());
    variables.set("HOOK_RUN_ID", run.id.as_str());
    variables.set("HOOK_ATTEMPT", number.to_string());
    variables.set("HOOK_CAUSE", run.event.cause.name());
    variables.set_known("HOOK_REASON", run.event.reason.filter(|_| run.batch.is_none()).map(Reason::name));
    variables.set("HOOK_DEADLINE", deadline.as_second().to_string());
    variables.set("HOOK_HOST", &settings.host);
    variables.set_os("HOOK_EVENT_FILE", files.event().as_os_str().to_owned());
    if run.batch.is_none() {
        variables.describe(&run.event);
    }
    if let Action::Exec(command) = &run.hook.action {
        for (name, value) in &command.environment {
            variables.set(name, value);
        }
    }
    variables.0
}

struct Variables(Vec<(OsString, OsString)>);

impl Variables {
    fn set(&mut self, name: &str, value: impl AsRef<str>) {
        self.set_os(name, value.as_ref().into());
    }

    /// Sets a variable to a value that has to do with a container, if it is known. A value that no
    /// environment can hold is left to the document.
    fn set_known(&mut self, name: &str, value: Option<impl AsRef<str>>) {
        let fits = |it: &str| it.len() <= VARIABLE_BYTES_MAX && !it.contains('\0');
        if let Some(value) = value.filter(|it| fits(it.as_ref())) {
            self.set(name, value);
        }
    }

    fn set_os(&mut self, name: &str, value: OsString) {
        debug_assert!(!value.as_bytes().contains(&0), "values with a NUL are left out before");
        self.0.push((name.into(), value));
    }

    fn describe(&mut self, event: &Event) {
        let facts = &event.facts;
        let subject = SubjectDocument::of(event);
        self.set("HOOK_SUBJECT_KIND", subject.kind);
        self.set_known("HOOK_SUBJECT_ID", subject.id);
        self.set_known("HOOK_SUBJECT_NAME", subject.name);
        if !is_of_container(event) {
            return;
        }
        let addresses = facts.addresses();
        self.set_known("CONTAINER_ID", facts.id.as_deref());
        self.set_known("CONTAINER_NAME", facts.name.as_deref());
        self.set_known("CONTAINER_IMAGE", facts.image.as_deref());
        self.set_known("CONTAINER_IP", addresses.ip);
        self.set_known("CONTAINER_IP6", addresses.ip6);
        self.set_known("CONTAINER_MAC", addresses.mac);
        self.set_known("CONTAINER_NETWORKS", facts.networks.as_deref().and_then(names));
        self.set_known("CONTAINER_PID", facts.pid.map(|it| it.to_string()));
        self.set_known("CONTAINER_NETNS", facts.netns.as_deref());
        self.set_known("CONTAINER_EXIT_CODE", event.exit.and_then(|it| it.code).map(|it| it.to_string()));
        self.set_known("COMPOSE_PROJECT", facts.label("com.docker.compose.project"));
        self.set_known("COMPOSE_SERVICE", facts.label("com.docker.compose.service"));
    }
}

/// The names of the networks with a space between; names of networks hold none.
fn names(networks: &[NetworkAttachment]) -> Option<String> {
    let names: Vec<_> = networks.iter().map(|it| it.name.as_str()).collect();
    (!names.is_empty()).then(|| names.join(" "))
}
