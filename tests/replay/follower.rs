//! What the daemon makes of a stream, without what it looks up.

use std::collections::BTreeMap;

use boathook::lifecycle::{EngineId, Point, SubjectKind, Tracker};
use boathook::source::events::{Recent, translate};
use bollard::models::EventMessage;
use jiff::Timestamp;

/// One subject has reached one point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) point: Point,
    pub(super) passage: u32,
    /// The network that it is about.
    pub(super) network: Option<String>,
}

/// Follows a stream from its beginning.
pub(super) struct Follower {
    engine: EngineId,
    recent: Recent,
    tracker: Tracker,
    cursor: Option<Timestamp>,
    /// By kind and id of what has reached them.
    points: BTreeMap<(SubjectKind, String), Vec<Reached>>,
}

impl Follower {
    /// One that has read these events.
    pub(super) fn of(events: &[EventMessage]) -> Follower {
        let mut follower = Follower {
            engine: EngineId::new("engine"),
            recent: Recent::default(),
            tracker: Tracker::default(),
            cursor: None,
            points: BTreeMap::new(),
        };
        follower.read_all(events);
        follower
    }

    pub(super) fn read_all(&mut self, events: &[EventMessage]) {
        for event in events {
            self.read(event);
        }
    }

    fn read(&mut self, event: &EventMessage) {
        if !self.recent.is_new(event) {
            return;
        }
        let Some(notice) = translate(&self.engine, event) else { return };
        self.cursor = self.cursor.max(Some(notice.signal.at));
        for event in self.tracker.see(notice.signal) {
            let network = event.detail.as_ref().and_then(|it| it.network.as_ref()?.id.clone());
            let reached = Reached { point: event.point, passage: event.passage, network };
            let subject = (event.subject.kind, event.subject.id.to_string());
            self.points.entry(subject).or_default().push(reached);
        }
    }

    /// The time of the last event that has told something.
    pub(super) fn cursor(&self) -> Option<Timestamp> {
        self.cursor
    }

    /// What everything has reached.
    pub(super) fn points(&self) -> &BTreeMap<(SubjectKind, String), Vec<Reached>> {
        &self.points
    }

    /// What each container has reached.
    pub(super) fn lives(&self) -> BTreeMap<&str, &[Reached]> {
        let containers = self.points.iter().filter(|((kind, _), _)| *kind == SubjectKind::Container);
        containers.map(|((_, id), points)| (id.as_str(), points.as_slice())).collect()
    }
}
