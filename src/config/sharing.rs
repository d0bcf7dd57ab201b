//! How a hook goes together with other events and other hooks: `concurrency`, `debounce`, `after`.

use std::num::NonZeroU32;
use std::time::Duration;

use super::hook::HookDraft;
use super::node::Node;
use super::quantity::{self, Zero, show_duration};
use super::report::{Place, Report, Wrong, quoted};
use super::scalar;
use super::shape::{NAME, Preset, Shape};
use super::table::{Field, table};
use crate::hook::{Debounce, Group, HookName};
use crate::lifecycle::PointSet;

/// The most runs of a group at once: more than there may be in all.
const PLACES_MAX: i64 = 1024;

/// The places of a group if the file does not say: its hooks take turns.
const PLACES: NonZeroU32 = NonZeroU32::MIN;

/// How many times its `wait` a run may be put off in all, if the file does not say.
const WAITS: u32 = 4;

table! {
    /// `concurrency` of a hook, as written.
    ConcurrencyDraft, "`concurrency`" {
        /// The name of the group; all hooks that give it share the bound.
        group: Shape::Matching(NAME),
        /// How many runs of the group there are at once; the same in all its hooks.
        max: Shape::Number(1..=PLACES_MAX) => Preset::Number(PLACES.get() as u64),
    }
    later {}
    synonyms { "name": "group", "limit": "max" }
    required { "group" }
}

table! {
    /// `debounce`, as written.
    DebounceDraft, "`debounce`" {
        /// The run starts when nothing has come for so long.
        wait: Shape::Duration(Zero::Refused),
        /// It starts so long after the first event at the latest; four times `wait`, if nothing is written.
        max: Shape::Duration(Zero::Refused),
    }
    later {}
    synonyms { "delay": "wait", "quiet": "wait", "min": "wait", "max_wait": "max" }
    required { "wait" }
}

/// The group that a hook is in and where that is written; `None` once what is wrong is in `report`.
pub(super) fn group(field: Option<&Field>, report: &mut Report) -> Option<Option<(Group, Place)>> {
    let Some(field) = field else { return Some(None) };
    let draft = ConcurrencyDraft::read(&field.value, report)?;
    let name = match &draft.group {
        Some(name) => report.parse(name, group_name),
        None => {
            let wrong = Wrong::new("missing", "`concurrency` does not say in which group");
            report.missing(
                &draft.outline,
                &["group"],
                wrong.help("write `group:` and a name of your choice"),
            );
            None
        }
    };
    let max = report.parse_or(draft.max.as_ref(), PLACES, |node| {
        let places = scalar::integer(node, 1..=PLACES_MAX)?;
        Ok(u32::try_from(places).ok().and_then(NonZeroU32::new).expect("the range begins at one"))
    });
    draft.outline.sound()?;
    let place = report.place(draft.max.as_ref().map_or(&field.value, |it| &it.value).span.clone());
    Some(Some((Group { name: name?.into(), max: max? }, place)))
}

/// A group is named as hooks are.
fn group_name(node: &Node) -> Result<&str, Wrong> {
    match scalar::nonempty(node)? {
        name if HookName::parse(name).is_some() => Ok(name),
        other => Err(Wrong::new("name", format!("cannot be {}", quoted(other)))
            .help("use 1 to 64 letters, digits, `.`, `_`, `-`, the first a letter or digit")),
    }
}

/// How a hook gathers events. At a gate somebody waits for an answer to each.
pub(super) fn debounce(
    draft: &HookDraft,
    at: Option<PointSet>,
    report: &mut Report,
) -> Option<Option<Debounce>> {
    let Some(field) = &draft.debounce else { return Some(None) };
    // What a `deny` is told about its `debounce` is that nothing runs.
    let gate = at.filter(|_| draft.deny.is_none()).and_then(|it| it.iter().find(|it| it.may_be_gate()));
    if let Some(gate) = gate {
        let message =
            format!("`debounce` at `{gate}`: docker waits there, and every call wants an answer of its own");
        let help = format!("remove `{gate}` from `at`, or remove `debounce`");
        report.push(field.key_span.clone(), Wrong::new("debounce", message).help(help));
    }
    let written = DebounceDraft::read(&field.value, report)?;
    let wait = match &written.wait {
        Some(wait) => report.parse(wait, |it| quantity::duration(it, Zero::Refused)),
        None => {
            let wrong = Wrong::new("missing", "`debounce` does not say how long to wait");
            report.missing(
                &written.outline,
                &["wait"],
                wrong.help("write `wait:` and a span of time, such as `500ms`"),
            );
            None
        }
    };
    let max = match &written.max {
        Some(max) => report.parse(max, |node| longest_wait(node, wait)),
        None => wait.map(|it| it * WAITS),
    };
    written.outline.sound()?;
    Some(Some(Debounce { wait: wait?, max: max? }))
}

fn longest_wait(node: &Node, wait: Option<Duration>) -> Result<Duration, Wrong> {
    let max = quantity::duration(node, Zero::Refused)?;
    match wait {
        Some(wait) if wait > max => {
            let (wait, max) = (show_duration(wait), show_duration(max));
            Err(Wrong::new("range", format!("is {max}, less than the `wait` of {wait}"))
                .help(format!("write at least `{wait}`")))
        }
        _ => Ok(max),
    }
}

/// The hooks that this one runs after, as written, and where. Whether there are such hooks is seen
/// when all files are read.
pub(super) fn after(draft: &HookDraft, report: &mut Report) -> Option<Vec<(String, Place)>> {
    let Some(field) = &draft.after else { return Some(Vec::new()) };
    if draft.debounce.is_some() {
        let message =
            "`after` means nothing with `debounce`: the run comes when its events have come to rest";
        report.push(field.key_span.clone(), Wrong::new("no-effect", message).help("remove it"));
    }
    let items = report.elements(field.key, &field.value)?;
    let names: Vec<Option<(String, Place)>> = items
        .iter()
        .map(|item| {
            let name = report.parse_node(field.key, item, scalar::nonempty)?;
            Some((name.to_owned(), report.place(item.span.clone())))
        })
        .collect();
    names.into_iter().collect()
}
