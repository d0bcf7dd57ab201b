//! Who holds a store.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::thread::{Timespec, nanosleep};

/// How often a held lock is tried, with [`PAUSE`] in between: [`holder`] holds it for a few system
/// calls.
const TRIES: usize = 5;

/// The pause before another try.
const PAUSE: Duration = Duration::from_millis(20);

/// The right to write a store. The kernel takes it back from a process that dies.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Why there is no lock.
pub(super) enum Denied {
    /// Another process has it; its id, if it has written that down yet.
    Held(Option<u32>),
    Failed(io::Error),
}

impl From<io::Error> for Denied {
    fn from(error: io::Error) -> Denied {
        Denied::Failed(error)
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("journal.lock")
}

impl Lock {
    /// Takes the lock of the store in `dir`, and writes our process id into it.
    pub(super) fn of(dir: &Path) -> Result<Lock, Denied> {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).mode(0o600).open(path(dir))?;
        for tries in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if tries < TRIES => pause(),
                Err(TryLockError::WouldBlock) => return Err(Denied::Held(pid_in(&mut file))),
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        }
        // For people: nothing is wrong where the disk is too full for it.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Lock { _file: file })
    }
}

/// The process that holds the store in `dir`, if a daemon does; 0 for one that has not said yet.
///
/// # Errors
///
/// When the lock cannot be looked at.
pub fn holder(dir: &Path) -> io::Result<Option<u32>> {
    let mut file = match File::open(path(dir)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(pid_in(&mut file).unwrap_or(0))),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn pid_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().and_then(|()| file.read_to_string(&mut text)).ok()?;
    text.trim().parse().ok()
}

fn pause() {
    let nanoseconds = i64::from(PAUSE.subsec_nanos());
    // Woken early by a signal: then the next try is a little sooner.
    let _ = nanosleep(&Timespec { tv_sec: 0, tv_nsec: nanoseconds });
}
