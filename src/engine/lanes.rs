//! Whose turn it is.
//!
//! Each subject has a lane: its runs come one after the other, in the order in which they were
//! planned. Lanes take turns, so that a subject with much to do does not hold the others up, and
//! together they run no more than a bound. A gate waits in its subject's lane like a run, but
//! outside the bound: Docker is waiting for it. A run whose group is full stays the first of its lane; the
//! time that it waits for the group is part of what it may take.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::groups::{Groups, Permit};
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
    /// When the first of those in `blocked` has waited too long.
    late_at: Option<Instant>,
    running: usize,
    groups: Groups,
}

#[derive(Debug, Default)]
struct Lane {
    queue: VecDeque<Item>,
    occupied: Occupied,
    /// Since when its next run waits for a place in its group.
    waits_since: Option<Instant>,
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
    /// How long it may take: less than its hook says if it has waited for its group.
    pub(super) limit: Duration,
    pub(super) place: Place,
}

/// Whether there is room in its group for a run.
#[derive(Debug)]
pub(super) enum Place {
    /// It is in no group.
    Free,
    /// To be dropped when it has ended.
    Taken(Permit),
    /// It has waited for one until it was out of time, and must not have a process.
    Missed,
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
    /// Lanes whose runs take places in `groups`.
    pub(super) fn new(groups: Groups) -> Lanes {
        Lanes { groups, ..Lanes::default() }
    }

    /// Whether anything waits for a permit of its group.
    pub(super) fn is_blocked(&self) -> bool {
        !self.blocked.is_empty()
    }

    /// Whether no subject has anything to do.
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Puts something at the end of the subject's lane.
    pub(super) fn push(&mut self, subject: &Subject, item: Item) {
        self.lanes.entry(subject.clone()).or_default().queue.push_back(item);
        self.settle(subject);
    }

    /// Puts something in front of what waits in the subject's lane.
    pub(super) fn push_front(&mut self, subject: &Subject, item: Item) {
        self.lanes.entry(subject.clone()).or_default().queue.push_front(item);
    }

    /// Puts a gate at the end of the subject's lane; the receiver is told when its turn comes.
    pub(super) fn push_gate(&mut self, subject: &Subject) -> oneshot::Receiver<()> {
        let (turn, told) = oneshot::channel();
        self.lanes.entry(subject.clone()).or_default().gates += 1;
        self.push(subject, Item::Gate(turn));
        told
    }

    /// Waits until a place in a group may have become free, or somebody has waited for one too long. To be
    /// answered by [`Lanes::unblock`].
    pub(super) async fn freed(&self) {
        match self.late_at {
            // Which of the two it was is seen by those who try again.
            Some(late_at) => drop(timeout_at(late_at, self.groups.freed()).await),
            None => self.groups.freed().await,
        }
    }

