//! The `when` of a hook.
//!
//! All keys must hold, and of a list one element. A `label` table asks for each of its keys:
//! `{a: x, b: [y, z]}` holds for `a=x` together with `b=y` or `b=z`. `any`, `all` and `not` hold
//! tables of the same keys.
//!
//! A key that can never be known where the hook listens is a mistake, wherever it stands. Beside an
//! `event`, and within what stands beside it, only the points of that `event` count: at all others it
//! settles the matter, whatever is unknown.

use super::exit::exit_code;
use super::node::{Entry, Node, Value};
use super::pattern::{self, words};
use super::point;
use super::report::{Report, Wrong};
use super::scalar;
use super::shape::Shape;
use super::table::{Field, later, table};
use crate::hook::{Condition, LabelPattern, Pattern, Test};
use crate::lifecycle::{Cause, Point, PointSet, Reason};
use crate::near::listed;

table! {
    /// A `when`, or a table within one, as written.
    ConditionDraft, "`when`" {
        /// The name of the container, or of what else the event happened to: a pattern, or several.
        name: Shape::OneOrMany(&Shape::Text),
        /// The image as given at create: a pattern, or several.
        image: Shape::OneOrMany(&Shape::Text),
        /// A label: `key` or `key=pattern`, or several; or a table of keys that must all be there.
        label: Shape::Either(&[Shape::OneOrMany(&Shape::Text), Shape::Mapping(&Shape::OneOrMany(&Shape::Text))]),
        /// The name of a network that the container is attached to, or asks to be: a pattern, or several.
        network: Shape::OneOrMany(&Shape::Text),
        /// The name, source or destination of a mount: a pattern, or several.
        mount: Shape::OneOrMany(&Shape::Text),
        /// The Compose project: a pattern, or several.
        project: Shape::OneOrMany(&Shape::Text),
        /// The Compose service: a pattern, or several.
        service: Shape::OneOrMany(&Shape::Text),
        /// The name of the API client, at gates: a pattern, or several.
        user: Shape::OneOrMany(&Shape::Text),
        /// Whether the container is privileged.
        privileged: Shape::Boolean,
        /// The exit status: a number from 0 to 255, or `"!=0"`.
        exit_code: Shape::OneOrMany(&Shape::Either(&[Shape::Number(0..=255), Shape::Matching("^(!= *)?[0-9]{1,3}$")])),
        /// Why the container ended.
        reason: Shape::OneOrMany(&Shape::Either(&[
            Shape::Words(|| Reason::ALL.map(Reason::name).into()),
            pattern::SHAPE,
        ])),
        /// Who brought the event about.
        cause: Shape::OneOrMany(&Shape::Either(&[
            Shape::Words(|| CAUSES.map(Cause::name).into()),
            pattern::SHAPE,
        ])),
        /// The point, for hooks that listen at several.
        event: Shape::OneOrMany(&Shape::Either(&[
            Shape::Words(|| Point::ALL.iter().map(|it| it.name()).collect()),
            pattern::SHAPE,
        ])),
        /// The name of this host: a pattern, or several.
        host: Shape::OneOrMany(&Shape::Text),
        /// The method of the API call, at gates: a pattern, or several.
        method: Shape::OneOrMany(&Shape::Text),
        /// The path of the API call without its version, at gates: a pattern, or several.
        path: Shape::OneOrMany(&Shape::Text),
        /// Tables of which one must hold.
        any: Shape::Many(&Shape::Table(ConditionDraft::keys)),
        /// Tables that must all hold.
        all: Shape::Many(&Shape::Table(ConditionDraft::keys)),
        /// A table that must not hold.
        not: Shape::Table(ConditionDraft::keys),
    }
    later {}
    synonyms {
        "container": "name", "labels": "label", "networks": "network", "exit": "exit_code", "code": "exit_code",
        "status": "exit_code", "volume": "mount", "mounts": "mount", "volumes": "mount", "client": "user",
        "compose_project": "project", "compose_service": "service", "point": "event", "at": "event",
        "hostname": "host", "url": "path", "uri": "path", "or": "any", "and": "all", "none": "not",
        "unless": "not", "except": "not",
    }
}

