//! Network drivers: what a network, and a container's place on it, is made of.
//!
//! The engine calls a driver when one of its networks is made (`docker network create -d NAME`) and removed,
//! and for every *endpoint*, which is one stay of one container on one network: it begins with the
//! container's start and ends with its stop, and a restart makes a new one with a new id.
//!
//! | when | calls |
//! |---|---|
//! | `network create` | [`CreateNetwork`], before it perhaps [`GwAllocCheck`] |
//! | `network rm` | [`DeleteNetwork`] |
//! | a container starts, or is connected while it runs | [`CreateEndpoint`], [`Join`], [`ProgramExternalConnectivity`] if its default route goes this way, [`EndpointOperInfo`] |
//! | it ends, or is disconnected | [`RevokeExternalConnectivity`], [`Leave`], [`DeleteEndpoint`] |
//! | the engine starts again | nothing for networks; the second half of the above for endpoints that were left over |
//!
//! What surprises those who write one:
//!
//! - No request names the container, and inspecting it in a call blocks for ever: the engine holds its lock.
//! - The engine moves the interface into the container, not the driver. Before engine 28 the file of
//!   [`Join::sandbox_key`] does not exist yet when `Join` is called for a container that starts.
//! - Errors in `Leave`, `DeleteEndpoint` and `DeleteNetwork` stop nothing: the engine logs them and forgets
//!   the object.
//! - An empty reply to `Join` is not "no network": see [`Joined::disable_gateway_service`].

mod options;
mod reply;
mod request;

use std::sync::Arc;

pub use options::{
    EndpointOptions, GENERIC_OPTION, NetworkOptions, OptionError, PortBinding, Protocol, TransportPort,
};
pub use reply::{
    AllocatedNetwork, Capabilities, CreatedEndpoint, EndpointInfo, InterfaceName, Joined, SkippedGateways,
    StaticRoute, Via,
};
pub use request::{
    AllocateNetwork, CreateEndpoint, CreateNetwork, DeleteEndpoint, DeleteNetwork, DiscoverDelete,
    DiscoverNew, EndpointId, EndpointOperInfo, FreeNetwork, GwAllocCheck, Interface, Join, Leave, NetworkId,
    Node, PoolData, ProgramExternalConnectivity, RevokeExternalConnectivity,
};

use crate::driver::{DriverError, Request, Table, constant, done};
use crate::method::{Method, plain_error, to_json};

/// The name of this kind in the reply to `/Plugin.Activate`.
pub(crate) const IMPLEMENTS: &str = "NetworkDriver";

