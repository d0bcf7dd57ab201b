//! `net_ready`, and `pre_start` where nothing else tells it: around the network driver.
//!
//! An endpoint is one start of one container on one network. It is asked about once, as early as it is
//! known whose it is and as late as its addresses are: when it joins, or, up to engine 27, at the first call
//! after that. The answer is remembered for the endpoint, so that a call that comes twice asks nobody twice.

mod endpoint;
mod start;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use docker_plugin_sdk::driver::{DriverError, Request};
use docker_plugin_sdk::network::{
    AllocateNetwork, AllocatedNetwork, Capabilities, CreateEndpoint, CreateNetwork, CreatedEndpoint,
    DeleteEndpoint, DeleteNetwork, DiscoverDelete, DiscoverNew, EndpointId, EndpointInfo, EndpointOperInfo,
    FreeNetwork, GwAllocCheck, Interface, Join, Joined, Leave, NetworkDriver, NetworkId,
    ProgramExternalConnectivity, RevokeExternalConnectivity, SkippedGateways,
};
use jiff::Timestamp;

use super::identify::{self, Found};
use super::{Points, answer};
use crate::lifecycle::{CallKind, Saw, Subject, SubjectKind};

use endpoint::{Endpoint, Joining};
use start::Start;

/// Which link of the host leads to an endpoint, if one does.
type HostLink = Arc<dyn Fn(&NetworkId, &EndpointId) -> Option<String> + Send + Sync>;

/// A network driver whose calls become points. All clones are the same.
#[derive(Clone)]
pub struct Networks<D> {
    driver: D,
    host_link: HostLink,
    points: Points,
    endpoints: Arc<Mutex<HashMap<EndpointId, Arc<Endpoint>>>>,
}

impl<D> Networks<D> {
    /// The points around `driver`, which says by `host_link` which link of the host leads to an endpoint.
    pub fn new(
        driver: D,
        points: Points,
        host_link: impl Fn(&NetworkId, &EndpointId) -> Option<String> + Send + Sync + 'static,
    ) -> Networks<D> {
        Networks { driver, host_link: Arc::new(host_link), points, endpoints: Arc::default() }
    }

    fn endpoints(&self) -> MutexGuard<'_, HashMap<EndpointId, Arc<Endpoint>>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The endpoint has been made, with these addresses.
    fn made(&self, network: &NetworkId, id: &EndpointId, interface: Interface) {
        let endpoint = Endpoint::new(network.clone(), interface);
        self.endpoints().insert(id.clone(), Arc::new(endpoint));
    }

    /// The endpoint has joined its container. It may have been made before boathook was there.
    fn joined(&self, network: &NetworkId, id: &EndpointId, joining: Joining) -> Arc<Endpoint> {
        let new = || Arc::new(Endpoint::new(network.clone(), Interface::default()));
        let endpoint = self.endpoints().entry(id.clone()).or_insert_with(new).clone();
        endpoint.join(joining);
        endpoint
    }

    /// The containers that are known to be on the network by other endpoints.
    fn others(&self, network: &NetworkId, id: &EndpointId) -> HashSet<Subject> {
        let endpoints = self.endpoints();
        let others = endpoints.iter().filter(|(other, it)| *other != id && it.network == *network);
        others.filter_map(|(_, it)| it.subject().cloned()).collect()
    }

    /// Asks about an endpoint that has joined, if it has not been asked about.
    async fn pass(&self, id: &EndpointId, found: Option<Found>) -> Result<(), DriverError> {
        // One that was there before us belongs to a container that runs.
        let Some(endpoint) = self.endpoints().get(id).cloned() else { return Ok(()) };
        let Some(joining) = endpoint.joining() else { return Ok(()) };
        let (points, others) = (&self.points, self.others(&endpoint.network, id));
        let start = Start { points, id, endpoint: &endpoint, joining, found, others };
        answer(&endpoint.asked(start.ask()).await.verdict)
    }

