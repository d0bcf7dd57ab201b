//! What is known of networks and endpoints, and what may become of them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;

use docker_plugin_sdk::driver::MacAddress;
use docker_plugin_sdk::network::{CreateNetwork, EndpointId, Interface, NetworkId, PoolData};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::failure::NetworkError;
use super::settings::{Mode, Settings};
use crate::driver::firewall::Published;
use crate::run::{Holding, HoldingKind};

/// A network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Network {
    /// Which.
    pub(super) id: NetworkId,
    /// What it is made like.
    pub(super) settings: Settings,
    /// Whether it has no way out.
    #[serde(default)]
    pub(super) internal: bool,
    /// Its ranges of addresses, IPv4 first.
    pub(super) ranges: Vec<Range>,
    /// The request that made it, where a script answers: it is asked the same again at each start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) request: Option<String>,
}

/// A range of addresses of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Range {
    /// The addresses.
    pub(super) pool: IpNet,
    /// Whom containers send what goes elsewhere; on a bridge that is the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) gateway: Option<IpNet>,
}

/// One stay of a container on a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Endpoint {
    /// On which network.
    pub(super) network: NetworkId,
    /// Which.
    pub(super) id: EndpointId,
    /// What the engine had decided of its addresses.
    pub(super) given: Interface,
    /// What we, or a script, have added.
    #[serde(default)]
    pub(super) added: Interface,
    /// The file of the container's network namespace, while it has joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sandbox: Option<PathBuf>,
    /// The ports that lead to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) published: Vec<Published>,
}

/// All that is known.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) networks: BTreeMap<NetworkId, Arc<Network>>,
    pub(super) endpoints: BTreeMap<EndpointKey, Endpoint>,
}

/// Which endpoint of which network.
pub(super) type EndpointKey = (NetworkId, EndpointId);

/// Whether something has been made before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It has not.
    New,
    /// It has, and just like that: the call comes again.
    Known,
}

impl Network {
    /// The network that the engine wants made.
    ///
    /// # Errors
    ///
    /// When it is not one that we can make.
    pub(super) fn asked(request: &CreateNetwork, raw: &[u8]) -> Result<Network, NetworkError> {
        let options = &request.options;
        let settings = Settings::read(&options.generic()?, options.enable_ipv6()?)?;
        let data = request.ipv4_data.iter().chain(&request.ipv6_data);
        let ranges = data.filter_map(Range::of).collect();
        let is_script = matches!(settings.mode, Mode::Script { .. });
        Ok(Network {
            id: request.network_id.clone(),
            settings,
            internal: options.internal()?,
            ranges,
            request: is_script.then(|| String::from_utf8_lossy(raw).into_owned()),
        })
    }

    /// The addresses that the host has on the network's bridge.
    pub(super) fn gateways(&self) -> impl Iterator<Item = IpNet> {
        self.ranges.iter().filter_map(|it| it.gateway)
    }

    /// Where a container with this address sends what goes elsewhere.
    pub(super) fn gateway_of(&self, address: IpAddr) -> Option<IpAddr> {
        let range = self.ranges.iter().find(|it| it.pool.contains(&address))?;
        range.gateway.map(|it| it.addr()).filter(|_| !self.internal)
    }

    /// The key by which it is held.
    fn key(&self) -> &str {
        self.id.as_str()
    }

    /// That it is held.
    pub(super) fn held(&self) -> Holding {
        Holding::of(HoldingKind::Network, self.key(), self)
    }

    /// That it is not held any more.
    pub(super) fn gone(&self) -> Holding {
        Holding::gone(HoldingKind::Network, self.key())
    }

    /// The script that answers for it.
    pub(super) fn script(&self) -> Option<&str> {
        match &self.settings.mode {
            Mode::Script { script } => Some(script),
            _ => None,
        }
    }

    /// The ranges that both networks have addresses of, if any.
    fn overlaps(&self, other: &Network) -> Option<(IpNet, IpNet)> {
        let pairs = self.ranges.iter().flat_map(|it| other.ranges.iter().map(|that| (it.pool, that.pool)));
        pairs.into_iter().find(|(a, b)| a.contains(b) || b.contains(a))
    }
}

impl Range {
    fn of(data: &PoolData) -> Option<Range> {
        Some(Range { pool: data.pool?.trunc(), gateway: data.gateway })
    }
}

impl Endpoint {
    /// The key by which it is known.
    pub(super) fn key(&self) -> EndpointKey {
        (self.network.clone(), self.id.clone())
    }

    /// That it is held.
    pub(super) fn held(&self) -> Holding {
        Holding::of(HoldingKind::Endpoint, &held_as(&self.network, &self.id), self)
    }

    /// That it is not held any more.
    pub(super) fn gone(&self) -> Holding {
        Holding::gone(HoldingKind::Endpoint, &held_as(&self.network, &self.id))
    }

