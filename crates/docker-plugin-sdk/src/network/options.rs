//! Options of networks and endpoints: known keys typed, all of them as they came.

use std::fmt;
use std::net::IpAddr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::driver::wire::{or_default, text_or_none};
use crate::driver::{DriverOptions, MacAddress};

/// The option that holds what a docker user gave with `--opt`. In older engines' `Join` it has other content,
/// about links between containers.
pub const GENERIC_OPTION: &str = "com.docker.network.generic";

const ENABLE_IPV4: &str = "com.docker.network.enable_ipv4";
const ENABLE_IPV6: &str = "com.docker.network.enable_ipv6";
const INTERNAL: &str = "com.docker.network.internal";
const EXPOSED_PORTS: &str = "com.docker.network.endpoint.exposedports";
const PORT_MAP: &str = "com.docker.network.portmap";
const MAC_ADDRESS: &str = "com.docker.network.endpoint.macaddress";
const SYSCTLS: &str = "com.docker.network.endpoint.sysctls";
const IF_NAME: &str = "com.docker.network.endpoint.ifname";
const NO_PROXY_6TO4: &str = "com.docker.network.driver.private.no_proxy_6to4";

/// An option whose value is not what its name promises.
///
/// Found when the option is asked for: engines put in the same object what docker users wrote, and an option
/// that a driver does not look at must not make its calls fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the option `{key}` is not {expected}")]
pub struct OptionError {
    /// The option's name.
    pub key: &'static str,
    /// What it should have been: `true or false`.
    pub expected: &'static str,
}

/// The options of a network.
#[derive(Clone, PartialEq, Default, Serialize)]
#[serde(transparent)]
pub struct NetworkOptions(Map<String, Value>);

impl NetworkOptions {
    /// What the docker user gave with `--opt`.
    ///
    /// # Errors
    ///
    /// When it is not an object of texts.
    pub fn generic(&self) -> Result<DriverOptions, OptionError> {
        Ok(read(&self.0, GENERIC_OPTION, "an object of texts")?.unwrap_or_default())
    }

    /// Whether the network has IPv4. Engines before 28 do not say, and always have it.
    ///
    /// # Errors
    ///
    /// When it is neither `true` nor `false`.
    pub fn enable_ipv4(&self) -> Result<bool, OptionError> {
        Ok(flag(&self.0, ENABLE_IPV4)?.unwrap_or(true))
    }

    /// Whether the network has IPv6.
    ///
    /// # Errors
    ///
    /// When it is neither `true` nor `false`.
    pub fn enable_ipv6(&self) -> Result<bool, OptionError> {
        Ok(flag(&self.0, ENABLE_IPV6)?.unwrap_or(false))
    }

    /// Whether the network has no way out (`--internal`).
    ///
    /// # Errors
    ///
    /// When it is neither `true` nor `false`.
    pub fn internal(&self) -> Result<bool, OptionError> {
        Ok(flag(&self.0, INTERNAL)?.unwrap_or(false))
    }

    /// All options as they came.
    pub fn raw(&self) -> &Map<String, Value> {
        &self.0
    }
}

/// The options of an endpoint.
#[derive(Clone, PartialEq, Default, Serialize)]
#[serde(transparent)]
pub struct EndpointOptions(Map<String, Value>);

impl EndpointOptions {
    /// The ports that the container exposes. None for `CreateEndpoint` on an internal network.
    ///
    /// # Errors
    ///
    /// When they are not a list of ports.
    pub fn exposed_ports(&self) -> Result<Vec<TransportPort>, OptionError> {
        Ok(read(&self.0, EXPOSED_PORTS, "a list of ports")?.unwrap_or_default())
    }

    /// The ports that the container publishes (`-p`).
    ///
    /// # Errors
    ///
    /// When they are not a list of bindings.
    pub fn port_map(&self) -> Result<Vec<PortBinding>, OptionError> {
        Ok(read(&self.0, PORT_MAP, "a list of port bindings")?.unwrap_or_default())
    }

