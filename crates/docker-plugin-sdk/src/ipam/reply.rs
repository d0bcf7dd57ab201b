//! What an address driver answers. All of it can be read as well, for drivers that let others answer.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::PoolId;
use crate::driver::wire::or_default;

/// What the engine is told about a driver before it calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Capabilities {
    /// Whether requests for a container's address have to say the hardware address, which the engine then
    /// makes up beforehand.
    #[serde(rename = "RequiresMACAddress")]
    pub requires_mac_address: bool,
    /// Whether the engine, when it starts, is to ask again for all pools and addresses that it holds. Without
    /// it the driver's own memory is all there is.
    #[serde(rename = "RequiresRequestReplay")]
    pub requires_request_replay: bool,
}

/// The names under which an engine asks for pools. It compares and repeats them, no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AddressSpaces {
    /// For networks of one host. Not empty.
    #[serde(rename = "LocalDefaultAddressSpace")]
    pub local: String,
    /// For networks of a cluster. Not empty.
    #[serde(rename = "GlobalDefaultAddressSpace")]
    pub global: String,
}

/// `local` and `global`.
impl Default for AddressSpaces {
    fn default() -> AddressSpaces {
        AddressSpaces { local: "local".into(), global: "global".into() }
    }
}

/// A pool that was reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenPool", into = "WrittenPool")]
pub struct Pool {
    /// How the engine will speak of it.
    pub id: PoolId,
    /// The subnet.
    pub pool: IpNet,
    /// The gateway's address with the length of the subnet's prefix, if the driver chooses it here: the engine
    /// then does not ask for it, but gives it back in the end.
    pub gateway: Option<IpNet>,
    /// Further names and values.
    pub data: BTreeMap<String, String>,
}

impl Pool {
    /// A pool with no more to it.
    pub fn new(id: PoolId, pool: IpNet) -> Pool {
        Pool { id, pool, gateway: None, data: BTreeMap::new() }
    }
}

/// An address that was reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AllottedAddress {
    /// The address with the length of the subnet's prefix.
    pub address: IpNet,
    /// Further names and values.
    #[serde(default, deserialize_with = "or_default")]
    pub data: BTreeMap<String, String>,
}

impl AllottedAddress {
    /// An address with no more to it.
    pub fn new(address: IpNet) -> AllottedAddress {
        AllottedAddress { address, data: BTreeMap::new() }
    }
}

/// The name in `Data` under which the engine looks for a gateway (`Gateway` in moby,
/// `daemon/libnetwork/netlabel/labels.go`).
const GATEWAY: &str = "com.docker.network.gateway";

/// A pool on the wire.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WrittenPool {
    #[serde(rename = "PoolID")]
    id: PoolId,
    pool: IpNet,
    #[serde(default, deserialize_with = "or_default")]
    data: BTreeMap<String, String>,
}

impl From<Pool> for WrittenPool {
    fn from(pool: Pool) -> WrittenPool {
        let mut data = pool.data;
        data.extend(pool.gateway.map(|it| (GATEWAY.to_owned(), it.to_string())));
        WrittenPool { id: pool.id, pool: pool.pool, data }
    }
}

impl TryFrom<WrittenPool> for Pool {
    type Error = ipnet::AddrParseError;

    fn try_from(written: WrittenPool) -> Result<Pool, ipnet::AddrParseError> {
        let mut data = written.data;
        let gateway = data.remove(GATEWAY).map(|it| it.parse()).transpose()?;
        Ok(Pool { id: written.id, pool: written.pool, gateway, data })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_gateway_is_chosen_among_the_data() {
        let written = json!({
            "PoolID": "p", "Pool": "10.0.0.0/24",
            "Data": {"a": "b", "com.docker.network.gateway": "10.0.0.254/24"},
        });
        let pool: Pool = serde_json::from_value(written.clone()).expect("a pool");
        assert_eq!(pool.gateway, Some("10.0.0.254/24".parse().expect("an address")));
        assert_eq!(pool.data.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(json!(pool), written);
    }

    #[test]
    fn capabilities_are_spelled_as_docker_does() {
        let all = Capabilities { requires_mac_address: true, requires_request_replay: true };
        assert_eq!(json!(all), json!({"RequiresMACAddress": true, "RequiresRequestReplay": true}));
        let spaces = json!({"LocalDefaultAddressSpace": "local", "GlobalDefaultAddressSpace": "global"});
        assert_eq!(json!(AddressSpaces::default()), spaces);
    }
}
