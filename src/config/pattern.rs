//! Readers of patterns, and of what they are about.
//!
//! A pattern that can never match is a mistake: whoever wrote it believes to be protected by it.

use super::node::Node;
use super::report::{Wrong, quoted};
use super::scalar;
use super::shape::Shape;
use crate::hook::{LabelPattern, Pattern, PatternError};
use crate::near::listed;

/// What has a meaning in a glob; a text without any of it stands for itself.
const SPECIAL: [char; 5] = ['*', '?', '[', '{', '\\'];

/// What a pattern looks like that stands for several words.
pub(super) const SHAPE: Shape = Shape::Matching(r"^~|[*?\[{\\]");

/// A pattern for any text.
pub(super) fn pattern(node: &Node) -> Result<Pattern, Wrong> {
    parsed(scalar::nonempty(node)?)
}

/// A pattern for the name of a container.
pub(super) fn name(node: &Node) -> Result<Pattern, Wrong> {
    let text = scalar::nonempty(node)?;
    match text.strip_prefix('/') {
        Some(rest) => Err(never(text, "no name begins with `/`", rest)),
        None => parsed(text),
    }
}

/// A pattern for what is mounted, and where.
pub(super) fn mount(node: &Node) -> Result<Pattern, Wrong> {
    let text = scalar::nonempty(node)?;
    match text.strip_suffix('/').filter(|it| !it.is_empty() && !text.starts_with('~')) {
        Some(rest) => Err(never(text, "no mount ends with `/`", rest)),
        None => parsed(text),
    }
}

/// A pattern for the method of an API call.
pub(super) fn method(node: &Node) -> Result<Pattern, Wrong> {
    let text = scalar::nonempty(node)?;
    if !text.starts_with('~') && text.contains(|c: char| c.is_ascii_lowercase()) {
        return Err(never(text, "methods are in capitals", &text.to_ascii_uppercase()));
    }
    parsed(text)
}

/// A pattern for the path of an API call, which has neither a version nor a query.
pub(super) fn path(node: &Node) -> Result<Pattern, Wrong> {
    let text = scalar::nonempty(node)?;
    if text.starts_with(|c: char| c.is_alphanumeric()) {
        return Err(never(text, "every path begins with `/`", &format!("/{text}")));
    }
    if let Some((version, rest)) = text.strip_prefix("/v").and_then(|it| it.split_once('/'))
        && version.starts_with(|c: char| c.is_ascii_digit())
    {
        return Err(never(text, "the version is left out of the path", &format!("/{rest}")));
    }
    match text.split_once('?') {
        Some((path, query)) if query.contains('=') && !text.starts_with('~') => {
            Err(never(text, "the query is left out of the path", path))
        }
        _ => parsed(text),
    }
}

fn never(text: &str, why: &str, instead: &str) -> Wrong {
    Wrong::new("pattern", format!("never matches with {}: {why}", quoted(text)))
        .help(format!("write {}", quoted(instead)))
}

/// Words of a closed set: one, which `exact` reads, or all that a pattern matches.
pub(super) fn words<T: Copy>(
    node: &Node,
    all: &[(&'static str, T)],
    exact: impl FnOnce(&Node) -> Result<T, Wrong>,
) -> Result<Vec<T>, Wrong> {
    let text = scalar::text(node)?;
    if !text.starts_with('~') && !text.contains(SPECIAL) {
        return exact(node).map(|it| vec![it]);
    }
    let pattern = parsed(text)?;
    let matching: Vec<T> = all.iter().filter(|(word, _)| pattern.matches(word)).map(|it| it.1).collect();
    if matching.is_empty() {
        let wrong = Wrong::new("unknown-value", format!("cannot be anything that {} matches", quoted(text)));
        return Err(wrong.help(format!("write {}", listed(all.iter().map(|it| it.0), "or"))));
    }
    Ok(matching)
}

/// A label as text: `key`, or `key=pattern`.
pub(super) fn label(node: &Node) -> Result<LabelPattern, Wrong> {
    let text = scalar::nonempty(node)?;
    match text.split_once('=') {
        None => Ok(LabelPattern { key: label_key(text)?, value: None }),
        Some((key, value)) => Ok(LabelPattern { key: label_key(key)?, value: Some(parsed(value)?) }),
    }
}

/// The key of a label, which is taken to the letter.
pub(super) fn label_key(key: &str) -> Result<String, Wrong> {
    let wrong = |message: String, help: &str| Err(Wrong::new("pattern", message).help(help));
    if key.is_empty() {
        return wrong("has no key".to_owned(), "write `key` or `key=value`");
    }
    if key.starts_with('~') || key.contains(SPECIAL) {
        let message = format!("takes the key to the letter, and {} holds a pattern", quoted(key));
        return wrong(message, "write the whole key; a pattern can stand in the value");
    }
    Ok(key.to_owned())
}

/// A pattern for the value of a label.
pub(super) fn label_value(node: &Node) -> Result<Pattern, Wrong> {
    if node.is_null() {
        return Err(Wrong::new("no-value", "has no value").help("write `\"*\"` for any value"));
    }
    parsed(scalar::text(node)?)
}

fn parsed(text: &str) -> Result<Pattern, Wrong> {
    if text == "~" {
        let wrong = Wrong::new("pattern", "has no regular expression after its `~`");
        return Err(wrong.help("write one, or `\\~` for the character itself"));
    }
    Pattern::parse(text).map_err(|error| {
        Wrong::new("pattern", format!("is no pattern: {}: {error}", quoted(text))).help(fix(&error))
    })
}

fn fix(error: &PatternError) -> String {
    match error {
        PatternError::OpenClass | PatternError::OpenAlternatives | PatternError::StrayBrace => {
            "give each `[` and `{` its end, or put `\\` before it".to_owned()
        }
        PatternError::Backwards { from, to } => format!("write `{to}-{from}`"),
        PatternError::DanglingEscape => "write `\\\\` for a backslash".to_owned(),
        PatternError::Regex(_) => {
            "correct the regular expression after the `~`; a glob that begins with `~` is written `\\~`"
                .to_owned()
        }
        PatternError::TooLarge => "repeat less often, and write `[a-z]` rather than `\\w`".to_owned(),
    }
}
