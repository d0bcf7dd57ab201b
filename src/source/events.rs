//! The engine's event stream.
//!
//! Read by a task of its own that only parses and queues: a reader that stalls makes every
//! event-making call of the engine slower, and loses events without a mark in the stream
//! (`New` in moby, `daemon/events/events.go`). A lost stream is taken up again where it was lost,
//! for as long as it takes; what is told twice by that is told on once.
//!
//! What the engine still remembers is read first. Then what is gets compared with what is known, by
//! [`Reconciler`], while the stream goes on: of all that can be known of what was missed the engine's own
//! words are the best, and a comparison that came before them would hide what they tell.

use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::pin;
use std::time::Duration;

use bollard::models::EventMessage;
use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::looks::{Looks, Notice, Overflow, Wants};
use super::reconcile::{Following, Reconciler};
pub use super::translate::translate;
use super::translate::{filter, mark};
use crate::docker::{Docker, DockerError, EventFilter, Identity};
use crate::engine::Engine;
use crate::lifecycle::{EngineId, Point, PointSet, Saw, Signal, Source, Subject, SubjectKind};

/// The first pause before reconnecting.
const RECONNECT_MIN: Duration = Duration::from_millis(100);

/// The longest pause before reconnecting: dockerd waits for plugins, and people for dockerd.
const RECONNECT_MAX: Duration = Duration::from_secs(2);

/// How far before the cursor a stream is taken up again. Events are not strictly in the order of
/// their times, and a scan of the ring stops at the first older one.
const MARGIN: SignedDuration = SignedDuration::from_secs(3);

/// The most that reading what the engine remembers may take: 256 events.
const PAST_LIMIT: Duration = Duration::from_secs(5);

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
    /// Changes when what was read has to be read again.
    wanted: watch::Receiver<()>,
    recent: Recent,
    /// The engines that have answered.
    met: HashMap<EngineId, Met>,
    /// The engine that is there, as far as it has been told.
    present: Option<EngineId>,
    /// Whose containers are to be compared with what is known.
    following: watch::Sender<Option<Following>>,
}

/// What is remembered of an engine from when it first answered.
#[derive(Clone, Copy, Debug)]
struct Met {
    /// When that was, by its own clock.
    at: Timestamp,
    /// What happened up to then is told to nobody.
    since: Timestamp,
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
    #[error("what was read could not be kept, and is read again")]
    Unread,
}

impl EventSource {
    /// A source that is not connected yet, and what compares for it.
    pub fn new(docker: Docker, looks: Looks, engine: Engine) -> (EventSource, Reconciler) {
        let (listening, wanted) = (engine.listening(), engine.reconcile_wanted());
        let (following, followed) = watch::channel(None);
        let reconciler = Reconciler::new(docker.clone(), looks.clone(), engine.clone(), followed);
        let source = EventSource {
            docker,
            looks,
            engine,
            listening,
            wanted,
            recent: Recent::default(),
            met: HashMap::new(),
            present: None,
            following,
        };
        (source, reconciler)
    }

