//! A plugin that is served in a folder of its own, and decides as the request's target says.

use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use docker_plugin_sdk::authorization::{Authorization, Decision, Request};
use docker_plugin_sdk::{Drained, Listener, Plugin, Socket};
use tempfile::TempDir;
use tokio::sync::{Mutex, Semaphore, oneshot};
use tokio::task::JoinHandle;

use crate::client::Client;

/// No limit on a drain.
pub(crate) const FOR_EVER: Duration = Duration::MAX;

/// A plugin being served.
pub(crate) struct World {
    folder: Arc<TempDir>,
    pub(crate) judge: Arc<Judge>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Drained>,
}

/// What calls do beyond being answered, as facts to wait for. A permit is a call.
#[derive(Debug)]
pub(crate) struct Judge {
    /// Calls to `/wait` that have come.
    pub(crate) entered: Semaphore,
    /// Calls to `/wait` that may go on.
    pub(crate) gate: Semaphore,
    /// Calls to `/wait` that came to their end.
    pub(crate) finished: Semaphore,
    /// Calls in the response phase, as `status target`.
    pub(crate) responses: Mutex<Vec<String>>,
}

impl Judge {
    pub(crate) fn new() -> Arc<Judge> {
        Arc::new(Judge {
            entered: Semaphore::new(0),
            gate: Semaphore::new(0),
            finished: Semaphore::new(0),
            responses: Mutex::default(),
        })
    }
}

/// Waits for a fact that `count` calls make true.
pub(crate) async fn wait_for(fact: &Semaphore, count: u32) {
    fact.acquire_many(count).await.expect("facts are never closed").forget();
}

/// The judge as a plugin has it.
struct Court(Arc<Judge>);

impl Authorization for Court {
    async fn request(&self, request: Request<'_>) -> Decision {
        match &*request.uri {
            "/deny" => Decision::deny("no & never"),
            "/fail" => Decision::fail("cannot know"),
            "/panic" => panic!("asked to"),
            "/panic-later" => {
                tokio::task::yield_now().await;
                panic!("asked to, later");
            }
            "/yield" => {
                tokio::task::yield_now().await;
                Decision::Allow
            }
            "/wait" => {
                self.0.entered.add_permits(1);
                wait_for(&self.0.gate, 1).await;
                self.0.finished.add_permits(1);
                Decision::Allow
            }
            "/never" => pending().await,
            _ => Decision::Allow,
        }
    }

    async fn response(&self, response: docker_plugin_sdk::authorization::Response<'_>) -> Decision {
        let told = format!("{:?} {}", response.status, response.request.uri);
        self.0.responses.lock().await.push(told);
        match response.status {
            Some(403) => Decision::deny("too late"),
            _ => Decision::Allow,
        }
    }
}

pub(crate) fn plugin(judge: &Arc<Judge>) -> Plugin {
    Plugin::builder().authorization(Court(Arc::clone(judge))).build()
}

impl World {
    /// A plugin that drains without a limit.
    pub(crate) fn start() -> World {
        World::with_limit(FOR_EVER)
    }

    pub(crate) fn with_limit(limit: Duration) -> World {
        World::in_folder(Arc::new(tempfile::tempdir().expect("a folder")), limit)
    }

    fn in_folder(folder: Arc<TempDir>, limit: Duration) -> World {
        let judge = Judge::new();
        let listener = Socket::new(folder.path().join("it.sock")).bind().expect("the path is free");
        let (stop, served) = serve(&plugin(&judge), listener, limit);
        World { folder, judge, stop, served }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("it.sock")
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::connect(&self.path()).await.expect("the plugin listens")
    }

    /// Asks the plugin to stop. What to await comes back.
    pub(crate) fn stop(self) -> Stopping {
        self.stop.send(()).expect("the plugin is being served");
        Stopping { path: self.folder.path().join("it.sock"), served: self.served, folder: self.folder }
    }

    /// Drops the server in the middle of what it does.
    pub(crate) async fn abort(self) {
        self.served.abort();
        assert!(self.served.await.expect_err("it was aborted").is_cancelled());
    }
}

/// A plugin that was asked to stop.
pub(crate) struct Stopping {
    path: PathBuf,
    served: JoinHandle<Drained>,
    folder: Arc<TempDir>,
}

impl Stopping {
    /// Waits until the path is free: from here on a successor can bind.
    pub(crate) async fn has_left(&self) {
        while self.path.exists() {
            tokio::task::yield_now().await;
        }
    }

    /// Another plugin at the same path, which must have been left.
    pub(crate) fn successor(&self) -> World {
        World::in_folder(Arc::clone(&self.folder), FOR_EVER)
    }

    /// Waits for the end of the drain.
    pub(crate) async fn drained(self) -> Drained {
        self.served.await.expect("the server does not panic")
    }
}

/// Serves in the background, until the sender is used or dropped.
pub(crate) fn serve(
    plugin: &Plugin,
    listener: Listener,
    limit: Duration,
) -> (oneshot::Sender<()>, JoinHandle<Drained>) {
    let (stop, stopped) = oneshot::channel();
    let plugin = plugin.clone();
    let served = tokio::spawn(async move {
        let stopped = async { _ = stopped.await };
        plugin.serve(listener, stopped, limit).await.expect("the runtime watches sockets")
    });
    (stop, served)
}
