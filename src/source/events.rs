//! The engine's event stream.
//!
//! Read by a task of its own that only parses and queues: a reader that stalls makes every
//! event-making call of the engine slower, and loses events without a mark in the stream
//! (`New` in moby, `daemon/events/events.go`). A lost stream is taken up again where it was lost,
//! for as long as it takes; what is told twice by that is told on once.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::pin::pin;
use std::time::Duration;

use bollard::models::EventMessage;
use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::looks::{Looks, Notice, Overflow, Wants};
use super::translate::filter;
pub use super::translate::translate;
use crate::docker::{Docker, DockerError, Identity};
use crate::engine::Engine;
use crate::lifecycle::{EngineId, Point, PointSet, Saw, Signal, Source, Subject, SubjectKind};

/// The first pause before reconnecting.
const RECONNECT_MIN: Duration = Duration::from_millis(100);

/// The longest pause before reconnecting: dockerd waits for plugins, and people for dockerd.
const RECONNECT_MAX: Duration = Duration::from_secs(2);

/// How far before the cursor a stream is taken up again. Events are not strictly in the order of
/// their times, and a scan of the ring stops at the first older one.
const MARGIN: SignedDuration = SignedDuration::from_secs(3);

/// How many events are remembered, to know those that come twice: more than the ring holds.
const RECENT_MAX: usize = 1024;

/// How much older than the beginning of a stream a volume must be to be known to have been there
/// before: the engine tells whole seconds.
const VOLUME_AGE: SignedDuration = SignedDuration::from_secs(2);

/// Follows an engine's events.
pub struct EventSource {
    docker: Docker,
    looks: Looks,
    engine: Engine,
    listening: watch::Receiver<PointSet>,
    recent: Recent,
    /// When the engine was first found, by its own clock.
    begun_at: Option<Timestamp>,
    /// The engine that is there, as far as it has been told.
    present: Option<EngineId>,
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
    #[error("other points are listened at now")]
    Resubscribe,
}

impl EventSource {
    /// A source that is not connected yet.
    pub fn new(docker: Docker, looks: Looks, engine: Engine) -> EventSource {
        let listening = engine.listening();
        EventSource {
            docker,
            looks,
            engine,
            listening,
            recent: Recent::default(),
            begun_at: None,
            present: None,
        }
    }

    /// Follows the stream until `stop`, reconnecting for as long as Docker is away.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut pause = RECONNECT_MIN;
        let mut told = false;
        while let Some(lost) = stop.run_until_cancelled(self.follow(&mut pause, &mut told)).await {
            match &lost {
                Lost::Resubscribe => continue,
                Lost::Overflow(_) => self.looks.room().await,
                Lost::Docker(_) | Lost::Ended => self.gone(),
            }
            // Only the first of a row is news.
            if told {
                debug!(error = %chain(&lost), ?pause, "docker cannot be reached, will try again");
            } else {
                warn!(error = %chain(&lost), ?pause, "docker cannot be reached, will try again");
                told = true;
            }
            stop.run_until_cancelled(sleep(pause)).await;
            pause = (pause * 2).min(RECONNECT_MAX);
        }
    }

    /// Connects, and reads until the stream is lost.
    async fn follow(&mut self, pause: &mut Duration, told: &mut bool) -> Lost {
        let identity = match self.docker.identify().await {
            Ok(identity) => identity,
            Err(error) => return error.into(),
        };
        // Before the first event the beginning stands for the cursor: what happens while the stream
        // is away must not be passed over.
        let begun_at = *self.begun_at.get_or_insert(identity.now);
        let since = self.engine.cursor(&identity.id).map_or(begun_at, |it| (it - MARGIN).max(begun_at));
        let wanted = filter(*self.listening.borrow_and_update());
        let mut stream = pin!(self.docker.events(since, &wanted));
        info!(engine = %identity.id, %since, "following docker's events");
        *pause = RECONNECT_MIN;
        *told = false;
        self.found(&identity).await;
        loop {
            tokio::select! {
                event = stream.next() => match event {
                    None => return Lost::Ended,
                    Some(Err(error)) => return error.into(),
                    Some(Ok(event)) => {
                        if let Err(overflow) = self.take(&identity.id, &event) {
                            return overflow.into();
                        }
                    }
                },
                Ok(()) = self.listening.changed() => {
                    if filter(*self.listening.borrow_and_update()) != wanted {
                        return Lost::Resubscribe;
                    }
                }
            }
        }
    }

    fn take(&mut self, engine: &EngineId, event: &EventMessage) -> Result<(), Overflow> {
        if !self.recent.is_new(event) {
            return Ok(());
        }
        let Some(notice) = translate(engine, event) else { return Ok(()) };
        self.looks.submit(notice).inspect_err(|_| self.recent.forget(event))
    }

    /// The engine answers.
    async fn found(&mut self, identity: &Identity) {
        if self.listening.borrow().contains(Point::VolumePostCreate) {
            self.know_volumes(identity).await;
        }
        if self.present.replace(identity.id.clone()).as_ref() != Some(&identity.id) {
            self.tell(&identity.id, Point::DaemonStart, identity.now);
        }
    }

    /// The engine does not answer any more. It keeps streams open until it ends.
    fn gone(&mut self) {
        if let Some(id) = self.present.take() {
            self.tell(&id, Point::DaemonStop, Timestamp::now());
        }
    }

    fn tell(&self, engine: &EngineId, point: Point, at: Timestamp) {
        let subject = Subject::new(engine, SubjectKind::Engine, "");
        let saw = Saw::Reached(point);
        // Not of the stream: its time says nothing about how far that has been read.
        let source = Source::Authorization;
        let signal = Signal::new(subject, source, at, saw);
        if self.looks.submit(Notice { signal, wants: Wants::Nothing }).is_err() {
            warn!(%point, "not told: too much to take in");
        }
    }

    /// Up to 23.0 the engine tells the creation of a volume again whenever it is used.
    async fn know_volumes(&self, identity: &Identity) {
        let volumes = match self.docker.volumes().await {
            Ok(volumes) => volumes,
            Err(error) => return warn!(%error, "cannot list volumes: old ones may be told as new"),
        };
        let old =
            volumes.into_iter().filter(|it| it.created_at.is_none_or(|at| at < identity.now - VOLUME_AGE));
        let names = old.filter_map(|it| it.detail.name);
        self.engine.know(names.map(|it| Subject::new(&identity.id, SubjectKind::Volume, &it)).collect());
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
/// does everything within the margin of a reconnection.
#[derive(Debug, Default)]
pub struct Recent {
    hasher: RandomState,
    order: VecDeque<u64>,
    all: HashSet<u64>,
}

impl Recent {
    /// Whether `event` is read for the first time; from now on it is not.
    pub fn is_new(&mut self, event: &EventMessage) -> bool {
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

    use super::Recent;

    fn event(action: &str) -> EventMessage {
        serde_json::from_value(json!({
            "Type": "container", "Action": action, "Actor": {"ID": "e391", "Attributes": {}},
            "scope": "local", "time": 1_795_343_338, "timeNano": 1_795_343_338_615_191_051_i64
        }))
        .expect("an event")
    }

    #[test]
    fn what_comes_twice_is_known() {
        let mut recent = Recent::default();
        let (start, die) = (event("start"), event("die"));

        assert!(recent.is_new(&start) && recent.is_new(&die));
        assert!(!recent.is_new(&start));
        recent.forget(&start);
        assert!(recent.is_new(&start));
    }
}
