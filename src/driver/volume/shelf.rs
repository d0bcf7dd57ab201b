//! The directory of volumes: which there are, what each is, and where its data lies.
//!
//! `ROOT/NAME/volume.json` says what a volume is, `ROOT/NAME/_data` is what containers see. A volume comes
//! and goes by one rename, so that there is never half a one. What begins with `.bh-` is no volume: `.bh-new-`
//! is one that is being made, `.bh-gone-` one that was removed and is being deleted. Everything here waits for
//! the disk.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::mounts::{self, MountError};
use super::name::VolumeName;
use super::quota::{self, QuotaError};
use super::spec::{Permissions, Spec};
use super::table::Table;
use crate::trust::{self, Distrust};

/// What a volume is.
const RECORD: &str = "volume.json";

/// What containers see.
const DATA: &str = "_data";

/// Begins the name of a volume that is being made.
const NEW: &str = ".bh-new-";

/// Begins the name of a volume that was removed.
const GONE: &str = ".bh-gone-";

/// Permissions of the directories that lead to the data: nobody else can list them, but a container whose
/// root is another user can pass.
const PASSAGE: u32 = 0o711;

/// Permissions of the data where none are asked for: those of Docker's own volumes.
const DATA_MODE: u32 = 0o755;

/// Permissions of the record: among the options of a script may be a key.
const RECORD_MODE: u32 = 0o600;

/// The longest record that is read, in bytes: options come in one request of Docker's, which has less.
const RECORD_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Why the directory of volumes cannot be used, or not changed.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// Others could have put volumes there.
    #[error("trust the directory of volumes")]
    Distrusted(#[source] Distrust),
    /// A directory or file in it cannot be made, read, moved or deleted.
    #[error("{doing} `{}`", .at.display())]
    Files {
        /// What was tried.
        doing: &'static str,
        /// With what.
        at: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// There is something already where a volume shall be.
    #[error("`{}` is there already", .at.display())]
    Occupied {
        /// Where.
        at: PathBuf,
    },
    /// What is to be deleted has something mounted in it, which is not ours to delete.
    #[error("`{}` is mounted there: unmount it first", .at.display())]
    Mounted {
        /// What is mounted.
        at: PathBuf,
    },
    /// Its data cannot be given to whom it shall belong.
    #[error(transparent)]
    Give(#[from] MountError),
    /// It cannot be limited.
    #[error(transparent)]
    Quota(#[from] QuotaError),
}

/// What there is to know of a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// What it is.
    pub spec: Spec,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A volume on the shelf: what it is, or why that cannot be read.
pub(super) type Found = Result<Record, String>;

/// What was on the shelf when it was opened.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) volumes: Vec<(VolumeName, Found)>,
    /// Those that were never made to the end, as far as it is known what they were to be.
    pub(super) unfinished: Vec<(VolumeName, Option<Record>)>,
    /// What is left to be deleted.
    pub(super) gone: Vec<PathBuf>,
}

/// The directory of volumes.
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    root: PathBuf,
}

impl Shelf {
    /// The directory, which is made if it is missing; the one above must be there.
    pub(super) fn open(root: &Path) -> Result<Shelf, ShelfError> {
        match DirBuilder::new().mode(PASSAGE).create(root) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(files("make", root)(error));
            }
            _ => {}
        }
        trust::vet(root).map_err(ShelfError::Distrusted)?;
        // The mount table knows places by their real paths.
        let root = fs::canonicalize(root).map_err(files("find", root))?;
        Ok(Shelf { root })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of a volume.
    pub(super) fn directory(&self, name: &VolumeName) -> PathBuf {
        self.root.join(name.as_str())
    }

    /// What containers see of it.
    pub(super) fn data(&self, name: &VolumeName) -> PathBuf {
        self.directory(name).join(DATA)
    }

    /// The directory of a volume that is being made.
    pub(super) fn staged(&self, name: &VolumeName) -> PathBuf {
        self.root.join(format!("{NEW}{name}"))
    }

    /// Everything that is there.
    pub(super) fn scan(&self) -> Result<Contents, ShelfError> {
        let mut contents = Contents::default();
        for entry in fs::read_dir(&self.root).map_err(files("list", &self.root))? {
            let entry = entry.map_err(files("list", &self.root))?;
            self.sort(&entry.file_name(), &mut contents);
        }
        Ok(contents)
    }

    fn sort(&self, entry: &OsStr, contents: &mut Contents) {
        let path = self.root.join(entry);
        let Some(text) = entry.to_str() else { return };
        if text.starts_with(GONE) {
            contents.gone.push(path);
        } else if let Some(name) = text.strip_prefix(NEW) {
            match VolumeName::parse(name) {
                Ok(name) => contents.unfinished.push((name, read(&path).ok())),
                Err(_) => contents.gone.push(path),
            }
        } else if let Ok(name) = VolumeName::parse(text)
            && path.is_dir()
        {
            contents.volumes.push((name, read(&path)));
        }
        // Anything else is not ours: `lost+found`, where the directory is a disk of its own.
    }

    /// The volume of that name. `None`: there is none.
    pub(super) fn load(&self, name: &VolumeName) -> Result<Option<Found>, ShelfError> {
        let path = self.directory(name);
        match fs::symlink_metadata(&path) {
            Ok(it) if it.is_dir() => Ok(Some(read(&path))),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(files("look at", &path)(error)),
        }
    }

    /// Writes down what a volume shall be; nobody sees it before [`Shelf::admit`].
    pub(super) fn stage(&self, name: &VolumeName, record: &Record) -> Result<(), ShelfError> {
        let staged = self.staged(name);
        self.unstage(name)?;
        make(&staged, PASSAGE)?;
        let data = staged.join(DATA);
        make(&data, DATA_MODE)?;
        if let Spec::Directory { permissions, path: None, size } = &record.spec {
            mounts::give(&data, permissions)?;
            size.map_or(Ok(()), |it| quota::keep(&staged, &data, it))?;
        }
        write(&staged.join(RECORD), record)?;
        sync(&staged)
    }

    /// Forgets what was staged, which may be nothing.
    pub(super) fn unstage(&self, name: &VolumeName) -> Result<(), ShelfError> {
        delete(&self.staged(name))
    }

    /// Makes what was staged a volume.
    pub(super) fn admit(&self, name: &VolumeName) -> Result<(), ShelfError> {
        let directory = self.directory(name);
        self.rename(&self.staged(name), &directory)
    }

    /// Takes a volume off the shelf. What it was is still to be deleted, at the path that is returned.
    pub(super) fn bury(&self, name: &VolumeName) -> Result<PathBuf, ShelfError> {
        let directory = self.directory(name);
        free_of_mounts(&directory)?;
        let grave = self.root.join(format!("{GONE}{:016x}", fastrand::u64(..)));
        match self.rename(&directory, &grave) {
            // Somebody has deleted it by hand. An error would keep it in the engine's list for good.
            Err(ShelfError::Files { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                warn!(volume = %name, "a volume that is removed was not there any more");
            }
            done => done?,
        }
        Ok(grave)
    }

    /// By one step, which is on disk when this returns. Nothing is ever replaced.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), ShelfError> {
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => sync(&self.root),
            Err(rustix::io::Errno::EXIST) => Err(ShelfError::Occupied { at: to.to_owned() }),
            Err(error) => Err(files("rename", from)(error.into())),
        }
    }
}

