//! One endpoint, as far as its points need it.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::OnceLock;

use docker_plugin_sdk::network::{Interface, NetworkId};
use tokio::sync::OnceCell;

use crate::lifecycle::{Subject, Verdict};

/// One stay of one container on one network.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) network: NetworkId,
    pub(super) interface: Interface,
    joining: OnceLock<Joining>,
    asked: OnceCell<Asked>,
}

/// How an endpoint got into its container.
#[derive(Clone, Debug)]
pub(super) struct Joining {
    /// The file of the network namespace, which need not be there yet.
    pub(super) sandbox: PathBuf,
    pub(super) gateway: Option<Ipv4Addr>,
    /// The link of the host that leads to it.
    pub(super) link: Option<String>,
}

/// What came of asking.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Who starts; `None`: nobody does, or nobody was asked.
    pub(super) subject: Option<Subject>,
    pub(super) verdict: Verdict,
}

impl Endpoint {
    pub(super) fn new(network: NetworkId, interface: Interface) -> Endpoint {
        Endpoint { network, interface, joining: OnceLock::new(), asked: OnceCell::new() }
    }

    /// Takes in how it has joined; a call that is repeated says the same again.
    pub(super) fn join(&self, joining: Joining) {
        let _ = self.joining.set(joining);
    }

    pub(super) fn joining(&self) -> Option<&Joining> {
        self.joining.get()
    }

    /// Who starts, once that has been asked about.
    pub(super) fn subject(&self) -> Option<&Subject> {
        self.asked.get()?.subject.as_ref()
    }

    /// What came of asking: of `ask`, if nobody has asked before. Whoever comes meanwhile waits for the same.
    pub(super) async fn asked(&self, ask: impl Future<Output = Asked>) -> &Asked {
        self.asked.get_or_init(|| ask).await
    }
}

/// The addresses of an endpoint: those that were given, and what the driver has added.
pub(super) fn merged(given: Interface, added: Option<Interface>) -> Interface {
    let added = added.unwrap_or_default();
    Interface {
        address: given.address.or(added.address),
        address_ipv6: given.address_ipv6.or(added.address_ipv6),
        mac_address: given.mac_address.or(added.mac_address),
    }
}
