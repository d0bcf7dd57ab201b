//! A start that a network driver is told of: who it is, and whether it may go on.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use docker_plugin_sdk::network::EndpointId;
use jiff::Timestamp;
use tracing::{debug, warn};

use super::super::identify::{Found, by_elimination};
use super::super::{END_TOLD_WITHIN, Points};
use super::endpoint::{Asked, Endpoint, Joining};
use crate::docker::{LOOK_LIMIT, NetworkSeen};
use crate::lifecycle::{
    Detail, Facts, ListedState, NetworkAttachment, NetworkDetail, Point, Question, Subject, SubjectKind,
    Verdict,
};

/// What is asked where a start is told, in this order.
const POINTS: [Point; 2] = [Point::PreStart, Point::NetReady];

/// How long an engine that may be starting has for an answer. One that serves its API answers in milliseconds,
/// on a busy machine in tens of them; one that starts does not, and its containers wait for this.
const STARTING_LOOK_MAX: Duration = Duration::from_secs(1);

/// An endpoint that has joined its container.
pub(super) struct Start<'a> {
    pub(super) points: &'a Points,
    pub(super) id: &'a EndpointId,
    pub(super) endpoint: &'a Endpoint,
    pub(super) joining: &'a Joining,
    /// Whom its network namespace has told.
    pub(super) found: Option<Found>,
    /// Who is on the network by other endpoints.
    pub(super) others: HashSet<Subject>,
}

impl Start<'_> {
    /// Asks whether it may go on.
    pub(super) async fn ask(self) -> Asked {
        let nobody = Asked { subject: None, verdict: Verdict::Allow };
        if !self.points.engine.points().contains_any(&POINTS) {
            return nobody;
        }
        let seen = self.look().await;
        let Some(subject) = self.whose(seen.as_ref()).await else {
            let why = "it is not known which engine this is";
            return Asked { subject: None, verdict: self.points.engine.undecided(Point::NetReady, why) };
        };
        if subject.kind == SubjectKind::Container && seen.is_some() && self.runs(&subject).await {
            debug!(%subject, "a network is connected to what runs");
            return nobody;
        }
        let verdict = self.gates(&subject, &seen.unwrap_or_default()).await;
        Asked { subject: Some(subject), verdict }
    }

    /// The network. `None`: the engine starts, and would wait for us.
    ///
    /// That it has not been seen to answer does not mean that it does not: it may have come back just now.
    async fn look(&self) -> Option<NetworkSeen> {
        let docker = &self.points.docker;
        let limit = match (docker.answers(), &self.found) {
            (true, _) => LOOK_LIMIT,
            (false, None) => STARTING_LOOK_MAX,
            (false, Some(_)) => return None,
        };
        match docker.network_seen(limit, self.endpoint.network.as_str()).await {
            Ok(seen) => Some(seen),
            Err(error) if docker.answers() => {
                warn!(network = %self.endpoint.network, %error, "cannot look at a network that somebody joins");
                Some(NetworkSeen::default())
            }
            Err(_) => None,
        }
    }

    /// Who it is; if that cannot be found out, whoever has the endpoint. `None`: not even the engine is known.
    async fn whose(&self, seen: Option<&NetworkSeen>) -> Option<Subject> {
        let Points { engine, docker, .. } = self.points;
        let (identity, candidates) = match seen {
            Some(_) => (docker.engine_id().await.ok(), Vec::new()),
            None => (docker.known_engine_id(), engine.restarting_on(self.endpoint.network.as_str()).await),
        };
        let identity = identity.or_else(|| candidates.first().map(|it| it.engine.clone()))?;
        let found = self.found.as_ref().map(|it| &it.container);
        if let Some(id) = found.or_else(|| seen?.containers.get(self.id.as_str())) {
            return Some(Subject::container(&identity, id));
        }
        let stranger = || Subject::new(&identity, SubjectKind::Creation, self.id.as_str());
        Some(by_elimination(candidates, &self.others).unwrap_or_else(stranger))
    }

    /// Whether the container runs already, as when a network is connected to it.
    async fn runs(&self, container: &Subject) -> bool {
        match self.points.docker.listed(&container.id).await {
            Ok(listed) => listed.is_some_and(|it| it.state == ListedState::Running),
            Err(error) => {
                warn!(%container, %error, "not known whether it runs already: taken as a start");
                false
            }
        }
    }

    async fn gates(&self, subject: &Subject, seen: &NetworkSeen) -> Verdict {
        let Points { engine, docker, looks, held } = self.points;
        // What is done for the passage before comes first.
        looks.settle(subject).await;
        if docker.answers() {
            engine.ended(subject, END_TOLD_WITHIN).await;
        }
        let _hold = held.hold(&subject.id, engine.name_of(subject).await.as_deref());
        for point in POINTS {
            if !engine.points().contains(point) {
                continue;
            }
            let verdict = engine.ask(self.question(point, subject, seen)).await;
            if verdict != Verdict::Allow {
                return verdict;
            }
        }
        Verdict::Allow
    }

    fn question(&self, point: Point, subject: &Subject, seen: &NetworkSeen) -> Question {
        let network = NetworkDetail {
            id: Some(self.endpoint.network.to_string()),
            name: seen.name.clone(),
            driver: None,
        };
        Question {
            point,
            subject: subject.clone(),
            facts: Arc::new(self.facts(subject, seen)),
            observation: None,
            detail: Some(Arc::new(Detail { network: Some(network), ..Detail::default() })),
            request: None,
            withheld: None,
            call: None,
            at: Timestamp::now(),
        }
    }

    /// What is known of the container by its endpoint.
    fn facts(&self, subject: &Subject, seen: &NetworkSeen) -> Facts {
        let (network, interface) = (self.endpoint.network.to_string(), self.endpoint.interface);
        let attachment = NetworkAttachment {
            name: seen.name.clone().unwrap_or_else(|| network.clone()),
            network_id: Some(network),
            endpoint_id: Some(self.id.to_string()),
            ip: interface.address.map(|it| it.addr().to_string()),
            ip6: interface.address_ipv6.map(|it| it.addr().to_string()),
            mac: interface.mac_address.map(|it| it.to_string()),
            gateway: self.joining.gateway.map(|it| it.to_string()),
            veth: self.joining.link.clone(),
        };
        let sandbox = self.joining.sandbox.to_string_lossy().into_owned();
        Facts {
            id: (subject.kind == SubjectKind::Container).then(|| subject.id.to_string()),
            networks: Some(vec![attachment]),
            pid: self.found.as_ref().map(|it| it.pid),
            netns: Some(sandbox).filter(|it| !it.is_empty()),
            ..Facts::default()
        }
    }
}
