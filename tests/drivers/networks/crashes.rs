//! Boathook, the engine, or both are killed; bridges are taken away.

use super::scene::Scene;
use crate::engine::Generation;
use crate::every_engine::on_every_engine;

on_every_engine!(boathook_may_be_killed_between_any_two_steps);
fn boathook_may_be_killed_between_any_two_steps(on: Generation) {
    let Some(mut scene) = Scene::start(on) else { return };
    scene.network("lan", &["--subnet", "10.90.0.0/24"]);
    scene.kill_boathook();
    scene.serve("web", "lan", &["-p", "8080:80"]);
    scene.kill_boathook();
    assert!(scene.host_reads("web", "127.0.0.1:8080"));
    scene.serve("other", "lan", &[]);
    assert!(scene.says("web", "other", "web"));
    let taken = scene.refused(&["run", "--rm", "--network", "lan", "-p", "8080:80", "busybox:test", "true"]);
    assert!(taken.contains("port 8080 on 0.0.0.0 is taken"), "{taken}");

    scene.kill_boathook();
    scene.docker(&["rm", "-f", "web"]);
    assert!(!scene.host_reads("web", "127.0.0.1:8080"));
    scene.kill_boathook();
    scene.docker(&["rm", "-f", "other"]);
    scene.kill_boathook();
    scene.docker(&["network", "rm", "lan"]);
    scene.wait_until_clean();
}

on_every_engine!(what_was_taken_away_while_boathook_was_away_is_back);
fn what_was_taken_away_while_boathook_was_away_is_back(on: Generation) {
    let Some(mut scene) = Scene::start(on) else { return };
    scene.network("lan", &["--subnet", "10.90.0.0/24", "-o", "bridge=lan0"]);
    scene.serve("web", "lan", &["-p", "8080:80"]);
    scene.serve("other", "lan", &[]);

    scene.boathook.kill9();
    scene.host("ip link del lan0; iptables -t nat -F; iptables -F; ip link add bhvffffffffffff type veth peer bhcffffffffffff");
    scene.start_boathook();

    scene.wait_until("the bridge to be back", |it| it.host_reads("web", "127.0.0.1:8080"));
    assert!(scene.says("web", "other", "web"));
    scene.wait_until("what nobody needs to be gone", |it| {
        !it.links().iter().any(|it| it == "bhvffffffffffff")
    });
}

on_every_engine!(the_engine_may_be_killed_and_nothing_is_left_over);
fn the_engine_may_be_killed_and_nothing_is_left_over(on: Generation) {
    let Some(mut scene) = Scene::start(on) else { return };
    scene.network("lan", &["--subnet", "10.90.0.0/24"]);
    scene.serve("web", "lan", &["--restart", "always", "-p", "8080:80"]);
    scene.serve("job", "lan", &[]);

    scene.dockerd.kill9();
    scene.kill_boathook();
    scene.dockerd.start();
    scene.wait_until("web to be back", |it| it.host_reads("web", "127.0.0.1:8080"));
    assert_eq!(scene.links().len(), 2, "a bridge and one port: {:?}", scene.links());

    scene.docker(&["rm", "-f", "web", "job"]);
    scene.docker(&["network", "rm", "lan"]);
    scene.wait_until_clean();
}

on_every_engine!(what_the_engine_has_forgotten_is_let_go_of);
fn what_the_engine_has_forgotten_is_let_go_of(on: Generation) {
    let Some(mut scene) = Scene::start(on) else { return };
    scene.network("lan", &["--subnet", "10.90.0.0/24"]);
    scene.run("web", "lan", &["-p", "8080:80"]);

    // The engine's call that a container is gone, and the one that a network is, find nobody.
    scene.boathook.kill9();
    scene.docker(&["rm", "-f", "web"]);
    scene.docker(&["network", "rm", "lan"]);
    scene.start_boathook();

    scene.wait_until_clean();
}

on_every_engine!(what_the_engine_has_from_a_plugin_of_another_name_is_kept);
fn what_the_engine_has_from_a_plugin_of_another_name_is_kept(on: Generation) {
    let Some(mut scene) = Scene::start(on) else { return };
    scene.network("lan", &["--subnet", "10.90.0.0/24"]);
    let forgotten = scene.network("gone", &["--subnet", "10.91.0.0/24"]);

    scene.boathook.kill9();
    scene.docker(&["network", "rm", "gone"]);
    scene.start_boathook_as("other");
    let told = |it: &Scene| -> Vec<_> {
        let logs = it.boathook.logs().into_iter();
        let logs = logs.filter(|it| it["message"] == "the engine has forgotten a network");
        logs.map(|it| it["network"].clone()).collect()
    };
    scene.wait_until("the other network to be let go of", |it| !told(it).is_empty());
    assert_eq!(told(&scene), [forgotten]);

    scene.kill_boathook();
    scene.serve("web", "lan", &[]);
}
