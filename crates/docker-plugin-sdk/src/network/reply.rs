//! What a network driver answers. All of it can be read as well, for drivers that let others answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Interface;
use crate::driver::wire::{is_default, or_default, text_or_none};
use crate::driver::{DriverOptions, Scope};

/// What the engine is told about a driver before it calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Capabilities {
    /// Whether its networks belong to one host or to a cluster. Outside of a swarm there is no difference.
    pub scope: Scope,
    /// How far containers reach each other on its networks. As far as `scope` if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connectivity_scope: Option<Scope>,
    /// Whether engine 28 and later should ask [`gw_alloc_check`](super::NetworkDriver::gw_alloc_check).
    #[serde(skip_serializing_if = "is_default")]
    pub gw_alloc_checker: bool,
}

/// Which gateway addresses a network does without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SkippedGateways {
    /// No gateway address is to be taken from the IPv4 pool.
    #[serde(rename = "SkipIPv4")]
    pub ipv4: bool,
    /// None from the IPv6 pool.
    #[serde(rename = "SkipIPv6")]
    pub ipv6: bool,
}

/// What was allotted to a network of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AllocatedNetwork {
    /// Options that each node gets in its `CreateNetwork`.
    pub options: DriverOptions,
}

/// What a driver adds to a new endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreatedEndpoint {
    /// Addresses that the request left open. `None` and all of them `None` are the same: nothing is added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<Interface>,
}

impl CreatedEndpoint {
    /// Without what `given` has as well: the engine undoes an endpoint whose driver sets what is set, even to
    /// the same (`SetMacAddress` in moby, `daemon/libnetwork/endpoint_info.go`). Another value than the given
    /// one stays, for the engine to object to and to roll back.
    pub(super) fn without(self, given: &Interface) -> CreatedEndpoint {
        let new = |it: Interface| Interface {
            address: it.address.filter(|_| it.address != given.address),
            address_ipv6: it.address_ipv6.filter(|_| it.address_ipv6 != given.address_ipv6),
            mac_address: it.mac_address.filter(|_| it.mac_address != given.mac_address),
        };
        CreatedEndpoint { interface: self.interface.map(new) }
    }
}

/// What a driver knows of an endpoint, for `docker network inspect` and the like: free in form.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EndpointInfo {
    /// Names and values.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Map::is_empty")]
    pub value: Map<String, Value>,
}

/// How an endpoint gets into its container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Joined {
    /// The interface that the engine moves into the container. `None` moves none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface_name: Option<InterfaceName>,
    /// The default route for IPv4.
    #[serde(deserialize_with = "text_or_none", skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Ipv4Addr>,
    /// The default route for IPv6.
    #[serde(
        rename = "GatewayIPv6",
        deserialize_with = "text_or_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub gateway_ipv6: Option<Ipv6Addr>,
    /// Further routes in the container.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub static_routes: Vec<StaticRoute>,
    /// Without a gateway and without this, the engine puts the container on a network `docker_gwbridge` as
    /// well, so that it has a way out after all. Only an internal network is spared that.
    #[serde(skip_serializing_if = "is_default")]
    pub disable_gateway_service: bool,
}

/// The interface of an endpoint, outside of the container and inside.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InterfaceName {
    /// The name of a link in the engine's own network namespace. The engine moves it, renames it, sets its
    /// addresses and brings it up; at the end it moves it back under this name.
    pub src_name: String,
    /// The beginning of its name in the container: `eth` becomes `eth0` if that is free.
    pub dst_prefix: String,
    /// The whole name in the container. Read by no engine so far.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub dst_name: String,
}

/// A route in the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenRoute", into = "WrittenRoute")]
pub struct StaticRoute {
    /// Where it leads. `0.0.0.0/0` is a default route.
    pub destination: IpNet,
    /// How it gets there.
    pub via: Via,
}

/// The next step of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Another host.
    NextHop(IpAddr),
    /// The link itself.
    Connected,
}

