//! One container's life so far.
//!
//! The event stream tells every change, each at its turn; a look or a comparison may be ahead of
//! it, or make up for what it lost. `State.StartedAt` tells one stretch of running from the next,
//! so that the same start or end, told twice, is one event.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::calls::Calls;
use super::facts::Liveness;
use super::signal::{CallKind, Process, Source};
use super::{Cause, Detail, Event, Exit, Facts, Observation, Point, Reason, Subject};

/// How long after `State.StartedAt` the event stream tells a start, at most. It is milliseconds; the
/// rest is for an engine that has to wait for a disk.
const START_TOLD_WITHIN: SignedDuration = SignedDuration::from_secs(15);

/// How long after `State.FinishedAt` the event stream tells an end, at most. From 23.0 on the engine
/// takes down networks and volumes first, and gives each plugin that does not answer 15 s a call.
const END_TOLD_WITHIN: SignedDuration = SignedDuration::from_secs(180);

/// One container's life so far: what has to be remembered of it to go on from there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// The engine went away while it ran, and has not been seen to run since.
    #[serde(default)]
    bereft: bool,
    /// The ids of the networks that the stream has told of, and whether it is attached to them.
    attached: BTreeMap<String, bool>,
    /// The volumes whose mounts a gate was asked about, and which the stream has yet to tell.
    #[serde(default)]
    mounts_asked: BTreeSet<String>,
    /// The volumes that somebody reaches into while it runs, and how often.
    #[serde(default)]
    reached_into: BTreeMap<String, u32>,
    /// A start that the event stream has yet to tell.
    start_awaited: bool,
    /// An end that the event stream has yet to tell.
    end_awaited: bool,
    /// A name that a comparison has told, and the event stream has yet to tell.
    #[serde(default)]
    name_awaited: Option<String>,
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

/// The points that one signal makes a container reach.
pub(super) struct Reached<'a> {
    pub(super) subject: &'a Subject,
    pub(super) source: Source,
    pub(super) calls: &'a mut Calls,
    pub(super) events: Vec<Event>,
}

impl Reached<'_> {
    pub(super) fn push(&mut self, life: &Life, point: Point, at: Timestamp, cause: Cause) {
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

    /// Who is behind what nobody asked for.
    pub(super) fn unasked(&self) -> Cause {
        match self.source {
            Source::Reconcile => Cause::Reconcile,
            Source::Events | Source::Authorization => Cause::Engine,
        }
    }

    fn cause(&self, asked: Option<CallKind>) -> Cause {
        asked.map_or_else(|| self.unasked(), |_| Cause::Api)
    }

    /// The call that the change is due to, if one asked for it.
    fn asked_for(&self, life: &Life, kinds: &[CallKind]) -> Option<CallKind> {
        self.calls.find(kinds, &self.subject.id, life.facts.name.as_deref())
    }

    fn settle(&mut self, life: &Life, kinds: &[CallKind]) {
        self.calls.settle(kinds, &self.subject.id, life.facts.name.as_deref());
    }
}

