//! A volume driver that keeps each volume in a folder, and counts who uses it.
//!
//! Run it as root, then ask the engine for a volume of it:
//!
//! ```text
//! cargo run --example volume -- /run/docker/plugins/folders.sock /var/lib/folders &
//! docker run --rm --volume-driver folders -v notes:/notes busybox sh -c 'echo hello > /notes/today'
//! ```
//!
//! A volume is a folder with two more in it: its files, and an empty file for each use of it. So nothing is
//! forgotten at a restart, a use that is told twice counts once, and each call may come twice.

use std::error::Error;
use std::fs;
use std::io::{self, Write, stderr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use docker_plugin_sdk::driver::{DriverError, Request};
use docker_plugin_sdk::volume::{Create, Get, Mount, Remove, Unmount, Volume, VolumeDriver, VolumeName};
use docker_plugin_sdk::{Plugin, Socket};
use serde_json::json;

/// How long calls in flight may take once the plugin is to end.
const DRAIN_MAX: Duration = Duration::from_secs(30);

struct Folders {
    root: PathBuf,
}

impl Folders {
    /// The folder of a volume. Docker leaves it to its drivers what a name may be.
    fn folder(&self, name: &VolumeName) -> Result<PathBuf, DriverError> {
        let name = name.as_file_name().ok_or_else(|| {
            DriverError::new(format!(
                "`{name}` is not a volume's name: use letters, digits, `_`, `.` and `-`"
            ))
        })?;
        Ok(self.root.join(name))
    }

    fn volume(&self, name: &str) -> io::Result<Option<Volume>> {
        let folder = self.root.join(name);
        let made = match fs::metadata(files(&folder)) {
            Ok(made) => made,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let uses = fs::read_dir(uses(&folder))?.count();
        Ok(Some(Volume {
            mountpoint: (uses > 0).then(|| files(&folder)),
            created_at: made.created().ok(),
            status: [("uses".to_owned(), json!(uses))].into_iter().collect(),
            ..Volume::new(name)
        }))
    }
}

impl VolumeDriver for Folders {
    async fn create(&self, request: Request<Create>) -> Result<(), DriverError> {
        if let Some(option) = request.options.keys().next() {
            return Err(DriverError::new(format!("there is no option `{option}`")));
        }
        let folder = self.folder(&request.name)?;
        fs::create_dir_all(uses(&folder))?;
        // Last: with its files a volume is there.
        Ok(fs::create_dir_all(files(&folder))?)
    }

    async fn remove(&self, request: Request<Remove>) -> Result<(), DriverError> {
        let folder = self.folder(&request.name)?;
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => Ok(removed?),
        }
    }

    async fn mount(&self, request: Request<Mount>) -> Result<PathBuf, DriverError> {
        let folder = self.folder(&request.name)?;
        fs::write(uses(&folder).join(request.id.as_str()), "")?;
        Ok(files(&folder))
    }

    async fn unmount(&self, request: Request<Unmount>) -> Result<(), DriverError> {
        let folder = self.folder(&request.name)?;
        match fs::remove_file(uses(&folder).join(request.id.as_str())) {
            // Told before, or of a use that was not told at all: the engine may have crashed in between.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => Ok(removed?),
        }
    }

    async fn get(&self, request: Request<Get>) -> Result<Option<Volume>, DriverError> {
        match request.name.as_file_name() {
            Some(name) => Ok(self.volume(name)?),
            None => Ok(None),
        }
    }

    async fn list(&self) -> Result<Vec<Volume>, DriverError> {
        let mut volumes = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            volumes.extend(self.volume(&name)?);
        }
        Ok(volumes)
    }
}

/// What containers see of a volume.
fn files(folder: &Path) -> PathBuf {
    folder.join("files")
}

/// A file for each use of a volume, by the id of the mount.
fn uses(folder: &Path) -> PathBuf {
    folder.join("uses")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or("/run/docker/plugins/folders.sock".into());
    let root = PathBuf::from(arguments.next().unwrap_or("/var/lib/folders".into()));
    fs::create_dir_all(&root)?;
    let listener = Socket::new(path).bind()?;
    let plugin = Plugin::builder().volume(Folders { root }).build();
    let interrupted = async { _ = tokio::signal::ctrl_c().await };
    let drained = plugin.serve(listener, interrupted, DRAIN_MAX).await?;
    writeln!(stderr(), "answered while draining: {}, cut off: {}", drained.answered, drained.cut_off)?;
    Ok(())
}
