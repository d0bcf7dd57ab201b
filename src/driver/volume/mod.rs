//! Volumes: directories, memory, directories of the operator's, and what scripts make.
//!
//! Which volumes there are is told by their own directory (`shelf`), so that nobody forgets a volume
//! because a store is away. Who uses which is in the journal before Docker is answered, one
//! [`Holding`] for each volume and id. What is mounted is told by the mount table.
//! The three are compared at start and whenever an operation was cut off, and what only one of them knows
//! of is undone.
//!
//! A volume is mounted for its first user and unmounted after its last. Operations on one volume follow one
//! another, on different volumes they do not wait for each other, and being asked about a volume waits for
//! none. Points and hooks are not known here.

mod disk;
mod leaks;
mod life;
mod mounts;
mod name;
mod options;
mod place;
mod quota;
mod script;
mod serve;
mod shelf;
mod slot;
mod spec;
mod table;
mod uses;
mod using;
mod watch;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use docker_plugin_sdk::driver::DriverError;
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use tracing::{error, warn};

use crate::journal::{CommitError, Journal};
use crate::run::{Holding, HoldingKind};

use super::script::{ScriptError, Scripts};

use shelf::{Contents, Found, Shelf};
use slot::{Held, Slot};

pub use disk::{Disk, Stopping};
pub use leaks::{EngineSeen, Sight};
pub use mounts::MountError;
pub use name::{NameError, VolumeName};
pub use options::OptionsError;
pub use place::PlaceError;
pub use quota::{Lack, QuotaError};
pub use shelf::ShelfError;
pub use spec::{Permissions, Spec};
pub use uses::{Moment, Use, Uses};

/// The longest id of a use, in bytes. Docker's have 64.
const ID_BYTES_MAX: usize = 256;

/// Names the boot of the machine.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// Why a volume could not be made, removed, mounted, unmounted or shown. Docker shows it to its user.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The options are none.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// There is no volume of that name.
    #[error("no such volume")]
    Unknown,
    /// There is one, made with other options.
    #[error("volume `{name}` is there already, with other options")]
    Exists {
        /// Its name.
        name: VolumeName,
    },
    /// What the volume is cannot be read any more.
    #[error("volume `{name}` is broken: {why}")]
    Broken {
        /// Its name.
        name: VolumeName,
        /// What is wrong.
        why: String,
    },
    /// The id of the use is none that Docker makes.
    #[error("the id of a mount has 1 to {ID_BYTES_MAX} printable characters")]
    Id,
    /// The directory cannot be a volume.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The directory of volumes does not do.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// It cannot be limited.
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// It could not be mounted or unmounted.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// The configuration has no such script.
    #[error(transparent)]
    UnknownScript(#[from] ScriptError),
    /// The script failed, or said that it did.
    #[error("{0}")]
    Script(DriverError),
    /// What the script said cannot be understood.
    #[error("script `{script}`: {why}")]
    Reply {
        /// Its name.
        script: String,
        /// What is wrong with its reply.
        why: String,
    },
    /// Who uses the volume cannot be written down.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// Boathook is about to end.
    #[error(transparent)]
    Stopping(#[from] Stopping),
}

/// Why no volume can be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory of volumes does not do.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// The kernel does not say which boot this is.
    #[error("read `{BOOT}`")]
    Boot(#[source] io::Error),
}

/// What the driver works with.
#[derive(Clone, Debug)]
pub struct Tools {
    /// Where uses are written down.
    pub journal: Journal,
    /// Who answers for volumes that a script makes.
    pub scripts: Scripts,
    /// Where is waited for disks.
    pub disk: Disk,
}

/// The volumes of this host. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Volumes {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shelf: Shelf,
    tools: Tools,
    /// Below which directories of the operator's a volume may lie.
    paths: ArcSwap<Vec<PathBuf>>,
    boot: String,
    slots: Mutex<BTreeMap<VolumeName, Arc<Slot>>>,
    /// What was found unfinished at start, until it is undone.
    unfinished: Mutex<Contents>,
}

/// A volume, as Docker shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its name.
    pub name: VolumeName,
    /// Where it is or would be mounted; `None`: only its script knows, when it is.
    pub mountpoint: Option<PathBuf>,
    /// When it was made, to the second, if that can be read.
    pub created_at: Option<Timestamp>,
    /// What else there is to be said.
    pub status: serde_json::Map<String, serde_json::Value>,
}

impl Volumes {
    /// The volumes that lie in `root`, with the uses of them that `holdings` tells. Others may lie below
    /// `paths`, which are absolute.
    ///
    /// Mounts and unmounts nothing: [`Volumes::repair`] does that, or the next operation on a volume. Waits
    /// for the disk.
    ///
    /// # Errors
    ///
    /// When there can be no volumes in `root`.
    pub fn open(
        root: &Path,
        paths: Vec<PathBuf>,
        tools: Tools,
        holdings: &[Holding],
    ) -> Result<Volumes, OpenError> {
        let boot = fs::read_to_string(BOOT).map_err(OpenError::Boot)?.trim().to_owned();
        let shelf = Shelf::open(root)?;
        let mut contents = shelf.scan()?;
        let mut uses = remembered(holdings);
        let slots = std::mem::take(&mut contents.volumes).into_iter().map(|(name, found)| {
            if let Err(why) = &found {
                error!(volume = %name, why, "a volume cannot be read, only removed");
            }
            let uses = uses.remove(&name).unwrap_or_default();
            (name, Arc::new(Slot::new(Some(found), uses)))
        });
        let slots = Mutex::new(slots.collect());
        for (name, uses) in uses {
            // Its directory is gone, or on a disk that is not there: if that comes back, so do the uses.
            warn!(volume = %name, uses = uses.count(), "a volume that was used is not there");
        }
        let (paths, unfinished) = (ArcSwap::from_pointee(paths), Mutex::new(contents));
        Ok(Volumes { inner: Arc::new(Inner { shelf, tools, paths, boot, slots, unfinished }) })
    }

