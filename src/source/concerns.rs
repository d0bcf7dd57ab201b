//! Which calls anybody wants to hear of.
//!
//! Most calls of the API concern nobody: no hook listens where they lead, and they explain nothing that a
//! hook will be told. Where a call may lead is known beforehand, and where anybody listens is a set that is
//! made when the configuration is loaded. So such a call is known by comparing two numbers, and is answered
//! from its method and target alone.

use super::routes::{ROUTES, What};
use crate::lifecycle::{Point, PointSet, SubjectKind};

/// The points whose events tell what brought them about: all that a container reaches after the fact.
pub(super) const EXPLAINED: PointSet = {
    let (mut set, mut nth) = (PointSet::EMPTY, 0);
    while nth < Point::ALL.len() {
        let point = Point::ALL[nth];
        if !point.is_gate() && matches!(point.subject(), SubjectKind::Container) {
            set = set.union(PointSet::of(&[point]));
        }
        nth += 1;
    }
    set
};

/// Where somebody has to listen for any request to be looked at, [`Point::Api`] apart.
pub(super) const ASKED_ANYWHERE: PointSet = {
    let (mut set, mut nth) = (PointSet::EMPTY, 0);
    while nth < ROUTES.len() {
        set = set.union(asked_at(ROUTES[nth].what));
        nth += 1;
    }
    set
};

/// Where somebody has to listen for any answer to be looked at.
pub(super) const ANSWERED_ANYWHERE: PointSet =
    EXPLAINED.union(PointSet::of(&[Point::PreCreate, Point::PreStart, Point::NetReady, Point::VolumeMount]));

/// Where somebody has to listen for the request of such a call to be looked at.
pub(super) const fn asked_at(what: What) -> PointSet {
    let gates: &[Point] = match what {
        What::ContainerCreate => &[Point::PreCreate],
        // A start in the way of old clients may replace what was let through at the creation.
        What::ContainerStart => &[Point::PreCreate, Point::PreStart],
        What::ContainerRestart => &[Point::PreStop, Point::PreStart],
        What::ContainerStop | What::ContainerKill => &[Point::PreStop],
        What::ContainerRemove => &[Point::PreStop, Point::PreRemove],
        What::ContainerPrune => &[Point::PreRemove],
        What::NetworkCreate => &[Point::NetworkPreCreate],
        What::NetworkRemove | What::NetworkPrune => &[Point::NetworkPreRemove],
        What::VolumeCreate => &[Point::VolumePreCreate],
        What::VolumeRemove | What::VolumePrune => &[Point::VolumePreRemove],
        What::ImageCreate | What::ImageLoad => &[Point::ImagePrePull],
        What::ImageBuild => &[Point::ImagePreBuild],
        What::ImageRemove | What::ImagePrune => &[Point::ImagePreRemove],
        _ => &[],
    };
    PointSet::of(gates).union(answered_at(what))
}

/// Where somebody has to listen for the answer to such a call to be looked at.
pub(super) const fn answered_at(what: What) -> PointSet {
    // On the answer to these hangs whether what a gate set up has to be cleaned up at once.
    let gates: &[Point] = match what {
        What::ContainerCreate => &[Point::PreCreate],
        What::ContainerStart | What::ContainerRestart => {
            &[Point::PreStart, Point::NetReady, Point::VolumeMount]
        }
        What::ContainerStop | What::ContainerKill | What::ContainerRemove => &[],
        _ => return PointSet::EMPTY,
    };
    PointSet::of(gates).union(EXPLAINED)
}

#[cfg(test)]
mod tests {
    use super::super::api::operation;
    use super::super::authorization::call_kind;
    use super::{EXPLAINED, ROUTES, answered_at, asked_at};
    use crate::lifecycle::Point;

    #[test]
    fn no_call_has_a_gate_that_would_not_be_asked() {
        for route in ROUTES {
            for query in ["", "?link=1", "?force=1"] {
                let target = route.path.replace("{}", "web") + query;
                let operation = operation(route.method, &target).expect("a call of the table");
                for gate in operation.gates() {
                    assert!(asked_at(operation.what).contains(*gate), "{} {target}: {gate}", route.method);
                }
            }
        }
    }

    #[test]
    fn calls_that_explain_events_are_heard_twice_where_anybody_is_told_of_them() {
        for route in ROUTES {
            let explains = call_kind(route.what).is_some();
            assert_eq!(answered_at(route.what).meets(EXPLAINED), explains, "{}", route.path);
            assert_eq!(asked_at(route.what).contains(Point::PostStop), explains, "{}", route.path);
        }
    }

    #[test]
    fn nobody_who_only_looks_on_is_asked_anything() {
        for route in ROUTES.iter().filter(|it| it.method == "GET") {
            assert!(asked_at(route.what).is_empty(), "{}", route.path);
        }
    }

    #[test]
    fn what_a_container_reaches_after_the_fact_is_explained() {
        assert!([Point::PostCreate, Point::PostStop, Point::Oom].iter().all(|it| EXPLAINED.contains(*it)));
        assert!(
            ![Point::PreStop, Point::VolumePostCreate, Point::Api].iter().any(|it| EXPLAINED.contains(*it))
        );
    }
}
