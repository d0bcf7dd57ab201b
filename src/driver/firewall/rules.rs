//! What is wanted, as rules: our chains and what is in them, and where they are jumped to from.
//!
//! Pure, and written as `iptables-save` writes rules, so that what is there can be compared with what
//! should be. All that is ours stands in chains of our own:
//!
//! | chain | jumped to from | what it does |
//! |---|---|---|
//! | `BOATHOOK-FORWARD` | `DOCKER-USER`, and again `FORWARD` | who may send through the host to whom |
//! | `BOATHOOK-OUT` | `BOATHOOK-FORWARD` | what leaves an open network: first what Docker says about its own bridges |
//! | `BOATHOOK-INPUT` | `INPUT` | loopback addresses come from no bridge |
//! | `BOATHOOK-PUBLISH` | nat `PREROUTING`, nat `OUTPUT` | published ports lead to containers |
//! | `BOATHOOK-MASQUERADE` | nat `POSTROUTING` | whose address is seen |
//!
//! dockerd sets the policy of `FORWARD` to drop, and accepts in a chain of another table do not override
//! that; `DOCKER-USER` is the operator's, and dockerd puts the jump to it first in `FORWARD` whenever it
//! changes something there (`arrangeUserFilterRule` in moby, `libnetwork/firewall_linux.go`). The jump to us
//! is its last one, so that whatever the operator says there holds for our networks as well; what the
//! operator hands back to Docker by a `RETURN` meets us a second time, behind Docker's rules.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::wanted::{Bridge, Family, Network, Outside, Published, Wanted};

/// What all our chains begin with. Nobody else's does: what does and is not wanted is removed.
pub(super) const PREFIX: &str = "BOATHOOK-";

/// The operator's chain, which dockerd makes and keeps; where dockerd has not yet, we do.
pub(super) const DOCKER_USER: &str = "DOCKER-USER";

/// Docker's chain that accepts what goes to ports published on its own bridges.
pub(super) const DOCKER: &str = "DOCKER";

/// Docker's chains that drop what goes to its internal networks, and to its bridges.
///
/// They are where its own bridges are kept apart from each other, and name all of them
/// (`setINC`, `setupInternalNetworkRules` in moby, `libnetwork/drivers/bridge/setup_ip_tables_linux.go`).
/// dockerd empties and fills them at its start, and leaves them where they are jumped to from elsewhere
/// (seen with 20.10, 26.1 and 28.5).
const DOCKER_ISOLATION: [&str; 2] = ["DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2"];

const FORWARD: &str = "BOATHOOK-FORWARD";
const OUT: &str = "BOATHOOK-OUT";
const INPUT: &str = "BOATHOOK-INPUT";
const PUBLISH: &str = "BOATHOOK-PUBLISH";
const MASQUERADE: &str = "BOATHOOK-MASQUERADE";

/// Matches packets of connections that have been let through, and errors about them.
const REPLIES: &str = "-m conntrack --ctstate RELATED,ESTABLISHED";

/// Matches packets that came for one of the host's ports.
const REDIRECTED: &str = "-m conntrack --ctstate DNAT";

/// A table that we have chains in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Filter,
    Nat,
}

/// The rules that there should be of one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rules {
    /// Our chains, by table and name. A rule is what follows `-A CHAIN ` on its line.
    pub(super) chains: BTreeMap<(Table, &'static str), Vec<String>>,
    /// Empty if there are no chains.
    pub(super) jumps: Vec<Jump>,
}

/// A rule in a chain that is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Jump {
    pub(super) table: Table,
    pub(super) from: &'static str,
    pub(super) rule: String,
    pub(super) place: Place,
}

/// Where in its chain a jump stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Before all others.
    First,
    /// After all others, but before a `RETURN` that closes the chain for everyone.
    Last,
    /// Where it is; at the end, if it is nowhere.
    Anywhere,
}

impl Table {
    pub(super) const ALL: [Table; 2] = [Table::Filter, Table::Nat];

    pub(super) fn name(self) -> &'static str {
        match self {
            Table::Filter => "filter",
            Table::Nat => "nat",
        }
    }
}

