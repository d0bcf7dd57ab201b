//! The docker client's configuration for one attempt: the user's own, and the header by which calls
//! of a hook's own are recognised, for clients before 27.1, which know no `DOCKER_CUSTOM_HEADERS`.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use nix::libc::{O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK};
use serde_json::{Map, Value, json};

use crate::run::NESTED_HEADER;

/// The largest `config.json` that is copied, in bytes. Real ones have a few hundred.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// Writes the configuration into `dir`, which is made for it. `home` is the home of the user that
/// the script runs as; where that is not boathook's own, `owner` says who.
pub(super) fn write_config(dir: &Path, home: &Path, owner: Option<u32>, secret: &str) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(dir)?;
    let path = home.join(".docker");
    let own = Own::open(&path, owner);
    let mut config = own.as_ref().and_then(Own::config).unwrap_or_default();
    let headers = config.entry("HttpHeaders").or_insert_with(|| json!({}));
    match headers {
        Value::Object(headers) => drop(headers.insert(NESTED_HEADER.into(), secret.into())),
        other => *other = json!({ NESTED_HEADER: secret }),
    }
    fs::write(dir.join("config.json"), Value::Object(config).to_string())?;
    let Some(entries) = own.and_then(|it| fs::read_dir(it.reach()).ok()) else { return Ok(()) };
    for entry in entries.filter_map(Result::ok).filter(|it| it.file_name() != "config.json") {
        symlink(path.join(entry.file_name()), dir.join(entry.file_name()))?;
    }
    Ok(())
}

/// The user's own configuration directory.
///
/// Boathook reads it with rights of its own, so of another user only what belongs to them is read: a
/// link in their home must not show them what root's says.
struct Own {
    dir: File,
    owner: Option<u32>,
}

impl Own {
    fn open(path: &Path, owner: Option<u32>) -> Option<Own> {
        let nofollow = if owner.is_some() { O_NOFOLLOW } else { 0 };
        let dir = OpenOptions::new().read(true).custom_flags(O_DIRECTORY | nofollow).open(path).ok()?;
        let own = Own { dir, owner };
        own.is_theirs(&own.dir).then_some(own)
    }

    /// The directory that is open, whatever its name means by now.
    fn reach(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.dir.as_raw_fd()).into()
    }

    /// What `config.json` holds; `None` if there is none, or one that the client would not
    /// understand either.
    fn config(&self) -> Option<Map<String, Value>> {
        // Without waiting: they may have put a pipe there.
        let flags = O_NONBLOCK | if self.owner.is_some() { O_NOFOLLOW } else { 0 };
        let path = self.reach().join("config.json");
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
        if !file.metadata().ok()?.is_file() || !self.is_theirs(&file) {
            return None;
        }
        let mut text = Vec::new();
        file.take(CONFIG_BYTES_MAX).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    fn is_theirs(&self, file: &File) -> bool {
        self.owner.is_none_or(|owner| file.metadata().is_ok_and(|it| it.uid() == owner))
    }
}
