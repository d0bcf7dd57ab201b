//! The `when` of a hook.
//!
//! All keys must hold, and of a list one element. A `label` table asks for each of its keys:
//! `{a: x, b: [y, z]}` holds for `a=x` together with `b=y` or `b=z`.

use super::near::listed;
use super::node::{Entry, Node, Value};
use super::report::{Report, Wrong, quoted};
use super::scalar;
use super::shape::Shape;
use super::table::{Field, later, table};
use crate::hook::{Condition, ExitTest, LabelPattern, Pattern, Test};
use crate::lifecycle::{Point, PointSet, Reason};

table! {
    /// A `when`, as written.
    ConditionDraft, "`when`" {
        /// The container's name: a glob, or several.
        name: Shape::OneOrMany(&Shape::Text),
        /// The image as given at create: a glob, or several.
        image: Shape::OneOrMany(&Shape::Text),
        /// A label: `key` or `key=glob`, or several; or a table of keys that must all be there.
        label: Shape::Either(&[Shape::OneOrMany(&Shape::Text), Shape::Mapping(&Shape::OneOrMany(&Shape::Text))]),
        /// The name of a network that the container is attached to, or asks to be: a glob, or several.
        network: Shape::OneOrMany(&Shape::Text),
        /// Whether the container is privileged.
        privileged: Shape::Boolean,
        /// The exit status: a number from 0 to 255, or `"!=0"`.
        exit_code: Shape::OneOrMany(&Shape::Either(&[Shape::Number(0..=255), Shape::Matching("^(!= *)?[0-9]{1,3}$")])),
        /// Why the container ended.
        reason: Shape::OneOrMany(&Shape::Words(|| Reason::ALL.map(Reason::name).into())),
    }
    later {
        "mount", "project", "service", "user", "cause", "event", "host", "method", "path", "any", "all", "not",
    }
    synonyms {
        "container": "name", "labels": "label", "networks": "network", "exit": "exit_code", "code": "exit_code",
        "status": "exit_code",
    }
}

/// Reasons that boathook knows and this version does not tell.
const REASONS_LATER: [&str; 1] = ["daemon"];

/// The condition in `field`, or `None` once everything wrong with it is in `report`.
pub(super) fn resolve(field: Option<&Field>, at: Option<PointSet>, report: &mut Report) -> Option<Condition> {
    let Some(field) = field else { return Some(Condition::default()) };
    let draft = ConditionDraft::read(&field.value, report)?;
    let parts = [
        draft.name.as_ref().map(|it| one(it, report.parse_each(it, name).map(Test::Name))),
        draft.image.as_ref().map(|it| one(it, report.parse_each(it, pattern).map(Test::Image))),
        draft.label.as_ref().map(|it| (it, labels(it, report))),
        draft.network.as_ref().map(|it| one(it, report.parse_each(it, pattern).map(Test::Network))),
        draft.privileged.as_ref().map(|it| one(it, report.parse(it, scalar::boolean).map(Test::Privileged))),
        draft.exit_code.as_ref().map(|it| one(it, exit_code(it, report))),
        draft.reason.as_ref().map(|it| one(it, report.parse_each(it, reason).map(Test::Reason))),
    ];
    let mut condition = draft.outline.sound().map(|()| Condition::default());
    for (field, tests) in parts.into_iter().flatten() {
        for test in tests.iter().flatten() {
            report_unknowable(field, test, at, report);
        }
        match (&mut condition, tests) {
            (Some(condition), Some(tests)) => condition.tests.extend(tests),
            _ => condition = None,
        }
    }
    condition
}

fn one(field: &Field, test: Option<Test>) -> (&Field, Option<Vec<Test>>) {
    (field, test.map(|it| vec![it]))
}

/// Notes a test that asks for what nobody can know at one of the points.
fn report_unknowable(field: &Field, test: &Test, at: Option<PointSet>, report: &mut Report) {
    let at = at.unwrap_or_default();
    let points: Vec<_> = at.iter().filter(|it| !test.can_be_known_at(*it)).map(Point::name).collect();
    if points.is_empty() {
        return;
    }
    let wrong =
        Wrong::new("unknowable", format!("`{}` is never known at {}", test.key(), listed(points, "or")));
    report.push(field.key_span.clone(), wrong.help("ask for it at `post_stop` or `post_remove`"));
}

fn pattern(node: &Node) -> Result<Pattern, Wrong> {
    glob(scalar::nonempty(node)?)
}

fn regex() -> Wrong {
    Wrong::new("later", "patterns that begin with `~` are not in this version of boathook yet")
        .help("write a glob: `*` stands for any text, `?` for one character")
}