/// The causes that an event can have. `aborted` is told to clean-ups alone, which have no `when`.
const CAUSES: [Cause; 3] = [Cause::Api, Cause::Engine, Cause::Reconcile];

/// Causes that boathook knows and this version does not tell.
const CAUSES_LATER: [&str; 1] = ["replay"];

/// How deep tables may stand in tables: more than anybody can read, and a small part of what a stack
/// holds when they are asked one within the other.
const NESTING_MAX: usize = 6;

/// How many points a fix names. They are told in the order of a container's life, so that the first
/// are mostly what was meant.
const POINTS_NAMED_MAX: usize = 6;

/// What a table of tests is read with: things that are not its own.
#[derive(Clone, Copy)]
struct Scope<'a> {
    /// The points at which it can hold; `None` if those could not be read.
    at: Option<PointSet>,
    host: &'a str,
    /// How many tables it stands in.
    depth: usize,
}

/// A key that was written, and what it asks for, or `None` once its mistakes are reported.
type Part<'d> = Option<(&'d Field, Option<Vec<Test>>)>;

/// The condition in `field`, or `None` once everything wrong with it is in `report`.
pub(super) fn resolve(
    field: Option<&Field>,
    at: Option<PointSet>,
    host: &str,
    report: &mut Report,
) -> Option<Condition> {
    let Some(field) = field else { return Some(Condition::default()) };
    read(&field.value, Scope { at, host, depth: 0 }, report)
}

fn read(node: &Node, scope: Scope<'_>, report: &mut Report) -> Option<Condition> {
    let draft = ConditionDraft::read(node, report)?;
    let event = draft.event.as_ref().map(|it| (it, event(it, scope.at, report)));
    let scope = Scope { at: event.as_ref().map_or(scope.at, |(_, points)| *points), ..scope };
    let event = event.map(|(field, points)| (field, points.map(|it| vec![Test::Event(it)])));
    let parts = [event].into_iter().chain(draft.of_the_container(report));
    let parts: Vec<Part<'_>> =
        parts.chain(draft.of_what_happens(scope, report)).chain(draft.of_tables(scope, report)).collect();
    let mut condition = draft.outline.sound().map(|()| Condition::default());
    for (field, tests) in parts.into_iter().flatten() {
        for test in tests.iter().flatten() {
            report_unknowable(field, test, scope.at, report);
        }
        match (&mut condition, tests) {
            (Some(condition), Some(tests)) => condition.tests.extend(tests),
            _ => condition = None,
        }
    }
    condition
}

impl ConditionDraft {
    fn of_the_container(&self, report: &mut Report) -> [Part<'_>; 8] {
        [
            patterns(&self.name, pattern::name, Test::Name, report),
            patterns(&self.image, pattern::pattern, Test::Image, report),
            self.label.as_ref().map(|it| (it, labels(it, report))),
            patterns(&self.network, pattern::pattern, Test::Network, report),
            patterns(&self.mount, pattern::mount, Test::Mount, report),
            patterns(&self.project, pattern::pattern, Test::Project, report),
            patterns(&self.service, pattern::pattern, Test::Service, report),
            part(&self.privileged, |it| report.parse(it, scalar::boolean).map(Test::Privileged)),
        ]
    }

    fn of_what_happens(&self, scope: Scope<'_>, report: &mut Report) -> [Part<'_>; 7] {
        let host = |patterns| Test::host(patterns, scope.host);
        [
            patterns(&self.user, pattern::pattern, Test::User, report),
            part(&self.exit_code, |it| exit_code(it, report)),
            part(&self.reason, |it| reason(it, report)),
            part(&self.cause, |it| cause(it, report)),
            patterns(&self.host, pattern::pattern, host, report),
            patterns(&self.method, pattern::method, Test::Method, report),
            patterns(&self.path, pattern::path, Test::Path, report),
        ]
    }

