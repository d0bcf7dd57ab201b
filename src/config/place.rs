//! Files and directories that a hook names, apart from its program.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

use super::report::Wrong;

/// Whether `path` is a file that can be read like one.
pub(super) fn file(path: &Path) -> Result<(), Wrong> {
    let (shown, found) = (path.display(), look(path)?);
    if found.is_dir() {
        return Err(Wrong::new("path", format!("names `{shown}`, which is a directory")).help("name a file"));
    }
    if !found.is_file() {
        let message = format!("names `{shown}`, which is not a regular file");
        return Err(Wrong::new("path", message).help("name a file"));
    }
    Ok(())
}

/// Whether `path` is a directory.
pub(super) fn directory(path: &Path) -> Result<(), Wrong> {
    let shown = path.display();
    if look(path)?.is_dir() {
        return Ok(());
    }
    Err(Wrong::new("path", format!("names `{shown}`, which is not a directory")).help("name a directory"))
}

fn look(path: &Path) -> Result<Metadata, Wrong> {
    let shown = path.display();
    fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Wrong::new("path", format!("names `{shown}`, which does not exist"))
            .help("make it, or correct the path; it is relative to the directory of this file"),
        _ => Wrong::new("path", format!("names `{shown}`, which cannot be looked at: {error}"))
            .help("name another one"),
    })
}
