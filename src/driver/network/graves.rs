//! Endpoints of containers that are gone without the engine having said so.
//!
//! An engine that was killed clears away what it finds of its containers when it starts, and tells only those
//! drivers that it has met again by then: a network driver that nothing else has led it to has not been
//! (`sandboxCleanup` in moby, `daemon/libnetwork/sandbox_store.go`, which does not load drivers). The ports of
//! such an endpoint would be taken for ever, and its container be the first that wants them again.
//!
//! What proves that a container is gone: the link, which has died with the container's network namespace; or
//! another endpoint that was given the same address.

use std::time::Duration;

use tokio::time::sleep;
use tracing::info;

use super::settings::Mode;
use super::state::{Endpoint, EndpointKey, State};
use super::wanted::host_end;
use super::{Desk, NetworkError};
use crate::driver::firewall::{PortError, PortRequest, Published};
use crate::driver::link;

/// How often it is looked again for links of namespaces that are being taken down, which the kernel does
/// behind everybody's back, and how long it takes between: a hundredth of a second on an idle host.
const LOOKS: usize = 40;
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Desk {
    /// Publishes what an endpoint wants, at the cost of those whose containers are gone.
    pub(super) async fn reserve(
        &self,
        key: &EndpointKey,
        wanted: &[PortRequest],
    ) -> Result<Vec<Published>, NetworkError> {
        for _ in 0..LOOKS {
            match self.ports().publish(key.1.as_str(), wanted) {
                Err(PortError::Taken { .. }) => {}
                done => return Ok(done?),
            }
            if !self.bury().await {
                if !self.is_anybody_dying() {
                    break;
                }
                sleep(LOOK_EVERY).await;
            }
        }
        Ok(self.ports().publish(key.1.as_str(), wanted)?)
    }

    /// Takes down endpoints whose links have gone with their containers, and says whether there were any.
    pub(super) async fn bury(&self) -> bool {
        let mut buried = false;
        let joined = joined(&self.state());
        for endpoint in joined {
            if let Ok(None) = link::find(&host_end(&endpoint.id)).await {
                buried |= self.bury_one(&endpoint).await;
            }
        }
        buried
    }

    /// Takes down whoever had the addresses of `endpoint` before: they were given back.
    pub(super) async fn bury_predecessors(&self, endpoint: &Endpoint) {
        let before = predecessors(&self.state(), endpoint);
        for endpoint in before {
            self.bury_one(&endpoint).await;
        }
    }

    async fn bury_one(&self, endpoint: &Endpoint) -> bool {
        // Somebody works on it: it is not dead.
        let Some(_turn) = self.turns.alone_at_once(endpoint.id.as_str()) else { return false };
        let network = {
            let state = self.state();
            let is_same = state.endpoints.get(&endpoint.key()) == Some(endpoint);
            state.network(&endpoint.network).ok().filter(|_| is_same)
        };
        let Some(network) = network else { return false };
        info!(endpoint = %endpoint.id, "a container has gone without a word: its endpoint is taken down");
        self.take_down(&network, endpoint).await;
        true
    }

    /// Whether the namespace of a container with published ports has no name any more: soon it is gone.
    fn is_anybody_dying(&self) -> bool {
        let joined = joined(&self.state());
        let mut sandboxes =
            joined.iter().filter(|it| !it.published.is_empty()).filter_map(|it| it.sandbox.as_ref());
        sandboxes.any(|it| !it.exists())
    }
}

/// The endpoints that are in a container and have a link on the host.
fn joined(state: &State) -> Vec<Endpoint> {
    let is_on_bridge = |it: &&Endpoint| {
        state.networks.get(&it.network).is_some_and(|it| matches!(it.settings.mode, Mode::Bridge(_)))
    };
    let endpoints = state.endpoints.values().filter(|it| it.sandbox.is_some());
    endpoints.filter(is_on_bridge).cloned().collect()
}

/// The other endpoints of the same network that have an address of `endpoint`.
fn predecessors(state: &State, endpoint: &Endpoint) -> Vec<Endpoint> {
    let shares = |it: &&Endpoint| {
        let is_other = it.id != endpoint.id;
        let same_v4 = it.ipv4().is_some() && it.ipv4() == endpoint.ipv4();
        let same_v6 = it.ipv6().is_some() && it.ipv6() == endpoint.ipv6();
        is_other && (same_v4 || same_v6)
    };
    state.endpoints_of(&endpoint.network).filter(shares).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::{endpoint, network};
    use super::*;

    #[test]
    fn who_had_the_address_before_is_gone() {
        let mut state = State::default();
        state.put_network(network("aa", "10.1.0.0/24"));
        let (old, new) = (endpoint("aa", "e1"), endpoint("aa", "e2"));
        for it in [&old, &new, &endpoint("bb", "e3")] {
            state.put_endpoint(it.clone());
        }

        assert_eq!(predecessors(&state, &new), [old]);
    }

    #[test]
    fn who_has_joined_has_a_link_to_be_looked_for() {
        let mut state = State::default();
        state.put_network(network("aa", "10.1.0.0/24"));
        let joined_one = Endpoint { sandbox: Some("/run/netns/x".into()), ..endpoint("aa", "e1") };
        state.put_endpoint(joined_one.clone());
        state.put_endpoint(endpoint("aa", "e2"));

        assert_eq!(joined(&state), [joined_one]);
    }
}
