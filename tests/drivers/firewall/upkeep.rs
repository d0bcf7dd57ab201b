//! Rules that are put there, put back, and taken away again.

use boathook::driver::firewall::{Protocol, Wanted};

use super::net::Net;
use super::scene::{Scene, published};

/// A host on which everything is wanted that can be, and rules of somebody else's are.
fn busy() -> Scene {
    let mut scene =
        Scene::new().publish("0.0.0.0:8080", "10.81.0.2:80").publish("[::]:8080", "[fd00:81::2]:80");
    let more = [
        published(Protocol::Sctp, "198.51.100.1:90", "10.81.0.3:90"),
        published(Protocol::Udp, "127.0.0.1:53", "10.81.0.2:5353"),
    ];
    scene.wanted.networks[0].published.extend(more);
    for tables in ["iptables", "ip6tables"] {
        scene.host.sh(&format!(
            "{tables} -A INPUT -p tcp --dport 22 -j ACCEPT; {tables} -A FORWARD -i out0 -o out0 -j DROP; \
             {tables} -t nat -A POSTROUTING -o out0 -p udp --dport 7 -j MASQUERADE; {tables} -N OWN; \
             {tables} -A OWN -m comment --comment 'of the operator' -j RETURN; {tables} -t mangle -A FORWARD -j MARK --set-mark 7"
        ));
    }
    scene
}

/// All rules of both families.
fn rules(host: &Net) -> Vec<String> {
    [host.rules("iptables-save"), host.rules("ip6tables-save")].concat()
}

#[test]
fn what_is_there_already_is_not_written_again() {
    let scene = busy().ready();
    let before = rules(&scene.host);
    // A rule that is written anew begins to count at zero.
    scene.first.is_kept_from("198.51.100.2:81");
    let counted = scene.host.sh("iptables-save -c -t filter | grep -e '-i bh-one -j BOATHOOK-OUT'");
    assert!(!counted.starts_with("[0:0]"), "{counted}");

    scene.host.apply(&scene.wanted).expect("rules");

    assert_eq!(rules(&scene.host), before);
    assert_eq!(scene.host.sh("iptables-save -c -t filter | grep -e '-i bh-one -j BOATHOOK-OUT'"), counted);
}

#[test]
fn nothing_is_left_when_nothing_is_wanted_and_rules_of_others_are_as_they_were() {
    let scene = busy();
    // On a host that forwards already its policy is its own business.
    scene.host.sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    let before = rules(&scene.host);

    scene.host.apply(&scene.wanted).expect("rules");
    let during = rules(&scene.host);
    scene.host.apply(&Wanted::default()).expect("rules");

    assert!(before.iter().all(|it| during.contains(it)), "{during:#?}");
    assert_eq!(rules(&scene.host), before);
}

#[test]
fn what_somebody_flushed_is_put_back() {
    let scene = busy().ready();
    let before = rules(&scene.host);
    let server = scene.first.listen("10.81.0.2:80");

    for line in [
        "iptables -F DOCKER-USER",
        "iptables -F BOATHOOK-FORWARD; iptables -t nat -F",
        "iptables -D INPUT -j BOATHOOK-INPUT",
        "iptables -F FORWARD; iptables -X OWN 2>/dev/null || iptables -F BOATHOOK-OUT",
        "ip6tables -F BOATHOOK-FORWARD",
    ] {
        scene.host.sh(line);
        assert_ne!(rules(&scene.host), before, "{line}");
        scene.host.apply(&scene.wanted).expect("rules");
        assert!(scene.outside.seen_by(&server, "198.51.100.1:8080").is_some(), "{line}");
        let after = rules(&scene.host);
        let ours = |it: &&String| it.contains("BOATHOOK");
        assert!(before.iter().filter(ours).all(|it| after.contains(it)), "{line}");
    }
}

#[test]
fn a_host_without_networks_of_ours_is_not_touched() {
    let host = Net::new();
    let before = rules(&host);

    host.apply(&Wanted::default()).expect("rules");

    assert_eq!(rules(&host), before);
    assert_eq!(host.sh("cat /proc/sys/net/ipv4/ip_forward"), "0\n");
}

#[test]
fn a_host_begins_to_forward_for_our_networks_and_for_nobody_else() {
    let scene = Scene::new();
    let elsewhere = Net::new();
    scene.host.join("out1", &elsewhere, "eth0");
    scene.host.sh("ip address add 203.0.113.1/24 dev out1");
    elsewhere.sh("ip address add 203.0.113.2/24 dev eth0; ip route add default via 203.0.113.1");
    scene.outside.sh("ip route add default via 198.51.100.1");
    let _server = elsewhere.listen("203.0.113.2:80");

    let scene = scene.ready();

    assert_eq!(scene.host.sh("cat /proc/sys/net/ipv4/ip_forward"), "1\n");
    assert!(!scene.first.is_kept_from("203.0.113.2:80"));
    assert!(scene.outside.is_kept_from("203.0.113.2:80"));
}

#[test]
fn the_loopback_switch_of_a_bridge_follows_what_is_published() {
    let mut scene = Scene::new().publish("127.0.0.1:8080", "10.81.0.2:80").ready();
    let switches = |scene: &Scene| {
        scene.host.sh("cd /proc/sys/net/ipv4/conf; cat bh-one/route_localnet bh-two/route_localnet")
    };
    assert_eq!(switches(&scene), "1\n0\n");

    scene.wanted.networks[0].published.clear();
    scene.host.apply(&scene.wanted).expect("rules");

    assert_eq!(switches(&scene), "0\n0\n");
}
