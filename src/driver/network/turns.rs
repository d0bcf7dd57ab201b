//! Who may change something: one at a time for each network and each endpoint.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// How many turns are remembered before those that nobody has or waits for are forgotten. There are as many
/// as there are networks and endpoints being worked on.
const IDLE_MAX: usize = 256;

/// Whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<String, Arc<RwLock<()>>>>);

impl Turns {
    /// Waits until nobody else works on `what`, and keeps them off.
    pub(super) async fn alone(&self, what: &str) -> OwnedRwLockWriteGuard<()> {
        self.of(what).write_owned().await
    }

    /// As [`Turns::alone`], if nobody else works on `what` now.
    pub(super) fn alone_at_once(&self, what: &str) -> Option<OwnedRwLockWriteGuard<()>> {
        self.of(what).try_write_owned().ok()
    }

    /// Waits until nobody works alone on `what`, and keeps off whoever wants to.
    pub(super) async fn along(&self, what: &str) -> OwnedRwLockReadGuard<()> {
        self.of(what).read_owned().await
    }

    fn of(&self, what: &str) -> Arc<RwLock<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() >= IDLE_MAX {
            turns.retain(|_, it| Arc::strong_count(it) > 1);
        }
        Arc::clone(turns.entry(what.to_owned()).or_default())
    }
}
