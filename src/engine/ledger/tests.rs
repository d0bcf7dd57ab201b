use std::sync::Arc;

use jiff::Timestamp;

use super::{Ledger, Payable, Turn};
use crate::hook::{Action, Cleanup, Deadline, Hook, HookName, Method, Request, Retry};
use crate::lifecycle::{Cause, Detail, EngineId, Event, NetworkDetail, Point, Subject};
use crate::run::{DebtState, Outcome, Output, Phase, Run, RunId, RunIds};

struct World {
    ids: RunIds,
    ledger: Ledger,
}

fn container() -> Subject {
    Subject::container(&EngineId::new("engine"), "aa")
}

fn event(point: Point, passage: u32) -> Event {
    Event {
        point,
        subject: container(),
        passage,
        at: Timestamp::UNIX_EPOCH,
        cause: Cause::Engine,
        reason: None,
        exit: None,
        facts: Arc::default(),
        detail: None,
        request: None,
        nested: false,
    }
}

fn about_network(event: Event, id: &str) -> Event {
    let network = Some(NetworkDetail { id: Some(id.into()), ..NetworkDetail::default() });
    Event { detail: Some(Arc::new(Detail { network, ..Detail::default() })), ..event }
}

fn hook(name: &str, at: &[Point]) -> Arc<Hook> {
    let request = Request { url: "http://localhost/".into(), method: Method::Post, headers: Vec::new() };
    let action = Action::Http(Arc::new(request));
    let cleanup = Cleanup {
        at: at.iter().copied().collect(),
        action: action.clone(),
        deadline: Deadline::DEFAULT,
        retry: Retry::OF_CLEANUP,
    };
    let name = HookName::parse(name).expect("a name");
    Arc::new(Hook { action, cleanup: Some(Arc::new(cleanup)), ..Hook::named(name) })
}

impl World {
    fn new() -> World {
        World { ids: RunIds::from(0), ledger: Ledger::default() }
    }

    /// A set-up that is planned.
    fn planned(&mut self, hook: &Arc<Hook>, event: Event) -> Arc<Run> {
        let run = Arc::new(Run {
            id: self.ids.next(Timestamp::UNIX_EPOCH),
            hook: hook.clone(),
            phase: Phase::Setup,
            event: Arc::new(event),
            batch: None,
            debt: None,
            setups: Vec::new(),
            planned_at: Timestamp::UNIX_EPOCH,
        });
        self.ledger.expect(&run);
        run
    }

    /// A set-up that has begun.
    fn begun(&mut self, hook: &Arc<Hook>, event: Event) -> Arc<Run> {
        let run = self.planned(hook, event);
        let drafted = self.ledger.draft(&run, Timestamp::UNIX_EPOCH);
        self.ledger.begin(&run, drafted);
        run
    }

    /// The ledger after a restart: it knows what is on disk.
    fn restarted(&mut self, set_ups: &[&Arc<Run>], clean_up: &Run) {
        let debts: Vec<_> = self.ledger.open().cloned().collect();
        self.ledger = Ledger::restored(debts);
        set_ups.iter().for_each(|it| self.ledger.expect(it));
        self.ledger.takes_up(clean_up);
    }

    fn due_at(&self, point: Point, passage: u32) -> Vec<Payable> {
        self.ledger.due_at(&event(point, passage))
    }

    /// The clean-up of what is due, planned.
    fn clean_up(&mut self, payable: &Payable) -> Run {
        let run = Run {
            id: self.ids.next(Timestamp::UNIX_EPOCH),
            hook: Arc::new(payable.cleanup.hook(&payable.hook)),
            phase: Phase::Cleanup,
            event: payable.event.clone(),
            batch: None,
            debt: Some(payable.debt.clone()),
            setups: Vec::new(),
            planned_at: Timestamp::UNIX_EPOCH,
        };
        self.ledger.due(payable, &run.id);
        run
    }
}

fn ids(due: &[Payable]) -> Vec<&RunId> {
    due.iter().map(|it| &it.debt).collect()
}

