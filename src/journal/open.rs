//! Opening a store.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::mpsc;

use super::failure::{is_damage, is_of_the_store, why};
use super::identity::Identity;
use super::known::Known;
use super::lock::{Denied, Lock};
use super::queue::Shared;
use super::read::{places, remembered, taken};
use super::schema::{STEPS, Shape, migrate, shape};
use super::wish::WISHES_MAX;
use super::write::Store;
use super::writer::Writer;
use super::{Journal, Opened, Remembered, Retention};

/// How long a write waits for another program that writes: longer than a wish takes on a slow disk,
/// much shorter than a gate waits.
const BUSY: Duration = Duration::from_secs(2);

/// Why there is no store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory, or a file of ours in it, cannot be made or opened.
    #[error("open `{}`", .path.display())]
    Files {
        /// What.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another daemon writes it.
    #[error("`{}` belongs to {}", .dir.display(), process(*.pid))]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// The daemon, if it has said who it is.
        pid: Option<u32>,
    },
    /// It is no database, or is not whole.
    #[error("`{}` is damaged", .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: rusqlite::Error,
    },
    /// It is the database of another program.
    #[error("`{}` is no journal of boathook's", .file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
    },
    /// A newer boathook has made it what it is.
    #[error("`{}` is of version {found}, and this boathook knows {known}", .file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its version.
        found: usize,
        /// Ours.
        known: usize,
    },
    /// No daemon of this version has made it what it has to be, and whoever only reads may not.
    #[error("`{}` is of version {found}, and this boathook reads {known}", .file.display())]
    Older {
        /// The file.
        file: PathBuf,
        /// Its version, 0 for an empty one.
        found: usize,
        /// Ours.
        known: usize,
    },
    /// There is none, and whoever only reads makes none.
    #[error("there is no `{}`", .file.display())]
    Missing {
        /// The file.
        file: PathBuf,
    },
    /// It cannot be read or written now.
    #[error("{why}")]
    Unusable {
        /// In words, with what to do about it.
        why: Arc<str>,
    },
}

impl OpenError {
    /// What to do about it, where that is not said already.
    pub fn fix(&self) -> Option<String> {
        match self {
            OpenError::Files { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                Some("make the file system writable, or let `state_dir` be on another".to_owned())
            }
            OpenError::Locked { pid: Some(pid), .. } => {
                Some(format!("stop that one first (process {pid}), or give each a `state_dir` of its own"))
            }
            OpenError::Locked { pid: None, .. } => {
                Some("stop the other boathook first, or give each a `state_dir` of its own".to_owned())
            }
            OpenError::Damaged { file, .. } | OpenError::Foreign { file } => Some(format!(
                "put a backup in its place, or move it aside to begin anew (`mv {0} {0}.damaged`); what was \
                 owed is then forgotten",
                file.display()
            )),
            OpenError::Newer { .. } => {
                Some("start the newer boathook, or put a backup in its place".to_owned())
            }
            OpenError::Older { .. } => {
                Some("start `boathook run` once, which brings it up to date".to_owned())
            }
            OpenError::Missing { .. } => {
                Some("start `boathook run` once, or look whether `state_dir` is meant".to_owned())
            }
            OpenError::Files { .. } | OpenError::Unusable { .. } => None,
        }
    }
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another boathook".to_owned(), |pid| format!("another boathook, process {pid}"))
}

/// The file of the store in `dir`.
pub(super) fn file(dir: &Path) -> PathBuf {
    dir.join("journal.db")
}

/// Opens the store in `dir`, which is made if need be; brings it up to date, and reads what the
/// daemons before have left. Blocks.
///
/// # Errors
///
/// When there is no store that could be relied on. Nothing is ever deleted or made anew for that.
pub fn open(dir: &Path, keep: Retention) -> Result<Opened, OpenError> {
    let files = |path: &Path, source| OpenError::Files { path: path.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| files(dir, error))?;
    let lock = Lock::of(dir).map_err(|denied| match denied {
        Denied::Held(pid) => OpenError::Locked { dir: dir.to_owned(), pid },
        Denied::Failed(error) => files(&dir.join("journal.lock"), error),
    })?;
    let file = file(dir);
    // Made here, not by SQLite, so that at no time others can read it.
    let made = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&file);
    let made = made.and_then(|it| it.metadata()).map_err(|error| files(&file, error))?;
    let told = |error| told(error, dir);
    let (store, remembered, known) = read_back(connect(dir).map_err(told)?, dir)?;
    let shared = Arc::new(Shared::new(dir.to_owned(), known));
    let (hand_on, wishes) = mpsc::channel(WISHES_MAX);
    let writer = Writer::new(shared.clone(), store, Identity::of(&made), lock, keep, hand_on);
    Ok(Opened { journal: Journal::new(shared), writer, remembered, wishes })
}

