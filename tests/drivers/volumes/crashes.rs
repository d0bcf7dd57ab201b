//! Boathook is killed, the engine is killed, and the store comes late.

use std::fs;
use std::thread;
use std::time::Duration;

use super::world::World;
use crate::engine::{Generation, wait_for};
use crate::every_engine::on_every_engine;

/// For an engine to be up, once it has been told what it waits for.
const START_LIMIT: Duration = Duration::from_secs(60);

fn a_shared_volume_outlives_boathook_and_is_unmounted_once(on: Generation) {
    let Some(mut world) = World::start(on, "") else { return };
    world.create("mem", &["type=tmpfs"]);
    world.run_sleeper("one", "mem");
    world.run_sleeper("two", "mem");
    world.docker(&["exec", "one", "sh", "-c", "echo kept > /v/file"]);

    world.boathook.kill9();
    world.start_boathook();

    assert_eq!(world.references("mem"), 2);
    assert_eq!(world.in_volume("mem", "cat /v/file"), "kept");
    world.docker(&["rm", "-f", "one"]);
    assert_eq!(world.mounts_at(&world.data("mem")), 1);
    world.boathook.kill9();
    world.start_boathook();
    assert_eq!(world.docker(&["exec", "two", "cat", "/v/file"]), "kept");
    world.docker(&["rm", "-f", "two"]);

    assert_eq!(world.mounts_at(&world.data("mem")), 0);
    assert_eq!((world.references("mem"), world.times_logged("volume unmounted", "mem")), (0, 1));
}
on_every_engine!(a_shared_volume_outlives_boathook_and_is_unmounted_once);

fn what_a_killed_engine_leaves_mounted_is_unmounted_once(on: Generation) {
    let Some(world) = World::start(on, "") else { return };
    world.create("mem", &["type=tmpfs"]);
    world.create("dir", &[]);
    world.run_sleeper("one", "mem");
    world.run_sleeper("two", "dir");

    world.dockerd.kill9();
    world.dockerd.start();

    world.wait_until_unmounted("mem");
    wait_for("the uses to be taken back", START_LIMIT, || {
        (world.references("mem") + world.references("dir") == 0).then_some(())
    });
    assert_eq!(world.times_logged("volume unmounted", "mem"), 1);
    assert_eq!(world.times_logged("uses of a volume were left over by the engine", "mem"), 1);
    world.docker(&["start", "one", "two"]);
    assert_eq!((world.references("mem"), world.references("dir")), (1, 1));
    world.docker(&["rm", "-f", "one", "two"]);
    world.docker(&["volume", "rm", "mem", "dir"]);
}
on_every_engine!(what_a_killed_engine_leaves_mounted_is_unmounted_once);

#[test]
fn what_is_mounted_and_used_by_nobody_is_unmounted_at_start() {
    let Some(mut world) = World::start(Generation::V28_5, "") else { return };
    world.create("mem", &["type=tmpfs"]);
    world.create("other", &[]);
    world.boathook.kill9();
    // As if it had died between mounting and writing that down, and in the middle of a removal.
    let data = world.data("mem");
    let data = data.to_str().expect("a path of ours is text");
    assert!(world.sandbox.run(&["mount", "-t", "tmpfs", "x", data]).status.success());
    let shelf = world.sandbox.dir().join("state/volumes");
    fs::rename(shelf.join("other"), shelf.join(".bh-gone-0123")).expect("it can be renamed");
    fs::create_dir(shelf.join(".bh-new-half")).expect("it can be made");

    world.start_boathook();

    world.wait_until_unmounted("mem");
    wait_for("only one volume to be left", START_LIMIT, || {
        (fs::read_dir(&shelf).expect("it can be listed").count() == 1).then_some(())
    });
    assert_eq!(world.docker(&["volume", "ls", "-q"]), "mem");
}

fn labels_are_remembered_when_the_store_comes_late(on: Generation) {
    let Some(mut world) = World::start(on, "") else { return };
    world.docker(&["volume", "create", "-d", "boathook", "--label", "keep=me", "db"]);
    world.dockerd.stop();
    world.boathook.terminate();
    let store = world.sandbox.dir().join("state/journal.db");
    let away = world.sandbox.dir().join("away.db");
    fs::rename(&store, &away).expect("it can be renamed");
    // No file can be opened where a directory is.
    fs::create_dir(&store).expect("it can be made");

    world.start_boathook();
    let start = thread::scope(|scope| {
        let starts = scope.spawn(|| world.dockerd.start());
        world.boathook.wait_for_log("a call to wait for the store", |it| {
            it["message"] == "a driver call of docker's waits for the store"
        });
        assert!(!starts.is_finished());
        fs::remove_dir(&store).expect("it is empty");
        fs::rename(&away, &store).expect("it can be renamed");
        starts.join()
    });
    start.expect("the engine starts");

    assert_eq!(world.docker(&["volume", "inspect", "-f", "{{.Labels.keep}}", "db"]), "me");
    assert_eq!(world.in_volume("db", "echo there"), "there");
}
on_every_engine!(labels_are_remembered_when_the_store_comes_late);

fn volumes_on_a_disk_that_comes_late_are_there_without_a_restart(on: Generation) {
    let Some(mut world) = World::start(on, "") else { return };
    world.create("dir", &[]);
    world.run_sleeper("one", "dir");
    let place = |it: &str| world.sandbox.dir().join("state").join(it);
    let (root, away) = (place("volumes"), place("away"));

    world.boathook.kill9();
    fs::rename(&root, &away).expect("there are volumes");
    fs::write(&root, "").expect("there is a state directory");
    world.start_boathook();
    world.boathook.wait_for_log("what is wrong", |line| line["message"] == "there are no volumes");
    fs::remove_file(&root).expect("it was written");
    fs::rename(&away, &root).expect("it was moved");

    assert_eq!(world.references("dir"), 1);
    assert_eq!(world.in_volume("dir", "echo kept > /v/file; cat /v/file"), "kept");
    world.docker(&["rm", "-f", "one"]);
    assert_eq!(world.references("dir"), 0);
}
on_every_engine!(volumes_on_a_disk_that_comes_late_are_there_without_a_restart);