/// What has been learned of it.
impl Life {
    pub(super) fn new() -> Life {
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
            bereft: false,
            attached: BTreeMap::new(),
            mounts_asked: BTreeSet::new(),
            reached_into: BTreeMap::new(),
            start_awaited: false,
            end_awaited: false,
            name_awaited: None,
        }
    }

    /// The container as last known.
    pub fn facts(&self) -> &Arc<Facts> {
        &self.facts
    }

    /// How far it has come.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Its present or latest passage, counted from 1; 0 before the first start.
    pub fn passage(&self) -> u32 {
        self.passage
    }

    /// When that passage began: `State.StartedAt`, or the time of the event that told of it.
    pub fn started_at(&self) -> Option<Timestamp> {
        self.start.map(Start::at)
    }

    /// How that passage ended, if it is over.
    pub fn exit(&self) -> Option<Exit> {
        self.exit
    }

    /// Whether a call that a hook made itself has made it.
    pub fn is_nested(&self) -> bool {
        self.nested
    }

    /// Whether nothing has been told of it: neither that it was made nor what it does.
    pub(super) fn is_unheard_of(&self) -> bool {
        self.stage == Stage::Unknown && !self.creation_told
    }

    pub(super) fn is_hooks_own(&mut self) {
        self.nested = true;
    }

    pub(super) fn is_killed(&mut self) {
        self.killed = true;
    }

    pub(super) fn is_out_of_memory(&mut self) {
        self.out_of_memory = true;
    }

    /// The engine has gone away: what it was doing may end without a word.
    pub(super) fn engine_gone(&mut self) {
        self.bereft = self.stage == Stage::Running;
    }

    pub(super) fn learn(&mut self, observation: &Observation) {
        let liveness = match observation.process.is_running() {
            true => Liveness::Running,
            false => Liveness::NotRunning,
        };
        let mut facts = (*self.facts).clone();
        facts.learn(observation.facts.clone(), liveness);
        if facts != *self.facts {
            self.facts = Arc::new(facts);
        }
    }

    /// A driver has been told that it is about to start.
    pub(super) fn arrives(&mut self, told: &Facts) {
        let mut facts = (*self.facts).clone();
        facts.arrive(told);
        self.facts = Arc::new(facts);
    }

    /// A gate is asked whether a volume may be mounted for it: that it was is no news then.
    pub(super) fn mount_is_asked(&mut self, volume: &str) {
        self.mounts_asked.insert(volume.to_owned());
    }

    pub(super) fn learn_for_want_of_better(&mut self, mut told: Facts) {
        if self.facts.labels.is_none() {
            told.learn((*self.facts).clone(), Liveness::NotRunning);
            self.facts = Arc::new(told);
        }
    }
}

/// What is told of it.
impl Life {
    pub(super) fn created(&mut self, at: Timestamp, reached: &mut Reached<'_>) {
        if mem::replace(&mut self.creation_told, true) {
            return;
        }
        if self.stage == Stage::Unknown {
            self.stage = Stage::Created;
        }
        let cause = if reached.calls.any_create() { Cause::Api } else { reached.unasked() };
        reached.push(self, Point::PostCreate, at, cause);
    }

    /// The event stream tells a point that leads to no other.
    ///
    /// Up to 26 the engine tells one disconnection twice.
    pub(super) fn passes(
        &mut self,
        point: Point,
        at: Timestamp,
        detail: Option<Arc<Detail>>,
        reached: &mut Reached<'_>,
    ) {
        let network = detail.as_ref().and_then(|it| it.network.as_ref()).and_then(|it| it.id.clone());
        let volume = detail.as_ref().and_then(|it| it.volume.as_ref()).and_then(|it| it.name.clone());
        let is_news = match (point, network) {
            (Point::NetworkConnect, Some(id)) => self.attached.insert(id, true) != Some(true),
            (Point::NetworkDisconnect, Some(id)) => self.attached.insert(id, false) != Some(false),
            (Point::Reconcile, _) => self.stage == Stage::Running,
            (Point::VolumeMount, _) => {
                volume.is_none_or(|it| !self.mounts_asked.remove(&it) && !self.is_reached_into(it, at))
            }
            (Point::VolumeUnmount, _) => volume.is_none_or(|it| !self.is_let_go(&it)),
            _ => true,
        };
        if is_news {
            self.tell_about(detail, point, at, reached);
        }
    }

    /// A volume is mounted in it: whether that is for somebody who reaches into it. Its own are mounted before it
    /// starts, `docker cp` mounts them once more, and unmounts them after that (`containerArchivePath` in moby,
    /// `daemon/archive.go`).
    fn is_reached_into(&mut self, volume: String, at: Timestamp) -> bool {
        let runs = self.stage == Stage::Running && self.start.is_some_and(|it| it.at() < at);
        if runs {
            *self.reached_into.entry(volume).or_default() += 1;
        }
        runs
    }

    /// A volume is unmounted from it: whether somebody has reached into it, and it uses the volume still.
    fn is_let_go(&mut self, volume: &str) -> bool {
        let Some(times) = self.reached_into.get_mut(volume) else { return false };
        *times -= 1;
        if *times == 0 {
            self.reached_into.remove(volume);
        }
        true
    }

