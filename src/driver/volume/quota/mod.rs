//! Directories that hold no more than they may, kept so by the filesystem.
//!
//! A volume with a size is a project of its own. Its number is in a file beside the data before it is anywhere
//! else, and only what belongs to the project of that number is ever limited, freed or taken for ours: a
//! directory above may be a project of the operator's, a copy of a volume may have brought the file along.
//! Every step can be done again, and the last one is the limit. Everything here waits for the disk.

mod ground;
mod kernel;
mod tree;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use tracing::{info, warn};

use kernel::{Account, Belonging, State};

pub(super) use ground::Ground;
pub use ground::Lack;

/// Holds the number of a volume's project, in decimal.
const NUMBER: &str = ".bh-project";

/// Holds the number until it is all there.
const NUMBER_NEW: &str = ".bh-project-new";

/// Permissions of these files.
const NUMBER_MODE: u32 = 0o600;

/// The first number of ours. Numbers given by hand begin at 1, as those do that Docker's own drivers count
/// from (`findNextProjectID` in moby, `quota/projectquota.go`), and Kubernetes's begin at 1,048,577.
const FIRST: u32 = 0x4248_0000;

/// How many numbers there are to choose from.
const NUMBERS: u32 = 1 << 20;

/// How many numbers are tried: with 100,000 volumes one in ten is taken.
const TRIES_MAX: usize = 64;

