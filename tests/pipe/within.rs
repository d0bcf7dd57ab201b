//! Where a hook's program runs: `in`.

use std::fs;
use std::time::Duration;

use super::world::{Config, World};
use crate::engine::{Generation, wait_for};
use crate::every_engine::on_every_engine;

on_every_engine!(a_program_of_the_host_sees_the_containers_network);
fn a_program_of_the_host_sees_the_containers_network(on: Generation) {
    // It runs beside the configuration, as any program of the host.
    let config = Config::new()
        .hook("{name: look, at: post_start, in: netns, shell: ip -o -4 addr show dev eth0 > seen}");
    let Some(world) = World::start(on, &config) else { return };

    world.run_sleeper("web", &[]);

    assert_eq!(world.wait_for_end_of("look")["detail"], "exited with 0");
    let seen = fs::read_to_string(world.sandbox.dir().join("seen")).expect("the hook ran on the host");
    let address = world.address_of("web");
    assert!(seen.contains(&format!("inet {address}/")), "{seen}, not {address}");
}

on_every_engine!(a_program_runs_in_another_container_and_is_told_the_same);
fn a_program_runs_in_another_container_and_is_told_the_same(on: Generation) {
    let config = Config::new().hook(
        "{name: tell, at: post_start, when: {name: web}, in: {container: proxy}, working_dir: /tmp, \
         environment: {OWN: mine}, \
         shell: \"cat > document; env > environment; echo said; echo loudly >&2; exit 3\"}",
    );
    let Some(world) = World::start(on, &config) else { return };
    world.run_sleeper("proxy", &["--tmpfs", "/tmp"]);

    let id = world.run_sleeper("web", &[]);

    let ended = world.wait_for_end_of("tell");
    assert_eq!(ended["detail"], "exited with 3", "{ended}");
    let document = world.docker(&["exec", "proxy", "cat", "/tmp/document"]);
    let document: serde_json::Value = serde_json::from_str(&document).expect("a document is JSON");
    assert_eq!(document["container"]["id"], id.as_str());
    let environment = world.docker(&["exec", "proxy", "cat", "/tmp/environment"]);
    for line in ["CONTAINER_NAME=web", "OWN=mine", "HOOK_POINT=post_start"] {
        assert!(environment.lines().any(|it| it == line), "{line} is not in {environment}");
    }
    for name in ["DOCKER_CONFIG", "HOOK_API_HEADER", "HOOK_EVENT_FILE", "DOCKER_HOST"] {
        assert!(!environment.contains(&format!("{name}=")), "{name} is in {environment}");
    }
}

on_every_engine!(what_overruns_in_a_container_is_ended_with_all_that_it_started);
fn what_overruns_in_a_container_is_ended_with_all_that_it_started(on: Generation) {
    let config = Config::new()
        .hook(
            "{name: slow, at: post_start, when: {name: web}, in: {container: proxy}, timeout: 1s, kill_after: 1s, \
             shell: \"trap '' TERM; sleep 1234 & sleep 1234; sleep 1234\"}",
        )
        .hook(
            "{name: leaves, at: post_start, when: {name: db}, in: {container: proxy}, \
             shell: \"sleep 4321 > /dev/null 2>&1 & echo done\"}",
        );
    let Some(world) = World::start(on, &config) else { return };
    world.run_sleeper("proxy", &[]);

    world.run_sleeper("web", &[]);
    world.run_sleeper("db", &[]);

    assert_eq!(world.wait_for_end_of("slow")["outcome"], "timed_out");
    assert_eq!(world.wait_for_end_of("leaves")["detail"], "exited with 0");
    wait_for("all processes of the hooks to be gone", Duration::from_secs(20), || {
        let top = world.docker(&["top", "proxy"]);
        (!top.contains("sleep 1234") && !top.contains("sleep 4321")).then_some(())
    });
}

on_every_engine!(a_container_that_does_not_run_cannot_be_entered_and_the_user_reads_why);
fn a_container_that_does_not_run_cannot_be_entered_and_the_user_reads_why(on: Generation) {
    let config = Config::new()
        .hook("{name: itself, at: pre_start, when: {name: web}, in: {container: web}, exec: [\"true\"]}")
        .hook("{name: nobody, at: pre_start, when: {name: db}, in: {container: nobody}, exec: [\"true\"]}");
    let Some(world) = World::start(on, &config) else { return };
    let start = |name: &str| {
        world.sandbox.docker(&["run", "-d", "--name", name, "busybox:test", "sleep", "1000"]).stderr
    };

    let (itself, nobody) = (start("web"), start("db"));

    assert!(itself.contains("hook `itself`: could not be started"), "{itself}");
    assert!(itself.contains("does not run yet"), "{itself}");
    assert!(nobody.contains("hook `nobody`: could not be started"), "{nobody}");
    assert!(nobody.contains("nobody"), "{nobody}");
}
