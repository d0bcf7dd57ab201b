//! What a script is told: version 1 of the contract.
//!
//! Nothing of the container ever becomes part of a command line. The environment holds the values
//! that a shell script can use as they are; the document on standard input holds everything.
//! What is not known is not set.

mod setup;

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
use crate::hook::{Action, Inside};
use crate::launch::Person;
use crate::lifecycle::{Cause, Detail, Event, Facts, Mount, NetworkAttachment, Point, Reason, SubjectKind};
use crate::run::{NESTED_HEADER, Phase, Run};

use setup::SetupDocument;

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

/// The JSON document that a hook finds on its standard input, and in the file that
/// `HOOK_EVENT_FILE` names: version 1.
///
/// A value that is not known is null. Every key is always there, except for `network`, `volume`,
/// `address`, `image`, `command`, `old_name` and `debt`, which are there at the points that are about one, and
/// `events` and `more_events`, which a hook with `debounce` is told instead of a subject. Later releases may
/// add keys, and words to `point`, `phase`, `cause`, `reason` and `outcome`, without a new version: pass over
/// what you do not know.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "What a boathook hook is told", extend("$id" = "urn:boathook:contract:document:v1"))]
pub struct Document<'a> {
    /// The version of the contract between boathook and hooks.
    #[schemars(extend("const" = CONTRACT))]
    contract: u32,
    /// The id of the run, the same over all its attempts: a key for what the hook does. Ids sort by
    /// the time at which runs were planned.
    run: &'a str,
    /// Which attempt of the run this is.
    #[schemars(range(min = 1))]
    attempt: u32,
    /// The name of the hook in the configuration.
    hook: &'a str,
    /// The point that was reached; for a clean-up, the one that made it due. At gates, which are `api`,
    /// those with `pre_` in their names, `net_ready`, `address.request`, and `volume.mount` of boathook's own
    /// volumes, Docker waits for the hook, which may deny.
    #[schemars(extend("enum" = Point::ALL.iter().map(|it| it.name()).collect::<Vec<_>>()))]
    point: &'a str,
    /// Which half of the hook this is.
    phase: Phase,
    /// Who brought it about.
    cause: Cause,
    /// Why the container ended; null where it has not ended, and at gates.
    reason: Option<Reason>,
    /// When the point was reached, by the engine's clock where the engine told it.
    #[schemars(extend("format" = "date-time"))]
    at: String,
    /// When this attempt is out of time, and its process group gets SIGTERM.
    #[schemars(extend("format" = "date-time"))]
    deadline: String,
    /// The name of the Docker host.
    host: &'a str,
    /// The id of the Docker Engine, as `docker info` shows it.
    engine: String,
    /// Which run of the container this belongs to, from one start to the next end: counted from 1
    /// since boathook first saw the container, 0 before its first start. At `pre_start` it is the
    /// run that is about to begin.
    passage: u32,
    /// What reached the point; null for a hook with `debounce`.
    subject: Option<SubjectDocument<'a>>,
    /// The container as last known; null where something else reached the point.
    container: Option<ContainerDocument<'a>>,
    /// The networks that the container is, or was last, attached to, with the addresses that it has
    /// or had there; null when not known. At `pre_create` those that are asked for. Where a network
    /// reached the point it is that network.
    networks: Option<&'a [NetworkAttachment]>,
    /// The container's volumes, binds and tmpfs mounts; null when not known. Where a volume reached
    /// the point it is that volume.
    mounts: Option<&'a [Mount]>,
    /// The labels of the subject; null when not known. Those of the image are among a container's
    /// once it exists.
    labels: Option<&'a BTreeMap<String, String>>,
    /// How the container ended last; null while it runs, before it ever ran, and when not known.
    exit: Option<ExitDocument>,
    #[serde(flatten)]
    detail: Detail,
    /// The API call that Docker holds back until the hook has answered; null where it waits for
    /// nobody.
    request: Option<RequestDocument<'a>>,
    /// What a clean-up has to clean up after: the set-ups of the hook that have begun since the last
    /// clean-up, oldest first, mostly one; null where the hook sets something up.
    setup: Option<Vec<SetupDocument<'a>>>,
    /// The events that one run of a hook with `debounce` answers together, oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<EventDocument<'a>>")]
    events: Option<Vec<EventDocument<'a>>>,
    /// How many more events there were than `events` holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "usize")]
    more_events: Option<usize>,
}

/// One of the events that a run answers together.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Event")]
struct EventDocument<'a> {
    /// The point that was reached.
    #[schemars(extend("enum" = Point::ALL.iter().map(|it| it.name()).collect::<Vec<_>>()))]
    point: &'a str,
    /// Who brought it about.
    cause: Cause,
    /// Why the container ended; null where it has not ended.
    reason: Option<Reason>,
    /// When the point was reached, by the engine's clock where the engine told it.
    #[schemars(extend("format" = "date-time"))]
    at: String,
    /// What reached the point.
    subject: SubjectDocument<'a>,
    /// The container as it was known then; null where something else reached the point.
    container: Option<ContainerDocument<'a>>,
    /// The container's networks; null when not known.
    networks: Option<&'a [NetworkAttachment]>,
    /// The labels of the subject; null when not known.
    labels: Option<&'a BTreeMap<String, String>>,
}