    fn of_tables(&self, scope: Scope<'_>, report: &mut Report) -> [Part<'_>; 3] {
        [
            part(&self.any, |it| several(it, scope, report).map(Test::Any)),
            part(&self.all, |it| several(it, scope, report).map(Test::All)),
            part(&self.not, |it| negated(it, scope, report)),
        ]
    }
}

fn part(field: &Option<Field>, read: impl FnOnce(&Field) -> Option<Test>) -> Part<'_> {
    field.as_ref().map(|it| (it, read(it).map(|test| vec![test])))
}

fn patterns<'d>(
    field: &'d Option<Field>,
    read: fn(&Node) -> Result<Pattern, Wrong>,
    test: impl FnOnce(Vec<Pattern>) -> Test,
    report: &mut Report,
) -> Part<'d> {
    part(field, |it| report.parse_each(it, read).map(test))
}

/// Notes a test that asks for what nobody can know at one of the points.
fn report_unknowable(field: &Field, test: &Test, at: Option<PointSet>, report: &mut Report) {
    let at = at.unwrap_or_default();
    let (known, unknown): (Vec<Point>, Vec<Point>) = at.iter().partition(|it| test.can_be_known_at(*it));
    if unknown.is_empty() {
        return;
    }
    let unknown = listed(unknown.into_iter().map(Point::name), "or");
    let message = format!("`{}` is never known at {unknown}", test.key());
    let help = match known.as_slice() {
        [] => {
            let known = Point::ALL.iter().filter(|it| test.can_be_known_at(**it)).map(|it| it.name());
            format!("ask for it at {}", listed(known.take(POINTS_NAMED_MAX), "or"))
        }
        [known] => format!("put it into a table with `event: {known}`"),
        known => {
            let known: Vec<&str> = known.iter().map(|it| it.name()).collect();
            format!("put it into a table with `event: [{}]`", known.join(", "))
        }
    };
    report.push(field.key_span.clone(), Wrong::new("unknowable", message).help(help));
}

/// The points of an `event`: those of `at` that it names.
fn event(field: &Field, at: Option<PointSet>, report: &mut Report) -> Option<PointSet> {
    let all: Vec<(&str, Point)> = Point::ALL.iter().map(|it| (it.name(), *it)).collect();
    let listens = |point: &Point| at.is_none_or(|at| at.contains(*point));
    let named = report.parse_each(field, |node| {
        let named = words(node, &all, point::point)?;
        let reached: Vec<Point> = named.iter().copied().filter(listens).collect();
        if reached.is_empty() {
            let named = listed(named.into_iter().map(Point::name), "or");
            let here = listed(at.unwrap_or_default().iter().map(Point::name), "or");
            let wrong = Wrong::new("never", format!("is never {named} here, only {here}"));
            return Err(wrong.help("remove it, or let the hook listen there with `at`"));
        }
        Ok(reached)
    })?;
    Some(named.into_iter().flatten().collect())
}

fn reason(field: &Field, report: &mut Report) -> Option<Test> {
    let all = Reason::ALL.map(|it| (it.name(), it));
    let reasons = report.parse_each(field, |node| words(node, &all, |it| scalar::one_of(it, &all)))?;
    Some(Test::Reason(reasons.concat()))
}

fn cause(field: &Field, report: &mut Report) -> Option<Test> {
    let all = CAUSES.map(|it| (it.name(), it));
    let causes = report.parse_each(field, |node| words(node, &all, |it| a_cause(it, &all)))?;
    Some(Test::Cause(causes.concat()))
}

