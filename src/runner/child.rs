//! How a process comes to be.
//!
//! Each leads a session of its own, starts in a given directory with a given umask, and has
//! nothing open but its standard streams. All that is had by `posix_spawn`, without a fork: the
//! standard library would fork as soon as one of these is asked for (it cannot ask for a session at
//! all), and a fork copies the page tables of all that boathook holds.
//!
//! Directory and umask belong to the thread that spawns, once it shares them with no other. The
//! [reaper](super::reaper), which starts all that a hook runs, has one thread. What boathook starts itself, the reaper and
//! what is not worth to outlive it, is spawned by a thread that lives no longer than that. The user could be changed
//! in such a thread as well, but whoever it is changed to could then kill it, and boathook with it.
//!
//! What it takes on a machine with two cores, from the call to the end of `true`, the least and the
//! median of 300, with little and with 200 MiB resident (`cargo bench --profile dev --bench launch`):
//!
//! | way | 0 MiB | 200 MiB |
//! |---|---|---|
//! | `posix_spawn` of the standard library, a process group but no session | 0.55, 0.78 ms | 0.54, 0.59 ms |
//! | this one | 0.60, 0.63 ms | 0.60, 0.72 ms |
//! | a fork, which `pre_exec` and `uid` of the standard library need | 0.64, 0.72 ms | 9.01, 47.40 ms |
//! | this one and `boathook-launch` | 1.38, 1.52 ms | 1.39, 1.56 ms |
//! | this one and boathook itself | 1.66, 2.60 ms | 1.65, 1.95 ms |
//! | `setsid` of util-linux | 0.75, 1.00 ms | 0.73, 0.93 ms |
//! | `setpriv` of util-linux | 1.30, 1.46 ms | 1.29, 1.38 ms |
//! | `prlimit` and `setpriv` of util-linux | 1.91, 2.57 ms | 1.91, 2.19 ms |
//!
//! Built without optimisation; a stand-in for the launcher that was optimised and linked statically
//! took about 0.3 ms less.
//!
//! The tools of util-linux are ruled out in any case: when they fail they exit with a status that
//! the script could have exited with.

use std::ffi::{CString, OsStr};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::thread;

use nix::libc::{POSIX_SPAWN_SETSID, c_int};
use nix::sched::{CloneFlags, unshare};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Pid, chdir};
use rustix::process::{WaitOptions, WaitStatus, waitpid};
use tokio::signal::unix::{self, SignalKind};
use tracing::warn;

use crate::run::Outcome;

/// The flag of an open file that closes itself when a program begins (`O_CLOEXEC`), as
/// `/proc/self/fdinfo` shows it.
const CLOSES_ON_EXEC: u32 = 0o2_000_000;

/// An argument, or a variable. None holds a NUL: the configuration refuses them, and what Docker tells is left
/// out if it does.
pub(super) fn c_string(text: impl AsRef<OsStr>) -> CString {
    CString::new(text.as_ref().as_bytes()).expect("no argument and no variable holds a NUL")
}

/// What is to be spawned.
pub(super) struct Plan<'a> {
    /// Absolute.
    pub(super) program: &'a Path,
    pub(super) argv: &'a [CString],
    /// `NAME=value`, each name once.
    pub(super) environment: &'a [CString],
    pub(super) working_dir: &'a Path,
    pub(super) umask: u32,
    /// What becomes descriptor 0, 1, … of the child. Anything else is closed.
    pub(super) descriptors: &'a [BorrowedFd<'a>],
    /// What boathook was started with and does not close by itself.
    pub(super) inherited: &'a Inherited,
}

/// Descriptors that were open when boathook began, and would be open in every child: sockets of
/// systemd, and whatever somebody forgot to close.
#[derive(Clone, Debug, Default)]
pub(super) struct Inherited(Vec<RawFd>);

