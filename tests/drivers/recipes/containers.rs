//! Recipes that set something up for a container.

use super::scene::{Scene, request};
use crate::engine::Generation;

#[test]
fn directories_for_bind_mounts_are_made_with_an_owner_and_a_mode() {
    let Some(scene) = Scene::start(Generation::V20_10, "bind-dirs", &[("/srv/data", "DIR/data")]) else {
        return;
    };
    scene.host("mkdir -m 0700 -p data/old else; ln -s ../else data/link");
    let dir = scene.sandbox.dir().display().to_string();
    let seen = |mount: &[&str]| {
        let stat = ["busybox:test", "stat", "-c", "%u:%g %a", "/v"];
        scene.docker(&[&["run", "--rm"], mount, &stat].concat())
    };

    assert_eq!(seen(&["-v", &format!("{dir}/data/web/files:/v:ro")]), "1000:1000 750");
    assert_eq!(seen(&["--mount", &format!("type=bind,src={dir}/data/db,dst=/v")]), "1000:1000 750");
    // What is there, what lies elsewhere, and where a link leads, is nobody's but Docker's.
    assert_eq!(seen(&["-v", &format!("{dir}/data/old:/v")]), "0:0 700");
    assert_eq!(seen(&["-v", &format!("{dir}/else/a:/v")]), "0:0 755");
    assert_eq!(seen(&["-v", &format!("{dir}/data/link/b:/v")]), "0:0 755");
}

#[test]
fn a_file_for_dnsmasq_follows_a_container() {
    let Some(scene) = Scene::start(Generation::V28_5, "dnsmasq", &[]) else { return };
    // All of dnsmasq that counts here: a number in a file, and an ear for a signal.
    let dnsmasq = "trap 'touch told' HUP; echo $$ > /run/dnsmasq.pid; while :; do sleep 0.1; done";
    let _dnsmasq = scene.sandbox.spawn(&["sh", "-c", dnsmasq]);
    scene.wait_until("its number", |it| it.holds("test -s /run/dnsmasq.pid"));

    let id = scene.docker(&["run", "-d", "--name", "web_1", "busybox:test", "sleep", "1000"]);
    let line =
        |name: &str| format!("grep -qxF '{} {name}' /run/boathook/hosts/{id}", scene.address(name_of(name)));
    let named = line("web-1");
    scene.wait_until("its name", |it| it.holds(&named));
    scene.docker(&["rename", "web_1", "site"]);
    let renamed = line("site");
    scene.wait_until("its new name", |it| it.holds(&renamed));
    assert_eq!(scene.host("ls -A /run/boathook/hosts"), id);
    assert!(!scene.holds("test -e told"));

    scene.docker(&["stop", "-t", "0", "site"]);

    scene.wait_until("the file to go", |it| it.host("ls -A /run/boathook/hosts").is_empty());
    scene.wait_until("dnsmasq to be told", |it| it.holds("test -e told"));
}

/// The container that is called so in the file: a host's name has no `_`.
fn name_of(host: &str) -> &str {
    if host == "web-1" { "web_1" } else { host }
}

#[test]
fn a_guarded_container_answers_on_its_ports_only() {
    let Some(mut scene) = Scene::start(Generation::V26_1, "nftables", &[]) else { return };
    // Somebody outside.
    scene.host(
        "ip netns add out; ip link add out0 type veth peer name eth0 netns out\n\
         ip address add 10.99.0.1/24 dev out0; ip link set out0 up\n\
         ip -n out address add 10.99.0.2/24 dev eth0; ip -n out link set eth0 up\n\
         ip -n out route add default via 10.99.0.1",
    );
    let answers = |scene: &Scene, port: u16| {
        scene.holds(&format!("ip netns exec out sh -c \"{}\"", request("10.99.0.1", port)))
    };
    scene.docker(&["network", "create", "-d", "boathook", "--subnet", "10.90.0.0/24", "lan"]);
    let ports = ["--network", "lan", "-p", "8080:80", "-p", "8081:81"];
    let id = scene.serve("web", &[80, 81], &[&ports[..], &["--label", "guard=web"]].concat());
    let chain = format!("nft list chain inet guard c_{}", &id[..12]);

    scene.wait_until("web to answer", |it| answers(it, 8080));
    assert!(!answers(&scene, 8081), "a guarded container answers on another port");

    scene.host("nft delete table inet guard");
    assert!(answers(&scene, 8081), "it answers, but for the guard");
    scene.kill_boathook();
    scene.wait_until("the guard to come back", |it| it.holds(&chain));
    assert!(!answers(&scene, 8081), "a guarded container answers on another port");

    scene.docker(&["rm", "-f", "web"]);
    scene.wait_until("the guard to go", |it| !it.holds(&chain));
    assert!(!scene.host("nft list map inet guard guarded").contains("jump"));
}
