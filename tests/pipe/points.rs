//! The points beyond a container's eight.

use std::time::Duration;

use super::world::{Config, Ran, World, points};
use crate::engine::{Generation, wait_for};
use crate::every_engine::on_every_engine;

const LIMIT: Duration = Duration::from_secs(30);

/// Waits for the `count`th run at `point`, whatever its subject.
#[track_caller]
fn wait_for_runs(world: &World, point: &str, count: usize) -> Vec<Ran> {
    wait_for(&format!("{count} runs at {point}"), LIMIT, || {
        let mut ran = world.ran();
        ran.retain(|it| it.point() == point);
        (ran.len() >= count).then_some(ran)
    })
}

on_every_engine!(a_rename_an_update_and_a_pause_are_told_with_what_is_known);
fn a_rename_an_update_and_a_pause_are_told_with_what_is_known(on: Generation) {
    let Some(world) = World::start(on, &Config::new().record("all", "[rename, update, pause, unpause]"))
    else {
        return;
    };
    world.run_sleeper("old", &[]);

    world.docker(&["rename", "old", "new"]);
    world.docker(&["update", "--memory", "64m", "--memory-swap", "64m", "new"]);
    world.docker(&["pause", "new"]);
    world.docker(&["unpause", "new"]);

    let ran = world.wait_for_point("new", "unpause");
    assert_eq!(points(&ran), ["rename", "update", "pause", "unpause"]);
    assert_eq!(ran[0].document["old_name"], "old");
    assert!(ran[3].variable("CONTAINER_IP").is_some());
}

on_every_engine!(health_and_commands_are_told);
fn health_and_commands_are_told(on: Generation) {
    let Some(world) = World::start(on, &Config::new().record("all", "[healthy, unhealthy, exec]")) else {
        return;
    };
    let health = ["--health-cmd", "test -e /ok", "--health-interval", "1s", "--health-retries", "1"];
    world.run_sleeper("web", &health);
    world.wait_for_point("web", "unhealthy");

    world.docker(&["exec", "web", "touch", "/ok"]);

    let ran = world.wait_for_point("web", "healthy");
    let touch = ran.iter().find(|it| it.document["command"] == "touch /ok");
    assert_eq!(touch.map(Ran::point), Some("exec"));
}

on_every_engine!(a_network_has_gates_and_its_connections_are_the_containers);
fn a_network_has_gates_and_its_connections_are_the_containers(on: Generation) {
    let at = "[network.pre_create, network.post_create, network.connect, network.disconnect, \
              network.pre_remove, network.post_remove]";
    let config = Config::new()
        .record("all", at)
        .hook("{name: no, at: [network.pre_create, network.pre_remove], when: {label: forbidden}, deny: no}");
    let Some(world) = World::start(on, &config) else { return };
    let denied = world.sandbox.docker(&["network", "create", "--label", "forbidden", "bad"]);
    assert!(denied.stderr.contains("hook `no`: no (run"), "{}", denied.stderr);

    world.docker(&["network", "create", "--label", "a=b", "lan"]);
    world.run_sleeper("web", &[]);
    world.docker(&["network", "connect", "lan", "web"]);
    let address = world.docker(&["inspect", "-f", "{{.NetworkSettings.Networks.lan.IPAddress}}", "web"]);
    world.docker(&["network", "disconnect", "lan", "web"]);
    world.docker(&["network", "rm", "lan"]);

    let removed = wait_for_runs(&world, "network.post_remove", 1);
    let of_lan: Vec<Ran> =
        world.ran().into_iter().filter(|it| it.document["network"]["name"] == "lan").collect();
    assert_eq!(
        points(&of_lan),
        [
            "network.pre_create",
            "network.post_create",
            "network.connect",
            "network.disconnect",
            "network.pre_remove",
            "network.post_remove"
        ]
    );
    assert_eq!(of_lan[0].document["labels"]["a"], "b");
    assert_eq!(of_lan[2].variable("CONTAINER_NAME"), Some("web"));
    let attached = of_lan[2].document["networks"].as_array().expect("networks");
    assert!(attached.iter().any(|it| it["name"] == "lan" && it["ip"] == address), "{attached:?}");
    assert_eq!(of_lan[4].document["subject"]["kind"], "network");
    assert_eq!(removed[0].variable("CONTAINER_ID"), None);
    assert_eq!(removed[0].variable("HOOK_SUBJECT_NAME"), Some("lan"));
}

on_every_engine!(a_volume_has_gates_is_made_once_and_its_mounts_are_the_containers);
fn a_volume_has_gates_is_made_once_and_its_mounts_are_the_containers(on: Generation) {
    let at = "[volume.pre_create, volume.post_create, volume.mount, volume.unmount, volume.pre_remove, \
              volume.post_remove]";
    let Some(world) = World::start(on, &Config::new().record("all", at)) else { return };

    world.docker(&["volume", "create", "data"]);
    for name in ["one", "two"] {
        world.docker(&["run", "--rm", "--name", name, "-v", "data:/data", "busybox:test", "true"]);
    }
    wait_for_runs(&world, "volume.unmount", 2);
    world.docker(&["volume", "rm", "data"]);

    wait_for_runs(&world, "volume.post_remove", 1);
    let ran = world.ran();
    let count = |point: &str| ran.iter().filter(|it| it.point() == point).count();
    assert_eq!((count("volume.pre_create"), count("volume.post_create")), (1, 1));
    assert_eq!((count("volume.mount"), count("volume.pre_remove")), (2, 1));
    let mount = ran.iter().find(|it| it.point() == "volume.mount").expect("a mount");
    assert_eq!(mount.document["volume"]["destination"], "/data");
    assert_eq!(mount.variable("CONTAINER_NAME"), Some("one"));
}

