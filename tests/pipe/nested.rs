//! Hooks that call docker while docker waits for them.

use std::fs;

use super::world::{Config, World};
use crate::engine::{Generation, Sandbox};
use crate::every_engine::on_every_engine;

/// Makes calls, one a line of the file `calls`, and keeps what came of each: `STATUS CALL: OUTPUT`. A call that is
/// not answered ends after ten seconds, with status 124.
const NOSY: &str = "#!/bin/sh\n\
    mkdir -p @DIR@/answers\n\
    while read -r call; do\n\
    answer=$(timeout 10 $call 2>&1); status=$?\n\
    echo \"$status $call:\" $answer >> @DIR@/answers/$HOOK_POINT\n\
    done < @DIR@/calls\n";

/// What a hook that calls docker about the held container reads, whatever more it is told.
const REFUSED: &str = "docker waits for the hook that calls it";

fn start(on: Generation, point: &str, calls: &[&str]) -> Option<World> {
    let config = Config::new().hook(&format!("{{name: nosy, at: {point}, timeout: 100s, exec: [./nosy]}}"));
    let config = config.key("plugin: {kinds: [authz, network, ipam, volume]}").key("gate_deadline: 100s");
    let world = World::start_with(on, &config, |sandbox| {
        sandbox.write_program("nosy", &NOSY.replace("@DIR@", &sandbox.dir().display().to_string()));
        sandbox.write("calls", "");
    })?;
    world.docker(&["network", "create", "-d", "boathook", "--ipam-driver", "boathook", "lan"]);
    world.docker(&["network", "create", "side"]);
    world.docker(&["volume", "create", "-d", "boathook", "data"]);
    world.run_sleeper("other", &["--network", "lan"]);
    world.sandbox.run(&["rm", "-rf", &format!("{}/answers", world.sandbox.dir().display())]);
    world.sandbox.write("calls", &format!("{}\n", calls.join("\n")));
    Some(world)
}

/// What came of each call that was made at `point`: status, call, output.
fn answers(sandbox: &Sandbox, point: &str) -> Vec<(i32, String, String)> {
    let text = fs::read_to_string(sandbox.dir().join("answers").join(point)).expect("the hook has run");
    let lines = text.lines().filter_map(|line| {
        let (status, rest) = line.split_once(' ')?;
        let (call, answer) = rest.split_once(": ").unwrap_or((rest.trim_end_matches(':'), ""));
        Some((status.parse().ok()?, call.to_owned(), answer.to_owned()))
    });
    lines.collect()
}

/// Calls about the container that starts, each of which takes its lock.
const ABOUT_IT: &[&str] = &[
    "docker inspect web",
    "docker stop web",
    "docker exec web true",
    "docker rm -f web",
    "docker rename web www",
    "docker network connect side web",
    "docker network disconnect lan web",
    "docker commit web",
    "docker container prune -f",
];

/// Calls that do not.
const ABOUT_OTHERS: &[&str] = &[
    "docker ps --all --quiet",
    "docker inspect -f {{.State.Status}} other",
    "docker exec other true",
    "docker network inspect -f {{.Id}} lan",
    "docker network connect side other",
    "docker network disconnect side other",
    "docker volume inspect data",
    "docker system df",
];

#[track_caller]
fn assert_answered(world: &World, point: &str) {
    let answers = answers(&world.sandbox, point);
    assert_eq!(answers.len(), ABOUT_IT.len() + ABOUT_OTHERS.len(), "{answers:?}");
    for (status, call, answer) in &answers {
        if ABOUT_IT.contains(&call.as_str()) {
            assert_eq!(*status, 1, "{call}: {answer}");
            assert!(answer.contains(REFUSED), "{call}: {answer}");
        } else {
            assert_eq!(*status, 0, "{call}: {answer}");
        }
    }
    assert_eq!(world.docker(&["inspect", "-f", "{{.State.Status}}", "web"]), "running");
}

on_every_engine!(a_hook_at_net_ready_is_refused_what_would_wait_for_it);
fn a_hook_at_net_ready_is_refused_what_would_wait_for_it(on: Generation) {
    let Some(world) = start(on, "net_ready", &[ABOUT_IT, ABOUT_OTHERS].concat()) else { return };

    world.run_sleeper("web", &["--network", "lan"]);

    assert_answered(&world, "net_ready");
}

on_every_engine!(a_hook_at_volume_mount_is_refused_what_would_wait_for_it);
fn a_hook_at_volume_mount_is_refused_what_would_wait_for_it(on: Generation) {
    let Some(world) = start(on, "volume.mount", &[ABOUT_IT, ABOUT_OTHERS].concat()) else { return };

    world.run_sleeper("web", &["--network", "lan", "-v", "data:/data"]);

    assert_answered(&world, "volume.mount");
}

on_every_engine!(a_hook_at_address_request_is_refused_what_would_wait_for_it);
fn a_hook_at_address_request_is_refused_what_would_wait_for_it(on: Generation) {
    let Some(world) = start(on, "address.request", &[ABOUT_IT, ABOUT_OTHERS].concat()) else { return };

    world.run_sleeper("web", &["--network", "lan"]);

    assert_answered(&world, "address.request");
}
