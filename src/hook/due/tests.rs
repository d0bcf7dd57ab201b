//! What comes after what.

use std::sync::Arc;
use std::time::Duration;

use super::{Cleanup, Hook, NeverDue, NeverOwed, Standing};
use crate::hook::{Action, Deadline, HookName, HookSet, Retry};
use crate::lifecycle::{Point, PointSet};

fn points(names: &[&str]) -> PointSet {
    names.iter().map(|it| Point::from_name(it).unwrap_or_else(|| panic!("{it} is a point"))).collect()
}

fn standing(reached: &str, setup: &str) -> Standing {
    let point = |it: &str| Point::from_name(it).unwrap_or_else(|| panic!("{it} is a point"));
    Standing::of(point(reached), point(setup))
}

#[test]
fn a_clean_up_comes_after_its_set_up_in_one_life() {
    for (setup, reached) in [
        ("pre_create", "post_remove"),
        ("pre_create", "post_create"),
        ("pre_start", "post_stop"),
        ("post_start", "healthy"),
        ("healthy", "unhealthy"),
        ("unhealthy", "healthy"),
        ("pause", "unpause"),
        ("reconcile", "post_stop"),
        ("rename", "post_stop"),
        ("pre_stop", "post_stop"),
        ("post_stop", "post_remove"),
        ("network.connect", "network.disconnect"),
        ("network.connect", "post_stop"),
        ("network.disconnect", "post_remove"),
        ("volume.mount", "volume.unmount"),
        ("network.post_create", "network.post_remove"),
        ("volume.pre_create", "volume.post_remove"),
        ("daemon.start", "daemon.stop"),
        ("daemon.start", "daemon.reload"),
    ] {
        assert_eq!(standing(reached, setup), Standing::After, "{setup}, {reached}");
    }
}

#[test]
fn what_comes_round_again_does_not_come_after() {
    for (setup, reached) in [
        ("post_stop", "post_stop"),
        ("post_stop", "post_start"),
        ("post_start", "post_create"),
        ("healthy", "healthy"),
        ("healthy", "post_start"),
        // It may have been connected while it ran, when its start is over.
        ("network.connect", "post_start"),
        ("network.disconnect", "network.connect"),
        ("network.disconnect", "post_stop"),
        ("daemon.stop", "daemon.start"),
        ("post_remove", "post_create"),
    ] {
        assert_eq!(standing(reached, setup), Standing::NoLater, "{setup}, {reached}");
    }
}

#[test]
fn what_something_else_reaches_is_no_end_of_it() {
    for (setup, reached) in [
        ("post_start", "network.post_remove"),
        ("network.post_create", "post_stop"),
        ("network.post_create", "network.disconnect"),
        ("post_start", "network.disconnect"),
        ("post_start", "network.connect"),
        ("network.connect", "volume.unmount"),
        ("volume.mount", "network.disconnect"),
        ("daemon.start", "post_stop"),
        ("post_start", "image.post_remove"),
    ] {
        assert_eq!(standing(reached, setup), Standing::Apart, "{setup}, {reached}");
    }
}

#[test]
fn every_point_has_a_clean_up_that_falls_due_or_says_why_not() {
    for &setup in Point::ALL {
        let due = |it: &&Point| NeverDue::at(**it).is_none() && Standing::of(**it, setup) == Standing::After;
        let some = Point::ALL.iter().find(due);
        assert_eq!(some.is_none(), NeverOwed::at(setup).is_some(), "{setup}: {some:?}");
    }
}

#[test]
fn the_default_goes_by_the_earliest_set_up_of_each_kind() {
    for (setups, due) in [
        (&["pre_create"][..], &["post_remove"][..]),
        (&["post_create", "post_start"], &["post_remove"]),
        (&["pre_start"], &["post_stop"]),
        (&["post_start", "reconcile"], &["post_stop"]),
        (&["healthy"], &["post_stop"]),
        (&["network.connect"], &["network.disconnect"]),
        (&["network.connect", "reconcile"], &["post_stop"]),
        (&["volume.mount"], &["volume.unmount"]),
        (&["network.connect", "volume.mount"], &["post_stop"]),
        (&["network.pre_create"], &["network.post_remove"]),
        (&["network.post_create", "network.connect"], &["network.post_remove", "network.disconnect"]),
        (&["volume.post_create"], &["volume.post_remove"]),
        (&["daemon.start", "daemon.reload"], &["daemon.stop"]),
        (&["daemon.start", "post_start"], &["daemon.stop", "post_stop"]),
    ] {
        assert_eq!(Cleanup::due_by_default(points(setups)), points(due), "{setups:?}");
    }
}

fn hook(at: &[&str], due: &[&str]) -> Hook {
    let cleanup = Cleanup {
        at: points(due),
        action: Action::Deny { message: String::new() },
        deadline: Deadline { limit: Duration::from_secs(1), grace: Duration::ZERO },
        retry: Retry::OF_CLEANUP,
    };
    let name = HookName::parse("firewall").expect("the name keeps the rules");
    Hook { at: points(at), cleanup: Some(Arc::new(cleanup)), ..Hook::named(name) }
}

#[test]
fn what_is_set_up_is_due_at_its_own_end_only() {
    let cleanup = hook(&[], &["network.disconnect", "post_stop"]).cleanup.expect("it has one");

    assert!(cleanup.is_due(Point::NetworkConnect, Point::NetworkDisconnect));
    assert!(cleanup.is_due(Point::NetworkConnect, Point::PostStop));
    assert!(cleanup.is_due(Point::PostStart, Point::PostStop));
    assert!(!cleanup.is_due(Point::PostStart, Point::NetworkDisconnect));
    assert!(!cleanup.is_due(Point::PostStart, Point::PostRemove), "it is not among its points");
}

#[test]
fn where_a_clean_up_falls_due_somebody_listens_and_no_hook_fires() {
    let firewall =
        Arc::new(hook(&["post_start", "network.post_create"], &["unhealthy", "network.post_remove"]));

    let set = HookSet::new(&[firewall]);

    let listened = ["post_start", "network.post_create", "unhealthy", "network.post_remove", "post_remove"];
    assert_eq!(set.points(), points(&listened));
    assert_eq!(set.at(Point::PostStart).len(), 1);
    assert!(set.at(Point::Unhealthy).is_empty());
    assert!(set.at(Point::PostRemove).is_empty());
}