fn a_cause(node: &Node, all: &[(&'static str, Cause)]) -> Result<Cause, Wrong> {
    match scalar::text(node)? {
        text if CAUSES_LATER.contains(&text) => Err(later(text)),
        text if text == Cause::Aborted.name() => {
            let message = "is never `aborted` where a hook sets something up: only clean-ups are told so";
            Err(Wrong::new("never", message).help("remove it: a `cleanup` runs for whatever was set up"))
        }
        _ => scalar::one_of(node, all),
    }
}

/// The tables of an `any` or `all`.
fn several(field: &Field, scope: Scope<'_>, report: &mut Report) -> Option<Vec<Condition>> {
    let key = field.key;
    if let Value::Map(_) = &field.value.value {
        let message = format!("`{key}` wants a list of tables, of this one all keys would have to hold");
        let help = format!("write `{key}: [{{…}}, {{…}}]`");
        report.push(field.value.span.clone(), Wrong::new("type", message).help(help));
        return None;
    }
    let items = report.elements(key, &field.value)?;
    let conditions: Vec<Option<Condition>> =
        items.iter().map(|it| nested(field, it, scope, report)).collect();
    conditions.into_iter().collect()
}

fn negated(field: &Field, scope: Scope<'_>, report: &mut Report) -> Option<Test> {
    if let Value::List(_) = &field.value.value {
        let wrong = Wrong::new("type", "`not` wants one table, this is a list");
        report.push(field.value.span.clone(), wrong.help("write `not: {any: [{…}, {…}]}`"));
        return None;
    }
    nested(field, &field.value, scope, report).map(Test::Not)
}

/// A table within the table that `field` is of.
fn nested(field: &Field, node: &Node, scope: Scope<'_>, report: &mut Report) -> Option<Condition> {
    let key = field.key;
    let wrong = match &node.value {
        Value::Map(entries) if entries.is_empty() => {
            Wrong::new("empty", format!("`{key}` holds an empty table, which asks for nothing"))
                .help("write a key into it, or remove it")
        }
        Value::Map(_) if scope.depth == NESTING_MAX => {
            Wrong::new("too-deep", format!("`{key}` stands in {NESTING_MAX} other tables of this `when`"))
                .help("say it with fewer, or make two hooks of it")
        }
        Value::Map(_) => return read(node, Scope { depth: scope.depth + 1, ..scope }, report),
        Value::Broken => return None,
        _ => Wrong::new("type", format!("`{key}` wants a table of `key: value`, this is {}", node.kind()))
            .help("write `{name: …}`, or another key"),
    };
    report.push(node.span.clone(), wrong);
    None
}

/// The tests of a `label`: one for a list, one for each key of a table.
fn labels(field: &Field, report: &mut Report) -> Option<Vec<Test>> {
    let Value::Map(entries) = &field.value.value else {
        return report.parse_each(field, pattern::label).map(|patterns| vec![Test::Label(patterns)]);
    };
    if entries.is_empty() {
        let wrong =
            Wrong::new("empty", "`label` is an empty table").help("name at least one, or remove `label`");
        report.push(field.value.span.clone(), wrong);
        return None;
    }
    let tests: Vec<Option<Test>> = entries.iter().map(|entry| label_entry(entry, report)).collect();
    tests.into_iter().collect()
}

/// One key of a `label` table, with the values that it may have.
fn label_entry(entry: &Entry, report: &mut Report) -> Option<Test> {
    let key = pattern::label_key(&entry.key).map_err(|wrong| {
        let message = format!("`label` {}", wrong.message);
        report.push(entry.key_span.clone(), Wrong { message, ..wrong });
    });
    let values = report.elements(&entry.key, &entry.value)?;
    let values: Vec<Option<Pattern>> =
        values.iter().map(|it| report.parse_node(&entry.key, it, pattern::label_value)).collect();
    let key = key.ok()?;
    let patterns =
        values.into_iter().map(|value| Some(LabelPattern { key: key.clone(), value: Some(value?) }));
    Some(Test::Label(patterns.collect::<Option<_>>()?))
}
#[cfg(test)]
mod tests;