/// Why there is no child.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChildError {
    #[error("watch for its end")]
    Watch(#[source] io::Error),
    #[error("read what is to be started")]
    Commission(#[source] io::Error),
    #[error("make a pipe for the launcher")]
    Pipe(#[source] io::Error),
    #[error("begin a thread")]
    Thread(#[source] io::Error),
    #[error("have a working directory of its own")]
    Unshare(#[source] io::Error),
    #[error("enter `{}`", .dir.display())]
    Enter {
        dir: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("start `{}`", .program.display())]
    Start {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// A child, until its end has been seen.
#[derive(Debug)]
pub(super) struct Child {
    pid: Pid,
    reaped: bool,
    ends: unix::Signal,
}

impl Inherited {
    /// Those of this process, standard streams apart. To be asked before much else is open.
    pub(super) fn look() -> io::Result<Inherited> {
        let mut inherited = Vec::new();
        for entry in fs::read_dir("/proc/self/fdinfo")? {
            let entry = entry?;
            let Some(fd) = entry.file_name().to_str().and_then(|it| it.parse::<RawFd>().ok()) else {
                continue;
            };
            // One that is gone by now is none of theirs.
            let Ok(text) = fs::read_to_string(entry.path()) else { continue };
            if fd > 2 && !closes_on_exec(&text) {
                inherited.push(fd);
            }
        }
        Ok(Inherited(inherited))
    }
}

fn closes_on_exec(fdinfo: &str) -> bool {
    let flags = fdinfo.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|it| u32::from_str_radix(it.trim(), 8).ok());
    flags.is_some_and(|it| it & CLOSES_ON_EXEC != 0)
}

impl Child {
    /// Spawns it. Returns when its program has begun, or could not.
    pub(super) fn spawn(plan: &Plan<'_>) -> Result<Child, ChildError> {
        // Before the child is there, so that its end is not missed.
        let ends = unix::signal(SignalKind::child()).map_err(ChildError::Watch)?;
        let pid = plan.spawn_apart()?;
        Ok(Child { pid, reaped: false, ends })
    }

    /// Its process id, which is also the number of its process group and session.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits for its end. May be dropped and called again, but not after it has returned.
    ///
    /// # Errors
    ///
    /// When somebody else has taken its exit status.
    pub(super) async fn wait(&mut self) -> io::Result<Outcome> {
        loop {
            if let Some(outcome) = self.reap(WaitOptions::NOHANG)? {
                return Ok(outcome);
            }
            self.ends.recv().await;
        }
    }

    fn reap(&mut self, options: WaitOptions) -> io::Result<Option<Outcome>> {
        let pid = rustix::process::Pid::from_raw(self.pid.as_raw());
        let waited = waitpid(pid, options);
        self.reaped = !matches!(waited, Ok(None));
        let Some((_, status)) = waited? else { return Ok(None) };
        Ok(Some(outcome(status)))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        // It has been killed, but it may not be gone yet.
        let pid = rustix::process::Pid::from_raw(self.pid.as_raw());
        let reaper = thread::Builder::new().name("reap".to_owned());
        if let Err(error) = reaper.spawn(move || waitpid(pid, WaitOptions::empty()).is_ok()) {
            warn!(%error, pid = %self.pid, "a killed hook stays as a zombie");
        }
    }
}

/// How a process ended whose status that is.
pub(super) fn outcome(status: WaitStatus) -> Outcome {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Outcome::Exited(code),
        (None, Some(signal)) => Outcome::Signaled(signal),
        (None, None) => unreachable!("a process exits or is killed"),
    }
}

impl Plan<'_> {
    /// Spawns from a thread that shares directory and umask with no other, and returns when the program
    /// has begun, or could not.
    pub(super) fn spawn_apart(&self) -> Result<Pid, ChildError> {
        thread::scope(|scope| {
            let spawner = thread::Builder::new().name("spawn".to_owned());
            let spawner = spawner.spawn_scoped(scope, || {
                unshare(CloneFlags::CLONE_FS).map_err(|errno| ChildError::Unshare(errno.into()))?;
                self.spawn_here()
            });
            let spawner = spawner.map_err(ChildError::Thread)?;
            spawner.join().expect("a thread that spawns does not panic")
        })
    }

    /// Spawns from this thread, and leaves it in the directory and with the umask of the new process. All
    /// other threads of this one's see that, too.
    pub(super) fn spawn_here(&self) -> Result<Pid, ChildError> {
        let dir = self.working_dir;
        chdir(dir).map_err(|errno| ChildError::Enter { dir: dir.to_owned(), source: errno.into() })?;
        umask(Mode::from_bits_truncate(self.umask));
        self.posix_spawn()
            .map_err(|errno| ChildError::Start { program: self.program.to_owned(), source: errno.into() })
    }

    fn posix_spawn(&self) -> nix::Result<Pid> {
        posix_spawn(self.program, &self.actions()?, &attributes()?, self.argv, self.environment)
    }

    fn actions(&self) -> nix::Result<PosixSpawnFileActions> {
        let mut actions = PosixSpawnFileActions::init()?;
        for (to, from) in (0..).zip(self.descriptors) {
            actions.add_dup2(from.as_raw_fd(), to)?;
        }
        let kept = self.descriptors.len();
        for fd in self.inherited.0.iter().filter(|it| usize::try_from(**it).is_ok_and(|it| it >= kept)) {
            actions.add_close(*fd)?;
        }
        Ok(actions)
    }
}

/// A session of its own, and signals as a program expects them: boathook, as every Rust program,
/// ignores SIGPIPE.
fn attributes() -> nix::Result<PosixSpawnAttr> {
    let mut attributes = PosixSpawnAttr::init()?;
    let session = PosixSpawnFlags::from_bits_retain(c_int::from(POSIX_SPAWN_SETSID));
    attributes.set_flags(
        PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | session,
    )?;
    let mut usual = SigSet::empty();
    usual.add(Signal::SIGPIPE);
    attributes.set_sigdefault(&usual)?;
    attributes.set_sigmask(&SigSet::empty())?;
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use super::closes_on_exec;

    #[test]
    fn what_closes_by_itself_is_told_from_what_does_not() {
        assert!(closes_on_exec("pos:\t0\nflags:\t02100001\nmnt_id:\t9\n"));
        assert!(!closes_on_exec("pos:\t0\nflags:\t0100002\n"));
        assert!(!closes_on_exec(""));
    }
}
