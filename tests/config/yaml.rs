//! YAML as an editor sees it that holds it against a JSON Schema.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value, json};

/// The value in `text`, or `None` if it is no YAML.
pub(super) fn to_json(text: &str) -> Option<Value> {
    let events: Result<Vec<Event<'_>>, _> =
        Parser::new_from_str(text).map(|it| it.map(|(event, _)| event)).collect();
    let events = events.ok()?;
    let is_content = |it: &&Event<'_>| {
        matches!(
            it,
            Event::Scalar(..)
                | Event::Alias(..)
                | Event::SequenceStart(..)
                | Event::SequenceEnd
                | Event::MappingStart(..)
                | Event::MappingEnd
        )
    };
    let mut reader = Reader { events: events.iter().filter(is_content), anchors: HashMap::new() };
    reader.value()
}

struct Reader<'a, I: Iterator<Item = &'a Event<'a>>> {
    events: I,
    anchors: HashMap<usize, Value>,
}

impl<'a, I: Iterator<Item = &'a Event<'a>>> Reader<'a, I> {
    /// The next value; `None` where what it is in ends.
    fn value(&mut self) -> Option<Value> {
        let (value, anchor) = match self.events.next()? {
            Event::Scalar(text, style, anchor, _) => (scalar(text, *style), *anchor),
            Event::Alias(anchor) => (self.anchors.get(anchor)?.clone(), 0),
            Event::SequenceStart(_, anchor, _) => (std::iter::from_fn(|| self.value()).collect(), *anchor),
            Event::MappingStart(_, anchor, _) => {
                let entry = || Some((self.value()?, self.value()?));
                let entries = std::iter::from_fn(entry);
                let text = |it: Value| it.as_str().map_or_else(|| it.to_string(), str::to_owned);
                let map: Map<String, Value> = entries.map(|(key, value)| (text(key), value)).collect();
                (Value::Object(map), *anchor)
            }
            _ => return None,
        };
        self.anchors.insert(anchor, value.clone());
        Some(value)
    }
}

/// A scalar by the core schema of YAML 1.2, as far as it occurs here.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    match text {
        _ if style != ScalarStyle::Plain => json!(text),
        "" | "~" | "null" => Value::Null,
        "true" => json!(true),
        "false" => json!(false),
        _ => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(number), _) => json!(number),
            (_, Ok(number)) => json!(number),
            _ => json!(text),
        },
    }
}
