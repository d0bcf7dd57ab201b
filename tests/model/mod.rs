//! Random lives, told in random ways, and what hooks are told of them.
//!
//! An engine that is only thought of does random things to a few containers. What it tells comes late, twice
//! or not at all; looks and comparisons come between; boathook starts anew from its journal; the engine
//! goes away, and takes what runs along. Whatever happens, hooks have to be told a life that makes sense, to
//! its end; and when nothing was lost, the very life that was.

mod follower;
mod truth;

use boathook::lifecycle::{Point, Process, Reason, Stage};
use boathook::reconcile::How;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof, proptest};

use follower::{Follower, Look};
use truth::{Deed, Truth};

/// How many containers there are at once.
const SLOTS: usize = 2;

const THOROUGH: How = How::Thorough { since: None };

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Something is done to the container in a slot.
    Do(usize, Deed),
    /// So many events arrive.
    Deliver(usize, Look),
    /// So many of the last events arrive once more.
    Again(usize),
    /// A call has the container in a slot looked up.
    Look(usize),
    /// The timer has what is compared with what is known.
    Compare,
    /// Boathook starts anew.
    Restart,
    /// So many events are lost, which is noticed.
    Lose(usize),
    /// The engine is gone, with whatever ran, and comes back.
    EngineAway,
}

fn deed() -> impl Strategy<Value = Deed> {
    use Deed::{Create, CreateWithRm, Die, Remove, Rename, Restart, Start};
    prop_oneof![
        3 => Just(Create), 1 => Just(CreateWithRm), 5 => Just(Start), 3 => Just(Die),
        2 => Just(Restart), 1 => Just(Rename), 1 => Just(Remove),
    ]
}

fn look() -> impl Strategy<Value = Look> {
    prop_oneof![3 => Just(Look::Seen), 1 => Just(Look::Failed)]
}

/// A step that loses nothing.
fn harmless() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (0..SLOTS, deed()).prop_map(|(slot, deed)| Step::Do(slot, deed)),
        5 => (1..4_usize, look()).prop_map(|(count, look)| Step::Deliver(count, look)),
        1 => (1..6_usize).prop_map(Step::Again),
        3 => (0..SLOTS).prop_map(Step::Look),
        2 => Just(Step::Compare),
        1 => Just(Step::Restart),
    ]
}

fn harmful() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => harmless(),
        1 => (1..6_usize).prop_map(Step::Lose),
        1 => Just(Step::EngineAway),
    ]
}

fn follow(before: &[(usize, Deed)], steps: &[Step]) -> (Truth, Follower) {
    let mut truth = Truth::new();
    for (slot, deed) in before {
        truth.act(*slot, *deed);
    }
    let mut follower = Follower::begin(&truth);
    assert!(follower.told.is_empty(), "told of what was there before: {:?}", follower.told);
    truth.happened.clear();
    for step in steps {
        take(*step, &mut truth, &mut follower);
    }
    while !follower.pending.is_empty() {
        follower.deliver(&truth, Look::Seen);
    }
    follower.reconcile(&truth, THOROUGH);
    (truth, follower)
}

fn take(step: Step, truth: &mut Truth, follower: &mut Follower) {
    match step {
        Step::Do(slot, deed) => follower.pending.extend(truth.act(slot, deed)),
        Step::Deliver(count, look) => (0..count).for_each(|_| follower.deliver(truth, look)),
        Step::Again(count) => follower.hear_again(truth, count),
        Step::Look(slot) => {
            if let Some(id) = truth.id(slot).map(str::to_owned) {
                follower.look(truth, &id);
            }
        }
        Step::Compare => follower.reconcile(truth, How::Quick),
        Step::Restart => follower.restart(truth),
        Step::Lose(count) => {
            follower.pending.drain(..count.min(follower.pending.len()));
            follower.reconcile(truth, THOROUGH);
        }
        Step::EngineAway => {
            let ids = (0..SLOTS).filter_map(|slot| truth.id(slot).map(str::to_owned));
            let ran = ids.filter(|id| follower.stage(truth, id) == Some(Stage::Running));
            let ran: Vec<_> = ran.map(|id| (follower.told.get(&id).map_or(0, Vec::len), id)).collect();
            follower.engine_gone(truth);
            for slot in 0..SLOTS {
                truth.act(slot, Deed::Die);
            }
            follower.reconcile(truth, THOROUGH);
            for (told, id) in ran {
                let end = follower.told[&id][told..].iter().find(|it| it.0 == Point::PostStop);
                assert_eq!(end.and_then(|it| it.2), Some(Reason::Daemon), "{id}");
            }
        }
    }
}

