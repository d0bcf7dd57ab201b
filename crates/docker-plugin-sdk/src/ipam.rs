//! Address drivers (IPAM): who gets which address.
//!
//! The engine asks for a pool for each subnet of a network (`docker network create --ipam-driver NAME`), for
//! the gateway's address in it, and then for one address for each container that comes.
//!
//! | when | calls |
//! |---|---|
//! | `network create` | [`RequestPool`] for each subnet, [`RequestAddress`] for its gateway and auxiliary addresses |
//! | a container starts on the network, or is connected | [`RequestAddress`] |
//! | it stops, or is disconnected | [`ReleaseAddress`] |
//! | `network rm` | [`ReleaseAddress`] for what is left, [`ReleasePool`] |
//! | the engine starts again | with [`Capabilities::requires_request_replay`] all requests once more, otherwise none |
//!
//! What surprises those who write one:
//!
//! - A pool without a given subnet may be asked for again while the first is held, when the first overlaps a
//!   route of the host. The answer must be another one.
//! - In a replay the engine asks for what it already has. An address that is asked for by name is granted
//!   however often it is asked for by its holder.
//! - If the driver cannot be reached during the replay, the replay is lost.

mod reply;
mod request;

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

pub use reply::{AddressSpaces, AllottedAddress, Capabilities, Pool};
pub use request::{PoolId, ReleaseAddress, ReleasePool, RequestAddress, RequestPool};

use crate::driver::{DriverError, Request, Table, constant, done};
use crate::method::{Method, to_json};

/// The name of this kind in the reply to `/Plugin.Activate`.
pub(crate) const IMPLEMENTS: &str = "IpamDriver";

/// Hands out pools of addresses, and addresses from them.
///
/// Calls come concurrently, without a deadline of the engine's, and may come twice.
pub trait IpamDriver: Send + Sync + 'static {
    /// What the engine is told about the driver. Asked for once, when the plugin is built.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// The names under which pools are asked for. Asked for once, when the plugin is built.
    fn address_spaces(&self) -> AddressSpaces {
        AddressSpaces::default()
    }

    /// Reserves a pool: the one that is asked for, or any.
    fn request_pool(
        &self,
        request: Request<RequestPool>,
    ) -> impl Future<Output = Result<Pool, DriverError>> + Send;

    /// Gives a pool back.
    fn release_pool(
        &self,
        request: Request<ReleasePool>,
    ) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// Reserves an address: the one that is asked for, or any.
    fn request_address(
        &self,
        request: Request<RequestAddress>,
    ) -> impl Future<Output = Result<AllottedAddress, DriverError>> + Send;

    /// Gives an address back.
    fn release_address(
        &self,
        request: Request<ReleaseAddress>,
    ) -> impl Future<Output = Result<(), DriverError>> + Send;
}

/// The methods of this kind.
pub(crate) fn methods<D: IpamDriver>(driver: Arc<D>) -> Vec<Method> {
    let capabilities = to_json(&driver.capabilities());
    let spaces = to_json(&driver.address_spaces());
    let table = Table { driver, error };
    vec![
        constant("/IpamDriver.GetCapabilities", capabilities, error),
        constant("/IpamDriver.GetDefaultAddressSpaces", spaces, error),
        table.method(|it, request| async move { it.request_pool(request).await }),
        table.method(|it, request| async move { it.release_pool(request).await.map(done) }),
        table.method(|it, request| async move { it.request_address(request).await }),
        table.method(|it, request| async move { it.release_address(request).await.map(done) }),
    ]
}

/// The error shape of this kind, whose key differs from that of all others (`Response` in moby,
/// `daemon/libnetwork/ipams/remote/api/api.go`).
fn error(text: &str) -> Bytes {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct IpamError<'a> {
        error: &'a str,
    }
    to_json(&IpamError { error: text })
}
