//! Uses of volumes that an engine has left over.
//!
//! An engine that was killed does not give back what its containers used. So whenever its event stream is
//! taken up, and on the timer of reconciliation, the driver is told which volumes are used. Never before the
//! engine has answered once: while it starts it waits for us.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::debug;

use super::reconcile::Following;
use crate::docker::{Docker, DockerError};
use crate::driver::volume::{EngineSeen, Sight, Volumes};
use crate::engine::Engine;

/// The pause after a list that could not be had.
const AGAIN: Duration = Duration::from_secs(5);

/// Tells the volume driver what is used.
pub struct VolumeWatch {
    pub(super) docker: Docker,
    pub(super) engine: Engine,
    pub(super) following: watch::Receiver<Option<Following>>,
}

impl VolumeWatch {
    /// Undoes what was cut off at the last end, then compares until nobody follows events any more.
    pub async fn run(self, volumes: Volumes) {
        volumes.repair().await;
        let mut news = self.following.clone();
        loop {
            let is_followed = news.borrow_and_update().is_some();
            let pause = match is_followed {
                true => self.compare(&volumes).await,
                // Until there is news.
                false => Duration::MAX,
            };
            tokio::select! {
                changed = news.changed() => if changed.is_err() { return },
                () = sleep(pause) => {}
            }
        }
    }

    /// Compares once, and tells how long until the next time.
    async fn compare(&self, volumes: &Volumes) -> Duration {
        match self.try_compare(volumes).await {
            Ok(()) => self.engine.reconcile_every(),
            Err(error) => {
                debug!(%error, "docker does not tell which volumes are used, will ask again");
                AGAIN
            }
        }
    }

    async fn try_compare(&self, volumes: &Volumes) -> Result<(), DockerError> {
        let engine = self.docker.process().await.map(|it| EngineSeen { pid: it.pid, since: it.since });
        let sight = Sight { asked_at: volumes.now(), engine };
        let used = self.docker.volumes_used().await?;
        volumes.compare(&sight, &used).await;
        Ok(())
    }
}
