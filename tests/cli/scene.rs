//! What happened on a host: some runs and debts, at fixed times.

use std::sync::Arc;
use std::time::Duration;

use boathook::hook::{Action, Cleanup, Command, Deadline, Hook, HookName, Retry};
use boathook::launch::Launch;
use boathook::lifecycle::{Cause, EngineId, Event, Facts, Point, Subject, SubjectKind};
use boathook::run::{
    Captured, Conclusion, Debt, DebtState, Entry, Outcome, Output, Phase, Run, RunId, RunIds, Setup,
};
use jiff::Timestamp;

/// So many milliseconds after the third of February 2001, 04:05:06 UTC: in a year that is over.
pub(super) fn at(millis: i64) -> Timestamp {
    let begin: Timestamp = "2001-02-03T04:05:06Z".parse().expect("an instant");
    begin + Duration::from_millis(millis.unsigned_abs())
}

fn exec(program: &str) -> Action {
    Action::Exec(Arc::new(Command {
        program: program.into(),
        argv: [program.into()].into(),
        working_dir: "/".into(),
        environment: [].into(),
        launch: Launch::default(),
    }))
}

fn hook(name: &str) -> Hook {
    let name = HookName::parse(name).expect("a name");
    Hook { action: exec("/etc/boathook/hook.sh"), ..Hook::named(name) }
}

fn event(container: &str, point: Point, millis: i64) -> Event {
    let digits: String = container.bytes().map(|it| format!("{it:x}")).collect();
    let id = format!("{digits:0<64}");
    Event {
        point,
        subject: Subject::container(&EngineId::new("engine"), &id),
        passage: 1,
        at: at(millis),
        cause: Cause::Engine,
        reason: None,
        exit: None,
        facts: Arc::new(Facts {
            id: Some(id),
            name: Some(container.to_owned()),
            image: Some("alpine".to_owned()),
            ..Facts::default()
        }),
        detail: None,
        request: None,
        nested: false,
    }
}

/// A run of the hook `name` that was planned then; its id depends on that alone.
pub(super) fn run(name: &str, container: &str, point: Point, millis: i64) -> Run {
    Run {
        id: RunIds::from(0).next(at(millis)),
        hook: Arc::new(hook(name)),
        phase: Phase::Setup,
        event: Arc::new(event(container, point, millis)),
        batch: None,
        debt: None,
        setups: Vec::new(),
        planned_at: at(millis),
    }
}

/// A clean-up for what `set_up` owes.
pub(super) fn clean_up(set_up: &Run, cause: Cause, millis: i64) -> Run {
    let container = set_up.event.facts.name.as_deref().expect("it has a name");
    let run = run(set_up.hook.name.as_str(), container, Point::PostStop, millis);
    let event = Event { cause, ..Event::clone(&run.event) };
    Run { phase: Phase::Cleanup, debt: Some(set_up.id.clone()), event: Arc::new(event), ..run }
}

/// What `set_up` owes, at `post_stop`.
pub(super) fn debt(set_up: &Run, state: DebtState, closed_at: Option<i64>) -> Entry {
    let cleanup = Cleanup {
        at: [Point::PostStop].into_iter().collect(),
        action: exec("/etc/boathook/clean-up.sh"),
        deadline: Deadline::DEFAULT,
        retry: Retry::OF_CLEANUP,
    };
    Entry::Debt(Arc::new(Debt {
        id: set_up.id.clone(),
        hook: set_up.hook.name.clone(),
        subject: set_up.event.subject.clone(),
        object: None,
        passage: 1,
        cleanup: Arc::new(cleanup),
        event: set_up.event.clone(),
        setups: vec![Setup::begun(set_up.id.clone())],
        state,
        opened_at: set_up.planned_at,
        closed_at: closed_at.map(at),
    }))
}

pub(super) fn planned(run: &Run) -> Entry {
    Entry::Planned(Arc::new(run.clone()))
}

/// An attempt that began then, took 40 ms, and said something on standard error.
pub(super) fn attempt(run: &Run, attempt: u32, millis: i64, outcome: Outcome, stderr: &str) -> [Entry; 2] {
    let bytes_total = u64::try_from(stderr.len()).expect("it is short");
    let stderr = Captured { text: stderr.to_owned(), bytes_total };
    let output = Output { stdout: Captured::default(), stderr };
    [
        Entry::Started { run: run.id.clone(), attempt, at: at(millis) },
        Entry::Ended { run: run.id.clone(), at: at(millis + 40), outcome, output },
    ]
}