fn glob(text: &str) -> Result<Pattern, Wrong> {
    if text.starts_with('~') {
        return Err(regex());
    }
    Pattern::parse(text).map_err(|error| {
        let message = format!("is no pattern: {}: {}", quoted(text), error.kind());
        Wrong::new("pattern", message).help("close each `[` and `{`, or put `\\` before it")
    })
}

fn name(node: &Node) -> Result<Pattern, Wrong> {
    let text = scalar::nonempty(node)?;
    match text.strip_prefix('/') {
        Some(rest) => Err(Wrong::new(
            "pattern",
            format!("never matches: no name begins with `/` as {} does", quoted(text)),
        )
        .help(format!("write {}", quoted(rest)))),
        None => glob(text),
    }
}

/// The tests of a `label`: one for a list, one for each key of a table.
fn labels(field: &Field, report: &mut Report) -> Option<Vec<Test>> {
    let Value::Map(entries) = &field.value.value else {
        return report.parse_each(field, label).map(|patterns| vec![Test::Label(patterns)]);
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
    let key = label_key(&entry.key).map_err(|wrong| {
        let message = format!("`label` {}", wrong.message);
        report.push(entry.key_span.clone(), Wrong { message, ..wrong });
    });
    let values = report.elements(&entry.key, &entry.value)?;
    let values: Vec<Option<Pattern>> =
        values.iter().map(|it| report.parse_node(&entry.key, it, label_value)).collect();
    let key = key.ok()?;
    let patterns =
        values.into_iter().map(|value| Some(LabelPattern { key: key.clone(), value: Some(value?) }));
    Some(Test::Label(patterns.collect::<Option<_>>()?))
}

fn label_value(node: &Node) -> Result<Pattern, Wrong> {
    if node.is_null() {
        return Err(Wrong::new("no-value", "has no value").help("write `\"*\"` for any value"));
    }
    glob(scalar::text(node)?)
}

/// A label as text: `key`, or `key=glob`.
fn label(node: &Node) -> Result<LabelPattern, Wrong> {
    let text = scalar::nonempty(node)?;
    match text.split_once('=') {
        None => Ok(LabelPattern { key: label_key(text)?, value: None }),
        Some((key, value)) => Ok(LabelPattern { key: label_key(key)?, value: Some(glob(value)?) }),
    }
}

fn label_key(key: &str) -> Result<String, Wrong> {
    let wrong = |message: String, help: &str| Err(Wrong::new("pattern", message).help(help));
    if key.is_empty() {
        return wrong("has no key".to_owned(), "write `key` or `key=value`");
    }
    if key.starts_with('~') {
        return Err(regex());
    }
    if key.contains(['*', '?', '[', '{']) {
        let message = format!("takes the key to the letter, and {} holds a pattern", quoted(key));
        return wrong(message, "write the whole key; a pattern can stand in the value");
    }
    Ok(key.to_owned())
}

/// Tests of the exit status. Two that exclude different ones always hold together.
fn exit_code(field: &Field, report: &mut Report) -> Option<Test> {
    let tests = report.parse_each(field, exit_test)?;
    let excluded: Vec<i64> = tests
        .iter()
        .filter_map(|test| match test {
            ExitTest::IsNot(code) => Some(*code),
            ExitTest::Is(_) => None,
        })
        .collect();
    if let [first, rest @ ..] = excluded.as_slice()
        && rest.iter().any(|it| it != first)
    {
        let wrong = Wrong::new("always", "`exit_code` always holds: of a list one element is enough");
        report.push(field.value.span.clone(), wrong.help("name the codes that are meant, without `!=`"));
        return None;
    }
    Some(Test::ExitCode(tests))
}

fn exit_test(node: &Node) -> Result<ExitTest, Wrong> {
    let help = "write a number from 0 to 255, or `\"!=0\"`";
    let text = node.text().ok_or_else(|| scalar::wants("a number", node).help(help))?;
    let (number, test): (&str, fn(i64) -> ExitTest) = match text.strip_prefix("!=") {
        Some(number) => (number.trim(), ExitTest::IsNot),
        None => (text, ExitTest::Is),
    };
    match number.parse::<i64>() {
        Ok(code) if (0..=255).contains(&code) => Ok(test(code)),
        Ok(code) => Err(Wrong::new("range", format!("is never {code}"))
            .help("exit codes are 0 to 255; 128 + n is signal n")),
        Err(_) => Err(Wrong::new("exit-code", format!("cannot be {}", quoted(text)))
            .help("write a number from 0 to 255, or `\"!=0\"`")),
    }
}

fn reason(node: &Node) -> Result<Reason, Wrong> {
    match scalar::text(node)? {
        text if REASONS_LATER.contains(&text) => Err(later(text)),
        _ => scalar::one_of(node, &Reason::ALL.map(|it| (it.name(), it))),
    }
}
