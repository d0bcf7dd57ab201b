//! What removes the files of attempts that are over.
//!
//! They are kept until the journal holds what they say, and nobody waits for their removal: a thread of its own
//! sees to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use tracing::debug;

use super::note::Note;

/// How many attempts may wait to be removed before whoever lets go of one removes it itself. Making them
/// takes longer than removing them.
const HEAP_MAX: usize = 1_024;

/// How many attempts that are over are kept for the journal to be written: a disk that stands still for a
/// second on a busy host. Those beyond go at once, and are repeated if boathook is killed before it is written.
const KEPT_MAX: usize = 1_024;

/// Removes files. Whoever lets go of the last handle waits until all are gone.
#[derive(Debug)]
pub(super) struct Broom {
    heap: Option<SyncSender<PathBuf>>,
    sweeper: Option<JoinHandle<()>>,
    kept: AtomicUsize,
}

/// The directory of an attempt, and its note. Dropping this has them removed.
#[derive(Debug)]
pub struct Traces {
    dir: PathBuf,
    broom: Arc<Broom>,
    over: bool,
}

impl Broom {
    /// Starts the thread. Without one what is let go of is removed at once.
    pub(super) fn start() -> Broom {
        let (heap, heaped) = sync_channel(HEAP_MAX);
        let sweeper = thread::Builder::new().name("broom".to_owned()).spawn(move || sweep(&heaped)).ok();
        Broom { heap: Some(heap), sweeper, kept: AtomicUsize::new(0) }
    }

    fn remove(&self, dir: PathBuf) {
        let heaped = self.heap.as_ref().map(|it| it.try_send(dir.clone()));
        if !matches!(heaped, Some(Ok(()))) {
            remove(&dir);
        }
    }
}

impl Drop for Broom {
    fn drop(&mut self) {
        drop(self.heap.take());
        if let Some(sweeper) = self.sweeper.take() {
            // A panic of its own has been told.
            let _ = sweeper.join();
        }
    }
}

impl Traces {
    /// Those of the attempt whose directory is, or will be, `dir`.
    pub(super) fn at(dir: PathBuf, broom: &Arc<Broom>) -> Traces {
        Traces { dir, broom: broom.clone(), over: false }
    }

    /// The attempt is over: what it left is wanted only until the journal is written. `None`: so much is
    /// waiting for that already that it has gone.
    pub(super) fn keep(mut self) -> Option<Traces> {
        self.over = true;
        let before = self.broom.kept.fetch_add(1, Ordering::Relaxed);
        (before < KEPT_MAX).then_some(self)
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if self.over {
            self.broom.kept.fetch_sub(1, Ordering::Relaxed);
        }
        self.broom.remove(std::mem::take(&mut self.dir));
    }
}

fn sweep(heap: &Receiver<PathBuf>) {
    heap.iter().for_each(|dir| remove(&dir));
}

/// Removes an attempt's directory and its note. What cannot be removed is tried again at the next start.
fn remove(dir: &Path) {
    let removed = fs::remove_dir_all(dir).and_then(|()| fs::remove_file(Note::beside(dir)));
    if let Err(error) = removed.or_else(unless_gone) {
        debug!(dir = %dir.display(), %error, "the files of an attempt stay");
    }
}

fn unless_gone(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
