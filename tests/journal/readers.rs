//! Others at the same file, while the daemon runs and while it is away.

use std::fs;
use std::process::{Command, id};
use std::sync::Arc;
use std::time::{Duration, Instant};

use boathook::hook::HookName;
use boathook::journal::{
    self, Asked, DebtFilter, Found, OpenError, Reader, Retention, RunFilter, Wish, WishError, holder, wish,
};
use boathook::run::{Conclusion, DebtState, Entry, Outcome, Phase, Run};

use super::values::{Runs, concluded, ended, owes, started, whole};
use super::world::{Folder, LIMIT, World, look};

#[test]
fn a_reader_sees_what_is_written_while_the_writer_runs_and_when_it_is_away() {
    let (folder, runs) = (Folder::new(), Runs::new());
    let dir = folder.store();
    let world = World::open(&dir);
    let (done, failed) = (runs.next("web"), runs.next("db"));
    world.append(whole(&done));
    world.append([Entry::Planned(failed.clone()), started(&failed.id, 1)]);
    world.append([ended(&failed.id, Outcome::Exited(3)), concluded(&failed.id, Conclusion::Failed)]);
    let open = runs.next("web");
    world.commit([Entry::Planned(open.clone()), started(&open.id, 1)]).expect("on disk");

    let ids = |filter: RunFilter| {
        let found = Reader::open(&dir).expect("a store").runs(&filter).expect("runs");
        found.iter().map(|it| it.run.id.to_string()).collect::<Vec<_>>().join(" ")
    };
    let check = || {
        let [done, failed, open] = [&done, &failed, &open].map(|it| it.id.to_string());
        assert_eq!(ids(RunFilter::default()), format!("{done} {failed} {open}"));
        assert_eq!(ids(RunFilter { limit: 1, ..RunFilter::default() }), open);
        let web = Some("web".to_owned());
        assert_eq!(ids(RunFilter { subject: web, ..RunFilter::default() }), format!("{done} {open}"));
        let one = Some(failed.clone());
        assert_eq!(ids(RunFilter { id: one, ..RunFilter::default() }), failed);
        assert_eq!(ids(RunFilter { found: Found::Failed, ..RunFilter::default() }), failed);
        assert_eq!(ids(RunFilter { found: Found::Open, ..RunFilter::default() }), open);
        let (hook, beginning) = (HookName::parse("hook"), Some(failed[..15].to_owned()));
        assert_eq!(ids(RunFilter { hook, limit: 1, ..RunFilter::default() }), open);
        assert_eq!(ids(RunFilter { hook: HookName::parse("other"), ..RunFilter::default() }), "");
        assert!(ids(RunFilter { id: beginning, ..RunFilter::default() }).contains(&failed));
    };
    check();
    world.close();
    check();
}

#[test]
fn a_debt_is_shown_with_the_attempts_to_pay_it() {
    let (folder, runs) = (Folder::new(), Runs::new());
    let dir = folder.store();
    let world = World::open(&dir);
    let set_up = runs.next("web");
    let clean_up = runs.next("web");
    let clean_up =
        Arc::new(Run { phase: Phase::Cleanup, debt: Some(set_up.id.clone()), ..Run::clone(&clean_up) });
    let due_at = clean_up.planned_at + LIMIT;
    world.append(whole(&set_up));
    world.append([owes(&set_up, DebtState::Due { run: clean_up.id.clone() })]);
    world.append([Entry::Planned(clean_up.clone()), started(&clean_up.id, 1)]);
    world.append([ended(&clean_up.id, Outcome::NotStarted("gone".to_owned()))]);
    world.append([Entry::Deferred { run: clean_up.id.clone(), until: due_at }]);
    let paid = runs.next("db");
    world.append([Entry::Planned(paid.clone()), owes(&paid, DebtState::Paid)]);
    world.close();

    let reader = Reader::open(&dir).expect("a store");
    let debts = reader.debts(&DebtFilter::default()).expect("debts");
    let all = reader.debts(&DebtFilter { closed: true, ..DebtFilter::default() }).expect("debts");

    assert_eq!(debts.iter().map(|it| &it.debt.id).collect::<Vec<_>>(), [&set_up.id]);
    assert_eq!(debts[0].attempts[0].outcome, Some(Outcome::NotStarted("gone".to_owned())));
    assert_eq!(debts[0].due_at, Some(due_at));
    assert_eq!(all.len(), 2);
}

#[test]
fn sqlite3_shows_the_store_while_it_is_written() {
    let (folder, runs) = (Folder::new(), Runs::new());
    let dir = folder.store();
    let world = World::open(&dir);
    let run = runs.next("web");
    world.commit(whole(&run)).expect("on disk");

    let sql =
        "SELECT id, subject_name, state, attempts, outcome, exit_code, conclusion, planned_at FROM runs";
    let shown = Command::new("sqlite3").arg(dir.join("journal.db")).arg(sql).output();

    // Where the program is missing, what it is built of tells the same.
    let shown = shown.map_or_else(
        |_| look(&dir, &format!("SELECT concat_ws('|', {}) FROM runs", &sql[7..sql.len() - 10])),
        |it| String::from_utf8(it.stdout).expect("text"),
    );
    let planned_at = format!("{:.9}", run.planned_at);
    assert_eq!(shown.trim(), format!("{}|web|concluded|1|exited|0|done|{planned_at}", run.id));
    world.close();
}

