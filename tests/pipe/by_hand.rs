//! What people see of the journal, and what they make of it, beside a daemon that runs.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::world::{Config, World};
use crate::engine::{Generation, Output, wait_for};
use crate::every_engine::on_every_engine;

/// For what a hook does to be seen.
const LIMIT: Duration = Duration::from_secs(30);

/// A hook whose clean-up works once there is a file, and is tried once by itself.
const NET: &str = "{name: net, at: post_start, shell: 'true', cleanup: {shell: 'echo device is busy >&2; \
    test -e mended', retry: {max_attempts: 1}}}";

fn boathook(world: &World, arguments: &[&str]) -> Output {
    let config = world.sandbox.dir().join("config.yaml").display().to_string();
    let command = [&[env!("CARGO_BIN_EXE_boathook")], arguments, &["-c", &config]].concat();
    world.sandbox.run(&command)
}

#[track_caller]
fn listed(world: &World, arguments: &[&str]) -> Vec<Value> {
    let output = boathook(world, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_str(&output.stdout).expect("an array")
}

/// Runs and removes a container; the id of its debt, once that is given up.
#[track_caller]
fn give_up(world: &World, name: &str) -> String {
    world.run_sleeper(name, &[]);
    world.docker(&["rm", "-f", name]);
    let given_up = wait_for("the debt to be given up", LIMIT, || {
        let debts = listed(world, &["debts", "--container", name]);
        debts.into_iter().find(|it| it["state"] == "given_up")
    });
    given_up["id"].as_str().expect("an id").to_owned()
}

fn mended(world: &World) -> PathBuf {
    world.sandbox.dir().join("mended")
}

on_every_engine!(a_hook_that_fails_is_seen_and_run_once_more_by_hand);
fn a_hook_that_fails_is_seen_and_run_once_more_by_hand(on: Generation) {
    let config = Config::new()
        .hook("{name: bad, at: post_remove, shell: 'echo no route >&2; test -e mended || exit 3'}");
    let Some(world) = World::start(on, &config) else { return };
    world.docker(&["run", "--rm", "--name", "web", "busybox:test", "true"]);
    let failed = wait_for("the run to fail", LIMIT, || listed(&world, &["runs", "--failed"]).pop());

    let id = failed["id"].as_str().expect("an id");
    let told = boathook(&world, &["runs", id]);
    let again = boathook(&world, &["retry", id]);
    fs::write(mended(&world), "").expect("the sandbox can be written");
    let mended = boathook(&world, &["retry", id]);

    assert_eq!((&failed["hook"], &failed["exit_code"]), (&Value::from("bad"), &Value::from(3)));
    assert_eq!(failed["subject"]["name"], "web");
    assert!(told.stdout.contains("  stderr, 9 bytes:\n    no route\n"), "{told:?}");
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert!(again.stdout.starts_with("`bad` for web: failed again, exit 3"), "{again:?}");
    assert_eq!(mended.status.code(), Some(0), "{mended:?}");
    let causes: Vec<_> =
        listed(&world, &["runs", "--hook", "bad"]).into_iter().map(|it| it["cause"].clone()).collect();
    assert_eq!(causes, ["engine", "replay", "replay"].map(Value::from), "{causes:?}");
}

on_every_engine!(a_clean_up_that_was_given_up_is_paid_or_forgiven_by_hand);
fn a_clean_up_that_was_given_up_is_paid_or_forgiven_by_hand(on: Generation) {
    let Some(world) = World::start(on, &Config::new().hook(NET)) else { return };
    let (first, second) = (give_up(&world, "web"), give_up(&world, "db"));

    let in_vain = boathook(&world, &["retry", &first]);
    let forgiven = boathook(&world, &["debts", "--forgive", &second]);
    let left = boathook(&world, &["debts"]);
    fs::write(mended(&world), "").expect("the sandbox can be written");
    let paid = boathook(&world, &["retry", "--failed"]);

    assert_eq!(in_vain.status.code(), Some(1), "{in_vain:?}");
    let said = "the clean-up of `net` for web: failed again, exit 1";
    assert!(in_vain.stdout.starts_with(said), "{in_vain:?}");
    assert!(in_vain.stdout.contains("device is busy"), "{in_vain:?}");
    assert_eq!(forgiven.status.code(), Some(0), "{forgiven:?}");
    assert_eq!(forgiven.stdout, "`net` for db: forgiven; no clean-up runs for it any more\n");
    assert!(left.stdout.contains(&first) && !left.stdout.contains(&second), "{left:?}");
    assert!(!left.stderr.contains("does not run"), "{left:?}");
    assert_eq!(paid.status.code(), Some(0), "{paid:?}");
    assert!(paid.stdout.starts_with("the clean-up of `net` for web: done, exit 0"), "{paid:?}");
    assert_eq!(listed(&world, &["debts"]), [Value::Null; 0]);
    let states: Vec<_> =
        listed(&world, &["debts", "--all"]).into_iter().map(|it| it["state"].clone()).collect();
    assert_eq!(states, ["paid", "forgiven"].map(Value::from));
}

on_every_engine!(what_is_asked_for_while_boathook_is_away_is_done_when_it_is_there);
fn what_is_asked_for_while_boathook_is_away_is_done_when_it_is_there(on: Generation) {
    let Some(mut world) = World::start(on, &Config::new().hook(NET)) else { return };
    let debt = give_up(&world, "web");
    fs::write(mended(&world), "").expect("the sandbox can be written");
    // Nothing is tidied up behind it.
    world.boathook.kill9();

    let seen = boathook(&world, &["debts"]);
    let asked = boathook(&world, &["retry", &debt]);
    world.start_boathook();

    assert!(seen.stdout.contains(&debt), "{seen:?}");
    assert!(seen.stderr.ends_with("boathook does not run: nothing is paid until it does\n"), "{seen:?}");
    assert_eq!(asked.status.code(), Some(0), "{asked:?}");
    assert_eq!(asked.stderr, "boathook does not run: it is done when it does\n");
    wait_for("the debt to be paid", LIMIT, || listed(&world, &["debts"]).is_empty().then_some(()));
}

on_every_engine!(the_journal_is_read_with_sqlite_and_copied_while_boathook_runs);
fn the_journal_is_read_with_sqlite_and_copied_while_boathook_runs(on: Generation) {
    let Some(world) = World::start(on, &Config::new().hook(NET)) else { return };
    let debt = give_up(&world, "web");
    let dir = world.sandbox.dir();
    let (store, copy) = (dir.join("state/journal.db"), dir.join("copy.db"));

    let backup = boathook(&world, &["backup", &copy.display().to_string()]);

    assert!(backup.status.success(), "{backup:?}");
    assert!(backup.stdout.contains(": 2 runs, 1 debt, "), "{backup:?}");
    let sql = "SELECT debts.id, debts.state, runs.phase, runs.exit_code FROM debts \
        JOIN runs ON runs.debt = debts.id; PRAGMA integrity_check";
    for file in [store, copy] {
        let read =
            world.sandbox.run(&["sqlite3".as_ref(), "-readonly".as_ref(), file.as_os_str(), sql.as_ref()]);
        assert_eq!(read.stdout, format!("{debt}|given_up|cleanup|1\nok\n"), "{read:?}");
    }
    fs::write(mended(&world), "").expect("the sandbox can be written");
    assert!(boathook(&world, &["retry", &debt]).status.success(), "whoever reads is in nobody's way");
}
