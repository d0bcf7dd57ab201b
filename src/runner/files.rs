//! The files of one attempt.
//!
//! Standard input, output and error are files and not pipes: a pipe would cut the document short,
//! or kill the script, should boathook die. They live in a directory of their own, which goes when
//! the journal holds how the attempt ended and what it wrote. A script that runs as another user can read its own,
//! and nobody else can.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, lchown,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::OFlag;

use super::broom::{Broom, Traces};
use super::client;
use super::contract::{Attempt, Document};
use super::note::{Begun, Note};
use crate::launch::Identity;
use crate::run::{Captured, Outcome, Output};

/// How large one stream may grow on disk while the script runs, in bytes. What has been written
/// until then is dropped but for its size, so that a script that writes without end fills no disk.
const STREAM_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Permission bits that let everybody pass through a directory, without seeing what is in it.
const SEARCH_BY_ALL: u32 = 0o011;

/// Why the files of an attempt could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum FilesError {
    #[error("write `{}`", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("let others through `{}`", .path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("give `{}` to the hook's user", .path.display())]
    Give {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The files of one attempt. Dropping them has them removed.
#[derive(Debug)]
pub(super) struct AttemptFiles {
    dir: PathBuf,
    traces: Option<Traces>,
    note: Note,
    stdin: File,
    stdout: Stream,
    stderr: Stream,
    kept_max: usize,
}

#[derive(Debug)]
struct Stream {
    file: File,
    dropped_bytes: u64,
}

impl AttemptFiles {
    pub(super) fn create(attempt: &Attempt<'_>, broom: &Arc<Broom>) -> Result<AttemptFiles, FilesError> {
        let settings = attempt.settings;
        let dir = settings.runs_dir.join(format!("{}.{}", attempt.run.id, attempt.number));
        let traces = Traces::at(dir.clone(), broom);
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| FilesError::Write { path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(failed(&dir))?;
        let owner = attempt.person.map(|it| &it.identity);
        let document = serde_json::to_vec(&Document::of(attempt)).expect("a document is JSON");
        let event = dir.join("event.json");
        fs::write(&event, document).map_err(failed(&event))?;
        let docker = dir.join("docker");
        client::write_config(&docker, attempt.home(), owner.map(|it| it.uid), attempt.secret)
            .map_err(failed(&docker))?;
        // Last: a note of an attempt says that there may be a process.
        let (note, begun) = (Note::beside(&dir), Begun::of(attempt.run, attempt.number, attempt.deadline));
        let files = AttemptFiles {
            note: Note::begin(&note, &begun).map_err(failed(&note))?,
            stdin: File::open(&event).map_err(failed(&event))?,
            stdout: Stream::create(&dir.join("stdout")).map_err(failed(&dir.join("stdout")))?,
            stderr: Stream::create(&dir.join("stderr")).map_err(failed(&dir.join("stderr")))?,
            traces: Some(traces),
            dir,
            kept_max: settings.output_bytes_max,
        };
        if let Some(owner) = owner {
            let_through(&settings.runs_dir)?;
            give_away(&files.dir, owner)?;
        }
        Ok(files)
    }

    /// `HOOK_EVENT_FILE`.
    pub(super) fn event(&self) -> PathBuf {
        self.dir.join("event.json")
    }

    /// `DOCKER_CONFIG`.
    pub(super) fn docker_config(&self) -> PathBuf {
        self.dir.join("docker")
    }

    /// For the reaper: standard input, output and error of the process, and the note.
    pub(super) fn for_reaper(&self) -> [BorrowedFd<'_>; 4] {
        [self.stdin.as_fd(), self.stdout.file.as_fd(), self.stderr.file.as_fd(), self.note.as_fd()]
    }

    /// Says in the note that the attempt is ended by boathook, and as what that counts.
    pub(super) fn end(&self, outcome: &Outcome) -> io::Result<()> {
        self.note.end(outcome)
    }

    /// The attempt is over: directory and note go with what is returned.
    pub(super) fn finish(&mut self) -> Option<Traces> {
        self.traces.take()?.keep()
    }

    /// Drops what a script without end has written.
    pub(super) fn trim(&mut self) -> io::Result<()> {
        self.stdout.trim()?;
        self.stderr.trim()
    }

    /// What has been written until now, bounded.
    pub(super) fn read(&mut self) -> io::Result<Output> {
        Ok(Output { stdout: self.stdout.read(self.kept_max)?, stderr: self.stderr.read(self.kept_max)? })
    }
}

/// What an attempt of a boathook before this one has written until now, bounded. What had been dropped of
/// it is not counted.
pub(super) fn read_again(dir: &Path, kept_max: usize) -> io::Result<Output> {
    let mut stdout = Stream::reopen(&dir.join("stdout"))?;
    let mut stderr = Stream::reopen(&dir.join("stderr"))?;
    Ok(Output { stdout: stdout.read(kept_max)?, stderr: stderr.read(kept_max)? })
}

impl Stream {
    fn create(path: &Path) -> io::Result<Stream> {
        // Appending, so that writers go on at the new end after the file has been cut.
        let file = OpenOptions::new().read(true).append(true).create_new(true).mode(0o600).open(path)?;
        Ok(Stream { file, dropped_bytes: 0 })
    }

    /// The file belongs to the user of the hook, who may have put something else in its place: a link to
    /// what only boathook can read, or a pipe that nobody writes to.
    fn reopen(path: &Path) -> io::Result<Stream> {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.nlink() != 1 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Stream { file, dropped_bytes: 0 })
    }

    fn trim(&mut self) -> io::Result<()> {
        let len = self.file.metadata()?.len();
        if len > STREAM_BYTES_MAX {
            self.file.set_len(0)?;
            self.dropped_bytes += len;
        }
        Ok(())
    }

    fn read(&mut self, kept_max: usize) -> io::Result<Captured> {
        let len = self.file.metadata()?.len();
        let bytes_total = self.dropped_bytes + len;
        let kept_max = kept_max as u64;
        if bytes_total <= kept_max {
            return Ok(Captured { text: self.read_range(0, len)?, bytes_total });
        }
        let half = kept_max / 2;
        let (head, tail_from) = if self.dropped_bytes == 0 {
            (self.read_range(0, half)?, len - half)
        } else {
            (String::new(), len.saturating_sub(half))
        };
        let tail = self.read_range(tail_from, len - tail_from)?;
        Ok(shortened(&head, &tail, bytes_total))
    }

    fn read_range(&mut self, from: u64, bytes: u64) -> io::Result<String> {
        let mut read = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
        self.file.seek(SeekFrom::Start(from))?;
        (&self.file).take(bytes).read_to_end(&mut read)?;
        Ok(String::from_utf8_lossy(&read).into_owned())
    }
}

/// The beginning and the end of what was too long.
pub(super) fn shortened(head: &str, tail: &str, bytes_total: u64) -> Captured {
    let left_out = bytes_total.saturating_sub(head.len() as u64 + tail.len() as u64);
    Captured { text: format!("{head}\n… {left_out} bytes left out …\n{tail}"), bytes_total }
}

/// Lets every user pass through the directories of boathook's own that lead to the attempts. What
/// is in them cannot be listed, and each file has a mode of its own.
fn let_through(runs_dir: &Path) -> Result<(), FilesError> {
    for dir in runs_dir.ancestors().take(2) {
        let failed = |source| FilesError::Open { path: dir.to_owned(), source };
        let mode = fs::metadata(dir).map_err(failed)?.permissions().mode();
        if mode & SEARCH_BY_ALL != SEARCH_BY_ALL {
            fs::set_permissions(dir, Permissions::from_mode(mode | SEARCH_BY_ALL)).map_err(failed)?;
        }
    }
    Ok(())
}

/// Gives the files in `dir`, then `dir` itself, to `owner`. Until the last step nobody else can
/// reach what is in it.
fn give_away(dir: &Path, owner: &Identity) -> Result<(), FilesError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| FilesError::Give { path, source }
    };
    for entry in fs::read_dir(dir).map_err(failed(dir))? {
        let entry = entry.map_err(failed(dir))?;
        let path = entry.path();
        if entry.file_type().map_err(failed(&path))?.is_dir() {
            give_away(&path, owner)?;
        } else {
            lchown(&path, Some(owner.uid), Some(owner.gid)).map_err(failed(&path))?;
        }
    }
    lchown(dir, Some(owner.uid), Some(owner.gid)).map_err(failed(dir))
}
