//! Recipes for the links that lead to a container.

use super::scene::{Scene, request};
use crate::engine::Generation;

#[test]
fn the_host_talks_to_a_container_on_a_macvlan() {
    let Some(scene) = Scene::start(Generation::V28_5, "macvlan-host", &[("PARENT: eth0", "PARENT: trunk0")])
    else {
        return;
    };
    scene.host(
        "ip link add trunk0 type veth peer name trunk1; ip link set trunk1 up; ip link set trunk0 up\n\
         ip address add 10.92.0.9/24 dev trunk0",
    );
    let options = ["-o", "mode=macvlan", "-o", "parent=trunk0", "--subnet", "10.92.0.0/24"];
    scene.docker(&[&["network", "create", "-d", "boathook"], &options[..], &["lan"]].concat());

    scene.serve("web", &[80], &["--network", "lan"]);
    scene.serve("other", &[80], &["--network", "lan"]);

    scene.host(&request(&scene.address("web"), 80));
    scene.host(&request(&scene.address("other"), 80));

    let route = format!("ip route show {}", scene.address("web"));
    scene.docker(&["rm", "-f", "web"]);
    scene.wait_until("the route to go", |it| it.host(&route).is_empty());
    scene.host(&request(&scene.address("other"), 80));
}

#[test]
fn what_a_container_receives_is_limited_before_it_runs() {
    let Some(scene) = Scene::start(Generation::V20_10, "shape", &[]) else { return };
    scene.docker(&["network", "create", "-d", "boathook", "--subnet", "10.90.0.0/24", "lan"]);

    scene.docker(&["run", "-d", "--network", "lan", "--name", "free", "busybox:test", "sleep", "1000"]);
    assert!(!scene.host("tc qdisc show").contains("tbf"));
    let slow = ["--network", "lan", "--name", "slow", "--label", "rate=slow"];
    scene.docker(&[&["run", "-d"], &slow[..], &["busybox:test", "sleep", "1000"]].concat());

    // Nobody waits here: it was there before `docker run` was told that the container runs.
    let limits = scene.host("tc qdisc show | grep tbf");
    assert!(limits.contains("dev bhv") && limits.contains("rate 10Mbit"), "{limits}");
    assert_eq!(limits.lines().count(), 1, "{limits}");
    scene.docker(&["rm", "-f", "slow"]);
    assert!(!scene.host("tc qdisc show").contains("tbf"));
}
