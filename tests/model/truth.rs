//! An engine that is only thought of: what its containers have really done, and what it tells of that.

use std::collections::BTreeMap;

use boathook::lifecycle::{
    EngineId, Facts, Listed, ListedState, Observation, Point, Process, Saw, Signal, Source, Subject,
};
use jiff::Timestamp;

/// How long after a change its event is made, in milliseconds.
const EVENT_AFTER: i64 = 2;

/// What is done to a container, or what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Create,
    CreateWithRm,
    Start,
    Die,
    Restart,
    Rename,
    Remove,
}

/// The engine, and the moment that it is.
pub(super) struct Truth {
    pub(super) engine: EngineId,
    now: i64,
    made: usize,
    renamed: usize,
    slots: BTreeMap<usize, String>,
    containers: BTreeMap<String, Container>,
    /// What has really happened, by container.
    pub(super) happened: BTreeMap<String, Vec<Point>>,
}

#[derive(Clone, Debug)]
struct Container {
    name: String,
    created_at: i64,
    removes_itself: bool,
    process: Process,
}

/// An event of the engine's, as it is put on its way.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) id: String,
    pub(super) saw: Saw,
    pub(super) at: Timestamp,
    pub(super) mark: u64,
    name: String,
}

/// Milliseconds after the beginning.
fn ms(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + millis).expect("in range")
}

impl Truth {
    pub(super) fn new() -> Truth {
        Truth {
            engine: EngineId::new("engine"),
            now: 0,
            made: 0,
            renamed: 0,
            slots: BTreeMap::new(),
            containers: BTreeMap::new(),
            happened: BTreeMap::new(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        ms(self.now)
    }

    /// The container that is in the slot now.
    pub(super) fn id(&self, slot: usize) -> Option<&str> {
        self.slots.get(&slot).map(String::as_str)
    }

    /// Does what can be done to what is in the slot, and returns what the engine tells of it.
    pub(super) fn act(&mut self, slot: usize, deed: Deed) -> Vec<Told> {
        self.now += 1000;
        let mut told = Vec::new();
        let running = |truth: &Truth| truth.at(slot).is_some_and(|it| it.process.is_running());
        match deed {
            Deed::Create | Deed::CreateWithRm if self.at(slot).is_none() => {
                self.create(slot, deed == Deed::CreateWithRm, &mut told);
            }
            Deed::Start if self.at(slot).is_some() && !running(self) => self.start(slot, &mut told),
            Deed::Die if running(self) => {
                self.die(slot, &mut told);
                if self.at(slot).is_some_and(|it| it.removes_itself) {
                    self.remove(slot, &mut told);
                }
            }
            Deed::Restart if running(self) => {
                self.die(slot, &mut told);
                self.now += 100;
                self.start(slot, &mut told);
            }
            Deed::Rename if self.at(slot).is_some() => self.rename(slot, &mut told),
            Deed::Remove if self.at(slot).is_some() => {
                if running(self) {
                    self.die(slot, &mut told);
                }
                self.remove(slot, &mut told);
            }
            _ => {}
        }
        told
    }

    fn at(&self, slot: usize) -> Option<&Container> {
        self.containers.get(self.slots.get(&slot)?)
    }

    fn change(
        &mut self,
        slot: usize,
        saw: Saw,
        point: Option<Point>,
        told: &mut Vec<Told>,
    ) -> &mut Container {
        let id = self.slots[&slot].clone();
        self.happened.entry(id.clone()).or_default().extend(point);
        let container = self.containers.get_mut(&id).expect("it is there");
        let mark = self.happened.values().map(|it| it.len() as u64).sum::<u64>() * 1000 + self.renamed as u64;
        let at = ms(self.now + EVENT_AFTER);
        told.push(Told { id, saw, at, mark, name: container.name.clone() });
        container
    }

    fn create(&mut self, slot: usize, removes_itself: bool, told: &mut Vec<Told>) {
        self.made += 1;
        let id = format!("c{}", self.made);
        let (name, created_at) = (format!("slot-{slot}"), self.now);
        let process = Process::NeverStarted;
        self.containers.insert(id.clone(), Container { name, created_at, removes_itself, process });
        self.slots.insert(slot, id);
        self.change(slot, Saw::Created, Some(Point::PostCreate), told);
    }

    fn start(&mut self, slot: usize, told: &mut Vec<Told>) {
        let started_at = ms(self.now);
        let container = self.change(slot, Saw::Started, Some(Point::PostStart), told);
        container.process = Process::Running { started_at };
    }

    fn die(&mut self, slot: usize, told: &mut Vec<Told>) {
        let finished_at = ms(self.now);
        let container = self.change(slot, Saw::Ended { code: Some(3) }, Some(Point::PostStop), told);
        let started_at = container.process.started_at().expect("it runs");
        container.process = Process::Ended { started_at, finished_at, code: 3, out_of_memory: false };
    }

    fn rename(&mut self, slot: usize, told: &mut Vec<Told>) {
        self.renamed += 1;
        let name = format!("name-{}", self.renamed);
        let container = self.change(slot, Saw::Reached(Point::Rename), None, told);
        container.name.clone_from(&name);
        told.last_mut().expect("just told").name = name;
    }

    fn remove(&mut self, slot: usize, told: &mut Vec<Told>) {
        self.change(slot, Saw::Removed, Some(Point::PostRemove), told);
        self.containers.remove(&self.slots.remove(&slot).expect("it is there"));
    }

    /// What `GET /containers/{id}/json` answers.
    pub(super) fn inspect(&self, id: &str) -> Option<Box<Observation>> {
        let container = self.containers.get(id)?;
        let facts = Facts {
            id: Some(id.into()),
            name: Some(container.name.clone()),
            created_at: Some(ms(container.created_at).to_string()),
            ..Facts::default()
        };
        Some(Box::new(Observation { facts, process: container.process }))
    }

    /// What `GET /containers/json` answers.
    pub(super) fn list(&self) -> Vec<Listed> {
        let listed = |(id, container): (&String, &Container)| {
            let state = match container.process {
                Process::NeverStarted => ListedState::Created,
                Process::Running { .. } => ListedState::Running,
                Process::Ended { code, finished_at, .. } => {
                    ListedState::Ended { code: Some(code), by: Some(finished_at) }
                }
            };
            Listed { id: id.clone(), name: Some(container.name.clone()), state }
        };
        self.containers.iter().map(listed).collect()
    }

    /// The signal that an event becomes.
    pub(super) fn signal(&self, told: &Told) -> Signal {
        Signal {
            mark: Some(told.mark),
            told: Some(Box::new(Facts { name: Some(told.name.clone()), ..Facts::default() })),
            ..Signal::new(self.subject(&told.id), Source::Events, told.at, told.saw)
        }
    }

    pub(super) fn subject(&self, id: &str) -> Subject {
        Subject::container(&self.engine, id)
    }
}
