//! Work that waits for a disk.

use std::fmt;
use std::sync::Arc;

use tokio::sync::oneshot;

type Work = Box<dyn FnOnce() + Send>;

/// Where work is done that waits for a disk, or for whatever lies behind a mount.
///
/// A call of Docker's must not hold up all others while a directory is deleted, or while a server that a
/// mount leads to does not answer. Who spawns is decided upstream. Cheap to clone.
#[derive(Clone)]
pub struct Disk {
    spawn: Arc<dyn Fn(Work) + Send + Sync>,
}

/// The work was not done, or its end not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("boathook has no thread for it, or is stopping")]
pub struct Stopping;

impl Disk {
    /// `spawn` runs what it is given on some thread that may block, once and soon, and one that nobody waits
    /// for when boathook ends: deleting takes as long as there is data, and goes on at the next start.
    pub fn new(spawn: impl Fn(Box<dyn FnOnce() + Send>) + Send + Sync + 'static) -> Disk {
        Disk { spawn: Arc::new(spawn) }
    }

    /// Does `work`, and returns what it makes. It is begun when this is called, and goes on to its end if the
    /// future is dropped; what it returns is dropped then, a lock say, and not before.
    pub(super) fn run<T: Send + 'static, W: FnOnce() -> T + Send + 'static>(
        &self,
        work: W,
    ) -> impl Future<Output = Result<T, Stopping>> + Send + use<T, W> {
        let (reply, done) = oneshot::channel();
        (self.spawn)(Box::new(move || drop(reply.send(work()))));
        async { done.await.map_err(|_| Stopping) }
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").finish_non_exhaustive()
    }
}
