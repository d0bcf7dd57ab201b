//! Whose endpoint is it: the few questions that are allowed inside a driver call.
//!
//! Nothing here takes a container's lock in the engine: lists and networks only.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::NetworkInspect;
use bollard::query_parameters::ListContainersOptions;

use super::lists::listed_container;
use super::{Docker, DockerError, LOOK_LIMIT, within};
use crate::lifecycle::{Listed, ListedState};
use jiff::Timestamp;

/// A network, as it is known inside a driver call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkSeen {
    /// Its name.
    pub name: Option<String>,
    /// The containers on it by their endpoints. Of one that is about to join the engine tells no container.
    pub containers: HashMap<String, String>,
}

impl Docker {
    /// Who is on a network.
    ///
    /// # Errors
    ///
    /// When the engine does not answer within `limit`.
    pub async fn network_seen(&self, limit: Duration, id: &str) -> Result<NetworkSeen, DockerError> {
        Ok(self.inspect_network(limit, id).await?.map(seen).unwrap_or_default())
    }

    /// The container with that id, as the list has it.
    ///
    /// # Errors
    ///
    /// When the engine does not answer in time.
    pub async fn listed(&self, id: &str) -> Result<Option<Listed>, DockerError> {
        let by = HashMap::from([("id".to_owned(), vec![id.to_owned()])]);
        let options = ListContainersOptions { all: true, filters: Some(by), ..Default::default() };
        let listed = within(LOOK_LIMIT, self.client.list_containers(Some(options))).await?;
        Ok(listed.into_iter().find_map(|it| listed_container(it, Timestamp::now())))
    }

    /// Whether a container runs, or is none, by its id, name or prefix of the id.
    ///
    /// # Errors
    ///
    /// When the engine does not answer in time.
    pub async fn is_up(&self, target: &str) -> Result<bool, DockerError> {
        let options = ListContainersOptions { all: true, ..Default::default() };
        let listed = within(LOOK_LIMIT, self.client.list_containers(Some(options))).await?;
        let mut meant = listed.into_iter().filter_map(|it| listed_container(it, Timestamp::now()));
        Ok(meant
            .find(|it| it.name.as_deref() == Some(target) || it.id.starts_with(target))
            .is_none_or(|it| it.state == ListedState::Running))
    }

    /// The containers that have a volume, whatever they do.
    ///
    /// # Errors
    ///
    /// When the engine does not answer in time.
    pub async fn containers_with(&self, volume: &str) -> Result<Vec<Listed>, DockerError> {
        let by = HashMap::from([("volume".to_owned(), vec![volume.to_owned()])]);
        let options = ListContainersOptions { all: true, filters: Some(by), ..Default::default() };
        let listed = within(LOOK_LIMIT, self.client.list_containers(Some(options))).await?;
        Ok(listed.into_iter().filter_map(|it| listed_container(it, Timestamp::now())).collect())
    }

    /// The id of the container that has an endpoint.
    ///
    /// # Errors
    ///
    /// When the engine does not answer in time.
    pub async fn container_at(&self, endpoint: &str) -> Result<Option<String>, DockerError> {
        let options = ListContainersOptions { all: true, ..Default::default() };
        let listed = within(LOOK_LIMIT, self.client.list_containers(Some(options))).await?;
        let found = listed.into_iter().find(|it| {
            let networks = it.network_settings.as_ref().and_then(|it| it.networks.as_ref());
            networks.is_some_and(|all| all.values().any(|it| it.endpoint_id.as_deref() == Some(endpoint)))
        });
        Ok(found.and_then(|it| it.id))
    }
}

fn seen(network: NetworkInspect) -> NetworkSeen {
    let on = network.containers.unwrap_or_default().into_iter();
    // A placeholder for an endpoint that has not joined (`buildEndpointResource` in moby, `daemon/network.go`).
    let on = on.filter(|(container, _)| !container.starts_with("ep-"));
    let containers = on.filter_map(|(container, it)| Some((it.endpoint_id?, container))).collect();
    NetworkSeen { name: network.name, containers }
}
