//! What a `when` knows of a real engine's calls.

use super::world::{Config, World};
use crate::engine::Generation;
use crate::every_engine::on_every_engine;

on_every_engine!(a_mount_is_seen_by_its_gate_however_it_is_asked_for);
fn a_mount_is_seen_by_its_gate_however_it_is_asked_for(on: Generation) {
    let config = Config::new().hook(
        "{name: guard, at: pre_create, when: {mount: [/secret, /proc/self], not: {name: keeper}}, deny: no}",
    );
    let Some(world) = World::start(on, &config) else { return };
    world.docker(&["create", "--name", "keeper", "-v", "/secret", "busybox:test", "true"]);
    let create =
        |more: &[&str]| world.sandbox.docker(&[&["create"], more, &["busybox:test", "true"]].concat());

    for asked in [
        ["-v", "/proc/x/../self/:/x"],
        ["-v", "data:/secret/"],
        ["-v", "/secret"],
        ["--tmpfs", "/secret"],
        ["--mount", "type=volume,src=data,dst=/secret"],
        ["--mount", "type=bind,src=/proc//self,dst=/x,readonly"],
        ["--volumes-from", "keeper"],
        ["--volumes-from", "keeper:ro"],
    ] {
        let denied = create(&[&["--name", "web"], &asked[..]].concat());
        assert!(denied.stderr.contains("hook `guard`: no (run "), "{asked:?}: {}", denied.stderr);
    }

    let allowed = create(&["--name", "web", "-v", "data:/secrets", "--tmpfs", "/x"]);
    assert!(allowed.status.success(), "{}", allowed.stderr);
}

on_every_engine!(a_gate_knows_the_call_and_that_a_socket_names_nobody);
fn a_gate_knows_the_call_and_that_a_socket_names_nobody(on: Generation) {
    let config = Config::new().hook(
        "{name: call, at: [pre_start, pre_remove], deny: no, when: {method: POST, path: \"/containers/web/*\", \
         not: {user: \"*\"}}}",
    );
    let Some(world) = World::start(on, &config) else { return };
    world.docker(&["create", "--name", "web", "busybox:test", "true"]);
    world.docker(&["create", "--name", "other", "busybox:test", "true"]);

    let denied = world.sandbox.docker(&["start", "web"]);

    assert!(denied.stderr.contains("hook `call`: no (run "), "{}", denied.stderr);
    world.docker(&["start", "other"]);
    world.docker(&["rm", "web"]);
}