    /// The hardware address that was asked for with `--mac-address`. Only in `CreateEndpoint`, whose
    /// [`Interface`](super::Interface) has it, too.
    ///
    /// # Errors
    ///
    /// When it is not six bytes in base64.
    pub fn mac_address(&self) -> Result<Option<MacAddress>, OptionError> {
        let expected = "six bytes in base64";
        let text: Option<String> = read(&self.0, MAC_ADDRESS, expected)?;
        let address = text.map(|it| MacAddress::from_base64(&it)).transpose();
        address.map_err(|_| OptionError { key: MAC_ADDRESS, expected })
    }

    /// Kernel parameters for the interface, `NAME=VALUE` with commas between them. `IFNAME` in a name stands
    /// for the interface's.
    ///
    /// # Errors
    ///
    /// When it is not text.
    pub fn sysctls(&self) -> Result<Option<String>, OptionError> {
        read(&self.0, SYSCTLS, "a text")
    }

    /// The name that the interface should have in the container.
    ///
    /// # Errors
    ///
    /// When it is not text.
    pub fn if_name(&self) -> Result<Option<String>, OptionError> {
        read(&self.0, IF_NAME, "a text")
    }

    /// Whether IPv6 of the host must not lead to IPv4 of the container, because another endpoint is the
    /// container's way out for IPv6. Engine 28 says it, in `ProgramExternalConnectivity`.
    ///
    /// # Errors
    ///
    /// When it is neither `true` nor `false`.
    pub fn no_proxy_6to4(&self) -> Result<bool, OptionError> {
        Ok(flag(&self.0, NO_PROXY_6TO4)?.unwrap_or(false))
    }

    /// All options as they came. Those of the endpoint itself (`driver-opt` of `--network`) are at the top,
    /// between the engine's.
    pub fn raw(&self) -> &Map<String, Value> {
        &self.0
    }
}

/// A protocol above IP, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "u8", into = "u8")]
pub enum Protocol {
    /// 6.
    Tcp,
    /// 17.
    Udp,
    /// 132.
    Sctp,
    /// A number that no engine uses yet.
    Other(u8),
}

impl From<u8> for Protocol {
    fn from(number: u8) -> Protocol {
        match number {
            6 => Protocol::Tcp,
            17 => Protocol::Udp,
            132 => Protocol::Sctp,
            other => Protocol::Other(other),
        }
    }
}

impl From<Protocol> for u8 {
    fn from(protocol: Protocol) -> u8 {
        match protocol {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Sctp => 132,
            Protocol::Other(number) => number,
        }
    }
}

/// A port of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TransportPort {
    /// `Proto`.
    #[serde(rename = "Proto")]
    pub protocol: Protocol,
    /// The port's number.
    pub port: u16,
}

/// A port of a container, published on the host (`PortBinding` in moby, `daemon/libnetwork/types/types.go`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PortBinding {
    /// `Proto`.
    #[serde(rename = "Proto")]
    pub protocol: Protocol,
    /// `IP`: the container's address, which engines leave open here.
    #[serde(rename = "IP", default, deserialize_with = "text_or_none")]
    pub container_ip: Option<IpAddr>,
    /// `Port`: the container's port.
    #[serde(rename = "Port")]
    pub container_port: u16,
    /// `HostIP`: the address to publish on; all of them if `None`.
    #[serde(rename = "HostIP", default, deserialize_with = "text_or_none")]
    pub host_ip: Option<IpAddr>,
    /// The first port of the host that will do. 0 for any.
    #[serde(default)]
    pub host_port: u16,
    /// The last port of the host that will do.
    #[serde(default)]
    pub host_port_end: u16,
}

/// The value of a known option, or `None` if it is absent or `null`.
fn read<T: DeserializeOwned>(
    options: &Map<String, Value>,
    key: &'static str,
    expected: &'static str,
) -> Result<Option<T>, OptionError> {
    let value = options.get(key).map(Option::<T>::deserialize).transpose();
    value.map(Option::flatten).map_err(|_| OptionError { key, expected })
}

fn flag(options: &Map<String, Value>, key: &'static str) -> Result<Option<bool>, OptionError> {
    read(options, key, "true or false")
}

impl<'de> Deserialize<'de> for NetworkOptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<NetworkOptions, D::Error> {
        or_default(deserializer).map(NetworkOptions)
    }
}