impl Rules {
    /// The rules of `family` for what is wanted, where these chains are in the table `filter` already.
    pub(super) fn new(wanted: &Wanted, family: Family, filter: &BTreeSet<&str>) -> Rules {
        let mut networks: Vec<_> = wanted.networks.iter().filter(|it| it.has(family)).collect();
        networks.sort_by_key(|it| &it.bridge);
        if networks.is_empty() {
            return Rules::default();
        }
        let chains = BTreeMap::from([
            ((Table::Filter, FORWARD), forward(&networks, family, filter)),
            ((Table::Filter, OUT), out(filter)),
            ((Table::Filter, INPUT), input(&networks, family)),
            ((Table::Nat, PUBLISH), publish(&networks, family)),
            ((Table::Nat, MASQUERADE), masquerade(&networks, family)),
        ]);
        Rules { chains, jumps: jumps(family) }
    }
}

/// Replies first, since most packets are some; then who may send nothing at all, what may come in, what may
/// not, and what goes out.
///
/// A container of an internal network, ours or Docker's, reaches the host on its bridge, and would get
/// from there to every port that is published: whoever is shut in is told no before anybody is let in.
fn forward(networks: &[&Network], family: Family, filter: &BTreeSet<&str>) -> Vec<String> {
    let open = || networks.iter().filter(|it| it.outside != Outside::Closed).map(|it| &it.bridge);
    let closed = || networks.iter().filter(|it| it.outside == Outside::Closed).map(|it| &it.bridge);
    let bridges = || networks.iter().map(|it| &it.bridge);

    let replies = open()
        .flat_map(|it| [format!("-o {it} {REPLIES} -j ACCEPT"), format!("-i {it} {REPLIES} -j ACCEPT")]);
    // Only seen here where bridges pass their packets to the firewall (`br_netfilter`).
    let within = bridges().map(|it| format!("-i {it} -o {it} -j ACCEPT"));
    let shut_in = closed().map(|it| format!("-i {it} -j DROP")).chain(shut_in_by_docker(filter));
    let published = networks.iter().flat_map(|network| {
        let bridge = &network.bridge;
        network.published_of(family).map(move |it| accepted(bridge, it)).collect::<BTreeSet<_>>()
    });
    let others_in = bridges().map(|it| format!("-o {it} -j DROP"));
    let out = open().map(|it| format!("-i {it} -j {OUT}"));
    replies.chain(within).chain(shut_in).chain(published).chain(others_in).chain(out).collect()
}

/// Docker says of its internal networks in the first of its chains who is shut in, and we accept before it is
/// asked.
fn shut_in_by_docker(filter: &BTreeSet<&str>) -> Option<String> {
    let [first, _] = DOCKER_ISOLATION;
    filter.contains(first).then(|| format!("{REDIRECTED} -j {first}"))
}

/// A container's port is reached by way of the host's only, as with Docker from 28 on: who can route to
/// the container would otherwise pass the host address that its port is published on.
fn accepted(bridge: &Bridge, published: &Published) -> String {
    let (protocol, to) = (published.protocol, published.container);
    format!(
        "-d {} -o {bridge} -p {protocol} -m {protocol} --dport {} {REDIRECTED} -j ACCEPT",
        host_route(to.ip()),
        to.port()
    )
}

/// Docker keeps its bridges apart by its own chains, and lets our containers reach what it publishes.
fn out(filter: &BTreeSet<&str>) -> Vec<String> {
    let published = filter.contains(DOCKER).then(|| format!("{REDIRECTED} -j {DOCKER}"));
    let isolation = DOCKER_ISOLATION.iter().filter(|it| filter.contains(**it)).map(|it| format!("-j {it}"));
    published.into_iter().chain(isolation).chain(["-j ACCEPT".to_owned()]).collect()
}

/// Replies to a port published on `127.0.0.1` come back through a bridge, which therefore takes packets for
/// loopback addresses (`route_localnet`). Nobody on it gets to the host's loopback services by that.
fn input(networks: &[&Network], family: Family) -> Vec<String> {
    let loopback = loopback(family);
    let drop = |network: &&Network| {
        format!("-d {loopback} -i {} -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP", network.bridge)
    };
    networks.iter().map(drop).collect()
}

