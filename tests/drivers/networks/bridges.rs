//! Bridges: who reaches whom, and what is left when they are gone.

use super::scene::Scene;
use crate::engine::Generation;
use crate::every_engine::on_every_engine;

on_every_engine!(containers_reach_each_other_by_name_the_gateway_and_a_published_port);
fn containers_reach_each_other_by_name_the_gateway_and_a_published_port(on: Generation) {
    let Some(scene) = Scene::start(on) else { return };
    scene.network("lan", &["--subnet", "10.90.0.0/24"]);

    scene.serve("web", "lan", &["-p", "8080:80"]);
    scene.serve("other", "lan", &[]);

    let address = scene.address("web");
    assert!(scene.says("web", "other", "web"), "by name");
    assert!(scene.says("web", "other", &address), "by address");
    assert!(scene.inside("other", "ping -c 1 -W 3 10.90.0.1").is_some(), "the gateway");
    assert!(scene.host_reads("web", &address), "from the host");
    assert!(scene.host_reads("web", "127.0.0.1:8080"), "published, on loopback");
    assert!(scene.host_reads("web", "10.90.0.1:8080"), "published, on an address of the host");
    assert!(scene.says("web", "other", "10.90.0.1:8080"), "published, from a neighbour");
    assert!(scene.says("web", "web", "10.90.0.1:8080"), "published, from itself");
    let mac = scene.inspect("web", "{{range .NetworkSettings.Networks}}{{.MacAddress}}{{end}}");
    let link = scene.inside("web", "cat /sys/class/net/eth0/address").expect("an interface");
    assert_eq!(mac, link);

    let taken = scene.refused(&["run", "--rm", "--network", "lan", "-p", "8080:80", "busybox:test", "true"]);
    assert!(taken.contains("port 8080 on 0.0.0.0 is taken"), "{taken}");
    scene.docker(&["rm", "-f", "web", "other"]);
    scene.docker(&["network", "rm", "lan"]);
    scene.wait_until_clean();
}

on_every_engine!(a_container_comes_and_goes_while_it_runs_and_is_restarted_by_policy);
fn a_container_comes_and_goes_while_it_runs_and_is_restarted_by_policy(on: Generation) {
    let Some(scene) = Scene::start(on) else { return };
    scene.network("lan", &["--subnet", "10.90.0.0/24"]);
    scene.network("side", &["--subnet", "10.91.0.0/24"]);
    scene.serve("web", "lan", &["--restart", "always", "-p", "8080:80"]);
    scene.serve("other", "side", &[]);
    assert!(!scene.says("web", "other", &scene.address("web")), "networks are apart");

    scene.docker(&["network", "connect", "side", "web"]);
    assert!(scene.says("web", "other", "web"), "connected");
    scene.docker(&["network", "disconnect", "side", "web"]);
    assert!(!scene.says("web", "other", "web"), "disconnected");

    scene.host(&format!("kill -9 {}", scene.inspect("web", "{{.State.Pid}}")));
    scene.wait_until("web to be restarted", |it| it.host_reads("web", "127.0.0.1:8080"));

    scene.docker(&["rm", "-f", "web", "other"]);
    scene.docker(&["network", "rm", "lan", "side"]);
    scene.wait_until_clean();
}

on_every_engine!(ipv6_an_mtu_and_a_name_are_as_they_were_asked_for);
fn ipv6_an_mtu_and_a_name_are_as_they_were_asked_for(on: Generation) {
    let Some(scene) = Scene::start(on) else { return };
    let subnets = ["--ipv6", "--subnet", "10.90.0.0/24", "--subnet", "fd00:90::/64"];
    scene.network("lan", &[&subnets[..], &["-o", "mtu=1400", "-o", "bridge=lan0"]].concat());

    scene.serve("web", "lan", &["-p", "8080:80"]);
    scene.serve("other", "lan", &[]);

    let v6 = scene.inspect("web", "{{range .NetworkSettings.Networks}}{{.GlobalIPv6Address}}{{end}}");
    assert!(scene.says("web", "other", &format!("[{v6}]")), "a neighbour, by IPv6");
    assert!(scene.host_reads("web", &format!("[{v6}]")), "the host, by IPv6");
    assert!(scene.host_reads("web", "[fd00:90::1]:8080"), "published, by IPv6");
    assert_eq!(scene.inside("web", "cat /sys/class/net/eth0/mtu").as_deref(), Some("1400"));
    assert!(scene.host("ip -o link show lan0").contains("mtu 1400"));
    let taken = scene.refused(&["network", "create", "-d", "boathook", "-o", "bridge=lan0", "again"]);
    assert!(taken.contains("`lan0`"), "{taken}");

    scene.docker(&["rm", "-f", "web", "other"]);
    scene.docker(&["network", "rm", "lan"]);
    assert!(!scene.host("ip -o link").contains("lan0"));
    scene.wait_until_clean();
}

on_every_engine!(an_internal_network_has_no_way_in_or_out);
fn an_internal_network_has_no_way_in_or_out(on: Generation) {
    let Some(scene) = Scene::start(on) else { return };
    scene.network("closed", &["--internal", "--subnet", "10.90.0.0/24"]);
    scene.network("lan", &["--subnet", "10.91.0.0/24"]);
    scene.serve("web", "closed", &[]);
    scene.serve("other", "closed", &[]);
    scene.serve("apart", "lan", &[]);

    assert!(scene.says("web", "other", "web"), "among themselves");
    assert_eq!(scene.inside("web", "ip route").expect("routes").lines().count(), 1, "no default route");
    assert!(!scene.says("apart", "web", &scene.address("apart")), "out");
    assert!(!scene.says("web", "apart", &scene.address("web")), "in");
}

on_every_engine!(a_network_that_cannot_be_is_refused_with_all_that_is_wrong);
fn a_network_that_cannot_be_is_refused_with_all_that_is_wrong(on: Generation) {
    let Some(scene) = Scene::start(on) else { return };
    let create = ["network", "create", "-d", "boathook"];
    let refused = |options: &[&str]| scene.refused(&[&create, options, &["x"]].concat());

    let wrong = refused(&["-o", "mtu=9", "-o", "brdige=lan0"]);
    assert!(wrong.contains("is it `bridge`?") && wrong.contains("`mtu=9`"), "{wrong}");

    scene.host("ip link add taken0 type bridge");
    let taken = refused(&["-o", "bridge=taken0"]);
    assert!(taken.contains("it is not boathook's"), "{taken}");
    assert!(scene.host("ip -o link").contains("taken0"));
    let missing = refused(&["-o", "mode=macvlan", "-o", "parent=nowhere0"]);
    assert!(missing.contains("there is no link `nowhere0`"), "{missing}");
    let script = refused(&["-o", "mode=script", "-o", "script=ovs"]);
    assert!(script.contains("there is no script `ovs`"), "{script}");

    assert_eq!(scene.docker(&["network", "ls", "-q", "--filter", "driver=boathook"]), "");
    scene.wait_until_clean();
}
