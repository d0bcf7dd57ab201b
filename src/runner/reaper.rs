//! The process that starts all others, and sees how they end.
//!
//! Only a parent learns how a process ended, so the parent of a hook's process must not be boathook, which
//! may be killed. It is the reaper: a small process that boathook starts before the first hook, that starts
//! a process for each attempt that it is handed, and that outlives boathook until the last of them has ended. How
//! one ended it writes into the [note](super::note) of the attempt, then tells boathook, if that is still there. The
//! next boathook starts a reaper of its own, and finds in the notes what the old one goes on writing.
//!
//! It has other uses: what takes a millisecond, starting a program, is done beside boathook's own work, and by
//! a process that holds little memory.
//!
//! Where the reaper itself is killed nobody learns how its processes end. They are waited for, and their
//! attempts count as interrupted; the next attempt starts another reaper.

mod serve;
mod wire;

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use nix::unistd::Pid;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{WaitOptions, waitpid};
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::{debug, warn};

use super::child::{ChildError, Inherited, Plan, c_string};
use crate::run::Outcome;
use crate::trust::{self, Distrust};
use wire::{Asked, Told, VERSION};

pub use serve::reap;
pub(super) use wire::Commission;

/// How the launcher's program is told to be a reaper; the version follows.
pub const REAP: &str = "reap";

/// What a reaper is known by among all processes of a host: in its environment this is the directory of
/// the attempts that it starts.
pub(super) const REAPER_VARIABLE: &str = "BOATHOOK_REAPER=";

