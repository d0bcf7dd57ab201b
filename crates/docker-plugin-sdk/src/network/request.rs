//! What the engine asks of a network driver (`daemon/libnetwork/drivers/remote/api` in moby).

use std::collections::BTreeMap;
use std::path::PathBuf;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{EndpointOptions, NetworkOptions};
use crate::driver::wire::{or_default, text_or_none};
use crate::driver::{DriverOptions, MacAddress, arguments, check_id, text_type};

text_type! {
    /// Which network: 64 hexadecimal digits, or about 25 letters and digits for a network of a swarm.
    NetworkId, "network id", check_id
}

text_type! {
    /// Which stay of a container on a network: 64 hexadecimal digits.
    EndpointId, "endpoint id", check_id
}

/// Addresses of a network, as its IPAM driver has handed them out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PoolData {
    /// Opaque, from the IPAM driver.
    #[serde(default, deserialize_with = "or_default")]
    pub address_space: String,
    /// The subnet.
    #[serde(default, deserialize_with = "text_or_none")]
    pub pool: Option<IpNet>,
    /// The gateway's address with the length of the subnet's prefix. `None` if there is no gateway.
    #[serde(default, deserialize_with = "text_or_none")]
    pub gateway: Option<IpNet>,
    /// Addresses kept free, by the names of `--aux-address`.
    #[serde(default, deserialize_with = "or_default")]
    pub aux_addresses: BTreeMap<String, IpNet>,
}

/// A network is made.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateNetwork {
    /// The new network.
    #[serde(rename = "NetworkID")]
    pub network_id: NetworkId,
    /// What the docker user asked for. Labels are not passed.
    #[serde(default)]
    pub options: NetworkOptions,
    /// One for each IPv4 subnet.
    #[serde(rename = "IPv4Data", default, deserialize_with = "or_default")]
    pub ipv4_data: Vec<PoolData>,
    /// One for each IPv6 subnet. Empty without `--ipv6`.
    #[serde(rename = "IPv6Data", default, deserialize_with = "or_default")]
    pub ipv6_data: Vec<PoolData>,
}

/// A network is removed. Its addresses have been given back already.
#[derive(Debug, Clone, Deserialize)]
pub struct DeleteNetwork {
    /// The network.
    #[serde(rename = "NetworkID")]
    pub network_id: NetworkId,
}

/// A network is about to be made: does it need the usual gateway addresses?
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GwAllocCheck {
    /// What [`CreateNetwork`] will say.
    #[serde(default)]
    pub options: NetworkOptions,
}

/// A manager of a swarm makes a network for the whole cluster.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AllocateNetwork {
    /// The new network.
    #[serde(rename = "NetworkID")]
    pub network_id: NetworkId,
    /// What the docker user gave with `--opt`.
    #[serde(default)]
    pub options: DriverOptions,
    /// One for each IPv4 subnet.
    #[serde(rename = "IPv4Data", default, deserialize_with = "or_default")]
    pub ipv4_data: Vec<PoolData>,
    /// One for each IPv6 subnet.
    #[serde(rename = "IPv6Data", default, deserialize_with = "or_default")]
    pub ipv6_data: Vec<PoolData>,
}

/// A manager of a swarm removes a network of the whole cluster.
#[derive(Debug, Clone, Deserialize)]
pub struct FreeNetwork {
    /// The network.
    #[serde(rename = "NetworkID")]
    pub network_id: NetworkId,
}

/// The addresses of an endpoint. What is `None` is not decided yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Interface {
    /// The IPv4 address with the length of the subnet's prefix.
    #[serde(default, deserialize_with = "text_or_none", skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv4Net>,
    /// The IPv6 address with the length of the subnet's prefix.
    #[serde(
        rename = "AddressIPv6",
        default,
        deserialize_with = "text_or_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub address_ipv6: Option<Ipv6Net>,
    /// The hardware address. If it stays `None`, the interface keeps the one that it has.
    #[serde(default, deserialize_with = "text_or_none", skip_serializing_if = "Option::is_none")]
    pub mac_address: Option<MacAddress>,
}

/// A container is about to be on a network.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateEndpoint {
    /// The network.
    #[serde(rename = "NetworkID")]
    pub network_id: NetworkId,
    /// The new endpoint.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: EndpointId,
    /// The addresses that are decided.
    #[serde(default, deserialize_with = "or_default")]
    pub interface: Interface,
    /// Ports, the hardware address asked for, and the endpoint's own `driver-opt`s, which only this call has.
    #[serde(default)]
    pub options: EndpointOptions,
}

