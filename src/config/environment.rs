//! The variables of a hook's own: `environment` and `env_file`.
//!
//! An `env_file` has one `NAME=value` a line. Empty lines, and lines that begin with `#`, are
//! skipped; blanks around name and value as well. A value in quotes, single or double, is what stands
//! between them, to the letter: nothing is escaped and nothing is replaced, `$HOME` is five
//! characters. What other readers of such files take in different ways is refused: a `#` within a value
//! without quotes, a quote that is not the first character of a value, a name twice.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::node::{Node, Value};
use super::report::{Report, Wrong, quoted};
use super::table::Field;
use super::{place, program, scalar, source};
use crate::trust;

/// Variables of the contract with scripts, which begin so or are called so.
const CONTRACT_PREFIXES: [&str; 2] = ["HOOK_", "CONTAINER_"];
const CONTRACT_NAMES: [&str; 2] = ["COMPOSE_PROJECT", "COMPOSE_SERVICE"];

type Variables = BTreeMap<String, String>;

/// The variables that both keys give: `environment` wins, and of two files the later one.
pub(super) fn resolve(
    environment: Option<&Field>,
    env_file: Option<&Field>,
    directory: &Path,
    report: &mut Report,
) -> Option<Variables> {
    let own = environment.map_or_else(|| Some(Variables::new()), |field| written(field, report));
    let files = env_file.map_or_else(|| Some(Variables::new()), |field| files(field, directory, report));
    let mut variables = files?;
    variables.extend(own?);
    Some(variables)
}

/// `environment`: a table, or a list of `NAME=value` as in Compose.
fn written(field: &Field, report: &mut Report) -> Option<Variables> {
    let pairs: Vec<Option<(String, String)>> = match &field.value.value {
        Value::Map(entries) => entries
            .iter()
            .map(|entry| {
                let name = variable_name(&entry.key);
                let name = name.map_err(|wrong| report.push(entry.key_span.clone(), wrong)).ok();
                let value = report.parse_node(&entry.key, &entry.value, variable_value);
                name.zip(value)
            })
            .collect(),
        Value::List(items) => {
            let mut names = BTreeSet::new();
            let mut read = |it| match pair(it)? {
                // In a table the reader of YAML sees that.
                (name, _) if !names.insert(name.clone()) => Err(twice(&name)),
                pair => Ok(pair),
            };
            items.iter().map(|it| report.parse_node(field.key, it, &mut read)).collect()
        }
        _ => {
            let wrong = scalar::wants("a table of `NAME: value`", &field.value);
            report.parse(field, |_| Err::<(), _>(wrong.help("write `environment: {NAME: value}`")));
            return None;
        }
    };
    pairs.into_iter().collect()
}

fn pair(node: &Node) -> Result<(String, String), Wrong> {
    let text = scalar::text(node)?;
    let Some((name, value)) = text.split_once('=') else {
        let message = format!("has {}, which gives it no value", quoted(text));
        return Err(Wrong::new("environment", message)
            .help(format!("write `{text}=value`: nothing is taken from boathook's own environment")));
    };
    Ok((variable_name(name)?, value.to_owned()))
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

/// `env_file`: one or a list.
fn files(field: &Field, directory: &Path, report: &mut Report) -> Option<Variables> {
    let nodes = report.elements(field.key, &field.value)?;
    let all: Vec<Option<Variables>> =
        nodes.iter().map(|node| file(field.key, node, directory, report)).collect();
    let mut variables = Variables::new();
    for it in all {
        variables.extend(it?);
    }
    Some(variables)
}

fn file(key: &str, node: &Node, directory: &Path, report: &mut Report) -> Option<Variables> {
    let path: PathBuf = report.parse_node(key, node, |it| {
        let path = directory.join(scalar::nonempty(it)?);
        place::file(&path)?;
        trust::vet(&path).map_err(|distrust| program::untrusted(&distrust))?;
        Ok(path)
    })?;
    match source::read(&path) {
        Ok(text) => {
            let (variables, mistakes) = parse(&text);
            let sound = mistakes.is_empty();
            for (span, wrong) in mistakes {
                report.push_elsewhere(&path, &text, span, wrong);
            }
            sound.then_some(variables)
        }
        Err(unreadable) => {
            report.push_elsewhere(&path, &unreadable.text, unreadable.span, unreadable.wrong);
            None
        }
    }
}

/// The variables of an `env_file`, and what is wrong with it.
fn parse(text: &str) -> (Variables, Vec<(Range<usize>, Wrong)>) {
    let (mut variables, mut mistakes) = (Variables::new(), Vec::new());
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim();
        let from = start + (line.len() - line.trim_start().len());
        start += line.len();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        match assignment(content) {
            Ok((name, value)) if variables.contains_key(&name) => {
                mistakes.push((from..from + name.len(), twice(&name)));
                drop(value);
            }
            Ok((name, value)) => drop(variables.insert(name, value)),
            Err((span, wrong)) => mistakes.push((from + span.start..from + span.end, wrong)),
        }
    }
    (variables, mistakes)
}

