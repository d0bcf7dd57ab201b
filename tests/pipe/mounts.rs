//! `volume.mount`: a gate on volumes of boathook's own, told afterwards on all others.

use std::time::Duration;

use boathook::run::DebtState;
use serde_json::Value;

use super::world::{Config, World, points};
use crate::engine::{Generation, wait_for};
use crate::every_engine::on_every_engine;

/// For what follows on the end of a container.
const SEEN_LIMIT: Duration = Duration::from_secs(60);

/// Denies as long as there is no file `key` in the sandbox's folder.
const WANTS_THE_KEY: &str =
    "{name: key, at: volume.mount, shell: \"test -e key || { echo the key is not here >&2; exit 1; }\"}";

fn start(on: Generation, config: Config) -> Option<World> {
    World::start(on, &config.key("plugin: {kinds: [authz, volume]}"))
}

fn status(world: &World, container: &str) -> String {
    world.docker(&["inspect", "-f", "{{.State.Status}}", container])
}

impl World {
    /// How many use a volume of ours, as Docker shows it.
    fn references(&self, volume: &str) -> Value {
        let inspected = self.docker(&["volume", "inspect", "-f", "{{json .Status}}", volume]);
        serde_json::from_str::<Value>(&inspected).expect("a status is JSON")["references"].clone()
    }

    /// The mounts of the host that have to do with a volume of ours.
    fn mounts_of(&self, volume: &str) -> String {
        let script = format!("grep /volumes/{volume}/ /proc/self/mounts || true");
        self.sandbox.run(&["sh", "-c", &script]).stdout
    }
}

on_every_engine!(a_denied_mount_refuses_the_start_and_leaves_nothing_mounted);
fn a_denied_mount_refuses_the_start_and_leaves_nothing_mounted(on: Generation) {
    let Some(world) = start(on, Config::new().hook(WANTS_THE_KEY)) else { return };
    world.docker(&["volume", "create", "-d", "boathook", "-o", "type=tmpfs", "data"]);
    let shared = format!("{}:/shared", world.sandbox.dir().display());
    let command =
        ["-v", "data:/data", "-v", &shared, "busybox:test", "sh", "-c", "touch /shared/ran; sleep 1000"];

    let denied = world.sandbox.docker(&[&["run", "-d", "--name", "web"], &command[..]].concat());

    assert!(!denied.status.success());
    assert!(denied.stderr.contains("hook `key`: the key is not here (run "), "{}", denied.stderr);
    assert_eq!(status(&world, "web"), "created");
    assert!(!world.sandbox.dir().join("ran").exists(), "it has run");
    assert_eq!(world.mounts_of("data"), "");
    assert_eq!(world.references("data"), 0);

    // The same start is asked about again.
    let again = world.sandbox.docker(&["start", "web"]);
    assert!(again.stderr.contains("the key is not here"), "{}", again.stderr);
    world.sandbox.write("key", "");
    world.docker(&["start", "web"]);
    assert_eq!(status(&world, "web"), "running");
    assert_eq!(world.references("data"), 1);
    assert_ne!(world.mounts_of("data"), "");
    world.docker(&["rm", "-f", "web"]);
    assert_eq!(world.references("data"), 0);
    assert_eq!(world.mounts_of("data"), "");
    world.docker(&["volume", "rm", "data"]);
}

on_every_engine!(the_gate_of_a_mount_knows_the_container_and_comes_before_it);
fn the_gate_of_a_mount_knows_the_container_and_comes_before_it(on: Generation) {
    let before = "{name: before, at: volume.mount, shell: \"! grep -q /volumes/data/ /proc/mounts\"}";
    let Some(world) = start(on, Config::new().hook(before).record("record", "volume.mount")) else { return };
    world.docker(&["volume", "create", "-d", "boathook", "-o", "type=tmpfs", "data"]);

    let id = world.run_sleeper("web", &["-v", "data:/data"]);

    let ran = world.ran();
    assert_eq!(ran.len(), 1, "{ran:?}");
    assert_eq!(ran[0].variable("CONTAINER_NAME"), Some("web"), "{ran:?}");
    assert_eq!(ran[0].variable("CONTAINER_ID"), Some(&*id), "{ran:?}");
    assert_eq!(ran[0].document["volume"]["name"], "data", "{ran:?}");
    assert_ne!(world.mounts_of("data"), "");
}