/// Why a directory is not limited, or its limit not known.
#[derive(Debug, thiserror::Error)]
pub enum QuotaError {
    /// Its filesystem cannot, or not now.
    #[error(
        "`size` cannot be kept in `{}`: {lack}; or use `type=tmpfs`, or a script that makes a file of that size and \
         mounts it (`type=script`, as the recipe `loop` does)", .at.display()
    )]
    Lack {
        /// The directory.
        at: PathBuf,
        /// What is missing.
        lack: Box<Lack>,
    },
    /// It could, and cannot any more.
    #[error("`{}` was made with a `size`, which is not kept any more: {lack}", .at.display())]
    Lost {
        /// The directory.
        at: PathBuf,
        /// What is missing.
        lack: Box<Lack>,
    },
    /// Nobody knows a number that is free.
    #[error("`size` cannot be kept in `{}`: {TRIES_MAX} project ids were tried, all are in use", .at.display())]
    Taken {
        /// The directory.
        at: PathBuf,
    },
    /// The kernel failed.
    #[error("{doing} `{}`", .at.display())]
    Failed {
        /// What was tried.
        doing: &'static str,
        /// With what.
        at: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl QuotaError {
    /// The same, of a volume that was made when all was well.
    pub(super) fn of_old(self) -> QuotaError {
        match self {
            QuotaError::Lack { at, lack } => QuotaError::Lost { at, lack },
            other => other,
        }
    }
}

/// Makes sure that the filesystem of `at` limits directories.
pub(super) fn require(at: &Path) -> Result<(), QuotaError> {
    require_opened(&open(at)?, at)
}

/// Has `data` hold no more than `size` bytes. What is in it already counts, and stays even if it is more.
///
/// `home` is the directory that `data` is in; it is ours, and notes which project that is.
pub(super) fn keep(home: &Path, data: &Path, size: u64) -> Result<(), QuotaError> {
    let opened = open(data)?;
    require_opened(&opened, data)?;
    let now = kernel::belonging(&opened).map_err(failed("ask for the project of", data))?;
    let number = match noted(home).filter(|it| *it == now.project) {
        Some(number) => number,
        None => claim(home, data, &opened)?,
    };
    if !now.inherits || number != now.project {
        // Copied from elsewhere, or cut off here. The flag says that all below belongs to it.
        tree::belong(&opened, data, number)?;
        let it = Belonging { project: number, inherits: true };
        kernel::belong(&opened, it).map_err(failed("set the project of", data))?;
    }
    if account(&opened, number, data)?.bytes_max != size {
        kernel::limit(&opened, number, size).map_err(failed("limit", data))?;
    }
    Ok(())
}

/// Takes the limit of `data` away, before it is deleted; what is not ours stays. If that fails, a number is
/// lost: it is not chosen again while the filesystem knows of it.
pub(super) fn release(home: &Path, data: &Path) {
    let Some(number) = noted(home) else { return };
    if let Err(error) = release_noted(data, number) {
        let error = &error as &dyn std::error::Error;
        warn!(error, project = number, "the limit of a removed volume stays in its filesystem");
    }
}

fn release_noted(data: &Path, number: u32) -> Result<(), QuotaError> {
    let opened = match open(data) {
        Err(QuotaError::Failed { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    match kernel::belonging(&opened) {
        Ok(it) if it.project == number => {
            kernel::limit(&opened, number, 0).map_err(failed("free the project of", data))
        }
        // It has come here from another filesystem, or was cut off before it was claimed.
        Ok(_) | Err(Errno::NOTTY | Errno::OPNOTSUPP) => Ok(()),
        Err(error) => Err(failed("ask for the project of", data)(error)),
    }
}

/// Makes the directory a project that nothing else is, and returns its number.
fn claim(home: &Path, data: &Path, opened: &OwnedFd) -> Result<u32, QuotaError> {
    let belong = |project| {
        let it = Belonging { project, inherits: false };
        kernel::belong(opened, it).map_err(failed("set the project of", data))
    };
    for _ in 0..TRIES_MAX {
        let number = FIRST + fastrand::u32(..NUMBERS);
        if account(opened, number, data)? != Account::default() {
            continue;
        }
        note(home, number)?;
        belong(number)?;
        if account(opened, number, data)?.files == 1 {
            info!(path = %data.display(), project = number, "a volume is a project of its filesystem");
            return Ok(number);
        }
        // Somebody else has chosen the same since: theirs, or nobody's.
        belong(0)?;
    }
    Err(QuotaError::Taken { at: data.to_owned() })
}

fn require_opened(opened: &OwnedFd, at: &Path) -> Result<(), QuotaError> {
    match kernel::state(opened) {
        Ok(State::Enforced) => Ok(()),
        told => {
            let lack = Lack::of(at, kernel::is_known(), told).map_err(failed("ask for the quotas of", at))?;
            Err(QuotaError::Lack { at: at.to_owned(), lack: Box::new(lack) })
        }
    }
}

fn account(opened: &OwnedFd, number: u32, at: &Path) -> Result<Account, QuotaError> {
    kernel::account(opened, number).map_err(failed("ask for the quota of", at))
}

fn open(at: &Path) -> Result<OwnedFd, QuotaError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(CWD, at, flags, Mode::empty()).map_err(failed("open", at))
}

/// The number that is noted in `home`, if there is one.
fn noted(home: &Path) -> Option<u32> {
    let number = fs::read_to_string(home.join(NUMBER)).ok()?.trim_end().parse().ok()?;
    (FIRST..FIRST + NUMBERS).contains(&number).then_some(number)
}

/// Notes a number in place of the one before. It is on disk when this returns.
fn note(home: &Path, number: u32) -> Result<(), QuotaError> {
    let (path, new) = (home.join(NUMBER), home.join(NUMBER_NEW));
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(NUMBER_MODE).open(&new);
    let written = file.and_then(|mut it| writeln!(it, "{number}").and_then(|()| it.sync_all()));
    written
        .and_then(|()| fs::rename(&new, &path))
        .and_then(|()| File::open(home)?.sync_all())
        .map_err(|source| failed("write", &path)(source))
}

fn failed<'a, E: Into<io::Error>>(
    doing: &'static str,
    at: &'a Path,
) -> impl FnOnce(E) -> QuotaError + use<'a, E> {
    move |source| QuotaError::Failed { doing, at: at.to_owned(), source: source.into() }
}
