//! A copy of a store, made while it is written.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _};

use super::failure::why;
use super::open::OpenError;

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is no store to copy.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file is there already, and is left as it is.
    #[error("`{}` is there already", .file.display())]
    Exists {
        /// The file.
        file: PathBuf,
    },
    /// The file cannot be made, or not be brought to the disk.
    #[error("write `{}`", .file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The store cannot be read, or the copy not be written.
    #[error("copy to `{}`: {why}", .file.display())]
    Copy {
        /// The file.
        file: PathBuf,
        /// In words.
        why: Arc<str>,
    },
}

/// What a copy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Runs, those included that are not over.
    pub runs: u64,
    /// Debts, those included that are closed.
    pub debts: u64,
    /// The size of the file.
    pub bytes: u64,
}

/// Copies what `from` sees into `file`, stamped with the engine that it is about.
///
/// One transaction reads the whole store: the copy is of one moment, and the writer goes on.
pub(super) fn copy(from: &Connection, file: &Path) -> Result<Copied, BackupError> {
    // Made here, not by SQLite, so that at no time others can read it.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(|source| match source
        .kind()
    {
        io::ErrorKind::AlreadyExists => BackupError::Exists { file: file.to_owned() },
        _ => BackupError::Write { file: file.to_owned(), source },
    })?;
    let copied = fill(from, file).and_then(|(runs, debts)| match keep(file) {
        Ok(bytes) => Ok(Copied { runs, debts, bytes }),
        Err(source) => Err(BackupError::Write { file: file.to_owned(), source }),
    });
    if copied.is_err() {
        // Half a copy is none. Where even this fails nothing better can be done.
        let _ = fs::remove_file(file);
    }
    copied
}

/// Copies, and counts the runs and debts of the copy.
fn fill(from: &Connection, file: &Path) -> Result<(u64, u64), BackupError> {
    let dir = file.parent().unwrap_or(Path::new("."));
    let copy_error = |error| BackupError::Copy { file: file.to_owned(), why: why(&error, dir) };
    let name = file.to_str().ok_or_else(|| {
        let source = io::Error::new(io::ErrorKind::InvalidFilename, "its name is not UTF-8");
        BackupError::Write { file: file.to_owned(), source }
    })?;
    from.execute("VACUUM INTO ?1", [name]).map_err(copy_error)?;
    let counted = Connection::open(file).and_then(|copy| {
        stamp(&copy)?;
        let count = |sql: &str| copy.query_row(sql, [], |row| row.get::<_, i64>(0));
        Ok((count("SELECT count(*) FROM run")?, count("SELECT count(*) FROM debt")?))
    });
    let (runs, debts) = counted.map_err(copy_error)?;
    Ok((runs.unsigned_abs(), debts.unsigned_abs()))
}

/// Writes down whose store it is: that of the engine that was heard of last. An older stamp stays.
fn stamp(copy: &Connection) -> rusqlite::Result<()> {
    copy.pragma_update(None, "synchronous", "FULL")?;
    let sql = "SELECT id FROM engine ORDER BY cursor DESC LIMIT 1";
    let engine: Option<String> = copy.query_row(sql, [], |row| row.get(0)).optional()?;
    let insert = "INSERT OR IGNORE INTO meta (key, value) VALUES ('copy_of', ?1)";
    engine.map_or(Ok(0), |it| copy.execute(insert, [it])).map(drop)
}

/// Brings a file and its name to the disk; the file's size.
fn keep(file: &Path) -> io::Result<u64> {
    let copy = File::open(file)?;
    copy.sync_all()?;
    let dir = file.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir)?.sync_all()?;
    Ok(copy.metadata()?.len())
}