impl<'de> Deserialize<'de> for EndpointOptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<EndpointOptions, D::Error> {
        or_default(deserializer).map(EndpointOptions)
    }
}

/// The names only: values may be credentials.
impl fmt::Debug for NetworkOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The names only: values may be credentials.
impl fmt::Debug for EndpointOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> NetworkOptions {
        serde_json::from_str(text).expect("the test writes options")
    }

    fn endpoint(text: &str) -> EndpointOptions {
        serde_json::from_str(text).expect("the test writes options")
    }

    #[test]
    fn a_network_has_ipv4_and_nothing_else_unless_said() {
        for none in ["null", "{}", r#"{"com.docker.network.generic":null}"#] {
            let options = network(none);
            assert_eq!((options.enable_ipv4(), options.enable_ipv6()), (Ok(true), Ok(false)), "{none}");
            assert_eq!(options.internal(), Ok(false));
            assert!(options.generic().expect("nothing is no mistake").is_empty());
        }
        let options = network(
            r#"{"com.docker.network.enable_ipv4":false,"com.docker.network.enable_ipv6":true,
                "com.docker.network.internal":true,"com.docker.network.generic":{"a.b":"c"}}"#,
        );
        assert_eq!((options.enable_ipv4(), options.enable_ipv6()), (Ok(false), Ok(true)));
        assert_eq!(options.internal(), Ok(true));
        assert_eq!(options.generic().expect("texts")["a.b"], "c");
    }

    #[test]
    fn ports_are_numbers_and_addresses() {
        let options = endpoint(
            r#"{"com.docker.network.endpoint.exposedports":[{"Proto":17,"Port":99}],
                "com.docker.network.portmap":[{"Proto":6,"IP":"","Port":80,"HostIP":"::1","HostPort":18080,
                "HostPortEnd":18090}]}"#,
        );
        let exposed = TransportPort { protocol: Protocol::Udp, port: 99 };
        assert_eq!(options.exposed_ports(), Ok(vec![exposed]));
        let published = PortBinding {
            protocol: Protocol::Tcp,
            container_ip: None,
            container_port: 80,
            host_ip: Some("::1".parse().expect("an address")),
            host_port: 18080,
            host_port_end: 18090,
        };
        assert_eq!(options.port_map(), Ok(vec![published]));
    }

    #[test]
    fn the_rest_of_an_endpoint_is_text_and_a_flag() {
        let options = endpoint(
            r#"{"com.docker.network.endpoint.macaddress":"AhEiM0RV",
                "com.docker.network.endpoint.sysctls":"net.ipv4.conf.IFNAME.log_martians=1",
                "com.docker.network.endpoint.ifname":"lan0",
                "com.docker.network.driver.private.no_proxy_6to4":true,"com.example.ep":"1"}"#,
        );
        assert_eq!(options.mac_address(), Ok(Some(MacAddress([2, 0x11, 0x22, 0x33, 0x44, 0x55]))));
        assert_eq!(options.sysctls().as_ref().map(Option::is_some), Ok(true));
        assert_eq!(options.if_name(), Ok(Some("lan0".into())));
        assert_eq!(options.no_proxy_6to4(), Ok(true));
        assert_eq!(options.raw()["com.example.ep"], "1");
    }

    #[test]
    fn a_wrong_option_is_a_mistake_for_those_who_ask() {
        let options = endpoint(
            r#"{"com.docker.network.portmap":"80","com.docker.network.endpoint.macaddress":"02:11:22:33:44:55"}"#,
        );
        let wrong = options.port_map().expect_err("not a list");
        assert_eq!(
            wrong.to_string(),
            "the option `com.docker.network.portmap` is not a list of port bindings"
        );
        assert!(options.mac_address().is_err());
        assert_eq!(options.exposed_ports(), Ok(vec![]));
    }

    #[test]
    fn debug_output_shows_no_values() {
        let options = network(r#"{"com.docker.network.generic":{"key":"secret"}}"#);
        assert_eq!(format!("{options:?}"), r#"{"com.docker.network.generic"}"#);
    }
}