/// Why there is no reaper, or it was not told.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReaperError {
    #[error(transparent)]
    Trust(#[from] Distrust),
    #[error("make a socket for the reaper")]
    Socket(#[source] io::Error),
    #[error("start the reaper")]
    Start(#[from] ChildError),
    #[error("tell the reaper")]
    Tell(#[source] io::Error),
}

/// The way to the reaper, which is started when it is first needed, and again when it is gone.
#[derive(Debug)]
pub(super) struct Reaper {
    /// The launcher, which knows how to be one.
    program: PathBuf,
    runs_dir: PathBuf,
    inherited: Inherited,
    link: Mutex<Option<Arc<Link>>>,
}

/// The connection to one reaper.
#[derive(Debug)]
struct Link {
    socket: UnixDatagram,
    reaper: Pid,
    next: AtomicU64,
    /// Who waits for what is told of a commission: two words at most. `None`: the reaper is gone.
    commissions: Mutex<Option<HashMap<u64, UnboundedSender<Told>>>>,
}

/// A process that the reaper has been asked for.
#[derive(Debug)]
pub(super) struct Ward {
    link: Arc<Link>,
    commission: u64,
    told: UnboundedReceiver<Told>,
    pid: Option<Pid>,
    over: bool,
}

/// The reaper is gone, and with it all knowledge of how the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost;

impl Reaper {
    pub(super) fn new(program: PathBuf, runs_dir: PathBuf, inherited: Inherited) -> Reaper {
        Reaper { program, runs_dir, inherited, link: Mutex::default() }
    }

    /// Sees to it that there is one.
    pub(super) fn prepare(&self) -> Result<(), ReaperError> {
        self.link().map(drop)
    }

    /// Has a process started: the files are standard input, output and error, and the attempt's note.
    pub(super) async fn start(
        &self,
        commission: &Commission,
        files: [BorrowedFd<'_>; 4],
    ) -> Result<Ward, ReaperError> {
        let told = commission.file().map_err(ReaperError::Tell)?;
        match self.ask(&told, files).await {
            // It went while nobody looked. Nothing was started.
            Err(ReaperError::Tell(_)) => self.ask(&told, files).await,
            asked => asked,
        }
    }

    async fn ask(&self, commission: &File, files: [BorrowedFd<'_>; 4]) -> Result<Ward, ReaperError> {
        let link = self.link()?;
        let child = link.expect().ok_or_else(|| ReaperError::Tell(io::ErrorKind::BrokenPipe.into()))?;
        let [stdin, stdout, stderr, note] = files;
        let files = [commission.as_fd(), stdin, stdout, stderr, note];
        let sent = link.send(Asked::Start(child.commission), &files).await;
        sent.inspect_err(|_| link.lose()).map_err(ReaperError::Tell)?;
        Ok(child)
    }

    fn link(&self) -> Result<Arc<Link>, ReaperError> {
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        match &*link {
            Some(link) if link.commissions().is_some() => Ok(link.clone()),
            before => {
                if before.is_some() {
                    warn!("the process that starts hooks is gone: starting another");
                }
                let made = Arc::new(self.connect()?);
                *link = Some(made.clone());
                Ok(made)
            }
        }
    }

    fn connect(&self) -> Result<Link, ReaperError> {
        trust::vet(&self.program)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None);
        let (ours, theirs) = pair.map_err(|errno| ReaperError::Socket(errno.into()))?;
        let null = File::options().read(true).write(true).open("/dev/null").map_err(ReaperError::Socket)?;
        // Tokio knows no sockets that keep messages apart and tell when the other end is gone; it only watches this one.
        let socket = UnixDatagram::from_std(ours.into()).map_err(ReaperError::Socket)?;
        let mut variable = OsString::from(REAPER_VARIABLE);
        variable.push(&self.runs_dir);
        let argv = [self.program.as_os_str(), OsStr::new(REAP), OsStr::new(VERSION)];
        let plan = Plan {
            program: &self.program,
            argv: &argv.map(c_string),
            environment: &[c_string(variable)],
            working_dir: "/".as_ref(),
            umask: 0o077,
            descriptors: &[theirs.as_fd(), null.as_fd(), null.as_fd()],
            inherited: &self.inherited,
        };
        let reaper = plan.spawn_apart()?;
        debug!(%reaper, "started the process that starts hooks");
        let (next, commissions) = (AtomicU64::new(0), Mutex::new(Some(HashMap::new())));
        Ok(Link { socket, reaper, next, commissions })
    }
}

impl Link {
    fn commissions(&self) -> MutexGuard<'_, Option<HashMap<u64, UnboundedSender<Told>>>> {
        self.commissions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A commission that nobody has been asked for yet. `None`: the reaper is gone.
    fn expect(self: &Arc<Link>) -> Option<Ward> {
        let (tell, told) = unbounded_channel();
        let commission = self.next.fetch_add(1, Ordering::Relaxed);
        self.commissions().as_mut()?.insert(commission, tell);
        Some(Ward { link: self.clone(), commission, told, pid: None, over: false })
    }

    async fn send(&self, asked: Asked, files: &[BorrowedFd<'_>]) -> io::Result<()> {
        loop {
            self.socket.writable().await?;
            let send = || wire::send(&self.socket, &asked, files);
            match self.socket.try_io(Interest::WRITABLE, send) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return sent,
            }
        }
    }

    /// Waits until something is told, and hands it to those who wait for it: whoever waits listens for all.
    async fn listen(&self) {
        if self.socket.readable().await.is_err() {
            return self.lose();
        }
        loop {
            let receive = || wire::receive::<Told>(&self.socket);
            let told = match self.socket.try_io(Interest::READABLE, receive) {
                Ok(Some((told, _))) => told,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(None) | Err(_) => return self.lose(),
            };
            let (Told::Started { commission, .. } | Told::Ended { commission, .. }) = &told;
            if let Some(tell) = self.commissions().as_ref().and_then(|it| it.get(commission)) {
                // Who does not wait any more has cancelled it.
                let _ = tell.send(told);
            }
        }
    }

    /// Nothing is told any more. Who waits sees that, as what it is told by goes.
    fn lose(&self) {
        drop(self.commissions().take());
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // It ends when its processes have ended and this socket is closed, which is after this.
        let reaper = rustix::process::Pid::from_raw(self.reaper.as_raw());
        let waiting = thread::Builder::new().name("reap".to_owned());
        if let Err(error) = waiting.spawn(move || waitpid(reaper, WaitOptions::empty()).is_ok()) {
            warn!(%error, "the process that started hooks stays as a zombie");
        }
    }
}

impl Ward {
    /// Its process id, which is also the number of its process group and session. `None`: its program has
    /// not begun, as far as is known.
    pub(super) fn pid(&self) -> Option<Pid> {
        self.pid
    }

    /// Whether its end has been seen, or never will be; then its number may belong to somebody else.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Waits until its program has begun. `None`: it never will, or has ended already. May be dropped and
    /// called again.
    pub(super) async fn begun(&mut self) -> Option<Pid> {
        while self.pid.is_none() && !self.over {
            // What it ended with is of no interest to who asks this.
            let _ = self.next().await;
        }
        self.pid.filter(|_| !self.over)
    }

    /// Waits for its end. May be dropped and called again, but not after it has returned.
    pub(super) async fn wait(&mut self) -> Result<Outcome, Lost> {
        loop {
            if let Some(outcome) = self.next().await? {
                return Ok(outcome);
            }
        }
    }

    async fn next(&mut self) -> Result<Option<Outcome>, Lost> {
        let told = loop {
            tokio::select! {
                biased;
                told = self.told.recv() => break told,
                () = self.link.listen() => {}
            }
        };
        match told {
            Some(Told::Started { pid, .. }) => {
                self.pid = Some(Pid::from_raw(pid));
                Ok(None)
            }
            Some(Told::Ended { outcome, .. }) => {
                self.over = true;
                Ok(Some(outcome))
            }
            None => {
                self.over = true;
                Err(Lost)
            }
        }
    }

    /// Has it killed, with its process group, also if it has not been started yet.
    pub(super) fn cancel(&self) {
        // A reaper that cannot be told has more to do than it ever should: it hangs, or is gone.
        if let Err(error) = wire::send(&self.link.socket, &Asked::Cancel(self.commission), &[]) {
            debug!(%error, "a process that may be started yet is not cancelled");
        }
    }
}

impl Drop for Ward {
    fn drop(&mut self) {
        if let Some(commissions) = self.link.commissions().as_mut() {
            commissions.remove(&self.commission);
        }
    }
}