fn publish(networks: &[&Network], family: Family) -> Vec<String> {
    // In order of the host's side: an address before all addresses, so that the closer rule holds.
    let published: BTreeSet<_> = networks.iter().flat_map(|it| it.published_of(family)).collect();
    let (anywhere, at_one): (Vec<_>, Vec<_>) =
        published.into_iter().partition(|it| it.host.ip().is_unspecified());
    let redirect = |it: &Published| {
        let to = match it.host.ip() {
            ip if ip.is_unspecified() => String::new(),
            ip => format!("-d {} ", host_route(ip)),
        };
        let (protocol, port) = (it.protocol, it.host.port());
        format!("{to}-p {protocol} -m {protocol} --dport {port} -j DNAT --to-destination {}", it.container)
    };
    at_one.into_iter().chain(anywhere).map(redirect).collect()
}

fn masquerade(networks: &[&Network], family: Family) -> Vec<String> {
    networks.iter().flat_map(|it| masquerade_one(it, family)).collect()
}

/// Who reaches a container of its own network by the host's address, or the host by its loopback
/// address, is seen as the bridge: answers would otherwise not come back this way.
fn masquerade_one(network: &Network, family: Family) -> Vec<String> {
    let bridge = &network.bridge;
    let outward = network.subnets_of(family).map(|it| format!("-s {it} ! -o {bridge} -j MASQUERADE"));
    let outward = outward.filter(|_| network.outside == Outside::Masqueraded);
    let within =
        network.subnets_of(family).map(|it| format!("-s {it} -o {bridge} {REDIRECTED} -j MASQUERADE"));
    let host = [format!("-s {} -o {bridge} -j MASQUERADE", loopback(family))];
    let inward = within.chain(host).filter(|_| network.published_of(family).next().is_some());
    outward.chain(inward).collect()
}

fn jumps(family: Family) -> Vec<Jump> {
    let loopback = loopback(family);
    let to_host = "-m addrtype --dst-type LOCAL";
    // From elsewhere nobody is led on to what is published on a loopback address.
    let arriving = format!("! -d {loopback} {to_host} -j {PUBLISH}");
    let made_here = match family {
        Family::V4 => format!("{to_host} -j {PUBLISH}"),
        // The kernel sends nothing from `::1` to another address, and has no switch for it.
        Family::V6 => arriving.clone(),
    };
    let jump = |table, from, place, rule| Jump { table, from, rule, place };
    vec![
        jump(Table::Filter, "INPUT", Place::First, format!("-j {INPUT}")),
        jump(Table::Filter, DOCKER_USER, Place::Last, format!("-j {FORWARD}")),
        jump(Table::Filter, "FORWARD", Place::Anywhere, format!("-j {FORWARD}")),
        jump(Table::Nat, "PREROUTING", Place::Anywhere, arriving),
        jump(Table::Nat, "OUTPUT", Place::Anywhere, made_here),
        jump(Table::Nat, "POSTROUTING", Place::Anywhere, format!("-j {MASQUERADE}")),
    ]
}

fn loopback(family: Family) -> &'static str {
    match family {
        Family::V4 => "127.0.0.0/8",
        Family::V6 => "::1/128",
    }
}

/// One address, as rules have it.
fn host_route(address: IpAddr) -> String {
    format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 })
}

#[cfg(test)]
mod tests {
    use super::super::wanted::Protocol;
    use super::*;

    fn network(bridge: &str, subnet: &str, outside: Outside) -> Network {
        Network {
            bridge: bridge.parse().unwrap(),
            subnets: vec![subnet.parse().unwrap()],
            outside,
            published: Vec::new(),
        }
    }

    fn tcp(host: &str, container: &str) -> Published {
        Published {
            protocol: Protocol::Tcp,
            host: host.parse().unwrap(),
            container: container.parse().unwrap(),
        }
    }

