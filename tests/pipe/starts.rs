//! Starts on networks of boathook's own: what is there before a container's first instruction.

use std::time::Duration;

use boathook::run::DebtState;

use super::world::{Config, World, points};
use crate::engine::{Generation, Output, wait_for};
use crate::every_engine::on_every_engine;

/// For what follows on a start that came to nothing.
const SEEN_LIMIT: Duration = Duration::from_secs(60);

/// Ends unless its hook has left a mark for it, which it takes.
const TAKES_THE_MARK: &str = "rm /shared/mark && exec sleep 1000";

fn config() -> Config {
    Config::new().key("plugin: {kinds: [authz, network]}")
}

fn start(on: Generation, config: &Config) -> Option<World> {
    let world = World::start(on, config)?;
    world.docker(&["network", "create", "-d", "boathook", "--subnet", "10.90.0.0/24", "lan"]);
    Some(world)
}

/// Runs a container on the network that can see the host's folder `shared`.
fn run(world: &World, name: &str, more: &[&str], command: &str) -> Output {
    let shared = format!("{}/shared:/shared", world.sandbox.dir().display());
    let front = ["run", "-d", "--name", name, "--network", "lan", "-v", &shared];
    world.sandbox.docker(&[&front, more, &["busybox:test", "sh", "-c", command]].concat())
}

fn inspect(world: &World, format: &str) -> String {
    world.docker(&["inspect", "-f", format, "web"])
}

on_every_engine!(net_ready_is_over_before_the_first_instruction_also_when_a_policy_restarts);
fn net_ready_is_over_before_the_first_instruction_also_when_a_policy_restarts(on: Generation) {
    let config =
        config().hook("{name: mark, at: net_ready, shell: \"sleep 1; echo $CONTAINER_IP > shared/mark\"}");
    let Some(world) = start(on, &config) else { return };
    world.sandbox.run(&["mkdir", "-p", &format!("{}/shared", world.sandbox.dir().display())]);

    let started = run(&world, "web", &["--restart", "always"], TAKES_THE_MARK);

    assert!(started.status.success(), "{}", started.stderr);
    assert_eq!(inspect(&world, "{{.State.Running}} {{.RestartCount}}"), "true 0");
    world.sandbox.run(&["kill", "-9", &inspect(&world, "{{.State.Pid}}")]);
    wait_for("the container to run again", SEEN_LIMIT, || {
        (inspect(&world, "{{.State.Running}} {{.RestartCount}}") == "true 1").then_some(())
    });
}

on_every_engine!(a_start_by_policy_passes_the_gates_of_a_start_after_the_clean_up_of_the_one_before);
fn a_start_by_policy_passes_the_gates_of_a_start_after_the_clean_up_of_the_one_before(on: Generation) {
    let config = config()
        .record("record", "[pre_start, net_ready, post_start, post_stop]")
        .hook("{name: owes, at: net_ready, exec: [./record], cleanup: {exec: [./record]}}");
    let Some(world) = start(on, &config) else { return };

    run(&world, "web", &["--restart", "always"], "sleep 1000");
    world.wait_for_point("web", "post_start");
    world.sandbox.run(&["kill", "-9", &inspect(&world, "{{.State.Pid}}")]);

    let ran = wait_for("the second start", SEEN_LIMIT, || {
        let ran = world.ran_for("web");
        (ran.iter().filter(|it| it.point() == "post_start").count() == 2).then_some(ran)
    });
    let of = |hook: &str| {
        let ran: Vec<_> = ran.iter().filter(|it| it.document["hook"] == hook).cloned().collect();
        points(&ran).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let passage = ["pre_start", "net_ready", "post_start"];
    assert_eq!(of("record"), [&passage[..], &["post_stop"], &passage].concat());
    assert_eq!(of("owes"), ["net_ready", "post_stop", "net_ready"]);
    for it in ran.iter().filter(|it| ["net_ready", "post_start"].contains(&it.point())) {
        assert_eq!(it.variable("CONTAINER_IP"), Some("10.90.0.2"), "{}", it.point());
        assert!(it.variable("CONTAINER_VETH").is_some_and(|it| it.starts_with("bh")), "{}", it.environment);
    }
}

on_every_engine!(a_denied_start_is_told_to_the_user_and_what_was_set_up_for_it_is_cleaned_up);
fn a_denied_start_is_told_to_the_user_and_what_was_set_up_for_it_is_cleaned_up(on: Generation) {
    let config = config()
        .hook("{name: before, at: pre_start, exec: [./record], cleanup: {exec: [./record]}}")
        .hook("{name: owes, at: net_ready, exec: [./record], cleanup: {exec: [./record]}}")
        .hook("{name: no, at: net_ready, shell: \"echo not today >&2; exit 1\"}");
    let Some(world) = start(on, &config) else { return };

    let denied = run(&world, "web", &[], "touch /shared/ran");

    assert!(!denied.status.success());
    assert!(denied.stderr.contains("hook `no`: not today (run "), "{}", denied.stderr);
    assert_eq!(inspect(&world, "{{.State.Status}}"), "created");
    assert!(!world.sandbox.dir().join("shared/ran").exists());
    wait_for("what was set up to be cleaned up", SEEN_LIMIT, || {
        let debts = world.debts();
        (debts.len() == 2 && debts.iter().all(|it| it.state == DebtState::Paid)).then_some(())
    });
    let cleaned = world.ran_for("web").into_iter().filter(|it| it.document["phase"] == "cleanup");
    assert!(cleaned.map(|it| it.document["cause"].clone()).all(|it| it == "aborted"));
}

on_every_engine!(what_was_set_up_for_a_start_that_fails_is_cleaned_up);
fn what_was_set_up_for_a_start_that_fails_is_cleaned_up(on: Generation) {
    let config = config()
        .hook("{name: owes, at: [pre_start, net_ready], exec: [./record], cleanup: {exec: [./record]}}");
    let Some(world) = start(on, &config) else { return };

    let failed =
        world.sandbox.docker(&["run", "-d", "--name", "web", "--network", "lan", "busybox:test", "/none"]);

    assert!(!failed.status.success());
    wait_for("what was set up to be cleaned up", SEEN_LIMIT, || {
        let debts = world.debts();
        (debts.len() == 1 && debts.iter().all(|it| it.state == DebtState::Paid)).then_some(())
    });
}
