//! The thread for what Docker waits for.
//!
//! Several threads of one runtime wake each other: each call that one of them answers has another one look
//! whether there is more, which takes half as long as the answer. A runtime of one thread wakes nobody. And what
//! starts processes and writes files is on another thread, behind a queue, and holds no answer up.

use std::io;
use std::thread::{self, JoinHandle};

use tokio::runtime::{self, Handle};
use tokio_util::sync::CancellationToken;

/// A thread that runs tasks, one at a time, until this is dropped. What has not ended then is dropped as well.
pub(super) struct Station {
    handle: Handle,
    over: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Station {
    /// Starts a thread that is called `name` where threads are listed.
    pub(super) fn open(name: &str) -> io::Result<Station> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (handle, over) = (runtime.handle().clone(), CancellationToken::new());
        let until = over.clone();
        let work = move || runtime.block_on(until.cancelled());
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work)?;
        Ok(Station { handle, over, thread: Some(thread) })
    }

    /// Where its tasks are spawned.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        self.over.cancel();
        if let Some(thread) = self.thread.take() {
            // The panic of a task ends that task, not the thread.
            let _ = thread.join();
        }
    }
}
