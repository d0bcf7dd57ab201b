//! The reaper itself, which runs in a process of its own.
//!
//! It has one thread, and does one thing after the other: where one program takes long to begin, say on a
//! network filesystem, the others wait, and their attempts run out of time. It ends when boathook has gone
//! and the last process has ended. Signals do not end it: a terminal or an init system that ends boathook
//! may well send them to everybody.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, chdir};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{WaitOptions, wait};

use super::super::child::{ChildError, Inherited, Plan, outcome};
use super::super::note::Note;
use super::super::told;
use super::wire::{self, Asked, Commission, DESCRIPTORS, Told, VERSION};
use crate::run::Outcome;

/// How much of the launcher's report is read, in bytes: one line.
const REPORT_BYTES_MAX: u64 = 4096;

/// Starts processes for the boathook at the other end of standard input, and sees how they end, until it
/// has gone and they have.
///
/// # Errors
///
/// When it is of another version than boathook, or what it needs cannot be had.
pub fn reap(version: &str) -> io::Result<()> {
    if version != VERSION {
        return Err(io::Error::from(ErrorKind::Unsupported));
    }
    SigSet::all().thread_block()?;
    let mut ends = SigSet::empty();
    ends.add(Signal::SIGCHLD);
    let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
    let reaper = Reaper {
        boathook: io::stdin().as_fd().try_clone_to_owned()?,
        is_asked: true,
        ends: SignalFd::with_flags(&ends, flags)?,
        wards: HashMap::new(),
        unsaid: VecDeque::new(),
    };
    reaper.run()
}

struct Reaper {
    boathook: OwnedFd,
    /// Boathook is there, or what it has asked for has not been done yet.
    is_asked: bool,
    /// Readable when a process has ended.
    ends: SignalFd,
    wards: HashMap<i32, Ward>,
    /// What boathook has no room for. Bounded by what it has asked for.
    unsaid: VecDeque<Told>,
}

/// A process that has not been seen to end.
struct Ward {
    commission: u64,
    note: Note,
    /// Where the launcher says why there is no script.
    report: Option<PipeReader>,
}

impl Reaper {
    fn run(mut self) -> io::Result<()> {
        while self.is_asked || !self.wards.is_empty() {
            self.wait()?;
            self.reap()?;
            if self.is_asked {
                self.hear();
            }
            self.say();
        }
        Ok(())
    }

    /// Waits until there is something to do.
    fn wait(&self) -> io::Result<()> {
        let mut wanted = PollFlags::IN;
        wanted.set(PollFlags::OUT, !self.unsaid.is_empty());
        let mut fds = vec![PollFd::new(&self.ends, PollFlags::IN)];
        if self.is_asked {
            fds.push(PollFd::new(&self.boathook, wanted));
        }
        poll(&mut fds, None)?;
        Ok(())
    }

    /// Takes down how processes ended.
    fn reap(&mut self) -> io::Result<()> {
        while self.ends.read_signal()?.is_some() {}
        // None, or no child at all.
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let Some(mut ward) = self.wards.remove(&pid.as_raw_nonzero().get()) else { continue };
            let outcome = ward.never_started().unwrap_or_else(|| outcome(status));
            self.over(ward.commission, &ward.note, outcome);
        }
        Ok(())
    }

    /// Does the next thing that is asked for, if there is one.
    fn hear(&mut self) {
        match wire::receive(&self.boathook) {
            Ok(Some((Asked::Start(commission), fds))) => self.start(commission, fds),
            Ok(Some((Asked::Cancel(commission), _))) => self.cancel(commission),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(None) | Err(_) => {
                self.is_asked = false;
                self.unsaid.clear();
            }
        }
    }

    fn say(&mut self) {
        while let Some(told) = self.unsaid.front() {
            match wire::send(&self.boathook, told, &[]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // If nobody listens, that is heard as well.
                _ => drop(self.unsaid.pop_front()),
            }
        }
    }

    fn start(&mut self, commission: u64, fds: Vec<OwnedFd>) {
        // The kernel leaves out what would be too many.
        let Ok([file, stdin, stdout, stderr, note]) = <[OwnedFd; DESCRIPTORS]>::try_from(fds) else {
            let outcome = Outcome::NotStarted("too many open files".to_owned());
            return self.unsaid.push_back(Told::Ended { commission, outcome });
        };
        let note = Note::from(note);
        match spawn(file.into(), [stdin, stdout, stderr]) {
            Ok((pid, report)) => {
                self.wards.insert(pid.as_raw(), Ward { commission, note, report });
                self.unsaid.push_back(Told::Started { commission, pid: pid.as_raw() });
            }
            Err(error) => self.over(commission, &note, Outcome::NotStarted(told(&error))),
        }
        // Not to keep the filesystem of a hook busy.
        let _ = chdir("/");
    }

    fn cancel(&self, commission: u64) {
        if let Some((pid, _)) = self.wards.iter().find(|(_, it)| it.commission == commission) {
            // It has not been reaped, so the number is its own.
            let _ = killpg(Pid::from_raw(*pid), Signal::SIGKILL);
        }
    }

    /// Written down first: boathook may not be there to be told.
    fn over(&mut self, commission: u64, note: &Note, outcome: Outcome) {
        // On a full disk boathook is told, and only after its end nobody would know.
        let _ = note.end(&outcome);
        if self.is_asked {
            self.unsaid.push_back(Told::Ended { commission, outcome });
        }
    }
}

impl Ward {
    /// What the launcher has to say, if it never became the script.
    fn never_started(&mut self) -> Option<Outcome> {
        let mut text = Vec::new();
        let _ = self.report.take()?.take(REPORT_BYTES_MAX).read_to_end(&mut text);
        (!text.is_empty()).then(|| Outcome::NotStarted(String::from_utf8_lossy(&text).into_owned()))
    }
}

fn spawn(file: File, streams: [OwnedFd; 3]) -> Result<(Pid, Option<PipeReader>), ChildError> {
    let commission = Commission::of(file).map_err(ChildError::Commission)?;
    let report = commission.reports.then(report_pipe).transpose().map_err(ChildError::Pipe)?;
    let [stdin, stdout, stderr] = &streams;
    let mut descriptors = vec![stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
    descriptors.extend(report.as_ref().map(|(_, written)| written.as_fd()));
    let plan = Plan {
        program: &commission.program,
        argv: &commission.argv,
        environment: &commission.environment,
        working_dir: &commission.working_dir,
        umask: commission.umask,
        descriptors: &descriptors,
        inherited: &Inherited::default(),
    };
    let pid = plan.spawn_here()?;
    Ok((pid, report.map(|(read, _)| read)))
}

/// Read when the launcher has ended: then there is a report, or there never will be. What a script leaves
/// behind does not have the other end.
fn report_pipe() -> io::Result<(PipeReader, io::PipeWriter)> {
    let (report, written) = io::pipe()?;
    fcntl(&report, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|it: Errno| io::Error::from(it))?;
    Ok((report, written))
}
