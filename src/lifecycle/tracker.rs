//! From what was seen to what it means.
//!
//! The event stream tells every change, each at its turn. Authorization tells some of them too,
//! sometimes before the stream does, because it looks the container up. `State.StartedAt` tells
//! one stretch of running from the next, so that the same start or end, told twice, is one event.

use std::collections::{HashMap, HashSet, VecDeque};
use std::mem;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::calls::Calls;
use super::facts::Liveness;
use super::signal::{Call, CallKind, Process, Saw, Signal, Source, Turn};
use super::{Cause, Detail, Event, Exit, Facts, Point, Question, Reason, Subject, SubjectKind};

/// How many removed containers are remembered, so that a late signal does not bring one back. Far
/// more than are removed while a signal can be under way.
const GONE_MAX: usize = 4096;

/// How long a new container waits for the answer that tells whether a hook made it. The engine
/// tells the creation about a millisecond before it answers the call.
const PARKED_MAX: SignedDuration = SignedDuration::from_secs(2);

/// What is known of every container, and which points each has reached.
///
/// State of one engine's containers; it is owned by one task and sent signals.
#[derive(Debug, Default)]
pub struct Tracker {
    lives: HashMap<Subject, Life>,
    calls: Calls,
    parked: HashMap<Subject, Vec<Signal>>,
    gone: Gone,
    volumes: HashSet<Subject>,
}

/// One container's life so far: what has to be remembered of it to go on from there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Life {
    facts: Arc<Facts>,
    stage: Stage,
    creation_told: bool,
    /// Counted from 1; 0 before the first start.
    passage: u32,
    start: Option<Start>,
    exit: Option<Exit>,
    reason: Option<Reason>,
    killed: bool,
    out_of_memory: bool,
    nested: bool,
    /// The ids of the networks that the stream has told of, and whether it is attached to them.
    attached: HashMap<String, bool>,
    /// A start that the event stream has yet to tell.
    start_awaited: bool,
    /// An end that the event stream has yet to tell.
    end_awaited: bool,
}

/// How far a container has come in the present passage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Nothing has been seen of it yet.
    Unknown,
    /// It exists, and has not run.
    Created,
    /// Its process runs.
    Running,
    /// Its process has ended.
    Ended,
}

/// When a passage began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Start {
    /// `State.StartedAt`.
    Exact(Timestamp),
    /// The time of the start event, which is at or after `State.StartedAt`.
    By(Timestamp),
}

impl Tracker {
    /// Takes in what was seen, and tells the points that have been reached by it, in order.
    pub fn see(&mut self, signal: Signal) -> Vec<Event> {
        if self.gone.contains(&signal.subject) {
            return Vec::new();
        }
        if let Some(parked) = self.parked.get_mut(&signal.subject) {
            parked.push(signal);
            return Vec::new();
        }
        let is_new = !self.lives.contains_key(&signal.subject);
        if is_new && signal.source == Source::Events && self.calls.any_nested_create() {
            self.parked.insert(signal.subject.clone(), vec![signal]);
            return Vec::new();
        }
        self.apply(signal)
    }

    /// Takes in that an API call was let through or answered, and tells the points that are known
    /// to have been reached now that it is clear who made a container.
    pub fn hear(&mut self, call: &Call) -> Vec<Event> {
        let nested = self.calls.note(call);
        let mut events = Vec::new();
        if let Turn::Closed { created: Some(id) } = &call.turn {
            let subject = Subject::container(&call.engine, id);
            if nested && !self.gone.contains(&subject) {
                self.lives.entry(subject.clone()).or_insert_with(Life::new).nested = true;
            }
            events.extend(self.release(&subject));
        }
        if !self.calls.any_nested_create() {
            let waiting: Vec<Subject> = self.parked.keys().cloned().collect();
            events.extend(waiting.iter().flat_map(|subject| self.release(subject)));
        }
        events
    }

