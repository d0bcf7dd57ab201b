//! Mounting, unmounting, and whom a directory belongs to.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Gid, Mode, OFlags, Uid, fchmod, fchown, fstat, openat, statvfs};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount,
};
use tracing::warn;

use super::spec::Permissions;
use super::table::Table;

/// What the mount table calls a tmpfs of ours.
const TMPFS_SOURCE: &str = "bh-tmpfs";

/// How many mounts are taken off one place: nobody piles up more by accident.
const PILE_MAX: usize = 16;

/// Why a directory could not be mounted, unmounted or given to somebody.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The mount table cannot be read.
    #[error("read the mount table")]
    Table(#[source] io::Error),
    /// It could not be mounted.
    #[error("mount `{}`", .at.display())]
    Mount {
        /// Where.
        at: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It could not be unmounted.
    #[error("unmount `{}`", .at.display())]
    Unmount {
        /// Where.
        at: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Owner, group or permissions could not be set.
    #[error("set owner and permissions of `{}`", .at.display())]
    Permissions {
        /// Of what.
        at: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Mounts memory at `at`.
pub(super) fn mount_tmpfs(at: &Path, permissions: &Permissions, size: Option<u64>) -> Result<(), MountError> {
    let numbers =
        [("size", size), ("uid", permissions.uid.map(u64::from)), ("gid", permissions.gid.map(u64::from))];
    let mode = permissions.mode.map(|it| format!("mode={it:o}"));
    let numbers = numbers.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", value?)));
    let data = numbers.chain(mode).collect::<Vec<_>>().join(",");
    let data = CString::new(data).expect("numbers hold no NUL");
    mount(TMPFS_SOURCE, at, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, Some(data.as_c_str()))
        .and_then(|()| keep_private(at))
        .map_err(|error| MountError::Mount { at: at.to_owned(), source: error.into() })
}

/// Mounts the directory that is open as `source` at `at`, without what is mounted below it.
pub(super) fn mount_directory(source: impl AsFd, at: &Path) -> Result<(), MountError> {
    // The kernel's own name of what was opened, whatever its path leads to by now.
    let source = format!("/proc/self/fd/{}", source.as_fd().as_raw_fd());
    mount_bind(source, at)
        .and_then(|()| keep_private(at))
        .map_err(|error| MountError::Mount { at: at.to_owned(), source: error.into() })
}

/// Keeps to itself what happens below `at`: a mount that is shared with the directory behind it would pass
/// an unmount on to that.
fn keep_private(at: &Path) -> rustix::io::Result<()> {
    mount_change(at, MountPropagationFlags::PRIVATE)
}

/// Unmounts whatever is mounted at `at`, which may be nothing.
pub(super) fn unmount_all(at: &Path) -> Result<(), MountError> {
    let failed = |error: Errno| MountError::Unmount { at: at.to_owned(), source: error.into() };
    for _ in 0..PILE_MAX {
        if !Table::read().map_err(MountError::Table)?.holds(at) {
            return Ok(());
        }
        match unmount(at, UnmountFlags::NOFOLLOW) {
            // Somebody has unmounted it in between.
            Ok(()) | Err(Errno::INVAL) => {}
            // A shell of somebody's on the host, say. Docker has no use for it any more: it goes when they do.
            Err(Errno::BUSY) => {
                warn!(path = %at.display(), "a volume is busy outside of containers, it is detached");
                unmount(at, UnmountFlags::NOFOLLOW | UnmountFlags::DETACH).map_err(failed)?;
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Err(failed(Errno::BUSY))
}

/// How much is in the memory that is mounted at `at`; `None`: it cannot be told. Waits for nothing.
pub(super) fn bytes_used(at: &Path) -> Option<u64> {
    let told = statvfs(at).ok()?;
    told.f_blocks.checked_sub(told.f_bfree)?.checked_mul(told.f_frsize)
}

/// Gives the directory at `at` to whom it shall belong. What is not said is left as it is, and so is
/// everything below.
pub(super) fn give(at: &Path, permissions: &Permissions) -> Result<(), MountError> {
    if *permissions == Permissions::default() {
        return Ok(());
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = openat(CWD, at, flags, Mode::empty());
    opened
        .and_then(|it| give_opened(it, permissions))
        .map_err(|error| MountError::Permissions { at: at.to_owned(), source: error.into() })
}

fn give_opened(directory: impl AsFd, permissions: &Permissions) -> rustix::io::Result<()> {
    let now = fstat(&directory)?;
    let uid = permissions.uid.filter(|it| *it != now.st_uid).map(Uid::from_raw);
    let gid = permissions.gid.filter(|it| *it != now.st_gid).map(Gid::from_raw);
    if uid.is_some() || gid.is_some() {
        fchown(&directory, uid, gid)?;
    }
    // After the owner: a change of that takes bits away.
    match permissions.mode {
        Some(mode) => fchmod(&directory, Mode::from_raw_mode(mode)),
        None => Ok(()),
    }
}
