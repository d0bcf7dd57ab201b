//! What nobody saw happen is told all the same.

use std::time::Duration;

use super::world::{Config, Ran, World, points};
use crate::engine::{Generation, wait_for};
use crate::every_engine::on_every_engine;

const LIMIT: Duration = Duration::from_secs(60);

const AFTER: &str = "[post_create, post_start, post_stop, post_remove]";

/// Waits until the container has reached `point` so many times, then tells all that was recorded of it.
#[track_caller]
fn wait_for_points(world: &World, name: &str, point: &str, count: usize) -> Vec<Ran> {
    wait_for(&format!("{name} to reach {point} {count} times"), LIMIT, || {
        let ran = world.ran_for(name);
        (ran.iter().filter(|it| it.point() == point).count() >= count).then_some(ran)
    })
}

on_every_engine!(what_ran_when_the_engine_was_killed_is_told_to_have_ended_and_to_be_removed_after);
fn what_ran_when_the_engine_was_killed_is_told_to_have_ended_and_to_be_removed_after(on: Generation) {
    let Some(world) = World::start(on, &Config::new().record("all", AFTER)) else { return };
    let names: Vec<String> = (0..10).map(|it| format!("web-{it}")).collect();
    for name in &names {
        world.run_sleeper(name, &[]);
        world.wait_for_point(name, "post_start");
    }

    world.dockerd.kill9();
    world.dockerd.start();

    for name in &names {
        let ran = wait_for_points(&world, name, "post_stop", 1);
        assert_eq!(points(&ran), ["post_create", "post_start", "post_stop"]);
        assert_eq!(ran[2].variable("HOOK_REASON"), Some("daemon"), "{name}");
    }
    world.docker(&["container", "prune", "-f"]);
    for name in &names {
        let ran = wait_for_points(&world, name, "post_remove", 1);
        assert_eq!(points(&ran), ["post_create", "post_start", "post_stop", "post_remove"]);
    }
}

on_every_engine!(what_is_always_restarted_has_ended_and_started_again_when_the_engine_is_back);
fn what_is_always_restarted_has_ended_and_started_again_when_the_engine_is_back(on: Generation) {
    let Some(world) = World::start(on, &Config::new().record("all", AFTER)) else { return };
    world.run_sleeper("web", &["--restart", "always"]);
    world.wait_for_point("web", "post_start");

    world.dockerd.kill9();
    world.dockerd.start();
    let ran = wait_for_points(&world, "web", "post_start", 2);

    assert_eq!(points(&ran), ["post_create", "post_start", "post_stop", "post_start"]);
    assert_eq!(ran[2].variable("HOOK_REASON"), Some("daemon"));
    assert_eq!(ran[3].document["passage"], 2);
    assert_eq!(ran[3].variable("CONTAINER_IP"), Some(world.address_of("web").as_str()));
}

on_every_engine!(what_runs_reaches_reconcile_at_the_start_after_the_engine_was_away_and_at_its_reload);
fn what_runs_reaches_reconcile_at_the_start_after_the_engine_was_away_and_at_its_reload(on: Generation) {
    let config = Config::new().record("put-back", "reconcile").record("begun", "post_start");
    let Some(mut world) = World::start(on, &config) else { return };
    world.run_sleeper("web", &["--restart", "always"]);
    world.docker(&["create", "--name", "never", "busybox:test", "true"]);
    world.wait_for_point("web", "post_start");

    world.restart_boathook();
    assert_eq!(points(&wait_for_points(&world, "web", "reconcile", 1)), ["post_start", "reconcile"]);
    world.dockerd.restart();
    let told = ["post_start", "reconcile", "post_start", "reconcile"];
    assert_eq!(points(&wait_for_points(&world, "web", "reconcile", 2)), told);
    world.dockerd.hangup();
    let ran = wait_for_points(&world, "web", "reconcile", 3);

    assert_eq!(points(&ran)[4..], ["reconcile"]);
    assert_eq!(ran[4].variable("HOOK_CAUSE"), Some("reconcile"));
    assert_eq!(points(&world.ran_for("never")), [""; 0]);
}

on_every_engine!(what_ended_and_went_by_itself_while_the_engine_was_away_is_told);
fn what_ended_and_went_by_itself_while_the_engine_was_away_is_told(on: Generation) {
    let Some(world) = World::start(on, &Config::new().record("all", AFTER)) else { return };
    world.run_sleeper("job", &["--rm"]);
    world.docker(&["create", "--rm", "--name", "never", "busybox:test", "true"]);
    world.wait_for_point("job", "post_start");
    world.wait_for_point("never", "post_create");

    world.dockerd.kill9();
    world.dockerd.start();

    let ran = world.wait_for_point("job", "post_remove");
    assert_eq!(points(&ran), ["post_create", "post_start", "post_stop", "post_remove"]);
    assert_eq!(points(&world.wait_for_point("never", "post_remove")), ["post_create", "post_remove"]);
}