    fn chain<'a>(rules: &'a Rules, name: &str) -> &'a [String] {
        rules.chains.iter().find(|((_, it), _)| *it == name).map_or(&[], |(_, rules)| rules)
    }

    #[test]
    fn what_comes_in_is_decided_before_what_goes_out() {
        let mut open = network("bh-b", "10.2.0.0/24", Outside::Masqueraded);
        open.published = vec![tcp("127.0.0.1:8080", "10.2.0.2:80"), tcp("0.0.0.0:8080", "10.2.0.2:80")];
        let closed = network("bh-a", "10.1.0.0/24", Outside::Closed);
        let wanted = Wanted { networks: vec![open, closed] };

        let rules = Rules::new(&wanted, Family::V4, &BTreeSet::new());

        assert_eq!(
            chain(&rules, FORWARD),
            [
                "-o bh-b -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
                "-i bh-b -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
                "-i bh-a -o bh-a -j ACCEPT",
                "-i bh-b -o bh-b -j ACCEPT",
                "-i bh-a -j DROP",
                "-d 10.2.0.2/32 -o bh-b -p tcp -m tcp --dport 80 -m conntrack --ctstate DNAT -j ACCEPT",
                "-o bh-a -j DROP",
                "-o bh-b -j DROP",
                "-i bh-b -j BOATHOOK-OUT",
            ]
        );
    }

    #[test]
    fn one_address_of_the_host_comes_before_all_of_them() {
        let mut open = network("bh-a", "10.1.0.0/24", Outside::Routed);
        open.published = vec![tcp("0.0.0.0:1", "10.1.0.2:1"), tcp("192.0.2.1:80", "10.1.0.2:80")];
        let wanted = Wanted { networks: vec![open] };

        let rules = Rules::new(&wanted, Family::V4, &BTreeSet::new());

        assert_eq!(
            chain(&rules, PUBLISH),
            [
                "-d 192.0.2.1/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.1.0.2:80",
                "-p tcp -m tcp --dport 1 -j DNAT --to-destination 10.1.0.2:1",
            ]
        );
        assert_eq!(
            chain(&rules, MASQUERADE),
            [
                "-s 10.1.0.0/24 -o bh-a -m conntrack --ctstate DNAT -j MASQUERADE",
                "-s 127.0.0.0/8 -o bh-a -j MASQUERADE",
            ]
        );
    }

    #[test]
    fn docker_is_asked_about_its_own_bridges_where_it_has_chains() {
        let wanted = Wanted { networks: vec![network("bh-a", "10.1.0.0/24", Outside::Masqueraded)] };
        let docker = BTreeSet::from(["DOCKER", "DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2"]);

        let beside_docker = Rules::new(&wanted, Family::V4, &docker);
        let alone = Rules::new(&wanted, Family::V4, &BTreeSet::new());

        assert_eq!(
            chain(&beside_docker, OUT),
            [
                "-m conntrack --ctstate DNAT -j DOCKER",
                "-j DOCKER-ISOLATION-STAGE-1",
                "-j DOCKER-ISOLATION-STAGE-2",
                "-j ACCEPT",
            ]
        );
        assert_eq!(chain(&alone, OUT), ["-j ACCEPT"]);
        let asked = "-m conntrack --ctstate DNAT -j DOCKER-ISOLATION-STAGE-1".to_owned();
        assert!(chain(&beside_docker, FORWARD).contains(&asked));
        assert!(!chain(&alone, FORWARD).contains(&asked));
    }

    #[test]
    fn a_family_in_which_no_network_has_addresses_has_no_rules() {
        let wanted = Wanted { networks: vec![network("bh-a", "fd00::/64", Outside::Masqueraded)] };

        assert_eq!(Rules::new(&wanted, Family::V4, &BTreeSet::new()), Rules::default());
        let rules = Rules::new(&wanted, Family::V6, &BTreeSet::new());
        assert_eq!(chain(&rules, MASQUERADE), ["-s fd00::/64 ! -o bh-a -j MASQUERADE"]);
    }

    #[test]
    fn nothing_leads_into_a_closed_network() {
        let mut closed = network("bh-a", "10.1.0.0/24", Outside::Closed);
        closed.published = vec![tcp("0.0.0.0:80", "10.1.0.2:80")];

        let rules = Rules::new(&Wanted { networks: vec![closed] }, Family::V4, &BTreeSet::new());

        assert_eq!(chain(&rules, PUBLISH), [""; 0]);
        assert_eq!(chain(&rules, MASQUERADE), [""; 0]);
        assert_eq!(
            chain(&rules, FORWARD),
            ["-i bh-a -o bh-a -j ACCEPT", "-i bh-a -j DROP", "-o bh-a -j DROP"]
        );
    }
}