on_every_engine!(a_mount_of_somebody_elses_volume_is_told_and_refused_by_nobody);
fn a_mount_of_somebody_elses_volume_is_told_and_refused_by_nobody(on: Generation) {
    let config = Config::new().hook(WANTS_THE_KEY).record("record", "volume.mount");
    let Some(world) = start(on, config) else { return };
    world.docker(&["volume", "create", "plain"]);

    world.run_sleeper("web", &["-v", "plain:/data"]);

    let ran = world.wait_for_point("web", "volume.mount");
    assert_eq!(ran[0].document["volume"]["name"], "plain");
    assert_eq!(world.wait_for_end_of("key")["outcome"], "exited");
    assert_eq!(status(&world, "web"), "running");
}

/// Copies out of both volumes of `web`.
fn copy(world: &World) {
    for from in ["web:/data/.", "web:/plain/."] {
        world.docker(&["cp", from, "-"]);
    }
}

on_every_engine!(a_copy_out_of_a_container_that_runs_is_no_use_of_its_volumes);
fn a_copy_out_of_a_container_that_runs_is_no_use_of_its_volumes(on: Generation) {
    let owes = "{name: owes, at: volume.mount, exec: [./record], cleanup: {exec: [./record]}}";
    let Some(mut world) = start(on, Config::new().hook(owes)) else { return };
    world.docker(&["volume", "create", "-d", "boathook", "data"]);
    world.run_sleeper("web", &["-v", "data:/data", "-v", "plain:/plain"]);
    // It is the only one with the volume that does not run.
    world.docker(&["create", "--name", "old", "-v", "data:/data", "busybox:test", "true"]);

    copy(&world);
    copy(&world);
    world.restart_boathook();
    copy(&world);
    assert!(world.debts().iter().all(|it| it.state == DebtState::Owed), "{:?}", world.debts());
    world.docker(&["rm", "-f", "web"]);

    wait_for("both clean-ups", SEEN_LIMIT, || {
        let debts = world.debts();
        debts.iter().all(|it| it.state == DebtState::Paid).then_some(())
    });
    let ran = world.ran();
    assert_eq!(ran.len(), 4, "{:?}", points(&ran));
    assert_eq!(points(&ran)[2..], ["volume.unmount", "volume.unmount"]);
    assert!(ran.iter().all(|it| it.variable("CONTAINER_NAME") == Some("web")), "{ran:?}");
}

on_every_engine!(a_mount_for_one_of_two_is_decided_by_outage);
fn a_mount_for_one_of_two_is_decided_by_outage(on: Generation) {
    let config = |outage: &str| {
        let config = Config::new().hook(WANTS_THE_KEY).key(&format!("outage: {outage}"));
        config.key("plugin: {kinds: [authz, volume]}")
    };
    let Some(mut world) = World::start(on, &config("closed")) else { return };
    world.docker(&["volume", "create", "-d", "boathook", "data"]);
    for name in ["one", "two"] {
        world.docker(&["create", "--name", name, "-v", "data:/data", "busybox:test", "sleep", "1000"]);
    }

    let refused = world.sandbox.docker(&["start", "one"]);

    let why = "boathook cannot decide at volume.mount: it may be mounted for one of several";
    assert!(refused.stderr.contains(why), "{}", refused.stderr);
    assert_eq!(status(&world, "one"), "created");
    assert_eq!(world.references("data"), 0);
    assert!(world.boathook.terminate().success());
    world.start_boathook_with(&config("open"));
    world.docker(&["start", "one"]);
    assert_eq!(world.references("data"), 1);
}
