//! Who reaches whom, as real packets see it.

use std::net::IpAddr;
use std::time::Duration;

use boathook::driver::firewall::Protocol;

use super::scene::{Scene, bridge, container, published};

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().expect("an address"))
}

#[test]
fn a_container_goes_out_as_the_host() {
    let scene = Scene::new().ready();

    let server = scene.outside.listen("198.51.100.2:80");
    assert_eq!(scene.first.seen_by(&server, "198.51.100.2:80"), ip("198.51.100.1"));
    let server = scene.outside.listen("[2001:db8::2]:80");
    assert_eq!(scene.first.seen_by(&server, "[2001:db8::2]:80"), ip("2001:db8::1"));
}

#[test]
fn containers_of_one_network_reach_each_other_and_the_host() {
    let scene = Scene::new().ready();
    scene.host.sh("sysctl -qw net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1");

    for (server, to, from) in [
        (scene.second.listen("10.81.0.3:80"), "10.81.0.3:80", "10.81.0.2"),
        (scene.second.listen("[fd00:81::3]:80"), "[fd00:81::3]:80", "fd00:81::2"),
        (scene.host.listen("10.81.0.1:80"), "10.81.0.1:80", "10.81.0.2"),
        (scene.host.listen("198.51.100.1:81"), "198.51.100.1:81", "10.81.0.2"),
    ] {
        assert_eq!(scene.first.seen_by(&server, to), ip(from), "{to}");
    }
}

#[test]
fn networks_are_kept_apart_and_nobody_comes_in_who_was_not_asked() {
    let scene = Scene::new().publish("0.0.0.0:8080", "10.81.0.2:80").ready();
    scene
        .outside
        .sh("ip route add 10.81.0.0/24 via 198.51.100.1; ip -6 route add fd00:81::/64 via 2001:db8::1");
    let _server = scene.first.listen("[::]:80");

    for to in ["10.81.0.2:80", "[fd00:81::2]:80"] {
        assert!(scene.other.is_kept_from(to), "another network reaches {to}");
        assert!(scene.outside.is_kept_from(to), "who has a route reaches {to}");
        assert!(!scene.second.is_kept_from(to), "{to} is not there at all");
    }
}

#[test]
fn an_internal_network_is_closed_both_ways_and_open_within() {
    let scene = Scene::new().close(0).publish("0.0.0.0:8080", "10.81.0.2:80").ready();
    scene
        .outside
        .sh("ip route add 10.81.0.0/24 via 198.51.100.1; ip -6 route add fd00:81::/64 via 2001:db8::1");
    let _servers = [scene.first.listen("[::]:80"), scene.outside.listen("[::]:80")];

    for to in ["10.81.0.2:80", "[fd00:81::2]:80"] {
        assert!(scene.outside.is_kept_from(to), "{to}");
        assert!(scene.other.is_kept_from(to), "{to}");
        assert!(!scene.second.is_kept_from(to), "{to}");
    }
    assert!(scene.outside.is_kept_from("198.51.100.1:8080"));
    for to in ["198.51.100.2:80", "[2001:db8::2]:80"] {
        assert!(scene.first.is_kept_from(to), "{to}");
        assert!(!scene.other.is_kept_from(to), "{to}");
    }
}

#[test]
fn nobody_leaves_an_internal_network_by_a_port_that_another_publishes() {
    let scene = Scene::new().close(1).publish("0.0.0.0:8080", "10.81.0.2:80");
    // Docker's own internal network of 20.10 to 28.5, which has the bridge `br-three`.
    bridge(&scene.host, "br-three", 83);
    let docker = container(&scene.host, "br-three", 83, 2);
    scene.host.sh("iptables -N DOCKER-ISOLATION-STAGE-1; \
                   iptables -A DOCKER-ISOLATION-STAGE-1 ! -d 10.83.0.0/24 -i br-three -j DROP");
    let scene = scene.ready();
    let _server = scene.first.listen("10.81.0.2:80");

    assert!(scene.other.is_kept_from("10.82.0.1:8080"), "by the host's address on its bridge");
    assert!(docker.is_kept_from("10.83.0.1:8080"), "Docker's internal network");
    assert!(!scene.second.is_kept_from("10.81.0.1:8080"), "nobody gets there");
}

