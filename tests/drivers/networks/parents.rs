//! Links on a link of the host.

use std::io::{self, Write as _};

use super::scene::Scene;
use crate::engine::Generation;
use crate::every_engine::on_every_engine;

on_every_engine!(containers_on_a_macvlan_reach_each_other_and_not_the_host);
fn containers_on_a_macvlan_reach_each_other_and_not_the_host(on: Generation) {
    let Some(mut scene) = Scene::start(on) else { return };
    scene.host("ip link add trunk0 type veth peer trunk1; ip link set trunk0 up; ip link set trunk1 up");
    let options = ["--subnet", "10.92.0.0/24", "-o", "mode=macvlan", "-o", "parent=trunk0", "-o", "mtu=1400"];
    scene.network("lan", &options);

    scene.serve("web", "lan", &[]);
    scene.kill_boathook();
    scene.serve("other", "lan", &[]);

    assert!(scene.says("web", "other", "web"));
    assert!(!scene.host_reads("web", &scene.address("web")), "a parent does not reach its links");
    assert_eq!(scene.inside("web", "cat /sys/class/net/eth0/mtu").as_deref(), Some("1400"));
    let refused = scene.refused(&["run", "--rm", "--network", "lan", "-p", "80:80", "busybox:test", "true"]);
    assert!(refused.contains("publishes no ports"), "{refused}");

    scene.docker(&["rm", "-f", "web", "other"]);
    scene.docker(&["network", "rm", "lan"]);
    scene.wait_until_clean();
    assert!(scene.host("ip -o link").contains("trunk0"));
}

on_every_engine!(containers_on_an_ipvlan_share_an_address_of_hardware);
fn containers_on_an_ipvlan_share_an_address_of_hardware(on: Generation) {
    let Some(scene) = Scene::start(on) else { return };
    scene.host("ip link add trunk0 type veth peer trunk1; ip link set trunk0 up; ip link set trunk1 up");
    if !scene.sandbox.run(&["ip", "link", "add", "try0", "link", "trunk0", "type", "ipvlan"]).status.success()
    {
        writeln!(io::stderr(), "skipped: the kernel has no ipvlan").expect("write to stderr");
        return;
    }
    scene.host("ip link del try0");
    scene.network("lan", &["--subnet", "10.92.0.0/24", "-o", "mode=ipvlan", "-o", "parent=trunk0"]);

    scene.serve("web", "lan", &[]);
    scene.serve("other", "lan", &[]);

    assert!(scene.says("web", "other", "web"));
    let mac = |it: &str| scene.inside(it, "cat /sys/class/net/eth0/address").expect("an interface");
    assert_eq!(mac("web"), mac("other"));
    scene.docker(&["rm", "-f", "web", "other"]);
    scene.docker(&["network", "rm", "lan"]);
    scene.wait_until_clean();
}
