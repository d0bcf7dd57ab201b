//! The way to the volume driver, which is there once the store is.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use docker_plugin_sdk::driver::{DriverError, Request};
use docker_plugin_sdk::volume::{Create, Get, Mount, Path, Remove, Unmount, Volume, VolumeDriver};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::driver::volume::Volumes;

/// How long a call waits for the driver. The engine gives up after 60 s, and would then repeat the call
/// (`daemon/volume/drivers/proxy.go` in moby).
const DRIVER_LIMIT: Duration = Duration::from_secs(50);

/// Leads each call to the volumes that are there when it comes, and has it wait if there are none yet. Cheap
/// to clone.
#[derive(Clone)]
pub(super) struct VolumeDoor(Arc<watch::Sender<Option<Volumes>>>);

impl VolumeDoor {
    pub(super) fn to(volumes: Option<Volumes>) -> VolumeDoor {
        VolumeDoor(Arc::new(watch::Sender::new(volumes)))
    }

    /// Leads the calls that come from now on, and those that wait, to `volumes`.
    pub(super) fn lead_to(&self, volumes: Option<Volumes>) {
        self.0.send_replace(volumes);
    }

    /// The volumes, once there are any.
    async fn behind(&self) -> Option<Volumes> {
        let mut volumes = self.0.subscribe();
        let there = volumes.wait_for(Option::is_some).await;
        there.ok().and_then(|it| it.clone())
    }

    async fn soon(&self) -> Result<Volumes, DriverError> {
        let why = "boathook has no store yet, and cannot tell about volumes: see its log";
        timeout(DRIVER_LIMIT, self.behind()).await.ok().flatten().ok_or_else(|| DriverError::new(why))
    }
}

impl VolumeDriver for VolumeDoor {
    async fn create(&self, request: Request<Create>) -> Result<(), DriverError> {
        VolumeDriver::create(&self.soon().await?, request).await
    }

    async fn remove(&self, request: Request<Remove>) -> Result<(), DriverError> {
        VolumeDriver::remove(&self.soon().await?, request).await
    }

    async fn mount(&self, request: Request<Mount>) -> Result<PathBuf, DriverError> {
        VolumeDriver::mount(&self.soon().await?, request).await
    }

    async fn unmount(&self, request: Request<Unmount>) -> Result<(), DriverError> {
        VolumeDriver::unmount(&self.soon().await?, request).await
    }

    /// Never an error while it is not known which volumes there are: the engine would forget the volume's
    /// labels (`restore` in moby, `daemon/volume/service/restore.go`). One whose call takes too long it keeps.
    async fn get(&self, request: Request<Get>) -> Result<Option<Volume>, DriverError> {
        match self.behind().await {
            Some(volumes) => VolumeDriver::get(&volumes, request).await,
            None => std::future::pending().await,
        }
    }

    async fn list(&self) -> Result<Vec<Volume>, DriverError> {
        VolumeDriver::list(&self.soon().await?).await
    }

    async fn path(&self, request: Request<Path>) -> Result<Option<PathBuf>, DriverError> {
        VolumeDriver::path(&self.soon().await?, request).await
    }
}
