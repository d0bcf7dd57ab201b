//! Who could have written a file.
//!
//! Boathook runs as root and does what its configuration and its scripts say, so whoever can change
//! one of them is root. [`vet`] follows a path as the kernel does, and wants everything on the way
//! to belong to root or to the user it runs as, and to be writable by nobody else: each directory,
//! each symbolic link, and the file. A private group is refused like any other: who is in it may
//! change later, and nobody would ask again.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use nix::unistd::{Uid, User, geteuid};

/// How many symbolic links one path may lead through: as many as the kernel follows.
const LINKS_MAX: usize = 40;

/// Permission bits that let the group or others write.
const WRITE_BY_OTHERS: u32 = 0o022;

/// Only its owner may rename or remove what lies in such a directory.
const STICKY: u32 = 0o1000;

/// Why a file cannot be relied on.
#[derive(Debug, thiserror::Error)]
pub enum Distrust {
    /// It belongs to somebody else.
    #[error("`{}` belongs to {}, who could change it", .path.display(), user(*.owner))]
    Owner {
        /// What belongs to them: the file, a link, or a directory above.
        path: PathBuf,
        /// Whom it belongs to.
        owner: Uid,
    },
    /// Its permissions let somebody else write.
    #[error("`{}` can be written by {} (mode {:04o})", .path.display(), writers(*.mode), .mode & 0o7777)]
    Writable {
        /// What can be written: the file, or a directory above.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It leads through more symbolic links than are followed.
    #[error("`{}` leads through more than {LINKS_MAX} symbolic links", .path.display())]
    Links {
        /// The path that was asked about.
        path: PathBuf,
    },
    /// It, or a directory above, cannot be looked at.
    #[error("look at `{}`", .path.display())]
    Look {
        /// What cannot be looked at.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Distrust {
    /// The command that mends it, if one does.
    pub fn fix(&self) -> Option<String> {
        match self {
            Distrust::Owner { path, .. } => Some(format!("chown -h root {}", path.display())),
            Distrust::Writable { path, .. } => Some(format!("chmod go-w {}", path.display())),
            Distrust::Links { .. } | Distrust::Look { .. } => None,
        }
    }
}

/// Whether only root and the user that this process runs as could have written `path`.
///
/// Looks at the disk, and so at this moment only: ask again before each use.
///
/// # Errors
///
/// With the first thing on the way to the file that somebody else could change.
pub fn vet(path: &Path) -> Result<(), Distrust> {
    let look_error = |at: &Path, source| Distrust::Look { path: at.to_owned(), source };
    let absolute = std::path::absolute(path).map_err(|source| look_error(path, source))?;
    let us = geteuid();
    let mut links = 0;
    let mut here = PathBuf::from("/");
    // What is still to be walked, the next step last.
    let mut steps = steps_of(&absolute);
    judge(&here, &fs::symlink_metadata("/").map_err(|source| look_error(&here, source))?, us)?;
    while let Some(step) = steps.pop() {
        if step == ".." {
            here.pop();
            continue;
        }
        let next = here.join(&step);
        let seen = fs::symlink_metadata(&next).map_err(|source| look_error(&next, source))?;
        judge(&next, &seen, us)?;
        if !seen.is_symlink() {
            here = next;
            continue;
        }
        links += 1;
        if links > LINKS_MAX {
            return Err(Distrust::Links { path: path.to_owned() });
        }
        let target = fs::read_link(&next).map_err(|source| look_error(&next, source))?;
        if target.is_absolute() {
            here = PathBuf::from("/");
        }
        steps.extend(steps_of(&target));
    }
    Ok(())
}

/// The names that `path` leads through, the first one last.
fn steps_of(path: &Path) -> Vec<OsString> {
    let step = |it: Component<'_>| match it {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().rev().filter_map(step).collect()
}

fn judge(path: &Path, seen: &Metadata, us: Uid) -> Result<(), Distrust> {
    let kind = match seen.file_type() {
        it if it.is_symlink() => Kind::Link,
        it if it.is_dir() => Kind::Directory,
        _ => Kind::File,
    };
    match fault(kind, Uid::from_raw(seen.uid()), seen.mode(), us) {
        None => Ok(()),
        Some(Fault::Owner(owner)) => Err(Distrust::Owner { path: path.to_owned(), owner }),
        Some(Fault::Mode(mode)) => Err(Distrust::Writable { path: path.to_owned(), mode }),
    }
}

/// What stands in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Link,
    Directory,
    File,
}

#[derive(Debug, PartialEq, Eq)]
enum Fault {
    Owner(Uid),
    Mode(u32),
}

/// What is wrong with something that belongs to `owner` and has `mode`, for a process of `us`.
fn fault(kind: Kind, owner: Uid, mode: u32, us: Uid) -> Option<Fault> {
    if !owner.is_root() && owner != us {
        return Some(Fault::Owner(owner));
    }
    // What lies in a sticky directory has an owner of its own, who is asked about next.
    let guarded = match kind {
        Kind::Link => true,
        Kind::Directory => mode & STICKY != 0 && owner.is_root(),
        Kind::File => false,
    };
    (mode & WRITE_BY_OTHERS != 0 && !guarded).then_some(Fault::Mode(mode))
}

fn user(uid: Uid) -> String {
    match User::from_uid(uid) {
        Ok(Some(user)) => format!("user `{}`", user.name),
        _ => format!("user {uid}"),
    }
}

fn writers(mode: u32) -> &'static str {
    match (mode & 0o020 != 0, mode & 0o002 != 0) {
        (true, true) => "its group and everybody else",
        (true, false) => "its group",
        _ => "everybody",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Fault, Kind, Uid, fault, steps_of, writers};

