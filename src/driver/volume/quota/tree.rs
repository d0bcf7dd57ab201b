//! Everything in a directory, as belonging to one project.
//!
//! What is made in a project's directory belongs to it by itself; this is for what was there before, a volume
//! that was copied to another disk say. A container may have written it: no link is followed, and nothing but files
//! and directories is opened, since to open a device can do something.

use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, fstat, openat};
use rustix::io::{Errno, Result};

use super::kernel::{self, Belonging};
use super::{QuotaError, failed};

/// How deep directories are gone into: each level keeps three files open, of 1,024 that a process may have.
const DEPTH_MAX: usize = 128;

/// Has everything in the directory, but not the directory itself, belong to `project`.
pub(super) fn belong(directory: &OwnedFd, at: &Path, project: u32) -> std::result::Result<(), QuotaError> {
    let device = fstat(directory).map_err(failed("look at", at))?.st_dev;
    Walk { project, device }.within(directory, 0).map_err(failed("set the project of what is in", at))
}

struct Walk {
    project: u32,
    /// What another disk holds is not limited by this one.
    device: u64,
}

impl Walk {
    fn within(&self, directory: impl AsFd, depth: usize) -> Result<()> {
        if depth == DEPTH_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match openat(&directory, entry.file_name(), flags, Mode::empty()) {
                Ok(found) => self.one(&found, depth)?,
                // Deleted meanwhile.
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn one(&self, found: &OwnedFd, depth: usize) -> Result<()> {
        let is = fstat(found)?;
        let kind = FileType::from_raw_mode(is.st_mode);
        if is.st_dev != self.device || !matches!(kind, FileType::RegularFile | FileType::Directory) {
            return Ok(());
        }
        // What was found, whatever has its name by now; and nobody's lease is waited for.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = openat(CWD, format!("/proc/self/fd/{}", found.as_raw_fd()), flags, Mode::empty())?;
        let inherits = kind == FileType::Directory;
        kernel::belong(&opened, Belonging { project: self.project, inherits })?;
        if inherits { self.within(opened, depth + 1) } else { Ok(()) }
    }
}
