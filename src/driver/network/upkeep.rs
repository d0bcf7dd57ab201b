//! What is put right behind the engine's back: links and rules that others took away, or that were left over.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use docker_plugin_sdk::network::{EndpointId, NetworkId};
use tokio::time::Instant;
use tracing::{info, warn};

use super::settings::Mode;
use super::state::{Endpoint, Network, State};
use super::wanted::{self, host_end, leftovers};
use super::{Desk, Networks};
use crate::driver::link::{self, LinkError};

/// The networks held that the engine has, and the endpoints on each: what `GET /networks` and `GET /networks/{id}`
/// say. Endpoints that have no container yet, whose key begins with `ep-`, are endpoints like all others.
pub type Known = BTreeMap<NetworkId, BTreeSet<EndpointId>>;

/// How long ago the engine must have been answered that a network or an endpoint is made, for it to be missed
/// in a list. The engine has a network in its list once it has written it down, and an endpoint from Join on,
/// which follows within moments; on a loaded host it was seen to take two seconds.
const SETTLED: Duration = Duration::from_secs(20);

/// What is to be put right, and since when what is known.
#[derive(Debug)]
pub(super) struct Upkeep {
    /// Something could not be taken down.
    due: AtomicBool,
    /// When what is not in `touched` was known at the latest.
    begun_at: Instant,
    /// When the engine was last answered about a network or an endpoint that was made in this life.
    touched: Mutex<HashMap<String, Instant>>,
}

impl Upkeep {
    pub(super) fn new() -> Upkeep {
        Upkeep { due: AtomicBool::new(false), begun_at: Instant::now(), touched: Mutex::default() }
    }

    /// Something was left over.
    pub(super) fn is_due(&self) {
        self.due.store(true, Ordering::Relaxed);
    }

    fn touched(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A network or an endpoint is being made, or has been.
    pub(super) fn touch(&self, id: &str) {
        self.touched().insert(id.to_owned(), Instant::now());
    }

    /// A network or an endpoint is gone.
    pub(super) fn forget(&self, id: &str) {
        self.touched().remove(id);
    }

    /// Whether a list that was asked for at `asked_at` must hold what has this id.
    fn is_settled(&self, id: &str, asked_at: Instant) -> bool {
        let touched_at = self.touched().get(id).copied().unwrap_or(self.begun_at);
        asked_at.saturating_duration_since(touched_at) >= SETTLED
    }
}

impl Networks {
    /// Asks scripts for their networks again, which a boot may have taken. To be called once, at boathook's
    /// start, before [`Networks::tidy`] does all else. Calls may come meanwhile.
    pub async fn repair(&self) {
        for network in self.desk.networks() {
            if network.script().is_some() {
                self.desk.repair_network(&network).await;
            }
        }
    }

    /// Puts right what others have changed: bridges that are gone are made again, links that nobody needs are
    /// removed with those whose containers are gone, and rules are put back. To be called at boathook's start,
    /// when the engine has started or reloaded, and now and then. Calls may come meanwhile.
    pub async fn tidy(&self) {
        for network in self.desk.networks() {
            if matches!(network.settings.mode, Mode::Bridge(_)) {
                self.desk.repair_network(&network).await;
            }
        }
        self.desk.bury().await;
        self.desk.sweep().await;
        self.desk.repair_rules().await;
    }

    /// The ids of the networks that are held.
    pub fn held(&self) -> BTreeSet<String> {
        self.desk.state().networks.keys().map(ToString::to_string).collect()
    }

    /// Lets go of networks and endpoints that the engine does not have, since it has forgotten them while
    /// boathook was away, or boathook has died in the middle of making them. `known` was asked for at
    /// `asked_at`.
    pub async fn compare(&self, asked_at: Instant, known: &Known) {
        let desk = &self.desk;
        let (networks, endpoints) = strays(&desk.state(), known, |id| desk.upkeep.is_settled(id, asked_at));
        for endpoint in endpoints {
            let _network = desk.turns.along(endpoint.network.as_str()).await;
            // Somebody works on it: it is not forgotten.
            let Some(_turn) = desk.turns.alone_at_once(endpoint.id.as_str()) else { continue };
            let Ok(network) = desk.state().network(&endpoint.network) else { continue };
            info!(endpoint = %endpoint.id, "the engine has forgotten an endpoint");
            desk.take_down(&network, &endpoint).await;
        }
        for network in networks {
            let Some(_turn) = desk.turns.alone_at_once(network.id.as_str()) else { continue };
            info!(network = %network.id, "the engine has forgotten a network");
            desk.drop_network(&network.id, &network).await;
        }
    }
}

impl Desk {
    fn networks(&self) -> Vec<Arc<Network>> {
        self.state().networks.values().cloned().collect()
    }

