//! The engine's event stream.
//!
//! Read by a task of its own that only parses and queues: a reader that stalls makes every
//! event-making call of the engine slower, and loses events without a mark in the stream
//! (`New` in moby, `daemon/events/events.go`). A lost stream is taken up again where it was lost,
//! for as long as it takes; what is told twice by that is told on once.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::pin::pin;
use std::time::Duration;

use bollard::models::{EventMessage, EventMessageTypeEnum};
use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::api::is_terminating;
use super::looks::{Looks, Notice, Overflow, Wants};
use crate::docker::{Docker, DockerError};
use crate::engine::Engine;
use crate::lifecycle::{EngineId, Facts, Saw, Signal, Source, Subject};

/// The first pause before reconnecting.
const RECONNECT_MIN: Duration = Duration::from_millis(100);

/// The longest pause before reconnecting: dockerd waits for plugins, and people for dockerd.
const RECONNECT_MAX: Duration = Duration::from_secs(2);

/// How far before the cursor a stream is taken up again. Events are not strictly in the order of
/// their times, and a scan of the ring stops at the first older one.
const MARGIN: SignedDuration = SignedDuration::from_secs(3);

/// How many events are remembered, to know those that come twice: more than the ring holds.
const RECENT_MAX: usize = 1024;

/// What the engine tells, as a signal, and what has to be looked up for it. `None` for what
/// reaches no point.
///
/// Labels overwrite the attributes of a container's events (`daemon/events.go` in moby): only
/// `image` and `name` are the engine's own for certain.
pub fn translate(engine: &EngineId, event: &EventMessage) -> Option<Notice> {
    let actor = event.actor.as_ref()?;
    let attributes = actor.attributes.as_ref();
    let attribute = |key: &str| attributes?.get(key).map(String::as_str);
    let at = Timestamp::from_nanosecond(event.time_nano?.into()).ok()?;
    let action = event.action.as_deref()?;
    let (id, saw, wants) = match (event.typ?, action) {
        (EventMessageTypeEnum::CONTAINER, action) => {
            let id = actor.id.as_deref().filter(|it| !it.is_empty())?;
            let (saw, wants) = container(action, attribute)?;
            (id, saw, wants)
        }
        // The attributes of a network's events hold no labels.
        (EventMessageTypeEnum::NETWORK, "connect") => {
            let id = attribute("container").filter(|it| !it.is_empty())?;
            (id, Saw::Changed, Wants::Look)
        }
        _ => return None,
    };
    let told = (saw != Saw::Changed).then(|| Box::new(facts(id, action, attributes)));
    let subject = Subject::container(engine, id);
    let signal = Signal { subject, source: Source::Events, at, saw, told, observation: None };
    Some(Notice { signal, wants })
}

fn container<'a>(action: &str, attribute: impl Fn(&str) -> Option<&'a str>) -> Option<(Saw, Wants)> {
    Some(match action {
        "create" => (Saw::Created, Wants::Look),
        "start" => (Saw::Started, Wants::Look),
        "die" => {
            let code = attribute("exitCode").and_then(|it| it.parse().ok());
            (Saw::Ended { code }, Wants::Trust { attribute: "exitCode" })
        }
        "kill" if attribute("signal").is_some_and(is_terminating) => {
            (Saw::Killed, Wants::Trust { attribute: "signal" })
        }
        "oom" => (Saw::OutOfMemory, Wants::Nothing),
        "destroy" => (Saw::Removed, Wants::Nothing),
        "rename" | "update" => (Saw::Changed, Wants::Look),
        _ => return None,
    })
}

/// What an event tells by itself, for a container that is gone before it can be looked up.
fn facts(id: &str, action: &str, attributes: Option<&HashMap<String, String>>) -> Facts {
    let own: &[&str] = match action {
        "die" => &["image", "name", "exitCode", "execDuration"],
        "kill" => &["image", "name", "signal"],
        _ => &["image", "name"],
    };
    let get = |key: &str| attributes.and_then(|it| it.get(key)).cloned();
    let is_label = |key: &str| !own.contains(&key);
    Facts {
        id: Some(id.to_owned()),
        name: get("name"),
        image: get("image"),
        labels: attributes.map(|all| {
            let labels = all.iter().filter(|(key, _)| is_label(key));
            labels.map(|(key, value)| (key.clone(), value.clone())).collect()
        }),
        ..Facts::default()
    }
}

/// Follows an engine's events.
pub struct EventSource {
    docker: Docker,
    looks: Looks,
    engine: Engine,
    recent: Recent,
}

