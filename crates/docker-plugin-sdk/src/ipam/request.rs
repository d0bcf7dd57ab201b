//! What the engine asks of an address driver (`daemon/libnetwork/ipams/remote/api` in moby).

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;

use crate::driver::wire::{or_default, text_or_none};
use crate::driver::{DriverOptions, MacAddress, MacAddressError, arguments, check_not_empty, text_type};

text_type! {
    /// Which pool: whatever the driver called it in its answer to [`RequestPool`].
    PoolId, "pool id", check_not_empty
}

/// The option that says what an address is for.
const ADDRESS_TYPE: &str = "RequestAddressType";

/// The value of [`ADDRESS_TYPE`] for gateways.
const GATEWAY: &str = "com.docker.network.gateway";

/// The option that holds the hardware address of an endpoint, as text here.
const MAC_ADDRESS: &str = "com.docker.network.endpoint.macaddress";

/// The option that holds the name of the container, from engine 29 on.
const ENDPOINT_NAME: &str = "com.docker.network.endpoint.name";

/// A network needs a subnet.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RequestPool {
    /// One of the driver's [`AddressSpaces`](super::AddressSpaces).
    #[serde(default, deserialize_with = "or_default")]
    pub address_space: String,
    /// The subnet that is asked for, `None` for any.
    #[serde(default, deserialize_with = "text_or_none")]
    pub pool: Option<IpNet>,
    /// The part of it that addresses are to come from (`--ip-range`).
    #[serde(default, deserialize_with = "text_or_none")]
    pub sub_pool: Option<IpNet>,
    /// What the docker user gave with `--ipam-opt`.
    #[serde(default)]
    pub options: DriverOptions,
    /// Whether the pool is to be one of IPv6 addresses.
    #[serde(rename = "V6", default)]
    pub v6: bool,
}

/// A pool is given back.
#[derive(Debug, Clone, Deserialize)]
pub struct ReleasePool {
    /// The pool.
    #[serde(rename = "PoolID")]
    pub pool_id: PoolId,
}

/// A gateway, a container or something else needs an address.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RequestAddress {
    /// The pool.
    #[serde(rename = "PoolID")]
    pub pool_id: PoolId,
    /// The address that is asked for, `None` for any.
    #[serde(default, deserialize_with = "text_or_none")]
    pub address: Option<IpAddr>,
    /// What the address is for. None for auxiliary addresses and in a replay.
    #[serde(default)]
    pub options: DriverOptions,
}

impl RequestAddress {
    /// Whether the address is that of the network's gateway.
    pub fn is_gateway(&self) -> bool {
        self.options.get(ADDRESS_TYPE).is_some_and(|it| it == GATEWAY)
    }

    /// The hardware address of the endpoint that the address is for, if the driver's
    /// [`requires_mac_address`](super::Capabilities::requires_mac_address) says that it wants it.
    ///
    /// # Errors
    ///
    /// When it is no hardware address.
    pub fn mac_address(&self) -> Result<Option<MacAddress>, MacAddressError> {
        self.options.get(MAC_ADDRESS).map(|it| it.parse()).transpose()
    }

    /// The name of the container that the address is for. Engine 29 and later say it.
    pub fn endpoint_name(&self) -> Option<&str> {
        self.options.get(ENDPOINT_NAME).map(String::as_str)
    }
}

/// An address is given back.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReleaseAddress {
    /// The pool.
    #[serde(rename = "PoolID")]
    pub pool_id: PoolId,
    /// The address.
    pub address: IpAddr,
}

arguments! {
    ReleaseAddress: "/IpamDriver.ReleaseAddress",
    ReleasePool: "/IpamDriver.ReleasePool",
    RequestAddress: "/IpamDriver.RequestAddress",
    RequestPool: "/IpamDriver.RequestPool",
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> RequestAddress {
        let text = format!(r#"{{"PoolID":"p","Address":"","Options":{text}}}"#);
        serde_json::from_str(&text).expect("a request")
    }

    #[test]
    fn the_options_say_whom_an_address_is_for() {
        let gateway = options(r#"{"RequestAddressType":"com.docker.network.gateway"}"#);
        assert!(gateway.is_gateway());

        let endpoint = options(
            r#"{"com.docker.network.endpoint.macaddress":"02:11:22:33:44:55",
                "com.docker.network.endpoint.name":"web"}"#,
        );
        assert!(!endpoint.is_gateway());
        assert_eq!(endpoint.mac_address(), Ok(Some(MacAddress([2, 0x11, 0x22, 0x33, 0x44, 0x55]))));
        assert_eq!(endpoint.endpoint_name(), Some("web"));

        let nobody = options("null");
        assert_eq!(
            (nobody.is_gateway(), nobody.mac_address(), nobody.endpoint_name()),
            (false, Ok(None), None)
        );
    }
}
