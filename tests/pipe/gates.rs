//! Gates: what the docker user reads, and that nothing is left behind.

use std::time::{Duration, Instant};

use super::differences::answers_to_large_creations;
use super::world::{Config, World, points};
use crate::engine::{Generation, Output, wait_for};
use crate::every_engine::on_every_engine;

fn create(world: &World, more: &[&str]) -> Output {
    world.sandbox.docker(&[&["create", "--name", "web"], more, &["busybox:test", "true"]].concat())
}

/// What the docker command prints for a denial, up to what the hook says.
const DENIED: &str = "Error response from daemon: authorization denied by plugin boathook: ";

fn containers(world: &World) -> String {
    world.docker(&["ps", "-aq"])
}

on_every_engine!(a_condition_denies_in_the_operators_words_and_nothing_is_created);
fn a_condition_denies_in_the_operators_words_and_nothing_is_created(on: Generation) {
    let config = Config::new()
        .hook("{name: no-privileged, at: pre_create, when: {privileged: true}, deny: \"not here\"}")
        .record("after", "[pre_create, post_create]");
    let Some(world) = World::start(on, &config) else { return };

    let denied = create(&world, &["--privileged"]);

    assert_eq!(denied.status.code(), Some(1));
    let wanted = format!("{DENIED}hook `no-privileged`: not here (run ");
    assert!(denied.stderr.starts_with(&wanted), "{}", denied.stderr);
    assert_eq!(containers(&world), "");
    assert!(create(&world, &[]).status.success());
    assert_eq!(points(&world.wait_for_point("web", "post_create")), ["pre_create", "post_create"]);
}

on_every_engine!(a_script_denies_in_its_own_words);
fn a_script_denies_in_its_own_words(on: Generation) {
    let config = Config::new()
        .hook("{name: json, at: pre_create, when: {label: json}, shell: \"echo '{\\\"message\\\": \\\"no json\\\"}'; exit 1\"}")
        .hook("{name: last-line, at: pre_create, when: {label: line}, shell: \"echo first >&2; echo no line >&2; exit 3\"}")
        .hook("{name: silent, at: pre_create, when: {label: silent}, shell: exit 4}");
    let Some(world) = World::start(on, &config) else { return };

    for (label, wanted) in [
        ("json", "hook `json`: no json (run "),
        ("line", "hook `last-line`: no line (run "),
        ("silent", "hook `silent`: exited with 4 (run "),
    ] {
        let denied = create(&world, &["-l", label]);
        assert!(denied.stderr.starts_with(&format!("{DENIED}{wanted}")), "{}", denied.stderr);
    }
    assert_eq!(containers(&world), "");
}

on_every_engine!(the_first_no_ends_the_gate_and_an_ignored_failure_does_not);
fn the_first_no_ends_the_gate_and_an_ignored_failure_does_not(on: Generation) {
    let config = Config::new()
        .hook("{name: ignored, at: pre_create, on_failure: ignore, shell: exit 1}")
        .record("first", "pre_create")
        .hook("{name: no, at: pre_create, shell: exit 1}")
        .record("never", "pre_create");
    let Some(world) = World::start(on, &config) else { return };

    let denied = create(&world, &[]);

    assert!(denied.stderr.contains("hook `no`"), "{}", denied.stderr);
    let hooks: Vec<_> = world.ran().iter().map(|it| it.document["hook"].clone()).collect();
    assert_eq!(hooks, ["first"]);
}

on_every_engine!(a_gate_that_hangs_denies_at_its_deadline_and_leaves_no_child);
fn a_gate_that_hangs_denies_at_its_deadline_and_leaves_no_child(on: Generation) {
    let config = Config::new().hook(
        "{name: slow, at: pre_create, timeout: 1s, kill_after: 1s, \
         shell: \"trap '' TERM; sleep 1234 & sleep 1234 & wait; sleep 1234\"}",
    );
    let Some(world) = World::start(on, &config) else { return };
    let begun = Instant::now();

    let denied = create(&world, &[]);

    let took = begun.elapsed();
    assert!(denied.stderr.contains("hook `slow`: took longer than 1s"), "{}", denied.stderr);
    // The promise itself: the deadline plus at most a second, and the client's own time.
    assert!(took < Duration::from_secs(3), "docker was kept waiting for {took:?}");
    wait_for("all processes of the hook to be gone", Duration::from_secs(20), || {
        world.sandbox.run(&["pgrep", "-f", "sleep 1234"]).stdout.is_empty().then_some(())
    });
    assert_eq!(world.wait_for_end_of("slow")["outcome"], "timed_out");
}

