//! The disk is full, and comes back; the store is torn.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

use serde_json::Value;

use super::books::Books;
use super::world::{Config, Plugin, World};
use crate::engine::Generation;

/// Large enough for a store, small enough to be filled at once.
const DISK: &str = "size=4m";

const FILL: &str = "cat /dev/zero > \"$1/filler\"; test -s \"$1/filler\"";

fn config(outage: &str) -> Config {
    Config::default()
        .key(&format!("outage: {outage}"))
        .pair("pair-gate", "pre_start", "")
        .pair("pair-run", "post_start", "")
        .plain("plain", "[post_create, post_start, post_stop, post_remove]")
}

/// Fills the disk, and makes containers until boathook has noticed: what its log has room for still it can
/// write. How many containers those were.
fn fill(world: &World) -> usize {
    let dir = world.state_dir().display().to_string();
    let filled = world.sandbox.run(&["sh", "-c", FILL, "sh", &dir]);
    assert!(filled.status.success(), "{}", filled.stderr);
    let has_noticed =
        || world.boathook().logs().iter().any(|it| it["message"] == "the journal cannot be written");
    let mut made = 0;
    while !has_noticed() {
        world.docker(&["create", "--name", "more", "busybox:test", "true"]);
        world.docker(&["rm", "more"]);
        made += 1;
        assert!(made < 200, "the journal is written to a full disk");
    }
    made
}

fn make_room(world: &World) {
    let filler = world.state_dir().join("filler").display().to_string();
    assert!(world.sandbox.run(&["rm", &filler]).status.success());
}

#[test]
fn with_a_full_disk_gates_go_by_outage_closed_and_all_goes_on_when_there_is_room() {
    let Some(world) = World::start_on_disk(Generation::V20_10, Plugin::Asked, DISK, &config("closed")) else {
        return;
    };
    world.run_sleeper("before", &[]);
    world.wait_for_set_ups("pair-run", 1);

    let more = fill(&world);
    world.docker(&["create", "--name", "while", "busybox:test", "true"]);
    let denied = world.sandbox.docker(&["start", "while"]);
    assert!(!denied.status.success());
    assert!(denied.stderr.contains("boathook cannot decide"), "{}", denied.stderr);
    world.docker(&["rm", "-f", "before", "while"]);
    make_room(&world);

    let books = wait_for_removals(&world, more + 2);
    books.audit("a full disk");
    books.audit_repetitions(0);
    world.docker(&["run", "--rm", "--name", "after", "busybox:test", "true"]);
    wait_for_removals(&world, more + 3).audit("room again");
}

#[test]
fn with_a_full_disk_gates_go_by_outage_open_and_nothing_that_was_recorded_is_lost() {
    let Some(mut world) = World::start_on_disk(Generation::V20_10, Plugin::Asked, DISK, &config("open"))
    else {
        return;
    };
    world.run_sleeper("before", &[]);
    world.wait_for_set_ups("pair-run", 1);

    let more = fill(&world);
    world.run_sleeper("while", &[]);
    world.kill_boathook();
    world.start_boathook();
    world.docker(&["rm", "-f", "before"]);
    make_room(&world);
    world.docker(&["rm", "-f", "while"]);

    let books = wait_for_removals(&world, more + 2);
    books.audit_debts("a full disk, on which a kill was not noted down");
    books.audit_repetitions(1);
}

#[track_caller]
fn wait_for_removals(world: &World, count: usize) -> Books {
    world.wait_for_rest("every removal to be told", |books| {
        books.is_even() && books.served("plain", "setup", "post_remove").len() == count
    })
}

/// What a crash of the host may make of a file: its end is missing, or is not what was written.
#[derive(Clone, Copy, Debug)]
enum Tear {
    LogShortened,
    LogGarbled,
    LogGone,
    FileShortened,
    FileGarbled,
}

/// The size of a page of the store, in bytes.
const PAGE: u64 = 4096;

fn tear(state_dir: &Path, how: Tear) {
    let open =
        |name| fs::OpenOptions::new().write(true).open(state_dir.join(name)).expect("a file of the store");
    let shorten = |name, by: u64| {
        let file = open(name);
        let length = file.metadata().expect("its length").len();
        file.set_len(length.saturating_sub(by)).expect("shorten it");
    };
    let garble = |name, from_end: u64| {
        let mut file = open(name);
        let length = file.metadata().expect("its length").len();
        file.seek(SeekFrom::Start(length.saturating_sub(from_end))).expect("go there");
        file.write_all(&[0xa5; 512]).expect("garble it");
    };
    match how {
        Tear::LogShortened => shorten("journal.db-wal", PAGE / 2),
        Tear::LogGarbled => garble("journal.db-wal", PAGE / 2),
        Tear::LogGone => fs::remove_file(state_dir.join("journal.db-wal")).expect("remove the log"),
        Tear::FileShortened => shorten("journal.db", PAGE),
        Tear::FileGarbled => garble("journal.db", 100),
    }
}

#[test]
fn a_torn_store_is_gone_on_from_or_refused_and_nothing_wrong_runs() {
    let config = config("closed");
    for how in [Tear::LogShortened, Tear::LogGarbled, Tear::LogGone, Tear::FileShortened, Tear::FileGarbled] {
        let Some(mut world) = World::start(Generation::V20_10, Plugin::NotAsked, &config) else { return };
        for name in ["one", "two"] {
            world.run_sleeper(name, &[]);
        }
        world.wait_for_set_ups("pair-run", 2);

        world.kill_boathook();
        tear(world.state_dir(), how);
        world.docker(&["rm", "-f", "one"]);
        world.start_boathook();

        let refused =
            |it: &Value| it["message"].as_str().is_some_and(|it| it.starts_with("there is no journal"));
        world.wait_until_it_follows();
        if world.boathook().logs().iter().any(refused) {
            world.docker(&["rm", "-f", "two"]);
            let books = world.books();
            assert_eq!(books.served("pair-run", "cleanup", "post_stop").len(), 0, "{how:?}\n{books}");
            books.audit_order(&format!("{how:?}"));
            continue;
        }
        world.docker(&["rm", "-f", "two"]);
        let books = world.wait_for_rest(&format!("what is known to be told after {how:?}"), |books| {
            books.served("plain", "setup", "post_remove").len() == 2
        });
        books.audit_order(&format!("{how:?}"));
    }
}
