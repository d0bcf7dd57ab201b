//! The way into the journal.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{oneshot, watch};

use super::backup::{BackupError, Copied};
use super::queue::Shared;
use super::reader::Reader;
use super::{CommitError, JournalError, Kept, Standing};
use crate::lifecycle::EngineId;
use crate::run::Entry;

/// The durable record. Cheap to clone: all clones are the same journal.
///
/// When all are gone the [`Writer`](super::Writer) writes what is left, and ends.
#[derive(Clone)]
pub struct Journal {
    way: Arc<Way>,
}

/// Closes the journal when the last handle goes.
struct Way(Arc<Shared>);

impl Drop for Way {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("dir", &self.shared().dir).finish_non_exhaustive()
    }
}

impl Journal {
    pub(super) fn new(shared: Arc<Shared>) -> Journal {
        Journal { way: Arc::new(Way(shared)) }
    }

    /// What stands in for a journal whose store cannot be opened: nothing can be committed, nothing is
    /// kept, and there is no room.
    pub fn without_store(why: &str) -> Journal {
        Journal::new(Arc::new(Shared::without_store(why.into())))
    }

    fn shared(&self) -> &Shared {
        &self.way.0
    }

    /// Hands over entries without waiting until they are on disk, where they come together, in one
    /// transaction, and in the order of calls. Never waits, and costs next to nothing.
    ///
    /// # Errors
    ///
    /// When an entry cannot be true. Those before it are recorded, it and those after it are not.
    pub fn append(&self, entries: impl IntoIterator<Item = Entry>) -> Result<(), JournalError> {
        self.shared().append(entries.into_iter().collect())
    }

    /// As [`Journal::append`]; what is kept is dropped when the entries are on disk, or never will be.
    ///
    /// # Errors
    ///
    /// As [`Journal::append`].
    pub fn append_keeping(
        &self,
        entries: impl IntoIterator<Item = Entry>,
        kept: impl IntoIterator<Item = Kept>,
    ) -> Result<(), JournalError> {
        self.shared().append_keeping(entries.into_iter().collect(), kept.into_iter().collect())
    }

    /// Has what was appended written at once, and not when it has gathered for a moment.
    pub fn hasten(&self) {
        self.shared().hasten();
    }

    /// Hands over entries; done when they are on disk.
    ///
    /// They take their place when this is called, not when the future is first polled, and go ahead
    /// of what was appended and has nothing to do with them. A dropped future takes nothing back.
    ///
    /// # Errors
    ///
    /// When an entry cannot be true, and, at once, while the store cannot be written. None of them
    /// is recorded then, nor later.
    pub fn commit(
        &self,
        entries: Vec<Entry>,
    ) -> impl Future<Output = Result<(), CommitError>> + Send + use<> {
        let (reply, kept) = oneshot::channel();
        self.shared().commit(entries, reply);
        async { kept.await.unwrap_or_else(|_| Err(CommitError::Unwritable { why: WRITER_GONE.into() })) }
    }

    /// Whether the store can be written, and every change of that.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.shared().standing.subscribe()
    }

    /// Whether more should be appended: it is taken in any case, but memory is not endless.
    pub fn has_room(&self) -> bool {
        self.shared().has_room()
    }

    /// Up to where the event stream of `engine` has been taken in: the time of the last message, by
    /// the engine's clock. It may be ahead of what is on disk.
    pub fn cursor(&self, engine: &EngineId) -> Option<Timestamp> {
        self.shared().queue().known.taken(engine).map(|it| it.cursor)
    }

    /// What tells the last messages that were read from all others, the oldest first; at most
    /// [`MARKS_MAX`](Self::MARKS_MAX).
    pub fn marks(&self, engine: &EngineId) -> Vec<u64> {
        let queue = self.shared().queue();
        queue.known.taken(engine).map_or_else(Vec::new, |it| it.marks.iter().copied().collect())
    }

    /// How many messages the marks of are kept: more than an engine can tell again, which keeps 256,
    /// and those of the second before the cursor besides.
    pub const MARKS_MAX: usize = 1024;

    /// Copies what is on disk into `file`, which must not exist yet. Blocks; the writer goes on.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or the file not be written; then there is no file.
    pub fn backup(&self, file: &Path) -> Result<Copied, BackupError> {
        Reader::open(&self.shared().dir)?.backup(file)
    }

    /// Makes the copy that was opened a store like any other.
    pub fn accept_copy(&self) {
        self.shared().accept_copy();
    }
}

/// Why nothing is written any more after the writer has ended.
pub(super) const WRITER_GONE: &str = "its writer has ended";
