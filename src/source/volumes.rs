//! Uses of volumes that an engine has left over.
//!
//! An engine that was killed does not give back what its containers used. So the driver is told which volumes
//! are used.

use tracing::debug;

use super::beat::{Beat, Seen};
use crate::docker::DockerError;
use crate::driver::volume::{EngineSeen, Sight, Volumes};

/// Tells the volume driver what is used.
pub struct VolumeWatch {
    beat: Beat,
    volumes: Volumes,
}

impl VolumeWatch {
    /// Tells `volumes` at each beat.
    pub fn new(beat: Beat, volumes: Volumes) -> VolumeWatch {
        VolumeWatch { beat, volumes }
    }

    /// Undoes what was cut off at the last end, then compares until nobody follows events any more.
    pub async fn run(mut self) {
        self.volumes.repair().await;
        while let Some(seen) = self.beat.next().await {
            if seen == Seen::There
                && let Err(error) = self.compare().await
            {
                debug!(%error, "docker does not tell which volumes are used, will ask again");
                self.beat.again();
            }
        }
    }

    async fn compare(&self) -> Result<(), DockerError> {
        let (docker, volumes) = (&self.beat.docker, &self.volumes);
        let engine = docker.process().await.map(|it| EngineSeen { pid: it.pid, since: it.since });
        let sight = Sight { asked_at: volumes.now(), engine };
        let used = docker.volumes_used().await?;
        volumes.compare(&sight, &used).await;
        Ok(())
    }
}
