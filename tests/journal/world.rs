//! A store in a folder of its own, and a writer that runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use boathook::journal::{self, Asked, CommitError, Journal, Opened, Remembered, Retention, Standing};
use boathook::run::Entry;
use rusqlite::Connection;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

/// For what happens at once unless it never does.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// A folder that is removed at the end.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Folder {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("boathook-journal-{}-{nth}", std::process::id()));
        fs::create_dir(&folder).expect("the folder is new");
        Folder(folder)
    }

    /// Where a store may be made.
    pub(super) fn store(&self) -> PathBuf {
        self.0.join("state")
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left lies in the temporary directory; a failing test has something else to say.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A journal whose writer runs.
pub(super) struct World {
    pub(super) journal: Journal,
    pub(super) remembered: Remembered,
    pub(super) wishes: mpsc::Receiver<Asked>,
    pub(super) runtime: Runtime,
    writer: JoinHandle<()>,
}

impl World {
    pub(super) fn open(dir: &Path) -> World {
        World::keeping(dir, Retention::default())
    }

    pub(super) fn keeping(dir: &Path, keep: Retention) -> World {
        let Opened { journal, writer, remembered, wishes } =
            journal::open(dir, keep).expect("open the store");
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        World { journal, remembered, wishes, runtime, writer: thread::spawn(|| writer.run()) }
    }

    pub(super) fn append(&self, entries: impl IntoIterator<Item = Entry>) {
        self.journal.append(entries).expect("entries that may be true");
    }

    pub(super) fn commit(&self, entries: impl IntoIterator<Item = Entry>) -> Result<(), CommitError> {
        self.runtime.block_on(self.journal.commit(entries.into_iter().collect()))
    }

    /// Waits until the journal stands so.
    pub(super) fn wait_until(&self, is_so: impl Fn(&Standing) -> bool) -> Standing {
        let mut standing = self.journal.standing();
        self.runtime.block_on(async {
            let waited = tokio::time::timeout(LIMIT, standing.wait_for(|it| is_so(it))).await;
            waited.expect("the standing comes in time").expect("the writer lives").clone()
        })
    }

    /// Waits until everything is written, and lets go of the store.
    pub(super) fn close(self) {
        drop(self.journal);
        self.writer.join().expect("the writer does not panic");
    }
}

/// What `sqlite3` would show.
pub(crate) fn look<T: rusqlite::types::FromSql>(dir: &Path, sql: &str) -> T {
    let connection = Connection::open(dir.join("journal.db")).expect("open the file");
    connection.busy_timeout(LIMIT).expect("a time limit");
    connection.query_row(sql, [], |row| row.get(0)).expect(sql)
}