    /// What a gate is about, with everything that is known of its subject, and the points that
    /// turn out to have been reached before it.
    pub fn ask(&mut self, question: &Question) -> (Vec<Event>, Event) {
        let before = match &question.observation {
            Some(observation) => self.see(Signal {
                observation: Some(observation.clone()),
                ..Signal::new(question.subject.clone(), Source::Authorization, question.at, Saw::Changed)
            }),
            None => Vec::new(),
        };
        let life = self.lives.get(&question.subject);
        let asked = Event {
            point: question.point,
            subject: question.subject.clone(),
            passage: life.map_or(0, |it| it.passage) + u32::from(question.point == Point::PreStart),
            at: question.at,
            cause: Cause::Api,
            reason: None,
            exit: life.and_then(|it| it.exit),
            facts: life.map_or_else(|| question.facts.clone(), |it| it.facts.clone()),
            detail: question.detail.clone(),
            request: Some(question.request.clone()),
            nested: life.is_some_and(|it| it.nested),
        };
        (before, asked)
    }

    /// Whether what `event` told of is over, so that trying again makes no sense: the passage for
    /// a start, the container for a creation. Ends and removals stay what they are.
    pub fn is_over(&self, event: &Event) -> bool {
        let life = self.lives.get(&event.subject);
        match event.point {
            Point::PostCreate => life.is_none(),
            Point::PostStart => {
                life.is_none_or(|it| it.stage != Stage::Running || it.passage != event.passage)
            }
            _ => false,
        }
    }

    /// Whether [`Tracker::tick`] has something to do before long.
    pub fn wants_tick(&self) -> bool {
        !self.parked.is_empty()
    }

    /// Lets go of what has waited long enough.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Event> {
        let overdue: Vec<Subject> = self
            .parked
            .iter()
            .filter(|(_, signals)| signals.iter().all(|it| now.duration_since(it.at) > PARKED_MAX))
            .map(|(subject, _)| subject.clone())
            .collect();
        overdue.iter().flat_map(|subject| self.release(subject)).collect()
    }

    /// What happens to anything but a container. Nothing is kept of it, but that a volume exists:
    /// up to 23.0 the engine tells the creation of a volume again whenever a container is made
    /// that uses it.
    fn other(&mut self, signal: Signal) -> Vec<Event> {
        let Saw::Reached(point) = signal.saw else { return Vec::new() };
        let is_news = match point {
            Point::VolumePostCreate => self.volumes.insert(signal.subject.clone()),
            Point::VolumePostRemove => {
                self.volumes.remove(&signal.subject);
                true
            }
            _ => true,
        };
        let event = Event {
            point,
            subject: signal.subject,
            passage: 0,
            at: signal.at,
            cause: Cause::Engine,
            reason: None,
            exit: None,
            facts: signal.told.map_or_else(Arc::default, |it| Arc::new(*it)),
            detail: signal.detail,
            request: None,
            nested: false,
        };
        if is_news { vec![event] } else { Vec::new() }
    }

    /// Volumes that were there before anybody looked.
    pub fn know_volumes(&mut self, volumes: impl IntoIterator<Item = Subject>) {
        self.volumes.extend(volumes);
    }

    fn release(&mut self, subject: &Subject) -> Vec<Event> {
        let parked = self.parked.remove(subject).unwrap_or_default();
        parked.into_iter().flat_map(|signal| self.apply(signal)).collect()
    }

    fn apply(&mut self, signal: Signal) -> Vec<Event> {
        if signal.subject.kind != SubjectKind::Container {
            return self.other(signal);
        }
        let Signal { subject, source, at, mark: _, saw, mut detail, told, observation } = signal;
        let life = self.lives.entry(subject.clone()).or_insert_with(Life::new);
        let old_name = life.facts.name.clone();
        if let Some(observation) = &observation {
            life.learn(&observation.facts, observation.process.is_running());
        }
        if let Some(told) = told.filter(|_| life.facts.labels.is_none()) {
            life.learn_for_want_of_better(*told);
        }
        let process = observation.map(|it| it.process);
        let mut reached = Reached { subject: &subject, calls: &mut self.calls, events: Vec::new() };
        match (saw, source) {
            (Saw::Created, _) => life.created(at, &mut reached),
            (Saw::Started, _) => life.start_told(at, process, &mut reached),
            (Saw::Ended { code }, _) => life.end_told(Exit { code, at: Some(at) }, &mut reached),
            (Saw::Killed, _) => life.killed = true,
            (Saw::OutOfMemory, _) => {
                life.out_of_memory = true;
                reached.push(life, Point::Oom, at, Cause::Engine);
            }
            (Saw::Reached(Point::Rename), _) => {
                reached.push(life, Point::Rename, at, Cause::Engine);
                detail = Some(Arc::new(Detail { old_name, ..Detail::default() }));
            }
            (Saw::Reached(point), _) => life.reached(point, at, detail.as_ref(), &mut reached),
            (Saw::Removed, _) => life.removed(at, &mut reached),
            (Saw::Changed, Source::Authorization | Source::Reconcile) => {
                life.observed(at, process, &mut reached)
            }
            (Saw::Changed, Source::Events) => life.adopt(process),
        }
        let mut events = reached.events;
        if let Some(detail) = detail {
            events.iter_mut().for_each(|it| it.detail = Some(detail.clone()));
        }
        if saw == Saw::Removed {
            self.lives.remove(&subject);
            self.gone.insert(subject);
        }
        events
    }
}