    /// Follows the stream until `stop`, reconnecting for as long as Docker is away.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut pause = RECONNECT_MIN;
        let mut told = false;
        while let Some(lost) = stop.run_until_cancelled(self.follow(&mut pause, &mut told)).await {
            match &lost {
                Lost::Resubscribe => continue,
                Lost::Unread => {
                    warn!("what was read of docker's events could not be kept, and is read again");
                    self.unread().await;
                    continue;
                }
                Lost::Overflow(_) => {
                    self.following.send_replace(None);
                    self.looks.room().await;
                }
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
        let met = self.meet(&identity);
        // Before the first event the beginning stands for the cursor: what happens while the stream
        // is away must not be passed over.
        let read_until = self.engine.cursor(&identity.id).map_or(met.at, |it| it - MARGIN).max(met.since);
        let wanted = filter(*self.listening.borrow_and_update());
        self.found(&identity, met.since).await;
        if let Err(lost) = self.read_past(&identity, read_until, &wanted).await {
            return lost;
        }
        // What has just been read comes once more, and is known: nothing can fall in between.
        let mut stream = pin!(self.docker.events(read_until, None, &wanted));
        info!(engine = %identity.id, since = %read_until, "following docker's events");
        *pause = RECONNECT_MIN;
        *told = false;
        self.compare(Following { engine: identity.id.clone(), since: met.since, read_until });
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
                Ok(()) = self.wanted.changed() => return Lost::Unread,
            }
        }
    }

    /// Remembers when an engine was first met, and what has been read of its events before.
    fn meet(&mut self, identity: &Identity) -> Met {
        *self.met.entry(identity.id.clone()).or_insert_with(|| {
            self.recent.extend(self.engine.marks(&identity.id));
            let is_new = self.engine.is_new(&identity.id);
            Met { at: identity.now, since: if is_new { identity.now } else { Timestamp::MIN } }
        })
    }

    /// Reads what the engine remembers: it is told before anything is looked up.
    async fn read_past(
        &mut self,
        identity: &Identity,
        since: Timestamp,
        wanted: &EventFilter,
    ) -> Result<(), Lost> {
        if since >= identity.now {
            return Ok(());
        }
        let docker = self.docker.clone();
        let mut past = pin!(docker.events(since, Some(identity.now), wanted));
        let read = timeout(PAST_LIMIT, async {
            while let Some(event) = past.next().await {
                self.take(&identity.id, &event?)?;
            }
            Ok(())
        });
        read.await.unwrap_or_else(|_| {
            warn!(limit = ?PAST_LIMIT, "docker does not come to an end with what it remembers: going on");
            Ok(())
        })
    }

    fn take(&mut self, engine: &EngineId, event: &EventMessage) -> Result<(), Overflow> {
        if !self.recent.is_new(event) {
            return Ok(());
        }
        let Some(notice) = translate(engine, event) else { return Ok(()) };
        let reloaded = notice.signal.saw == Saw::Reached(Point::DaemonReload);
        self.looks.submit(notice).inspect_err(|_| self.recent.forget(event))?;
        // What was set up may be gone by it.
        if reloaded {
            self.following.send_modify(|_| ());
        }
        Ok(())
    }

    /// Has what is compared with what is known, unless that has been done since the stream was lost.
    fn compare(&self, following: Following) {
        self.following.send_if_modified(|it| {
            let same = it.as_ref().is_some_and(|it| it.engine == following.engine);
            if !same {
                *it = Some(following);
            }
            !same
        });
    }

    /// Counts only that as read which has been taken in.
    async fn unread(&mut self) {
        self.looks.drained().await;
        self.following.send_replace(None);
        self.recent = Recent::default();
        for engine in self.met.keys() {
            self.recent.extend(self.engine.marks(engine));
        }
    }

    /// The engine answers.
    async fn found(&mut self, identity: &Identity, since: Timestamp) {
        self.tell(&identity.id, Saw::Found { since }, identity.now);
        if self.listening.borrow().contains(Point::VolumePostCreate) {
            self.know_volumes(identity).await;
        }
        if self.present.replace(identity.id.clone()).as_ref() != Some(&identity.id) {
            self.tell(&identity.id, Saw::Reached(Point::DaemonStart), identity.now);
        }
    }

    /// The engine does not answer any more. It keeps streams open until it ends.
    fn gone(&mut self) {
        self.docker.has_gone();
        self.following.send_replace(None);
        if let Some(id) = self.present.take() {
            self.tell(&id, Saw::Reached(Point::DaemonStop), Timestamp::now());
        }
    }

    fn tell(&self, engine: &EngineId, saw: Saw, at: Timestamp) {
        let subject = Subject::new(engine, SubjectKind::Engine, "");
        // Not of the stream: its time says nothing about how far that has been read.
        let source = Source::Authorization;
        let signal = Signal::new(subject, source, at, saw);
        if self.looks.submit(Notice { signal, wants: Wants::Nothing }).is_err() {
            warn!(?saw, "not told: too much to take in");
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
    order: VecDeque<u64>,
    all: HashSet<u64>,
}

impl Recent {
    /// Whether `event` is read for the first time; from now on it is not.
    pub fn is_new(&mut self, event: &EventMessage) -> bool {
        self.insert(mark(event))
    }

    /// Adds what was read before.
    fn extend(&mut self, marks: impl IntoIterator<Item = u64>) {
        for mark in marks {
            self.insert(mark);
        }
    }

    fn insert(&mut self, mark: u64) -> bool {
        if !self.all.insert(mark) {
            return false;
        }
        self.order.push_back(mark);
        if self.order.len() > RECENT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
        true
    }

    fn forget(&mut self, event: &EventMessage) {
        let mark = mark(event);
        self.all.remove(&mark);
        self.order.retain(|it| *it != mark);
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