#[test]
fn what_was_set_up_last_is_cleaned_up_first() {
    let mut world = World::new();
    let stop = [Point::PostStop];
    let first = world.begun(&hook("first", &stop), event(Point::PostStart, 1));
    let second = world.begun(&hook("second", &stop), event(Point::PostStart, 1));
    let third = world.planned(&hook("third", &stop), event(Point::PostStart, 1));

    assert_eq!(ids(&world.due_at(Point::PostStop, 1)), [&third.id, &second.id, &first.id]);
    assert_eq!(ids(&world.due_at(Point::PostStart, 2)), [] as [&RunId; 0]);
}

#[test]
fn what_is_due_is_due_once() {
    let mut world = World::new();
    world.begun(&hook("hook", &[Point::PostStop]), event(Point::PostStart, 1));
    let due = world.due_at(Point::PostStop, 1);

    world.clean_up(&due[0]);

    assert!(world.due_at(Point::PostStop, 1).is_empty());
    assert!(world.due_at(Point::PostRemove, 1).is_empty());
}

#[test]
fn the_removal_makes_everything_due_that_is_owed_still() {
    let mut world = World::new();
    let run = world.begun(&hook("hook", &[Point::Unpause]), event(Point::Pause, 1));

    assert_eq!(ids(&world.due_at(Point::PostRemove, 1)), [&run.id]);
}

#[test]
fn the_end_of_an_earlier_passage_makes_nothing_of_a_later_one_due() {
    let mut world = World::new();
    let run = world.begun(&hook("hook", &[Point::PostStop]), event(Point::PreStart, 2));

    assert!(world.due_at(Point::PostStop, 1).is_empty());
    assert_eq!(ids(&world.ledger.ahead_of(&container(), 1)), [&run.id]);
    assert!(world.ledger.ahead_of(&container(), 2).is_empty());
}

#[test]
fn each_network_of_a_container_is_cleaned_up_by_itself() {
    let mut world = World::new();
    let hook = hook("hook", &[Point::NetworkDisconnect]);
    let front = world.begun(&hook, about_network(event(Point::NetworkConnect, 1), "front"));
    let back = world.begun(&hook, about_network(event(Point::NetworkConnect, 1), "back"));

    let left = about_network(event(Point::NetworkDisconnect, 1), "front");

    assert_eq!(ids(&world.ledger.due_at(&left)), [&front.id]);
    assert_eq!(ids(&world.due_at(Point::PostRemove, 1)), [&back.id, &front.id]);
}

#[test]
fn a_set_up_that_is_repeated_renews_its_debt_and_the_last_state_wins() {
    let mut world = World::new();
    let hook = hook("hook", &[Point::PostStop]);
    let first = world.begun(&hook, event(Point::PostStart, 1));
    let again = world.begun(&hook, event(Point::Reconcile, 1));
    let mut output = Output::default();
    output.stdout.text = r#"{"state": 7}"#.into();

    world.ledger.ended(&again.id, &Outcome::Exited(0), &output);

    let due = world.due_at(Point::PostStop, 1);
    assert_eq!(ids(&due), [&first.id]);
    let clean_up = world.clean_up(&due[0]);
    let (Turn::Pay(setups), _) = world.ledger.turn_of(&clean_up) else { panic!("it is to be paid") };
    assert_eq!(setups.iter().map(|it| &it.run).collect::<Vec<_>>(), [&first.id, &again.id]);
    assert_eq!(setups[1].state, Some(7.into()));
}

#[test]
fn a_clean_up_of_a_set_up_that_never_began_has_nothing_to_do() {
    let mut world = World::new();
    let run = world.planned(&hook("hook", &[Point::PostStop]), event(Point::PostStart, 1));
    let due = world.due_at(Point::PostStop, 1);
    let clean_up = world.clean_up(&due[0]);

    world.ledger.forget(&run);

    assert!(matches!(world.ledger.turn_of(&clean_up).0, Turn::Nothing));
}

#[test]
fn a_set_up_that_begins_late_is_cleaned_up_by_what_waits_for_it() {
    let mut world = World::new();
    let run = world.planned(&hook("hook", &[Point::PostStop]), event(Point::PostStart, 1));
    let due = world.due_at(Point::PostStop, 1);
    let clean_up = world.clean_up(&due[0]);

    let drafted = world.ledger.draft(&run, Timestamp::UNIX_EPOCH);
    let opened = world.ledger.begin(&run, drafted).expect("it is due at once");

    assert_eq!(opened.state, DebtState::Due { run: clean_up.id.clone() });
    assert!(matches!(world.ledger.turn_of(&clean_up).0, Turn::Pay(setups) if setups.len() == 1));
}

