//! Runs after the fact: attempts, outcomes, bounds.

use std::time::Duration;

use super::world::{Config, World};
use crate::engine::{Generation, wait_for};
use crate::every_engine::on_every_engine;

const LIMIT: Duration = Duration::from_secs(30);

on_every_engine!(a_hook_that_asks_to_be_tried_again_is_and_holds_nobody_up_meanwhile);
fn a_hook_that_asks_to_be_tried_again_is_and_holds_nobody_up_meanwhile(on: Generation) {
    let config = Config::new()
        .hook("{name: later, at: post_create, shell: \"test \\\"$HOOK_ATTEMPT\\\" = 3 || exit 75; echo at last\"}")
        .record("next", "post_remove");
    let Some(world) = World::start(on, &config) else { return };
    let slow = ["create", "--name", "web", "busybox:test", "true"];
    world.docker(&slow);

    let ended = |attempt: u64| {
        world.boathook.wait_for_log("an attempt to end", move |line| {
            line["hook"] == "later" && line["attempt"] == attempt && line["outcome"].is_string()
        })
    };

    assert_eq!(ended(1)["detail"], "exited with 75");
    let (second, third) = (ended(2), ended(3));
    assert_eq!(second["run"], third["run"]);
    assert_eq!(third["stdout"], "at last");
}

on_every_engine!(a_retry_whose_container_is_gone_is_not_made);
fn a_retry_whose_container_is_gone_is_not_made(on: Generation) {
    let config = Config::new()
        .hook("{name: later, at: post_create, shell: exit 75, retry: {max_attempts: 5, delay: 2s}}")
        .record("after", "post_remove");
    let Some(world) = World::start(on, &config) else { return };

    world.docker(&["create", "--name", "web", "busybox:test", "true"]);
    world.wait_for_end_of("later");
    world.docker(&["rm", "web"]);

    world.wait_for_point("web", "post_remove");
    world.boathook.wait_for_log("that it is superseded", |line| {
        line["message"] == "not tried again: what it was for is over"
    });
}

on_every_engine!(the_ways_an_attempt_ends_are_told_apart);
fn the_ways_an_attempt_ends_are_told_apart(on: Generation) {
    let config = Config::new()
        .hook("{name: exits, at: post_create, shell: exit 3}")
        .hook("{name: dies, at: post_create, shell: \"kill -9 $$\"}")
        .hook("{name: overruns, at: post_create, timeout: 300ms, kill_after: 300ms, shell: sleep 1000}")
        .hook("{name: vanishes, at: post_create, exec: [./vanishing]}")
        .record("last", "post_create");
    let Some(world) = World::start_with(on, &config, |sandbox| {
        sandbox.write_program("vanishing", "#!/bin/sh\nexit 0\n");
    }) else {
        return;
    };
    std::fs::remove_file(world.sandbox.dir().join("vanishing")).expect("remove a script");

    world.docker(&["create", "--name", "web", "busybox:test", "true"]);
    world.wait_for_point("web", "post_create");

    for (hook, outcome, detail) in [
        ("exits", "exited", "exited with 3"),
        ("dies", "signaled", "was killed by signal 9"),
        ("overruns", "timed_out", "took longer than it may"),
        ("vanishes", "not_started", "could not be started: look at"),
    ] {
        let ended = world.wait_for_end_of(hook);
        assert_eq!(ended["outcome"], outcome, "{ended}");
        assert!(ended["detail"].as_str().is_some_and(|it| it.starts_with(detail)), "{ended}");
    }
}

on_every_engine!(a_script_that_others_could_write_is_refused_when_its_turn_comes);
fn a_script_that_others_could_write_is_refused_when_its_turn_comes(on: Generation) {
    let config = Config::new().hook("{name: open, at: pre_create, exec: [./open]}");
    let Some(world) = World::start_with(on, &config, |sandbox| {
        sandbox.write_program("open", "#!/bin/sh\nexit 0\n");
    }) else {
        return;
    };
    assert!(world.sandbox.docker(&["create", "--name", "fine", "busybox:test", "true"]).status.success());
    world.sandbox.run(&["chmod", "o+w", &world.sandbox.dir().join("open").display().to_string()]);

    let denied = world.sandbox.docker(&["create", "--name", "web", "busybox:test", "true"]);

    assert!(
        denied.stderr.contains("hook `open`: could not be started")
            && denied.stderr.contains("can be written by"),
        "{}",
        denied.stderr
    );
}

on_every_engine!(a_script_without_end_fills_neither_log_nor_disk);
fn a_script_without_end_fills_neither_log_nor_disk(on: Generation) {
    let config = Config::new()
        .key("retention: {output: 4KiB}")
        .hook("{name: loud, at: post_create, timeout: 3s, kill_after: 0s, shell: \"exec yes\"}");
    let Some(world) = World::start(on, &config) else { return };
    let runs = world.sandbox.dir().join("state/runs");
    world.docker(&["create", "--name", "web", "busybox:test", "true"]);

    let ended = world.wait_for_end_of("loud");

    assert_eq!(ended["outcome"], "timed_out");
    assert!(ended["stdout"].as_str().is_some_and(|it| it.len() < 8192), "bounded in the log");
    wait_for("the files of the run to be gone", LIMIT, || {
        (std::fs::read_dir(&runs).expect("the directory for runs").count() == 0).then_some(())
    });
}

on_every_engine!(a_hook_that_fails_at_a_start_can_have_the_container_stopped);
fn a_hook_that_fails_at_a_start_can_have_the_container_stopped(on: Generation) {
    let config = Config::new()
        .hook("{name: must, at: post_start, on_failure: stop, shell: exit 1}")
        .record("all", "[pre_stop, post_stop]");
    let Some(world) = World::start(on, &config) else { return };

    world.run_sleeper("web", &["--stop-timeout", "1"]);

    let ran = world.wait_for_point("web", "post_stop");
    assert_eq!(ran.len(), 1, "boathook's own call asks no gate");
    assert_eq!(world.docker(&["inspect", "-f", "{{.State.Running}}", "web"]), "false");
}