/// What reached a point.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Subject")]
struct SubjectDocument<'a> {
    /// What kind of thing it is.
    #[schemars(extend("enum" = ["container", "network", "volume", "address", "image", "engine", "call"]))]
    kind: &'a str,
    /// Docker's id of it, or its name where Docker has no other; null before it exists, and for what
    /// has none.
    id: Option<&'a str>,
    /// What people call it; null when not known, and for what has no name.
    name: Option<&'a str>,
}

/// A container. A value that is not known is null: at `pre_create` there is no id yet.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Container")]
struct ContainerDocument<'a> {
    /// The full id, 64 hexadecimal digits.
    id: Option<&'a str>,
    /// The name without the leading slash. At `pre_create` the name that is asked for, of any
    /// characters; null if Docker is to make one up.
    name: Option<&'a str>,
    /// The image as it was given at create.
    image: Option<&'a str>,
    /// The digest of the image that the container runs.
    image_id: Option<&'a str>,
    /// The host name inside the container.
    hostname: Option<&'a str>,
    /// The user that the process runs as, as given; empty is the default of the image, mostly root.
    user: Option<&'a str>,
    /// Whether it was made with `--privileged`.
    privileged: Option<bool>,
    /// Whether the engine removes it by itself when it ends (`--rm`).
    auto_remove: Option<bool>,
    /// The id of its first process on the host, of the last time that it ran.
    pid: Option<u32>,
    /// The path of its network namespace, of the last time that it ran: use it as it is.
    netns: Option<&'a str>,
    /// When it was made.
    #[schemars(extend("format" = "date-time"))]
    created_at: Option<&'a str>,
}

/// How a container ended.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Exit")]
struct ExitDocument {
    /// The exit status as Docker reports it: 0 to 255, and 128 + n for a death by signal n; null
    /// when it could not be learned.
    code: Option<i64>,
    /// When it ended, by the engine's clock; null when that was not seen.
    #[schemars(extend("format" = "date-time"))]
    at: Option<String>,
}

/// A call of the Docker Engine API.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Request")]
struct RequestDocument<'a> {
    /// The HTTP method: `POST`, `DELETE`, …
    method: &'a str,
    /// The path and the query as the client sent them: with the API version if it gave one, and
    /// percent-encoded.
    path: &'a str,
    /// The common name of the client's TLS certificate; null without one, as on a Unix socket.
    user: Option<&'a str>,
    /// The JSON body, with the keys as Docker spells them; null without one, and where no hook needs
    /// it: for starts, stops, kills and removals of containers.
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
            setup: SetupDocument::all(run),
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
    let Attempt { run, settings, secret, .. } = *attempt;
    let mut variables = Variables(Vec::with_capacity(40));
    variables.set("PATH", HOST_PATH);
    variables.set_os("HOME", attempt.home().as_os_str().to_owned());
    variables.set("DOCKER_HOST", &settings.docker_host);
    variables.set_os("DOCKER_CONFIG", files.docker_config().as_os_str().to_owned());
    variables.set("DOCKER_CUSTOM_HEADERS", format!("{NESTED_HEADER}={secret}"));
    variables.set("HOOK_API_HEADER", header_line(secret));
    variables.set_os("HOOK_EVENT_FILE", files.event().as_os_str().to_owned());
    variables.tell(attempt);
    if let Action::Exec(command) = &run.hook.action {
        for (name, value) in &command.environment {
            variables.set(name, value);
        }
    }
    variables.0
}

/// What an attempt in a container finds in its environment beside what the container gives. Paths of the
/// host mean nothing there, and the right to pass gates stays on the host.
pub(super) fn environment_inside(attempt: &Attempt<'_>, inside: &Inside) -> Vec<String> {
    let mut variables = Variables(Vec::with_capacity(40));
    variables.tell(attempt);
    for (name, value) in &inside.environment {
        variables.set(name, value);
    }
    let last: BTreeMap<OsString, OsString> = variables.0.into_iter().collect();
    let text = |it: &OsString| it.to_string_lossy().into_owned();
    last.iter().map(|(name, value)| format!("{}={}", text(name), text(value))).collect()
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

    /// Which attempt this is, and what it is for.
    fn tell(&mut self, attempt: &Attempt<'_>) {
        let Attempt { run, number, deadline, settings, .. } = *attempt;
        self.set("HOOK_CONTRACT", CONTRACT.to_string());
        self.set("HOOK_NAME", run.hook.name.as_str());
        self.set("HOOK_POINT", run.event.point.name());
        self.set("HOOK_PHASE", run.phase.name());
        self.set("HOOK_RUN_ID", run.id.as_str());
        self.set("HOOK_ATTEMPT", number.to_string());
        self.set("HOOK_CAUSE", run.event.cause.name());
        self.set_known("HOOK_REASON", run.event.reason.filter(|_| run.batch.is_none()).map(Reason::name));
        self.set("HOOK_DEADLINE", deadline.as_second().to_string());
        self.set("HOOK_HOST", &settings.host);
        if run.batch.is_none() {
            self.describe(&run.event);
        }
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
        self.set_known("CONTAINER_VETH", addresses.veth);
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
