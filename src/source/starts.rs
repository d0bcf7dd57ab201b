//! Starts of containers whose addresses the IPAM driver keeps for whom they were.
//!
//! Before engine 29 a request for an address names nobody. So a call that makes a container ask for one is
//! let through when no other is on its way to, and the driver is told who comes ([`Ipam::enter`]). Calls that
//! lead to no address of the driver's pass as if this were not here; while it has no network, none is looked
//! at.

use std::collections::BTreeSet;

use docker_plugin_sdk::authorization::Request;
use futures_util::future::join_all;
use ipnet::IpNet;
use tracing::debug;

use super::api::{Operation, What, operation, what};
use super::gates::json_body;
use crate::docker::{Docker, DockerError, LOOK_LIMIT};
use crate::driver::ipam::{Asker, Ipam, Passing, Starter};
use crate::lifecycle::Observation;

/// The label that says for whom a container's addresses are, if not for its name.
const KEY_LABEL: &str = "boathook.ip.key";

/// The longest such key, in bytes: it is on disk with each address.
const KEY_BYTES_MAX: usize = 256;

/// Lets starts through one at a time.
pub(super) struct Starts {
    docker: Docker,
    /// `None`: it is not there.
    ipam: Option<Ipam>,
}

impl Starts {
    pub(super) fn new(docker: Docker, ipam: Option<Ipam>) -> Starts {
        Starts { docker, ipam }
    }

    /// Whether a call may make a container ask for addresses that are kept.
    fn concern(&self, request: &Request<'_>) -> bool {
        let is_sticky = |it: &Ipam| it.is_sticky();
        request.method == "POST"
            && self.ipam.as_ref().is_some_and(is_sticky)
            && what(&request.method, &request.uri).is_some_and(asks)
    }

    /// Waits until a call that makes a container ask for addresses that are kept is the only one of its kind.
    /// All others pass at once.
    pub(super) async fn wait(&self, request: &Request<'_>) {
        if !self.concern(request) {
            return;
        }
        let (Some(ipam), Some(operation)) = (&self.ipam, operation(&request.method, &request.uri)) else {
            return;
        };
        match self.starter(&operation, request, ipam).await {
            Ok(Some((starter, subnets))) => ipam.enter(starter, &subnets).await,
            Ok(None) => {}
            // The engine will say so itself, or the address is one like any other.
            Err(error) => debug!(%error, uri = %request.uri, "cannot tell whose addresses a start asks for"),
        }
    }

    /// A call has been answered: its container asks no more.
    pub(super) fn answered(&self, request: &Request<'_>) {
        if let Some(ipam) = &self.ipam
            && self.concern(request)
        {
            ipam.leave(&request.uri);
        }
    }

    /// Who asks, and for addresses of which subnets. `None`: nobody will.
    async fn starter(
        &self,
        operation: &Operation<'_>,
        request: &Request<'_>,
        ipam: &Ipam,
    ) -> Result<Option<(Starter, Vec<IpNet>)>, DockerError> {
        let connected = match operation.what {
            What::NetworkConnect => json_body(request).ok(),
            _ => None,
        };
        let target = match &connected {
            Some(body) => body["Container"].as_str(),
            None => operation.target.as_deref(),
        };
        let Some(target) = target else { return Ok(None) };
        let Some(container) = self.docker.inspect_within(LOOK_LIMIT, target).await? else { return Ok(None) };
        let Some(passing) = passing(operation.what, container.process.is_running()) else { return Ok(None) };
        let networks: BTreeSet<String> = match operation.what {
            What::NetworkConnect => operation.target.clone().into_iter().collect(),
            _ => networks(&container),
        };
        let subnets = self.subnets(networks, ipam.driver()).await?;
        if subnets.is_empty() {
            return Ok(None);
        }
        // The answer is known by the same target.
        let starter = Starter { call: request.uri.clone().into_owned(), asker: asker(&container), passing };
        Ok(Some((starter, subnets)))
    }

