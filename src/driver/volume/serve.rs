//! The driver, as the engine calls it.

use std::path::PathBuf;
use std::time::SystemTime;

use docker_plugin_sdk::driver::{DriverError, Request};
use docker_plugin_sdk::volume::{Create, Get, Mount, Path, Remove, Unmount, Volume, VolumeDriver};

use super::{Shown, VolumeError, Volumes};

impl VolumeDriver for Volumes {
    async fn create(&self, request: Request<Create>) -> Result<(), DriverError> {
        Ok(Volumes::create(self, request.name.as_str(), &request.options).await?)
    }

    async fn remove(&self, request: Request<Remove>) -> Result<(), DriverError> {
        Ok(Volumes::remove(self, request.name.as_str()).await?)
    }

    async fn mount(&self, request: Request<Mount>) -> Result<PathBuf, DriverError> {
        Ok(Volumes::mount(self, request.name.as_str(), request.id.as_str()).await?)
    }

    async fn unmount(&self, request: Request<Unmount>) -> Result<(), DriverError> {
        Ok(Volumes::unmount(self, request.name.as_str(), request.id.as_str()).await?)
    }

    async fn get(&self, request: Request<Get>) -> Result<Option<Volume>, DriverError> {
        Ok(Volumes::get(self, request.name.as_str()).await?.map(told))
    }

    async fn list(&self) -> Result<Vec<Volume>, DriverError> {
        Ok(Volumes::list(self).into_iter().map(told).collect())
    }

    async fn path(&self, request: Request<Path>) -> Result<Option<PathBuf>, DriverError> {
        let shown = Volumes::get(self, request.name.as_str()).await?;
        Ok(shown.ok_or(VolumeError::Unknown)?.mountpoint)
    }
}

fn told(shown: Shown) -> Volume {
    let Shown { name, mountpoint, created_at, status } = shown;
    let mut volume = Volume::new(name.as_str());
    volume.mountpoint = mountpoint;
    volume.created_at = created_at.map(SystemTime::from);
    volume.status = status;
    volume
}
