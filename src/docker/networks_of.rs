//! Which networks there are still, and who is on them.

use std::collections::{BTreeMap, BTreeSet};

use bollard::models::NetworkInspect;
use bollard::query_parameters::ListNetworksOptions;

use super::lists::LIST_LIMIT;
use super::{Docker, DockerError, LOOK_LIMIT, within};

impl Docker {
    /// Those of the networks `held`, by id, that the engine has, by whatever name it knows their driver; and
    /// the ids of the endpoints on each of them.
    ///
    /// # Errors
    ///
    /// When the engine does not answer in time.
    pub async fn networks_among(
        &self,
        held: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, BTreeSet<String>>, DockerError> {
        let listed = within(LIST_LIMIT, self.client.list_networks(None::<ListNetworksOptions>)).await?;
        let mut networks = BTreeMap::new();
        for id in listed.into_iter().filter_map(|it| it.id).filter(|it| held.contains(it)) {
            // A list does not tell who is on a network.
            if let Some(network) = self.inspect_network(LOOK_LIMIT, &id).await? {
                networks.insert(id, endpoints(network));
            }
        }
        Ok(networks)
    }
}

/// The endpoints on a network, those included that have no container yet.
fn endpoints(network: NetworkInspect) -> BTreeSet<String> {
    let containers = network.containers.into_iter().flatten();
    containers.filter_map(|(_, endpoint)| endpoint.endpoint_id).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::endpoints;

    #[test]
    fn an_endpoint_is_there_before_its_container_is_known() {
        let network = json!({
            "Id": "n0",
            "Containers": {"c0": {"EndpointID": "e0"}, "ep-e1": {"EndpointID": "e1"}},
        });

        let there = endpoints(serde_json::from_value(network).expect("a network"));

        assert_eq!(there, ["e0", "e1"].map(str::to_owned).into());
    }
}
