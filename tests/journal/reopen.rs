//! What the next daemon finds.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use boathook::journal::{CommitError, Journal, JournalError, Reader, RunFilter};
use boathook::run::{Conclusion, DebtState, Entry, Holding, HoldingKind, Outcome, Run, RunState};
use jiff::SignedDuration;

use super::values::{Runs, at, concluded, debt, ended, engine, lived, owes, read, started, subject, whole};
use super::world::{Folder, World, look};

#[test]
fn what_is_open_is_found_by_the_next_daemon() {
    let (folder, runs) = (Folder::new(), Runs::new());
    let dir = folder.store();
    let world = World::open(&dir);
    let [planned, running, waiting, over] = ["a", "b", "c", "d"].map(|it| runs.next(it));
    let due_at = waiting.planned_at + SignedDuration::from_secs(60);

    world.append([Entry::Planned(planned.clone()), Entry::Planned(running.clone())]);
    world.append([Entry::Planned(waiting.clone()), started(&waiting.id, 1)]);
    world.append([ended(&waiting.id, Outcome::Exited(75))]);
    world.append([Entry::Deferred { run: waiting.id.clone(), until: due_at }]);
    world.append(whole(&over));
    world.commit([started(&running.id, 1), owes(&running, DebtState::Owed)]).expect("on disk");
    world.append([lived("a", Some("web")), lived("b", Some("db")), lived("b", None), read(7, 70)]);
    world.close();
    let world = World::open(&dir);

    let found = &world.remembered;
    let open: Vec<_> =
        found.runs.iter().map(|it| (&it.run.id, it.state, it.last.clone(), it.due_at)).collect();
    assert_eq!(
        open,
        [
            (&planned.id, RunState::Planned, None, None),
            (&running.id, RunState::Running { attempt: 1 }, None, None),
            (&waiting.id, RunState::Waiting { attempts: 1 }, Some(Outcome::Exited(75)), Some(due_at)),
        ]
    );
    assert_eq!(found.runs[0].run.event.subject, subject("a"));
    assert_eq!(found.runs[0].run.hook.action, planned.hook.action);
    assert_eq!(found.lives.iter().map(|it| &it.0).collect::<Vec<_>>(), [&subject("a")]);
    assert_eq!(found.engines, [engine()]);
    assert_eq!(found.debts.len(), 1);
    assert_eq!(format!("{:?}", found.debts[0]), format!("{:?}", debt(&running, DebtState::Owed)));
    assert_eq!((world.journal.cursor(&engine()), world.journal.marks(&engine())), (Some(at(7)), vec![70]));
    // And it goes on from there.
    world.append([ended(&running.id, Outcome::Exited(0)), concluded(&running.id, Conclusion::Done)]);
    world.close();
    let runs = Reader::open(&dir).unwrap().runs(&RunFilter::default()).unwrap();
    assert_eq!(runs[1].state, RunState::Concluded(Conclusion::Done));
    assert_eq!(runs[1].attempts[0].output.stdout.text, "out");
}

#[test]
fn debts_are_found_as_they_were_last_and_in_the_order_of_opening() {
    let (folder, runs) = (Folder::new(), Runs::new());
    let dir = folder.store();
    let world = World::open(&dir);
    let set_ups: Vec<Arc<Run>> = ["a", "b", "c", "d", "e", "f"].iter().map(|it| runs.next(it)).collect();
    for run in &set_ups {
        let begun = [Entry::Planned(run.clone()), started(&run.id, 1), owes(run, DebtState::Owed)];
        world.commit(begun).expect("on disk");
    }

    let states = [
        DebtState::Owed,
        DebtState::Due { run: set_ups[0].id.clone() },
        DebtState::Paid,
        DebtState::GivenUp { run: set_ups[1].id.clone() },
        DebtState::Forgiven,
        DebtState::Merged { into: set_ups[2].id.clone() },
    ];
    for (run, state) in set_ups.iter().zip(&states).rev() {
        world.append([owes(run, state.clone())]);
    }
    world.close();

    let world = World::open(&dir);
    let found: Vec<_> = world.remembered.debts.iter().map(|it| (&it.id, &it.state)).collect();
    let open = [0, 1, 3].map(|it| (&set_ups[it].id, &states[it]));
    assert_eq!(found, open);
    world.close();
    assert_eq!(look::<i64>(&dir, "SELECT count(*) FROM debts WHERE state = 'merged'"), 1);
}

