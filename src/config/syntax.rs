//! What is wrong with text that is not YAML, in the words of the one who wrote it.

use granit_parser::{ErrorKind, ScanError};

use super::node::{Span, floor};
use super::report::Wrong;

/// The place and the words for `error`; `bracket` is the last one that was opened and not closed.
pub(super) fn explain(error: &ScanError, text: &str, bracket: Option<usize>) -> (Span, Wrong) {
    let at = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    let at = floor(text, at);
    // At the end of the file the place to look at is the last thing that was written.
    let at = if text[at..].trim().is_empty() { text.trim_end().len() } else { at };
    if let Some(tab) = tab_in_indentation(text, at) {
        return (tab..tab + 1, wrong("a tab in the indentation", "indent with spaces"));
    }
    if let Some(colon) = glued_key(text, at).filter(|_| *error.kind() == ErrorKind::MappingValueNotAllowed) {
        return (colon..colon + 1, wrong("no space after the `:` of a key", "write `key: value`"));
    }
    match bracket {
        // A bracket closes in its line, or the lines below it are all commas: look where it opened.
        Some(bracket)
            if bracket < at && text[bracket..at].contains('\n') && may_be_unclosed(error.kind()) =>
        {
            (bracket..bracket + 1, unclosed(text[bracket..].starts_with('[')))
        }
        _ => (at..at, wrong_of(error.kind())),
    }
}

/// Whether `kind` is what the parser says of a bracket that was never closed.
fn may_be_unclosed(kind: &ErrorKind) -> bool {
    use ErrorKind as K;
    matches!(
        kind,
        K::UnclosedFlowCollection { .. }
            | K::UnexpectedEofFlowSequence
            | K::UnexpectedEofFlowMapping
            | K::UnexpectedEofImplicitFlowMapping
            | K::ExpectedFlowSequenceSeparator
            | K::ExpectedFlowMappingSeparator
            | K::MappingValueNotAllowed
            | K::InvalidColonPlacement
            | K::BlockEntryInFlowCollection
            | K::InvalidFlowScalarIndent
            | K::InvalidIndentation
            | K::SimpleKeyExpected
            | K::InvalidSimpleKey
    )
}

fn wrong(message: impl AsRef<str>, help: &str) -> Wrong {
    Wrong::new("yaml", format!("this is not YAML: {}", message.as_ref())).help(help)
}

fn wrong_of(kind: &ErrorKind) -> Wrong {
    use ErrorKind as K;
    match kind {
        K::TabNotAllowed | K::TabInBlockIndentation | K::TabInIndentation | K::TabInPlainScalar => {
            wrong("a tab where only spaces may stand", "indent with spaces")
        }
        K::MappingValueNotAllowed | K::InvalidColonPlacement => wrong(
            "a `: ` in the middle of a text, or a key that is indented unlike its neighbours",
            "put quotes around a text with `: ` in it; give the keys of one table the same indentation",
        ),
        K::InvalidIndentation | K::ExpectedBlockMappingKey | K::ExpectedBlockSequenceEntry => wrong(
            "the indentation fits neither the lines above nor a new table",
            "give the keys of one table, and the `-` of one list, the same indentation",
        ),
        K::SimpleKeyExpected | K::InvalidSimpleKey => {
            wrong("a key without a `:` and a space after it", "write `key: value`")
        }
        K::UnclosedFlowCollection { open } => unclosed(*open == '['),
        K::UnexpectedEofFlowSequence | K::ExpectedFlowSequenceSeparator => unclosed(true),
        K::UnexpectedEofFlowMapping
        | K::UnexpectedEofImplicitFlowMapping
        | K::ExpectedFlowMappingSeparator => unclosed(false),
        K::MisplacedFlowCollectionEnd => {
            wrong("a closing bracket without an opening one", "remove it, or put the text in quotes")
        }
        K::UnclosedQuotedScalar => wrong("a quote that is never closed", "close it"),
        K::MissingAnchorOrAliasName => {
            wrong("a text that begins with `*` or `&` without quotes", "put it in quotes: `\"*\"`")
        }
        K::UnexpectedCharacter { character } => wrong(
            format!("a text cannot begin with `{}`", character.escape_default()),
            "put the text in quotes",
        ),
        K::UnknownQuotedScalarEscape => wrong(
            "an unknown escape after `\\` in double quotes",
            "write `\\\\` for a backslash, or use single quotes",
        ),
        K::RecursionLimitExceeded => wrong("it is nested too deeply", "no key needs more than a few levels"),
        other => wrong(other.to_string(), "look at this place and the line above"),
    }
}

fn unclosed(is_list: bool) -> Wrong {
    let (open, close, what) = if is_list { ('[', ']', "list") } else { ('{', '}', "table") };
    wrong(
        format!("a {what} that `{open}` opens is not closed, or a `,` is missing in it"),
        &format!("close it with `{close}`, or put a text that holds brackets in quotes"),
    )
}

/// The colon of a `key:value` in the line above `at`, which YAML reads as the beginning of a text.
fn glued_key(text: &str, at: usize) -> Option<usize> {
    let line_start = text[..at].rfind('\n')?;
    let above = text[..line_start].trim_end();
    let start = above.rfind('\n').map_or(0, |newline| newline + 1);
    let word = above[start..].find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | ' ' | '-'))?;
    let rest = above[start + word..].strip_prefix(':')?;
    (!rest.is_empty() && !rest.starts_with(' ')).then_some(start + word)
}

/// The first tab in the indentation of the line that holds `at`, or of the line after it.
fn tab_in_indentation(text: &str, at: usize) -> Option<usize> {
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[start..].lines().next()?;
    let indentation = &line[..line.len() - line.trim_start().len()];
    indentation.find('\t').map(|tab| start + tab)
}
