//! Addresses that an engine has left over.
//!
//! An engine that was killed does not give back what its containers had. So whenever its event stream is
//! taken up, and on the timer of reconciliation, the IPAM driver is told which networks there are, and which
//! of its addresses somebody has. Never before the engine has answered once: while it starts it waits for us.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::debug;

use super::reconcile::Following;
use crate::docker::{Docker, DockerError, NetworkAddresses};
use crate::driver::ipam::{Ipam, NetworkSeen, Unseen};
use crate::engine::Engine;

/// The pause after a list that could not be had.
const AGAIN: Duration = Duration::from_secs(5);

/// Tells the IPAM driver what the engine has.
pub struct AddressWatch {
    pub(super) docker: Docker,
    pub(super) engine: Engine,
    pub(super) following: watch::Receiver<Option<Following>>,
}

impl AddressWatch {
    /// Compares until nobody follows events any more.
    pub async fn run(self, ipam: Ipam) {
        let mut news = self.following.clone();
        loop {
            let is_followed = news.borrow_and_update().is_some();
            let pause = if is_followed {
                self.compare(&ipam).await
            } else {
                ipam.engine_is_away();
                // Until there is news.
                Duration::MAX
            };
            tokio::select! {
                changed = news.changed() => if changed.is_err() { return },
                () = sleep(pause) => {}
            }
        }
    }

    /// Compares once, and tells how long until the next time.
    async fn compare(&self, ipam: &Ipam) -> Duration {
        let asked_at = Instant::now();
        match self.seen(ipam).await {
            Ok(seen) => {
                ipam.compare(&seen, asked_at).await;
                self.engine.reconcile_every()
            }
            Err(error) => {
                debug!(%error, "docker does not tell which networks there are, will ask again");
                AGAIN
            }
        }
    }

    /// Every network; of those with addresses of the driver's, who has which.
    async fn seen(&self, ipam: &Ipam) -> Result<Vec<NetworkSeen>, DockerError> {
        let listed = self.docker.network_addresses().await?;
        Ok(join_all(listed.into_iter().map(|it| self.see(it, ipam))).await)
    }

    async fn see(&self, listed: NetworkAddresses, ipam: &Ipam) -> NetworkSeen {
        let NetworkAddresses { id, subnets, .. } = listed;
        let ours = match listed.driver == ipam.driver() && !ipam.is_idle() {
            false => None,
            true => Some(match self.docker.addresses_of(&id).await {
                Ok(Some(found)) => Ok(found.addresses),
                // It went, or hides: the next list tells.
                Ok(None) | Err(_) => Err(Unseen),
            }),
        };
        NetworkSeen { id, subnets, ours }
    }
}