/// Why a stream was given up.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("the engine cannot be reached")]
    Docker(#[from] DockerError),
    #[error("the engine closed the event stream")]
    Ended,
    #[error("events come faster than they are taken in")]
    Overflow(#[from] Overflow),
}

impl EventSource {
    /// A source that is not connected yet.
    pub fn new(docker: Docker, looks: Looks, engine: Engine) -> EventSource {
        EventSource { docker, looks, engine, recent: Recent::default() }
    }

    /// Follows the stream until `stop`, reconnecting for as long as Docker is away.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut pause = RECONNECT_MIN;
        let mut quiet = false;
        while let Some(lost) = stop.run_until_cancelled(self.follow(&mut pause, &mut quiet)).await {
            // Only the first of a row is news.
            if quiet {
                debug!(error = %chain(&lost), ?pause, "docker cannot be reached, will try again");
            } else {
                warn!(error = %chain(&lost), ?pause, "docker cannot be reached, will try again");
                quiet = true;
            }
            if let Lost::Overflow(_) = lost {
                self.looks.room().await;
            }
            stop.run_until_cancelled(sleep(pause)).await;
            pause = (pause * 2).min(RECONNECT_MAX);
        }
    }

    /// Connects, and reads until the stream is lost.
    async fn follow(&mut self, pause: &mut Duration, quiet: &mut bool) -> Lost {
        let identity = match self.docker.identify().await {
            Ok(identity) => identity,
            Err(error) => return error.into(),
        };
        let since = self.engine.cursor().map_or(identity.now, |it| it - MARGIN);
        let mut stream = pin!(self.docker.events(since));
        info!(engine = %identity.id, %since, "following docker's events");
        *pause = RECONNECT_MIN;
        *quiet = false;
        while let Some(event) = stream.next().await {
            let event = match event {
                Ok(event) => event,
                Err(error) => return error.into(),
            };
            if !self.recent.is_new(&event) {
                continue;
            }
            if let Some(notice) = translate(&identity.id, &event)
                && let Err(overflow) = self.looks.submit(notice)
            {
                self.recent.forget(&event);
                return overflow.into();
            }
        }
        Lost::Ended
    }
}

/// An error and its causes, in one line. Libraries repeat their causes in their own texts.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |it| it.source()).map(ToString::to_string);
    causes.fold(
        error.to_string(),
        |line, cause| {
            if line.ends_with(&cause) { line } else { format!("{line}: {cause}") }
        },
    )
}

/// The events read last. An event that is made at the instant of subscribing comes twice, and so
/// does everything within [`MARGIN`].
#[derive(Default)]
struct Recent {
    hasher: RandomState,
    order: VecDeque<u64>,
    all: HashSet<u64>,
}

impl Recent {
    fn is_new(&mut self, event: &EventMessage) -> bool {
        let key = self.key(event);
        if !self.all.insert(key) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > RECENT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
        true
    }

    fn forget(&mut self, event: &EventMessage) {
        let key = self.key(event);
        self.all.remove(&key);
        self.order.retain(|it| *it != key);
    }

    fn key(&self, event: &EventMessage) -> u64 {
        let actor = event.actor.as_ref();
        let id = actor.and_then(|it| it.id.as_deref());
        let container = actor.and_then(|it| it.attributes.as_ref()).and_then(|it| it.get("container"));
        self.hasher.hash_one((event.time_nano, event.action.as_deref(), id, container))
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::EventMessage;
    use serde_json::json;

    use super::{Recent, translate};
    use crate::lifecycle::{EngineId, Saw};
    use crate::source::looks::Wants;

    fn event(kind: &str, action: &str, attributes: serde_json::Value) -> EventMessage {
        serde_json::from_value(json!({
            "Type": kind, "Action": action, "Actor": {"ID": "e391", "Attributes": attributes},
            "scope": "local", "time": 1_795_343_338, "timeNano": 1_795_343_338_615_191_051_i64
        }))
        .expect("an event")
    }

    fn saw(event: &EventMessage) -> Option<(Saw, Wants)> {
        translate(&EngineId::new("engine"), event).map(|it| (it.signal.saw, it.wants))
    }

    #[test]
    fn what_a_label_may_have_overwritten_has_to_be_trusted_first() {
        let die = event("container", "die", json!({"exitCode": "99", "image": "i", "name": "n"}));

        let (saw, wants) = saw(&die).expect("an end");

        assert_eq!(saw, Saw::Ended { code: Some(99) });
        assert_eq!(wants, Wants::Trust { attribute: "exitCode" });
    }

    #[test]
    fn a_signal_that_ends_nothing_is_no_kill() {
        assert_eq!(saw(&event("container", "kill", json!({"signal": "28"}))), None);
        assert!(saw(&event("container", "kill", json!({"signal": "15"}))).is_some());
    }

    #[test]
    fn a_connection_is_about_the_container_and_not_the_network() {
        let connect = event("network", "connect", json!({"container": "c0ffee", "name": "bridge"}));

        let notice = translate(&EngineId::new("engine"), &connect).expect("a change");

        assert_eq!(&*notice.signal.subject.id, "c0ffee");
        assert_eq!(saw(&event("network", "create", json!({"name": "bridge"}))), None);
    }

    #[test]
    fn an_event_tells_labels_for_want_of_better() {
        let die = event("container", "die", json!({"exitCode": "0", "image": "i", "name": "n", "a": "b"}));

        let told = translate(&EngineId::new("engine"), &die).and_then(|it| it.signal.told).expect("facts");

        assert_eq!((told.name.as_deref(), told.image.as_deref()), (Some("n"), Some("i")));
        assert_eq!(
            told.labels.map(|it| it.into_iter().collect::<Vec<_>>()),
            Some(vec![("a".into(), "b".into())])
        );
    }

    #[test]
    fn what_comes_twice_is_known() {
        let mut recent = Recent::default();
        let (start, die) = (event("container", "start", json!({})), event("container", "die", json!({})));

        assert!(recent.is_new(&start) && recent.is_new(&die));
        assert!(!recent.is_new(&start));
        recent.forget(&start);
        assert!(recent.is_new(&start));
    }
}