#[test]
fn a_second_daemon_is_refused_and_told_who_has_the_store() {
    let folder = Folder::new();
    let dir = folder.store();
    assert_eq!(holder(&dir).expect("nothing in the way"), None);
    let world = World::open(&dir);

    let refused = journal::open(&dir, Retention::default()).expect_err("one daemon at a time");

    assert!(matches!(&refused, OpenError::Locked { pid: Some(pid), .. } if *pid == id()), "{refused}");
    assert!(refused.fix().expect("there is something to do").contains(&format!("process {}", id())));
    assert_eq!(holder(&dir).expect("nothing in the way"), Some(id()));
    world.close();
    assert_eq!(holder(&dir).expect("nothing in the way"), None);
    World::open(&dir).close();
}

#[test]
fn a_wish_reaches_the_daemon_that_runs_or_the_next_one() {
    let (folder, runs) = (Folder::new(), Runs::new());
    let dir = folder.store();
    let missing = wish(&dir, &Wish::RetryFailed).expect_err("there is no store");
    assert!(matches!(missing, WishError::Open(OpenError::Missing { .. })), "{missing}");
    let run = runs.next("web");
    let id = run.id.clone();
    let mut world = World::open(&dir);
    world.commit([Entry::Planned(run)]).expect("on disk");
    let take = |world: &mut World| {
        let World { runtime, wishes, .. } = world;
        let taken = async { tokio::time::timeout(LIMIT, wishes.recv()).await.expect("it comes") };
        match runtime.block_on(taken).expect("the writer lives") {
            Asked::Run(run) => Wish::RetryRun(run.id.clone()),
            Asked::Debt(debt) => Wish::RetryDebt(debt),
            Asked::Failed => Wish::RetryFailed,
            Asked::Forgive(debt) => Wish::Forgive(debt),
        }
    };

    wish(&dir, &Wish::RetryRun(id.clone())).expect("left");
    assert_eq!(take(&mut world), Wish::RetryRun(id.clone()));
    world.close();
    wish(&dir, &Wish::RetryDebt(id.clone())).expect("left");
    wish(&dir, &Wish::RetryFailed).expect("left");
    wish(&dir, &Wish::Forgive(id.clone())).expect("left");
    let mut world = World::open(&dir);

    for expected in [Wish::RetryDebt(id.clone()), Wish::RetryFailed, Wish::Forgive(id)] {
        assert_eq!(take(&mut world), expected);
    }
    world.close();
    assert_eq!(look::<i64>(&dir, "SELECT count(*) FROM wish"), 0, "each is handed on once");
}

#[test]
fn more_wishes_than_the_daemon_takes_wait_in_the_store() {
    let folder = Folder::new();
    let dir = folder.store();
    World::open(&dir).close();
    for _ in 0..100 {
        wish(&dir, &Wish::RetryFailed).expect("left");
    }
    let World { journal, mut wishes, runtime, .. } = World::open(&dir);

    let taken = runtime.block_on(async {
        let mut taken = 0;
        while taken < 100 {
            tokio::time::timeout(LIMIT, wishes.recv()).await.expect("it comes").expect("the writer lives");
            taken += 1;
        }
        taken
    });

    assert_eq!(taken, 100);
    drop(journal);
}

#[test]
fn a_writer_waits_for_another_program_and_goes_on() {
    let (folder, runs) = (Folder::new(), Runs::new());
    let dir = folder.store();
    let world = World::open(&dir);
    let other = rusqlite::Connection::open(dir.join("journal.db")).expect("open the file");
    other.execute_batch("BEGIN IMMEDIATE; DELETE FROM wish").expect("nobody else writes");

    let run = runs.next("web");
    let refused = world.commit([Entry::Planned(run.clone())]).expect_err("somebody else writes");
    assert!(refused.to_string().contains("another program"), "{refused}");
    let begun = Instant::now();
    let refused = world.commit([Entry::Planned(run.clone())]).expect_err("somebody else writes");
    assert!(begun.elapsed() < Duration::from_secs(1), "refused at once: {refused}");
    world.append([Entry::Planned(run.clone())]);
    drop(other);

    world.wait_until(|it| *it == journal::Standing::Writable);
    world.commit([started(&run.id, 1)]).expect("on disk");
    world.close();
    assert_eq!(look::<String>(&dir, "SELECT state FROM run"), "running");
}

#[test]
fn a_store_whose_directory_cannot_be_made_is_named() {
    let folder = Folder::new();
    fs::write(folder.path().join("file"), "").expect("a file");

    let refused =
        journal::open(&folder.path().join("file/state"), Retention::default()).expect_err("no directory");

    assert!(refused.to_string().contains("file/state"), "{refused}");
}
