//! Directories of the operator's that a volume may be.
//!
//! The operator allows some directories; what lies below is chosen by users of docker, and written by
//! containers. So nothing below is followed that leads elsewhere: each step is opened from the one before, and
//! none may be a symbolic link. What is mounted in the end is what was opened, not what the path leads to
//! later.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, fchmod, mkdirat, openat};
use rustix::io::Errno;

/// Permissions of a directory that is made, until others are set: those of Docker's own volumes.
const MADE: Mode = Mode::from_raw_mode(0o755);

/// Why a directory cannot be a volume.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// No directory is allowed at all.
    #[error("`{}` is not allowed: the configuration names no directory, write `volumes: {{paths: [{}]}}`",
        .path.display(), parent(.path).display())]
    Nowhere {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// It is below none of the allowed ones.
    #[error("`{}` is not below {}, which `volumes.paths` allows", .path.display(), listed(.allowed))]
    Outside {
        /// The path that was asked for.
        path: PathBuf,
        /// What is allowed.
        allowed: Vec<PathBuf>,
    },
    /// It is, holds or lies in the directory where volumes are kept.
    #[error("`{}` would show the directory of all volumes, `{}`", .path.display(), .root.display())]
    Ours {
        /// The path that was asked for.
        path: PathBuf,
        /// Where volumes are kept.
        root: PathBuf,
    },
    /// A part of it is a symbolic link, or a file.
    #[error("`{}` is not a directory, and symbolic links are not followed", .at.display())]
    NoDirectory {
        /// The part.
        at: PathBuf,
    },
    /// It is not there.
    #[error("`{}` is not there: make it, or use `type=directory`, which does", .at.display())]
    Missing {
        /// The first part that is missing.
        at: PathBuf,
    },
    /// It cannot be opened or made.
    #[error("open `{}`", .at.display())]
    Open {
        /// The part of it that cannot.
        at: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// What is done where a directory is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Make,
    Refuse,
}

/// A directory that is allowed, as far as its path tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// What the operator allows; it may lead through links.
    base: PathBuf,
    /// What follows: names only.
    steps: PathBuf,
}

impl Place {
    /// The place that `path` names, if one of `allowed` holds it. `path` is absolute and has no dots.
    pub(super) fn find(path: &Path, allowed: &[PathBuf], root: &Path) -> Result<Place, PlaceError> {
        if path.starts_with(root) || root.starts_with(path) {
            return Err(PlaceError::Ours { path: path.to_owned(), root: root.to_owned() });
        }
        if allowed.is_empty() {
            return Err(PlaceError::Nowhere { path: path.to_owned() });
        }
        let steps = |base: &PathBuf| {
            let steps = path.strip_prefix(base).ok().filter(|it| !it.as_os_str().is_empty())?;
            Some(Place { base: base.clone(), steps: steps.to_owned() })
        };
        // The nearest: the fewer steps are ours to take, the more is the operator's word.
        let nearest = allowed.iter().filter_map(steps).max_by_key(|it| it.base.as_os_str().len());
        nearest.ok_or_else(|| PlaceError::Outside { path: path.to_owned(), allowed: allowed.to_vec() })
    }

    /// Opens it. Waits for the disk.
    pub(super) fn open(&self, missing: Missing) -> Result<OwnedFd, PlaceError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut at = self.base.clone();
        let mut here = openat(CWD, &at, flags, Mode::empty()).map_err(|error| failed(&at, error))?;
        for step in &self.steps {
            at.push(step);
            let next = || openat(&here, step, flags | OFlags::NOFOLLOW, Mode::empty());
            let opened = match next() {
                Err(Errno::NOENT) if missing == Missing::Make => make(&here, step).and_then(|()| next()),
                opened => opened,
            };
            here = opened.map_err(|error| failed(&at, error))?;
        }
        Ok(here)
    }
}

/// Makes a directory, unless somebody else has in between. Its permissions are what they shall be, whatever
/// our umask is.
fn make(here: impl AsFd, step: &OsStr) -> rustix::io::Result<()> {
    match mkdirat(&here, step, MADE) {
        Err(Errno::EXIST) => return Ok(()),
        made => made?,
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fchmod(openat(&here, step, flags, Mode::empty())?, MADE)
}

fn failed(at: &Path, error: Errno) -> PlaceError {
    let at = at.to_owned();
    match error {
        Errno::NOENT => PlaceError::Missing { at },
        Errno::NOTDIR | Errno::LOOP => PlaceError::NoDirectory { at },
        error => PlaceError::Open { at, source: error.into() },
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn listed(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths.iter().map(|it| format!("`{}`", it.display())).collect();
    paths.join(", ")
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{Place, PlaceError};

    fn find(path: &str, allowed: &[&str]) -> Result<Place, PlaceError> {
        let allowed: Vec<PathBuf> = allowed.iter().map(PathBuf::from).collect();
        Place::find(Path::new(path), &allowed, Path::new("/var/lib/boathook/volumes"))
    }

    #[test]
    fn what_lies_below_an_allowed_directory_is_found_from_the_nearest() {
        let place = find("/srv/data/db/main", &["/srv", "/srv/data", "/mnt"]).expect("it is below");

        assert_eq!((place.base, place.steps), ("/srv/data".into(), "db/main".into()));
    }

    #[test]
    fn nothing_else_is_allowed() {
        assert!(matches!(find("/srv/x", &[]), Err(PlaceError::Nowhere { .. })));
        for path in ["/etc", "/srv", "/srv2/x", "/"] {
            let found = find(path, &["/srv", "/mnt"]);
            assert!(matches!(found, Err(PlaceError::Outside { .. } | PlaceError::Ours { .. })), "{path}");
        }
        let told = find("/etc", &["/srv"]).expect_err("it is outside").to_string();
        assert_eq!(told, "`/etc` is not below `/srv`, which `volumes.paths` allows");
    }

    #[test]
    fn the_volumes_themselves_are_never_shown() {
        for path in ["/var/lib", "/var/lib/boathook/volumes", "/var/lib/boathook/volumes/db/_data"] {
            assert!(matches!(find(path, &["/", "/var"]), Err(PlaceError::Ours { .. })), "{path}");
        }
    }
}