    /// The event stream tells that it is called `name` now, instead of `old_name`.
    pub(super) fn name_told(
        &mut self,
        name: Option<&str>,
        old_name: Option<String>,
        at: Timestamp,
        reached: &mut Reached<'_>,
    ) {
        let awaited = self.name_awaited.take();
        if awaited.is_none() || awaited.as_deref() != name {
            self.renamed(old_name, at, reached);
        }
    }

    /// A comparison has found it under another name than `old_name`.
    pub(super) fn name_found(&mut self, old_name: Option<String>, at: Timestamp, reached: &mut Reached<'_>) {
        if old_name.is_some() && old_name != self.facts.name {
            self.name_awaited.clone_from(&self.facts.name);
            self.renamed(old_name, at, reached);
        }
    }

    fn renamed(&mut self, old_name: Option<String>, at: Timestamp, reached: &mut Reached<'_>) {
        let detail = Some(Arc::new(Detail { old_name, ..Detail::default() }));
        self.tell_about(detail, Point::Rename, at, reached);
    }

    fn tell_about(
        &self,
        detail: Option<Arc<Detail>>,
        point: Point,
        at: Timestamp,
        reached: &mut Reached<'_>,
    ) {
        reached.push(self, point, at, reached.unasked());
        if let Some(event) = reached.events.last_mut() {
            event.detail = detail;
        }
    }

    /// The event stream tells a start.
    pub(super) fn start_told(&mut self, at: Timestamp, process: Option<Process>, reached: &mut Reached<'_>) {
        if self.is_behind(at) {
            return;
        }
        // A look-up that came too late shows a later start, or none any more.
        let exact = process.and_then(|it| it.started_at()).filter(|it| *it <= at);
        let awaited = mem::take(&mut self.start_awaited);
        let known = match (exact, self.start) {
            (Some(exact), _) => self.is_this_start(exact),
            (None, Some(start)) => awaited && at.duration_since(start.at()) <= START_TOLD_WITHIN,
            (None, None) => false,
        };
        if known {
            return;
        }
        if self.stage == Stage::Running {
            self.end(Exit { code: None, at: None }, at, reached);
        }
        self.begin(exact.map_or(Start::By(at), Start::Exact), at, reached);
    }

    /// The event stream tells an end.
    pub(super) fn end_told(&mut self, exit: Exit, at: Timestamp, reached: &mut Reached<'_>) {
        if self.is_behind(at) {
            return;
        }
        self.start_awaited = false;
        match self.stage {
            Stage::Running => self.end(exit, at, reached),
            Stage::Ended if mem::take(&mut self.end_awaited) && self.is_this_end(at) => {}
            // The start went unseen. Before anything was seen, that is because it came before us.
            Stage::Unknown => {
                self.passage = 1;
                self.end(exit, at, reached);
            }
            Stage::Created | Stage::Ended => {
                self.begin(Start::By(at), at, reached);
                self.end(exit, at, reached);
            }
        }
    }

    pub(super) fn removed(&mut self, at: Timestamp, reached: &mut Reached<'_>) {
        if self.stage == Stage::Running {
            self.end(Exit { code: None, at: None }, at, reached);
        }
        let asked = reached.asked_for(self, &[CallKind::Remove]);
        // What nothing was told of has gone unseen as a whole, if it is only missed.
        if reached.source != Source::Reconcile || !self.is_unheard_of() {
            reached.push(self, Point::PostRemove, at, reached.cause(asked));
        }
        reached.settle(
            self,
            &[CallKind::Remove, CallKind::Start, CallKind::Stop, CallKind::Restart, CallKind::Kill],
        );
    }

    /// It was not known until now. What it did up to `since` was before anybody looked: it is taken
    /// as it was then, and what it has done after that is told.
    pub(super) fn found(
        &mut self,
        since: Timestamp,
        at: Timestamp,
        process: Process,
        reached: &mut Reached<'_>,
    ) {
        let made_at = self.facts.created_at.as_deref().and_then(|it| it.parse::<Timestamp>().ok());
        match made_at {
            Some(made_at) if made_at > since => self.created(made_at, reached),
            None if since == Timestamp::MIN => self.created(at, reached),
            _ => self.creation_told = true,
        }
        self.adopt(since, process);
        self.observed(at, process, reached);
    }