on_every_engine!(a_gate_asked_to_wait_tries_again_within_its_deadline);
fn a_gate_asked_to_wait_tries_again_within_its_deadline(on: Generation) {
    let config = Config::new().hook(
        "{name: later, at: pre_create, timeout: 20s, \
         shell: \"test \\\"$HOOK_ATTEMPT\\\" = 2 || exit 75\"}",
    );
    let Some(world) = World::start(on, &config) else { return };

    assert!(create(&world, &[]).status.success());
}

on_every_engine!(every_gate_of_a_life_can_say_no_and_the_container_stays_as_it_is);
fn every_gate_of_a_life_can_say_no_and_the_container_stays_as_it_is(on: Generation) {
    let config = Config::new()
        .hook("{name: no-start, at: pre_start, when: {label: start}, deny: no}")
        .hook("{name: no-stop, at: pre_stop, when: {label: stop}, deny: no}")
        .hook("{name: no-remove, at: pre_remove, when: {label: remove}, deny: no}");
    let Some(world) = World::start(on, &config) else { return };
    let state = |name| world.docker(&["inspect", "-f", "{{.State.Status}}", name]);
    let says_no = |arguments: &[&str], hook: &str| {
        let denied = world.sandbox.docker(arguments);
        assert!(denied.stderr.contains(&format!("hook `{hook}`: no")), "{arguments:?}: {}", denied.stderr);
    };

    world.docker(&["create", "--name", "still", "-l", "start", "busybox:test", "true"]);
    says_no(&["start", "still"], "no-start");
    says_no(&["restart", "still"], "no-start");
    assert_eq!(state("still"), "created");

    world.run_sleeper("busy", &["-l", "stop"]);
    for command in ["stop", "kill", "restart"] {
        says_no(&[command, "busy"], "no-stop");
    }
    says_no(&["rm", "-f", "busy"], "no-stop");
    assert_eq!(state("busy"), "running");

    world.run_sleeper("kept", &["-l", "remove"]);
    says_no(&["rm", "-f", "kept"], "no-remove");
    assert_eq!(state("kept"), "running");
}