/// A line that is not empty; where in it the mistake is, if it is none.
fn assignment(line: &str) -> Result<(String, String), (Range<usize>, Wrong)> {
    let whole = || 0..line.len();
    let Some((name, value)) = line.split_once('=') else {
        let wrong = Wrong::new("env-file", format!("{} gives no variable a value", quoted(line)));
        return Err((whole(), wrong.help("write `NAME=value`, or `#` before a comment")));
    };
    if line.starts_with("export ") {
        let wrong = Wrong::new("env-file", "`export` is for shells, and no shell reads this file");
        return Err((0.."export".len(), wrong.help("remove it")));
    }
    let place = line.len() - value.trim_start().len()..line.len();
    let name = variable_name(name.trim_end()).map_err(|wrong| (0..name.trim_end().len().max(1), wrong))?;
    let value = bare(value.trim_start()).map_err(|wrong| (place, wrong))?;
    Ok((name, value.to_owned()))
}

/// A value without its quotes.
fn bare(value: &str) -> Result<&str, Wrong> {
    let wrong = |message: &str, help: &str| Err(Wrong::new("env-file", message).help(help));
    if value.contains('\0') {
        return wrong("the value holds a NUL character, which no program can be given", "remove it");
    }
    for quote in ['"', '\''] {
        let Some(rest) = value.strip_prefix(quote) else { continue };
        return match rest.split_once(quote) {
            Some((value, "")) => Ok(value),
            Some(_) => wrong(
                "something follows the closing quote",
                "end the line there, or use the other kind of quote around the value",
            ),
            None => wrong(
                "the quote is not closed in this line",
                "close it: a value does not go on in the next line",
            ),
        };
    }
    if value.contains('#') {
        return wrong(
            "a `#` without quotes may begin a comment or belong to the value",
            "put quotes around the value, or the comment on a line of its own",
        );
    }
    if value.contains(['"', '\'']) {
        return wrong(
            "a quote stands within the value",
            "put the other kind of quote around the whole value",
        );
    }
    Ok(value)
}

fn twice(name: &str) -> Wrong {
    Wrong::new("twice", format!("{} was given a value before", quoted(name))).help("remove one of the two")
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn values_are_taken_to_the_letter() {
        let text = "# comment\n\nA=1\r\n B = two words \nC=\"a # b\"\nD='$HOME \"x\"'\nE=\nF=a=b\nG=\\n";

        let (variables, mistakes) = parse(text);

        assert!(mistakes.is_empty(), "{mistakes:?}");
        let pairs: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(
            pairs,
            [
                ("A", "1"),
                ("B", "two words"),
                ("C", "a # b"),
                ("D", "$HOME \"x\""),
                ("E", ""),
                ("F", "a=b"),
                ("G", "\\n")
            ]
        );
    }

    #[test]
    fn every_mistake_of_a_file_has_its_place() {
        let text =
            "A=1\nnothing\nexport B=2\nA=3\n  1X=4\nC=a # b\nD=\"a\nE='a'b\nF=a\"b\n=x\nHOOK_NAME=y\nG=\0\n";

        let (_, mistakes) = parse(text);

        let places: Vec<&str> = mistakes.iter().map(|(span, _)| &text[span.clone()]).collect();
        assert_eq!(
            places,
            ["nothing", "export", "A", "1X", "a # b", "\"a", "'a'b", "a\"b", "=", "HOOK_NAME", "\0"]
        );
        assert!(mistakes.iter().all(|(_, wrong)| wrong.help.is_some()));
    }
}
