//! Volumes that are opened later than the rest: on a disk that is not there yet, say.

use std::path::{Path, PathBuf};
use std::thread;

use tracing::error;

use crate::driver::script::Scripts;
use crate::driver::volume::{Disk, OpenError, Tools, Volumes};
use crate::journal::Journal;
use crate::run::{Holding, HoldingKind};

/// What volumes are opened with.
#[derive(Clone)]
pub(super) struct Unopened {
    root: PathBuf,
    paths: Vec<PathBuf>,
    tools: Tools,
    /// Who used them when boathook ended. Nobody can do so before they are open.
    uses: Vec<Holding>,
}

impl Unopened {
    /// Volumes in `root`, and below `paths`.
    pub(super) fn new(root: PathBuf, paths: Vec<PathBuf>, journal: Journal, scripts: Scripts) -> Unopened {
        Unopened { root, paths, tools: Tools { journal, scripts, disk: disk() }, uses: Vec::new() }
    }

    /// With the uses among `holdings`.
    pub(super) fn used(mut self, holdings: &[Holding]) -> Unopened {
        self.uses = holdings.iter().filter(|it| it.kind == HoldingKind::Mount).cloned().collect();
        self
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// As [`Volumes::obey`].
    pub(super) fn obey(&mut self, paths: Vec<PathBuf>) {
        self.paths = paths;
    }

    /// Opens them. Waits for the disk.
    pub(super) fn open(&self) -> Result<Volumes, OpenError> {
        Volumes::open(&self.root, self.paths.clone(), self.tools.clone(), &self.uses)
    }
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
