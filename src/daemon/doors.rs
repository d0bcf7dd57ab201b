//! The ways into the plugin, which stay when the parts behind them are replaced.
//!
//! The socket is bound before the store is open, and the drivers know nothing without it. The engine, which
//! is starting perhaps, has one try: a call that fails is a network without containers, or a volume whose
//! labels are forgotten. So calls wait here until there is a driver.

use std::path::PathBuf;
use std::time::Duration;

use docker_plugin_sdk::Plugin;
use docker_plugin_sdk::driver::{DriverError, Request};
use docker_plugin_sdk::ipam::{
    self, AddressSpaces, AllottedAddress, IpamDriver, Pool, ReleaseAddress, ReleasePool, RequestAddress,
    RequestPool,
};
use docker_plugin_sdk::network::{
    self, AllocateNetwork, AllocatedNetwork, CreateEndpoint, CreateNetwork, CreatedEndpoint, DeleteEndpoint,
    DeleteNetwork, DiscoverDelete, DiscoverNew, EndpointInfo, EndpointOperInfo, FreeNetwork, GwAllocCheck,
    Join, Joined, Leave, NetworkDriver, ProgramExternalConnectivity, RevokeExternalConnectivity,
    SkippedGateways,
};
use docker_plugin_sdk::volume::{self, Create, Get, Mount, Path, Remove, Unmount, Volume, VolumeDriver};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::info;

use super::core::{AddressPoints, Core, NetworkPoints};
use super::door::Door;
use super::volumes::VolumePoints;
use crate::config::{Kind, Kinds};
use crate::driver::ipam::Ipam;

/// How long a call waits for a driver. The engine itself waits for a volume for 60 s
/// (`daemon/volume/drivers/proxy.go` in moby), and whoever has typed a command not much longer.
const WAIT: Duration = Duration::from_secs(50);

/// The ways in, one for each kind of plugin.
pub(super) struct Doors {
    gate: Door,
    networks: DriverDoor<NetworkPoints, network::Capabilities>,
    addresses: DriverDoor<AddressPoints, ipam::Capabilities>,
    volumes: DriverDoor<VolumePoints, volume::Capabilities>,
}

impl Doors {
    /// The ways into `core`.
    pub(super) fn to(core: &Core) -> Doors {
        Doors {
            gate: Door::to(core.gatekeeper()),
            networks: DriverDoor::to(core.networks(), network::Capabilities::default()),
            addresses: DriverDoor::to(core.addresses(), Ipam::CAPABILITIES),
            volumes: DriverDoor::to(core.volumes(), volume::Capabilities::default()),
        }
    }

    /// Leads the calls that come from now on into `core`, and those that wait for a driver.
    pub(super) fn lead_to(&self, core: &Core) {
        self.gate.lead_to(core.gatekeeper());
        self.networks.lead_to(core.networks());
        self.addresses.lead_to(core.addresses());
        self.volumes.lead_to(core.volumes());
    }

    /// Leads calls to volumes, which the core did not have at first.
    pub(super) fn lead_to_volumes(&self, volumes: VolumePoints) {
        self.volumes.lead_to(Some(volumes));
    }

    /// The plugin that has these kinds of ways in.
    pub(super) fn plugin(&self, kinds: Kinds) -> Plugin {
        let mut plugin = Plugin::builder();
        if kinds.contains(Kind::Authz) {
            plugin = plugin.authorization(self.gate.clone());
        }
        if kinds.contains(Kind::Network) {
            plugin = plugin.network(self.networks.clone());
        }
        if kinds.contains(Kind::Ipam) {
            plugin = plugin.ipam(self.addresses.clone());
        }
        if kinds.contains(Kind::Volume) {
            plugin = plugin.volume(self.volumes.clone());
        }
        plugin.build()
    }
}

/// Leads each call to the driver that is there when it comes, or that comes soon. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct DriverDoor<D, C> {
    driver: watch::Sender<Option<D>>,
    /// What the engine is told of the driver, before there is one.
    capabilities: C,
}

