//! What a hook does: `exec`, `shell` or `deny`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use super::hook::{HookDraft, Setting, has_gate};
use super::node::{Node, Value};
use super::report::{Report, Wrong, quoted};
use super::scalar;
use super::table::Field;
use crate::hook::{Action, Command};
use crate::launch::Launch;
use crate::lifecycle::PointSet;

/// What runs the text of a `shell`.
const SHELL: &str = "/bin/sh";

/// The longest message of a `deny`, in characters: docker shows it in one line.
const MESSAGE_CHARS_MAX: usize = 500;

/// Keys that say what a hook does, those of later versions included.
const KEYS: [&str; 4] = ["exec", "shell", "deny", "http"];

/// Variables of the contract with scripts, which begin so or are called so.
const CONTRACT_PREFIXES: [&str; 2] = ["HOOK_", "CONTAINER_"];
const CONTRACT_NAMES: [&str; 2] = ["COMPOSE_PROJECT", "COMPOSE_SERVICE"];

/// The action of a hook, or `None` once everything wrong with it is in `report`.
pub(super) fn resolve(
    draft: &HookDraft,
    at: Option<PointSet>,
    setting: &Setting<'_>,
    report: &mut Report,
) -> Option<Action> {
    let environment = environment(draft.environment.as_ref(), report);
    let written: Vec<&Field> = [&draft.exec, &draft.shell, &draft.deny].into_iter().flatten().collect();
    for extra in written.iter().skip(1) {
        let message = format!("`{}` and `{}` in one hook: a hook does one thing", written[0].key, extra.key);
        report.push(extra.key_span.clone(), Wrong::new("actions", message).help("make two hooks of it"));
    }
    let commands: Vec<Option<(PathBuf, Vec<OsString>)>> = [
        draft.exec.as_ref().map(|it| exec(it, setting, report)),
        draft.shell.as_ref().map(|it| shell(it, setting, report)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let message = draft.deny.as_ref().map(|it| deny(it, draft, at, report));
    match (written.as_slice(), message) {
        ([_], Some(message)) => Some(Action::Deny { message: message? }),
        ([_], None) => {
            let (program, argv) = commands.into_iter().next()??;
            let working_dir = setting.directory.to_owned();
            let (environment, launch) = (environment?, Launch::default());
            Some(Action::Exec(Arc::new(Command { program, argv, working_dir, environment, launch })))
        }
        ([], _) => {
            let wrong = Wrong::new("missing", "this hook does nothing");
            report.missing(
                &draft.outline,
                &KEYS,
                wrong.help("write `exec: [program, argument]`, `shell:` or `deny:`"),
            );
            None
        }
        _ => None,
    }
}

/// The program and arguments of an `exec`.
fn exec(field: &Field, setting: &Setting<'_>, report: &mut Report) -> Option<(PathBuf, Vec<OsString>)> {
    if field.value.text().is_some() {
        report.parse(field, |node| Err::<(), _>(not_a_list(node.text().unwrap_or_default())));
        return None;
    }
    if matches!(field.value.value, Value::Map(_)) {
        report.parse(field, |_| {
            let wrong = Wrong::new("type", "wants a list of the program and its arguments, this is a table");
            Err::<(), _>(wrong.help("write `exec: [program, argument]`"))
        });
        return None;
    }
    let items = report.elements(field.key, &field.value)?;
    let program = report.parse_node(field.key, &items[0], |node| (setting.find)(scalar::nonempty(node)?));
    let arguments = items[1..].iter().map(|item| report.parse_node(field.key, item, scalar::text));
    let arguments: Vec<Option<&str>> = arguments.collect();
    let mut argv = vec![OsString::from(items[0].text()?)];
    for argument in arguments {
        argv.push(argument?.into());
    }
    Some((program?, argv))
}

fn not_a_list(written: &str) -> Wrong {
    let words: Vec<&str> = written.split_whitespace().collect();
    let wrong = Wrong::new("type", "wants a list of the program and its arguments, this is text");
    let plain = |word: &&str| word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+@".contains(c));
    if words.iter().all(plain) && !words.is_empty() {
        return wrong.help(format!("write `exec: [{}]`", words.join(", ")));
    }
    wrong.help("write `exec: [program, argument]`, or put a script under `shell: |`")
}

/// The command that runs the text of a `shell`.
fn shell(field: &Field, setting: &Setting<'_>, report: &mut Report) -> Option<(PathBuf, Vec<OsString>)> {
    let script = report.parse(field, scalar::nonempty);
    let program = report.parse(field, |_| (setting.find)(SHELL));
    let argv = ["sh", "-eu", "-c", script?].map(OsString::from);
    Some((program?, argv.into()))
}

/// The message of a `deny`. Only a gate can say no, and nothing runs that could take time or fail.
fn deny(field: &Field, draft: &HookDraft, at: Option<PointSet>, report: &mut Report) -> Option<String> {
    if at.is_some_and(|at| !has_gate(at)) {
        let message = "`deny` at a point that is no gate: what has happened cannot be denied";
        report.push(field.key_span.clone(), Wrong::new("no-gate", message).help("listen at a `pre_` point"));
    } else if let Some(point) = at.and_then(|at| at.iter().find(|it| !it.is_gate())) {
        let message = format!("`deny` at `{point}`: what has happened cannot be denied");
        report.push(
            field.key_span.clone(),
            Wrong::new("no-gate", message).help(format!("remove `{point}` from `at`")),
        );
    }
    if draft.exec.is_none() && draft.shell.is_none() {
        for idle in draft.of_a_program() {
            let message = format!("`{}` means nothing for a `deny`: no program runs", idle.key);
            report.push(idle.key_span.clone(), Wrong::new("no-effect", message).help("remove it"));
        }
    }
    report.parse(field, |node| match scalar::nonempty(node)? {
        text if text.chars().count() > MESSAGE_CHARS_MAX => {
            Err(Wrong::new("too-large", format!("is longer than {MESSAGE_CHARS_MAX} characters"))
                .help("say in one line what is not allowed, and what is"))
        }
        text => Ok(text.trim_end().to_owned()),
    })
}

/// The variables of an `environment`.
fn environment(field: Option<&Field>, report: &mut Report) -> Option<BTreeMap<String, String>> {
    let Some(field) = field else { return Some(BTreeMap::new()) };
    let Value::Map(entries) = &field.value.value else {
        report.parse(field, |node| {
            Err::<(), _>(
                scalar::wants("a table of `NAME: value`", node).help("write `environment: {NAME: value}`"),
            )
        });
        return None;
    };
    let mut variables = Some(BTreeMap::new());
    for entry in entries {
        let name = variable_name(&entry.key).map_err(|wrong| report.push(entry.key_span.clone(), wrong)).ok();
        let value = report.parse_node(&entry.key, &entry.value, variable_value);
        match (&mut variables, name, value) {
            (Some(variables), Some(name), Some(value)) => {
                variables.insert(name, value);
            }
            _ => variables = None,
        }
    }
    variables
}

fn variable_name(name: &str) -> Result<String, Wrong> {
    let taken = CONTRACT_PREFIXES.iter().any(|it| name.starts_with(it)) || CONTRACT_NAMES.contains(&name);
    let shape = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if taken {
        let message = format!("{} is a variable that boathook sets itself", quoted(name));
        return Err(Wrong::new("environment", message).help("give yours another name"));
    }
    if !shape {
        let message = format!("{} is no name of a variable", quoted(name));
        return Err(
            Wrong::new("environment", message).help("use letters, digits and `_`, the first no digit")
        );
    }
    Ok(name.to_owned())
}

fn variable_value(node: &Node) -> Result<String, Wrong> {
    if node.is_null() {
        return Err(Wrong::new("no-value", "has no value").help("write `\"\"` for an empty one"));
    }
    scalar::text(node).map(str::to_owned)
}