    /// The next run that may start at `now`, while at most `limit` are under way. It holds its lane until
    /// [`Lanes::release`], and with it a place in its group.
    pub(super) fn next(&mut self, limit: usize, now: Instant) -> Option<Start> {
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
            let late_at = lane.waits_since.unwrap_or(now) + run.hook.deadline.limit;
            let place = match run.hook.group.as_ref().map(|it| self.groups.try_enter(it)) {
                None => Place::Free,
                Some(_) if late_at <= now => Place::Missed,
                Some(Some(permit)) => Place::Taken(permit),
                Some(None) => {
                    lane.announced = true;
                    lane.waits_since.get_or_insert(now);
                    self.late_at = Some(self.late_at.map_or(late_at, |it| it.min(late_at)));
                    self.blocked.push_back(subject);
                    continue;
                }
            };
            let Some(Item::Run { run, attempt }) = lane.queue.pop_front() else { continue };
            lane.occupied = Occupied::ByRun;
            lane.waits_since = None;
            self.running += 1;
            return Some(Start { run, attempt, lane: subject, limit: late_at - now, place });
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
        self.late_at = None;
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
            lane.waits_since = None;
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

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::Arc;

    use super::{Instant, Item, Lanes, Place, Start};
    use crate::hook::Group;
    use crate::lifecycle::{EngineId, Subject};
    use crate::run::examples::run_for;
    use crate::run::{Run, RunIds};

    fn subject(id: &str) -> Subject {
        Subject::container(&EngineId::new("engine"), id)
    }

    /// Lanes in which the containers named have a run each, in this order.
    fn lanes(containers: &[&str], group: Option<&Group>) -> (Lanes, Vec<Arc<Run>>) {
        let (ids, mut lanes) = (RunIds::from(0), Lanes::default());
        let runs: Vec<_> = containers.iter().map(|it| run_for(&ids, it, group.cloned())).collect();
        for run in &runs {
            lanes.push(&run.event.subject, Item::Run { run: run.clone(), attempt: 1 });
        }
        (lanes, runs)
    }

    fn next(lanes: &mut Lanes, limit: usize) -> Option<Start> {
        lanes.next(limit, Instant::now())
    }

    fn is(start: &Option<Start>, run: &Arc<Run>) -> bool {
        start.as_ref().is_some_and(|it| it.run.id == run.id)
    }

    #[test]
    fn one_containers_runs_come_one_after_the_other() {
        let (mut lanes, runs) = lanes(&["aa", "aa"], None);

        assert!(is(&next(&mut lanes, 8), &runs[0]));
        assert!(next(&mut lanes, 8).is_none());
        lanes.release(&subject("aa"));
        assert!(is(&next(&mut lanes, 8), &runs[1]));
        lanes.release(&subject("aa"));
        assert!(lanes.is_empty());
    }

    #[test]
    fn containers_take_turns_under_the_bound() {
        let (mut lanes, runs) = lanes(&["aa", "aa", "bb", "cc"], None);

        assert!(is(&next(&mut lanes, 2), &runs[0]));
        assert!(is(&next(&mut lanes, 2), &runs[2]));
        assert!(next(&mut lanes, 2).is_none(), "two are under way");
        lanes.release(&subject("aa"));
        assert!(is(&next(&mut lanes, 2), &runs[3]), "the other container has waited longer");
    }

    #[test]
    fn a_gate_takes_its_turn_and_holds_the_lane_until_it_is_closed() {
        let (mut lanes, runs) = lanes(&["aa"], None);
        assert!(is(&next(&mut lanes, 8), &runs[0]));
        let mut turn = lanes.push_gate(&subject("aa"));
        let later = run_for(&RunIds::from(9), "aa", None);
        lanes.push(&subject("aa"), Item::Run { run: later.clone(), attempt: 1 });

        assert!(turn.try_recv().is_err(), "an earlier run is under way");
        lanes.release(&subject("aa"));
        assert_eq!(turn.try_recv(), Ok(()));
        assert!(next(&mut lanes, 8).is_none(), "the gate holds the lane");
        lanes.close_gate(&subject("aa"), true);
        assert!(is(&next(&mut lanes, 8), &later));
    }

    #[test]
    fn a_gate_that_went_ahead_gives_nobody_elses_place_away() {
        let (mut lanes, runs) = lanes(&["aa", "aa"], None);
        assert!(is(&next(&mut lanes, 8), &runs[0]));
        drop(lanes.push_gate(&subject("aa")));

        lanes.close_gate(&subject("aa"), false);
        assert!(next(&mut lanes, 8).is_none(), "the first run is under way still");
        lanes.release(&subject("aa"));
        assert!(is(&next(&mut lanes, 8), &runs[1]));
        lanes.release(&subject("aa"));
        assert!(lanes.is_empty());
    }

    #[test]
    fn a_full_group_holds_up_only_its_own() {
        let group = Group { name: "proxy".into(), max: NonZeroU32::MIN };
        let (mut lanes, runs) = lanes(&["aa", "bb"], Some(&group));
        let other = run_for(&RunIds::from(9), "cc", None);
        lanes.push(&subject("cc"), Item::Run { run: other.clone(), attempt: 1 });

        let first = next(&mut lanes, 8);
        assert!(is(&first, &runs[0]));
        assert!(is(&next(&mut lanes, 8), &other));
        assert!(next(&mut lanes, 8).is_none());
        drop(first);
        lanes.release(&subject("aa"));
        assert!(is(&next(&mut lanes, 8), &runs[1]));
    }

    #[test]
    fn waiting_for_a_group_is_part_of_what_a_run_may_take() {
        let group = Group { name: "proxy".into(), max: NonZeroU32::MIN };
        let (mut lanes, runs) = lanes(&["aa", "bb", "cc"], Some(&group));
        let (limit, begun_at) = (runs[0].hook.deadline.limit, Instant::now());
        let first = lanes.next(8, begun_at);
        assert_eq!(first.as_ref().map(|it| it.limit), Some(limit));
        assert!(lanes.next(8, begun_at).is_none());

        drop(first);
        lanes.release(&subject("aa"));
        let second = lanes.next(8, begun_at + limit / 4);
        assert_eq!(second.as_ref().map(|it| it.limit), Some(limit * 3 / 4));
        lanes.unblock();
        assert!(lanes.next(8, begun_at + limit / 2).is_none());
        lanes.unblock();
        let third = lanes.next(8, begun_at + limit);

        assert!(is(&third, &runs[2]) && matches!(third.map(|it| it.place), Some(Place::Missed)));
    }

    #[test]
    fn what_waits_can_be_taken_out_and_gates_stay() {
        let (mut lanes, runs) = lanes(&["aa", "aa"], None);
        assert!(is(&next(&mut lanes, 8), &runs[0]));
        let mut turn = lanes.push_gate(&subject("aa"));

        let cleared = lanes.clear_runs();

        assert_eq!(cleared.iter().map(|it| &it.id).collect::<Vec<_>>(), [&runs[1].id]);
        lanes.release(&subject("aa"));
        assert_eq!(turn.try_recv(), Ok(()));
    }
}
