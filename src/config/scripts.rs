//! `scripts`: what answers in a driver's place where a user of docker asks for it by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::hook::Setting;
use super::node::{Entry, Value};
use super::quantity::{self, Zero};
use super::report::{Report, Wrong, quoted};
use super::shape::{Preset, Shape};
use super::table::{Field, table};
use super::{action, environment, launch, scalar};
use crate::hook::{Command, Deadline, Script, ScriptName};
use crate::launch::Launch;

table! {
    /// A script, as written.
    ScriptDraft, "a script" {
        /// The program and its arguments. A path with a slash is relative to this file.
        exec: Shape::Many(&Shape::Text),
        /// How long one call may take before it is told to end.
        timeout: Shape::Duration(Zero::Refused) => Preset::Span(Deadline::DEFAULT.limit),
        /// How long after that it is killed; 0 at once.
        kill_after: Shape::Duration(Zero::Allowed) => Preset::Span(Deadline::DEFAULT.grace),
        /// Variables of its own.
        environment: Shape::Either(&[Shape::Mapping(&Shape::Text), Shape::List(&Shape::Matching("="))]),
        /// A file, or several, with `NAME=value` lines; relative to this file.
        env_file: Shape::OneOrMany(&Shape::Text),
        /// The directory in which it runs, relative to this file; without a word that of this file.
        working_dir: Shape::Text,
    }
    later {}
    synonyms { "run": "exec", "command": "exec", "shell": "exec", "deadline": "timeout", "env": "environment",
        "cwd": "working_dir" }
    required { "exec" }
}

/// Scripts by their names.
pub(super) type Declared = BTreeMap<ScriptName, Arc<Script>>;

/// The scripts that `field` declares, or `None` once everything wrong with them is in `report`.
pub(super) fn resolve(field: Option<&Field>, setting: &Setting<'_>, report: &mut Report) -> Option<Declared> {
    let Some(field) = field else { return Some(BTreeMap::new()) };
    let Value::Map(entries) = &field.value.value else {
        let wrong = scalar::wants("a table of `NAME: script`", &field.value);
        report.parse(field, |_| Err::<(), _>(wrong.help("write `scripts: {ovs: {exec: [hooks/ovs.sh]}}`")));
        return None;
    };
    let scripts: Vec<Option<Script>> = entries.iter().map(|it| script(it, setting, report)).collect();
    scripts.into_iter().map(|it| it.map(|it| (it.name.clone(), Arc::new(it)))).collect()
}

fn script(entry: &Entry, setting: &Setting<'_>, report: &mut Report) -> Option<Script> {
    let name = ScriptName::parse(&entry.key);
    if name.is_none() {
        let wrong = Wrong::new("name", format!("a script cannot be called {}", quoted(&entry.key)));
        report.push(
            entry.key_span.clone(),
            wrong.help("use 1 to 64 letters, digits, `.`, `_`, `-`, the first a letter or digit"),
        );
    }
    let draft = ScriptDraft::read(&entry.value, report)?;
    let program = match &draft.exec {
        Some(field) => action::exec(field, setting.find, report),
        None => {
            let wrong = Wrong::new("missing", "this script does not say what is run");
            report.missing(&draft.outline, &["exec"], wrong.help("write `exec: [program, argument]`"));
            None
        }
    };
    let inherited = setting.inherited.unwrap_or(Deadline::DEFAULT);
    let limit =
        report.parse_or(draft.timeout.as_ref(), inherited.limit, |it| quantity::duration(it, Zero::Refused));
    let grace = report
        .parse_or(draft.kill_after.as_ref(), inherited.grace, |it| quantity::duration(it, Zero::Allowed));
    let environment =
        environment::resolve(draft.environment.as_ref(), draft.env_file.as_ref(), setting.directory, report);
    let working_dir = launch::working_dir(draft.working_dir.as_ref(), setting.directory, report);
    draft.outline.sound()?;
    let (program, argv) = program?;
    let (working_dir, environment, launch) = (working_dir?, environment?, Launch::default());
    let command = Arc::new(Command { program, argv, working_dir, environment, launch });
    Some(Script { name: name?, command, deadline: Deadline { limit: limit?, grace: grace? } })
}
