//! The files of one attempt.
//!
//! Standard input, output and error are files and not pipes: a pipe would cut the document short,
//! or kill the script, should boathook die. They live in a directory of their own, which goes when
//! the attempt has been collected.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::contract::{Attempt, Document};
use crate::run::{Captured, NESTED_HEADER, Output};

/// How large one stream may grow on disk while the script runs, in bytes. What has been written
/// until then is dropped but for its size, so that a script that writes without end fills no disk.
const STREAM_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Why the files of an attempt could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum FilesError {
    #[error("write `{}`", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The files of one attempt. Dropping them removes the directory.
#[derive(Debug)]
pub(super) struct AttemptFiles {
    dir: PathBuf,
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
    pub(super) fn create(attempt: &Attempt<'_>) -> Result<AttemptFiles, FilesError> {
        let settings = attempt.settings;
        let dir = settings.runs_dir.join(format!("{}.{}", attempt.run.id, attempt.number));
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| FilesError::Write { path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(failed(&dir))?;
        let document = serde_json::to_vec(&Document::of(attempt)).expect("a document is JSON");
        let event = dir.join("event.json");
        fs::write(&event, document).map_err(failed(&event))?;
        write_docker_config(&dir.join("docker"), Path::new(&settings.home), attempt.secret)
            .map_err(failed(&dir.join("docker")))?;
        Ok(AttemptFiles {
            stdout: Stream::create(&dir.join("stdout")).map_err(failed(&dir.join("stdout")))?,
            stderr: Stream::create(&dir.join("stderr")).map_err(failed(&dir.join("stderr")))?,
            dir,
            kept_max: settings.output_bytes_max,
        })
    }

    /// `HOOK_EVENT_FILE`.
    pub(super) fn event(&self) -> PathBuf {
        self.dir.join("event.json")
    }

    /// `DOCKER_CONFIG`.
    pub(super) fn docker_config(&self) -> PathBuf {
        self.dir.join("docker")
    }

    /// Handles for the child: standard input, output and error.
    pub(super) fn for_child(&self) -> io::Result<[File; 3]> {
        Ok([File::open(self.event())?, self.stdout.file.try_clone()?, self.stderr.file.try_clone()?])
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

impl Drop for AttemptFiles {
    fn drop(&mut self) {
        // What cannot be removed is swept at the next start.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Stream {
    fn create(path: &Path) -> io::Result<Stream> {
        // Appending, so that writers go on at the new end after the file has been cut.
        let file = OpenOptions::new().read(true).append(true).create_new(true).mode(0o600).open(path)?;
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
        let left_out = bytes_total - head.len() as u64 - tail.len() as u64;
        Ok(Captured { text: format!("{head}\n… {left_out} bytes left out …\n{tail}"), bytes_total })
    }

    fn read_range(&mut self, from: u64, bytes: u64) -> io::Result<String> {
        let mut read = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
        self.file.seek(SeekFrom::Start(from))?;
        (&self.file).take(bytes).read_to_end(&mut read)?;
        Ok(String::from_utf8_lossy(&read).into_owned())
    }
}

/// A copy of the user's client configuration with the header of the run added, for docker clients
/// before 27.1, which know no `DOCKER_CUSTOM_HEADERS`.
fn write_docker_config(dir: &Path, home: &Path, secret: &str) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(dir)?;
    let own = home.join(".docker");
    let mut config = match fs::read(own.join("config.json")).map(|it| serde_json::from_slice(&it)) {
        Ok(Ok(Value::Object(config))) => config,
        // None, or one that the client would not understand either.
        _ => Map::new(),
    };
    let headers = config.entry("HttpHeaders").or_insert_with(|| json!({}));
    match headers {
        Value::Object(headers) => drop(headers.insert(NESTED_HEADER.into(), secret.into())),
        other => *other = json!({ NESTED_HEADER: secret }),
    }
    fs::write(dir.join("config.json"), Value::Object(config).to_string())?;
    let Ok(entries) = fs::read_dir(&own) else { return Ok(()) };
    for entry in entries.filter_map(Result::ok).filter(|it| it.file_name() != "config.json") {
        symlink(entry.path(), dir.join(entry.file_name()))?;
    }
    Ok(())
}