#[test]
fn a_published_port_is_reached_from_everywhere() {
    let scene =
        Scene::new().publish("0.0.0.0:8080", "10.81.0.2:80").publish("[::]:8080", "[fd00:81::2]:80").ready();
    let server = scene.first.listen("10.81.0.2:80");

    assert_eq!(scene.outside.seen_by(&server, "198.51.100.1:8080"), ip("198.51.100.2"), "from outside");
    assert_eq!(scene.host.seen_by(&server, "127.0.0.1:8080"), ip("10.81.0.1"), "by loopback");
    assert_eq!(scene.host.seen_by(&server, "198.51.100.1:8080"), ip("198.51.100.1"), "from the host");
    assert_eq!(scene.second.seen_by(&server, "198.51.100.1:8080"), ip("10.81.0.1"), "from its network");
    assert_eq!(scene.first.seen_by(&server, "198.51.100.1:8080"), ip("10.81.0.1"), "from itself");
    assert_eq!(scene.other.seen_by(&server, "198.51.100.1:8080"), ip("10.81.0.1"), "from another network");

    let server = scene.first.listen("[fd00:81::2]:80");
    assert_eq!(scene.outside.seen_by(&server, "[2001:db8::1]:8080"), ip("2001:db8::2"), "from outside");
    assert!(scene.host.seen_by(&server, "[2001:db8::1]:8080").is_some(), "from the host");
    assert_eq!(scene.second.seen_by(&server, "[2001:db8::1]:8080"), ip("fd00:81::1"), "from its network");
}

#[test]
fn a_port_published_on_one_address_is_on_no_other() {
    let scene = Scene::new()
        .publish("127.0.0.1:8081", "10.81.0.2:80")
        .publish("198.51.100.1:8082", "10.81.0.2:80")
        .ready();
    let server = scene.first.listen("10.81.0.2:80");

    assert!(scene.host.seen_by(&server, "127.0.0.1:8081").is_some());
    assert!(scene.host.is_kept_from("198.51.100.1:8081"));
    assert!(scene.outside.is_kept_from("198.51.100.1:8081"));
    assert!(scene.outside.seen_by(&server, "198.51.100.1:8082").is_some());
    assert!(scene.host.is_kept_from("127.0.0.1:8082"));
}

#[test]
fn nobody_but_the_host_reaches_what_is_on_its_loopback_address() {
    let scene = Scene::new().publish("127.0.0.1:8081", "10.81.0.2:80").ready();
    let server = scene.first.listen("10.81.0.2:80");
    let _own = scene.host.listen("127.0.0.1:9000");
    // The ways of somebody who can send whatever he likes.
    for (from, host) in [(&scene.outside, "198.51.100.1"), (&scene.second, "10.81.0.1")] {
        from.sh(&format!(
            "sysctl -qw net.ipv4.conf.all.route_localnet=1; ip route add 127.0.0.1/32 via {host} dev eth0 table 7; \
             ip rule add pref 0 to 127.0.0.1 lookup 7; ip rule add pref 1 lookup local; ip rule del pref 0 lookup local"
        ));

        assert!(from.is_kept_from("127.0.0.1:8081"), "{host}");
        assert!(from.is_kept_from("127.0.0.1:9000"), "{host}");
    }
    assert!(scene.host.seen_by(&server, "127.0.0.1:8081").is_some());
}

#[test]
fn datagrams_are_published_too() {
    let mut scene = Scene::new();
    let udp = published(Protocol::Udp, "0.0.0.0:5353", "10.81.0.2:53");
    scene.wanted.networks[0].published.push(udp);
    let scene = scene.ready();
    let server = scene.first.within(|| std::net::UdpSocket::bind("10.81.0.2:53")).expect("a socket");

    assert!(scene.outside.is_answered(&server, "198.51.100.1:5353"));
    assert!(scene.host.is_answered(&server, "127.0.0.1:5353"));
    assert!(!scene.outside.is_answered(&server, "198.51.100.1:5354"));
}

#[test]
fn a_client_that_goes_on_sending_reaches_who_has_its_port_now() {
    let mut scene = Scene::new();
    let server = |net: &super::net::Net, at| net.within(|| std::net::UdpSocket::bind(at)).expect("a socket");
    let (first, second) = (server(&scene.first, "10.81.0.2:53"), server(&scene.second, "10.81.0.3:53"));
    scene.host.apply(&scene.wanted).expect("rules");
    let client = scene.outside.within(|| std::net::UdpSocket::bind("198.51.100.2:4000")).expect("a socket");
    let reaches = |server: &std::net::UdpSocket| {
        client.send_to(b"?", "198.51.100.1:5353").expect("sent");
        server.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
        server.recv(&mut [0; 1]).is_ok()
    };
    assert!(!reaches(&first), "published to nobody");

    for (server, at) in [(&first, "10.81.0.2:53"), (&second, "10.81.0.3:53")] {
        let ports = vec![published(Protocol::Udp, "0.0.0.0:5353", at)];
        scene.wanted.networks[0].published.clone_from(&ports);
        scene.host.apply(&scene.wanted).expect("rules");
        assert!(!reaches(server), "the kernel remembers: this test says nothing");
        scene.host.forget(&ports);
        assert!(reaches(server), "{at}");
    }
}