/// Makes networks and endpoints.
///
/// Calls come concurrently, without a deadline of the engine's, and may come twice: each has to do for an
/// object that is already there, or already gone, what it would do for any other. Methods with a default are
/// those that a driver can do without.
pub trait NetworkDriver: Send + Sync + 'static {
    /// What the engine is told about the driver. Asked for once, when the plugin is built.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Makes a network. Never called again for a network that is there, so what the driver has to know of it
    /// later is the driver's to keep.
    fn create_network(
        &self,
        request: Request<CreateNetwork>,
    ) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// Removes a network. The engine forgets it whatever the answer is.
    fn delete_network(
        &self,
        request: Request<DeleteNetwork>,
    ) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// Makes an endpoint, and adds what of its addresses the request leaves open. After an error
    /// `delete_endpoint` is not called.
    ///
    /// Addresses in the answer that the request has are left out of the reply: the engine undoes an endpoint
    /// whose driver returns what it was given, even unchanged.
    fn create_endpoint(
        &self,
        request: Request<CreateEndpoint>,
    ) -> impl Future<Output = Result<CreatedEndpoint, DriverError>> + Send;

    /// Removes an endpoint. The engine forgets it whatever the answer is.
    fn delete_endpoint(
        &self,
        request: Request<DeleteEndpoint>,
    ) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// Says which interface of the host goes into the container, and how it is routed there. An error makes
    /// the start fail, and is followed by `delete_endpoint`, not by `leave`.
    fn join(&self, request: Request<Join>) -> impl Future<Output = Result<Joined, DriverError>> + Send;

    /// Told before the engine takes the interface out of the container again.
    fn leave(&self, request: Request<Leave>) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// Told that the container's default route goes through this endpoint, so that published ports lead here.
    /// Nothing unless implemented.
    fn program_external_connectivity(
        &self,
        request: Request<ProgramExternalConnectivity>,
    ) -> impl Future<Output = Result<(), DriverError>> + Send {
        _ = request;
        async { Ok(()) }
    }

    /// Told that it no longer does. Engine 28 also calls it for endpoints that were never programmed. Nothing
    /// unless implemented.
    fn revoke_external_connectivity(
        &self,
        request: Request<RevokeExternalConnectivity>,
    ) -> impl Future<Output = Result<(), DriverError>> + Send {
        _ = request;
        async { Ok(()) }
    }

    /// What there is to know of an endpoint. Called once or more during a start, for the container's other
    /// endpoints as well. Nothing unless implemented.
    fn endpoint_oper_info(
        &self,
        request: Request<EndpointOperInfo>,
    ) -> impl Future<Output = Result<EndpointInfo, DriverError>> + Send {
        _ = request;
        async { Ok(EndpointInfo::default()) }
    }

    /// Which gateway addresses a network that is about to be made does without. Called by engine 28 and later,
    /// and only if [`Capabilities::gw_alloc_checker`] announces it. Does without none unless implemented.
    fn gw_alloc_check(
        &self,
        request: Request<GwAllocCheck>,
    ) -> impl Future<Output = Result<SkippedGateways, DriverError>> + Send {
        _ = request;
        async { Ok(SkippedGateways::default()) }
    }

    /// Allots what a network needs across a cluster. Called on managers of a swarm, for drivers of global
    /// scope. Nothing unless implemented.
    fn allocate_network(
        &self,
        request: Request<AllocateNetwork>,
    ) -> impl Future<Output = Result<AllocatedNetwork, DriverError>> + Send {
        _ = request;
        async { Ok(AllocatedNetwork::default()) }
    }

    /// Gives back what was allotted. Nothing unless implemented.
    fn free_network(
        &self,
        request: Request<FreeNetwork>,
    ) -> impl Future<Output = Result<(), DriverError>> + Send {
        _ = request;
        async { Ok(()) }
    }

    /// Told of a node that joined the cluster, for drivers of global connectivity. Nothing unless
    /// implemented.
    fn discover_new(
        &self,
        request: Request<DiscoverNew>,
    ) -> impl Future<Output = Result<(), DriverError>> + Send {
        _ = request;
        async { Ok(()) }
    }

    /// Told of a node that left. Nothing unless implemented.
    fn discover_delete(
        &self,
        request: Request<DiscoverDelete>,
    ) -> impl Future<Output = Result<(), DriverError>> + Send {
        _ = request;
        async { Ok(()) }
    }
}

/// The methods of this kind.
pub(crate) fn methods<D: NetworkDriver>(driver: Arc<D>) -> Vec<Method> {
    let capabilities = to_json(&driver.capabilities());
    let table = Table { driver, error: plain_error };
    vec![
        constant("/NetworkDriver.GetCapabilities", capabilities, plain_error),
        table.method(|it, request| async move { it.gw_alloc_check(request).await }),
        table.method(|it, request| async move { it.allocate_network(request).await }),
        table.method(|it, request| async move { it.free_network(request).await.map(done) }),
        table.method(|it, request| async move { it.create_network(request).await.map(done) }),
        table.method(|it, request| async move { it.delete_network(request).await.map(done) }),
        table.method(|it, request: Request<CreateEndpoint>| async move {
            let given = request.interface;
            it.create_endpoint(request).await.map(|it| it.without(&given))
        }),
        table.method(|it, request| async move { it.delete_endpoint(request).await.map(done) }),
        table.method(|it, request| async move { it.endpoint_oper_info(request).await }),
        table.method(|it, request| async move { it.join(request).await }),
        table.method(|it, request| async move { it.leave(request).await.map(done) }),
        table.method(|it, request| async move { it.program_external_connectivity(request).await.map(done) }),
        table.method(|it, request| async move { it.revoke_external_connectivity(request).await.map(done) }),
        table.method(|it, request| async move { it.discover_new(request).await.map(done) }),
        table.method(|it, request| async move { it.discover_delete(request).await.map(done) }),
    ]
}
