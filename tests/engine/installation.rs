//! What has to be installed, and where an engine is taken from.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::generation::Generation;

/// Called by the sandbox or by the engine. Debian's packages for all of them are installed by
/// `scripts/prerequisites.sh`.
const PROGRAMS: &[&str] =
    &["unshare", "mount", "ip", "iptables", "tini", "tar", "busybox", "dockerd", "containerd", "runc"];

/// Searched after the caller's own `PATH`, which often lacks them for people that are not root.
const SYSTEM_FOLDERS: &[&str] = &["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// An installed engine and the client that talks to it.
#[derive(Debug, Clone)]
pub struct Engine {
    /// Where its programs are looked for first.
    folder: Option<PathBuf>,
    /// As `dockerd --version` says; `None` where nobody has asked.
    version: Option<String>,
    /// A name to be found on the path, or a path.
    client: PathBuf,
}

impl Engine {
    /// The engine and the client that come first on `PATH`.
    pub fn installed() -> Self {
        Self { folder: None, version: None, client: PathBuf::from("docker") }
    }

    /// The engine of this version in a folder, with the client that is there or else the one that comes
    /// first on `PATH`.
    pub(super) fn in_folder(folder: &Path, version: &str) -> Self {
        let (folder, version) = (Some(folder.to_owned()), Some(version.to_owned()));
        Self { folder, version, ..Self::installed() }
    }

    /// This engine with another docker client.
    pub fn with_client(self, client: impl Into<PathBuf>) -> Self {
        Self { client: client.into(), ..self }
    }

    /// Its version, if it was chosen by its generation.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The docker client that [`Sandbox::docker`](super::Sandbox::docker) calls.
    pub(super) fn client(&self) -> &Path {
        &self.client
    }

    /// `PATH` for everything that runs in the sandbox.
    pub(super) fn path(&self) -> OsString {
        let inherited = env::var_os("PATH").unwrap_or_default();
        let inherited = env::split_paths(&inherited).chain(SYSTEM_FOLDERS.iter().map(PathBuf::from));
        env::join_paths(self.folder.iter().cloned().chain(inherited))
            .expect("folders on `PATH` hold no colon")
    }

    /// Whether a sandbox can run this engine, as far as that is seen without starting one.
    pub(super) fn check(&self) -> Result<(), Unavailable> {
        if !geteuid().is_root() {
            return Err(Unavailable::NotRoot);
        }
        let path = self.path();
        let programs = PROGRAMS.iter().map(Path::new).chain([self.client()]);
        let missing: Vec<_> = programs.filter(|it| !is_on(&path, it)).map(Path::to_path_buf).collect();
        if missing.is_empty() { Ok(()) } else { Err(Unavailable::Missing { programs: missing }) }
    }
}

/// Why there can be no sandbox here.
#[derive(Debug)]
pub enum Unavailable {
    /// Namespaces and mounts are root's.
    NotRoot,
    /// Not found on `PATH` or in the system's folders.
    Missing {
        /// Names, or the path of a client that was asked for.
        programs: Vec<PathBuf>,
    },
    /// `scripts/engines.sh` has no engine of this generation.
    NotProvided {
        /// What was asked for.
        generation: Generation,
    },
    /// The kernel, or a container around us, refuses the namespaces.
    Refused {
        /// What the tools that make them said.
        stderr: String,
    },
}

impl fmt::Display for Unavailable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRoot => write!(out, "an engine needs root: run with `sudo -E`"),
            Self::Missing { programs } => {
                let names: Vec<_> = programs.iter().map(|it| it.display().to_string()).collect();
                write!(out, "not installed: {}: run `scripts/prerequisites.sh`", names.join(", "))
            }
            Self::NotProvided { generation } => {
                write!(out, "there is no engine {generation}: run `scripts/engines.sh`")
            }
            Self::Refused { stderr } => write!(out, "no namespaces for an engine: {}", stderr.trim_end()),
        }
    }
}

impl std::error::Error for Unavailable {}

/// Whether the program is there, by name in one of the folders of `path`, or itself a path.
fn is_on(path: &OsString, program: &Path) -> bool {
    env::split_paths(path).any(|folder| folder.join(program).is_file())
}
