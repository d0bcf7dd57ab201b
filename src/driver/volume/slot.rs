//! What is known of one volume, and who may change it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::shelf::{Found, Record};
use super::uses::Uses;

/// The place of one volume in memory.
#[derive(Debug)]
pub(super) struct Slot {
    /// What others may see at any moment, while the volume is being mounted as well.
    view: StdMutex<View>,
    state: Arc<Mutex<State>>,
}

/// What is told of a volume.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// What it is; `None`: there is none, or not yet.
    pub(super) found: Option<Found>,
    pub(super) mountpoint: Option<PathBuf>,
    pub(super) uses: usize,
}

/// What one operation at a time may change.
#[derive(Debug, Default)]
pub(super) struct State {
    /// What it is; `None`: there is none, or not yet.
    pub(super) found: Option<Found>,
    pub(super) uses: Uses,
    /// Uses that are over, and that the journal still holds: it could not be written.
    pub(super) unsaved: BTreeSet<String>,
    /// An operation has begun and not come to its end: what is mounted has to be looked up.
    pub(super) is_doubtful: bool,
    /// Since when no container that is up has been seen to use it, by [`Moment::up`](super::Moment::up).
    pub(super) unused_since: Option<Duration>,
    /// It is mounted, and the engine cannot see that.
    pub(super) is_unseen: bool,
    /// The slot is not the volume's any more: whoever waited for it looks again.
    pub(super) is_over: bool,
}

/// A volume that nobody else can change until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) slot: Arc<Slot>,
    pub(super) state: OwnedMutexGuard<State>,
}

impl Slot {
    pub(super) fn new(found: Option<Found>, uses: Uses) -> Slot {
        let is_doubtful = found.is_some();
        let state = State { found, uses, is_doubtful, ..State::default() };
        let view = StdMutex::new(state.view());
        Slot { view, state: Arc::new(Mutex::new(state)) }
    }

    pub(super) fn view(&self) -> View {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until nobody else changes it.
    pub(super) async fn hold(self: Arc<Slot>) -> Held {
        let state = Arc::clone(&self.state).lock_owned().await;
        Held { slot: self, state }
    }

    /// Holds it, unless somebody else does.
    pub(super) fn try_hold(self: Arc<Slot>) -> Option<Held> {
        let state = Arc::clone(&self.state).try_lock_owned().ok()?;
        Some(Held { slot: self, state })
    }
}

impl Held {
    /// What it is, if that is known.
    pub(super) fn record(&self) -> Option<&Record> {
        self.state.found.as_ref()?.as_ref().ok()
    }

    /// Shows others what has become of it.
    pub(super) fn show(&self) {
        *self.slot.view.lock().unwrap_or_else(PoisonError::into_inner) = self.state.view();
    }
}

impl State {
    fn view(&self) -> View {
        let mountpoint = self.uses.mountpoint().map(Path::to_owned);
        View { found: self.found.clone(), mountpoint, uses: self.uses.count() }
    }
}
