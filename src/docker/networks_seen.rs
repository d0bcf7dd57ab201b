//! Which subnets the engine's networks have, and which of their addresses are somebody's.

use std::collections::HashMap;
use std::net::IpAddr;

use bollard::models::{Ipam, IpamConfig, Network, NetworkInspect};
use bollard::query_parameters::ListNetworksOptions;
use ipnet::IpNet;

use super::{Docker, DockerError, LOOK_LIMIT, within};

/// A network, as far as addresses are concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkAddresses {
    /// Its id.
    pub id: String,
    /// The IPAM driver that its addresses are of.
    pub driver: String,
    /// Its subnets.
    pub subnets: Vec<IpNet>,
    /// Those of its gateways, its auxiliary addresses and its containers. A list of all networks has none
    /// of containers.
    pub addresses: Vec<IpAddr>,
}

impl Docker {
    /// Every network, without the addresses of its containers.
    ///
    /// # Errors
    ///
    /// When the engine does not answer in time.
    pub async fn network_addresses(&self) -> Result<Vec<NetworkAddresses>, DockerError> {
        let listed = within(LOOK_LIMIT, self.client.list_networks(None::<ListNetworksOptions>)).await?;
        Ok(listed.into_iter().filter_map(|Network { id, ipam, .. }| addresses(id, ipam)).collect())
    }

    /// A network with the addresses of its containers, by id, name or prefix of the id. `None`: there is none.
    ///
    /// An endpoint is there from when its driver has made it until its deletion begins (`buildNetworkResource`
    /// in moby, `daemon/network.go`).
    ///
    /// # Errors
    ///
    /// When the engine does not answer in time.
    pub async fn addresses_of(&self, target: &str) -> Result<Option<NetworkAddresses>, DockerError> {
        Ok(self.inspect_network(LOOK_LIMIT, target).await?.and_then(inspected))
    }
}

fn inspected(network: NetworkInspect) -> Option<NetworkAddresses> {
    let mut found = addresses(network.id, network.ipam)?;
    for endpoint in network.containers.unwrap_or_default().into_values() {
        let given = [endpoint.ipv4_address, endpoint.ipv6_address].into_iter().flatten();
        found.addresses.extend(given.filter_map(|it| address(&it)));
    }
    Some(found)
}

fn addresses(id: Option<String>, ipam: Option<Ipam>) -> Option<NetworkAddresses> {
    let ipam = ipam.unwrap_or_default();
    let driver = ipam.driver.unwrap_or_default();
    let mut found = NetworkAddresses { id: id?, driver, ..NetworkAddresses::default() };
    for IpamConfig { subnet, gateway, auxiliary_addresses, .. } in ipam.config.unwrap_or_default() {
        // What the docker user wrote is told as he wrote it: `10.1.2.3/16`.
        found.subnets.extend(subnet.and_then(|it| it.parse::<IpNet>().ok()).map(|it| it.trunc()));
        let auxiliary = auxiliary_addresses.unwrap_or_else(HashMap::new).into_values();
        found.addresses.extend(auxiliary.chain(gateway).filter_map(|it| address(&it)));
    }
    Some(found)
}

/// An address, with or without the length of a prefix.
fn address(text: &str) -> Option<IpAddr> {
    text.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::inspected;

    #[test]
    fn whose_addresses_are_whose_is_read_from_an_inspect() {
        let network = json!({
            "Name": "n", "Id": "n1", "Driver": "bridge",
            "IPAM": {"Driver": "boathook", "Options": {}, "Config": [
                {"Subnet": "10.1.2.3/16", "Gateway": "10.1.0.1", "AuxiliaryAddresses": {"printer": "10.1.0.9"}},
                {"Subnet": "fd00::/64", "Gateway": "fd00::1/64"}]},
            "Containers": {
                "c1": {"Name": "web", "EndpointID": "e1", "IPv4Address": "10.1.0.2/16", "IPv6Address": ""},
                "ep-e2": {"EndpointID": "e2", "IPv4Address": "10.1.0.3/16", "IPv6Address": "fd00::3/64"}},
        });

        let mut found = inspected(serde_json::from_value(network).expect("a network")).expect("it has an id");

        found.addresses.sort();
        assert_eq!((&*found.id, &*found.driver), ("n1", "boathook"));
        assert_eq!(
            found.subnets.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["10.1.0.0/16", "fd00::/64"]
        );
        let addresses: Vec<_> = found.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.9", "fd00::1", "fd00::3"]);
    }

    #[test]
    fn a_network_without_addresses_has_none() {
        let host = json!({"Name": "host", "Id": "h", "IPAM": {"Driver": "default", "Config": null}});

        let found = inspected(serde_json::from_value(host).expect("a network")).expect("it has an id");

        assert_eq!((found.subnets.len(), found.addresses.len()), (0, 0));
    }
}