/// The points that one signal makes a container reach.
struct Reached<'a> {
    subject: &'a Subject,
    calls: &'a mut Calls,
    events: Vec<Event>,
}

impl Reached<'_> {
    fn push(&mut self, life: &Life, point: Point, at: Timestamp, cause: Cause) {
        self.events.push(Event {
            point,
            subject: self.subject.clone(),
            passage: life.passage,
            at,
            cause,
            reason: life.reason.filter(|_| life.exit.is_some()),
            exit: life.exit,
            facts: life.facts.clone(),
            detail: None,
            request: None,
            nested: life.nested,
        });
    }

    /// The call that the change is due to, if one asked for it.
    fn asked_for(&self, life: &Life, kinds: &[CallKind]) -> Option<CallKind> {
        self.calls.find(kinds, &self.subject.id, life.facts.name.as_deref())
    }

    fn settle(&mut self, life: &Life, kinds: &[CallKind]) {
        self.calls.settle(kinds, &self.subject.id, life.facts.name.as_deref());
    }
}

fn cause(asked: Option<CallKind>) -> Cause {
    asked.map_or(Cause::Engine, |_| Cause::Api)
}

impl Life {
    fn new() -> Life {
        Life {
            facts: Arc::default(),
            stage: Stage::Unknown,
            creation_told: false,
            passage: 0,
            start: None,
            exit: None,
            reason: None,
            killed: false,
            out_of_memory: false,
            nested: false,
            attached: HashMap::new(),
            start_awaited: false,
            end_awaited: false,
        }
    }

    fn learn(&mut self, newer: &Facts, running: bool) {
        let liveness = if running { Liveness::Running } else { Liveness::NotRunning };
        Arc::make_mut(&mut self.facts).learn(newer.clone(), liveness);
    }

    fn learn_for_want_of_better(&mut self, mut told: Facts) {
        told.learn((*self.facts).clone(), Liveness::NotRunning);
        self.facts = Arc::new(told);
    }

    fn created(&mut self, at: Timestamp, reached: &mut Reached<'_>) {
        if mem::replace(&mut self.creation_told, true) {
            return;
        }
        if self.stage == Stage::Unknown {
            self.stage = Stage::Created;
        }
        let cause = if reached.calls.any_create() { Cause::Api } else { Cause::Engine };
        reached.push(self, Point::PostCreate, at, cause);
    }

    /// The event stream tells a point that leads to no other.
    ///
    /// Up to 26 the engine tells one disconnection twice.
    fn reached(
        &mut self,
        point: Point,
        at: Timestamp,
        detail: Option<&Arc<Detail>>,
        reached: &mut Reached<'_>,
    ) {
        let network = detail.and_then(|it| it.network.as_ref()).and_then(|it| it.id.clone());
        let is_news = match (point, network) {
            (Point::NetworkConnect, Some(id)) => self.attached.insert(id, true) != Some(true),
            (Point::NetworkDisconnect, Some(id)) => self.attached.insert(id, false) != Some(false),
            _ => true,
        };
        if is_news {
            reached.push(self, point, at, Cause::Engine);
        }
    }