    /// The subnets of those of the networks whose addresses are the driver's.
    async fn subnets(&self, networks: BTreeSet<String>, driver: &str) -> Result<Vec<IpNet>, DockerError> {
        let found = join_all(networks.iter().map(|it| self.docker.addresses_of(it))).await;
        let found: Vec<_> = found.into_iter().collect::<Result<_, _>>()?;
        let ours = found.into_iter().flatten().filter(|it| it.driver == driver);
        Ok(ours.flat_map(|it| it.subnets).collect())
    }
}

/// Whether a call makes a container ask for addresses.
fn asks(what: What) -> bool {
    matches!(what, What::ContainerStart | What::ContainerRestart | What::NetworkConnect)
}

/// What comes before it asks. `None`: it does not ask.
fn passing(what: What, is_running: bool) -> Option<Passing> {
    match (what, is_running) {
        (What::ContainerRestart, true) => Some(Passing::StopsFirst),
        (What::ContainerStart | What::ContainerRestart, false) | (What::NetworkConnect, true) => {
            Some(Passing::Starts)
        }
        _ => None,
    }
}

/// Whom a container's addresses are for.
fn asker(container: &Observation) -> Asker {
    let key = container.facts.label(KEY_LABEL).filter(|it| (1..=KEY_BYTES_MAX).contains(&it.len()));
    Asker { key: key.map(str::to_owned), name: container.facts.name.clone(), mac: None }
}

/// The networks that a container is attached to, or will be: by id, or else by name.
fn networks(container: &Observation) -> BTreeSet<String> {
    let attached = container.facts.networks.iter().flatten();
    let named = attached.map(|it| it.network_id.as_ref().unwrap_or(&it.name).clone());
    // Those that every engine has are not ours.
    named.filter(|it| !matches!(it.as_str(), "" | "bridge" | "host" | "none")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{KEY_BYTES_MAX, KEY_LABEL, What, asker, networks, passing};
    use crate::driver::ipam::Passing;
    use crate::lifecycle::{Facts, NetworkAttachment, Observation, Process};

    fn container(key: &str, attached: &[(&str, Option<&str>)]) -> Observation {
        let attached = attached.iter().map(|(name, id)| NetworkAttachment {
            name: (*name).into(),
            network_id: id.map(str::to_owned),
            ..NetworkAttachment::default()
        });
        let facts = Facts {
            name: Some("web".into()),
            labels: Some(BTreeMap::from([(KEY_LABEL.into(), key.into())])),
            networks: Some(attached.collect()),
            ..Facts::default()
        };
        Observation { facts, process: Process::NeverStarted }
    }

    #[test]
    fn what_runs_asks_when_it_is_connected_and_what_does_not_when_it_starts() {
        assert_eq!(passing(What::ContainerStart, false), Some(Passing::Starts));
        assert_eq!(passing(What::ContainerRestart, false), Some(Passing::Starts));
        assert_eq!(passing(What::ContainerRestart, true), Some(Passing::StopsFirst));
        assert_eq!(passing(What::NetworkConnect, true), Some(Passing::Starts));
        assert_eq!(passing(What::ContainerStart, true), None);
        assert_eq!(passing(What::NetworkConnect, false), None);
    }

    #[test]
    fn an_address_is_for_a_key_or_else_a_name() {
        assert_eq!(asker(&container("db", &[])).key.as_deref(), Some("db"));
        let long = "x".repeat(KEY_BYTES_MAX + 1);
        for key in ["", &long] {
            let asker = asker(&container(key, &[]));
            assert_eq!((asker.key, asker.name.as_deref()), (None, Some("web")));
        }
    }

    #[test]
    fn a_network_is_known_by_its_id_or_else_its_name() {
        let attached = [("back", Some("n1")), ("front", None), ("bridge", None), ("host", Some(""))];

        assert_eq!(networks(&container("", &attached)).into_iter().collect::<Vec<_>>(), ["front", "n1"]);
    }
}
