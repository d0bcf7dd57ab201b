//! How an engine finds a plugin by its name: sockets, and files that say where else to connect.
//!
//! A plugin has no name of its own. Its name is that of a file, and the first file counts that an engine comes
//! upon in this order (`pkg/plugins/discovery.go` in moby):
//!
//! 1. `/run/docker/plugins/NAME.sock`, then `/run/docker/plugins/NAME/NAME.sock`, if it is a socket;
//! 2. in `/etc/docker/plugins`, then in `/usr/lib/docker/plugins`: `NAME.spec`, `NAME/NAME.spec`, `NAME.json`,
//!    `NAME/NAME.json`.
//!
//! A socket that is there wins even if nobody listens on it: the engine never goes on to the next file. What it
//! has found once it keeps until it is restarted.
//!
//! A plugin on the engine's own host needs none of these files, only a [`Socket`](crate::Socket). They are for
//! one that listens elsewhere, and for tools that install plugins or look why one is not found.

mod address;
mod json;
mod spec;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

pub use address::{Address, AddressError, Authority};
pub use json::JsonError;
pub use spec::{Spec, SpecError, Tls};

/// The folders that an engine looks in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// For sockets.
    pub sockets: PathBuf,
    /// For `.spec` and `.json` files, the first one first.
    pub specs: Vec<PathBuf>,
}

/// Those of an engine that is run by root. No option of the engine's moves them.
impl Default for Roots {
    fn default() -> Roots {
        Roots {
            sockets: "/run/docker/plugins".into(),
            specs: vec!["/etc/docker/plugins".into(), "/usr/lib/docker/plugins".into()],
        }
    }
}

/// What an engine finds under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The file that it was found by.
    pub path: PathBuf,
    /// Where the engine connects.
    pub spec: Spec,
}

/// What an engine connects to that looks for this name, or `None` if it finds nothing.
///
/// # Errors
///
/// When the file that counts cannot be read, or does not say where to connect. The engine fails with it, too,
/// and does not go on to others.
pub fn find(name: &str, roots: &Roots) -> Result<Option<Found>, SpecError> {
    for path in candidates(&roots.sockets, name, ".sock") {
        // Follows links, and takes what it cannot look at for missing, like the engine.
        if fs::metadata(&path).is_ok_and(|it| it.file_type().is_socket()) {
            let spec = Spec::new(Address::Unix(path.clone()));
            return Ok(Some(Found { path, spec }));
        }
    }
    for folder in &roots.specs {
        for path in candidates(folder, name, ".spec").into_iter().chain(candidates(folder, name, ".json")) {
            if fs::metadata(&path).is_ok() {
                return Spec::read(&path).map(|spec| Some(Found { path, spec }));
            }
        }
    }
    Ok(None)
}

/// The two places of a name in a folder.
fn candidates(folder: &Path, name: &str, extension: &str) -> [PathBuf; 2] {
    // Not by `join`, for which a name that begins with a slash would leave the folder.
    let in_folder = |rest: String| {
        let mut path = folder.as_os_str().to_owned();
        path.push(rest);
        PathBuf::from(path)
    };
    [in_folder(format!("/{name}{extension}")), in_folder(format!("/{name}/{name}{extension}"))]
}

/// The names that an engine comes upon when it looks for all plugins, as for `docker volume ls`, sorted.
///
/// They are fewer than can be [found](find), since a link to a socket is not seen here; and a name may be among
/// them that cannot be found, such as that of a socket without `.sock`.
///
/// # Errors
///
/// When a folder is there and cannot be read.
pub fn scan(roots: &Roots) -> Result<Vec<String>, ScanError> {
    let mut names = BTreeSet::new();
    for entry in entries(&roots.sockets)? {
        names.extend(socket_name(&entry));
    }
    for folder in &roots.specs {
        for entry in entries(folder)? {
            names.extend(spec_name(&entry));
        }
    }
    Ok(names.into_iter().filter_map(|it| it.into_string().ok()).collect())
}

/// A folder that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("read the folder `{}`", .path.display())]
pub struct ScanError {
    /// The folder.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

/// What is in a folder; nothing if it is not there.
fn entries(folder: &Path) -> Result<Vec<DirEntry>, ScanError> {
    match fs::read_dir(folder).and_then(Iterator::collect) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(vec![]),
        read => read.map_err(|source| ScanError { path: folder.to_owned(), source }),
    }
}

/// The plugin whose socket is this, or is in this folder.
fn socket_name(entry: &DirEntry) -> Option<OsString> {
    let (kind, name) = (entry.file_type().ok()?, entry.file_name());
    let mut file = PathBuf::from(&name);
    let is_socket = if kind.is_dir() {
        file.as_mut_os_string().push(".sock");
        fs::metadata(entry.path().join(&file)).is_ok_and(|it| it.file_type().is_socket())
    } else {
        kind.is_socket()
    };
    is_socket.then(|| file.file_stem().map(OsStr::to_owned)).flatten()
}

/// The plugin whose file is this, or is in this folder.
fn spec_name(entry: &DirEntry) -> Option<OsString> {
    let name = PathBuf::from(entry.file_name());
    let file = if entry.file_type().ok()?.is_dir() {
        let inside = fs::read_dir(entry.path()).ok()?.filter_map(Result::ok);
        let mut inside: Vec<_> = inside.map(|it| PathBuf::from(it.file_name())).collect();
        // The engine reads folders in the order of names, and looks at the first file of that name.
        inside.sort();
        inside.into_iter().find(|it| it.file_stem() == Some(name.as_os_str()))?
    } else {
        name
    };
    let is_spec = file.extension().is_some_and(|it| it == "spec" || it == "json");
    is_spec.then(|| file.file_stem().map(OsStr::to_owned)).flatten()
}
