//! The smallest valid things that a journal records.

use std::sync::Arc;

use boathook::hook::{Action, Cleanup, Deadline, Hook, HookName, Retry};
use boathook::lifecycle::{
    Cause, EngineId, Event, Facts, Life, Point, Saw, Signal, Source, Subject, Tracker,
};
use boathook::run::{
    Captured, Conclusion, Debt, DebtState, Entry, Outcome, Output, Phase, Run, RunId, RunIds, Setup,
};
use jiff::Timestamp;

/// Gives out runs of one hook for one event each.
pub(super) struct Runs {
    ids: RunIds,
    hook: Arc<Hook>,
}

impl Runs {
    pub(super) fn new() -> Runs {
        Runs::counting_from(0)
    }

    /// Runs with other ids than those that count from elsewhere.
    pub(super) fn counting_from(start: u32) -> Runs {
        let hook = Hook {
            at: [Point::PostStart].into_iter().collect(),
            action: Action::Deny { message: "as declared".to_owned() },
            ..Hook::named(HookName::parse("hook").expect("a name"))
        };
        Runs { ids: RunIds::from(start), hook: Arc::new(hook) }
    }

    /// A run for the start of `container`, planned now.
    pub(super) fn next(&self, container: &str) -> Arc<Run> {
        self.planned_at(container, Timestamp::now())
    }

    pub(super) fn planned_at(&self, container: &str, at: Timestamp) -> Arc<Run> {
        let facts = Facts { name: Some(container.to_owned()), ..Facts::default() };
        let event = Event {
            point: Point::PostStart,
            subject: subject(container),
            passage: 1,
            at,
            cause: Cause::Engine,
            reason: None,
            exit: None,
            facts: Arc::new(facts),
            detail: None,
            request: None,
            nested: false,
        };
        Arc::new(Run {
            id: self.ids.next(at),
            hook: self.hook.clone(),
            phase: Phase::Setup,
            event: Arc::new(event),
            batch: None,
            debt: None,
            setups: Vec::new(),
            planned_at: at,
        })
    }
}

pub(super) fn engine() -> EngineId {
    EngineId::new("the-engine")
}

pub(super) fn subject(container: &str) -> Subject {
    Subject::container(&engine(), container)
}

/// What is known of a container that has been made, and is called that.
pub(super) fn life(name: &str) -> Life {
    let (mut tracker, made) = (Tracker::default(), subject(name));
    let told = Facts { name: Some(name.to_owned()), ..Facts::default() };
    let signal = Signal::new(made.clone(), Source::Events, at(1), Saw::Created);
    tracker.see(Signal { told: Some(Box::new(told)), ..signal });
    tracker.life(&made).expect("it has been made").clone()
}

pub(super) fn lived(container: &str, name: Option<&str>) -> Entry {
    Entry::Lived { subject: subject(container), life: name.map(|it| Box::new(life(it))) }
}

pub(super) fn read(second: i64, mark: u64) -> Entry {
    Entry::Read { engine: engine(), cursor: at(second), mark }
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

pub(super) fn started(run: &RunId, attempt: u32) -> Entry {
    Entry::Started { run: run.clone(), attempt, at: Timestamp::now() }
}

pub(super) fn ended(run: &RunId, outcome: Outcome) -> Entry {
    let said = |text: &str| Captured { text: text.to_owned(), bytes_total: text.len() as u64 };
    let output = Output { stdout: said("out"), stderr: said("err") };
    Entry::Ended { run: run.clone(), at: Timestamp::now(), outcome, output }
}

pub(super) fn concluded(run: &RunId, conclusion: Conclusion) -> Entry {
    Entry::Concluded { run: run.clone(), at: Timestamp::now(), conclusion }
}

/// The whole life of a run that went well.
pub(super) fn whole(run: &Arc<Run>) -> [Entry; 4] {
    let id = &run.id;
    let (started, ended) = (started(id, 1), ended(id, Outcome::Exited(0)));
    [Entry::Planned(run.clone()), started, ended, concluded(id, Conclusion::Done)]
}

/// What is owed once `run` has begun.
pub(super) fn debt(run: &Run, state: DebtState) -> Debt {
    let cleanup = Cleanup {
        at: [Point::PostStop].into_iter().collect(),
        action: Action::Deny { message: "as declared".to_owned() },
        deadline: Deadline::DEFAULT,
        retry: Retry::OF_CLEANUP,
    };
    let closed_at = (!state.is_open()).then_some(run.planned_at);
    Debt {
        id: run.id.clone(),
        hook: run.hook.name.clone(),
        subject: run.event.subject.clone(),
        object: None,
        passage: 1,
        cleanup: Arc::new(cleanup),
        event: run.event.clone(),
        setups: vec![Setup::begun(run.id.clone())],
        state,
        opened_at: run.planned_at,
        closed_at,
    }
}

pub(super) fn owes(run: &Run, state: DebtState) -> Entry {
    Entry::Debt(Arc::new(debt(run, state)))
}
