//! The folder and the namespaces of one sandbox, and who lives in them.
//!
//! A shell outside, the guard, makes them and takes them down (`guard.sh`); a `tini` inside is their
//! init and keeps them (`init.sh`). Both end when our end of the guard's stdin closes. Other processes
//! are started by us, from a thread that has entered the namespaces, and so are our children: they are
//! signalled by the id that we know and waited for without a `nsenter` in between.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns, unshare};

use super::installation::Unavailable;
use super::process::{Process, fork};
use super::wait::wait_until;

const GUARD: &str = include_str!("guard.sh");
const INIT: &str = include_str!("init.sh");

/// A socket's path has at most 107 bytes, and engines append up to 50 to our folder's.
const BASE_BYTES_MAX: usize = 30;

/// For killing everything and removing the folder; a tenth of a second when the machine is idle.
const CLOSE_LIMIT: Duration = Duration::from_secs(60);

/// The folder and the namespaces of one sandbox.
pub(super) struct Space {
    dir: PathBuf,
    /// `None` once closed.
    keep: Mutex<Option<Keep>>,
    processes: Mutex<Vec<Arc<Process>>>,
}

/// What keeps a space.
struct Keep {
    guard: Child,
    /// Closing it ends the space.
    stdin: ChildStdin,
    namespaces: Namespaces,
}

impl Space {
    /// Makes the folder and the namespaces.
    ///
    /// # Errors
    ///
    /// When the kernel refuses them; then nothing is left behind.
    pub(super) fn open() -> Result<Self, Unavailable> {
        let mut command = Command::new("sh");
        // A group of its own: a Ctrl-C ends the tests, and their end is what the guard waits for.
        command.args(["-c", GUARD, "guard"]).arg(base()).arg(INIT).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut guard = fork(&mut command).expect("start `sh`");
        let stdin = guard.stdin.take().expect("a piped stdin");

        let mut line = String::new();
        let stdout = guard.stdout.take().expect("a piped stdout");
        BufReader::new(stdout).read_line(&mut line).expect("read from the guard");
        let Some((dir, init)) = line.trim_end().split_once(' ') else {
            drop(stdin);
            let mut stderr = String::new();
            guard
                .stderr
                .take()
                .expect("a piped stderr")
                .read_to_string(&mut stderr)
                .expect("read from the guard");
            guard.wait().expect("reap the guard");
            return Err(Unavailable::Refused { stderr });
        };

        let namespaces = Namespaces::open(init).expect("open the namespaces of a living init");
        let keep = Mutex::new(Some(Keep { guard, stdin, namespaces }));
        Ok(Self { dir: PathBuf::from(dir), keep, processes: Mutex::default() })
    }

    /// The folder, the same inside and outside. Nothing else of the file system is private, except what
    /// lies below `/run` and `/etc/docker`: these are `run` and `etc-docker` in the folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Starts a process inside. It ends with the space at the latest.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub(super) fn spawn(
        &self,
        command: &mut Command,
        stdout: PathBuf,
        stderr: PathBuf,
    ) -> io::Result<Arc<Process>> {
        let keep = self.keep.lock().unwrap_or_else(PoisonError::into_inner);
        let namespaces = &keep.as_ref().expect("an open space").namespaces;
        // A thread that has entered other namespaces cannot go back on all of them: it is used once.
        let spawned = thread::scope(|scope| {
            let inside = scope.spawn(|| namespaces.enter().and_then(|()| fork(command)));
            inside.join().expect("a thread that does not panic")
        });
        let process = Arc::new(Process::new(command, spawned?, stdout, stderr));
        let mut processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        processes.retain(|it| it.is_alive());
        processes.push(Arc::clone(&process));
        Ok(process)
    }

    /// A socket that listens inside, on the loopback address.
    pub(super) fn listen(&self) -> io::Result<TcpListener> {
        let keep = self.keep.lock().unwrap_or_else(PoisonError::into_inner);
        let network = &keep.as_ref().expect("an open space").namespaces.network;
        // A socket stays in the network in which it was made, wherever it is used.
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(network, CloneFlags::CLONE_NEWNET)?;
                TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            });
            inside.join().expect("a thread that does not panic")
        })
    }

    /// Kills everything inside and waits until the guard has removed what is left. Does nothing the
    /// second time.
    ///
    /// # Errors
    ///
    /// When something stays behind, and what.
    pub(super) fn close(&self) -> Result<(), String> {
        let Some(keep) = self.keep.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return Ok(());
        };
        let Keep { mut guard, stdin, namespaces } = keep;
        drop((stdin, namespaces));
        let processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = wait_until(Instant::now() + CLOSE_LIMIT, || {
            // The init's end waits for ours to reap what is ours.
            let reaped = processes.iter().filter(|it| it.is_alive()).count() == 0;
            guard.try_wait().expect("wait for the guard").filter(|_| reaped)
        });
        match gone {
            Some(status) if status.success() && !self.dir.exists() => Ok(()),
            Some(status) => Err(format!("the guard left `{}` behind: {status}", self.dir.display())),
            None => Err(format!("`{}` is not gone after {CLOSE_LIMIT:?}", self.dir.display())),
        }
    }
}

/// The namespaces of a living process, to be entered.
struct Namespaces {
    mounts: File,
    network: File,
    processes: File,
}

impl Namespaces {
    /// Opens those of the process with this id.
    fn open(id: &str) -> io::Result<Self> {
        let open = |kind| File::open(format!("/proc/{id}/ns/{kind}"));
        Ok(Self { mounts: open("mnt")?, network: open("net")?, processes: open("pid")? })
    }

    /// Moves the calling thread in; of the process namespace, only what it starts from now on.
    fn enter(&self) -> io::Result<()> {
        // Threads share their root and working folder, which no thread may change for the others.
        unshare(CloneFlags::CLONE_FS)?;
        setns(&self.processes, CloneFlags::CLONE_NEWPID)?;
        setns(&self.network, CloneFlags::CLONE_NEWNET)?;
        setns(&self.mounts, CloneFlags::CLONE_NEWNS)?;
        Ok(())
    }
}

/// Where sandboxes have their folders: the temporary folder, unless its path is too long for sockets.
fn base() -> PathBuf {
    let temporary = std::env::temp_dir();
    if temporary.as_os_str().len() > BASE_BYTES_MAX { PathBuf::from("/tmp") } else { temporary }
}
