//! Networks: made, removed.

use docker_plugin_sdk::driver::{DriverError, Request};
use docker_plugin_sdk::network::{CreateNetwork, DeleteNetwork, NetworkId};
use tracing::{info, warn};

use super::settings::Mode;
use super::state::{Admission, Network};
use super::wanted::bridge_name;
use super::{Desk, NetworkError};
use crate::driver::link::{self, LinkError};

impl Desk {
    /// Makes a network.
    pub(super) async fn create_network(&self, request: Request<CreateNetwork>) -> Result<(), DriverError> {
        let network = Network::asked(&request, request.raw())?;
        if let Some(script) = network.script() {
            self.scripts.find(script)?;
        }
        let _turn = self.turns.alone(network.id.as_str()).await;
        self.catch_up().await;
        let admission = self.admit_network(&network)?;
        if admission == Admission::New
            && let Err(error) = self.commit(network.held()).await
        {
            self.state().networks.remove(&network.id);
            return Err(error.into());
        }
        let made = self.make_network(&network).await;
        match &made {
            Ok(()) => {
                self.upkeep.touch(network.id.as_str());
                info!(network = %network.id, "a network is made");
            }
            Err(_) if admission == Admission::New => self.forget_network(&network).await,
            Err(_) => {}
        }
        made
    }

    /// Decides and takes in at once: two networks may be made at the same time.
    fn admit_network(&self, network: &Network) -> Result<Admission, NetworkError> {
        let mut state = self.state();
        let admission = state.admit_network(network)?;
        if admission == Admission::New {
            state.put_network(network.clone());
            self.upkeep.touch(network.id.as_str());
        }
        Ok(admission)
    }

    /// Makes of the host what the network needs; again if need be.
    pub(super) async fn make_network(&self, network: &Network) -> Result<(), DriverError> {
        match &network.settings.mode {
            Mode::Bridge(_) => {
                self.make_bridge(network).await?;
                self.place_rules().await?;
                Ok(())
            }
            Mode::Macvlan { parent, .. } | Mode::Ipvlan { parent, .. } => match link::find(parent).await? {
                Some(_) => Ok(()),
                None => Err(LinkError::Missing { name: parent.clone() }.into()),
            },
            Mode::Script { script } => self.script_makes_network(script, network).await,
        }
    }

    /// Makes the network's bridge, if it has one.
    pub(super) async fn make_bridge(&self, network: &Network) -> Result<(), NetworkError> {
        match self.owner.bridge(network) {
            Some(spec) => Ok(link::ensure(&spec).await?),
            None => Ok(()),
        }
    }

    /// Removes a network, and whatever is left on it.
    pub(super) async fn delete_network(&self, request: Request<DeleteNetwork>) -> Result<(), DriverError> {
        let id = &request.network_id;
        let _turn = self.turns.alone(id.as_str()).await;
        let Ok(network) = self.state().network(id) else { return Ok(()) };
        let told = self.tell_script(&network, &request).await;
        self.drop_network(id, &network).await;
        info!(network = %id, "a network is removed");
        told
    }

    /// Takes down a network that the engine does not have any more.
    pub(super) async fn drop_network(&self, id: &NetworkId, network: &Network) {
        let left: Vec<_> = self.state().endpoints_of(id).cloned().collect();
        for endpoint in left {
            self.take_down(network, &endpoint).await;
        }
        self.forget_network(network).await;
    }

    /// Takes down a network without endpoints.
    async fn forget_network(&self, network: &Network) {
        self.state().networks.remove(&network.id);
        self.upkeep.forget(network.id.as_str());
        if let Some(bridge) = bridge_name(network)
            && let Err(error) = link::remove(&bridge, |it| self.owner.owns(it)).await
        {
            self.upkeep.is_due();
            warn!(error = &error as &dyn std::error::Error, network = %network.id, "a bridge is left over");
        }
        self.place_rules_if_possible().await;
        self.note([network.gone()]);
    }
}