    /// Its addresses, those that were given and those that were added.
    pub(super) fn interface(&self) -> Interface {
        let (given, added) = (self.given, self.added);
        Interface {
            address: given.address.or(added.address),
            address_ipv6: given.address_ipv6.or(added.address_ipv6),
            mac_address: given.mac_address.or(added.mac_address),
        }
    }

    /// Its IPv4 address.
    pub(super) fn ipv4(&self) -> Option<Ipv4Addr> {
        self.interface().address.map(|it| it.addr())
    }

    /// Its IPv6 address.
    pub(super) fn ipv6(&self) -> Option<Ipv6Addr> {
        self.interface().address_ipv6.map(|it| it.addr())
    }
}

fn held_as(network: &NetworkId, endpoint: &EndpointId) -> String {
    format!("{network}/{endpoint}")
}

/// The hardware address for an interface that has none: made of its address, so that a neighbour who
/// remembers it is right also when the container has come back (as in moby,
/// `daemon/libnetwork/netutils/utils.go`), or else of the endpoint's id.
pub(super) fn mac_for(endpoint: &EndpointId, interface: &Interface) -> MacAddress {
    if let Some(address) = interface.address {
        let [a, b, c, d] = address.addr().octets();
        return MacAddress([0x02, 0x42, a, b, c, d]);
    }
    let mut digest: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in endpoint.as_str().bytes() {
        // FNV-1a, 64 bits: the same on every host and in every version.
        digest = (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    let [a, b, c, d, ..] = digest.to_be_bytes();
    MacAddress([0x02, 0x43, a, b, c, d])
}

impl State {
    /// What was held when boathook ended, and the keys of what cannot be read.
    pub(super) fn restored<'a>(holdings: impl IntoIterator<Item = &'a Holding>) -> (State, Vec<String>) {
        let (mut state, mut unread) = (State::default(), Vec::new());
        for holding in holdings {
            let read = match holding.kind {
                HoldingKind::Network => holding.read::<Network>().map(|it| state.put_network(it)),
                HoldingKind::Endpoint => holding.read::<Endpoint>().map(|it| state.put_endpoint(it)),
                _ => continue,
            };
            if let Err(error) = read {
                unread.push(format!("{} {}: {error}", holding.kind.name(), holding.key));
            }
        }
        (state, unread)
    }

    /// Takes a network in, or puts it in the place of what was known of it.
    pub(super) fn put_network(&mut self, network: Network) {
        self.networks.insert(network.id.clone(), Arc::new(network));
    }

    /// Takes an endpoint in, or puts it in the place of what was known of it.
    pub(super) fn put_endpoint(&mut self, endpoint: Endpoint) {
        self.endpoints.insert(endpoint.key(), endpoint);
    }

    /// Whether `network` may be made.
    ///
    /// # Errors
    ///
    /// When there is another one of the same id, or one that it cannot be beside.
    pub(super) fn admit_network(&self, network: &Network) -> Result<Admission, NetworkError> {
        match self.networks.get(&network.id) {
            Some(known) if **known == *network => return Ok(Admission::Known),
            Some(_) => return Err(NetworkError::Other { network: network.id.clone() }),
            None => {}
        }
        let Mode::Bridge(bridge) = &network.settings.mode else { return Ok(Admission::New) };
        for known in self.networks.values() {
            let Mode::Bridge(theirs) = &known.settings.mode else { continue };
            if let Some(name) = bridge.name.as_ref().filter(|it| theirs.name.as_ref() == Some(*it)) {
                return Err(NetworkError::NameTaken { name: name.clone(), network: known.id.clone() });
            }
            if let Some((pool, theirs)) = network.overlaps(known) {
                return Err(NetworkError::Overlap { pool, theirs, network: known.id.clone() });
            }
        }
        Ok(Admission::New)
    }

    /// Whether an endpoint may be made.
    ///
    /// # Errors
    ///
    /// When there is another one of the same id.
    pub(super) fn admit_endpoint(&self, asked: &Endpoint) -> Result<Admission, NetworkError> {
        match self.endpoints.get(&asked.key()) {
            Some(known) if known.given == asked.given => Ok(Admission::Known),
            Some(_) => Err(NetworkError::OtherEndpoint { endpoint: asked.id.clone() }),
            None => Ok(Admission::New),
        }
    }

    /// The network.
    ///
    /// # Errors
    ///
    /// When it is not known.
    pub(super) fn network(&self, id: &NetworkId) -> Result<Arc<Network>, NetworkError> {
        self.networks.get(id).cloned().ok_or_else(|| NetworkError::Unknown { network: id.clone() })
    }

    /// The endpoint.
    ///
    /// # Errors
    ///
    /// When it is not known.
    pub(super) fn endpoint(&self, key: &EndpointKey) -> Result<Endpoint, NetworkError> {
        let unknown = || NetworkError::UnknownEndpoint { endpoint: key.1.clone() };
        self.endpoints.get(key).cloned().ok_or_else(unknown)
    }

    /// The endpoints of a network.
    pub(super) fn endpoints_of(&self, network: &NetworkId) -> impl Iterator<Item = &Endpoint> {
        self.endpoints.values().filter(move |it| it.network == *network)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use docker_plugin_sdk::driver::DriverOptions;

    use super::*;

    pub(in super::super) fn network(id: &str, pool: &str) -> Network {
        let pool: IpNet = pool.parse().expect("a subnet");
        let first = pool.hosts().next().expect("a host");
        Network {
            id: NetworkId::new(id).expect("an id"),
            settings: Settings::read(&DriverOptions::default(), false).expect("settings"),
            internal: false,
            ranges: vec![Range { pool, gateway: IpNet::new(first, pool.prefix_len()).ok() }],
            request: None,
        }
    }

    pub(in super::super) fn endpoint(network: &str, id: &str) -> Endpoint {
        Endpoint {
            network: NetworkId::new(network).expect("an id"),
            id: EndpointId::new(id).expect("an id"),
            given: Interface { address: "10.1.0.2/24".parse().ok(), ..Interface::default() },
            added: Interface::default(),
            sandbox: None,
            published: Vec::new(),
        }
    }

    fn named(id: &str, pool: &str, bridge: &str) -> Network {
        let options = [("bridge", bridge)].into_iter().collect();
        Network { settings: Settings::read(&options, false).expect("settings"), ..network(id, pool) }
    }

    #[test]
    fn the_same_network_twice_is_one_and_another_of_its_id_is_refused() {
        let mut state = State::default();
        let made = network("aa", "10.1.0.0/24");
        assert_eq!(state.admit_network(&made).unwrap(), Admission::New);
        state.put_network(made.clone());

        assert_eq!(state.admit_network(&made).unwrap(), Admission::Known);
        let other = network("aa", "10.2.0.0/24");
        assert!(matches!(state.admit_network(&other), Err(NetworkError::Other { .. })));
    }

    #[test]
    fn two_bridges_have_neither_a_name_nor_addresses_in_common() {
        let mut state = State::default();
        state.put_network(named("aa", "10.1.0.0/24", "lan"));

        let taken = state.admit_network(&named("bb", "10.2.0.0/24", "lan"));
        assert!(matches!(taken, Err(NetworkError::NameTaken { .. })));
        for inside in ["10.1.0.0/16", "10.1.0.128/25"] {
            let overlapping = state.admit_network(&network("bb", inside));
            assert!(matches!(overlapping, Err(NetworkError::Overlap { .. })), "{inside}");
        }
        assert_eq!(state.admit_network(&network("bb", "10.2.0.0/24")).unwrap(), Admission::New);
    }

    #[test]
    fn an_endpoint_is_known_by_the_addresses_that_were_given() {
        let mut state = State::default();
        let made = endpoint("aa", "e1");
        state.put_endpoint(Endpoint { sandbox: Some("/run/netns/x".into()), ..made.clone() });

        assert_eq!(state.admit_endpoint(&made).unwrap(), Admission::Known);
        let other = Endpoint { given: Interface::default(), ..made };
        assert!(matches!(state.admit_endpoint(&other), Err(NetworkError::OtherEndpoint { .. })));
        assert_eq!(state.admit_endpoint(&endpoint("aa", "e2")).unwrap(), Admission::New);
    }

    #[test]
    fn what_was_held_is_restored_and_what_cannot_be_read_is_told() {
        let (made, on) = (network("aa", "10.1.0.0/24"), endpoint("aa", "e1"));
        let odd = Holding::of(HoldingKind::Network, "cc", &"nonsense");
        let pool = Holding::of(HoldingKind::Pool, "dd", &"not ours");

        let (state, unread) = State::restored(&[made.held(), on.held(), odd, pool]);

        assert_eq!(*state.network(&made.id).unwrap(), made);
        assert_eq!(state.endpoint(&on.key()).unwrap(), on);
        assert!(unread.len() == 1 && unread[0].starts_with("network cc"), "{unread:?}");
    }

    #[test]
    fn a_container_is_routed_by_the_gateway_of_its_range_unless_there_is_no_way_out() {
        let open = network("aa", "10.1.0.0/24");
        let address = "10.1.0.2".parse().unwrap();
        assert_eq!(open.gateway_of(address), "10.1.0.1".parse().ok());
        assert_eq!(open.gateway_of("10.2.0.2".parse().unwrap()), None);
        let closed = Network { internal: true, ..open };
        assert_eq!(closed.gateway_of(address), None);
    }

    #[test]
    fn a_hardware_address_follows_the_address_or_else_the_endpoint() {
        let id = |text| EndpointId::new(text).unwrap();
        let with = Interface { address: "10.1.0.2/24".parse().ok(), ..Interface::default() };
        assert_eq!(mac_for(&id("e1"), &with).to_string(), "02:42:0a:01:00:02");

        let without = Interface::default();
        assert_eq!(mac_for(&id("e1"), &without), mac_for(&id("e1"), &without));
        assert_ne!(mac_for(&id("e1"), &without), mac_for(&id("e2"), &without));
    }
}
