//! Which links and which rules there shall be.

use std::collections::BTreeSet;

use docker_plugin_sdk::network::{EndpointId, NetworkId};

use super::settings::Mode;
use super::state::{Endpoint, Network, State};
use crate::driver::firewall::{Network as Ruled, Outside, Subnet, Wanted};
use crate::driver::link::{Kind, Link, LinkName, Spec};

/// How much of an id goes into a name: what is left of 15 bytes. Ids are random, and the engine shows its own
/// users no more of them.
const ID_BYTES: usize = 12;

/// What the names of bridges begin with that nobody has named.
const BRIDGE: &str = "bh-";

/// What the name of a pair's end begins with that stays on the host.
const HOST_END: &str = "bhv";

/// What the name of a link begins with that goes into a container.
const CONTAINER_END: &str = "bhc";

/// Whose links they are: there may be several boathooks on a host, with sockets of different names.
#[derive(Clone, Debug)]
pub(super) struct Owner(pub(super) String);

impl Owner {
    fn alias(&self, what: &str, id: &str) -> String {
        format!("boathook/{} {what} {id}", self.0)
    }

    /// Whether a link is one of ours: it says so, or it has a name that only we give and nobody's alias, as
    /// between two steps of making it.
    pub(super) fn owns(&self, link: &Link) -> bool {
        match &link.alias {
            Some(alias) => alias
                .strip_prefix("boathook/")
                .is_some_and(|it| it.strip_prefix(&self.0).is_some_and(|it| it.starts_with(' '))),
            None => [BRIDGE, HOST_END, CONTAINER_END].iter().any(|it| {
                link.name
                    .strip_prefix(it)
                    .is_some_and(|it| it.len() == ID_BYTES && it.bytes().all(|it| it.is_ascii_alphanumeric()))
            }),
        }
    }

    /// The bridge of a network that has one.
    pub(super) fn bridge(&self, network: &Network) -> Option<Spec> {
        Some(Spec {
            name: bridge_name(network)?,
            made_as: named(BRIDGE, network.id.as_str()),
            alias: self.alias("network", network.id.as_str()),
            mtu: network.settings.mtu,
            mac: Some(bridge_mac(&network.id)),
            kind: Kind::Bridge { addresses: network.gateways().collect() },
        })
    }

    /// The link of an endpoint, unless a script makes it.
    pub(super) fn link(&self, network: &Network, endpoint: &Endpoint) -> Option<Spec> {
        let id = endpoint.id.as_str();
        let inside = named(CONTAINER_END, id);
        let (name, kind) = match &network.settings.mode {
            Mode::Bridge(_) => {
                let bridge = bridge_name(network)?;
                // Not everybody's: what a container calls out to all would come back to itself.
                let reflects = !endpoint.published.is_empty();
                (named(HOST_END, id), Kind::Pair { peer: inside, bridge, reflects })
            }
            Mode::Macvlan { parent, mode } => (inside, Kind::Macvlan { parent: parent.clone(), mode: *mode }),
            Mode::Ipvlan { parent, mode } => (inside, Kind::Ipvlan { parent: parent.clone(), mode: *mode }),
            Mode::Script { .. } => return None,
        };
        let mac = endpoint.interface().mac_address.map(|it| it.0);
        let alias = self.alias("endpoint", id);
        Some(Spec { made_as: name.clone(), name, alias, mtu: network.settings.mtu, mac, kind })
    }
}

/// The name of a network's bridge, if it has one.
pub(super) fn bridge_name(network: &Network) -> Option<LinkName> {
    match &network.settings.mode {
        Mode::Bridge(bridge) => {
            Some(bridge.name.clone().unwrap_or_else(|| named(BRIDGE, network.id.as_str())))
        }
        _ => None,
    }
}

/// The link that the engine moves into the container.
pub(super) fn container_end(endpoint: &EndpointId) -> LinkName {
    named(CONTAINER_END, endpoint.as_str())
}

/// The end of the pair that stays on the host.
pub(super) fn host_end(endpoint: &EndpointId) -> LinkName {
    named(HOST_END, endpoint.as_str())
}

fn named(prefix: &str, id: &str) -> LinkName {
    let name = format!("{prefix}{}", &id[..id.len().min(ID_BYTES)]);
    name.parse().expect("ids are letters and digits")
}

/// An address that the bridge keeps whatever ports come and go, the same each time it is made.
fn bridge_mac(id: &NetworkId) -> [u8; 6] {
    let mut mac: [u8; 6] = [0x02, 0x62, 0, 0, 0, 0];
    for (nth, byte) in id.as_str().bytes().enumerate() {
        let place = 2 + nth % 4;
        mac[place] = mac[place].rotate_left(3) ^ byte;
    }
    mac
}

/// The names of all links that somebody still needs.
fn needed(state: &State) -> BTreeSet<LinkName> {
    let bridges = state
        .networks
        .values()
        .flat_map(|it| bridge_name(it).into_iter().flat_map(|name| [name, named(BRIDGE, it.id.as_str())]));
    let ends = state.endpoints.values().flat_map(|it| [host_end(&it.id), container_end(&it.id)]);
    bridges.chain(ends).collect()
}

/// Those of `links` that are ours, and that nobody needs any more.
pub(super) fn leftovers(links: Vec<Link>, state: &State, owner: &Owner) -> Vec<Link> {
    let needed = needed(state);
    let is_needed = |it: &Link| needed.iter().any(|name| name.as_str() == it.name);
    links.into_iter().filter(|it| owner.owns(it) && !is_needed(it)).collect()
}

/// The rules that there shall be.
pub(super) fn rules(state: &State) -> Wanted {
    Wanted { networks: state.networks.values().filter_map(|it| ruled(state, it)).collect() }
}

fn ruled(state: &State, network: &Network) -> Option<Ruled> {
    let Mode::Bridge(bridge) = &network.settings.mode else { return None };
    let outside = match (network.internal, bridge.masquerade) {
        (true, _) => Outside::Closed,
        (false, true) => Outside::Masqueraded,
        (false, false) => Outside::Routed,
    };
    Some(Ruled {
        bridge: bridge_name(network)?.as_str().parse().ok()?,
        subnets: network
            .ranges
            .iter()
            .filter_map(|it| Subnet::around(it.pool.addr(), it.pool.prefix_len()))
            .collect(),
        outside,
        published: state.endpoints_of(&network.id).flat_map(|it| it.published.clone()).collect(),
    })
}