    /// The endpoint is gone. If its container has not started, what was set up for that is not needed.
    fn left(&self, id: &EndpointId) {
        self.points.engine.know_link(id.as_str(), None);
        let Some(endpoint) = self.endpoints().remove(id) else { return };
        match endpoint.subject() {
            Some(stranger) if stranger.kind == SubjectKind::Creation => {
                self.points.engine.left(stranger.clone());
            }
            Some(container) => {
                self.points.looks.suspect(&container.id, Saw::Answered(CallKind::Start), Timestamp::now());
            }
            None => {}
        }
    }
}

impl<D: NetworkDriver> NetworkDriver for Networks<D> {
    fn capabilities(&self) -> Capabilities {
        self.driver.capabilities()
    }

    async fn create_network(&self, request: Request<CreateNetwork>) -> Result<(), DriverError> {
        self.driver.create_network(request).await
    }

    async fn delete_network(&self, request: Request<DeleteNetwork>) -> Result<(), DriverError> {
        self.driver.delete_network(request).await
    }

    async fn create_endpoint(
        &self,
        request: Request<CreateEndpoint>,
    ) -> Result<CreatedEndpoint, DriverError> {
        let (network, id) = (request.network_id.clone(), request.endpoint_id.clone());
        let given = request.interface;
        let created = self.driver.create_endpoint(request).await?;
        self.made(&network, &id, endpoint::merged(given, created.interface));
        Ok(created)
    }

    async fn delete_endpoint(&self, request: Request<DeleteEndpoint>) -> Result<(), DriverError> {
        let id = request.endpoint_id.clone();
        let answer = self.driver.delete_endpoint(request).await;
        self.left(&id);
        answer
    }

    async fn join(&self, request: Request<Join>) -> Result<Joined, DriverError> {
        let (network, id) = (request.network_id.clone(), request.endpoint_id.clone());
        let sandbox = request.sandbox_key.clone();
        let joined = self.driver.join(request).await?;
        let link = (self.host_link)(&network, &id);
        self.points.engine.know_link(id.as_str(), link.clone());
        let found = identify::in_namespace(&sandbox);
        self.joined(&network, &id, Joining { sandbox, gateway: joined.gateway, link });
        if found.is_some() {
            self.pass(&id, found).await?;
        }
        Ok(joined)
    }

    async fn leave(&self, request: Request<Leave>) -> Result<(), DriverError> {
        self.driver.leave(request).await
    }

    async fn program_external_connectivity(
        &self,
        request: Request<ProgramExternalConnectivity>,
    ) -> Result<(), DriverError> {
        let id = request.endpoint_id.clone();
        self.driver.program_external_connectivity(request).await?;
        self.pass(&id, None).await
    }

    async fn revoke_external_connectivity(
        &self,
        request: Request<RevokeExternalConnectivity>,
    ) -> Result<(), DriverError> {
        self.driver.revoke_external_connectivity(request).await
    }

    async fn endpoint_oper_info(
        &self,
        request: Request<EndpointOperInfo>,
    ) -> Result<EndpointInfo, DriverError> {
        let id = request.endpoint_id.clone();
        let told = self.driver.endpoint_oper_info(request).await?;
        self.pass(&id, None).await?;
        Ok(told)
    }

    async fn gw_alloc_check(&self, request: Request<GwAllocCheck>) -> Result<SkippedGateways, DriverError> {
        self.driver.gw_alloc_check(request).await
    }

    async fn allocate_network(
        &self,
        request: Request<AllocateNetwork>,
    ) -> Result<AllocatedNetwork, DriverError> {
        self.driver.allocate_network(request).await
    }

    async fn free_network(&self, request: Request<FreeNetwork>) -> Result<(), DriverError> {
        self.driver.free_network(request).await
    }

    async fn discover_new(&self, request: Request<DiscoverNew>) -> Result<(), DriverError> {
        self.driver.discover_new(request).await
    }

    async fn discover_delete(&self, request: Request<DiscoverDelete>) -> Result<(), DriverError> {
        self.driver.discover_delete(request).await
    }
}