fn read_back(mut connection: Connection, dir: &Path) -> Result<(Store, Remembered, Known), OpenError> {
    let told = |error| told(error, dir);
    let from = match judge(&connection, dir)? {
        Shape::Empty => 0,
        Shape::Version(version) => version,
        Shape::Foreign => return Err(OpenError::Foreign { file: file(dir) }),
    };
    if from == 0 {
        // Only before there is anything: so that what retention frees can be given back.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(told)?;
    }
    settle(&connection).map_err(told)?;
    migrate(&mut connection, from, STEPS).map_err(told)?;
    let remembered = remembered(&connection).map_err(told)?;
    let (runs, next) = places(&connection).map_err(told)?;
    let (taken, messages): (Vec<_>, Vec<_>) = taken(&connection).map_err(told)?.into_iter().unzip();
    let mut store = Store::new(connection);
    store.written.lives = remembered.lives.iter().map(|(subject, _)| subject.clone()).collect();
    store.written.messages = taken.iter().map(|it| it.engine.clone()).zip(messages).collect();
    Ok((store, remembered, Known::of(runs, next, taken)))
}

/// What the file is, unless it is too new.
fn judge(connection: &Connection, dir: &Path) -> Result<Shape, OpenError> {
    match shape(connection).map_err(|error| told(error, dir))? {
        Shape::Version(found) if found > STEPS.len() => {
            Err(OpenError::Newer { file: file(dir), found, known: STEPS.len() })
        }
        shape => Ok(shape),
    }
}

/// A connection that writes.
pub(super) fn connect(dir: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file(dir), flags)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// How often pages go from the write-ahead log to the file by themselves, in pages: hardly ever. The
/// writer sees to that when nobody waits.
const LOG_PAGES_MAX: u32 = 16_384;

/// What the write-ahead log is cut back to once it has been larger, in bytes.
const LOG_BYTES_KEPT: u32 = 16 * 1024 * 1024;

/// How many statements are kept ready: all there are.
const STATEMENTS: usize = 56;

/// Makes a connection write the way that our promises need.
pub(super) fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A commit is on disk when it returns.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES_MAX)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    // Rows go in the order of life, which is not that of references.
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

/// A connection that reads a store of our version, made by whomever.
pub(super) fn connect_to_read(dir: &Path) -> Result<Connection, OpenError> {
    let file = file(dir);
    if !file.try_exists().map_err(|source| OpenError::Files { path: file.clone(), source })? {
        return Err(OpenError::Missing { file });
    }
    let told = |error| told(error, dir);
    let mut connection = open_to_read(&file).map_err(told)?;
    if shape(&connection).is_err_and(|it| it.sqlite_error_code() == Some(ErrorCode::CannotOpen)) {
        connection = open_at_rest(&file).map_err(told)?;
    }
    connection.busy_timeout(BUSY).map_err(told)?;
    match judge(&connection, dir)? {
        Shape::Version(version) if version == STEPS.len() => Ok(connection),
        Shape::Version(found) => Err(OpenError::Older { file, found, known: STEPS.len() }),
        Shape::Empty => Err(OpenError::Older { file, found: 0, known: STEPS.len() }),
        Shape::Foreign => Err(OpenError::Foreign { file }),
    }
}

const READ_ONLY: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

fn open_to_read(file: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(file, READ_ONLY)
}

/// Opens a file that nobody writes, without the files beside it that readers and writers share: on
/// a file system that is read-only they cannot be made. Where there is a write-ahead log some of
/// what is recorded is in that, and the file alone would tell less.
fn open_at_rest(file: &Path) -> rusqlite::Result<Connection> {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    if fs::metadata(log).is_ok_and(|it| it.len() > 0) {
        return open_to_read(file);
    }
    let mut uri = "file:".to_owned();
    for byte in file.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                uri.push(char::from(*byte));
            }
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    Connection::open_with_flags(uri, READ_ONLY.union(OpenFlags::SQLITE_OPEN_URI))
}

fn told(error: rusqlite::Error, dir: &Path) -> OpenError {
    if is_damage(&error) || !is_of_the_store(&error) {
        return OpenError::Damaged { file: file(dir), source: error };
    }
    OpenError::Unusable { why: why(&error, dir) }
}
