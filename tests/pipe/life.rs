//! One container's life, told to scripts.

use super::world::{Config, World, points};
use crate::engine::Generation;
use crate::every_engine::on_every_engine;

const ALL: &str =
    "[pre_create, post_create, pre_start, post_start, pre_stop, post_stop, pre_remove, post_remove]";

const EIGHT: [&str; 8] = [
    "pre_create",
    "post_create",
    "pre_start",
    "post_start",
    "pre_stop",
    "post_stop",
    "pre_remove",
    "post_remove",
];

fn world(on: Generation) -> Option<World> {
    World::start(on, &Config::new().record("all", ALL))
}

on_every_engine!(run_stop_and_rm_reach_the_eight_points_in_order_and_once);
fn run_stop_and_rm_reach_the_eight_points_in_order_and_once(on: Generation) {
    let Some(world) = world(on) else { return };

    let id = world.run_sleeper("web", &["--label", "fw.port=80"]);
    let address = world.address_of("web");
    world.docker(&["stop", "-t", "1", "web"]);
    world.docker(&["rm", "web"]);
    let ran = world.wait_for_point("web", "post_remove");

    assert_eq!(points(&ran), EIGHT);
    let last = &ran[7];
    assert_eq!(last.variable("CONTAINER_ID"), Some(id.as_str()));
    assert_eq!(last.variable("CONTAINER_IP"), Some(address.as_str()));
    assert_eq!(last.document["labels"]["fw.port"], "80");
    assert_eq!(last.document["networks"][0]["ip"], address);
    assert_eq!(last.variable("HOOK_CAUSE"), Some("api"));
    assert_eq!(ran[5].variable("HOOK_REASON"), Some("stop"));
    assert_eq!(ran[5].variable("CONTAINER_EXIT_CODE"), Some("137"));
}

on_every_engine!(a_container_that_removes_itself_reaches_its_removal_with_all_that_was_known);
fn a_container_that_removes_itself_reaches_its_removal_with_all_that_was_known(on: Generation) {
    let Some(world) = world(on) else { return };

    let job = ["run", "--rm", "--name", "job", "-l", "a=b", "busybox:test", "sh", "-c", "exit 7"];
    assert_eq!(world.sandbox.docker(&job).status.code(), Some(7));
    let ran = world.wait_for_point("job", "post_remove");

    assert_eq!(
        points(&ran),
        ["pre_create", "post_create", "pre_start", "post_start", "post_stop", "post_remove"]
    );
    let (stop, remove) = (&ran[4], &ran[5]);
    assert_eq!(stop.variable("HOOK_REASON"), Some("exit"));
    assert_eq!(stop.variable("HOOK_CAUSE"), Some("engine"));
    assert_eq!(remove.variable("CONTAINER_EXIT_CODE"), Some("7"));
    assert_eq!(remove.document["labels"]["a"], "b");
    assert_eq!(remove.variable("CONTAINER_IMAGE"), Some("busybox:test"));
}

on_every_engine!(a_restart_is_an_end_and_a_start_of_a_new_passage);
fn a_restart_is_an_end_and_a_start_of_a_new_passage(on: Generation) {
    let Some(world) = world(on) else { return };
    world.run_sleeper("web", &[]);

    world.docker(&["restart", "-t", "0", "web"]);
    world.docker(&["rm", "-f", "web"]);
    let ran = world.wait_for_point("web", "post_remove");

    assert_eq!(
        points(&ran[4..]),
        [
            "pre_stop",
            "pre_start",
            "post_stop",
            "post_start",
            "pre_stop",
            "pre_remove",
            "post_stop",
            "post_remove"
        ]
    );
    let passages: Vec<_> = ran.iter().map(|it| it.document["passage"].as_u64()).collect();
    assert_eq!(passages[6..8], [Some(1), Some(2)]);
    assert_eq!(ran[6].variable("HOOK_REASON"), Some("stop"));
    assert_eq!(ran[10].variable("HOOK_REASON"), Some("kill"));
}

on_every_engine!(a_label_cannot_lie_about_the_exit_status);
fn a_label_cannot_lie_about_the_exit_status(on: Generation) {
    let Some(world) = world(on) else { return };

    let labels = ["-l", "exitCode=0", "-l", "signal=9"];
    let command = ["busybox:test", "sh", "-c", "exit 3"];
    let arguments = [&["run", "--name", "liar"], &labels[..], &command].concat();
    assert_eq!(world.sandbox.docker(&arguments).status.code(), Some(3));
    let ran = world.wait_for_point("liar", "post_stop");

    assert_eq!(ran.last().and_then(|it| it.variable("CONTAINER_EXIT_CODE")), Some("3"));
    assert_eq!(ran.last().and_then(|it| it.variable("HOOK_REASON")), Some("exit"));
}

on_every_engine!(the_last_name_and_network_are_those_that_scripts_are_told);
fn the_last_name_and_network_are_those_that_scripts_are_told(on: Generation) {
    let Some(world) = world(on) else { return };
    world.docker(&["network", "create", "--subnet", "10.77.0.0/24", "extra"]);
    world.run_sleeper("old", &[]);

    world.docker(&["rename", "old", "new"]);
    world.docker(&["network", "connect", "--ip", "10.77.0.9", "extra", "new"]);
    world.docker(&["kill", "new"]);
    world.docker(&["rm", "new"]);
    let ran = world.wait_for_point("new", "post_remove");

    let last = ran.last().expect("a removal");
    assert_eq!(last.variable("CONTAINER_NETWORKS"), Some("bridge extra"));
    assert_eq!(last.document["networks"][1]["ip"], "10.77.0.9");
}

on_every_engine!(what_stops_nothing_or_starts_nothing_asks_nothing);
fn what_stops_nothing_or_starts_nothing_asks_nothing(on: Generation) {
    let Some(world) = world(on) else { return };
    world.run_sleeper("web", &[]);

    world.docker(&["start", "web"]);
    world.docker(&["kill", "-s", "WINCH", "web"]);
    world.docker(&["kill", "web"]);
    world.docker(&["stop", "web"]);
    world.docker(&["rm", "web"]);
    let ran = world.wait_for_point("web", "post_remove");

    assert_eq!(points(&ran), EIGHT);
}

on_every_engine!(a_container_that_was_there_before_boathook_is_cleaned_up_after);
fn a_container_that_was_there_before_boathook_is_cleaned_up_after(on: Generation) {
    let Some(mut world) = world(on) else { return };
    world.run_sleeper("web", &["-l", "a=b"]);
    world.wait_for_point("web", "post_start");

    world.restart_boathook();
    world.docker(&["rm", "-f", "web"]);
    let ran = world.wait_for_point("web", "post_remove");

    assert_eq!(points(&ran[4..]), ["pre_stop", "pre_remove", "post_stop", "post_remove"]);
    assert_eq!(ran[7].document["labels"]["a"], "b");
    assert!(ran[7].variable("CONTAINER_IP").is_some());
}
