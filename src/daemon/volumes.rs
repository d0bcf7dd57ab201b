//! The volumes of a core: opened with it, or later, on a disk that is not there yet, say.

use std::path::PathBuf;
use std::thread;

use docker_plugin_sdk::volume::{MountId, VolumeName};
use futures_util::FutureExt as _;
use tokio::task::{self, spawn_blocking};
use tracing::{error, info};

use super::obeyed::chain;
use super::parts::Running;
use super::station::Station;
use crate::driver::script::Scripts;
use crate::driver::volume::{Disk, OpenError, Tools, Volumes};
use crate::journal::Journal;
use crate::run::{Holding, HoldingKind};
use crate::source::beat::Beat;
use crate::source::drivers::{self, Points};
use crate::source::volumes::VolumeWatch;

/// Volumes, and the points that they reach.
pub(super) type VolumePoints = drivers::Volumes<Volumes>;

/// What volumes are opened with.
#[derive(Clone)]
pub(super) struct Unopened {
    root: PathBuf,
    paths: Vec<PathBuf>,
    tools: Tools,
    /// Who used them when boathook ended. Nobody can do so before they are open.
    uses: Vec<Holding>,
}

/// Volumes that could not be opened, and what is needed once they are.
pub(super) struct Late {
    pub(super) unopened: Unopened,
    pub(super) points: Points,
    pub(super) beat: Beat,
}

impl Unopened {
    /// Volumes in `root`, and below `paths`, with the uses among `holdings`.
    pub(super) fn new(
        root: PathBuf,
        paths: Vec<PathBuf>,
        journal: Journal,
        scripts: Scripts,
        holdings: &[Holding],
    ) -> Unopened {
        let uses = holdings.iter().filter(|it| it.kind == HoldingKind::Mount).cloned().collect();
        Unopened { root, paths, tools: Tools { journal, scripts, disk: disk() }, uses }
    }

    /// The volumes, or else what cannot be opened yet, and why not is told. Waits for the disk.
    pub(super) fn open_or_tell(self) -> (Option<Volumes>, Option<Unopened>) {
        match self.open() {
            Ok(volumes) => (Some(volumes), None),
            Err(it) => {
                error!(error = chain(&it), root = %self.root.display(), "there are no volumes");
                (None, Some(self))
            }
        }
    }

    fn open(&self) -> Result<Volumes, OpenError> {
        Volumes::open(&self.root, self.paths.clone(), self.tools.clone(), &self.uses)
    }
}

impl Late {
    /// As [`Volumes::obey`].
    pub(super) fn obey(&mut self, paths: Vec<PathBuf>) {
        self.unopened.paths = paths;
    }

    /// The volumes, if they can be opened now. Why not has been told.
    pub(super) async fn open(&self) -> Option<Volumes> {
        let unopened = self.unopened.clone();
        let volumes = spawn_blocking(move || unopened.open()).await.ok()?.ok()?;
        info!(root = %self.unopened.root.display(), "there are volumes now");
        Some(volumes)
    }
}

/// The points around `volumes`.
pub(super) fn points_of(volumes: Volumes, points: Points) -> VolumePoints {
    let uses = volumes.clone();
    let is_used = move |name: VolumeName, id: MountId| {
        let uses = uses.clone();
        // What cannot be told is told by the mount itself.
        async move { uses.is_used(name.as_str(), id.as_str()).await.unwrap_or(false) }.boxed()
    };
    drivers::Volumes::new(volumes, points, is_used)
}

/// Has leftovers looked for, as long as events are followed.
pub(super) fn look_after(volumes: Volumes, beat: Beat, parts: &mut Running, station: &Station) -> task::Id {
    let watch = VolumeWatch::new(beat, volumes);
    parts.spawn("volumes", station.handle(), async {
        watch.run().await;
        Ok(())
    })
}

/// Where the drivers wait for disks: on a thread of its own each time, which may outlive us. A pool would be
/// waited for at the end, for as long as there is data to delete.
fn disk() -> Disk {
    Disk::new(|work| {
        let begun = thread::Builder::new().name("disk".to_owned()).spawn(work);
        if let Err(error) = begun {
            error!(%error, "no thread for a driver's work on a disk");
        }
    })
}
