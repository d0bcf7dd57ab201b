//! Hooks that have to do with each other, and events that are answered together.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::world::{Config, World};
use crate::engine::{Generation, wait_for};
use crate::every_engine::on_every_engine;

/// For what a hook does to be seen.
const LIMIT: Duration = Duration::from_secs(30);

fn create(world: &World, name: &str) {
    world.docker(&["create", "--name", name, "busybox:test", "true"]);
}

on_every_engine!(a_burst_is_answered_by_one_run_that_is_told_all_of_it);
fn a_burst_is_answered_by_one_run_that_is_told_all_of_it(on: Generation) {
    let config = Config::new()
        .hook("{name: proxy, at: [post_start, post_stop], debounce: {wait: 3s, max: 1m}, exec: [./record]}");
    let Some(world) = World::start(on, &config) else { return };
    let names = ["c0", "c1", "c2", "c3", "c4"];
    for name in names {
        create(&world, name);
    }

    world.docker(&[&["start"], names.as_slice()].concat());

    let ran = wait_for("the run", LIMIT, || world.ran().into_iter().next());
    assert_eq!(world.ran().len(), 1);
    let events = ran.document["events"].as_array().expect("a list of events");
    let told = |event: &Value| format!("{} {}", event["point"], event["container"]["name"]).replace('"', "");
    let mut told: Vec<String> = events.iter().map(told).collect();
    told.sort();
    let wanted = ["post_start", "post_stop"].map(|point| names.map(|name| format!("{point} {name}")));
    assert_eq!(told, wanted.concat());
    assert_eq!(ran.document["more_events"], 0);
    assert_eq!((&ran.document["container"], &ran.document["subject"]), (&Value::Null, &Value::Null));
    assert_eq!(ran.variable("CONTAINER_ID"), None);
    assert_eq!(ran.variable("HOOK_SUBJECT_ID"), None);
    assert_eq!(ran.variable("HOOK_NAME"), Some("proxy"));
}

on_every_engine!(the_hooks_of_a_group_take_turns);
fn the_hooks_of_a_group_take_turns(on: Generation) {
    let hook = |name: &str| {
        format!(
            "{{name: {name}, at: post_create, concurrency: {{group: g}}, \
             shell: \"echo begin $CONTAINER_NAME.$HOOK_NAME >> log; sleep 0.2; echo end $CONTAINER_NAME.$HOOK_NAME >> log\"}}"
        )
    };
    let Some(world) = World::start(on, &Config::new().hook(&hook("a")).hook(&hook("b"))) else { return };

    for name in ["c0", "c1", "c2"] {
        create(&world, name);
    }

    let log = wait_for("six runs", LIMIT, || {
        let log = fs::read_to_string(world.sandbox.dir().join("log")).ok()?;
        (log.lines().filter(|it| it.starts_with("end")).count() == 6).then_some(log)
    });
    let lines: Vec<&str> = log.lines().collect();
    for pair in lines.chunks(2) {
        let name = pair[0].strip_prefix("begin ");
        assert_eq!(name, pair[1].strip_prefix("end "), "two at once:\n{log}");
        assert!(name.is_some(), "{log}");
    }
}

on_every_engine!(who_finds_no_room_in_its_group_in_time_has_failed);
fn who_finds_no_room_in_its_group_in_time_has_failed(on: Generation) {
    let config = Config::new()
        .hook("{name: holds, at: post_create, when: {name: first}, concurrency: {group: g}, shell: \"echo > held; until test -e go; do sleep 0.05; done\"}")
        .hook("{name: gate, at: pre_create, when: {name: second}, timeout: 1s, concurrency: {group: g}, shell: \"exit 0\"}")
        .hook("{name: late, at: post_create, when: {name: third}, timeout: 1s, concurrency: {group: g}, shell: \"exit 0\"}");
    let Some(world) = World::start(on, &config) else { return };
    let held = world.sandbox.dir().join("held");
    create(&world, "first");
    wait_for("the group to be full", LIMIT, || held.exists().then_some(()));

    let denied = world.sandbox.docker(&["create", "--name", "second", "busybox:test", "true"]);
    create(&world, "third");
    let late = world.wait_for_end_of("late");
    world.sandbox.write("go", "");

    let wanted = "hook `gate`: its group had no room in time (run ";
    assert!(denied.stderr.contains(wanted), "{}", denied.stderr);
    assert_eq!(late["outcome"], "not_started");
    assert_eq!(late["detail"], "could not be started: its group `g` had no room in time");
    assert_eq!(world.wait_for_end_of("holds")["message"], "hook ran");
    world.docker(&["create", "--name", "second", "busybox:test", "true"]);
}

on_every_engine!(a_gate_that_is_put_off_leaves_its_place_in_the_group_to_others);
fn a_gate_that_is_put_off_leaves_its_place_in_the_group_to_others(on: Generation) {
    let config = Config::new()
        .hook("{name: gate, at: pre_create, when: {name: slow}, concurrency: {group: g}, retry: {max_attempts: 2, delay: 6s}, shell: \"test $HOOK_ATTEMPT = 2\"}")
        .hook("{name: other, at: post_create, when: {name: quick}, concurrency: {group: g}, shell: \"exit 0\"}");
    let Some(world) = World::start(on, &config) else { return };

    thread::scope(|scope| {
        let slow = scope.spawn(|| create(&world, "slow"));
        world.wait_for_end_of("gate");
        create(&world, "quick");
        world.wait_for_end_of("other");
        slow.join().expect("it is created in the end");
    });

    let ended: Vec<String> = world
        .boathook
        .logs()
        .iter()
        .filter(|it| it["outcome"].is_string())
        .map(|it| format!("{} {}", it["hook"], it["attempt"]).replace('"', ""))
        .collect();
    assert_eq!(ended, ["gate 1", "other 1", "gate 2"]);
}

on_every_engine!(hooks_run_after_those_that_they_name);
fn hooks_run_after_those_that_they_name(on: Generation) {
    let record = |name: &str, after: &str| {
        format!("{{name: {name}, at: [pre_create, post_create], after: {after}, exec: [./record]}}")
    };
    let config = Config::new()
        .hook(&record("last", "[middle, first]"))
        .hook(&record("middle", "first"))
        .record("first", "[pre_create, post_create]")
        .record("end", "post_remove");
    let Some(world) = World::start(on, &config) else { return };

    create(&world, "web");
    world.docker(&["rm", "web"]);

    let ran = world.wait_for_point("web", "post_remove");
    let ran: Vec<_> = ran.iter().map(|it| format!("{} {}", it.point(), it.document["hook"])).collect();
    let wanted = ["pre_create", "post_create"]
        .map(|point| ["first", "middle", "last"].map(|hook| format!("{point} \"{hook}\"")));
    assert_eq!(ran[..6], wanted.concat());
}