impl<D: Clone, C> DriverDoor<D, C> {
    /// A door to `driver`; `None`: it leads nowhere yet.
    pub(super) fn to(driver: Option<D>, capabilities: C) -> DriverDoor<D, C> {
        DriverDoor { driver: watch::Sender::new(driver), capabilities }
    }

    /// Leads the calls that wait, and those that come, to `driver`; those under way stay where they are.
    pub(super) fn lead_to(&self, driver: Option<D>) {
        self.driver.send_replace(driver);
    }

    /// The driver, however long it takes.
    async fn driver(&self) -> D {
        let mut driver = self.driver.subscribe();
        if driver.borrow().is_none() {
            info!("a driver call of docker's waits for the store");
        }
        let there = driver.wait_for(Option::is_some).await.expect("the door keeps the other end");
        there.clone().expect("it was waited for")
    }

    /// The driver, if it is there in time.
    async fn open(&self) -> Result<D, DriverError> {
        let late = |_| DriverError::new("boathook cannot open its journal; its log says why, and what to do");
        timeout(WAIT, self.driver()).await.map_err(late)
    }
}

/// Hands the methods of a driver on.
macro_rules! hand_on {
    ($driver:ident: $($method:ident($request:ty) -> $reply:ty;)+) => {
        $(
            async fn $method(&self, request: Request<$request>) -> Result<$reply, DriverError> {
                $driver::$method(&self.open().await?, request).await
            }
        )+
    };
}

impl<D: NetworkDriver + Clone> NetworkDriver for DriverDoor<D, network::Capabilities> {
    fn capabilities(&self) -> network::Capabilities {
        self.capabilities
    }

    hand_on! { NetworkDriver:
        create_network(CreateNetwork) -> ();
        delete_network(DeleteNetwork) -> ();
        create_endpoint(CreateEndpoint) -> CreatedEndpoint;
        delete_endpoint(DeleteEndpoint) -> ();
        join(Join) -> Joined;
        leave(Leave) -> ();
        program_external_connectivity(ProgramExternalConnectivity) -> ();
        revoke_external_connectivity(RevokeExternalConnectivity) -> ();
        endpoint_oper_info(EndpointOperInfo) -> EndpointInfo;
        gw_alloc_check(GwAllocCheck) -> SkippedGateways;
        allocate_network(AllocateNetwork) -> AllocatedNetwork;
        free_network(FreeNetwork) -> ();
        discover_new(DiscoverNew) -> ();
        discover_delete(DiscoverDelete) -> ();
    }
}

impl<D: IpamDriver + Clone> IpamDriver for DriverDoor<D, ipam::Capabilities> {
    fn capabilities(&self) -> ipam::Capabilities {
        self.capabilities
    }

    fn address_spaces(&self) -> AddressSpaces {
        AddressSpaces::default()
    }

    hand_on! { IpamDriver:
        request_pool(RequestPool) -> Pool;
        release_pool(ReleasePool) -> ();
        request_address(RequestAddress) -> AllottedAddress;
        release_address(ReleaseAddress) -> ();
    }
}

impl<D: VolumeDriver + Clone> VolumeDriver for DriverDoor<D, volume::Capabilities> {
    fn capabilities(&self) -> volume::Capabilities {
        self.capabilities
    }

    hand_on! { VolumeDriver:
        create(Create) -> ();
        remove(Remove) -> ();
        mount(Mount) -> PathBuf;
        unmount(Unmount) -> ();
        path(Path) -> Option<PathBuf>;
    }

    /// Never says that it cannot tell: any error is "no such volume" to the engine, which then forgets the
    /// volume's labels and options. An engine that is not answered keeps them (`restore` in moby,
    /// `daemon/volume/service/restore.go`).
    async fn get(&self, request: Request<Get>) -> Result<Option<Volume>, DriverError> {
        VolumeDriver::get(&self.driver().await, request).await
    }

    async fn list(&self) -> Result<Vec<Volume>, DriverError> {
        VolumeDriver::list(&self.open().await?).await
    }
}
