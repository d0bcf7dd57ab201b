//! A YAML document as a tree in which every key and value still knows its place.

use std::ops::Range;

/// A place in the text: a range of bytes.
pub(super) type Span = Range<usize>;

/// One value of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// Where it is written. Of a table or list in block style, where its first entry begins.
    pub(super) span: Span,
    pub(super) value: Value,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Text, a number, a boolean or nothing at all: what it is, its reader decides.
    Scalar { text: String, quoted: bool },
    /// A list.
    List(Vec<Node>),
    /// A table, in the order of the file; no key stands twice.
    Map(Vec<Entry>),
    /// Something whose mistake is already reported; nobody says more about it.
    Broken,
}

/// One key of a table, and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) value: Node,
}

impl Node {
    /// Whether nothing is written here: an empty place, `~` or `null`.
    pub(super) fn is_null(&self) -> bool {
        match &self.value {
            Value::Scalar { text, quoted: false } => {
                matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            _ if self.is_null() => "nothing",
            Value::Scalar { text, quoted: false } if text.parse::<f64>().is_ok() => "a number",
            Value::Scalar { text, quoted: false } if matches!(text.as_str(), "true" | "false") => {
                "true or false"
            }
            Value::Scalar { .. } => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a table",
            Value::Broken => "unreadable",
        }
    }

    /// How many values it holds, itself included.
    pub(super) fn size(&self) -> usize {
        1 + match &self.value {
            Value::Scalar { .. } | Value::Broken => 0,
            Value::List(items) => items.iter().map(Node::size).sum(),
            Value::Map(entries) => entries.iter().map(|it| 1 + it.value.size()).sum(),
        }
    }

    /// The value under `key`, if this is a table that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|it| it.key == key).map(|it| &it.value),
            _ => None,
        }
    }

    /// The text, if this is a scalar that holds any.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }
}

/// The beginning of the character that `byte` lies in, or the end of `text`.
pub(super) fn floor(text: &str, byte: usize) -> usize {
    (0..=byte.min(text.len())).rev().find(|it| text.is_char_boundary(*it)).unwrap_or(0)
}