    /// The event stream tells a start.
    fn start_told(&mut self, at: Timestamp, process: Option<Process>, reached: &mut Reached<'_>) {
        // A look-up that came too late shows a later start, or none any more.
        let exact = match process {
            Some(Process::Running { started_at } | Process::Ended { started_at, .. }) => {
                Some(started_at).filter(|it| *it <= at)
            }
            _ => None,
        };
        let known = match exact {
            Some(exact) => self.is_this_start(exact),
            None => self.start_awaited,
        };
        self.start_awaited = false;
        if known {
            return;
        }
        if self.stage == Stage::Running {
            self.end(Exit { code: None, at: None }, at, None, reached);
        }
        self.begin(exact.map_or(Start::By(at), Start::Exact), at, reached);
    }

    /// The event stream tells an end.
    fn end_told(&mut self, exit: Exit, reached: &mut Reached<'_>) {
        let at = exit.at.expect("an end that is told has a time");
        match self.stage {
            Stage::Running if self.start.is_some_and(|it| it.at() > at) => {}
            Stage::Running => self.end(exit, at, None, reached),
            Stage::Ended if self.end_awaited => self.end_awaited = false,
            // The start went unseen. Before anything was seen, that is because it came before us.
            Stage::Unknown => {
                self.passage = 1;
                self.end(exit, at, None, reached);
            }
            Stage::Created | Stage::Ended => {
                self.begin(Start::By(at), at, reached);
                self.end(exit, at, None, reached);
            }
        }
    }

    fn removed(&mut self, at: Timestamp, reached: &mut Reached<'_>) {
        if self.stage == Stage::Running {
            self.end(Exit { code: None, at: None }, at, None, reached);
        }
        let asked = reached.asked_for(self, &[CallKind::Remove]);
        reached.push(self, Point::PostRemove, at, cause(asked));
        reached.settle(
            self,
            &[CallKind::Remove, CallKind::Start, CallKind::Stop, CallKind::Restart, CallKind::Kill],
        );
    }

    /// A look-up on the way of an API call, perhaps ahead of the event stream.
    fn observed(&mut self, at: Timestamp, process: Option<Process>, reached: &mut Reached<'_>) {
        if self.stage == Stage::Unknown {
            return self.adopt(process);
        }
        match process {
            None | Some(Process::NeverStarted) => {}
            Some(Process::Running { started_at }) => self.observed_start(started_at, at, reached),
            Some(Process::Ended { started_at, finished_at, code, out_of_memory }) => {
                self.observed_start(started_at, at, reached);
                if self.stage == Stage::Running && self.is_this_start(started_at) {
                    self.out_of_memory |= out_of_memory;
                    self.end(Exit { code: Some(code), at: Some(finished_at) }, finished_at, None, reached);
                    self.end_awaited = true;
                }
            }
        }
    }

    /// Begins the passage that `started_at` belongs to, unless it is the present one or an older.
    fn observed_start(&mut self, started_at: Timestamp, at: Timestamp, reached: &mut Reached<'_>) {
        if self.is_this_start(started_at) || self.start.is_some_and(|it| started_at < it.at()) {
            return;
        }
        if self.stage == Stage::Running {
            self.end(Exit { code: None, at: None }, at, Some(Reason::Unknown), reached);
        }
        self.begin(Start::Exact(started_at), started_at, reached);
        self.start_awaited = true;
    }

    /// Takes the container as it is, without a point: it was there before anybody looked.
    fn adopt(&mut self, process: Option<Process>) {
        if self.stage != Stage::Unknown {
            return;
        }
        match process {
            None => {}
            Some(Process::NeverStarted) => self.stage = Stage::Created,
            Some(Process::Running { started_at }) => {
                self.stage = Stage::Running;
                self.passage = 1;
                self.start = Some(Start::Exact(started_at));
            }
            Some(Process::Ended { started_at, finished_at, code, .. }) => {
                self.stage = Stage::Ended;
                self.passage = 1;
                self.start = Some(Start::Exact(started_at));
                self.exit = Some(Exit { code: Some(code), at: Some(finished_at) });
                self.reason = Some(Reason::Unknown);
            }
        }
    }

