//! What boathook and its reaper say to each other.
//!
//! Messages are small, and go whole or not at all over a socket that keeps them apart. What a process is
//! started with may be large: it comes in a file that has no name, beside the process's own descriptors.

use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read as _, Seek as _, SeekFrom, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::sys::memfd::{MFdFlags, memfd_create};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::run::Outcome;

/// The version of what is said. Boathook and reaper are installed together, but a reaper may be started when
/// another version lies there already.
pub(super) const VERSION: &str = "1";

/// The descriptors of a commission: what it is, standard input, output and error, and the attempt's note.
pub(super) const DESCRIPTORS: usize = 5;

/// The longest message, in bytes. Only an outcome that says why there is no process comes near.
const MESSAGE_BYTES_MAX: usize = 32 * 1024;

/// What boathook asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Asked {
    /// A process is to be started; with [`DESCRIPTORS`].
    Start(u64),
    /// Nobody wants it any more, whether or not it has been started.
    Cancel(u64),
}

/// What the reaper tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Told {
    /// Its program has begun.
    Started { commission: u64, pid: i32 },
    /// It is over.
    Ended { commission: u64, outcome: Outcome },
}

/// What a process is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runner) struct Commission {
    /// Absolute.
    pub(in crate::runner) program: PathBuf,
    pub(in crate::runner) argv: Vec<CString>,
    /// `NAME=value`, each name once.
    pub(in crate::runner) environment: Vec<CString>,
    pub(in crate::runner) working_dir: PathBuf,
    pub(in crate::runner) umask: u32,
    /// Whether it is the launcher, which says on [`REPORT_FD`](crate::launch::REPORT_FD) why there is no script.
    pub(in crate::runner) reports: bool,
}

impl Commission {
    /// The commission in a file without a name.
    pub(super) fn file(&self) -> io::Result<File> {
        let mut file = File::from(memfd_create("commission", MFdFlags::MFD_CLOEXEC)?);
        file.write_all(&self.bytes())?;
        Ok(file)
    }

    /// The commission in such a file.
    pub(super) fn of(mut file: File) -> io::Result<Commission> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut bytes)?;
        Commission::read(&bytes).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    /// Words that each end with a NUL, which none of them can hold.
    fn bytes(&self) -> Vec<u8> {
        let numbers =
            [u32::from(self.reports).to_string(), self.umask.to_string(), self.argv.len().to_string()];
        let paths = [&self.program, &self.working_dir].map(|it| it.as_os_str().as_bytes());
        let words = numbers.iter().map(String::as_bytes).chain(paths);
        let words =
            words.chain(self.argv.iter().chain(&self.environment).map(CString::as_c_str).map(CStr::to_bytes));
        words.flat_map(|it| it.iter().copied().chain([0])).collect()
    }

    fn read(bytes: &[u8]) -> Option<Commission> {
        let mut words = bytes.split_inclusive(|it| *it == 0).map(|it| it.strip_suffix(&[0]));
        let mut number = || std::str::from_utf8(words.next()??).ok()?.parse::<u32>().ok();
        let (reports, umask, argc) = (number()? == 1, number()?, number()?);
        let mut path = || Some(Path::new(OsStr::from_bytes(words.next()??)).to_owned());
        let (program, working_dir) = (path()?, path()?);
        let rest: Option<Vec<CString>> = words.map(|it| CString::new(it?).ok()).collect();
        let mut argv = rest?;
        let argc = usize::try_from(argc).ok().filter(|it| *it <= argv.len())?;
        let environment = argv.split_off(argc);
        Some(Commission { program, argv, environment, working_dir, umask, reports })
    }
}

/// Sends a message. Never waits: it goes whole, or [`io::ErrorKind::WouldBlock`].
pub(super) fn send(socket: impl AsFd, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let text = serde_json::to_vec(message).expect("a message is JSON");
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(fds));
    }
    sendmsg(socket, &[IoSlice::new(&text)], &mut ancillary, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Takes the next message. Never waits. `None`: nobody is at the other end any more.
pub(super) fn receive<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut text = [0; MESSAGE_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut text)], &mut ancillary, flags)?;
    let mut fds = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    if received.bytes == 0 {
        return Ok(None);
    }
    let message = serde_json::from_slice(&text[..received.bytes])?;
    Ok(Some((message, fds)))
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt as _;

    use super::Commission;

    #[test]
    fn an_commission_is_read_as_it_was_meant() {
        let words = |it: &[&[u8]]| it.iter().map(|it| CString::new(*it).expect("no NUL")).collect::<Vec<_>>();
        let commission = Commission {
            program: std::ffi::OsStr::from_bytes(b"/etc/\xff\n").into(),
            argv: words(&[b"", b"a b", b"\xfe"]),
            environment: words(&[b"A=", b"B=1\n2"]),
            working_dir: "/".into(),
            umask: 0o22,
            reports: true,
        };
        let bare = Commission { argv: vec![], environment: vec![], reports: false, ..commission.clone() };

        for commission in [commission, bare] {
            assert_eq!(Commission::read(&commission.bytes()), Some(commission));
        }
    }

    #[test]
    fn half_a_commission_is_none() {
        for words in ["", "1|", "0|18|1|/bin/true|/|", "0|18|0|/bin/true|/|A=1", "x|"] {
            assert_eq!(Commission::read(words.replace('|', "\0").as_bytes()), None, "{words}");
        }
    }
}
