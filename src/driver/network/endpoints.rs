//! Endpoints: made, joined, published, left, removed.

use std::mem;
use std::net::IpAddr;
use std::sync::Arc;

use docker_plugin_sdk::driver::{DriverError, Request};
use docker_plugin_sdk::network::{
    CreateEndpoint, CreatedEndpoint, DeleteEndpoint, EndpointId, EndpointInfo, EndpointOperInfo, Interface,
    InterfaceName, Join, Joined, Leave, NetworkId, PortBinding, ProgramExternalConnectivity,
    RevokeExternalConnectivity,
};
use serde_json::{Map, Value};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard};
use tracing::warn;

use super::settings::{BridgeSettings, Mode};
use super::state::{Admission, Endpoint, EndpointKey, Network, mac_for};
use super::wanted::{container_end, host_end};
use super::{Desk, NetworkError};
use crate::driver::firewall::{self, HostPorts, PortRequest, Protocol, Published};
use crate::driver::link::{self, LinkError};

/// What the link of an endpoint is called in the container, with a number behind it: as on Docker's own
/// networks (`containerVethPrefix` in moby, `daemon/libnetwork/drivers/bridge/bridge_linux.go`).
const CONTAINER_PREFIX: &str = "eth";

/// The turn of one endpoint: nobody works on it or on its network meanwhile.
type EndpointTurn = (OwnedRwLockReadGuard<()>, OwnedRwLockWriteGuard<()>);

impl Desk {
    async fn endpoint_turn(&self, network: &NetworkId, endpoint: &EndpointId) -> EndpointTurn {
        let network = self.turns.along(network.as_str()).await;
        (network, self.turns.alone(endpoint.as_str()).await)
    }

    /// Makes an endpoint.
    pub(super) async fn create_endpoint(
        &self,
        request: Request<CreateEndpoint>,
    ) -> Result<CreatedEndpoint, DriverError> {
        let _turn = self.endpoint_turn(&request.network_id, &request.endpoint_id).await;
        let network = self.state().network(&request.network_id)?;
        let asked = asked(&network, &request)?;
        let admission = self.admit_endpoint(&asked)?;
        let endpoint = self.state().endpoint(&asked.key())?;
        if admission == Admission::New
            && let Err(error) = self.commit(endpoint.held()).await
        {
            self.state().endpoints.remove(&endpoint.key());
            return Err(error.into());
        }
        if admission == Admission::New && network.script().is_none() {
            self.bury_predecessors(&endpoint).await;
        }
        let made = match network.script() {
            Some(script) => self.script_makes_endpoint(script, &request).await,
            None => {
                self.make_link(&network, &endpoint).await.map(|()| endpoint.added).map_err(DriverError::from)
            }
        };
        if made.is_err() && admission == Admission::New {
            self.take_down(&network, &endpoint).await;
        }
        let added = made?;
        if added != endpoint.added {
            self.amend(&endpoint.key(), |it| it.added = added);
        }
        self.upkeep.touch(endpoint.id.as_str());
        Ok(CreatedEndpoint { interface: Some(added) })
    }

    /// Decides and takes in at once.
    fn admit_endpoint(&self, asked: &Endpoint) -> Result<Admission, NetworkError> {
        let mut state = self.state();
        let admission = state.admit_endpoint(asked)?;
        if admission == Admission::New {
            state.put_endpoint(asked.clone());
            self.upkeep.touch(asked.id.as_str());
        }
        Ok(admission)
    }

    /// Changes what is known of an endpoint, and writes it down in passing.
    fn amend(&self, key: &EndpointKey, change: impl FnOnce(&mut Endpoint)) {
        let mut state = self.state();
        let Some(endpoint) = state.endpoints.get_mut(key) else { return };
        let before = endpoint.clone();
        change(endpoint);
        if *endpoint != before {
            self.note([endpoint.held()]);
        }
    }

    /// Makes the endpoint's link, or finds it made; and its bridge, if somebody has taken that away.
    async fn make_link(&self, network: &Network, endpoint: &Endpoint) -> Result<(), NetworkError> {
        let Some(spec) = self.owner.link(network, endpoint) else { return Ok(()) };
        match link::ensure(&spec).await {
            Err(LinkError::Missing { .. }) if self.owner.bridge(network).is_some() => {
                self.make_bridge(network).await?;
                Ok(link::ensure(&spec).await?)
            }
            done => Ok(done?),
        }
    }

    /// Says what goes into the container.
    pub(super) async fn join(&self, request: Request<Join>) -> Result<Joined, DriverError> {
        let _turn = self.endpoint_turn(&request.network_id, &request.endpoint_id).await;
        let key = (request.network_id.clone(), request.endpoint_id.clone());
        let network = self.state().network(&key.0)?;
        let endpoint = self.state().endpoint(&key)?;
        let joined = match network.script() {
            Some(script) => self.script_joins(script, &request).await?,
            None => {
                self.make_link(&network, &endpoint).await?;
                joined(&network, &endpoint)
            }
        };
        self.amend(&key, |it| it.sandbox = Some(request.sandbox_key.clone()));
        Ok(joined)
    }

