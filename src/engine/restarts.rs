//! What has to wait for the end before it can be set up: `docker restart`.
//!
//! A restart ends what runs and starts it again in one call, and there is no gate in between. What has
//! a clean-up must not be set up before that of the passage before: so such hooks run when the container
//! has started again, after the fact. They are planned when the restart is asked for, so that they are not
//! forgotten if boathook ends before.

use std::sync::Arc;

use super::work::Work;
use crate::hook::Hook;
use crate::lifecycle::{Event, Life, Point, Stage, Subject};
use crate::run::{Conclusion, Run};

impl Work {
    /// Plans what is to be set up once the container has started again.
    pub(super) fn put_off(&mut self, asked: &Event, hooks: &[Arc<Hook>]) {
        self.not_restarted(&asked.subject);
        let event = Arc::new(Event { request: None, ..asked.clone() });
        let runs: Vec<Arc<Run>> = hooks.iter().map(|hook| self.plan(hook, &event)).collect();
        if !runs.is_empty() {
            self.at_next_start.insert(asked.subject.clone(), runs);
        }
    }

    /// Takes up a run that was put off by a boathook before this one. False: it is none of those.
    pub(super) fn take_up_put_off(&mut self, run: &Arc<Run>) -> bool {
        let event = &run.event;
        let passage = self.tracker.life(&event.subject).map(Life::passage);
        let is_ahead = event.point == Point::PreStart && passage.is_some_and(|it| it < event.passage);
        if is_ahead {
            self.at_next_start.entry(event.subject.clone()).or_default().push(run.clone());
        }
        is_ahead
    }

    /// The container has started: what was put off is set up, and told what is known now.
    pub(super) fn set_up_after_restart(&mut self, started: &Event) {
        let runs = self.at_next_start.remove(&started.subject).unwrap_or_default();
        let event = Arc::new(Event { point: Point::PreStart, ..started.clone() });
        for run in runs {
            let run = Run { event: event.clone(), ..Run::clone(&run) };
            self.enqueue(Arc::new(run), 1);
        }
    }

    /// A call about the container was answered. If that has not started, it is not going to.
    pub(super) fn give_up_restart(&mut self, subject: &Subject) {
        if self.tracker.life(subject).is_none_or(|it| it.stage() != Stage::Running) {
            self.not_restarted(subject);
        }
    }

    /// What was put off is not going to be set up.
    pub(super) fn not_restarted(&mut self, subject: &Subject) {
        for run in self.at_next_start.remove(subject).unwrap_or_default() {
            self.conclude(&run, Conclusion::Superseded);
        }
    }
}