/// An endpoint is removed.
#[derive(Debug, Clone, Deserialize)]
pub struct DeleteEndpoint {
    /// The network.
    #[serde(rename = "NetworkID")]
    pub network_id: NetworkId,
    /// The endpoint.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: EndpointId,
}

/// What is there to know of an endpoint?
#[derive(Debug, Clone, Deserialize)]
pub struct EndpointOperInfo {
    /// The network.
    #[serde(rename = "NetworkID")]
    pub network_id: NetworkId,
    /// The endpoint.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: EndpointId,
}

/// An endpoint gets into its container.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Join {
    /// The network.
    #[serde(rename = "NetworkID")]
    pub network_id: NetworkId,
    /// The endpoint.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: EndpointId,
    /// The file of the container's network namespace. It does not exist yet when an engine before 28 starts
    /// a container.
    #[serde(default, deserialize_with = "or_default")]
    pub sandbox_key: PathBuf,
    /// The container's ports.
    #[serde(default)]
    pub options: EndpointOptions,
}

/// An endpoint leaves its container. The interface is still inside.
#[derive(Debug, Clone, Deserialize)]
pub struct Leave {
    /// The network.
    #[serde(rename = "NetworkID")]
    pub network_id: NetworkId,
    /// The endpoint.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: EndpointId,
}

/// An endpoint becomes the way out of its container, and in.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ProgramExternalConnectivity {
    /// The network.
    #[serde(rename = "NetworkID")]
    pub network_id: NetworkId,
    /// The endpoint.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: EndpointId,
    /// The container's ports.
    #[serde(default)]
    pub options: EndpointOptions,
}

/// An endpoint is no longer the way out.
#[derive(Debug, Clone, Deserialize)]
pub struct RevokeExternalConnectivity {
    /// The network.
    #[serde(rename = "NetworkID")]
    pub network_id: NetworkId,
    /// The endpoint.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: EndpointId,
}

/// A node of a swarm (`NodeDiscoveryData` in moby, `daemon/libnetwork/discoverapi/discoverapi.go`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Node {
    /// The address that the node is reached at.
    pub address: String,
    /// The address that the node listens on.
    pub bind_address: String,
    /// Whether it is the node that the driver runs on.
    #[serde(rename = "Self")]
    pub is_self: bool,
}

/// A node has joined the cluster.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DiscoverNew {
    /// 1 is a node, and no engine sends anything else to a driver.
    pub discovery_type: u32,
    /// What was discovered.
    #[serde(default, deserialize_with = "or_default")]
    pub discovery_data: Map<String, Value>,
}

/// A node has left the cluster.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DiscoverDelete {
    /// 1 is a node, and no engine sends anything else to a driver.
    pub discovery_type: u32,
    /// What was discovered.
    #[serde(default, deserialize_with = "or_default")]
    pub discovery_data: Map<String, Value>,
}

impl DiscoverNew {
    /// The node, if it is one.
    pub fn node(&self) -> Option<Node> {
        node(self.discovery_type, &self.discovery_data)
    }
}

impl DiscoverDelete {
    /// The node, if it is one.
    pub fn node(&self) -> Option<Node> {
        node(self.discovery_type, &self.discovery_data)
    }
}

fn node(discovery_type: u32, data: &Map<String, Value>) -> Option<Node> {
    (discovery_type == 1).then(|| Node::deserialize(data).ok()).flatten()
}

arguments! {
    AllocateNetwork: "/NetworkDriver.AllocateNetwork",
    CreateEndpoint: "/NetworkDriver.CreateEndpoint",
    CreateNetwork: "/NetworkDriver.CreateNetwork",
    DeleteEndpoint: "/NetworkDriver.DeleteEndpoint",
    DeleteNetwork: "/NetworkDriver.DeleteNetwork",
    DiscoverDelete: "/NetworkDriver.DiscoverDelete",
    DiscoverNew: "/NetworkDriver.DiscoverNew",
    EndpointOperInfo: "/NetworkDriver.EndpointOperInfo",
    FreeNetwork: "/NetworkDriver.FreeNetwork",
    GwAllocCheck: "/NetworkDriver.GwAllocCheck",
    Join: "/NetworkDriver.Join",
    Leave: "/NetworkDriver.Leave",
    ProgramExternalConnectivity: "/NetworkDriver.ProgramExternalConnectivity",
    RevokeExternalConnectivity: "/NetworkDriver.RevokeExternalConnectivity",
}
