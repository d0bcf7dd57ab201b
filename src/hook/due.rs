//! Where a clean-up falls due: after its set-up, in the order of one life.
//!
//! One life is that of a container from its creation to its removal with one passage in it, of a
//! network or a volume from its creation to its removal, of an address from its request to its release, of the engine from its coming to its
//! going. The next start begins another passage: what comes before in this order does not come
//! after by coming round again.

use super::{Cleanup, Hook};
use crate::lifecycle::{Point, PointSet, SubjectKind};

/// How one point stands to a set-up at another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It comes after: what was set up can be cleaned up there.
    After,
    /// It comes no later.
    NoLater,
    /// Something else reaches it: another kind of subject, or a network or volume that the set-up was
    /// not about.
    Apart,
}

/// Why no clean-up can fall due at a point, whatever was set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeverDue {
    /// It is a gate: what Docker asks about there may be denied, and then everything goes on.
    Gate,
    /// It is told of what goes on.
    GoesOn,
}

/// Why nothing that is set up at a point can be owed a clean-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeverOwed {
    /// It is the last point of a life.
    Last,
    /// What reaches it is an image or a call, whose lives are not followed.
    NotFollowed,
    /// It tells that a clean-up has failed.
    GivenUp,
}

impl Standing {
    /// How `reached` stands to a set-up at `setup`.
    pub fn of(reached: Point, setup: Point) -> Standing {
        let other_object = object(reached).is_some_and(|it| object(setup) != Some(it));
        let apart = other_object || reached.subject() != setup.subject();
        match (Turn::of(setup), Turn::of(reached)) {
            _ if apart => Standing::Apart,
            _ if reached == setup => Standing::NoLater,
            // What happens to a container that runs happens in any order, and again.
            (Turn::Running, Turn::Running) => Standing::After,
            (before, after) if before < after => Standing::After,
            _ => Standing::NoLater,
        }
    }
}

/// The parts of a life, in their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Asked,
    Made,
    AskedToStart,
    Readied,
    Started,
    Running,
    AskedToStop,
    Stopped,
    Detached,
    AskedToRemove,
    Removed,
}

impl Turn {
    /// Points of images and of calls have no order that anything would follow.
    fn of(point: Point) -> Turn {
        match point {
            Point::PreCreate | Point::NetworkPreCreate | Point::VolumePreCreate | Point::AddressRequest => {
                Turn::Asked
            }
            Point::PostCreate | Point::NetworkPostCreate | Point::VolumePostCreate => Turn::Made,
            Point::PreStart => Turn::AskedToStart,
            Point::NetReady => Turn::Readied,
            Point::PostStart | Point::DaemonStart => Turn::Started,
            Point::Healthy | Point::Unhealthy | Point::Pause | Point::Unpause | Point::Oom | Point::Exec => {
                Turn::Running
            }
            // Some of these may happen to a container that does not run: no earlier point is sure to come after.
            Point::Rename | Point::Update | Point::NetworkConnect | Point::VolumeMount => Turn::Running,
            Point::Reconcile | Point::DaemonReload => Turn::Running,
            Point::PreStop => Turn::AskedToStop,
            Point::PostStop | Point::DaemonStop => Turn::Stopped,
            // Told at the end of a passage, when it has ended, and before that when somebody asks for it.
            Point::NetworkDisconnect | Point::VolumeUnmount => Turn::Detached,
            Point::PreRemove | Point::NetworkPreRemove | Point::VolumePreRemove => Turn::AskedToRemove,
            Point::PostRemove
            | Point::NetworkPostRemove
            | Point::VolumePostRemove
            | Point::AddressRelease => Turn::Removed,
            // No clean-up follows on these: see `NeverOwed`.
            Point::ImagePrePull
            | Point::ImagePostPull
            | Point::ImagePreBuild
            | Point::ImagePreRemove
            | Point::ImagePostRemove
            | Point::Api
            | Point::DebtGivenUp => Turn::Removed,
        }
    }
}

