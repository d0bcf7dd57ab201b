//! Volume drivers: what is behind a volume, and where it is mounted.
//!
//! | when | calls |
//! |---|---|
//! | `volume create`, or the first use | [`Get`], and [`Create`] if there is none |
//! | a container starts, or `docker cp` reaches into it | [`Get`], [`Mount`] |
//! | a container is created from an image that has files where an empty volume goes | [`Get`], [`Mount`], [`Get`], [`Unmount`] |
//! | a container stops | [`Get`], [`Unmount`] |
//! | `volume rm` | [`Get`] twice, [`Remove`] |
//! | `volume ls` | `List` |
//! | the engine starts | [`Get`] for each volume that it knows |
//!
//! What surprises those who write one:
//!
//! - Any error in an answer to [`Get`] means to the engine that the volume does not exist. At its start it then
//!   forgets the volume's labels and options (`restore` in moby, `daemon/volume/service/restore.go`). A driver
//!   whose storage cannot be reached for a moment answers from memory.
//! - After a crash of the engine an [`Unmount`] may never come. A mount whose container is gone is the driver's
//!   to find.
//! - The id of a mount is not that of a container, and the same one comes again with `docker cp`: mounts are
//!   counted by volume and id, not by calls. An [`Unmount`] of an unknown id is a success.
//! - Labels of volumes are not passed.
//!
//! The engine gives up after 120 s for [`Create`] and [`Mount`], and after 60 s for the others
//! (`daemon/volume/drivers/proxy.go` in moby).

mod reply;
mod request;

use std::path::PathBuf;
use std::sync::Arc;

pub use reply::{Capabilities, Volume};
pub use request::{Create, Get, Mount, MountId, Path, Remove, Unmount, VolumeName};

use crate::driver::{DriverError, Request, Table, constant, done};
use crate::method::{Method, plain_error, to_json};
use reply::{Found, Listed, MountedAt, Promised};

/// The name of this kind in the reply to `/Plugin.Activate`.
pub(crate) const IMPLEMENTS: &str = "VolumeDriver";

/// What the engine is told of a volume that there is not. It takes any text for that.
const NO_SUCH_VOLUME: &str = "no such volume";

/// Makes volumes and mounts them.
///
/// Calls come concurrently and may come twice: each has to do for a volume that is already there, or already
/// gone, what it would do for any other.
pub trait VolumeDriver: Send + Sync + 'static {
    /// What the engine is told about the driver. Asked for once, when the plugin is built.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Makes a volume.
    fn create(&self, request: Request<Create>) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// Removes a volume, which no container refers to. After an error it stays.
    fn remove(&self, request: Request<Remove>) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// Makes a volume's files available in a folder of the host, which the engine binds into the container.
    /// The folder must be there, in the engine's mount namespace, when the answer goes out.
    fn mount(&self, request: Request<Mount>) -> impl Future<Output = Result<PathBuf, DriverError>> + Send;

    /// Takes back one mount. An error is logged by the engine, and nothing else comes of it.
    fn unmount(&self, request: Request<Unmount>) -> impl Future<Output = Result<(), DriverError>> + Send;

    /// The volume of this name, or `None` if there is none. Errors mean the same to the engine: see the
    /// [module](self).
    fn get(&self, request: Request<Get>) -> impl Future<Output = Result<Option<Volume>, DriverError>> + Send;

    /// All volumes of the driver.
    fn list(&self) -> impl Future<Output = Result<Vec<Volume>, DriverError>> + Send;

    /// Where a volume is mounted, if it is. What [`get`](VolumeDriver::get) says unless implemented.
    fn path(
        &self,
        request: Request<Path>,
    ) -> impl Future<Output = Result<Option<PathBuf>, DriverError>> + Send {
        async {
            let volume = self.get(request.map(|it| Get { name: it.name })).await?;
            let volume = volume.ok_or_else(|| DriverError::new(NO_SUCH_VOLUME))?;
            Ok(volume.mountpoint)
        }
    }
}

/// The methods of this kind.
pub(crate) fn methods<D: VolumeDriver>(driver: Arc<D>) -> Vec<Method> {
    let capabilities = to_json(&Promised { capabilities: driver.capabilities() });
    let table = Table { driver, error: plain_error };
    vec![
        constant("/VolumeDriver.Capabilities", capabilities, plain_error),
        table.method(|it, request| async move { it.create(request).await.map(done) }),
        table.method(|it, request| async move { it.remove(request).await.map(done) }),
        table.method(|it, request| async move {
            it.mount(request).await.map(|path| MountedAt { mountpoint: path })
        }),
        table.method(|it, request| async move { it.unmount(request).await.map(done) }),
        table.method(|it, request| async move {
            let volume = it.get(request).await?;
            volume.map(|volume| Found { volume }).ok_or_else(|| DriverError::new(NO_SUCH_VOLUME))
        }),
        table.method(|it, request| async move {
            it.path(request).await.map(|path| MountedAt { mountpoint: path.unwrap_or_default() })
        }),
        table.bare_method("/VolumeDriver.List", |it| async move {
            it.list().await.map(|volumes| Listed { volumes })
        }),
    ]
}
