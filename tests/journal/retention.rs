//! What is forgotten, and what never is.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use boathook::journal::Retention;
use boathook::run::{Conclusion, DebtState, Entry, Outcome, Output, Phase, Run};
use jiff::{SignedDuration, Timestamp};

use super::values::{Runs, debt, lived, owes, whole};
use super::world::{Folder, LIMIT, World, look};

/// Until the writer has gone through the store: it shows by what it has deleted.
fn wait_for_runs(dir: &Path, count: i64) {
    let begun = Instant::now();
    while look::<i64>(dir, "SELECT count(*) FROM run") != count {
        assert!(begun.elapsed() < LIMIT, "{} runs", look::<i64>(dir, "SELECT count(*) FROM run"));
        thread::sleep(Duration::from_millis(5));
    }
}

/// The whole life of a run in the past.
fn past(run: &Arc<Run>) -> [Entry; 4] {
    let (id, at) = (&run.id, run.planned_at);
    [
        Entry::Planned(run.clone()),
        Entry::Started { run: id.clone(), attempt: 1, at },
        Entry::Ended { run: id.clone(), at, outcome: Outcome::Exited(0), output: Output::default() },
        Entry::Concluded { run: id.clone(), at, conclusion: Conclusion::Done },
    ]
}

#[test]
fn what_is_over_for_long_is_forgotten_and_what_is_owed_never() {
    let (folder, runs) = (Folder::new(), Runs::new());
    let dir = folder.store();
    let world = World::open(&dir);
    let long_ago = Timestamp::now() - SignedDuration::from_hours(24 * 31);
    let old = |container: &str| runs.planned_at(container, long_ago);
    for it in 0..450 {
        world.append(past(&old(&format!("old-{it}"))));
    }
    world.append(whole(&runs.next("young")));
    world.append([Entry::Planned(old("open")), lived("open", Some("open"))]);
    // A debt that is open keeps its set-up and the clean-ups that failed; a paid one keeps none.
    let (owing, paid) = (old("owing"), old("paid"));
    let tried = Run { phase: Phase::Cleanup, debt: Some(owing.id.clone()), ..Run::clone(&old("owing")) };
    let tried = Arc::new(tried);
    world.append(past(&owing).into_iter().chain(past(&tried)));
    world.append([owes(&owing, DebtState::GivenUp { run: tried.id.clone() })]);
    let mut closed = debt(&paid, DebtState::Paid);
    closed.closed_at = Some(long_ago);
    world.append(past(&paid).into_iter().chain([Entry::Debt(Arc::new(closed))]));
    world.close();

    let keep = Retention { runs: Duration::from_secs(30 * 24 * 60 * 60), ..Retention::default() };
    let world = World::keeping(&dir, keep);
    wait_for_runs(&dir, 4);
    world.close();

    let left: String = look(&dir, "SELECT group_concat(subject_id, ' ' ORDER BY number) FROM run");
    assert_eq!(left, "young open owing owing");
    assert_eq!(look::<String>(&dir, "SELECT group_concat(subject_id) FROM debt"), "owing");
    assert_eq!(look::<i64>(&dir, "SELECT count(*) FROM attempt"), 3);
    assert_eq!(look::<i64>(&dir, "SELECT count(*) FROM event"), 4);
    assert_eq!(look::<i64>(&dir, "SELECT count(*) FROM life"), 1);
}

#[test]
fn of_too_many_runs_the_latest_are_kept() {
    let (folder, runs) = (Folder::new(), Runs::new());
    let dir = folder.store();
    let world = World::open(&dir);
    world.append([Entry::Planned(runs.next("open"))]);
    for it in 0..300 {
        world.append(whole(&runs.next(&format!("run-{it}"))));
    }
    world.close();

    let world = World::keeping(&dir, Retention { runs_max: 10, ..Retention::default() });
    wait_for_runs(&dir, 11);
    world.close();

    assert_eq!(look::<String>(&dir, "SELECT subject_id FROM run ORDER BY number LIMIT 1"), "open");
    let oldest = "SELECT subject_id FROM run ORDER BY number LIMIT 1 OFFSET 1";
    assert_eq!(look::<String>(&dir, oldest), "run-290");
}
