//! Networks, and the places of containers on them.
//!
//! A network is a bridge with a port for each container, links on a link of the host, or whatever a script
//! makes of it (`settings`). What the engine has asked for is in the journal before anything is made of
//! it, since it is asked for only once; what there shall be on the host follows from that alone
//! (`state`, `wanted`), and every call makes it so, whatever is there already.
//!
//! | boathook dies | what becomes of it |
//! |---|---|
//! | before a network or an endpoint is written down | nothing has been made; the engine's call fails |
//! | after that, before the answer | it is kept until the engine says that it has none such ([`Networks::compare`]) |
//! | before it is written down that one is gone | the same |
//! | while links are made | they are found half-made and finished, or removed if nobody needs them |
//!
//! A removal is never refused: the engine forgets what it has removed, whatever the answer is. What could not
//! be taken down is taken down later, by [`Networks::tidy`].

mod calls;
mod endpoints;
mod failure;
mod graves;
mod networks;
mod scripted;
mod settings;
mod state;
mod turns;
mod upkeep;
mod wanted;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use docker_plugin_sdk::network::{EndpointId, Interface, NetworkId};
use tokio::sync::Mutex as Turn;
use tracing::{error, warn};

use super::firewall::{Firewall, Ports, Wanted};
use super::script::Scripts;
use crate::journal::Journal;
use crate::run::{Entry, Holding};
use crate::runner::Runner;

pub use failure::NetworkError;
pub use settings::SettingsError;
pub use upkeep::Known;

use settings::Mode;
use state::State;
use turns::Turns;
use upkeep::Upkeep;
use wanted::Owner;

/// The networks of this host that are ours. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Networks {
    desk: Arc<Desk>,
}

/// What the driver is made of.
pub struct Parts {
    /// The name of the plugin: links say whose they are.
    pub plugin: String,
    /// Where what is held is written down.
    pub journal: Journal,
    /// What answers for networks of `mode=script`.
    pub scripts: Scripts,
    /// What runs the tools of the host.
    pub runner: Runner,
}

/// A place of a container on a network, as it is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its addresses.
    pub interface: Interface,
    /// The link of the host that leads to it, where there is one: the other end of the container's.
    pub host_link: Option<String>,
    /// The file of the container's network namespace, from [`Join`](docker_plugin_sdk::network::Join) on. It
    /// need not exist: engines before 28 make it later.
    pub sandbox: Option<PathBuf>,
}

/// What is known, and what it is kept and made with.
struct Desk {
    owner: Owner,
    journal: Journal,
    scripts: Scripts,
    state: Mutex<State>,
    turns: Turns,
    ports: Mutex<Ports>,
    rules: Turn<Rules>,
    upkeep: Upkeep,
}

/// The host's rules, and what they are.
struct Rules {
    firewall: Firewall,
    /// What was put in place last; `None`: nobody knows what is.
    placed: Option<Wanted>,
}

impl Networks {
    /// The driver, with what it held when boathook ended. Nothing is looked at or changed on the host, apart
    /// from the ports that are reserved again: that is for [`Networks::repair`] and [`Networks::tidy`].
    pub fn new<'a>(parts: Parts, holdings: impl IntoIterator<Item = &'a Holding>) -> Networks {
        let (state, unread) = State::restored(holdings);
        for what in unread {
            error!(what, "a network that was held cannot be read: remove it and make it again");
        }
        let mut ports = Ports::new();
        for endpoint in state.endpoints.values().filter(|it| !it.published.is_empty()) {
            for error in ports.restore(endpoint.id.as_str(), &endpoint.published) {
                warn!(endpoint = %endpoint.id, %error, "a port cannot be reserved again, it stays published");
            }
        }
        let rules = Rules { firewall: Firewall::new(parts.runner), placed: None };
        Networks {
            desk: Arc::new(Desk {
                owner: Owner(parts.plugin),
                journal: parts.journal,
                scripts: parts.scripts,
                state: Mutex::new(state),
                turns: Turns::default(),
                ports: Mutex::new(ports),
                rules: Turn::new(rules),
                upkeep: Upkeep::new(),
            }),
        }
    }

    /// What is known of an endpoint; `None`: nothing.
    pub fn place(&self, network: &NetworkId, endpoint: &EndpointId) -> Option<Place> {
        let state = self.desk.state();
        let known = state.endpoints.get(&(network.clone(), endpoint.clone()))?;
        let on = state.networks.get(network)?;
        let is_bridge = matches!(on.settings.mode, Mode::Bridge(_));
        Some(Place {
            interface: known.interface(),
            host_link: is_bridge.then(|| wanted::host_end(endpoint).as_str().to_owned()),
            sandbox: known.sandbox.clone(),
        })
    }
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ports(&self) -> MutexGuard<'_, Ports> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down that something is held, before anything is made of it.
    async fn commit(&self, held: Holding) -> Result<(), NetworkError> {
        self.journal.commit(vec![Entry::Held(held)]).await.map_err(NetworkError::Commit)
    }

    /// Writes down what has happened already, or can be found out again. While the disk is full the journal
    /// keeps it, and writes it later.
    fn note(&self, held: impl IntoIterator<Item = Holding>) {
        if let Err(error) = self.journal.append(held.into_iter().map(Entry::Held)) {
            error!(%error, "what is held cannot be written down");
        }
    }

    /// Makes the host's rules what they shall be now.
    async fn place_rules(&self) -> Result<(), NetworkError> {
        let mut rules = self.rules.lock().await;
        // Asked for after the turn has come: who waited finds that the one before has done it all.
        let wanted = wanted::rules(&self.state());
        if rules.placed.as_ref() == Some(&wanted) {
            return Ok(());
        }
        rules.placed = None;
        rules.firewall.apply(&wanted).await?;
        rules.placed = Some(wanted);
        Ok(())
    }

    /// As [`Desk::place_rules`], where there is nobody to be told that it failed.
    async fn place_rules_if_possible(&self) {
        if let Err(error) = self.place_rules().await {
            self.upkeep.is_due();
            warn!(error = &error as &dyn std::error::Error, "rules are left over, they are put right later");
        }
    }
}
