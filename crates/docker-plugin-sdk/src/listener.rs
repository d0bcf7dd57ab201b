//! Where the engine connects: a socket bound here, or passed by systemd.
//!
//! The path of a bound socket has one owner. The engine prefers a socket file to everything else by which it
//! might find the plugin, even if nobody listens on it any more, so a file that is left behind does harm: a
//! [`Claim`] removes its own file and no other.
//!
//! A path is claimed and given up under a lock, because both look before they act: two plugins that start at
//! once would both find a stale file, and one that ends could remove the socket of its successor. The lock is
//! a file beside the socket, `NAME.sock.lock`, which is removed when it is given up; the engine looks at no
//! such name. A lock on the folder itself would leave no file at all, but whoever can read a folder can lock
//! it for ever.

mod lock;

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt, lchown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, getsockopt, listen, socket, sockopt,
};
use nix::unistd::Group;
use tracing::warn;

use lock::Lock;

/// A Unix socket to be bound.
///
/// The name of the file, without `.sock`, is the name of the plugin. Engines look in `/run/docker/plugins`.
#[derive(Debug, Clone)]
#[must_use]
pub struct Socket {
    path: PathBuf,
    mode: u32,
    group: Option<String>,
}

impl Socket {
    /// A socket that only its owner can connect to, which is all that an engine run by root needs.
    pub fn new(path: impl Into<PathBuf>) -> Socket {
        Socket { path: path.into(), mode: 0o600, group: None }
    }

    /// Who can connect: the permission bits of the file. Connecting takes write permission.
    pub fn mode(self, mode: u32) -> Socket {
        Socket { mode, ..self }
    }

    /// The group of the file, by name or number.
    pub fn group(self, group: impl Into<String>) -> Socket {
        Socket { group: Some(group.into()), ..self }
    }

    /// Binds the socket and listens.
    ///
    /// A missing folder is made, with mode 0755. A socket file that nobody listens on is replaced. Nobody can
    /// connect before mode and group are set: the kernel refuses to connect to a socket that is bound and
    /// does not listen yet.
    ///
    /// Blocks for as long as another process claims or gives up the same path, for at most 5 s.
    ///
    /// # Errors
    ///
    /// When somebody listens on the path, when something else than a socket is there, when the group does not
    /// exist, and when the file system refuses. Nothing is left behind then, but perhaps the folder.
    pub fn bind(self) -> Result<Listener, ListenError> {
        let group = self.group.as_deref().map(group_number).transpose()?;
        if let Some(folder) = self.path.parent() {
            make_folder(folder).map_err(|source| ListenError::Folder { path: folder.into(), source })?;
        }
        let lock =
            Lock::of(&self.path).map_err(|source| ListenError::Lock { path: self.path.clone(), source })?;
        make_way(&self.path)?;

        let bound = bound_socket(&self.path);
        let bound = bound.map_err(|source| ListenError::Bind { path: self.path.clone(), source })?;
        let opened = open_to(&bound, &self.path, self.mode, group).and_then(|()| Claim::of(&self.path));
        let claim = opened.map_err(|source| {
            // Still locked, so the file is the one just made.
            _ = fs::remove_file(&self.path);
            ListenError::Open { path: self.path.clone(), source }
        })?;
        drop(lock);
        Ok(Listener { claim: Some(claim), sockets: vec![UnixListener::from(bound)] })
    }
}

/// Sockets that listen, ready to be [served](crate::Plugin::serve).
///
/// Dropping one removes the path that was bound for it, if it is still the same file.
#[derive(Debug)]
pub struct Listener {
    /// `None` for sockets whose path belongs to somebody else. Stands first to be dropped first: as long as
    /// the socket is open its inode is not given to another file.
    pub(crate) claim: Option<Claim>,
    /// Non-blocking. Never empty.
    pub(crate) sockets: Vec<UnixListener>,
}

