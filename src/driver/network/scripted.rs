//! Networks that a script answers for.
//!
//! The script is called for each call of the engine, with the request as it came, and its reply goes to the
//! engine; but not before it has been looked at. What the engine would stumble over half-way is refused here,
//! with the script's name.

use docker_plugin_sdk::driver::{Arguments, DriverError, Request};
use docker_plugin_sdk::network::{
    CreateEndpoint, CreatedEndpoint, EndpointInfo, EndpointOperInfo, Interface, Join, Joined,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::state::Network;
use super::{Desk, NetworkError};
use crate::driver::link::{self, LinkName};

impl Desk {
    /// Has a network made. The request is the one that made it, also when it is made again after a reboot: a
    /// script has to do with a network that is there already.
    pub(super) async fn script_makes_network(
        &self,
        script: &str,
        network: &Network,
    ) -> Result<(), DriverError> {
        let request = network.request.as_deref().unwrap_or_default();
        self.scripts.call(script, "NetworkDriver.CreateNetwork", request.as_bytes()).await.map(|_| ())
    }

    /// Has an endpoint made; what was added to its addresses.
    pub(super) async fn script_makes_endpoint(
        &self,
        script: &str,
        request: &Request<CreateEndpoint>,
    ) -> Result<Interface, DriverError> {
        let reply: CreatedEndpoint = read(script, self.scripts.answer(script, request).await?)?;
        let added = reply.interface.unwrap_or_default();
        changed(&request.interface, &added).map_err(|what| nonsense(script, what))?;
        Ok(added)
    }

    /// Tells the script of the network of a call, if it has one.
    pub(super) async fn tell_script<T: Arguments>(
        &self,
        network: &Network,
        request: &Request<T>,
    ) -> Result<(), DriverError> {
        match network.script() {
            Some(script) => self.scripts.answer(script, request).await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// Asks what goes into the container.
    pub(super) async fn script_joins(
        &self,
        script: &str,
        request: &Request<Join>,
    ) -> Result<Joined, DriverError> {
        let reply: Joined = read(script, self.scripts.answer(script, request).await?)?;
        let name = match &reply.interface_name {
            None => return Ok(reply),
            Some(interface) => {
                named(&interface.src_name, &interface.dst_prefix).map_err(|what| nonsense(script, what))?
            }
        };
        match link::find(&name).await? {
            Some(_) => Ok(reply),
            None => Err(nonsense(
                script,
                format!("there is no link `{name}` on the host to go into the container"),
            )),
        }
    }

    /// Asks what there is to know of an endpoint.
    pub(super) async fn script_tells(
        &self,
        script: &str,
        request: &Request<EndpointOperInfo>,
    ) -> Result<EndpointInfo, DriverError> {
        read(script, self.scripts.answer(script, request).await?)
    }
}

fn read<T: DeserializeOwned>(script: &str, reply: Value) -> Result<T, DriverError> {
    serde_json::from_value(reply)
        .map_err(|error| nonsense(script, format!("its reply to this call: {error}")))
}

fn nonsense(script: &str, what: String) -> DriverError {
    NetworkError::Reply { script: script.to_owned(), what }.into()
}

/// Whether a reply changes what the engine has decided, which it objects to.
fn changed(given: &Interface, added: &Interface) -> Result<(), String> {
    fn differs<T: PartialEq>(given: Option<T>, added: Option<T>) -> bool {
        given.is_some() && added.is_some() && given != added
    }
    let what = if differs(given.address, added.address) {
        "Address"
    } else if differs(given.address_ipv6, added.address_ipv6) {
        "AddressIPv6"
    } else if differs(given.mac_address, added.mac_address) {
        "MacAddress"
    } else {
        return Ok(());
    };
    Err(format!("its reply has another `{what}` than the engine has given: reply with what was left open"))
}

/// The link that a reply names.
fn named(src_name: &str, dst_prefix: &str) -> Result<LinkName, String> {
    if dst_prefix.is_empty() {
        return Err("its reply has no `DstPrefix` such as `eth`".to_owned());
    }
    src_name.parse().map_err(|error| format!("`SrcName` in its reply: {error}"))
}

#[cfg(test)]
mod tests {
    use docker_plugin_sdk::network::Interface;

    use super::{changed, named};

    #[test]
    fn a_reply_adds_and_does_not_change() {
        let given = Interface { address: Some("10.0.0.2/24".parse().unwrap()), ..Interface::default() };
        let mac =
            Interface { mac_address: Some("02:00:00:00:00:01".parse().unwrap()), ..Interface::default() };
        let other = Interface { address: Some("10.0.0.3/24".parse().unwrap()), ..Interface::default() };

        assert_eq!(changed(&given, &mac), Ok(()));
        assert_eq!(changed(&given, &given), Ok(()));
        let told = changed(&given, &other).unwrap_err();
        assert!(told.contains("another `Address`"), "{told}");
    }

    #[test]
    fn a_link_that_cannot_be_is_not_looked_for() {
        assert!(named("veth0", "eth").is_ok());
        assert!(named("veth0", "").unwrap_err().contains("DstPrefix"));
        assert!(named("", "eth").unwrap_err().contains("SrcName"));
    }
}