/// A route on the wire (`StaticRoute` in moby, `daemon/libnetwork/types/types.go`).
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WrittenRoute {
    destination: IpNet,
    #[serde(default)]
    route_type: u8,
    #[serde(default, deserialize_with = "text_or_none", skip_serializing_if = "Option::is_none")]
    next_hop: Option<IpAddr>,
}

const NEXT_HOP: u8 = 0;
const CONNECTED: u8 = 1;

impl From<StaticRoute> for WrittenRoute {
    fn from(route: StaticRoute) -> WrittenRoute {
        let (route_type, next_hop) = match route.via {
            Via::NextHop(address) => (NEXT_HOP, Some(address)),
            Via::Connected => (CONNECTED, None),
        };
        WrittenRoute { destination: route.destination, route_type, next_hop }
    }
}

impl TryFrom<WrittenRoute> for StaticRoute {
    type Error = &'static str;

    fn try_from(written: WrittenRoute) -> Result<StaticRoute, &'static str> {
        let via = match (written.route_type, written.next_hop) {
            (NEXT_HOP, Some(address)) => Via::NextHop(address),
            (NEXT_HOP, None) => return Err("a route of type 0 needs a `NextHop`"),
            (CONNECTED, None) => Via::Connected,
            (CONNECTED, Some(_)) => return Err("a route of type 1 has no `NextHop`"),
            _ => return Err("the type of a route is 0, with a next hop, or 1, without"),
        };
        Ok(StaticRoute { destination: written.destination, via })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_address_that_was_given_is_not_returned() {
        let given = Interface {
            address: Some("10.0.0.2/24".parse().expect("an address")),
            address_ipv6: None,
            mac_address: Some("02:00:00:00:00:01".parse().expect("an address")),
        };
        let own = Interface {
            address_ipv6: Some("fd00::2/64".parse().expect("an address")),
            mac_address: Some("02:00:00:00:00:02".parse().expect("an address")),
            ..given
        };

        let reply = CreatedEndpoint { interface: Some(own) }.without(&given);

        let expected = json!({"Interface": {"AddressIPv6": "fd00::2/64", "MacAddress": "02:00:00:00:00:02"}});
        assert_eq!(serde_json::to_value(reply).expect("JSON"), expected);
        assert_eq!(CreatedEndpoint::default().without(&given), CreatedEndpoint::default());
    }

    #[test]
    fn a_driver_says_little_unless_it_has_to() {
        assert_eq!(json!(Capabilities::default()), json!({"Scope": "local"}));
        assert_eq!(json!(Joined::default()), json!({}));
        assert_eq!(json!(EndpointInfo::default()), json!({}));
        assert_eq!(json!(CreatedEndpoint::default()), json!({}));
        assert_eq!(json!(SkippedGateways::default()), json!({"SkipIPv4": false, "SkipIPv6": false}));
        assert_eq!(json!(AllocatedNetwork::default()), json!({"Options": {}}));
    }

    #[test]
    fn a_whole_join_is_read_as_it_is_written() {
        let written = json!({
            "InterfaceName": {"SrcName": "veth1", "DstPrefix": "eth"},
            "Gateway": "10.0.0.1", "GatewayIPv6": "fd00::1",
            "StaticRoutes": [
                {"Destination": "10.1.0.0/16", "RouteType": 0, "NextHop": "10.0.0.9"},
                {"Destination": "10.2.0.0/16", "RouteType": 1},
            ],
            "DisableGatewayService": true,
        });
        let joined: Joined = serde_json::from_value(written.clone()).expect("a join");
        assert_eq!(joined.static_routes[1].via, Via::Connected);
        assert_eq!(json!(joined), written);
    }

    #[test]
    fn a_route_of_no_kind_is_refused() {
        for route in [
            json!({"Destination": "10.1.0.0/16"}),
            json!({"Destination": "10.1.0.0/16", "RouteType": 1, "NextHop": "10.0.0.9"}),
            json!({"Destination": "10.1.0.0/16", "RouteType": 2}),
            json!({"RouteType": 1}),
        ] {
            assert!(serde_json::from_value::<StaticRoute>(route.clone()).is_err(), "{route}");
        }
    }
}