#[test]
fn a_set_up_takes_over_what_an_earlier_one_owes_still() {
    let mut world = World::new();
    let hook = hook("hook", &[Point::PostStop]);
    let first = world.begun(&hook, event(Point::PostStart, 1));
    let due = world.due_at(Point::PostStop, 1);
    let clean_up = world.clean_up(&due[0]);
    let second = world.planned(&hook, event(Point::PostStart, 2));
    assert_eq!(world.ledger.old_debt_of(&second).map(|it| &it.id), Some(&first.id));

    let drafted = world.ledger.draft(&second, Timestamp::UNIX_EPOCH);
    assert_eq!(drafted[1].state, DebtState::Merged { into: second.id.clone() });
    world.ledger.begin(&second, drafted);

    assert!(matches!(world.ledger.turn_of(&clean_up).0, Turn::Over));
    let due = world.due_at(Point::PostStop, 2);
    assert_eq!(ids(&due), [&second.id]);
    let clean_up = world.clean_up(&due[0]);
    let (Turn::Pay(setups), _) = world.ledger.turn_of(&clean_up) else { panic!("it is to be paid") };
    assert_eq!(setups.iter().map(|it| &it.run).collect::<Vec<_>>(), [&first.id, &second.id]);
}

#[test]
fn what_is_paid_is_owed_no_more_and_what_is_given_up_is() {
    for (state, is_owed) in [
        (DebtState::Paid, false),
        (DebtState::GivenUp { run: RunIds::from(9).next(Timestamp::UNIX_EPOCH) }, true),
    ] {
        let mut world = World::new();
        let run = world.begun(&hook("hook", &[Point::PostStop]), event(Point::PostStart, 1));

        world.ledger.settle(&run.id, state, Timestamp::UNIX_EPOCH);

        assert_eq!(world.ledger.debt_of(&run.id).is_some(), is_owed);
        assert!(world.due_at(Point::PostRemove, 1).is_empty());
    }
}

#[test]
fn what_was_asked_for_owes_under_its_own_name_once_it_is_there() {
    let mut world = World::new();
    let creation = Subject { id: "made up".into(), ..container() };
    let asked = Event { subject: creation.clone(), ..event(Point::PreCreate, 0) };
    let run = world.begun(&hook("hook", &[Point::PostRemove]), asked);

    world.ledger.move_to(&creation, &container());

    assert!(world.ledger.owed_by(&creation).is_empty());
    assert_eq!(ids(&world.due_at(Point::PostRemove, 3)), [&run.id]);
}

#[test]
fn a_ledger_is_restored_from_its_debts() {
    let mut world = World::new();
    let run = world.begun(&hook("hook", &[Point::PostStop]), event(Point::PostStart, 1));
    let debts = world.ledger.open().cloned().collect();

    let restored = Ledger::restored(debts);

    assert_eq!(ids(&restored.due_at(&event(Point::PostStop, 1))), [&run.id]);
    assert!(restored.points().contains(Point::PostStop));
}

#[test]
fn what_is_planned_to_be_cleaned_up_is_not_due_again_after_a_restart() {
    for begins_before in [true, false] {
        let mut world = World::new();
        let set_up = world.planned(&hook("net", &[Point::PostStop]), event(Point::PostStart, 1));
        let [payable] = &world.due_at(Point::PostStop, 1)[..] else { panic!("one is due") };
        let clean_up = Run { event: set_up.event.clone(), ..world.clean_up(payable) };
        if begins_before {
            // It began before the ledger was told so.
            let mut drafted = world.ledger.draft(&set_up, Timestamp::UNIX_EPOCH);
            drafted[0].state = DebtState::Owed;
            world.ledger = Ledger::restored(drafted);
        }

        world.restarted(&[&set_up], &clean_up);

        assert_eq!(ids(&world.due_at(Point::PostRemove, 1)), Vec::<&RunId>::new(), "{begins_before}");
        if !begins_before {
            let drafted = world.ledger.draft(&set_up, Timestamp::UNIX_EPOCH);
            world.ledger.begin(&set_up, drafted);
        }
        assert!(matches!(world.ledger.turn_of(&clean_up), (Turn::Pay(_), _)), "{begins_before}");
    }
}
