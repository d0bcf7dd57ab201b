//! The last configuration without a mistake, kept for a start at which the one in place has some.
//!
//! What is kept are the texts, in one file, so that they belong together whenever a crash comes: it is
//! written beside the old one, synced and renamed over it. They are read like any others; a path in
//! them means what it meant, from the directory in which the original stands.
//!
//! Programs are not kept. One that is gone or may not be trusted any more takes away neither its hook
//! nor the others: the hook fails when its turn comes, and `on_failure` says what that means. So
//! it would be with a daemon that had not been started anew, and a gate holds.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::report::{Diagnostic, Report};
use super::written::{Piece, Written};
use super::{Config, file, program};
use crate::trust::{self, Distrust};

/// The name of the file under `state_dir`.
const FILE: &str = "last-good.json";

/// The name of the file while it is written.
const UNFINISHED: &str = "last-good.json.new";

/// What the file holds; another number means another boathook.
const FORMAT: u32 = 1;

/// A configuration that held no mistake when it was loaded.
#[derive(Clone, Debug)]
pub struct Good {
    /// When it was loaded last.
    pub loaded_at: Timestamp,
    written: Written,
}

/// Why a configuration could not be kept, or found again.
#[derive(Debug, thiserror::Error)]
pub enum GoodError {
    /// The disk refuses.
    #[error("keep `{}`", .path.display())]
    Keep {
        /// What was to be written.
        path: PathBuf,
        /// Why it was not.
        source: io::Error,
    },
    /// It is there, but cannot be read.
    #[error("read `{}`", .path.display())]
    Read {
        /// Where it is.
        path: PathBuf,
        /// Why it cannot be read.
        source: io::Error,
    },
    /// Somebody else could have written it.
    #[error("trust what is kept there")]
    Distrust(#[from] Distrust),
    /// It does not hold what was written there.
    #[error("understand `{}`", .path.display())]
    Content {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A later boathook wrote it.
    #[error("understand `{}`, which is of format {format}", .path.display())]
    Format {
        /// Where it is.
        path: PathBuf,
        /// The number that it has.
        format: u32,
    },
    /// It is that of another file, so that nobody asked for it.
    #[error("use `{}`, which was kept for `{}`", .path.display(), .of.display())]
    Other {
        /// Where it is.
        path: PathBuf,
        /// The file that it was kept for.
        of: PathBuf,
    },
}

/// The file under `state_dir`.
#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    loaded_at: Timestamp,
    main: StoredFile,
    drop_ins: Vec<StoredFile>,
}

#[derive(Serialize, Deserialize)]
struct StoredFile {
    /// Absolute.
    path: PathBuf,
    text: String,
}

impl Good {
    /// Keeps `written`, which was loaded at `now`, under `state_dir` in place of what was kept before.
    ///
    /// # Errors
    ///
    /// When it is not on the disk. What was kept before is still there then.
    pub fn keep(written: &Written, state_dir: &Path, now: Timestamp) -> Result<(), GoodError> {
        let path = state_dir.join(FILE);
        let bytes = serde_json::to_vec(&Stored::of(written, now))
            .map_err(|source| GoodError::Keep { path: path.clone(), source: source.into() })?;
        let failed = |source| GoodError::Keep { path: path.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(state_dir).map_err(failed)?;
        trust::vet(state_dir)?;
        replace(state_dir, &bytes).map_err(failed)
    }

    /// What was kept under `state_dir` for the file `path`; `None` if nothing was.
    ///
    /// # Errors
    ///
    /// When something is there that cannot be used.
    pub fn find(state_dir: &Path, path: &Path) -> Result<Option<Good>, GoodError> {
        let kept = state_dir.join(FILE);
        let bytes = match fs::read(&kept) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(GoodError::Read { path: kept, source }),
        };
        trust::vet(&kept)?;
        let stored: Stored = serde_json::from_slice(&bytes)
            .map_err(|source| GoodError::Content { path: kept.clone(), source })?;
        let asked = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        match stored {
            Stored { format, .. } if format != FORMAT => Err(GoodError::Format { path: kept, format }),
            Stored { main, .. } if main.path != asked => Err(GoodError::Other { path: kept, of: main.path }),
            stored => Ok(Some(stored.into())),
        }
    }

