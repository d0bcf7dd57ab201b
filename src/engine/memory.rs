//! What sources ask to know where to go on from.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{oneshot, watch};

use super::{Engine, Message};
use crate::lifecycle::{EngineId, Known};

impl Engine {
    /// What is known of an engine's containers, once all that was sent before has been taken in. `None`:
    /// the task has ended.
    pub async fn known(&self, engine: &EngineId) -> Option<Known> {
        let (reply, known) = oneshot::channel();
        self.inbox.send(Message::Overview(engine.clone(), reply)).await.ok()?;
        known.await.ok()
    }

    /// Up to where the engine's event stream has been taken in.
    pub fn cursor(&self, engine: &EngineId) -> Option<Timestamp> {
        self.journal.cursor(engine)
    }

    /// The messages of the engine's event stream that were taken in last.
    pub fn marks(&self, engine: &EngineId) -> Vec<u64> {
        self.journal.marks(engine)
    }

    /// Whether nothing is remembered of the engine: what is there is older than anybody's interest.
    pub fn is_new(&self, engine: &EngineId) -> bool {
        self.cursor(engine).is_none()
    }

    /// How often what is known is compared with the engine's list.
    pub fn reconcile_every(&self) -> Duration {
        self.rules.load().reconcile_every
    }

    /// Changes whenever what has been read since the cursor has to be read again, because it could not be
    /// taken in.
    pub fn reconcile_wanted(&self) -> watch::Receiver<()> {
        self.wanted.subscribe()
    }
}
