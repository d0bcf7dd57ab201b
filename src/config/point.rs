//! The points of a hook: its `at`.

use super::node::Node;
use super::report::{Report, Wrong, quoted};
use super::scalar;
use super::table::Field;
use crate::lifecycle::{Point, PointSet};
use crate::near::{listed, nearest};

/// Words of docker's own event stream and command line, and the point where the same is seen.
const SYNONYMS: [(&str, &str); 9] = [
    ("create", "post_create"),
    ("start", "post_start"),
    ("run", "post_start"),
    ("die", "post_stop"),
    ("exit", "post_stop"),
    ("stop", "post_stop"),
    ("kill", "post_stop"),
    ("destroy", "post_remove"),
    ("remove", "post_remove"),
];

/// The points that `field` names; never empty.
pub(super) fn read(field: &Field, report: &mut Report) -> Option<PointSet> {
    read_each(field, report, |_| Ok(()))
}

/// The points that `field` names, of which each must be one that `suits`; never empty.
pub(super) fn read_each(
    field: &Field,
    report: &mut Report,
    suits: impl Fn(Point) -> Result<(), Wrong>,
) -> Option<PointSet> {
    let mut set = PointSet::EMPTY;
    let points = report.parse_each(field, |node| {
        let point = point(node)?;
        suits(point)?;
        if set.insert(point) {
            return Ok(());
        }
        Err(Wrong::new("twice", format!("names `{point}` twice")).help("remove one of the two"))
    });
    points.map(|_| set)
}

/// The point that `node` names.
pub(super) fn point(node: &Node) -> Result<Point, Wrong> {
    let text = scalar::text(node)?;
    Point::from_name(text).ok_or_else(|| match SYNONYMS.iter().find(|(word, _)| *word == text) {
        Some((_, meant)) => unknown(text).help(format!("did you mean `{meant}`?")),
        None => {
            let names = Point::ALL.iter().copied().map(Point::name);
            unknown(text).help(match nearest(text, names.clone()) {
                Some(name) => format!("did you mean `{name}`?"),
                // Those of a container's life: who means another kind is near one of its names.
                None => format!("write {}", listed(names.filter(|it| !it.contains('.')), "or")),
            })
        }
    })
}

fn unknown(text: &str) -> Wrong {
    Wrong::new("unknown-value", format!("names no point of a container's life: {}", quoted(text)))
}

#[cfg(test)]
mod tests {
    use super::{Point, SYNONYMS};

    #[test]
    fn every_synonym_leads_to_a_point() {
        for (word, meant) in SYNONYMS {
            assert_eq!(Point::from_name(word), None);
            assert!(Point::from_name(meant).is_some(), "{meant}");
        }
    }
}