pub(super) fn deferred(run: &Run, until: i64) -> Entry {
    Entry::Deferred { run: run.id.clone(), until: at(until) }
}

pub(super) fn concluded(run: &Run, conclusion: Conclusion, millis: i64) -> Entry {
    Entry::Concluded { run: run.id.clone(), at: at(millis), conclusion }
}

/// The runs of [`entries`], by name.
pub(super) struct Scene {
    /// Set up, and owed a clean-up that was given up.
    pub(super) net: Run,
    /// The clean-up.
    pub(super) net_down: Run,
    /// Failed.
    pub(super) alert: Run,
    /// Waits for its third attempt.
    pub(super) tell: Run,
    /// Said no without a process.
    pub(super) gate: Run,
    /// Is running.
    pub(super) slow: Run,
    /// Set up, and what it was set up for goes on.
    pub(super) dns: Run,
    /// Set up, and cleaned up.
    pub(super) paid: Run,
}

pub(super) fn scene() -> Scene {
    let net = run("net", "web", Point::PostStart, 0);
    let gate = run("no-privileged", "evil", Point::PreCreate, 4_000);
    let creation = Subject::new(&EngineId::new("engine"), SubjectKind::Creation, "made-up");
    let asked = Event { subject: creation, passage: 0, ..Event::clone(&gate.event) };
    let deny = Action::Deny { message: "privileged containers are not allowed here".to_owned() };
    let denies = Hook { action: deny, ..Hook::clone(&gate.hook) };
    Scene {
        net_down: clean_up(&net, Cause::Engine, 1_000),
        net,
        alert: run("alert", "web", Point::PostStop, 2_000),
        tell: run("tell", "database-of-customers", Point::PostStop, 3_000),
        gate: Run { hook: Arc::new(denies), event: Arc::new(asked), ..gate },
        slow: run("slow", "web", Point::PostRemove, 5_000),
        dns: run("dns", "db", Point::PostStart, 6_000),
        paid: run("mount", "old", Point::PostStart, 7_000),
    }
}

/// What has happened.
pub(super) fn entries(scene: &Scene) -> Vec<Entry> {
    let Scene { net, net_down, alert, tell, gate, slow, dns, paid } = scene;
    let paid_down = clean_up(paid, Cause::Aborted, 8_000);
    let done = |run: &Run, millis: i64| {
        let attempt = attempt(run, 1, millis, Outcome::Exited(0), "");
        attempt.into_iter().chain([concluded(run, Conclusion::Done, millis + 40)]).collect::<Vec<_>>()
    };
    let given_up = DebtState::GivenUp { run: net_down.id.clone() };
    let mut entries: Vec<Entry> =
        [net, net_down, alert, tell, gate, slow, dns, paid, &paid_down].into_iter().map(planned).collect();
    entries.push(debt(net, DebtState::Owed, None));
    entries.extend(done(net, 10));
    entries.extend(attempt(net_down, 1, 1_010, Outcome::Exited(1), "device is busy\n"));
    entries.push(deferred(net_down, 1_500));
    entries.extend(attempt(net_down, 2, 1_510, Outcome::TimedOut, ""));
    entries.push(concluded(net_down, Conclusion::Failed, 1_550));
    entries.push(debt(net, given_up, None));
    entries.extend(attempt(alert, 1, 2_010, Outcome::Exited(3), "first\nno route\u{1b}[2J to host\n"));
    entries.push(Entry::Nested {
        run: alert.id.clone(),
        at: at(2_020),
        method: "GET".to_owned(),
        uri: "/v1.41/containers/json".to_owned(),
    });
    entries.push(concluded(alert, Conclusion::Failed, 2_050));
    entries.extend(attempt(tell, 1, 3_010, Outcome::Exited(75), "not yet\n"));
    entries.push(deferred(tell, 3_500));
    entries.extend(attempt(tell, 2, 3_510, Outcome::Exited(75), "not yet\n"));
    entries.push(deferred(tell, 60_000));
    entries.push(concluded(gate, Conclusion::Denied, 4_000));
    entries.push(Entry::Started { run: slow.id.clone(), attempt: 1, at: at(5_010) });
    entries.push(debt(dns, DebtState::Owed, None));
    entries.extend(done(dns, 6_010));
    entries.push(debt(paid, DebtState::Owed, None));
    entries.extend(done(paid, 7_010));
    entries.extend(done(&paid_down, 8_010));
    entries.push(debt(paid, DebtState::Paid, Some(8_050)));
    entries
}

/// The id as it is written on a command line.
pub(super) fn id(run: &Run) -> &str {
    RunId::as_str(&run.id)
}