    /// Hears that the engine takes the link out of the container.
    pub(super) async fn leave(&self, request: Request<Leave>) -> Result<(), DriverError> {
        let _turn = self.endpoint_turn(&request.network_id, &request.endpoint_id).await;
        let key = (request.network_id.clone(), request.endpoint_id.clone());
        let Ok(network) = self.known(&key) else { return Ok(()) };
        self.amend(&key, |it| it.sandbox = None);
        self.tell_script(&network, &request).await
    }

    /// The network of an endpoint that is known.
    fn known(&self, key: &EndpointKey) -> Result<Arc<Network>, NetworkError> {
        let state = self.state();
        state.endpoint(key)?;
        state.network(&key.0)
    }

    /// Removes an endpoint.
    pub(super) async fn delete_endpoint(&self, request: Request<DeleteEndpoint>) -> Result<(), DriverError> {
        let _turn = self.endpoint_turn(&request.network_id, &request.endpoint_id).await;
        let key = (request.network_id.clone(), request.endpoint_id.clone());
        let Ok(network) = self.known(&key) else { return Ok(()) };
        let told = self.tell_script(&network, &request).await;
        let endpoint = self.state().endpoint(&key)?;
        self.take_down(&network, &endpoint).await;
        told
    }

    /// Takes down an endpoint that the engine does not have any more.
    pub(super) async fn take_down(&self, network: &Network, endpoint: &Endpoint) {
        self.ports().withdraw(endpoint.id.as_str());
        self.state().endpoints.remove(&endpoint.key());
        self.upkeep.forget(endpoint.id.as_str());
        self.place_rules_if_possible().await;
        firewall::forget(&endpoint.published).await;
        let end = match network.settings.mode {
            Mode::Bridge(_) => Some(host_end(&endpoint.id)),
            Mode::Macvlan { .. } | Mode::Ipvlan { .. } => Some(container_end(&endpoint.id)),
            Mode::Script { .. } => None,
        };
        if let Some(end) = end
            && let Err(error) = link::remove(&end, |it| self.owner.owns(it)).await
        {
            self.upkeep.is_due();
            warn!(error = &error as &dyn std::error::Error, link = %end, "a link is left over");
        }
        self.note([endpoint.gone()]);
    }

    /// Publishes the ports of a container whose way out this endpoint is.
    pub(super) async fn program(
        &self,
        request: Request<ProgramExternalConnectivity>,
    ) -> Result<(), DriverError> {
        let _turn = self.endpoint_turn(&request.network_id, &request.endpoint_id).await;
        let key = (request.network_id.clone(), request.endpoint_id.clone());
        let network = self.known(&key)?;
        if network.script().is_some() {
            return self.tell_script(&network, &request).await;
        }
        let bindings = request.options.port_map().map_err(NetworkError::from)?;
        match &network.settings.mode {
            Mode::Bridge(bridge) if !network.internal => {
                Ok(self.publish(&network, &key, bridge, &bindings).await?)
            }
            // The engine passes no ports to an internal network; there is no way in that could be opened.
            Mode::Bridge(_) => Ok(()),
            _ if bindings.is_empty() => Ok(()),
            Mode::Macvlan { .. } => Err(NetworkError::Unpublishable { mode: "macvlan" }.into()),
            _ => Err(NetworkError::Unpublishable { mode: "ipvlan" }.into()),
        }
    }

    async fn publish(
        &self,
        network: &Network,
        key: &EndpointKey,
        bridge: &BridgeSettings,
        bindings: &[PortBinding],
    ) -> Result<(), NetworkError> {
        let endpoint = self.state().endpoint(key)?;
        let wanted: Result<Vec<_>, _> =
            bindings.iter().map(|it| port_request(it, bridge, &endpoint)).collect();
        let published = self.reserve(key, &wanted?).await?;
        if published == endpoint.published {
            return self.place_rules().await;
        }
        let programmed = Endpoint { published, ..endpoint.clone() };
        let done = self.open_ports(network, &programmed).await;
        if done.is_err() {
            self.withdraw(key).await;
        }
        done
    }

    /// Has the host lead its ports to an endpoint.
    async fn open_ports(&self, network: &Network, programmed: &Endpoint) -> Result<(), NetworkError> {
        self.commit(programmed.held()).await?;
        self.state().put_endpoint(programmed.clone());
        self.place_rules().await?;
        // The container's own published ports are behind its own port of the bridge.
        self.repair_link(network, programmed).await?;
        firewall::forget(&programmed.published).await;
        Ok(())
    }

