//! A Docker engine that is only played: its socket, its events, its inspects.
//!
//! What it tells is what it was given to tell, as fast as the other side reads. It knows the four calls
//! that a follower of containers makes (`GET /info`, `GET /events`, `GET /containers/json`,
//! `GET /containers/{id}/json`); anything else is answered with 404. Filters are not looked at: tell only what was asked for. `since` is:
//! a listener that comes back gets everything from then on once more, as from an engine whose ring
//! is never full, so that what a daemon loses is its own loss.
//!
//! Nothing here knows of boathook or of benchmarks.

mod containers;
mod log;
mod wire;

use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

pub use containers::{Container, nanoseconds_now};
pub use log::Batch;

use log::Log;

/// Answers whether there is a container of that id: its inspect, if there is.
pub type Inspect = dyn Fn(&str) -> Option<String> + Send + Sync;

/// A played engine. It is gone, with all its connections, when this is dropped.
pub struct Played {
    socket: PathBuf,
    stage: Arc<Stage>,
    accepting: Option<JoinHandle<()>>,
}

/// What all connections share.
struct Stage {
    log: Log,
    inspect: Box<Inspect>,
    inspected: AtomicU64,
    /// The answer to `GET /containers/json`, whatever its filters.
    list: Mutex<Arc<str>>,
    closing: AtomicBool,
    connections: Mutex<Vec<UnixStream>>,
}

impl Played {
    /// Begins to play at `socket`, which must not exist. Containers are what `inspect` says.
    ///
    /// # Panics
    ///
    /// When the socket cannot be bound.
    pub fn open(socket: PathBuf, inspect: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Played {
        let listener = UnixListener::bind(&socket).expect("bind a new socket");
        let stage = Arc::new(Stage {
            log: Log::default(),
            inspect: Box::new(inspect),
            inspected: AtomicU64::new(0),
            list: Mutex::new("[]".into()),
            closing: AtomicBool::new(false),
            connections: Mutex::default(),
        });
        let accepting = thread::spawn({
            let stage = Arc::clone(&stage);
            move || accept(&listener, &stage)
        });
        Played { socket, stage, accepting: Some(accepting) }
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// From now on these are the containers that are listed. Rendered here, so that a call costs the sending alone.
    pub fn list<'a>(&self, containers: impl IntoIterator<Item = Container<'a>>) {
        let listed: Vec<_> = containers.into_iter().map(|it| it.listed()).collect();
        let list = format!("[{}]", listed.join(","));
        *self.stage.list.lock().unwrap_or_else(PoisonError::into_inner) = list.into();
    }

    /// Tells these events to everybody who listens, now or later.
    pub fn tell(&self, batch: &Batch) {
        self.stage.log.append(batch);
    }

    /// Waits until so many have ever begun to listen to events.
    pub fn wait_for_listeners(&self, count: u64) {
        self.stage.log.wait_for_listeners(count);
    }

    /// How many have ever begun to listen to events.
    pub fn listeners(&self) -> u64 {
        self.stage.log.listeners()
    }

    /// How many inspects were answered.
    pub fn inspected(&self) -> u64 {
        self.stage.inspected.load(Ordering::Relaxed)
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        self.stage.closing.store(true, Ordering::SeqCst);
        self.stage.log.close();
        // Wakes the one who accepts.
        drop(UnixStream::connect(&self.socket));
        if let Some(accepting) = self.accepting.take() {
            accepting.join().expect("accepting does not panic");
        }
        for connection in self.stage.connections.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // The other side may have closed it.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn accept(listener: &UnixListener, stage: &Arc<Stage>) {
    for connection in listener.incoming().map_while(Result::ok) {
        if stage.closing.load(Ordering::SeqCst) {
            return;
        }
        let handle = connection.try_clone().expect("a second handle of a connection");
        stage.connections.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
        let stage = Arc::clone(stage);
        // Ends with its connection, which ends with the play.
        thread::spawn(move || wire::serve(connection, &stage));
    }
}
