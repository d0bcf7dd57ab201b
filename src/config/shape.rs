//! What the value of a key looks like, as far as that can be said without reading it.
//!
//! A shape is declared with its key and becomes a piece of the JSON Schema. It holds the bounds and
//! words that the key's reader goes by; what only a reader can tell (that a program exists, that a
//! gate's deadline is long enough) is left to it.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::quantity::{self, Zero};
use super::table::Keys;

/// What a name of a hook, or of the plugin, looks like.
pub(super) const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$";

/// What the value of a key looks like.
pub(super) enum Shape {
    /// Text; numbers and booleans are texts as well.
    Text,
    /// Text of so many characters at most.
    Line(usize),
    /// Text in which this regular expression finds something.
    Matching(&'static str),
    Boolean,
    Number(RangeInclusive<i64>),
    Duration(Zero),
    Size,
    /// One of these words.
    Words(fn() -> Vec<&'static str>),
    /// One value, or a list of them.
    OneOrMany(&'static Shape),
    /// A list that is not empty.
    Many(&'static Shape),
    /// A list that may be empty.
    List(&'static Shape),
    /// A table whose keys are free.
    Mapping(&'static Shape),
    /// A table with these keys, whose values are all alike.
    Keyed(fn() -> Vec<&'static str>, &'static Shape),
    /// Any of these.
    Either(&'static [Shape]),
    /// A table with these keys.
    Table(fn() -> &'static Keys),
}

/// What holds where a key is not written.
pub(super) enum Preset {
    Text(&'static str),
    Flag(bool),
    Number(u64),
    Span(Duration),
    Bytes(u64),
}

impl Preset {
    /// The value as it would be written.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Preset::Text(text) => json!(text),
            Preset::Flag(flag) => json!(flag),
            Preset::Number(number) => json!(number),
            Preset::Span(span) => json!(quantity::show_duration(*span)),
            Preset::Bytes(bytes) => json!(quantity::show_size(*bytes)),
        }
    }
}

impl Shape {
    /// The piece of a JSON Schema that says the same; `table` says it of a table.
    pub(super) fn to_json(&self, table: &mut dyn FnMut(&'static Keys) -> Value) -> Value {
        match self {
            Shape::Text => json!({"type": ["string", "number", "boolean"]}),
            Shape::Line(chars_max) => {
                json!({"type": ["string", "number", "boolean"], "minLength": 1, "maxLength": chars_max})
            }
            Shape::Matching(pattern) => json!({"type": ["string", "number", "boolean"], "pattern": pattern}),
            Shape::Boolean => json!({"type": "boolean"}),
            Shape::Number(range) => {
                json!({"type": "integer", "minimum": range.start(), "maximum": range.end()})
            }
            Shape::Duration(Zero::Refused) => {
                json!({"type": "string", "pattern": format!("^({})$", quantity::duration_pattern())})
            }
            Shape::Duration(Zero::Allowed) => json!({
                "type": ["string", "integer"],
                "pattern": format!("^(0|{})$", quantity::duration_pattern()),
                "minimum": 0,
                "maximum": 0,
            }),
            Shape::Size => json!({"type": "string", "pattern": format!("^({})$", quantity::size_pattern())}),
            Shape::Words(words) => json!({"enum": words()}),
            Shape::OneOrMany(one) => {
                let one = one.to_json(table);
                json!({"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]})
            }
            Shape::Many(one) => json!({"type": "array", "items": one.to_json(table), "minItems": 1}),
            Shape::List(one) => json!({"type": "array", "items": one.to_json(table)}),
            Shape::Mapping(one) => json!({"type": "object", "additionalProperties": one.to_json(table)}),
            Shape::Keyed(words, one) => {
                let one = one.to_json(table);
                let properties: Map<String, Value> =
                    words().into_iter().map(|it| (it.to_owned(), one.clone())).collect();
                json!({"type": "object", "properties": properties, "additionalProperties": false})
            }
            Shape::Either(shapes) => {
                json!({"anyOf": shapes.iter().map(|it| it.to_json(table)).collect::<Vec<_>>()})
            }
            Shape::Table(keys) => table(keys()),
        }
    }
}
