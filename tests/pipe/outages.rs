//! What happens when one of the two is away.

use std::time::Duration;

use super::world::{Config, World, options, points};
use crate::engine::{DockerdOptions, Generation, Sandbox, wait_for};
use crate::every_engine::on_every_engine;

const LIMIT: Duration = Duration::from_secs(30);

on_every_engine!(events_go_on_after_the_engine_was_restarted);
fn events_go_on_after_the_engine_was_restarted(on: Generation) {
    let Some(world) = World::start(on, &Config::new().record("all", "[post_create, post_remove]")) else {
        return;
    };
    world.docker(&["create", "--name", "before", "busybox:test", "true"]);
    world.wait_for_point("before", "post_create");

    world.dockerd.restart();
    world.wait_until_it_follows(2);
    world.docker(&["rm", "before"]);
    world.docker(&["create", "--name", "after", "busybox:test", "true"]);

    assert_eq!(points(&world.wait_for_point("before", "post_remove")), ["post_create", "post_remove"]);
    assert_eq!(points(&world.wait_for_point("after", "post_create")), ["post_create"]);
}

on_every_engine!(what_the_engine_does_while_it_stops_and_starts_is_told);
fn what_the_engine_does_while_it_stops_and_starts_is_told(on: Generation) {
    let Some(world) = World::start(on, &Config::new().record("all", "[post_start, post_stop]")) else {
        return;
    };
    world.run_sleeper("web", &["--restart", "always"]);
    world.wait_for_point("web", "post_start");

    world.dockerd.restart();

    let told = wait_for("an end and a second start", LIMIT, || {
        let ran = world.ran_for("web");
        (ran.len() >= 3).then_some(ran)
    });
    assert_eq!(points(&told), ["post_start", "post_stop", "post_start"]);
}

on_every_engine!(an_engine_that_knows_no_plugin_tells_everything_that_is_after_the_fact);
fn an_engine_that_knows_no_plugin_tells_everything_that_is_after_the_fact(on: Generation) {
    let Some(sandbox) = Sandbox::available_on(on) else { return };
    let config = Config::new().record("all", "[pre_create, post_create, post_start, post_stop, post_remove]");
    let world = World::around(sandbox, &config, DockerdOptions::default());

    world.docker(&["run", "--rm", "--name", "web", "-l", "a=b", "busybox:test", "true"]);

    let ran = world.wait_for_point("web", "post_remove");
    assert_eq!(points(&ran), ["post_create", "post_start", "post_stop", "post_remove"]);
    assert_eq!(ran[3].document["labels"]["a"], "b");
    assert_eq!(ran[1].variable("HOOK_CAUSE"), Some("engine"));
}

on_every_engine!(an_engine_that_needs_boathook_comes_up_after_it_and_without_docker_boathook_waits);
fn an_engine_that_needs_boathook_comes_up_after_it_and_without_docker_boathook_waits(on: Generation) {
    let Some(sandbox) = Sandbox::available_on(on) else { return };
    let text = Config::new().record("all", "post_create").text_in(&sandbox);

    let boathook = sandbox.start_boathook(&text, options());
    boathook.wait_for_log("that docker is away", |it| {
        it["message"] == "docker cannot be reached, will try again"
    });
    let plugin = DockerdOptions { authorization_plugin: Some("boathook"), ..DockerdOptions::default() };
    sandbox.start_dockerd(plugin);

    boathook.wait_for_log("that it follows", |it| it["message"] == "following docker's events");
    assert!(sandbox.docker(&["version"]).status.success());
}

on_every_engine!(calls_that_no_gate_asks_about_go_on_while_a_gate_hangs);
fn calls_that_no_gate_asks_about_go_on_while_a_gate_hangs(on: Generation) {
    let config = Config::new()
        .hook("{name: slow, at: pre_create, timeout: 20s, shell: sleep 1000}")
        .hook("{name: other, at: pre_remove, deny: no}");
    let Some(world) = World::start(on, &config) else { return };
    world.sandbox.spawn(&["docker", "create", "--name", "hangs", "busybox:test", "true"]);
    wait_for("the gate to be open", LIMIT, || {
        let sleeps = world.sandbox.run(&["pgrep", "-f", "sleep 1000"]).stdout;
        (!sleeps.is_empty()).then_some(())
    });

    assert!(world.sandbox.docker(&["ps", "-a"]).status.success());
    assert!(world.sandbox.docker(&["network", "create", "more"]).status.success());
}
