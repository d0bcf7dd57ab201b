//! The driver as the engine calls it.

use docker_plugin_sdk::driver::{DriverError, DriverOptions, Request};
use docker_plugin_sdk::ipam::{
    AllottedAddress, Capabilities, IpamDriver, Pool as Reply, PoolId as ReplyId, ReleaseAddress, ReleasePool,
    RequestAddress, RequestPool,
};

use super::IpamError;
use super::answers::Ipam;
use super::kept::Asker;
use super::pool::{Role, Wish};
use super::pools::{Origin, PoolWish};

/// What is given with `--ipam-opt`: who answers for the pool.
const SCRIPT: &str = "script";

impl Ipam {
    /// The engine makes up a hardware address before it asks, so that containers that were given one are
    /// known by it, and asks again for what it had when it starts.
    pub const CAPABILITIES: Capabilities =
        Capabilities { requires_mac_address: true, requires_request_replay: true };
}

impl IpamDriver for Ipam {
    fn capabilities(&self) -> Capabilities {
        Ipam::CAPABILITIES
    }

    async fn request_pool(&self, request: Request<RequestPool>) -> Result<Reply, DriverError> {
        let wish = PoolWish {
            space: request.address_space.clone(),
            subnet: request.pool,
            range: request.sub_pool,
            v6: request.v6,
            origin: origin(&request.options)?,
        };
        let (id, subnet) = self.request_pool(wish, request.raw()).await?;
        Ok(Reply::new(ReplyId::new(&*id)?, subnet))
    }

    async fn release_pool(&self, request: Request<ReleasePool>) -> Result<(), DriverError> {
        Ok(self.release_pool(request.pool_id.as_str(), request.raw()).await?)
    }

    async fn request_address(
        &self,
        request: Request<RequestAddress>,
    ) -> Result<AllottedAddress, DriverError> {
        let mac = request.mac_address()?.map(|it| it.to_string());
        let name = request.endpoint_name().map(str::to_owned);
        let role = match (request.is_gateway(), mac.is_some() || name.is_some()) {
            (true, _) => Role::Gateway,
            (false, true) => Role::Endpoint,
            // Auxiliary addresses, and what a daemon that starts has had before.
            (false, false) => Role::Unsaid,
        };
        let wish = Wish { address: request.address, role, asker: Asker { key: None, name, mac } };
        let address = self.request_address(request.pool_id.as_str(), wish, request.raw()).await?;
        Ok(AllottedAddress::new(address))
    }

    async fn release_address(&self, request: Request<ReleaseAddress>) -> Result<(), DriverError> {
        let id = request.pool_id.as_str();
        Ok(self.release_address(id, request.address, request.raw()).await?)
    }
}

/// Who answers for a pool, by its options.
fn origin(options: &DriverOptions) -> Result<Option<Origin>, IpamError> {
    if let Some(option) = options.keys().find(|it| *it != SCRIPT) {
        return Err(IpamError::UnknownOption { option: option.clone() });
    }
    Ok(options.get(SCRIPT).map(|it| Origin { script: it.clone(), id: None }))
}