/// Whether what was told of a container is a life: made once, at first; started and ended in turn, in passages
/// that count up; gone once, at last. What was there before is not told to have been made.
fn assert_is_a_life(id: &str, told: &[(Point, u32, Option<Reason>)], is_new: bool) {
    let points: Vec<_> = told.iter().map(|it| it.0).filter(|it| *it != Point::Rename).collect();
    let count = |point| points.iter().filter(|it| **it == point).count();
    assert!(count(Point::PostCreate) <= usize::from(is_new), "{id}: {told:?}");
    assert!(count(Point::PostRemove) <= 1, "{id}: {told:?}");
    if is_new {
        assert_eq!(points.first(), Some(&Point::PostCreate), "{id}: {told:?}");
    }
    if count(Point::PostRemove) == 1 {
        assert_eq!(told.last().map(|it| it.0), Some(Point::PostRemove), "{id}: {told:?}");
    }
    let turns: Vec<_> = told.iter().filter(|it| matches!(it.0, Point::PostStart | Point::PostStop)).collect();
    for pair in turns.windows(2) {
        let expected = match pair[0] {
            (Point::PostStart, passage, _) => (Point::PostStop, *passage),
            (_, passage, _) => (Point::PostStart, passage + 1),
        };
        assert_eq!((pair[1].0, pair[1].1), expected, "{id}: {told:?}");
    }
}

/// Whether what is known at the end is what is.
fn assert_is_known(truth: &Truth, follower: &Follower) {
    for slot in 0..SLOTS {
        let Some(id) = truth.id(slot) else { continue };
        let seen = truth.inspect(id).expect("what is there can be looked up");
        let stage = match seen.process {
            Process::NeverStarted => Stage::Created,
            Process::Running { .. } => Stage::Running,
            Process::Ended { .. } => Stage::Ended,
        };
        assert_eq!(follower.stage(truth, id), Some(stage), "{id}");
        assert_eq!(follower.name(truth, id), seen.facts.name, "{id}");
    }
}

fn is_new(truth: &Truth, id: &str) -> bool {
    truth.happened.get(id).is_some_and(|it| it.first() == Some(&Point::PostCreate))
}

proptest! {
    #[test]
    fn when_nothing_is_lost_hooks_are_told_each_transition_once_and_in_order(
        before in vec((0..SLOTS, deed()), 0..6),
        steps in vec(harmless(), 0..40),
    ) {
        let (truth, follower) = follow(&before, &steps);

        for (id, told) in &follower.told {
            assert_is_a_life(id, told, is_new(&truth, id));
        }
        for (id, happened) in &truth.happened {
            let told = follower.told.get(id).map(Vec::as_slice).unwrap_or_default();
            let points: Vec<_> = told.iter().map(|it| it.0).filter(|it| *it != Point::Rename).collect();
            assert_eq!(&points, happened, "{id}");
        }
        assert_is_known(&truth, &follower);
    }

    #[test]
    fn whatever_is_lost_hooks_are_told_a_life_to_its_end(
        before in vec((0..SLOTS, deed()), 0..6),
        steps in vec(harmful(), 0..40),
    ) {
        let (truth, follower) = follow(&before, &steps);

        for (id, told) in &follower.told {
            assert_is_a_life(id, told, is_new(&truth, id));
            let gone = truth.inspect(id).is_none();
            assert_eq!(gone, told.last().map(|it| it.0) == Some(Point::PostRemove), "{id}: {told:?}");
        }
        assert_is_known(&truth, &follower);
    }
}
