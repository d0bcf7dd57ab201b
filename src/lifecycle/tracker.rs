//! From what was seen to what it means.
//!
//! Each signal is taken in by the [`Life`] of its container. What has changed of a life is told to
//! whoever keeps it ([`Tracker::changed`]), so that another tracker can go on from there
//! ([`Tracker::restore`]).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::mem;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::calls::Calls;
use super::gone::Gone;
use super::known::{Known, KnownContainer};
use super::life::{Life, Reached, Stage};
use super::signal::{Call, CallKind, Process, Saw, Signal, Source, Turn};
use super::{Cause, EngineId, Event, Exit, Point, Question, Subject, SubjectKind};

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
    /// The links of the host that lead to endpoints of ours, by the ids of those.
    links: HashMap<String, String>,
    /// Since when all that happens on an engine is told; what is older was before anybody looked.
    /// Before it is known a container is taken as it is found.
    since: HashMap<EngineId, Timestamp>,
    /// Containers of which something has changed since that was last asked.
    changed: BTreeSet<Subject>,
}

impl Tracker {
    /// Takes in what was seen, and tells the points that have been reached by it, in order.
    pub fn see(&mut self, mut signal: Signal) -> Vec<Event> {
        let networks = signal.observation.iter_mut().filter_map(|it| it.facts.networks.as_mut()).flatten();
        for network in networks.filter(|it| it.veth.is_none()) {
            network.veth = network.endpoint_id.as_ref().and_then(|it| self.links.get(it)).cloned();
        }
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
                self.lives.entry(subject.clone()).or_insert_with(Life::new).is_hooks_own();
                self.changed.insert(subject.clone());
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
            None if question.is_of_driver() => self.arrives(question),
            None => Vec::new(),
        };
        let mut asked = question.event();
        if let Some(life) = self.lives.get(&question.subject) {
            asked.passage += life.passage();
            asked.exit = life.exit();
            asked.facts = life.facts().clone();
            asked.nested = life.is_nested();
        }
        (before, asked)
    }

    /// A driver has been told that a container starts. The points that turn out to have been reached before.
    fn arrives(&mut self, question: &Question) -> Vec<Event> {
        let subject = &question.subject;
        if !question.is_about_a_start() {
            return Vec::new();
        }
        let Some(mut life) = self.lives.remove(subject) else { return Vec::new() };
        let (source, calls) = (Source::Reconcile, &mut self.calls);
        let mut reached = Reached { subject, source, calls, events: Vec::new() };
        life.starts_again(question.at, &mut reached);
        let events = reached.events;
        let volume = question.detail.as_ref().and_then(|it| it.volume.as_ref()?.name.as_deref());
        match volume.filter(|_| question.point == Point::VolumeMount) {
            Some(volume) => life.mount_is_asked(volume),
            None => life.arrives(&question.facts),
        }
        self.lives.insert(subject.clone(), life);
        self.changed.insert(subject.clone());
        events
    }

    /// Whether an API client has asked for the container to be started, and has not been answered yet.
    pub fn is_start_asked_for(&self, subject: &Subject) -> bool {
        let name = self.lives.get(subject).and_then(|it| it.facts().name.clone());
        self.calls.find(&[CallKind::Start, CallKind::Restart], &subject.id, name.as_deref()).is_some()
    }

    /// The containers that the engine starts by itself, by their restart policy, and that were on `network`.
    pub fn restarting_on(&self, network: &str) -> Vec<Subject> {
        let is_on = |life: &Life| {
            let networks = life.facts().networks.iter().flatten();
            networks.into_iter().any(|it| it.network_id.as_deref() == Some(network))
        };
        let restarts = |life: &Life| life.facts().restart.as_deref().is_some_and(|it| it != "no");
        let of = self.lives.iter().filter(|(_, life)| is_on(life) && restarts(life));
        of.map(|(subject, _)| subject.clone()).collect()
    }

    /// Goes on with what was remembered of containers: whatever happens to them, or to others of their
    /// engines, from now on is told.
    pub fn restore(&mut self, lives: impl IntoIterator<Item = (Subject, Life)>) {
        for (subject, life) in lives {
            self.since.insert(subject.engine.clone(), Timestamp::MIN);
            self.lives.insert(subject, life);
        }
    }

    /// What has changed since this was last asked: each container once, with what is to be remembered
    /// of it; `None`: nothing any more.
    pub fn changed(&mut self) -> Vec<(Subject, Option<Box<Life>>)> {
        let changed = mem::take(&mut self.changed);
        let now = |subject: Subject| {
            let life = self.lives.get(&subject).cloned().map(Box::new);
            (subject, life)
        };
        changed.into_iter().map(now).collect()
    }

    /// What is known of a container.
    pub fn life(&self, subject: &Subject) -> Option<&Life> {
        self.lives.get(subject)
    }

    /// What a comparison with the engine's list has to know.
    pub fn known(&self, engine: &EngineId) -> Known {
        let of_engine = self.lives.iter().filter(|(subject, _)| subject.engine == *engine);
        let containers = of_engine.map(|(subject, life)| {
            let known = KnownContainer {
                name: life.facts().name.clone(),
                stage: life.stage(),
                passage: life.passage(),
                started_at: life.started_at(),
                exit_code: life.exit().and_then(|it| it.code),
            };
            (subject.id.clone(), known)
        });
        Known { containers: containers.collect() }
    }

    /// Whether what `event` told of is over, so that trying again makes no sense: the passage for
    /// a start, the container for a creation. Ends and removals stay what they are.
    pub fn is_over(&self, event: &Event) -> bool {
        let life = self.lives.get(&event.subject);
        match event.point {
            Point::PostCreate => life.is_none(),
            Point::PostStart => {
                life.is_none_or(|it| it.stage() != Stage::Running || it.passage() != event.passage)
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

    /// What happens to anything but a container. Nothing is kept of that but that a volume exists:
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
            Point::DaemonStop => {
                self.bereave(&signal.subject.engine);
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

    /// A driver of ours has made the link that leads to an endpoint, or, with `None`, removed it.
    pub fn know_link(&mut self, endpoint: String, link: Option<String>) {
        match link {
            Some(link) => drop(self.links.insert(endpoint, link)),
            None => drop(self.links.remove(&endpoint)),
        }
    }

    /// Volumes that were there before anybody looked.
    pub fn know_volumes(&mut self, volumes: impl IntoIterator<Item = Subject>) {
        self.volumes.extend(volumes);
    }

    fn release(&mut self, subject: &Subject) -> Vec<Event> {
        let parked = self.parked.remove(subject).unwrap_or_default();
        parked.into_iter().flat_map(|signal| self.apply(signal)).collect()
    }

    /// The engine has gone away, and what runs may end without a word.
    fn bereave(&mut self, engine: &EngineId) {
        let of_engine = self.lives.iter_mut().filter(|(subject, _)| subject.engine == *engine);
        for (subject, life) in of_engine.filter(|(_, life)| life.stage() == Stage::Running) {
            life.engine_gone();
            self.changed.insert(subject.clone());
        }
    }

    fn apply(&mut self, signal: Signal) -> Vec<Event> {
        if let Saw::Found { since } = signal.saw {
            // What is to be told stays to be told.
            let known = self.since.entry(signal.subject.engine.clone()).or_insert(since);
            *known = since.min(*known);
        }
        if signal.subject.kind != SubjectKind::Container {
            return self.other(signal);
        }
        let subject = signal.subject.clone();
        let since = self.since.get(&subject.engine).copied();
        let is_removal = signal.saw == Saw::Removed;
        let mut life = self.lives.remove(&subject).unwrap_or_else(Life::new);
        let before = life.clone();
        let mut reached =
            Reached { subject: &subject, source: signal.source, calls: &mut self.calls, events: Vec::new() };
        take(&mut life, signal, since, &mut reached);
        let events = reached.events;
        if is_removal {
            self.changed.insert(subject.clone());
            self.gone.insert(subject);
        } else {
            if life != before || !events.is_empty() {
                self.changed.insert(subject.clone());
            }
            self.lives.insert(subject, life);
        }
        events
    }
}

/// Lets a container's life go on by what was seen of it.
fn take(life: &mut Life, signal: Signal, since: Option<Timestamp>, reached: &mut Reached<'_>) {
    let Signal { subject: _, source, at, mark: _, saw, detail, told, observation } = signal;
    let old_name = life.facts().name.clone();
    let new_name = told.as_ref().and_then(|it| it.name.clone());
    if let Some(observation) = &observation {
        life.learn(observation);
    }
    if let Some(told) = told {
        life.learn_for_want_of_better(*told);
    }
    let process = observation.map(|it| it.process);
    if source == Source::Reconcile {
        life.name_found(old_name.clone(), at, reached);
    }
    catch_up(life, saw, since, at, process, reached);
    match saw {
        Saw::Created => life.created(at, reached),
        Saw::Started => life.start_told(at, process, reached),
        Saw::Ended { code } => life.end_told(Exit { code, at: Some(at) }, at, reached),
        Saw::Killed => life.is_killed(),
        Saw::OutOfMemory => {
            life.is_out_of_memory();
            reached.push(life, Point::Oom, at, Cause::Engine);
        }
        Saw::Reached(Point::Rename) => life.name_told(new_name.as_deref(), old_name, at, reached),
        Saw::Reached(point) => life.passes(point, at, detail, reached),
        Saw::Removed => life.removed(at, reached),
        Saw::Found { .. } | Saw::Changed | Saw::Answered(_) => match process {
            Some(process) if life.stage() == Stage::Unknown => life.adopt(Timestamp::MAX, process),
            // The event stream tells starts and ends itself, each at its turn.
            Some(process) if source != Source::Events => life.observed(at, process, reached),
            _ => {}
        },
    }
}

/// Tells what a container has done before anything was heard of it: what is told next does not begin
/// a life.
fn catch_up(
    life: &mut Life,
    saw: Saw,
    since: Option<Timestamp>,
    at: Timestamp,
    process: Option<Process>,
    reached: &mut Reached<'_>,
) {
    match (saw, since, process) {
        (Saw::Found { .. }, Some(since), Some(process)) => life.found(since, at, process, reached),
        _ if !life.is_unheard_of() => {}
        (Saw::Created, ..) => {}
        (_, Some(since), Some(process)) => life.found(since, at, process, reached),
        (Saw::Started | Saw::Ended { .. } | Saw::Removed, Some(since), None)
            if since == Timestamp::MIN && reached.source == Source::Events =>
        {
            life.created(at, reached);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
