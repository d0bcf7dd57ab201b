//! Containers that start before anybody knows who they are.
//!
//! While an engine starts it cannot be asked, and up to version 27 nothing else tells whom an endpoint
//! belongs to. What is set up for such a container is owed by its endpoint, until a look at the container
//! shows that it is its own.

use tokio::sync::oneshot;

use super::work::Work;
use crate::lifecycle::{Signal, Stage, Subject, SubjectKind};

impl Work {
    /// Puts down what is owed by the endpoints of a container that has been looked at to the container.
    pub(super) fn recognise(&mut self, signal: &Signal) {
        let Some(observation) = signal.observation.as_ref().filter(|_| !self.strangers.is_empty()) else {
            return;
        };
        for network in observation.facts.networks.iter().flatten() {
            let Some(endpoint) = &network.endpoint_id else { continue };
            let stranger = Subject::new(&signal.subject.engine, SubjectKind::Creation, endpoint);
            if self.strangers.contains(&stranger) {
                self.came_about(&stranger, &signal.subject);
            }
        }
    }

    /// Tells `reply` when the container does not run any more, as far as is known.
    pub(super) fn wait_for_end(&mut self, subject: Subject, reply: oneshot::Sender<()>) {
        self.ends.retain(|it| !it.1.is_closed());
        if self.tracker.life(&subject).is_some_and(|it| it.stage() == Stage::Running) {
            self.ends.push((subject, reply));
        } else {
            // Whoever asked may have given up.
            let _ = reply.send(());
        }
    }
}