#[test]
fn the_marks_of_the_last_messages_are_kept_in_order() {
    let folder = Folder::new();
    let dir = folder.store();
    let world = World::open(&dir);
    let kept = Journal::MARKS_MAX as u64;
    for mark in 0..kept + 10 {
        world.append([read(5, u64::MAX - mark)]);
    }
    world.close();
    let world = World::open(&dir);
    world.append([read(3, 1)]);
    world.close();

    let world = World::open(&dir);

    let mut expected: Vec<u64> = (11..kept + 10).map(|it| u64::MAX - it).collect();
    expected.push(1);
    assert_eq!(world.journal.marks(&engine()), expected);
    assert_eq!(world.journal.cursor(&engine()), Some(at(5)), "it never goes back");
    world.close();
}

#[test]
fn what_cannot_be_true_is_refused_and_leaves_nothing() {
    let (folder, runs) = (Folder::new(), Runs::new());
    let dir = folder.store();
    let world = World::open(&dir);
    let run = runs.next("a");
    let unknown = JournalError::UnknownRun { run: run.id.clone() };

    assert_eq!(world.journal.append([started(&run.id, 1)]), Err(unknown.clone()));
    let twice = [Entry::Planned(run.clone()), started(&run.id, 1), started(&run.id, 1)];
    let refused = world.commit(twice);
    assert!(matches!(refused, Err(CommitError::Refused(JournalError::OutOfOrder { .. }))), "{refused:?}");
    assert_eq!(world.commit([started(&run.id, 1)]), Err(CommitError::Refused(unknown)));
    world.commit([Entry::Planned(run.clone())]).expect("nothing of it was taken in");
    let again = world.journal.append([Entry::Planned(run.clone())]);
    assert_eq!(again, Err(JournalError::PlannedTwice { run: run.id.clone() }));

    world.close();
    assert_eq!(look::<i64>(&dir, "SELECT count(*) FROM run"), 1);
}

#[test]
fn what_is_committed_goes_ahead_of_the_rest_but_not_of_what_it_follows_from() {
    let (folder, runs) = (Folder::new(), Runs::new());
    let dir = folder.store();
    let world = World::open(&dir);
    let run = runs.next("mine");
    // More than goes along for nothing.
    let others: Vec<_> = (0..500).map(|it| runs.next(&format!("other-{it}"))).collect();

    for other in &others {
        world.append([Entry::Planned(other.clone()), read(1, 1)]);
    }
    world.append([Entry::Planned(run.clone()), lived("mine", Some("mine")), read(2, 2)]);
    world.commit([started(&run.id, 1), owes(&run, DebtState::Owed)]).expect("on disk");

    let state: String = look(&dir, "SELECT state FROM run WHERE subject_id = 'mine'");
    assert_eq!(state, "running");
    world.close();
    assert_eq!(look::<i64>(&dir, "SELECT count(*) FROM run"), 501);
    assert_eq!(look::<i64>(&dir, "SELECT cursor FROM engine"), 2_000_000_000);
    let last: String = look(&dir, "SELECT subject_id FROM run ORDER BY number DESC LIMIT 1");
    assert_eq!(last, "mine", "the order of planning is kept");
}

#[test]
fn nobody_else_can_read_a_store() {
    let folder = Folder::new();
    let dir = folder.store();
    let world = World::open(&dir);
    world.commit([lived("a", Some("web"))]).expect("on disk");

    let mode = |name: &str| fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o777;

    assert_eq!(mode(""), 0o700);
    for file in ["journal.db", "journal.db-wal", "journal.db-shm", "journal.lock"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    world.close();
}

#[test]
fn what_a_driver_holds_is_found_as_it_was_last() {
    let folder = Folder::new();
    let world = World::open(&folder.store());
    let held = |kind, key, what| Entry::Held(Holding::of(kind, key, &what));

    world.append([held(HoldingKind::Pool, "a", 1), held(HoldingKind::Pool, "b", 1)]);
    world.commit([held(HoldingKind::Pool, "a", 2), held(HoldingKind::Network, "a", 3)]).expect("on disk");
    world.commit([Entry::Held(Holding::gone(HoldingKind::Pool, "b"))]).expect("on disk");
    world.close();
    let world = World::open(&folder.store());

    let network = Holding::of(HoldingKind::Network, "a", &3);
    assert_eq!(world.remembered.holdings, [network, Holding::of(HoldingKind::Pool, "a", &2)]);
    world.close();
}
