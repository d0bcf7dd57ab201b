//! The host's links and rules, put right when others have changed them, and networks that an engine has
//! forgotten.
//!
//! At boathook's start, before a container of a host that has just come up gets its network; whenever the
//! event stream is taken up, since an engine that starts makes the host's rules anew; and on the timer of
//! reconciliation, for whoever has flushed them.

use tokio::time::Instant;
use tracing::debug;

use super::beat::{Beat, Seen};
use crate::docker::DockerError;
use crate::driver::network::{Known, Networks};

/// Looks after the networks that are ours.
pub struct NetworkWatch {
    beat: Beat,
    networks: Networks,
}

impl NetworkWatch {
    /// Looks after `networks` at each beat.
    pub fn new(beat: Beat, networks: Networks) -> NetworkWatch {
        NetworkWatch { beat, networks }
    }

    /// Repairs, then puts right and compares until nobody follows events any more.
    pub async fn run(mut self) {
        self.networks.repair().await;
        while let Some(seen) = self.beat.next().await {
            self.networks.tidy().await;
            if seen == Seen::There
                && let Err(error) = self.compare().await
            {
                debug!(%error, "docker does not tell which networks it has, will ask again");
                self.beat.again();
            }
        }
    }

    async fn compare(&self) -> Result<(), DockerError> {
        let asked_at = Instant::now();
        let known = self.beat.docker.networks_among(&self.networks.held()).await?;
        // What has another kind of id is not ours.
        let ids = known.into_iter().filter_map(|(network, endpoints)| {
            let endpoints = endpoints.into_iter().filter_map(|it| it.try_into().ok());
            Some((network.try_into().ok()?, endpoints.collect()))
        });
        self.networks.compare(asked_at, &ids.collect::<Known>()).await;
        Ok(())
    }
}
