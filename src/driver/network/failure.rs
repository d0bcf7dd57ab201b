//! Why the engine is told that something cannot be done.

use docker_plugin_sdk::network::{EndpointId, NetworkId, OptionError};
use ipnet::IpNet;

use super::settings::SettingsError;
use crate::driver::firewall::{FirewallError, PortError};
use crate::driver::link::{LinkError, LinkName};
use crate::journal::CommitError;

/// Why a network or an endpoint is not what the engine wants it to be; the docker user reads it.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The engine sends something that it does not send.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// The options of the network are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// There is a network of that id already, made otherwise.
    #[error("network `{network}` is there already, and made otherwise")]
    Other {
        /// Which.
        network: NetworkId,
    },
    /// There is an endpoint of that id already, with other addresses.
    #[error("endpoint `{endpoint}` is there already, with other addresses")]
    OtherEndpoint {
        /// Which.
        endpoint: EndpointId,
    },
    /// Another network has a bridge of that name.
    #[error("the bridge `{name}` is that of network `{network}`: choose another name")]
    NameTaken {
        /// The name.
        name: LinkName,
        /// Whose it is.
        network: NetworkId,
    },
    /// Another network has the same addresses, and packets would not find their way.
    #[error("the addresses {pool} overlap with {theirs} of network `{network}`: choose others by `--subnet`")]
    Overlap {
        /// What was wanted.
        pool: IpNet,
        /// What there is.
        theirs: IpNet,
        /// Whose it is.
        network: NetworkId,
    },
    /// The network is not known.
    #[error(
        "boathook does not know network `{network}`: it was made while boathook kept its state elsewhere; remove \
         it and make it again"
    )]
    Unknown {
        /// Which.
        network: NetworkId,
    },
    /// The endpoint is not known.
    #[error("boathook does not know endpoint `{endpoint}`: start the container again")]
    UnknownEndpoint {
        /// Which.
        endpoint: EndpointId,
    },
    /// The engine has given the link a hardware address that it cannot have.
    #[error(
        "a link of `mode=ipvlan` has the hardware address of its parent and no other: do without `--mac-address`, \
         and take an IPAM driver that asks for none, such as Docker's own"
    )]
    MacOnIpvlan,
    /// The network publishes no ports.
    #[error(
        "a network of `mode={mode}` publishes no ports: its containers are reached at their own addresses, so do \
         without `--publish`"
    )]
    Unpublishable {
        /// Its mode.
        mode: &'static str,
    },
    /// There is no port that could be published like that.
    #[error("a port is published by a protocol, or a range of ports, that there is not")]
    PortNonsense,
    /// A link cannot be had.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A port cannot be published.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The host's rules cannot be what they should.
    #[error(transparent)]
    Firewall(#[from] FirewallError),
    /// It cannot be written down.
    #[error("write down what was asked")]
    Commit(#[source] CommitError),
    /// What a script has answered does not make sense.
    #[error("script `{script}`: {what}")]
    Reply {
        /// The script.
        script: String,
        /// What is wrong with it.
        what: String,
    },
}
