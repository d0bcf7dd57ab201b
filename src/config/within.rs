//! Where a hook's program runs: `in`.

use std::sync::Arc;

use super::node::{Node, Value};
use super::report::{Report, Wrong, quoted};
use super::scalar;
use super::shape::Shape;
use super::table::{Field, table};
use crate::lifecycle::{Point, PointSet};
use crate::near::listed;

/// The words of `in`, the default first.
pub(super) const WORDS: [&str; 2] = ["host", "netns"];

/// How many points a fix names.
const POINTS_NAMED_MAX: usize = 4;

table! {
    /// `in`, as a table.
    WithinDraft, "`in`" {
        /// The name of a container that runs, or the beginning of its id.
        container: Shape::Matching("^[A-Za-z0-9][A-Za-z0-9_.-]+$"),
    }
    later {}
    synonyms { "name": "container", "id": "container", "service": "container" }
    required { "container" }
}

/// Where a program runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// On the host.
    #[default]
    Host,
    /// On the host, in the network namespace of the container that the hook is for.
    Netns,
    /// In that container.
    Container(Arc<str>),
}

impl Place {
    /// Whether both run the host's programs, or programs of the same container.
    pub(super) fn shares_programs_with(&self, other: &Place) -> bool {
        match (self, other) {
            (Place::Host | Place::Netns, Place::Host | Place::Netns) => true,
            (one, other) => one == other,
        }
    }
}

/// The place that `field` names, or `None` once everything wrong with it is in `report`.
pub(super) fn read(field: &Field, report: &mut Report) -> Option<Place> {
    if matches!(field.value.value, Value::Map(_)) {
        let draft = WithinDraft::read(&field.value, report)?;
        let container = match &draft.container {
            Some(container) => report.parse(container, container_name),
            None => {
                let wrong = Wrong::new("missing", "`in` does not say in which container");
                report.missing(&draft.outline, &["container"], wrong.help("write `in: {container: NAME}`"));
                None
            }
        };
        draft.outline.sound()?;
        return Some(Place::Container(container?.into()));
    }
    report.parse(field, |node| match node.text() {
        Some("host") => Ok(Place::Host),
        Some("netns") => Ok(Place::Netns),
        Some(other) => Err(scalar::unknown_word(other, WORDS.into_iter()).help(match other {
            "container" => "write `in: {container: NAME}`, or `in: netns` for the container's network",
            _ => "write `host`, `netns` or `{container: NAME}`",
        })),
        None => Err(scalar::wants("`host`, `netns` or `{container: NAME}`", node)),
    })
}

/// A name as the engine allows them (`RestrictedNamePattern` in moby, `daemon/names/names.go`).
fn container_name(node: &Node) -> Result<&str, Wrong> {
    let text = scalar::nonempty(node)?;
    let sound = |it: char| it.is_ascii_alphanumeric() || "_.-".contains(it);
    if text.len() > 1 && text.starts_with(|it: char| it.is_ascii_alphanumeric()) && text.chars().all(sound) {
        return Ok(text);
    }
    let wrong = Wrong::new("container", format!("cannot be {}: no container has such a name", quoted(text)));
    Err(match text.strip_prefix('/') {
        Some(name) if name.len() > 1 => wrong.help(format!("write `{name}`, without the slash")),
        _ => wrong.help("write its name, as `docker ps` shows it"),
    })
}

/// Whether what listens `at` these points can run in `place`, which `field` names; what is wrong is noted.
pub(super) fn suits(field: &Field, place: &Place, at: PointSet, report: &mut Report) -> Option<()> {
    let wrong = match place {
        Place::Host => None,
        Place::Netns => without_namespace(at),
        Place::Container(_) => at.contains(Point::DaemonStop).then(|| {
            let message = "`in` a container at `daemon.stop`: the engine is gone that would run it there";
            Wrong::new("in", message).help("write `in: host`, or make a hook of its own for `daemon.stop`")
        }),
    };
    let sound = wrong.is_none();
    wrong.into_iter().for_each(|it| report.push(field.key_span.clone(), it));
    sound.then_some(())
}

fn without_namespace(at: PointSet) -> Option<Wrong> {
    let without: Vec<Point> = at.iter().filter(|it| !it.may_have_namespace()).collect();
    if without.is_empty() {
        return None;
    }
    let points = listed(without.iter().map(|it| it.name()), "or");
    let message = format!("`in: netns` at {points}: no container has a network namespace there");
    let help = match at.iter().any(Point::may_have_namespace) {
        true => format!("take {points} out of `at`, or write `in: host`"),
        false => {
            let points = Point::ALL.iter().filter(|it| it.may_have_namespace()).map(|it| it.name());
            format!("write `in: host`, or listen at {}", listed(points.take(POINTS_NAMED_MAX), "or"))
        }
    };
    Some(Wrong::new("in", message).help(help))
}