    /// Takes the container as it was at `since`, without a point.
    pub(super) fn adopt(&mut self, since: Timestamp, process: Process) {
        if !matches!(self.stage, Stage::Unknown | Stage::Created) || self.passage > 0 {
            return;
        }
        match process {
            Process::Ended { started_at, finished_at, code, .. } if finished_at <= since => {
                self.stage = Stage::Ended;
                self.passage = 1;
                self.start = Some(Start::Exact(started_at));
                self.exit = Some(Exit { code: Some(code), at: Some(finished_at) });
                self.reason = Some(Reason::Unknown);
            }
            Process::Running { started_at } | Process::Ended { started_at, .. } if started_at <= since => {
                self.stage = Stage::Running;
                self.passage = 1;
                self.start = Some(Start::Exact(started_at));
            }
            _ => self.stage = Stage::Created,
        }
    }

    /// It is about to start, so the passage before is over, although nobody has told that yet.
    pub(super) fn starts_again(&mut self, at: Timestamp, reached: &mut Reached<'_>) {
        if self.stage == Stage::Running {
            self.end(Exit { code: None, at: Some(at) }, at, reached);
            self.end_awaited = true;
        }
    }

    /// A look at it, perhaps ahead of the event stream, perhaps in place of what that has lost.
    pub(super) fn observed(&mut self, at: Timestamp, process: Process, reached: &mut Reached<'_>) {
        match process {
            Process::NeverStarted => {}
            Process::Running { started_at } => {
                self.observed_start(started_at, at, reached);
                self.bereft &= !self.is_this_start(started_at);
            }
            Process::Ended { started_at, finished_at, code, out_of_memory } => {
                self.observed_start(started_at, at, reached);
                if self.stage == Stage::Running && self.is_this_start(started_at) {
                    self.out_of_memory |= out_of_memory;
                    self.end(Exit { code: Some(code), at: Some(finished_at) }, finished_at, reached);
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
            self.end(Exit { code: None, at: None }, at, reached);
        }
        self.begin(Start::Exact(started_at), started_at, reached);
        self.start_awaited = true;
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
        self.bereft = false;
        self.end_awaited = false;
        self.reached_into.clear();
        reached.push(self, Point::PostStart, at, reached.cause(asked));
        reached.settle(self, &[CallKind::Start, CallKind::Restart, CallKind::Stop]);
    }

    fn end(&mut self, exit: Exit, at: Timestamp, reached: &mut Reached<'_>) {
        const ENDING: &[CallKind] = &[CallKind::Stop, CallKind::Restart, CallKind::Kill, CallKind::Remove];
        let asked = reached.asked_for(self, ENDING);
        let seen = exit.at.is_some() && reached.source != Source::Reconcile;
        self.stage = Stage::Ended;
        self.exit = Some(exit);
        self.reason = Some(match asked {
            _ if self.out_of_memory => Reason::Oom,
            Some(CallKind::Stop | CallKind::Restart) => Reason::Stop,
            Some(_) => Reason::Kill,
            // An engine that comes back ends what it finds running, and tells that it kills it.
            None if self.bereft && (self.killed || reached.source != Source::Events || !seen) => {
                Reason::Daemon
            }
            None if self.killed => Reason::Kill,
            None if seen => Reason::Exit,
            None => Reason::Unknown,
        });
        self.bereft = false;
        reached.push(self, Point::PostStop, at, reached.cause(asked));
        // A restart has its start to explain yet, a removal its end.
        reached.settle(self, &[CallKind::Stop, CallKind::Kill]);
    }

    /// Whether a look has gone ahead of the event stream, and `at` is before what it showed.
    fn is_behind(&self, at: Timestamp) -> bool {
        (self.start_awaited || self.end_awaited) && self.start.is_some_and(|it| it.at() > at)
    }

    /// Whether the event stream, at `at`, may tell the end that a look has shown.
    fn is_this_end(&self, at: Timestamp) -> bool {
        self.exit.and_then(|it| it.at).is_some_and(|it| at.duration_since(it) <= END_TOLD_WITHIN)
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
