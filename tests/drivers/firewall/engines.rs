//! Our rules beside those of each generation of engines, which begins after we have.

use std::sync::Arc;

use boathook::driver::firewall::Wanted;

use super::net::Net;
use super::scene::Scene;
use crate::engine::{DockerdOptions, Generation, Process, Sandbox};
use crate::every_engine::on_every_engine;

/// A host on which our rules were there first, and then an engine has begun.
struct Beside {
    scene: Scene,
    /// On `docker0`, where a container of the engine would be.
    theirs: Net,
    sandbox: Sandbox,
    /// Keeps the host while no engine runs.
    _keeper: Arc<Process>,
}

impl Beside {
    fn new(on: Generation) -> Option<Beside> {
        let sandbox = Sandbox::available_on(on)?;
        let keeper = sandbox.spawn(&["sleep", "1000"]);
        let scene = Scene::around(Net::of(keeper.id())).publish("0.0.0.0:8080", "10.81.0.2:80").ready();
        sandbox.start_dockerd(DockerdOptions::default());
        sandbox.import_busybox();
        let theirs = Net::new();
        scene.host.join("v-theirs", &theirs, "eth0");
        scene.host.sh("ip link set v-theirs master docker0");
        theirs.sh("ip address add 172.17.0.200/16 dev eth0; ip route add default via 172.17.0.1");
        Some(Beside { scene, theirs, sandbox, _keeper: keeper })
    }
}

fn a_network_works_on_whatever_the_engine_does_with_its_rules(on: Generation) {
    let Some(Beside { scene, sandbox, .. }) = Beside::new(on) else { return };
    let (ours, away) = (scene.first.listen("10.81.0.2:80"), scene.outside.listen("198.51.100.2:80"));
    let works = |when: &str| {
        assert!(scene.outside.seen_by(&ours, "198.51.100.1:8080").is_some(), "published, {when}");
        assert!(scene.host.seen_by(&ours, "127.0.0.1:8080").is_some(), "on loopback, {when}");
        assert!(scene.first.seen_by(&away, "198.51.100.2:80").is_some(), "outward, {when}");
        assert!(scene.other.is_kept_from("10.81.0.2:80"), "apart, {when}");
    };
    works("begun before the engine");

    sandbox.docker_ok(&["network", "create", "theirs"]);
    works("beside a new network of the engine");
    scene.host.apply(&scene.wanted).expect("rules");
    works("repaired");

    // An operator hands back to Docker what is not his business; it is ours.
    scene.host.sh("iptables -I DOCKER-USER 1 -d 10.81.0.0/24 -j RETURN; iptables -I DOCKER-USER 1 -s 10.81.0.0/24 -j RETURN");
    works("handed back to Docker");
    scene.host.sh("iptables -F DOCKER-USER");
    scene.host.apply(&scene.wanted).expect("rules");
    works("flushed and put back");

    scene.host.apply(&Wanted::default()).expect("rules");
    let rules = scene.host.sh("iptables-save; ip6tables-save");
    assert!(!rules.contains("BOATHOOK"), "{rules}");
    assert!(rules.contains("-A FORWARD -j DOCKER-USER"), "{rules}");
}

on_every_engine!(a_network_works_on_whatever_the_engine_does_with_its_rules);

fn the_engines_networks_and_ours_are_kept_apart(on: Generation) {
    let Some(Beside { scene, theirs, sandbox, .. }) = Beside::new(on) else { return };
    sandbox.docker_ok(&["run", "-d", "-p", "7070:80", "busybox:test", "httpd", "-f", "-p", "80"]);
    // As when the engine has begun.
    scene.host.apply(&scene.wanted).expect("rules");
    let ours = scene.first.listen("10.81.0.2:80");
    let _theirs = theirs.listen("172.17.0.200:80");

    assert!(theirs.is_kept_from("10.81.0.2:80"), "the engine's containers come in");
    assert!(scene.first.is_kept_from("172.17.0.200:80"), "ours go to the engine's");
    assert!(!scene.host.is_kept_from("172.17.0.200:80"), "nobody is there");
    // What is published is for everybody.
    assert!(theirs.seen_by(&ours, "198.51.100.1:8080").is_some(), "our published port");
    assert!(scene.first.reaches("198.51.100.1:7070"), "the engine's published port");

    // What the operator forbids is forbidden for our networks as well.
    scene.host.sh("iptables -I DOCKER-USER 1 -s 198.51.100.2 -j DROP");
    assert!(scene.outside.is_kept_from("198.51.100.1:8080"), "the operator said no");
}

on_every_engine!(the_engines_networks_and_ours_are_kept_apart);
