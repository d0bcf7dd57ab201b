//! The journal that a command reads.
//!
//! It lies where the configuration says. A configuration with mistakes in it is no reason not to show
//! what is owed: of that as much is read as can be.

use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::failure::{Fix, UNREACHABLE, USAGE};
use crate::config;
use crate::journal::{self, BackupError, OpenError, ReadError, Reader, WishError};

/// A store that is open to be read.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) dir: PathBuf,
    pub(super) reader: Reader,
}

/// Why the journal cannot be reached.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    /// The configuration that was named is not there.
    #[error("read `{}`", .path.display())]
    Config { path: PathBuf, source: io::Error },
    /// There is no store, or none that can be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It can be read no longer.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It cannot be written.
    #[error(transparent)]
    Wish(#[from] WishError),
    /// Nobody can say who holds it.
    #[error("see who holds `{}`", .dir.display())]
    Holder { dir: PathBuf, source: io::Error },
}

impl StoreError {
    /// The exit code of a command that cannot do without.
    pub(super) fn code(&self) -> u8 {
        if let StoreError::Config { .. } = self { USAGE } else { UNREACHABLE }
    }

    /// Whether there is no store at all: no daemon has ever run there.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, StoreError::Open(OpenError::Missing { .. }))
    }
}

impl Fix for StoreError {
    fn fix(&self) -> Option<String> {
        match self {
            StoreError::Config { .. } => Some("name the file that boathook runs with".to_owned()),
            _ if !geteuid().is_root() => Some(AS_ROOT.to_owned()),
            StoreError::Open(error) | StoreError::Wish(WishError::Open(error)) => error.fix(),
            StoreError::Read(_) | StoreError::Wish(_) | StoreError::Holder { .. } => None,
        }
    }
}

impl Fix for BackupError {
    fn fix(&self) -> Option<String> {
        match self {
            BackupError::Exists { .. } => Some("name another file, or remove that one".to_owned()),
            BackupError::Open(error) => error.fix(),
            BackupError::Write { .. } | BackupError::Copy { .. } => None,
        }
    }
}

/// What helps most of those who are not root.
const AS_ROOT: &str = "the journal is for root alone, or for whom boathook runs as: try it with `sudo`";

/// The directory of the journal of the boathook that is configured in `config`.
pub(super) fn dir_of(config: &ConfigFile) -> Result<PathBuf, StoreError> {
    if let ConfigFile::Named(path) = config
        && let Err(source) = path.metadata()
    {
        return Err(StoreError::Config { path: path.clone(), source });
    }
    Ok(config::salvage(config.path()).state_dir)
}

/// The configuration that a command goes by.
#[derive(Clone, Debug)]
pub(super) enum ConfigFile {
    /// It was named on the command line, and has to be there.
    Named(PathBuf),
    /// It is where it is looked for first. If it is not there the defaults hold.
    Found(PathBuf),
}

impl ConfigFile {
    pub(super) fn path(&self) -> &Path {
        let (ConfigFile::Named(path) | ConfigFile::Found(path)) = self;
        path
    }
}

impl Store {
    pub(super) fn open(config: &ConfigFile) -> Result<Store, StoreError> {
        let dir = dir_of(config)?;
        Ok(Store { reader: Reader::open(&dir)?, dir })
    }

    /// Whether a daemon holds it.
    pub(super) fn is_held(&self) -> Result<bool, StoreError> {
        let holder = journal::holder(&self.dir);
        holder.map(|it| it.is_some()).map_err(|source| StoreError::Holder { dir: self.dir.clone(), source })
    }
}
