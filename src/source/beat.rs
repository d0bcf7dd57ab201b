//! When it is looked after what an engine has left over.
//!
//! Whenever its event stream is taken up or lost, and on the timer of reconciliation. The engine is asked only
//! while its events are followed: while it starts it waits for us.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::reconcile::Following;
use crate::docker::Docker;
use crate::engine::Engine;

/// The pause after a list that could not be had.
const AGAIN: Duration = Duration::from_secs(5);

/// Tells who looks after something when it is time.
#[derive(Clone)]
pub struct Beat {
    /// The engine that is looked at.
    pub(super) docker: Docker,
    engine: Engine,
    following: watch::Receiver<Option<Following>>,
    /// Until the next beat, if nothing becomes of the event stream before. Zero at first.
    pause: Duration,
}

/// What is known of the engine at a beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Its events are followed, and it can be asked.
    There,
    /// Its event stream has just been lost.
    Lost,
    /// It has not come back, or there has been no stream yet.
    Away,
}

impl Beat {
    pub(super) fn new(docker: Docker, engine: Engine, following: watch::Receiver<Option<Following>>) -> Beat {
        Beat { docker, engine, following, pause: Duration::ZERO }
    }

    /// Waits for the next beat, the first of which comes at once. `None`: nobody follows events any more.
    pub(super) async fn next(&mut self) -> Option<Seen> {
        let is_news = tokio::select! {
            changed = self.following.changed() => changed.map(|()| true).ok()?,
            () = sleep(self.pause) => false,
        };
        self.pause = self.engine.reconcile_every();
        Some(match (self.following.borrow_and_update().is_some(), is_news) {
            (true, _) => Seen::There,
            (false, true) => Seen::Lost,
            (false, false) => Seen::Away,
        })
    }

    /// The engine did not say what it was asked: the next beat comes soon.
    pub(super) fn again(&mut self) {
        self.pause = AGAIN;
    }
}