on_every_engine!(a_creation_whose_body_is_not_shown_is_denied_only_if_a_gate_has_to_see_it);
fn a_creation_whose_body_is_not_shown_is_denied_only_if_a_gate_has_to_see_it(on: Generation) {
    let config = Config::new().hook("{name: look, at: pre_create, when: {privileged: true}, deny: no}");
    let Some(world) = World::start(on, &config) else { return };
    let post = |kind: &str, body: &str| {
        world.sandbox.write("body", body);
        let file = format!("@{}", world.sandbox.dir().join("body").display());
        let socket = world.sandbox.docker_socket().display().to_string();
        let (kind, url) = (format!("Content-Type: {kind}"), "http://d/v1.41/containers/create");
        let curl = ["curl", "-s", "--unix-socket", &socket, "-H", &kind, "--data-binary", &file, url];
        world.sandbox.run(&curl).stdout
    };
    let small = r#"{"Image":"busybox:test","Cmd":["true"]}"#;

    let large = format!(
        r#"{{"Image":"busybox:test","HostConfig":{{"Privileged":true}},"Env":["PAD={}"]}}"#,
        "x".repeat(1_100_000)
    );
    for (kind, body, why) in [
        ("application/json", large.as_str(), ""),
        ("text/plain", small, "docker did not show its body"),
        ("application/x-www-form-urlencoded", small, "form body"),
        ("application/json", r#"{"Image":"busybox:test","hostconfig":{"privileged":true}}"#, "no (run"),
        ("application/json", r#"{"HostConfig":{},"hostConfig":{"Privileged":true}}"#, "cannot be read"),
    ] {
        let answer = post(kind, body);
        assert!(answer.contains("hook `look`") && answer.contains(why), "{kind}: {answer}");
    }
    for (bytes, wanted) in answers_to_large_creations(on) {
        let padded = format!(r#"{{"Image":"busybox:test","Env":["PAD={}"]}}"#, "x".repeat(bytes));
        let answer = post("application/json", &padded);
        assert!(answer.contains(wanted), "{bytes} bytes: {answer}");
    }
    assert_eq!(containers(&world), "");
    assert!(post("application/json", small).contains("\"Id\""));
}

on_every_engine!(a_gate_waits_for_what_its_container_has_to_do_first_but_not_for_ever);
fn a_gate_waits_for_what_its_container_has_to_do_first_but_not_for_ever(on: Generation) {
    let config = Config::new()
        .hook("{name: slow, at: post_start, when: {label: slow}, timeout: 60s, shell: sleep 2}")
        .hook("{name: stuck, at: post_start, when: {label: stuck}, timeout: 60s, shell: sleep 45}")
        .hook("{name: gate, at: pre_stop, timeout: 8s, shell: \"true\"}");
    let Some(world) = World::start(on, &config) else { return };
    let log_of = |hook: &str, message: &str| {
        let logs = world.boathook.logs();
        logs.iter().position(|it| it["hook"] == hook && it["message"] == message)
    };

    world.run_sleeper("slow", &["-l", "slow"]);
    world.docker(&["kill", "slow"]);
    assert!(log_of("slow", "hook ran") < log_of("gate", "hook ran"));

    world.run_sleeper("stuck", &["-l", "stuck"]);
    world.docker(&["kill", "stuck"]);
    assert_eq!(log_of("stuck", "hook ran"), None);
    assert!(log_of("gate", "went ahead of earlier runs: half the gate's time was gone").is_some());
}

on_every_engine!(a_hook_that_calls_docker_does_not_meet_its_own_gate);
fn a_hook_that_calls_docker_does_not_meet_its_own_gate(on: Generation) {
    let config = Config::new()
        .record("seen", "[pre_create, post_create, post_remove]")
        .hook(
            "{name: helper, at: pre_create, when: {name: web}, timeout: 20s, \
             shell: \"docker run --rm --name inner busybox:test true\"}",
        )
        .hook("{name: curled, at: post_create, when: {name: web}, \
               shell: \"curl -s --unix-socket /var/run/docker.sock -H \\\"$HOOK_API_HEADER\\\" -X DELETE http://d/containers/web\"}");
    let Some(world) = World::start(on, &config) else { return };

    let created = create(&world, &[]);

    assert!(created.status.success(), "{}", created.stderr);
    let ran = world.wait_for_point("web", "post_remove");
    assert_eq!(points(&ran), ["pre_create", "post_create", "post_remove"]);
    assert_eq!(world.ran_for("inner").len(), 0);
    let logs = world.boathook.logs();
    let nested = logs.iter().filter(|it| it["message"] == "a hook calls docker");
    let changes = nested.filter(|it| {
        let path = it["uri"].as_str().and_then(|it| it.split('?').next()).expect("a call has a target");
        it["method"] == "DELETE" || path.ends_with("/create") || path.ends_with("/start")
    });
    assert_eq!(changes.count(), 3, "a creation, a start, a removal");
}

on_every_engine!(a_hook_that_asks_for_it_sees_what_hooks_make);
fn a_hook_that_asks_for_it_sees_what_hooks_make(on: Generation) {
    let config = Config::new()
        .hook("{name: seen, at: [post_create, post_remove], nested: true, exec: [./record]}")
        .hook(
            "{name: helper, at: post_start, when: {name: web}, timeout: 20s, \
             shell: \"docker run --rm --name inner busybox:test true\"}",
        );
    let Some(world) = World::start(on, &config) else { return };

    world.run_sleeper("web", &[]);

    let ran = world.wait_for_point("inner", "post_remove");
    assert_eq!(points(&ran), ["post_create", "post_remove"]);
}

on_every_engine!(in_audit_mode_what_would_have_been_denied_goes_through_and_is_recorded);
fn in_audit_mode_what_would_have_been_denied_goes_through_and_is_recorded(on: Generation) {
    let config = Config::new()
        .hook("{name: rule, at: pre_create, mode: audit, when: {privileged: true}, deny: \"not here\"}")
        .hook("{name: script, at: pre_create, mode: audit, shell: \"echo no >&2; exit 1\"}")
        .record("asked", "pre_create");
    let Some(world) = World::start(on, &config) else { return };

    let created = create(&world, &["--privileged"]);

    assert!(created.status.success(), "{}", created.stderr);
    assert_eq!(points(&world.wait_for_point("web", "pre_create")), ["pre_create"]);
    for (hook, why) in [("rule", "not here"), ("script", "no")] {
        world.boathook.wait_for_log("what it would have denied", |line| {
            line["message"] == "would have denied (audit)" && line["hook"] == hook && line["why"] == why
        });
    }
}
