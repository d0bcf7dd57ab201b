//! Addresses that an engine has left over.
//!
//! An engine that was killed does not give back what its containers had. So the IPAM driver is told which
//! networks there are, and which of its addresses somebody has.

use std::time::Instant;

use futures_util::future::join_all;
use tracing::debug;

use super::beat::{Beat, Seen};
use crate::docker::{DockerError, NetworkAddresses};
use crate::driver::ipam::{Ipam, NetworkSeen, Unseen};

/// Tells the IPAM driver what the engine has.
pub struct AddressWatch {
    beat: Beat,
    ipam: Ipam,
}

impl AddressWatch {
    /// Tells `ipam` at each beat.
    pub fn new(beat: Beat, ipam: Ipam) -> AddressWatch {
        AddressWatch { beat, ipam }
    }

    /// Compares until nobody follows events any more.
    pub async fn run(mut self) {
        while let Some(seen) = self.beat.next().await {
            match seen {
                Seen::There => self.compare().await,
                Seen::Lost => self.ipam.engine_is_away(),
                // It may be starting, and has asked for some of what it had already.
                Seen::Away => {}
            }
        }
    }

    async fn compare(&mut self) {
        let asked_at = Instant::now();
        match self.seen().await {
            Ok(seen) => self.ipam.compare(&seen, asked_at).await,
            Err(error) => {
                debug!(%error, "docker does not tell which networks there are, will ask again");
                self.beat.again();
            }
        }
    }

    /// Every network; of those with addresses of the driver's, who has which.
    async fn seen(&self) -> Result<Vec<NetworkSeen>, DockerError> {
        let listed = self.beat.docker.network_addresses().await?;
        Ok(join_all(listed.into_iter().map(|it| self.see(it))).await)
    }

    async fn see(&self, listed: NetworkAddresses) -> NetworkSeen {
        let NetworkAddresses { id, subnets, .. } = listed;
        let ours = match listed.driver == self.ipam.driver() && !self.ipam.is_idle() {
            false => None,
            true => Some(match self.beat.docker.addresses_of(&id).await {
                Ok(Some(found)) => Ok(found.addresses),
                // It went, or hides: the next list tells.
                Ok(None) | Err(_) => Err(Unseen),
            }),
        };
        NetworkSeen { id, subnets, ours }
    }
}