/// Deletes what was taken off the shelf, which may take as long as there is data. What cannot be deleted is
/// left for the next start.
pub(super) fn delete_gone(graves: &[PathBuf]) {
    for grave in graves {
        if let Err(error) = delete(grave) {
            let error = &error as &dyn std::error::Error;
            warn!(error, path = %grave.display(), "the data of a removed volume is not deleted yet");
        }
    }
}

/// Deletes a directory and everything in it. Links in it are deleted, not followed.
fn delete(path: &Path) -> Result<(), ShelfError> {
    free_of_mounts(path)?;
    quota::release(path, &path.join(DATA));
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(files("delete", path)(error)),
        _ => Ok(()),
    }
}

/// What is mounted somewhere belongs to somebody else, and is not deleted with the place.
fn free_of_mounts(path: &Path) -> Result<(), ShelfError> {
    let table = Table::read().map_err(MountError::Table)?;
    match table.within(path) {
        Some(at) => Err(ShelfError::Mounted { at: at.to_owned() }),
        None => Ok(()),
    }
}

fn read(directory: &Path) -> Found {
    let path = directory.join(RECORD);
    let text = fs::metadata(&path).and_then(|it| match it.len() <= RECORD_BYTES_MAX {
        true => fs::read(&path),
        false => Err(io::Error::other("it is too long")),
    });
    let told = |error: &dyn std::error::Error| format!("read `{}`: {error}", path.display());
    serde_json::from_slice(&text.map_err(|it| told(&it))?).map_err(|it| told(&it))
}

fn write(path: &Path, record: &Record) -> Result<(), ShelfError> {
    let text = serde_json::to_vec_pretty(record).expect("what a volume is is JSON");
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(RECORD_MODE).open(path);
    file.and_then(|mut it| it.write_all(&text).and_then(|()| it.sync_all())).map_err(files("write", path))
}

fn make(path: &Path, mode: u32) -> Result<(), ShelfError> {
    let made = DirBuilder::new().mode(mode).create(path);
    // Whatever our umask is.
    let permissions = Permissions { mode: Some(mode), ..Permissions::default() };
    made.map_err(files("make", path))?;
    Ok(mounts::give(path, &permissions)?)
}

fn sync(directory: &Path) -> Result<(), ShelfError> {
    File::open(directory).and_then(|it| it.sync_all()).map_err(files("sync", directory))
}

fn files<'a>(doing: &'static str, at: &'a Path) -> impl FnOnce(io::Error) -> ShelfError + use<'a> {
    move |source| ShelfError::Files { doing, at: at.to_owned(), source }
}