    /// The text of the main file.
    pub(super) fn text(&self) -> &str {
        self.written.main().shown()
    }

    /// The configuration, and what is wrong with it by now: programs that are gone, or that others could
    /// have written. Their hooks are there all the same, and fail when their turn comes.
    ///
    /// # Errors
    ///
    /// When more is wrong than programs, so that it cannot be used: this boathook reads it differently
    /// than the one that kept it, say.
    pub fn resolve(&self) -> Result<(Config, Vec<Diagnostic>), Report> {
        let strict = match self.written.check() {
            Ok(config) => return Ok((config, Vec::new())),
            Err(report) => report,
        };
        let main = self.written.main();
        let mut lenient = Report::new(&main.path, main.shown());
        let find = |written: &str, directory: &Path| {
            Ok(program::find(written, directory).unwrap_or_else(|_| expected(written, directory)))
        };
        match file::resolve(&self.written, &find, &mut lenient) {
            Some(config) if lenient.is_empty() => Ok((config, strict.diagnostics().to_owned())),
            _ => Err(strict),
        }
    }
}

/// Where a program would be looked for that is not there.
fn expected(written: &str, directory: &Path) -> PathBuf {
    let directory = if written.contains('/') { directory } else { Path::new("/usr/bin") };
    directory.join(written)
}

/// Puts a file of these bytes in place, so that at each moment the old one or the new one is there whole.
fn replace(state_dir: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = state_dir.join(UNFINISHED);
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Made anew, so that the mode holds: environments may hold secrets.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, state_dir.join(FILE))?;
    File::open(state_dir)?.sync_all()
}

impl Stored {
    fn of(written: &Written, now: Timestamp) -> Stored {
        let file = |it: &Piece| StoredFile { path: it.absolute(), text: it.shown().to_owned() };
        Stored {
            format: FORMAT,
            loaded_at: now,
            main: file(written.main()),
            drop_ins: written.drop_ins().iter().map(file).collect(),
        }
    }
}

impl From<Stored> for Good {
    fn from(stored: Stored) -> Good {
        let Stored { loaded_at, main, drop_ins, .. } = stored;
        let piece = |it: StoredFile| Piece::new(it.path, it.text);
        Good { loaded_at, written: Written::of(piece(main), drop_ins.into_iter().map(piece).collect()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Good, Path, Piece, Stored, Timestamp, Written, expected};

    #[test]
    fn what_is_kept_comes_back_to_the_letter() {
        let piece = |path: &str, text: &str| Piece::new(path.into(), text.to_owned());
        let drop_ins = vec![piece("/etc/b/hooks.d/a.yaml", "version: 1 # ü\n")];
        let written = Written::of(piece("/etc/b/c.yaml", "version: 1\noutage: closed\n"), drop_ins);

        let bytes = serde_json::to_vec(&Stored::of(&written, Timestamp::UNIX_EPOCH)).expect("it is JSON");
        let stored: Stored = serde_json::from_slice(&bytes).expect("it was just written");
        let good = Good::from(stored);

        assert_eq!(good.loaded_at, Timestamp::UNIX_EPOCH);
        assert_eq!(good.text(), "version: 1\noutage: closed\n");
        let drop_in = &good.written.drop_ins()[0];
        assert_eq!(
            (drop_in.path.to_str(), drop_in.text()),
            (Some("/etc/b/hooks.d/a.yaml"), Some("version: 1 # ü\n"))
        );
    }

    #[test]
    fn a_program_that_is_gone_is_where_it_was_written() {
        assert_eq!(expected("hooks/a.sh", Path::new("/etc/b")), Path::new("/etc/b/hooks/a.sh"));
        assert_eq!(expected("/opt/a", Path::new("/etc/b")), Path::new("/opt/a"));
        assert_eq!(expected("nginx", Path::new("/etc/b")), Path::new("/usr/bin/nginx"));
    }
}
