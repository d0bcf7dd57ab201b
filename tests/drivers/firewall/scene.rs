//! A host with two of our networks, a container on each side of every wall, and somebody outside.
//!
//! ```text
//! outside 198.51.100.2, 2001:db8::2 ──── 198.51.100.1 host ─┬─ bh-one 10.81.0.1/24, fd00:81::1/64: first .2, second .3
//!                                                           └─ bh-two 10.82.0.1/24, fd00:82::1/64: other .2
//! ```

use boathook::driver::firewall::{Network, Outside, Protocol, Published, Wanted};

use super::net::Net;

/// Hosts, and the rules that one of them should have.
pub(super) struct Scene {
    pub(super) host: Net,
    pub(super) outside: Net,
    /// On `bh-one`.
    pub(super) first: Net,
    /// On `bh-one`.
    pub(super) second: Net,
    /// On `bh-two`.
    pub(super) other: Net,
    pub(super) wanted: Wanted,
}

impl Scene {
    pub(super) fn new() -> Scene {
        Scene::around(Net::new())
    }

    /// Around a host that is there already.
    pub(super) fn around(host: Net) -> Scene {
        let outside = Net::new();
        host.join("out0", &outside, "eth0");
        host.sh("ip address add 198.51.100.1/24 dev out0; ip -6 address add 2001:db8::1/64 dev out0 nodad");
        outside
            .sh("ip address add 198.51.100.2/24 dev eth0; ip -6 address add 2001:db8::2/64 dev eth0 nodad");
        bridge(&host, "bh-one", 81);
        bridge(&host, "bh-two", 82);
        let first = container(&host, "bh-one", 81, 2);
        let second = container(&host, "bh-one", 81, 3);
        let other = container(&host, "bh-two", 82, 2);
        let wanted = Wanted { networks: vec![network("bh-one", 81), network("bh-two", 82)] };
        Scene { host, outside, first, second, other, wanted }
    }

    /// Closes a network.
    pub(super) fn close(mut self, nth: usize) -> Scene {
        self.wanted.networks[nth].outside = Outside::Closed;
        self
    }

    /// Publishes a port of TCP into the network `bh-one`.
    pub(super) fn publish(mut self, host: &str, container: &str) -> Scene {
        self.wanted.networks[0].published.push(published(Protocol::Tcp, host, container));
        self
    }

    /// Makes the rules.
    pub(super) fn ready(self) -> Scene {
        self.host.apply(&self.wanted).expect("rules");
        self
    }
}

pub(super) fn published(protocol: Protocol, host: &str, container: &str) -> Published {
    let [host, container] = [host, container].map(|it| it.parse().expect("an address"));
    Published { protocol, host, container }
}

/// A network whose containers are seen as the host.
pub(super) fn network(bridge: &str, number: u8) -> Network {
    Network {
        bridge: bridge.parse().expect("a name"),
        subnets: [format!("10.{number}.0.0/24"), format!("fd00:{number}::/64")]
            .map(|it| it.parse().expect("a subnet"))
            .into(),
        outside: Outside::Masqueraded,
        published: Vec::new(),
    }
}

pub(super) fn bridge(host: &Net, name: &str, number: u8) {
    host.sh(&format!(
        "ip link add {name} type bridge; ip link set {name} up; ip address add 10.{number}.0.1/24 dev {name}; \
         ip -6 address add fd00:{number}::1/64 dev {name} nodad"
    ));
}

/// Somebody on a bridge.
pub(super) fn container(host: &Net, bridge: &str, number: u8, nth: u8) -> Net {
    let net = Net::new();
    let link = format!("v{number}-{nth}");
    host.join(&link, &net, "eth0");
    // So that a container reaches itself by the host's address: the bridge sends it back where it came from.
    host.sh(&format!("ip link set {link} master {bridge}; ip link set {link} type bridge_slave hairpin on"));
    net.sh(&format!(
        "ip address add 10.{number}.0.{nth}/24 dev eth0; ip route add default via 10.{number}.0.1; \
         ip -6 address add fd00:{number}::{nth}/64 dev eth0 nodad; ip -6 route add default via fd00:{number}::1"
    ));
    net
}
