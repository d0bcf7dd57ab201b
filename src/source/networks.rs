//! The host's links and rules, put right when others have changed them, and networks that an engine has
//! forgotten.
//!
//! At boathook's start, before a container of a host that has just come up gets its network; whenever the
//! event stream is taken up, since an engine that starts makes the host's rules anew; and on the timer of
//! reconciliation, for whoever has flushed them. The engine is asked only after it has answered once: while
//! it starts it waits for us.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::debug;

use super::reconcile::Following;
use crate::docker::{Docker, DockerError};
use crate::driver::network::{Known, Networks};
use crate::engine::Engine;

/// The pause after a list that could not be had.
const AGAIN: Duration = Duration::from_secs(5);

/// Looks after the networks that are ours.
pub struct NetworkWatch {
    pub(super) docker: Docker,
    pub(super) engine: Engine,
    pub(super) following: watch::Receiver<Option<Following>>,
    pub(super) plugin: String,
}

impl NetworkWatch {
    /// Repairs, then repairs and compares until nobody follows events any more.
    pub async fn run(self, networks: Networks) {
        networks.repair().await;
        let mut news = self.following.clone();
        loop {
            let is_followed = news.borrow_and_update().is_some();
            networks.tidy().await;
            let pause = match is_followed {
                true => self.compare(&networks).await,
                false => self.engine.reconcile_every(),
            };
            tokio::select! {
                changed = news.changed() => if changed.is_err() { return },
                () = sleep(pause) => {}
            }
        }
    }

    /// Compares once, and tells how long until the next time.
    async fn compare(&self, networks: &Networks) -> Duration {
        let asked_at = Instant::now();
        match self.known().await {
            Ok(known) => {
                networks.compare(asked_at, &known).await;
                self.engine.reconcile_every()
            }
            Err(error) => {
                debug!(%error, "docker does not tell which networks it has, will ask again");
                AGAIN
            }
        }
    }

    async fn known(&self) -> Result<Known, DockerError> {
        let known = self.docker.networks_of(&self.plugin).await?;
        // What has another kind of id is not ours.
        let ids = known.into_iter().filter_map(|(network, endpoints)| {
            let endpoints = endpoints.into_iter().filter_map(|it| it.try_into().ok());
            Some((network.try_into().ok()?, endpoints.collect()))
        });
        Ok(ids.collect())
    }
}