    /// Has the directories below which a volume may lie be these from now on. What is mounted stays.
    pub fn obey(&self, paths: Vec<PathBuf>) {
        self.inner.paths.store(Arc::new(paths));
    }

    /// The volume of that name; `None`: there is none.
    ///
    /// # Errors
    ///
    /// When it is unknown whether there is one: it is not in memory, and the disk cannot be read.
    pub async fn get(&self, name: &str) -> Result<Option<Shown>, VolumeError> {
        // No volume can have another name.
        let Ok(name) = VolumeName::parse(name) else { return Ok(None) };
        let slot = self.find(&name).await?;
        Ok(slot.and_then(|it| self.shown(&name, &it)))
    }

    /// All volumes, by name.
    pub fn list(&self) -> Vec<Shown> {
        let slots: Vec<_> =
            self.slots().iter().map(|(name, slot)| (name.clone(), Arc::clone(slot))).collect();
        slots.iter().filter_map(|(name, slot)| self.shown(name, slot)).collect()
    }

    /// What this instant is called.
    pub fn now(&self) -> Moment {
        let up = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(up.tv_sec).unwrap_or_default();
        let up = Duration::new(seconds, u32::try_from(up.tv_nsec).unwrap_or_default());
        Moment { boot: self.inner.boot.clone(), up }
    }

    fn shelf(&self) -> &Shelf {
        &self.inner.shelf
    }

    fn disk(&self) -> &Disk {
        &self.inner.tools.disk
    }

    fn journal(&self) -> &Journal {
        &self.inner.tools.journal
    }

    fn scripts(&self) -> &Scripts {
        &self.inner.tools.scripts
    }

    fn paths(&self) -> Arc<Vec<PathBuf>> {
        self.inner.paths.load_full()
    }

    fn unfinished(&self) -> MutexGuard<'_, Contents> {
        self.inner.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<VolumeName, Arc<Slot>>> {
        self.inner.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slot of a volume, if there is one; one that came onto the disk behind our back as well.
    async fn find(&self, name: &VolumeName) -> Result<Option<Arc<Slot>>, VolumeError> {
        if let Some(slot) = self.slots().get(name) {
            return Ok(Some(Arc::clone(slot)));
        }
        let (shelf, wanted) = (self.shelf().clone(), name.clone());
        let found = self.disk().run(move || shelf.load(&wanted)).await??;
        let Some(found) = found else { return Ok(None) };
        Ok(Some(self.slot(name, Some(found))))
    }

    /// The slot of a volume, made if it is missing.
    fn slot(&self, name: &VolumeName, found: Option<Found>) -> Arc<Slot> {
        let mut slots = self.slots();
        let slot = slots.entry(name.clone()).or_insert_with(|| Arc::new(Slot::new(found, Uses::default())));
        Arc::clone(slot)
    }

    /// Holds a volume that is there, and knows what is mounted.
    async fn enter(&self, name: &VolumeName) -> Result<Held, VolumeError> {
        loop {
            let slot = self.find(name).await?.ok_or(VolumeError::Unknown)?;
            let held = slot.hold().await;
            if held.state.is_over {
                continue;
            }
            if held.state.found.is_none() {
                return Err(VolumeError::Unknown);
            }
            return self.settled(name, held).await;
        }
    }

    fn shown(&self, name: &VolumeName, slot: &Slot) -> Option<Shown> {
        let view = slot.view();
        let mut status = serde_json::Map::new();
        let (created_at, spec) = match view.found? {
            Ok(record) => (Some(record.created_at), Some(record.spec)),
            Err(why) => {
                status.insert("broken".to_owned(), why.into());
                (None, None)
            }
        };
        status.insert("references".to_owned(), view.uses.into());
        status.extend(spec.as_ref().map(|it| ("type".to_owned(), it.word().into())));
        let is_script = matches!(spec, Some(Spec::Script { .. }));
        let mountpoint = view.mountpoint.or_else(|| (!is_script).then(|| self.shelf().data(name)));
        status.extend(spec.as_ref().and_then(Spec::size).map(|it| ("size".to_owned(), it.into())));
        if let (Some(Spec::Tmpfs { .. }), Some(at)) = (&spec, &mountpoint) {
            let used = (view.uses > 0).then(|| mounts::bytes_used(at)).flatten();
            status.extend(used.map(|it| ("used".to_owned(), it.into())));
        }
        Some(Shown { name: name.clone(), mountpoint, created_at, status })
    }
}

/// The uses that the journal holds, by volume.
fn remembered(holdings: &[Holding]) -> BTreeMap<VolumeName, Uses> {
    let mut all: BTreeMap<VolumeName, Uses> = BTreeMap::new();
    for holding in holdings.iter().filter(|it| it.kind == HoldingKind::Mount) {
        let parts = holding.key.split_once('/');
        let named = parts.and_then(|(name, id)| Some((VolumeName::parse(name).ok()?, id)));
        match (named, holding.read::<Use>()) {
            (Some((name, id)), Ok(it)) => all.entry(name).or_default().put(id, it),
            _ => warn!(key = %holding.key, "a use of a volume cannot be read"),
        }
    }
    all
}
