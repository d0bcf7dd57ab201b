//! Where a clean-up falls due: its `at`, held against the points of its hook.

use super::point;
use super::report::{Report, Wrong};
use super::table::Field;
use crate::hook::{Cleanup, NeverDue, NeverOwed, Standing};
use crate::lifecycle::{Point, PointSet};
use crate::near::listed;

/// Points that end something, those that are meant most often first.
const ENDS: [Point; 7] = [
    Point::PostStop,
    Point::PostRemove,
    Point::NetworkDisconnect,
    Point::NetworkPostRemove,
    Point::VolumeUnmount,
    Point::VolumePostRemove,
    Point::DaemonStop,
];

/// The names of the points at which a clean-up can fall due.
pub(super) fn names() -> Vec<&'static str> {
    let due = |it: &&Point| Point::ALL.iter().any(|setup| follows(**it, *setup));
    Point::ALL.iter().filter(due).map(|it| it.name()).collect()
}

/// The points at which the clean-up falls due of what is set up at `setups`; `None` once everything
/// wrong with them is in `report`. `cleanup` is the table, and `written` its `at`.
pub(super) fn resolve(
    cleanup: &Field,
    written: Option<&Field>,
    setups: Option<PointSet>,
    report: &mut Report,
) -> Option<PointSet> {
    let owed = setups.map(|it| owed(cleanup, it, report));
    let setups = owed.as_deref().unwrap_or_default();
    let Some(field) = written else { return by_default(cleanup, setups, report) };
    let due = point::read_each(field, report, |point| suits(point, setups))?;
    let left = setups.iter().find(|setup| !due.iter().any(|it| follows(it, **setup)));
    let Some(left) = left else { return Some(due) };
    let message = format!("`at` names no point at which what is set up at `{left}` is cleaned up");
    let wrong = Wrong::new("cleanup", message).help(advice(&[*left], |it| format!("add `{it}`")));
    report.push(field.value.span.clone(), wrong);
    None
}

/// Whether a clean-up of what is set up at `setup` can fall due at `point`.
fn follows(point: Point, setup: Point) -> bool {
    NeverDue::at(point).is_none()
        && NeverOwed::at(setup).is_none()
        && Standing::of(point, setup) == Standing::After
}

fn is_no_later(point: Point, setup: Point) -> bool {
    Standing::of(point, setup) == Standing::NoLater
}

/// The points of the hook whose set-up can be owed a clean-up; what is wrong with the others is noted.
fn owed(cleanup: &Field, setups: PointSet, report: &mut Report) -> Vec<Point> {
    let owed: Vec<Point> = setups.iter().filter(|it| NeverOwed::at(*it).is_none()).collect();
    for (point, why) in setups.iter().filter_map(|it| Some((it, NeverOwed::at(it)?))) {
        let why = match why {
            NeverOwed::Last => "nothing comes after it",
            NeverOwed::NotFollowed => "what becomes of images and calls is not followed",
            NeverOwed::GivenUp => "it tells that a clean-up has failed",
        };
        let wrong = Wrong::new("cleanup", format!("`cleanup` of what is set up at `{point}`: {why}"));
        let help = match owed.as_slice() {
            [] => "remove it, or set up at an earlier point of a container, network or volume".to_owned(),
            _ => format!("make a hook of its own for `{point}`, without `cleanup`"),
        };
        report.push(cleanup.key_span.clone(), wrong.help(help));
    }
    owed
}

/// The points that hold where none is written.
fn by_default(cleanup: &Field, setups: &[Point], report: &mut Report) -> Option<PointSet> {
    let due = Cleanup::due_by_default(setups.iter().copied().collect());
    let clash = due.iter().find_map(|due| Some((due, setups.iter().find(|it| is_no_later(due, **it))?)));
    let Some((point, setup)) = clash else { return (!due.is_empty()).then_some(due) };
    let message = match point == *setup {
        true => format!("`cleanup` is due at `{point}` if it does not say otherwise, where it is set up"),
        false => {
            format!(
                "`cleanup` is due at `{point}` if it does not say otherwise, and `{setup}` comes no earlier"
            )
        }
    };
    report.push(
        cleanup.key_span.clone(),
        Wrong::new("cleanup", message).help(advice(setups, |it| format!("write `cleanup: {{at: {it}, …}}`"))),
    );
    None
}

/// Whether a clean-up of what is set up at `setups` can fall due at `point`.
fn suits(point: Point, setups: &[Point]) -> Result<(), Wrong> {
    let message = match (NeverDue::at(point), setups.iter().find(|it| is_no_later(point, **it))) {
        (Some(NeverDue::Gate), _) => {
            format!("cannot be `{point}`: docker waits there, and may be denied what it asks for")
        }
        (Some(NeverDue::GoesOn), _) => format!("cannot be `{point}`: nothing ends there"),
        (None, Some(setup)) if point == *setup => format!("cannot be `{point}`: it is set up there"),
        (None, Some(setup)) => {
            format!("cannot be `{point}`: `{setup}`, where it is set up, comes no earlier")
        }
        (None, None) if !setups.is_empty() && !setups.iter().any(|it| follows(point, *it)) => {
            let setups = listed(setups.iter().map(|it| it.name()), "and");
            format!("cannot be `{point}`: it is not in the life of what is set up at {setups}")
        }
        (None, None) => return Ok(()),
    };
    let counterpart = Point::from_name(&point.name().replace("pre_", "post_"));
    let wrong = Wrong::new("cleanup", message);
    Err(match counterpart.filter(|it| *it != point && suits(*it, setups).is_ok()) {
        Some(counterpart) => wrong.help(format!("write `{counterpart}`")),
        None => wrong.help(advice(setups, |it| format!("write `at: {it}`"))),
    })
}

/// What to do about it: `write` says it of the point that is right.
fn advice(setups: &[Point], write: impl FnOnce(Point) -> String) -> String {
    fix(setups).map_or_else(|| "make two hooks of it".to_owned(), write)
}

/// A point after all of `setups` that belong to one life.
fn fix(setups: &[Point]) -> Option<Point> {
    let of_one_life = |it: &&Point| {
        setups.iter().all(|setup| !is_no_later(**it, *setup))
            && setups.iter().any(|setup| follows(**it, *setup))
    };
    let usual = Cleanup::due_by_default(setups.iter().copied().collect());
    usual.iter().find(|it| of_one_life(&it)).or_else(|| ENDS.iter().find(of_one_life).copied())
}

#[cfg(test)]
mod tests {
    use super::{Point, fix, names, suits};

    #[test]
    fn only_what_ends_something_is_offered() {
        let names = names();

        for name in ["post_stop", "unhealthy", "unpause", "network.disconnect", "daemon.stop"] {
            assert!(names.contains(&name), "{name}");
        }
        for name in ["pre_stop", "reconcile", "debt.given_up", "image.post_remove", "api"] {
            assert!(!names.contains(&name), "{name}");
        }
    }

    #[test]
    fn what_is_advised_is_right() {
        for &setup in Point::ALL {
            let Some(point) = fix(&[setup]) else { continue };
            assert_eq!(suits(point, &[setup]), Ok(()), "{setup}, {point}");
        }
        assert_eq!(fix(&[Point::PostStop]), Some(Point::PostRemove));
        assert_eq!(fix(&[Point::Api]), None);
    }
}