/// What a point of a container is about besides the container.
fn object(point: Point) -> Option<SubjectKind> {
    match point {
        Point::NetworkConnect | Point::NetworkDisconnect => Some(SubjectKind::Network),
        Point::VolumeMount | Point::VolumeUnmount => Some(SubjectKind::Volume),
        _ => None,
    }
}

impl NeverDue {
    /// What keeps clean-ups from falling due at `point`; `None` if nothing does.
    pub fn at(point: Point) -> Option<NeverDue> {
        match point {
            _ if point.may_be_gate() => Some(NeverDue::Gate),
            Point::Reconcile | Point::DebtGivenUp => Some(NeverDue::GoesOn),
            _ => None,
        }
    }
}

impl NeverOwed {
    /// What keeps a set-up at `point` from being owed a clean-up; `None` if nothing does.
    pub fn at(point: Point) -> Option<NeverOwed> {
        match point {
            Point::DebtGivenUp => Some(NeverOwed::GivenUp),
            Point::DaemonStop => Some(NeverOwed::Last),
            _ if matches!(point.subject(), SubjectKind::Image | SubjectKind::Call) => {
                Some(NeverOwed::NotFollowed)
            }
            _ if last(point) == Some(point) => Some(NeverOwed::Last),
            _ => None,
        }
    }
}

/// The point at which whatever reaches `point` is gone, and all that it still owes is due.
fn last(point: Point) -> Option<Point> {
    match point.subject() {
        SubjectKind::Container => Some(Point::PostRemove),
        SubjectKind::Network => Some(Point::NetworkPostRemove),
        SubjectKind::Volume => Some(Point::VolumePostRemove),
        SubjectKind::Address => Some(Point::AddressRelease),
        _ => None,
    }
}

impl Cleanup {
    /// Where a clean-up falls due that does not say: for each kind of subject that the hook sets
    /// something up for, by the earliest of its points.
    ///
    /// It may come no later than a set-up; then the hook has to say it.
    pub fn due_by_default(setups: PointSet) -> PointSet {
        let of = |kind| move |it: &Point| it.subject() == kind;
        let defaults = |setup: Point| match setup {
            Point::NetworkPreCreate | Point::NetworkPostCreate | Point::NetworkPreRemove => {
                Some(Point::NetworkPostRemove)
            }
            Point::VolumePreCreate | Point::VolumePostCreate | Point::VolumePreRemove => {
                Some(Point::VolumePostRemove)
            }
            Point::AddressRequest => Some(Point::AddressRelease),
            Point::DaemonStart | Point::DaemonReload => Some(Point::DaemonStop),
            _ => None,
        };
        let mut due: PointSet = setups.iter().filter_map(defaults).collect();
        if setups.iter().any(|it| of(SubjectKind::Container)(&it)) {
            let all = |point| setups.iter().filter(of(SubjectKind::Container)).all(|it| it == point);
            due.insert(match () {
                () if all(Point::NetworkConnect) => Point::NetworkDisconnect,
                () if all(Point::VolumeMount) => Point::VolumeUnmount,
                () if setups.contains_any(&[Point::PreCreate, Point::PostCreate]) => Point::PostRemove,
                () => Point::PostStop,
            });
        }
        due
    }

    /// Whether it falls due for what was set up at `setup` when its subject reaches `reached`.
    ///
    /// A network or volume that both are about has to be the same, and a subject that is gone owes
    /// everything at once: both are for those to see who know the subject.
    pub fn is_due(&self, setup: Point, reached: Point) -> bool {
        self.at.contains(reached) && Standing::of(reached, setup) == Standing::After
    }
}

impl Hook {
    /// The points that have to be listened to: its own, those at which its clean-up falls due, and the
    /// end of its subjects, at which they owe all that is left.
    pub fn listens(&self) -> PointSet {
        let due = self.cleanup.iter().flat_map(|it| it.at.iter());
        let ends = self.at.iter().filter(|_| self.cleanup.is_some()).filter_map(last);
        self.at.iter().chain(due).chain(ends).collect()
    }
}

#[cfg(test)]
mod tests;
