//! Whether the file that is written is the one that others find.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use super::open::file;

/// What tells a file from any other, whatever it is called: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl Identity {
    pub(super) fn of(metadata: &Metadata) -> Identity {
        Identity(metadata.dev(), metadata.ino())
    }

    /// Whether the store in `dir` is in this file still; else, in words, what to do.
    pub(super) fn is_in_place(self, dir: &Path) -> Result<(), Arc<str>> {
        let file = file(dir);
        match fs::metadata(&file).map(|it| Identity::of(&it)) {
            Ok(found) if found == self => Ok(()),
            Ok(_) => {
                Err(format!("`{}` is another file than it was; restart boathook", file.display()).into())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(format!(
                "`{}` has been moved or removed; put it back, or restart boathook to begin anew",
                file.display()
            )
            .into()),
            Err(error) => Err(format!("`{}` cannot be looked at ({error})", file.display()).into()),
        }
    }
}
