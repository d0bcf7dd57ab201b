//! The recipe for Open vSwitch, on a switch of the test's own.

use std::io::{self, Write as _};
use std::sync::Arc;

use super::scene::Scene;
use crate::engine::{Generation, Process};

/// What makes a switch, and where the package has the schema of its database.
const NEEDED: &str = "for it in ovsdb-tool ovsdb-server ovs-vswitchd ovs-vsctl; do command -v $it || exit 1; done\n\
    test -e /usr/share/openvswitch/vswitch.ovsschema";

/// Starts a switch with the bridge `br0` in the sandbox; its processes. It needs no module of the kernel's.
#[track_caller]
fn start_switch(scene: &Scene) -> [Arc<Process>; 2] {
    scene.host(
        "mkdir -p /run/openvswitch\n\
         ovsdb-tool create /run/openvswitch/conf.db /usr/share/openvswitch/vswitch.ovsschema",
    );
    let socket = "/run/openvswitch/db.sock";
    let remote = format!("--remote=punix:{socket}");
    let database = scene.sandbox.spawn(&["ovsdb-server", "/run/openvswitch/conf.db", &remote, "--pidfile"]);
    scene.wait_until("the database", |it| it.holds("ovs-vsctl --timeout=5 --no-wait init"));
    let switch = scene.sandbox.spawn(&["ovs-vswitchd", &format!("unix:{socket}"), "--pidfile"]);
    scene.host("ovs-vsctl --timeout=30 add-br br0 -- set bridge br0 datapath_type=netdev");
    [database, switch]
}

#[test]
fn containers_are_ports_of_a_switch_in_their_vlan() {
    let Some(scene) = Scene::start(Generation::V28_5, "ovs", &[("/var/lib/boathook/ovs", "DIR/ovs")]) else {
        return;
    };
    if !scene.holds(NEEDED) {
        writeln!(io::stderr(), "skipped: there is no Open vSwitch").expect("write to stderr");
        return;
    }
    let _switch = start_switch(&scene);
    let create =
        ["network", "create", "-d", "boathook", "-o", "mode=script", "-o", "script=ovs", "--internal"];
    let refused = scene.refused(&[&create[..], &["-o", "vlan=4095", "lab"]].concat());
    assert!(refused.contains("vlan has to be a number from 1 to 4094, not '4095'"), "{refused}");
    scene.docker(&[&create[..], &["-o", "vlan=20", "--subnet", "10.20.0.0/24", "lab"]].concat());
    scene.docker(&[&create[..], &["--subnet", "10.21.0.0/24", "plain"]].concat());

    for (name, network) in [("one", "lab"), ("two", "lab"), ("three", "plain")] {
        scene.docker(&["run", "-d", "--name", name, "--network", network, "busybox:test", "sleep", "1000"]);
    }

    // Packets go through a switch in user space, in which sums of TCP that hardware was to fill in stay wrong.
    let ping = format!("ping -c 1 -w 10 {}", scene.address("two"));
    scene.docker(&["exec", "one", "sh", "-c", &ping]);
    let tagged = "ovs-vsctl --timeout=5 --bare --columns=name find port tag=20";
    assert_eq!(scene.host(tagged).split_whitespace().count(), 2);
    assert_eq!(scene.host("ovs-vsctl --timeout=5 list-ports br0").lines().count(), 3);

    scene.docker(&["rm", "-f", "one", "two", "three"]);
    scene.docker(&["network", "rm", "lab", "plain"]);
    scene.wait_until("the ports to go", |it| it.host("ovs-vsctl --timeout=5 list-ports br0").is_empty());
    assert!(!scene.host("ip -o link").contains("ov-"));
    assert!(scene.host("ls ovs").is_empty());
}
