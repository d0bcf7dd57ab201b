//! What boathook makes of it: a tracker, the little that its journal keeps, and what hooks were told.

use std::collections::{BTreeMap, HashSet, VecDeque};

use boathook::lifecycle::{
    Event, Life, Observation, Point, Reason, Saw, Signal, Source, Stage, Subject, SubjectKind, Tracker,
};
use boathook::reconcile::{How, plan};
use jiff::Timestamp;

use super::truth::{Told, Truth};

/// Whether the container is looked up when its event is taken in, or the look fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Seen,
    Failed,
}

/// One that follows the events of an engine.
pub(super) struct Follower {
    tracker: Tracker,
    /// Lives as they are written down, and the events that were taken in.
    journal: BTreeMap<Subject, String>,
    marks: HashSet<u64>,
    /// Events on their way.
    pub(super) pending: VecDeque<Told>,
    delivered: Vec<Told>,
    /// What happened up to then is told to nobody.
    since: Timestamp,
    /// What hooks were told, by container.
    pub(super) told: BTreeMap<String, Vec<(Point, u32, Option<Reason>)>>,
}

impl Follower {
    /// One that comes to an engine on which there is something already.
    pub(super) fn begin(truth: &Truth) -> Follower {
        let mut follower = Follower {
            tracker: Tracker::default(),
            journal: BTreeMap::new(),
            marks: HashSet::new(),
            pending: VecDeque::new(),
            delivered: Vec::new(),
            since: truth.now(),
            told: BTreeMap::new(),
        };
        follower.meet(truth);
        follower.reconcile(truth, How::Thorough { since: Some(truth.now()) });
        follower.since = Timestamp::MIN;
        follower.meet(truth);
        follower
    }

    fn meet(&mut self, truth: &Truth) {
        let saw = Saw::Found { since: self.since };
        self.see(Signal::new(engine(truth), Source::Reconcile, truth.now(), saw));
    }

    fn see(&mut self, signal: Signal) {
        self.marks.extend(signal.mark);
        let events = self.tracker.see(signal);
        self.record(events);
        for (subject, life) in self.tracker.changed() {
            match life {
                Some(life) => {
                    let text = serde_json::to_string(&life).expect("a life can be written");
                    self.journal.insert(subject, text);
                }
                None => drop(self.journal.remove(&subject)),
            }
        }
    }

    fn record(&mut self, events: Vec<Event>) {
        for event in events.into_iter().filter(|it| it.subject.kind == SubjectKind::Container) {
            let told = (event.point, event.passage, event.reason);
            self.told.entry(event.subject.id.to_string()).or_default().push(told);
        }
    }

    /// Takes in the next event.
    pub(super) fn deliver(&mut self, truth: &Truth, look: Look) {
        let Some(told) = self.pending.pop_front() else { return };
        let mut signal = truth.signal(&told);
        let looked_up = matches!(told.saw, Saw::Created | Saw::Started | Saw::Reached(_));
        if looked_up && look == Look::Seen {
            signal.observation = truth.inspect(&told.id);
        }
        self.delivered.push(told);
        self.see(signal);
    }

    /// The engine tells the last events once more.
    pub(super) fn hear_again(&mut self, truth: &Truth, count: usize) {
        let first = self.delivered.len().saturating_sub(count);
        let again: Vec<_> = self.delivered[first..].to_vec();
        for told in again {
            if !self.marks.contains(&told.mark) {
                self.see(truth.signal(&told));
            }
        }
    }

    /// A look on the way of an API call.
    pub(super) fn look(&mut self, truth: &Truth, id: &str) {
        self.catch_up_to_a_passage(truth, id);
        self.observe(truth, id, Source::Authorization, Saw::Changed);
    }

    /// A look may be ahead of the stream, but not by a whole passage: that takes longer than an event.
    fn catch_up_to_a_passage(&mut self, truth: &Truth, id: &str) {
        while self.pending.iter().filter(|it| it.id == id && it.saw == Saw::Started).count() > 1 {
            self.deliver(truth, Look::Seen);
        }
    }

    fn observe(&mut self, truth: &Truth, id: &str, source: Source, saw: Saw) {
        if let Some(observation) = truth.inspect(id) {
            self.tell(truth, id, source, saw, Some(observation));
        }
    }

    fn tell(&mut self, truth: &Truth, id: &str, source: Source, saw: Saw, seen: Option<Box<Observation>>) {
        let signal = Signal::new(truth.subject(id), source, truth.now(), saw);
        self.see(Signal { observation: seen, ..signal });
    }

    /// Compares what is with what is known.
    pub(super) fn reconcile(&mut self, truth: &Truth, how: How) {
        for listed in truth.list() {
            self.catch_up_to_a_passage(truth, &listed.id);
        }
        let plan = plan(&self.tracker.known(&truth.engine), &truth.list(), how);
        // What the engine remembers is read first, or it is waited for.
        while self.pending.iter().any(|it| plan.missing.iter().any(|id| **id == *it.id)) {
            self.deliver(truth, Look::Seen);
        }
        for id in &plan.missing {
            self.tell(truth, id, Source::Reconcile, Saw::Removed, None);
        }
        for id in &plan.changed {
            self.observe(truth, id, Source::Reconcile, Saw::Changed);
        }
        for id in &plan.unknown {
            self.observe(truth, id, Source::Reconcile, Saw::Found { since: self.since });
        }
    }

    /// Another process goes on from the journal.
    pub(super) fn restart(&mut self, truth: &Truth) {
        let lives = std::mem::take(&mut self.journal);
        self.tracker = Tracker::default();
        self.tracker.restore(lives.iter().map(|(subject, text)| {
            (subject.clone(), serde_json::from_str(text).expect("a life can be read back"))
        }));
        self.journal = lives;
        self.meet(truth);
    }

    /// The engine goes away, with all events that are on their way.
    pub(super) fn engine_gone(&mut self, truth: &Truth) {
        self.pending.clear();
        let saw = Saw::Reached(Point::DaemonStop);
        self.see(Signal::new(engine(truth), Source::Authorization, truth.now(), saw));
    }

    /// How far a container is known to have come.
    pub(super) fn stage(&self, truth: &Truth, id: &str) -> Option<Stage> {
        self.tracker.life(&truth.subject(id)).map(Life::stage)
    }

    /// The name by which it is known.
    pub(super) fn name(&self, truth: &Truth, id: &str) -> Option<String> {
        self.tracker.life(&truth.subject(id)).and_then(|it| it.facts().name.clone())
    }
}

fn engine(truth: &Truth) -> Subject {
    Subject::new(&truth.engine, SubjectKind::Engine, "")
}
