//! Networks that a script makes.

use super::scene::Scene;
use crate::engine::{Generation, Sandbox};
use crate::every_engine::on_every_engine;

/// A bridge for all networks, and a pair for each endpoint. Busybox cannot read JSON; the ids are all that is
/// wanted of it.
const LINKS: &str = r#"#!/bin/sh -eu
request=$(cat)
id=$(printf %s "$request" | sed -n 's/.*"EndpointID":"\([0-9a-f]\{10\}\).*/\1/p')
echo "$DRIVER_METHOD" >> "$CALLS"
case $DRIVER_METHOD in
NetworkDriver.CreateNetwork)
    case $request in *'"deny":"yes"'*) echo "no such VLAN" >&2; exit 1;; esac
    ip link show byhand0 > /dev/null 2>&1 || ip link add byhand0 type bridge
    ip address replace 10.93.0.1/24 dev byhand0
    ip link set byhand0 up ;;
NetworkDriver.DeleteNetwork) ip link del byhand0 ;;
NetworkDriver.CreateEndpoint)
    ip link add "h$id" type veth peer name "c$id"
    ip link set "h$id" master byhand0 up ;;
NetworkDriver.DeleteEndpoint) ip link del "h$id" ;;
NetworkDriver.Join)
    printf '{"InterfaceName":{"SrcName":"c%s","DstPrefix":"eth"},"Gateway":"10.93.0.1"}' "$id" ;;
esac
"#;

/// Answers with a link that does not exist.
const WRONG: &str = r#"#!/bin/sh -eu
case $DRIVER_METHOD in
NetworkDriver.Join) echo '{"InterfaceName":{"SrcName":"nowhere0","DstPrefix":"eth"},"DisableGatewayService":true}' ;;
esac
"#;

fn scene(on: Generation) -> Option<Scene> {
    let write = |sandbox: &Sandbox| {
        sandbox.write_program("links.sh", LINKS);
        sandbox.write_program("wrong.sh", WRONG);
    };
    let scripts = "scripts:\n  links: {exec: [./links.sh], environment: {CALLS: /run/calls}}\n  wrong: {exec: [./wrong.sh]}\n";
    Scene::start_with(on, scripts, write)
}

on_every_engine!(a_script_makes_the_network_and_the_links);
fn a_script_makes_the_network_and_the_links(on: Generation) {
    let Some(mut scene) = scene(on) else { return };
    scene.network("lan", &["--subnet", "10.93.0.0/24", "-o", "mode=script", "-o", "script=links"]);

    scene.serve("web", "lan", &[]);
    assert!(scene.host_reads("web", &scene.address("web")));

    // As after a reboot: the bridge is gone, and the script is asked for it again.
    scene.docker(&["stop", "-t", "0", "web"]);
    scene.boathook.kill9();
    scene.host("ip link del byhand0");
    scene.start_boathook();
    scene.wait_until("the script to make the network again", |it| it.host("ip -o link").contains("byhand0"));
    scene.docker(&["start", "web"]);
    scene.wait_until("web to answer", |it| it.host_reads("web", &it.address("web")));

    scene.docker(&["rm", "-f", "web"]);
    scene.docker(&["network", "rm", "lan"]);
    assert!(!scene.host("ip -o link").contains("byhand0"));
    let calls = scene.host("sort -u run/calls");
    for method in ["CreateNetwork", "CreateEndpoint", "Join", "Leave", "DeleteEndpoint", "DeleteNetwork"] {
        assert!(calls.contains(&format!("NetworkDriver.{method}\n")), "{calls}");
    }
}

on_every_engine!(what_a_script_refuses_or_answers_wrong_is_told_to_the_user);
fn what_a_script_refuses_or_answers_wrong_is_told_to_the_user(on: Generation) {
    let Some(scene) = scene(on) else { return };
    let create = ["network", "create", "-d", "boathook", "--subnet", "10.93.0.0/24", "-o", "mode=script"];

    let refused = scene.refused(&[&create[..], &["-o", "script=links", "-o", "deny=yes", "lan"]].concat());
    assert!(refused.contains("script `links`: no such VLAN"), "{refused}");

    scene.docker(&[&create[..], &["-o", "script=wrong", "odd"]].concat());
    let wrong = scene.refused(&["run", "--rm", "--network", "odd", "busybox:test", "true"]);
    assert!(wrong.contains("script `wrong`: there is no link `nowhere0`"), "{wrong}");
}