on_every_engine!(an_import_is_a_pull_and_a_gate_may_refuse_it_by_its_name);
fn an_import_is_a_pull_and_a_gate_may_refuse_it_by_its_name(on: Generation) {
    let config = Config::new()
        .record("all", "[image.pre_pull, image.post_pull, image.pre_remove, image.post_remove]")
        .hook("{name: no-latest, at: image.pre_pull, when: {image: \"*:latest\"}, deny: \"a tag, please\"}");
    let Some(world) = World::start(on, &config) else { return };
    let tar = world.sandbox.dir().join("image.tar").display().to_string();
    world.docker(&["create", "--name", "source", "busybox:test", "true"]);
    world.docker(&["export", "-o", &tar, "source"]);

    let denied = world.sandbox.docker(&["import", &tar, "app:latest"]);
    assert!(denied.stderr.contains("hook `no-latest`: a tag, please"), "{}", denied.stderr);
    world.docker(&["import", &tar, "app:1"]);
    world.docker(&["rmi", "app:1"]);

    wait_for_runs(&world, "image.post_remove", 1);
    let ran = wait_for_runs(&world, "image.pre_pull", 1);
    assert!(ran.iter().any(|it| it.document["image"] == "app:1"));
    assert_eq!(wait_for_runs(&world, "image.pre_remove", 1)[0].document["image"], "app:1");
}

on_every_engine!(a_prune_is_asked_about_for_each_candidate_and_one_denial_denies_it);
fn a_prune_is_asked_about_for_each_candidate_and_one_denial_denies_it(on: Generation) {
    let config = Config::new()
        .record("all", "[pre_remove, post_remove, network.pre_remove, volume.pre_remove]")
        .hook("{name: keep, at: [pre_remove, network.pre_remove, volume.pre_remove], when: {label: keep}, deny: kept}");
    let Some(world) = World::start(on, &config) else { return };
    for (name, label) in [("gone", "a"), ("kept", "keep")] {
        world.docker(&["create", "--name", name, "-l", label, "busybox:test", "true"]);
        world.docker(&["network", "create", "--label", label, name]);
        world.docker(&["volume", "create", "--label", label, name]);
    }
    world.run_sleeper("busy", &["-l", "keep"]);

    for what in ["container", "network", "volume"] {
        let denied = world.sandbox.docker(&[what, "prune", "-f"]);
        assert!(denied.stderr.contains("hook `keep`: kept"), "{what}: {}", denied.stderr);
        world.docker(&[what, "prune", "-f", "--filter", "label!=keep"]);
    }

    let removed = world.wait_for_point("gone", "post_remove");
    assert_eq!(removed.last().and_then(|it| it.variable("HOOK_SUBJECT_NAME")), Some("gone"));
    assert_eq!(world.docker(&["ps", "-aq", "-f", "name=kept"]).lines().count(), 1);
    assert_eq!(world.docker(&["network", "ls", "-q", "-f", "name=kept"]).lines().count(), 1);
}

on_every_engine!(the_general_gate_is_asked_about_every_call_but_our_own);
fn the_general_gate_is_asked_about_every_call_but_our_own(on: Generation) {
    let config = Config::new()
        .record("all", "post_create")
        .hook("{name: no-info, at: api, shell: \"grep -q '\\\"path\\\":\\\"[^\\\"]*/info\\\"' && { echo no info >&2; exit 1; } || :\"}");
    let Some(world) = World::start(on, &config) else { return };

    let denied = world.sandbox.docker(&["info"]);

    assert!(
        format!("{}{}", denied.stdout, denied.stderr).contains("hook `no-info`: no info"),
        "{}",
        denied.stderr
    );
    world.docker(&["create", "--name", "web", "busybox:test", "true"]);
    world.wait_for_point("web", "post_create");
}

on_every_engine!(the_engine_comes_reloads_and_goes);
fn the_engine_comes_reloads_and_goes(on: Generation) {
    let Some(world) =
        World::start(on, &Config::new().record("all", "[daemon.start, daemon.reload, daemon.stop]"))
    else {
        return;
    };
    wait_for_runs(&world, "daemon.start", 1);

    world.dockerd.hangup();
    wait_for_runs(&world, "daemon.reload", 1);
    world.dockerd.restart();

    wait_for_runs(&world, "daemon.start", 2);
    let ran = world.ran();
    assert_eq!(points(&ran), ["daemon.start", "daemon.reload", "daemon.stop", "daemon.start"]);
    assert_eq!(ran[0].document["subject"]["kind"], "engine");
}

on_every_engine!(a_reload_that_listens_to_more_hears_more);
fn a_reload_that_listens_to_more_hears_more(on: Generation) {
    let Some(world) = World::start(on, &Config::new().record("all", "post_start")) else { return };
    world.run_sleeper("web", &[]);
    world.wait_for_point("web", "post_start");

    let more = Config::new().record("all", "[post_start, pause, exec]");
    world.sandbox.write("config.yaml", &more.text_in(&world.sandbox));
    world.boathook.hangup();
    world.wait_until_it_follows(2);
    world.docker(&["pause", "web"]);
    world.docker(&["unpause", "web"]);
    world.docker(&["exec", "web", "true"]);

    assert_eq!(points(&world.wait_for_point("web", "exec")), ["post_start", "pause", "exec"]);
}