    /// Repairs what could not be taken down before.
    pub(super) async fn catch_up(&self) {
        if self.upkeep.due.swap(false, Ordering::Relaxed) {
            self.sweep().await;
        }
    }

    async fn repair_network(&self, network: &Arc<Network>) {
        let _turn = self.turns.alone(network.id.as_str()).await;
        if !self.state().networks.contains_key(&network.id) {
            return;
        }
        let made = match network.settings.mode {
            // Rules come last, for all networks at once.
            Mode::Bridge(_) => self.make_bridge(network).await.map_err(Into::into),
            _ => self.make_network(network).await,
        };
        if let Err(error) = made {
            warn!(network = %network.id, %error, "a network cannot be repaired");
        }
        let endpoints: Vec<_> = self.state().endpoints_of(&network.id).cloned().collect();
        for endpoint in endpoints {
            if let Err(error) = self.repair_link(network, &endpoint).await {
                warn!(endpoint = %endpoint.id, error = &error as &dyn std::error::Error, "a link cannot be repaired");
            }
        }
    }

    /// Plugs the link of a container that runs into its bridge, which may be a new one. A link that is not
    /// there any more cannot be had back: its other end has gone with it.
    pub(super) async fn repair_link(&self, network: &Network, endpoint: &Endpoint) -> Result<(), LinkError> {
        let Some(spec) = self.owner.link(network, endpoint) else { return Ok(()) };
        match link::find(&host_end(&endpoint.id)).await? {
            Some(_) => link::ensure(&spec).await,
            None => Ok(()),
        }
    }

    /// Removes links of ours that nobody needs.
    async fn sweep(&self) {
        // First the links, then what is needed: what is made is known before there is a link of it.
        let links = match link::all().await {
            Ok(links) => leftovers(links, &self.state(), &self.owner),
            Err(error) => {
                self.upkeep.is_due();
                warn!(error = &error as &dyn std::error::Error, "links cannot be looked at");
                return;
            }
        };
        for left in links {
            let Ok(name) = left.name.parse() else { continue };
            info!(link = left.name, "removing a link that nobody needs");
            if let Err(error) = link::remove(&name, |it| it.index == left.index).await {
                self.upkeep.is_due();
                warn!(error = &error as &dyn std::error::Error, link = left.name, "a link is left over");
            }
        }
    }

    /// Puts the rules back, whatever others have made of them.
    async fn repair_rules(&self) {
        let mut rules = self.rules.lock().await;
        let wanted = wanted::rules(&self.state());
        rules.placed = None;
        match rules.firewall.repair(&wanted).await {
            Ok(()) => rules.placed = Some(wanted),
            Err(error) => warn!(error = &error as &dyn std::error::Error, "rules cannot be put back"),
        }
    }
}

/// What is held and settled, and not known to the engine: networks, and endpoints of networks that it knows.
fn strays(
    state: &State,
    known: &Known,
    is_settled: impl Fn(&str) -> bool,
) -> (Vec<Arc<Network>>, Vec<Endpoint>) {
    let networks = state.networks.values().filter(|it| !known.contains_key(&it.id));
    let networks = networks.filter(|it| is_settled(it.id.as_str())).cloned().collect();
    let is_unknown = |it: &&Endpoint| known.get(&it.network).is_some_and(|known| !known.contains(&it.id));
    let endpoints = state.endpoints.values().filter(is_unknown);
    (networks, endpoints.filter(|it| is_settled(it.id.as_str())).cloned().collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::driver::network::state::tests::{endpoint, network};

    #[test]
    fn what_the_engine_does_not_have_is_let_go_of_once_it_must_be_in_the_list() {
        let mut state = State::default();
        let (kept, forgotten) = (network("aa", "10.1.0.0/24"), network("bb", "10.2.0.0/24"));
        let (on, off) = (endpoint("aa", "e1"), endpoint("aa", "e2"));
        for it in [&kept, &forgotten] {
            state.put_network(it.clone());
        }
        for it in [&on, &off, &endpoint("bb", "e3")] {
            state.put_endpoint(it.clone());
        }
        let known = Known::from([(kept.id, BTreeSet::from([on.id]))]);

        let (networks, endpoints) = strays(&state, &known, |_| true);
        assert_eq!(networks.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["bb"]);
        assert_eq!(endpoints, [off]);

        let (networks, endpoints) = strays(&state, &known, |_| false);
        assert!(networks.is_empty() && endpoints.is_empty());
    }

    #[test]
    fn what_was_made_a_moment_ago_need_not_be_in_the_list() {
        let upkeep = Upkeep::new();
        upkeep.touch("e1");
        let now = Instant::now();

        assert!(!upkeep.is_settled("e1", now) && !upkeep.is_settled("from before", now));
        assert!(upkeep.is_settled("e1", now + SETTLED) && upkeep.is_settled("from before", now + SETTLED));
    }
}