    const ROOT: Uid = Uid::from_raw(0);
    const US: Uid = Uid::from_raw(990);
    const THEM: Uid = Uid::from_raw(1000);

    #[test]
    fn what_root_or_we_alone_can_write_is_trusted() {
        for owner in [ROOT, US] {
            assert_eq!(fault(Kind::File, owner, 0o100_755, US), None);
            assert_eq!(fault(Kind::Directory, owner, 0o040_755, US), None);
            assert_eq!(fault(Kind::Link, owner, 0o120_777, US), None);
        }
    }

    #[test]
    fn what_belongs_to_somebody_else_is_not() {
        for kind in [Kind::File, Kind::Directory, Kind::Link] {
            assert_eq!(fault(kind, THEM, 0o700, US), Some(Fault::Owner(THEM)));
        }
        assert_eq!(fault(Kind::File, US, 0o700, ROOT), Some(Fault::Owner(US)), "root trusts root alone");
    }

    #[test]
    fn what_others_can_write_is_not() {
        for mode in [0o775, 0o757, 0o777] {
            assert_eq!(fault(Kind::File, ROOT, mode, US), Some(Fault::Mode(mode)));
            assert_eq!(fault(Kind::Directory, ROOT, mode, US), Some(Fault::Mode(mode)));
        }
    }

    #[test]
    fn the_sticky_bit_guards_only_directories_of_root() {
        assert_eq!(fault(Kind::Directory, ROOT, 0o1777, US), None);
        assert_eq!(fault(Kind::Directory, US, 0o1777, US), Some(Fault::Mode(0o1777)));
        assert_eq!(fault(Kind::File, ROOT, 0o1777, US), Some(Fault::Mode(0o1777)));
    }

    #[test]
    fn a_path_is_walked_name_by_name() {
        assert_eq!(steps_of(Path::new("/a/./b/../c")), ["c", "..", "b", "a"]);
    }

    #[test]
    fn writers_are_named() {
        assert_eq!(writers(0o775), "its group");
        assert_eq!(writers(0o757), "everybody");
        assert_eq!(writers(0o777), "its group and everybody else");
    }
}
