//! Whose turn it is.
//!
//! Each subject has a lane: its runs come one after the other, in the order in which they were
//! planned. Lanes take turns, so that a subject with much to do does not hold the others up, and
//! together they run no more than a bound. A gate waits in its subject's lane like a run, but
//! outside the bound: Docker is waiting for it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::lifecycle::Subject;
use crate::run::Run;

/// The lanes of all subjects that have something to do.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: HashMap<Subject, Lane>,
    /// The lanes whose next run may start, in the order in which they became ready.
    ready: VecDeque<Subject>,
    /// Those of them whose next run waits for a permit of its group.
    blocked: VecDeque<Subject>,
    running: usize,
}

#[derive(Debug, Default)]
struct Lane {
    queue: VecDeque<Item>,
    occupied: Occupied,
    /// Whether the subject stands in `ready`.
    announced: bool,
    /// Gates that have not been closed, whether or not they hold the lane.
    gates: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Occupied {
    #[default]
    No,
    ByRun,
    ByGate,
}

/// A run that may start.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) run: Arc<Run>,
    pub(super) attempt: u32,
    /// The lane that it holds.
    pub(super) lane: Subject,
    /// To be dropped when it has ended.
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

/// What waits in a lane.
#[derive(Debug)]
pub(super) enum Item {
    /// An attempt of a run.
    Run { run: Arc<Run>, attempt: u32 },
    /// A gate that wants to be told when it is its turn.
    Gate(oneshot::Sender<()>),
}

impl Lanes {
    /// Whether no subject has anything to do.
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Puts something at the end of the subject's lane.
    pub(super) fn push(&mut self, subject: &Subject, item: Item) {
        self.lanes.entry(subject.clone()).or_default().queue.push_back(item);
        self.settle(subject);
    }

    /// Puts a gate at the end of the subject's lane; the receiver is told when its turn comes.
    pub(super) fn push_gate(&mut self, subject: &Subject) -> oneshot::Receiver<()> {
        let (turn, told) = oneshot::channel();
        self.lanes.entry(subject.clone()).or_default().gates += 1;
        self.push(subject, Item::Gate(turn));
        told
    }

    /// The next run that may start while at most `limit` are under way. It holds its lane until
    /// [`Lanes::release`], and with it a permit of its group.
    pub(super) fn next(&mut self, limit: usize) -> Option<Start> {
        if self.running >= limit {
            return None;
        }
        loop {
            let subject = self.ready.pop_front()?;
            let Some(lane) = self.lanes.get_mut(&subject) else { continue };
            lane.announced = false;
            if lane.occupied != Occupied::No {
                continue;
            }
            let Some(Item::Run { run, .. }) = lane.queue.front() else { continue };
            let permit = match run.hook.group.as_ref().map(|it| it.permits.clone().try_acquire_owned()) {
                None => None,
                Some(Ok(permit)) => Some(permit),
                Some(Err(_)) => {
                    lane.announced = true;
                    self.blocked.push_back(subject);
                    continue;
                }
            };
            let Some(Item::Run { run, attempt }) = lane.queue.pop_front() else { continue };
            lane.occupied = Occupied::ByRun;
            self.running += 1;
            return Some(Start { run, attempt, lane: subject, permit });
        }
    }

    /// A run of the subject has ended, and its permit was given back.
    pub(super) fn release(&mut self, subject: &Subject) {
        self.running -= 1;
        if let Some(lane) = self.lanes.get_mut(subject) {
            lane.occupied = Occupied::No;
        }
        self.unblock();
        self.settle(subject);
    }

    /// Lets those try again that waited for a permit.
    pub(super) fn unblock(&mut self) {
        self.ready.append(&mut self.blocked);
    }

    /// A gate of the subject is over, with all its processes.
    pub(super) fn close_gate(&mut self, subject: &Subject, had_turn: bool) {
        if let Some(lane) = self.lanes.get_mut(subject) {
            lane.gates -= 1;
            if had_turn {
                lane.occupied = Occupied::No;
            }
        }
        self.settle(subject);
    }

    /// Takes out every run that waits. Gates keep waiting for their turn.
    pub(super) fn clear_runs(&mut self) -> Vec<Arc<Run>> {
        let mut cleared = Vec::new();
        for lane in self.lanes.values_mut() {
            for item in std::mem::take(&mut lane.queue) {
                match item {
                    Item::Run { run, .. } => cleared.push(run),
                    gate @ Item::Gate(_) => lane.queue.push_back(gate),
                }
            }
        }
        let subjects: Vec<Subject> = self.lanes.keys().cloned().collect();
        subjects.iter().for_each(|subject| self.settle(subject));
        cleared
    }

    /// Hands the lane to a gate whose turn it is, or marks it as ready for its next run.
    fn settle(&mut self, subject: &Subject) {
        let Some(lane) = self.lanes.get_mut(subject) else { return };
        while lane.occupied == Occupied::No
            && let Some(Item::Gate(_)) = lane.queue.front()
            && let Some(Item::Gate(turn)) = lane.queue.pop_front()
        {
            // A gate that went on without its turn does not listen any more.
            if turn.send(()).is_ok() {
                lane.occupied = Occupied::ByGate;
            }
        }
        if lane.occupied == Occupied::No && !lane.queue.is_empty() && !lane.announced {
            lane.announced = true;
            self.ready.push_back(subject.clone());
        }
        if lane.is_done() {
            self.lanes.remove(subject);
        }
    }
}

impl Lane {
    fn is_done(&self) -> bool {
        self.queue.is_empty() && self.occupied == Occupied::No && self.gates == 0
    }
}