    fn begin(&mut self, start: Start, at: Timestamp, reached: &mut Reached<'_>) {
        let asked = reached.asked_for(self, &[CallKind::Start, CallKind::Restart]);
        self.stage = Stage::Running;
        self.passage += 1;
        self.start = Some(start);
        self.exit = None;
        self.reason = None;
        self.killed = false;
        self.out_of_memory = false;
        self.end_awaited = false;
        reached.push(self, Point::PostStart, at, cause(asked));
        reached.settle(self, &[CallKind::Start, CallKind::Restart, CallKind::Stop]);
    }

    fn end(&mut self, exit: Exit, at: Timestamp, reason: Option<Reason>, reached: &mut Reached<'_>) {
        const ENDING: &[CallKind] = &[CallKind::Stop, CallKind::Restart, CallKind::Kill, CallKind::Remove];
        let asked = reached.asked_for(self, ENDING);
        self.stage = Stage::Ended;
        self.exit = Some(exit);
        self.reason = Some(reason.unwrap_or(match (self.out_of_memory, asked) {
            (true, _) => Reason::Oom,
            (false, Some(CallKind::Stop | CallKind::Restart)) => Reason::Stop,
            (false, Some(_)) => Reason::Kill,
            (false, None) if self.killed => Reason::Kill,
            (false, None) if exit.at.is_none() => Reason::Unknown,
            (false, None) => Reason::Exit,
        }));
        reached.push(self, Point::PostStop, at, cause(asked));
        // A restart has its start to explain yet, a removal its end.
        reached.settle(self, &[CallKind::Stop, CallKind::Kill]);
    }

    /// Whether `started_at` is the `State.StartedAt` of the latest passage; remembers it if so.
    fn is_this_start(&mut self, started_at: Timestamp) -> bool {
        let is = match self.start {
            Some(Start::Exact(at)) => return at == started_at,
            Some(Start::By(at)) => started_at <= at,
            // Its end was seen, its start was not.
            None => self.exit.and_then(|it| it.at).is_some_and(|end| started_at <= end),
        };
        if is {
            self.start = Some(Start::Exact(started_at));
        }
        is
    }
}

impl Start {
    fn at(self) -> Timestamp {
        let (Start::Exact(at) | Start::By(at)) = self;
        at
    }
}

/// The containers removed last.
#[derive(Debug, Default)]
struct Gone {
    order: VecDeque<Subject>,
    all: HashSet<Subject>,
}

impl Gone {
    fn contains(&self, subject: &Subject) -> bool {
        self.all.contains(subject)
    }

