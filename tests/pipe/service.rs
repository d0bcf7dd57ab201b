//! The daemon as a service: signals, reload, bad configurations.

use std::time::Duration;

use super::world::{Config, World, options, points};
use crate::engine::{DockerdOptions, Generation, Sandbox, wait_for};
use crate::every_engine::on_every_engine;

const LIMIT: Duration = Duration::from_secs(30);

fn message(text: &'static str) -> impl FnMut(&serde_json::Value) -> bool {
    move |line| line["message"] == text
}

on_every_engine!(a_reload_takes_the_new_hooks_and_a_bad_one_changes_nothing);
fn a_reload_takes_the_new_hooks_and_a_bad_one_changes_nothing(on: Generation) {
    let Some(world) = World::start(on, &Config::new().record("old", "post_create")) else { return };
    let reload = |text: &str| {
        world.sandbox.write("config.yaml", text);
        world.boathook.hangup();
    };

    reload("version: 1\nhooks:\n  - {nam: x}\n");
    world.boathook.wait_for_log(
        "that it has mistakes",
        message("the new configuration has mistakes: the old one goes on"),
    );
    world.docker(&["create", "--name", "first", "busybox:test", "true"]);
    assert_eq!(world.wait_for_point("first", "post_create")[0].document["hook"], "old");

    reload(&Config::new().record("new", "post_create").text_in(&world.sandbox));
    world.boathook.wait_for_log("that it is reloaded", message("the configuration is reloaded"));
    world.docker(&["create", "--name", "second", "busybox:test", "true"]);
    let ran = world.wait_for_point("second", "post_create");
    assert_eq!(ran.iter().map(|it| it.document["hook"].clone()).collect::<Vec<_>>(), ["new"]);
}

on_every_engine!(told_to_stop_it_lets_hooks_finish_and_answers_the_gate_that_is_open);
fn told_to_stop_it_lets_hooks_finish_and_answers_the_gate_that_is_open(on: Generation) {
    let config = Config::new()
        .key("drain: 20s")
        .record("gate", "pre_create")
        .hook("{name: slow, at: pre_create, timeout: 15s, shell: sleep 2}")
        .hook("{name: after, at: post_remove, timeout: 15s, shell: \"sleep 2; echo finished\"}");
    let Some(world) = World::start(on, &config) else { return };
    world.docker(&["create", "--name", "gone", "busybox:test", "true"]);
    world.docker(&["rm", "gone"]);
    let create = world.sandbox.spawn(&["docker", "create", "--name", "web", "busybox:test", "true"]);
    world.wait_for_point("web", "pre_create");

    let status = world.boathook.terminate();
    let socket_is_left = world.boathook.socket().exists();
    let successor = config.text_in(&world.sandbox);
    let _successor = world.sandbox.start_boathook(&successor, options());

    assert!(status.success(), "{status}");
    assert!(!socket_is_left);
    let after = world.wait_for_end_of("after");
    assert_eq!(after["stdout"], "finished", "{after}");
    let created = create.output(Duration::from_secs(60));
    assert!(created.status.success(), "{}", created.stderr);
    assert_eq!(world.ran_for("web").len(), 1, "the gate was asked once");
}

on_every_engine!(what_outlasts_the_drain_is_ended_with_all_its_processes);
fn what_outlasts_the_drain_is_ended_with_all_its_processes(on: Generation) {
    let config = Config::new().key("drain: 1s").hook(
        "{name: slow, at: post_create, timeout: 60s, kill_after: 1s, shell: \"sleep 1234 & sleep 1234\"}",
    );
    let Some(world) = World::start(on, &config) else { return };
    world.docker(&["create", "--name", "web", "busybox:test", "true"]);
    wait_for("the hook to run", LIMIT, || {
        (!world.sandbox.run(&["pgrep", "-f", "sleep 1234"]).stdout.is_empty()).then_some(())
    });

    assert!(world.boathook.terminate().success());

    assert_eq!(world.wait_for_end_of("slow")["outcome"], "interrupted");
    assert_eq!(world.sandbox.run(&["pgrep", "-f", "sleep 1234"]).stdout, "");
}

on_every_engine!(without_a_configuration_that_can_be_used_outage_answers);
fn without_a_configuration_that_can_be_used_outage_answers(on: Generation) {
    for (outage, allowed) in [("open", true), ("closed", false)] {
        let Some(sandbox) = Sandbox::available_on(on) else { return };
        let text = format!("version: 1\noutage: {outage}\nhooks:\n  - {{name: x, at: lunch}}\n");
        let boathook = sandbox.start_boathook(&text, options());
        let plugin = DockerdOptions { authorization_plugin: Some("boathook"), ..DockerdOptions::default() };
        sandbox.start_dockerd(plugin);
        sandbox.import_busybox();

        let created = sandbox.docker(&["create", "--name", "web", "busybox:test", "true"]);

        assert_eq!(created.status.success(), allowed, "{}", created.stderr);
        assert_eq!(created.stderr.contains("there is no valid configuration"), !allowed);
        boathook.wait_for_log("the mistake", message("the configuration has a mistake"));

        sandbox.write("config.yaml", &Config::new().record("all", "post_create").text_in(&sandbox));
        boathook.hangup();
        boathook.wait_for_log("that it is reloaded", message("the configuration is reloaded"));
        assert!(sandbox.docker(&["create", "--name", "then", "busybox:test", "true"]).status.success());
    }
}

on_every_engine!(a_second_daemon_of_the_same_name_is_refused_and_disturbs_nothing);
fn a_second_daemon_of_the_same_name_is_refused_and_disturbs_nothing(on: Generation) {
    let Some(world) = World::start(on, &Config::new().record("all", "post_create")) else { return };
    let text = Config::new().record("other", "post_create").text_in(&world.sandbox);

    let second = world.sandbox.spawn_boathook(&text, options());

    assert_eq!(second.process().wait(LIMIT).code(), Some(1));
    let said = second.logs().iter().map(ToString::to_string).collect::<String>();
    assert!(said.contains("boathook.sock"), "{said}");
    world.docker(&["create", "--name", "web", "busybox:test", "true"]);
    assert_eq!(points(&world.wait_for_point("web", "post_create")), ["post_create"]);
}
