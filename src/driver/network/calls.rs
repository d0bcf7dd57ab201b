//! The engine's calls, one by one.

use docker_plugin_sdk::driver::{DriverError, Request};
use docker_plugin_sdk::network::{
    CreateEndpoint, CreateNetwork, CreatedEndpoint, DeleteEndpoint, DeleteNetwork, EndpointInfo,
    EndpointOperInfo, Join, Joined, Leave, NetworkDriver, ProgramExternalConnectivity,
    RevokeExternalConnectivity,
};

use super::Networks;

impl NetworkDriver for Networks {
    async fn create_network(&self, request: Request<CreateNetwork>) -> Result<(), DriverError> {
        self.desk.create_network(request).await
    }

    async fn delete_network(&self, request: Request<DeleteNetwork>) -> Result<(), DriverError> {
        self.desk.delete_network(request).await
    }

    async fn create_endpoint(
        &self,
        request: Request<CreateEndpoint>,
    ) -> Result<CreatedEndpoint, DriverError> {
        self.desk.create_endpoint(request).await
    }

    async fn delete_endpoint(&self, request: Request<DeleteEndpoint>) -> Result<(), DriverError> {
        self.desk.delete_endpoint(request).await
    }

    async fn join(&self, request: Request<Join>) -> Result<Joined, DriverError> {
        self.desk.join(request).await
    }

    async fn leave(&self, request: Request<Leave>) -> Result<(), DriverError> {
        self.desk.leave(request).await
    }

    async fn program_external_connectivity(
        &self,
        request: Request<ProgramExternalConnectivity>,
    ) -> Result<(), DriverError> {
        self.desk.program(request).await
    }

    async fn revoke_external_connectivity(
        &self,
        request: Request<RevokeExternalConnectivity>,
    ) -> Result<(), DriverError> {
        self.desk.revoke(request).await
    }

    async fn endpoint_oper_info(
        &self,
        request: Request<EndpointOperInfo>,
    ) -> Result<EndpointInfo, DriverError> {
        self.desk.tell(request).await
    }
}