impl Listener {
    /// The sockets that systemd passed to this process, or `None` if it was not activated by a socket.
    ///
    /// All that were passed are served. Their paths are systemd's: they are never removed.
    ///
    /// Reads `LISTEN_FDS` and `LISTEN_PID`, and removes them from the environment, so it is to be called
    /// once, early, before there are other threads that use the environment. Children do not inherit the
    /// sockets.
    ///
    /// # Errors
    ///
    /// When a descriptor that was passed is not a listening Unix stream socket.
    pub fn activated() -> Result<Option<Listener>, ListenError> {
        let mut passed = ListenFd::from_env();
        let sockets: Result<Vec<_>, _> =
            (0..passed.len()).map(|index| inherited(&mut passed, index)).collect();
        let sockets = sockets?;
        Ok((!sockets.is_empty()).then_some(Listener { claim: None, sockets }))
    }
}

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The folder of the socket is missing and cannot be made.
    #[error("create folder `{}`", .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// No group has this name or number.
    #[error("there is no group `{group}`")]
    NoGroup {
        /// As it was given.
        group: String,
    },
    /// Another process keeps claiming the path, or the folder is not writable.
    #[error("lock `{}`", .path.display())]
    Lock {
        /// The path of the socket.
        path: PathBuf,
        /// What the file system said; `TimedOut` when another process has the lock.
        #[source]
        source: io::Error,
    },
    /// Somebody listens on the path: another instance, or another plugin of this name.
    #[error("`{}` is in use, another process listens on it", .path.display())]
    InUse {
        /// The path of the socket.
        path: PathBuf,
    },
    /// The path is taken by a file, a folder or a link.
    #[error("`{}` exists and is not a socket", .path.display())]
    NotASocket {
        /// The path of the socket.
        path: PathBuf,
    },
    /// The socket file that is there can neither be told live nor be replaced.
    #[error("replace `{}`", .path.display())]
    Replace {
        /// The path of the socket.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The kernel refuses the path: it is too long (107 bytes are the most), or its folder not writable.
    #[error("bind `{}`", .path.display())]
    Bind {
        /// The path of the socket.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The socket is bound, but cannot be given its group and mode, or cannot listen.
    #[error("open `{}` to its users", .path.display())]
    Open {
        /// The path of the socket.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A descriptor that was passed to this process is not a listening Unix stream socket.
    #[error("descriptor {index} of those passed to this process is not a listening unix stream socket")]
    Passed {
        /// Which one, counted from 0 in the order of the `.socket` units.
        index: usize,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
}

/// A path that is ours. Gives it up when dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    path: PathBuf,
    /// Device and inode.
    file: (u64, u64),
}

impl Claim {
    fn of(path: &Path) -> io::Result<Claim> {
        Ok(Claim { file: file_at(path)?, path: path.into() })
    }

    /// Removes the path, unless it has become another file.
    fn give_up(&self) -> io::Result<()> {
        let _lock = Lock::of(&self.path)?;
        match file_at(&self.path) {
            Ok(file) if file == self.file => fs::remove_file(&self.path),
            Ok(_successor) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Err(error) = self.give_up() {
            warn!(%error, path = %self.path.display(), "socket not removed");
        }
    }
}

fn file_at(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

fn group_number(group: &str) -> Result<u32, ListenError> {
    let named = Group::from_name(group).ok().flatten().map(|it| it.gid.as_raw());
    named.or_else(|| group.parse().ok()).ok_or_else(|| ListenError::NoGroup { group: group.into() })
}

fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    // Once more, without what the umask took away.
    fs::set_permissions(folder, Permissions::from_mode(0o755))
}

/// Removes a socket file that nobody listens on. To be called with the lock.
fn make_way(path: &Path) -> Result<(), ListenError> {
    let replace = |source| ListenError::Replace { path: path.into(), source };
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(replace(error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(ListenError::NotASocket { path: path.into() });
    }
    match knock(path) {
        // Nobody waits on the other side for ever: a full queue is somebody, too.
        Ok(()) | Err(Errno::EAGAIN) => Err(ListenError::InUse { path: path.into() }),
        Err(Errno::ECONNREFUSED) => fs::remove_file(path).map_err(replace),
        Err(error) => Err(replace(error.into())),
    }
}

/// Connects, without waiting, and hangs up.
fn knock(path: &Path) -> nix::Result<()> {
    let probe = unix_socket()?;
    connect(probe.as_raw_fd(), &UnixAddr::new(path)?)
}

fn bound_socket(path: &Path) -> io::Result<OwnedFd> {
    let socket = unix_socket()?;
    bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(socket)
}

fn unix_socket() -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socket(AddressFamily::Unix, SockType::Stream, flags, None)
}

/// Sets who may connect, and only then lets them.
fn open_to(socket: &OwnedFd, path: &Path, mode: u32, group: Option<u32>) -> io::Result<()> {
    if group.is_some() {
        lchown(path, None, group)?;
    }
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    // As long a queue as the system allows: an engine that finds it full fails at once instead of waiting.
    listen(socket, Backlog::MAXALLOWABLE)?;
    Ok(())
}

fn inherited(passed: &mut ListenFd, index: usize) -> Result<UnixListener, ListenError> {
    let wrong = |source| ListenError::Passed { index, source };
    let socket = passed.take_unix_listener(index).map_err(wrong)?.expect("each index is taken once");
    match getsockopt(&socket, sockopt::AcceptConn) {
        Ok(true) => {}
        Ok(false) => return Err(wrong(io::Error::new(io::ErrorKind::InvalidInput, "it does not listen"))),
        Err(error) => return Err(wrong(error.into())),
    }
    socket.set_nonblocking(true).map_err(wrong)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_has_no_name_can_be_given_by_number() {
        assert_eq!(group_number("4123456").expect("numbers are taken as they are"), 4_123_456);
        let unknown = group_number("no such group").expect_err("nobody has this group");
        assert_eq!(unknown.to_string(), "there is no group `no such group`");
    }
}
