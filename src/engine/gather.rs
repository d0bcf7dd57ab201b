//! One run for events that come close together.
//!
//! The run is planned at the first event, so that it is owed from then on. It starts when nothing
//! has come for the hook's `wait`, or its `max` after the first at the latest. It belongs to no
//! container: what it is told is the list of events.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::work::{Done, Work};
use crate::hook::{Debounce, Hook, HookName};
use crate::lifecycle::{Event, Subject, SubjectKind};
use crate::run::{Batch, Entry, Run};

/// A run that still gathers events.
#[derive(Debug)]
pub(super) struct Gathering {
    pub(super) run: Arc<Run>,
    batch: Batch,
    /// When it starts, as things stand.
    due_at: Instant,
    /// When it starts at the latest.
    last_at: Instant,
}

impl Gathering {
    /// The run with what it has gathered so far.
    fn run_now(&self) -> Arc<Run> {
        Arc::new(Run { batch: Some(self.batch.clone()), ..Run::clone(&self.run) })
    }
}

impl Work {
    /// Has one more event answered by the run that gathers them.
    pub(super) fn gather(&mut self, hook: &Arc<Hook>, debounce: Debounce, event: &Arc<Event>) {
        let now = Instant::now();
        if let Some(gathering) = self.gathering.get_mut(&hook.name) {
            gathering.batch.push(event.clone());
            gathering.due_at = gathering.last_at.min(now + debounce.wait);
            self.unit.push(Entry::Gathered(gathering.run_now()));
            return;
        }
        let mut gathering = Gathering {
            run: self.plan(hook, event),
            batch: Batch::default(),
            due_at: now + debounce.wait,
            last_at: now + debounce.max,
        };
        gathering.batch.push(event.clone());
        self.unit.push(Entry::Gathered(gathering.run_now()));
        self.wait_for(hook.name.clone(), gathering.due_at);
        self.gathering.insert(hook.name.clone(), gathering);
    }

    /// Starts the run if nothing has come since it was last looked at.
    pub(super) fn settled(&mut self, hook: &HookName) {
        let Some(gathering) = self.gathering.get(hook) else { return };
        if gathering.due_at > Instant::now() {
            return self.wait_for(hook.clone(), gathering.due_at);
        }
        let Some(gathering) = self.gathering.remove(hook) else { return };
        self.enqueue(gathering.run_now(), 1);
    }

    fn wait_for(&self, hook: HookName, due_at: Instant) {
        let stopping = self.stopping.clone();
        self.under_way.push(Box::pin(async move {
            stopping.run_until_cancelled(sleep_until(due_at)).await;
            Done::Settled { hook }
        }));
    }
}

/// The lane that a run takes its turn in: its subject's, or, for one that answers several events,
/// one of its hook's own.
pub(super) fn lane_of(run: &Run) -> Subject {
    let subject = &run.event.subject;
    match run.batch {
        None => subject.clone(),
        Some(_) => Subject::new(&subject.engine, SubjectKind::Call, run.hook.name.as_str()),
    }
}