    /// Publishes nothing of this endpoint any more.
    async fn withdraw(&self, key: &EndpointKey) {
        self.ports().withdraw(key.1.as_str());
        let mut published = Vec::new();
        self.amend(key, |it| published = mem::take(&mut it.published));
        self.place_rules_if_possible().await;
        firewall::forget(&published).await;
    }

    /// Hears that the container has another way out, or none.
    pub(super) async fn revoke(
        &self,
        request: Request<RevokeExternalConnectivity>,
    ) -> Result<(), DriverError> {
        let _turn = self.endpoint_turn(&request.network_id, &request.endpoint_id).await;
        let key = (request.network_id.clone(), request.endpoint_id.clone());
        let Ok(network) = self.known(&key) else { return Ok(()) };
        if network.script().is_some() {
            return self.tell_script(&network, &request).await;
        }
        self.withdraw(&key).await;
        Ok(())
    }

    /// Says what is known of an endpoint.
    pub(super) async fn tell(&self, request: Request<EndpointOperInfo>) -> Result<EndpointInfo, DriverError> {
        let key = (request.network_id.clone(), request.endpoint_id.clone());
        let Ok(network) = self.known(&key) else { return Ok(EndpointInfo::default()) };
        if let Some(script) = network.script() {
            return self.script_tells(script, &request).await;
        }
        let endpoint = self.state().endpoint(&key)?;
        Ok(EndpointInfo { value: told(&network, &endpoint) })
    }
}

/// The endpoint that the engine wants made.
fn asked(network: &Network, request: &CreateEndpoint) -> Result<Endpoint, NetworkError> {
    let given = request.interface;
    let is_ipvlan = matches!(network.settings.mode, Mode::Ipvlan { .. });
    if is_ipvlan && given.mac_address.is_some() {
        return Err(NetworkError::MacOnIpvlan);
    }
    let is_open = given.mac_address.is_none() && !is_ipvlan && network.script().is_none();
    let mac_address = is_open.then(|| mac_for(&request.endpoint_id, &given));
    Ok(Endpoint {
        network: request.network_id.clone(),
        id: request.endpoint_id.clone(),
        given,
        added: Interface { mac_address, ..Interface::default() },
        sandbox: None,
        published: Vec::new(),
    })
}

/// How a container gets on a network that we make ourselves.
fn joined(network: &Network, endpoint: &Endpoint) -> Joined {
    let gateway = match endpoint.ipv4().and_then(|it| network.gateway_of(it.into())) {
        Some(IpAddr::V4(gateway)) => Some(gateway),
        _ => None,
    };
    let gateway_ipv6 = match endpoint.ipv6().and_then(|it| network.gateway_of(it.into())) {
        Some(IpAddr::V6(gateway)) => Some(gateway),
        _ => None,
    };
    Joined {
        interface_name: Some(InterfaceName {
            src_name: container_end(&endpoint.id).as_str().to_owned(),
            dst_prefix: CONTAINER_PREFIX.to_owned(),
            dst_name: String::new(),
        }),
        gateway,
        gateway_ipv6,
        static_routes: Vec::new(),
        // Whether there is a way out is the network's business: the engine shall not make one of its own.
        disable_gateway_service: gateway.is_none() && gateway_ipv6.is_none(),
    }
}

/// What one entry of a port map asks for.
fn port_request(
    binding: &PortBinding,
    bridge: &BridgeSettings,
    endpoint: &Endpoint,
) -> Result<PortRequest, NetworkError> {
    let protocol = Protocol::from_number(binding.protocol.into()).ok_or(NetworkError::PortNonsense)?;
    let ports = HostPorts::from_map(binding.host_port, binding.host_port_end);
    Ok(PortRequest {
        protocol,
        host: binding.host_ip.or(bridge.host_ip),
        ports: ports.ok_or(NetworkError::PortNonsense)?,
        container: endpoint
            .ipv4()
            .map(Into::into)
            .into_iter()
            .chain(endpoint.ipv6().map(Into::into))
            .collect(),
        container_port: binding.container_port,
    })
}

/// What there is to know of an endpoint, for whoever reads the engine's logs.
fn told(network: &Network, endpoint: &Endpoint) -> Map<String, Value> {
    let mut told = Map::new();
    if matches!(network.settings.mode, Mode::Bridge(_)) {
        told.insert("boathook.link".to_owned(), host_end(&endpoint.id).as_str().into());
    }
    if !endpoint.published.is_empty() {
        let line = |it: &Published| Value::from(format!("{} {} -> {}", it.protocol, it.host, it.container));
        told.insert("boathook.published".to_owned(), endpoint.published.iter().map(line).collect());
    }
    told
}