    fn insert(&mut self, subject: Subject) {
        if self.order.len() == GONE_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
        if self.all.insert(subject.clone()) {
            self.order.push_back(subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::Tracker;
    use crate::lifecycle::{
        Call, CallKind, Cause, EngineId, Event, Facts, NetworkAttachment, Observation, Point, Process,
        Question, Reason, Request, Saw, Signal, Source, Subject, Turn,
    };

    const ID: &str = "e39197e5443675fa663dd38077a56a5bf8e4c05bc9c20ea69debda78f1ff0f80";

    fn engine() -> EngineId {
        EngineId::new("engine")
    }

    /// Milliseconds after the beginning of all tests.
    fn ms(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + millis).expect("in range")
    }

    fn told(at: i64, saw: Saw) -> Signal {
        Signal::new(Subject::container(&engine(), ID), Source::Events, ms(at), saw)
    }

    fn looked(at: i64, process: Process) -> Signal {
        Signal { source: Source::Authorization, ..told(at, Saw::Changed) }.with(process)
    }

    trait With {
        fn with(self, process: Process) -> Self;
    }

    impl With for Signal {
        fn with(mut self, process: Process) -> Signal {
            self.observation = Some(Box::new(Observation { facts: facts("web"), process }));
            self
        }
    }

    fn running(since: i64) -> Process {
        Process::Running { started_at: ms(since) }
    }

    fn ended(from: i64, to: i64) -> Process {
        Process::Ended { started_at: ms(from), finished_at: ms(to), code: 3, out_of_memory: false }
    }

    fn facts(name: &str) -> Facts {
        Facts { name: Some(name.into()), labels: Some(BTreeMap::new()), ..Facts::default() }
    }

    fn call(at: i64, kind: CallKind, target: &str) -> Call {
        Call { engine: engine(), kind, target: target.into(), turn: Turn::Opened, nested: None, at: ms(at) }
    }

    fn answered(at: i64, call: &Call, created: Option<&str>) -> Call {
        Call { turn: Turn::Closed { created: created.map(Into::into) }, at: ms(at), ..call.clone() }
    }

    fn see_all(tracker: &mut Tracker, signals: impl IntoIterator<Item = Signal>) -> Vec<Event> {
        signals.into_iter().flat_map(|it| tracker.see(it)).collect()
    }

    fn points(events: &[Event]) -> Vec<Point> {
        events.iter().map(|it| it.point).collect()
    }

    #[test]
    fn a_life_told_by_the_stream_reaches_each_point_once() {
        let mut tracker = Tracker::default();

        let events = see_all(
            &mut tracker,
            [
                told(0, Saw::Created),
                told(10, Saw::Started).with(running(9)),
                told(20, Saw::Ended { code: Some(7) }),
                told(30, Saw::Removed),
            ],
        );

        assert_eq!(
            points(&events),
            [Point::PostCreate, Point::PostStart, Point::PostStop, Point::PostRemove]
        );
        assert_eq!(events[2].exit.and_then(|it| it.code), Some(7));
        assert_eq!(events[3].facts.name.as_deref(), Some("web"));
    }

    #[test]
    fn a_creation_told_twice_is_one() {
        let mut tracker = Tracker::default();
        let by_the_answer = Signal { source: Source::Authorization, ..told(1, Saw::Created) };

        let events = see_all(&mut tracker, [told(0, Saw::Created), by_the_answer]);

        assert_eq!(points(&events), [Point::PostCreate]);
    }

    #[test]
    fn an_end_seen_by_a_look_up_is_not_told_again_by_the_stream() {
        let mut tracker = Tracker::default();
        see_all(&mut tracker, [told(0, Saw::Created), told(10, Saw::Started).with(running(9))]);

        let by_look = see_all(&mut tracker, [looked(21, ended(9, 20))]);
        let by_stream = see_all(&mut tracker, [told(22, Saw::Ended { code: Some(3) })]);

        assert_eq!(points(&by_look), [Point::PostStop]);
        assert_eq!(by_look[0].exit.and_then(|it| it.code), Some(3));
        assert_eq!(points(&by_stream), []);
    }

    #[test]
    fn a_start_seen_by_a_look_up_is_not_told_again_by_the_stream() {
        for look_at_start in [Some(running(9)), None] {
            let mut tracker = Tracker::default();
            see_all(&mut tracker, [told(0, Saw::Created)]);
            let start = told(11, Saw::Started);
            let start = look_at_start.map_or(start.clone(), |process| start.with(process));

            let by_look = see_all(&mut tracker, [looked(10, running(9))]);
            let by_stream = see_all(&mut tracker, [start]);

            assert_eq!(points(&by_look), [Point::PostStart]);
            assert_eq!(points(&by_stream), []);
        }
    }

    #[test]
    fn a_look_up_that_is_older_than_the_stream_changes_nothing() {
        let mut tracker = Tracker::default();
        see_all(
            &mut tracker,
            [
                told(0, Saw::Created),
                told(10, Saw::Started).with(running(9)),
                told(20, Saw::Ended { code: Some(0) }),
            ],
        );

        assert_eq!(points(&see_all(&mut tracker, [looked(19, running(9))])), []);

        see_all(&mut tracker, [told(30, Saw::Started).with(running(29))]);
        assert_eq!(points(&see_all(&mut tracker, [looked(25, ended(9, 20))])), []);
    }

    #[test]
    fn a_restart_seen_by_a_look_up_is_an_end_and_a_start_and_the_stream_adds_nothing() {
        let mut tracker = Tracker::default();
        see_all(&mut tracker, [told(0, Saw::Created), told(10, Saw::Started).with(running(9))]);

        let by_look = see_all(&mut tracker, [looked(32, running(30))]);
        let by_stream = see_all(
            &mut tracker,
            [told(20, Saw::Ended { code: Some(0) }), told(31, Saw::Started).with(running(30))],
        );

        assert_eq!(points(&by_look), [Point::PostStop, Point::PostStart]);
        assert_eq!(points(&by_stream), []);
    }

    #[test]
    fn a_look_up_at_a_start_that_shows_the_next_start_is_not_taken_for_this_one() {
        let mut tracker = Tracker::default();

        let events = see_all(
            &mut tracker,
            [
                told(0, Saw::Created),
                told(10, Saw::Started).with(running(29)),
                told(20, Saw::Ended { code: Some(1) }),
                told(30, Saw::Started).with(running(29)),
            ],
        );

        assert_eq!(points(&events), [Point::PostCreate, Point::PostStart, Point::PostStop, Point::PostStart]);
        assert_eq!(events.iter().map(|it| it.passage).collect::<Vec<_>>(), [0, 1, 1, 2]);
    }

    #[test]
    fn a_removal_without_an_end_tells_the_end_first() {
        let mut tracker = Tracker::default();

        let events = see_all(
            &mut tracker,
            [told(0, Saw::Created), told(10, Saw::Started).with(running(9)), told(30, Saw::Removed)],
        );

        assert_eq!(points(&events[2..]), [Point::PostStop, Point::PostRemove]);
        assert_eq!(events[2].reason, Some(Reason::Unknown));
    }

    #[test]
    fn a_container_that_was_there_before_is_taken_as_it_is() {
        let mut tracker = Tracker::default();

        assert_eq!(points(&see_all(&mut tracker, [looked(10, running(0))])), []);

        let events = see_all(&mut tracker, [told(20, Saw::Ended { code: Some(0) }), told(30, Saw::Removed)]);
        assert_eq!(points(&events), [Point::PostStop, Point::PostRemove]);
    }

    #[test]
    fn an_end_without_a_known_start_is_the_end_of_what_a_later_look_up_shows() {
        let mut tracker = Tracker::default();

        let events = see_all(
            &mut tracker,
            [told(20, Saw::Ended { code: Some(0) }), looked(25, ended(5, 19)), told(30, Saw::Removed)],
        );

        assert_eq!(points(&events), [Point::PostStop, Point::PostRemove]);
    }

    #[test]
    fn nothing_is_heard_of_a_container_after_its_removal() {
        let mut tracker = Tracker::default();
        see_all(&mut tracker, [told(0, Saw::Created), told(10, Saw::Removed)]);

        let late = Signal { source: Source::Authorization, ..told(11, Saw::Created) };

        assert_eq!(points(&see_all(&mut tracker, [late, told(12, Saw::Removed)])), []);
    }

    #[test]
    fn the_reason_of_an_end_is_what_was_known_when_it_was_seen() {
        let cases: [(&[CallKind], Option<Saw>, Reason, Cause); 6] = [
            (&[], None, Reason::Exit, Cause::Engine),
            (&[], Some(Saw::OutOfMemory), Reason::Oom, Cause::Engine),
            (&[], Some(Saw::Killed), Reason::Kill, Cause::Engine),
            (&[CallKind::Stop], Some(Saw::Killed), Reason::Stop, Cause::Api),
            (&[CallKind::Restart], Some(Saw::Killed), Reason::Stop, Cause::Api),
            (&[CallKind::Remove], Some(Saw::Killed), Reason::Kill, Cause::Api),
        ];
        for (calls, before, reason, cause) in cases {
            let mut tracker = Tracker::default();
            see_all(&mut tracker, [told(0, Saw::Created), told(10, Saw::Started).with(running(9))]);
            for kind in calls {
                tracker.hear(&call(15, *kind, "web"));
            }
            see_all(&mut tracker, before.map(|saw| told(18, saw)));

            let events = see_all(&mut tracker, [told(20, Saw::Ended { code: Some(137) })]);

            assert_eq!((events[0].reason, events[0].cause), (Some(reason), cause), "{calls:?} {before:?}");
        }
    }

    #[test]
    fn a_stop_that_ended_nothing_does_not_explain_an_end_minutes_later() {
        let mut tracker = Tracker::default();
        see_all(&mut tracker, [told(0, Saw::Created), told(10, Saw::Started).with(running(9))]);
        let stop = call(15, CallKind::Stop, "web");
        tracker.hear(&stop);
        tracker.hear(&answered(20, &stop, None));

        tracker.hear(&call(60_000, CallKind::Start, "other"));
        let events = see_all(&mut tracker, [told(60_001, Saw::Ended { code: Some(0) })]);

        assert_eq!(events[0].reason, Some(Reason::Exit));
    }

    #[test]
    fn a_start_is_put_down_to_the_call_that_asked_for_it_by_name_or_prefix() {
        for target in ["web", "/web", &ID[..8], ID] {
            let mut tracker = Tracker::default();
            see_all(&mut tracker, [told(0, Saw::Created)]);
            tracker.hear(&call(5, CallKind::Start, target));

            let events = see_all(&mut tracker, [told(10, Saw::Started).with(running(9))]);

            assert_eq!(events[0].cause, Cause::Api, "{target}");
        }
    }

    #[test]
    fn a_container_that_a_hook_made_is_marked_before_anything_is_told_of_it() {
        let mut tracker = Tracker::default();
        let create = Call { nested: Some("secret".into()), ..call(0, CallKind::Create, "") };
        tracker.hear(&create);

        let at_first = see_all(&mut tracker, [told(5, Saw::Created)]);
        let then = tracker.hear(&answered(6, &create, Some(ID)));
        let later = see_all(&mut tracker, [told(10, Saw::Started).with(running(9))]);

        assert_eq!(points(&at_first), []);
        assert_eq!(points(&then), [Point::PostCreate]);
        assert!(then[0].nested && later[0].nested);
    }

    #[test]
    fn a_secret_that_no_hook_has_makes_no_container_a_hooks_own() {
        let mut tracker = Tracker::default();
        // Let through as anybody's, as nobody has that secret.
        let create = call(0, CallKind::Create, "");
        tracker.hear(&create);
        let shown = Call { nested: Some("made up".into()), ..create };

        tracker.hear(&answered(5, &shown, Some(ID)));
        let events = see_all(&mut tracker, [told(6, Saw::Created)]);

        assert_eq!(points(&events), [Point::PostCreate]);
        assert!(!events[0].nested);
    }

    #[test]
    fn somebody_elses_container_is_only_held_up_by_a_hooks_creation() {
        let mut tracker = Tracker::default();
        let create = Call { nested: Some("secret".into()), ..call(0, CallKind::Create, "") };
        tracker.hear(&create);
        assert_eq!(points(&see_all(&mut tracker, [told(5, Saw::Created)])), []);

        let answered = tracker.hear(&answered(6, &create, None));

        assert_eq!(points(&answered), [Point::PostCreate]);
        assert!(!answered[0].nested);
    }

    #[test]
    fn a_creation_that_is_never_answered_holds_nobody_up_for_long() {
        let mut tracker = Tracker::default();
        tracker.hear(&Call { nested: Some("secret".into()), ..call(0, CallKind::Create, "") });
        see_all(&mut tracker, [told(5, Saw::Created)]);

        assert!(tracker.wants_tick());
        assert_eq!(points(&tracker.tick(ms(100))), []);
        assert_eq!(points(&tracker.tick(ms(3000))), [Point::PostCreate]);
        assert!(!tracker.wants_tick());
    }

    #[test]
    fn a_gate_knows_the_last_addresses_and_what_it_finds_is_told_first() {
        let mut tracker = Tracker::default();
        let mut start = told(10, Saw::Started).with(running(9));
        if let Some(it) = &mut start.observation {
            let network = NetworkAttachment {
                name: "bridge".into(),
                ip: Some("172.17.0.2".into()),
                ..NetworkAttachment::default()
            };
            it.facts.networks = Some(vec![network]);
        }
        see_all(&mut tracker, [told(0, Saw::Created), start]);

        let (before, asked) = tracker.ask(&Question {
            point: Point::PreRemove,
            subject: Subject::container(&engine(), ID),
            facts: Arc::default(),
            observation: looked(21, ended(9, 20)).observation,
            detail: None,
            request: Arc::new(Request {
                method: "DELETE".into(),
                uri: "/containers/web".into(),
                path: "/containers/web".into(),
                user: None,
                body: None,
            }),
            withheld: None,
            at: ms(21),
        });

        assert_eq!(points(&before), [Point::PostStop]);
        assert_eq!(asked.facts.addresses().ip, Some("172.17.0.2"));
        assert_eq!(asked.exit.and_then(|it| it.code), Some(3));
    }
}
