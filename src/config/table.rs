//! The tables of the configuration, and how one is read.
//!
//! [`table!`] declares the keys of a table once. From that come the draft that mirrors the table,
//! its reader, the hint at the key that was meant, and the JSON Schema.

use super::node::{Entry, Node, Span, Value};
use super::report::{Report, Wrong, quoted};
use super::shape::{Preset, Shape};
use crate::near::{listed, nearest};

/// The keys of one table.
pub(super) struct Keys {
    /// What the table is, with its article.
    pub(super) what: &'static str,
    /// The keys that are read.
    pub(super) now: &'static [Key],
    /// The keys that belong to boathook and that this version does not read.
    pub(super) later: &'static [&'static str],
    /// Words of other tools, and the key that means the same here.
    pub(super) synonyms: &'static [(&'static str, &'static str)],
    /// The keys without which there is no such table.
    pub(super) required: &'static [&'static str],
    /// The keys of which a table has one.
    pub(super) one_of: &'static [&'static str],
}

/// A key that is read.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// What it is for, in lines.
    pub(super) doc: &'static [&'static str],
    /// What its value looks like; `None`: nobody has said it yet, and a test of the schema asks for it.
    pub(super) shape: Option<Shape>,
    /// What holds if it is not written.
    pub(super) preset: Option<Preset>,
}

impl Keys {
    /// Whether `key` is one of them, or will be.
    pub(super) fn has(&self, key: &str) -> bool {
        self.now().any(|it| it == key) || self.later.contains(&key)
    }

    /// The names of the keys that are read.
    pub(super) fn now(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.now.iter().map(|it| it.name)
    }
}

/// A key that was written, and its value.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) key: &'static str,
    pub(super) key_span: Span,
    pub(super) value: Node,
}

/// What is to be known of a table as a whole.
#[derive(Clone, Debug)]
pub(super) struct Outline {
    /// Where it is.
    pub(super) span: Span,
    /// Keys about which nothing more is to be said: written, but their mistake is reported.
    pub(super) settled: Vec<&'static str>,
    /// Whether one of its keys was refused, so that the table is not what it was meant to be.
    pub(super) faulty: bool,
}

impl Outline {
    /// A table at `span` without a mistake yet.
    pub(super) fn new(span: Span) -> Outline {
        Outline { span, settled: Vec::new(), faulty: false }
    }

    /// `None` if one of the keys was refused.
    pub(super) fn sound(&self) -> Option<()> {
        (!self.faulty).then_some(())
    }

    /// Whether one of `keys` was written in a way that is reported already.
    pub(super) fn settles(&self, keys: &[&str]) -> bool {
        self.settled.iter().any(|it| keys.contains(it))
    }
}

/// Declares a table: a draft with one `Option<Field>` for each key that is read.
///
/// A key is declared with its documentation and the [`Shape`] of its value, and after `=>` with what
/// holds if it is not written. From these comes the schema.
macro_rules! table {
    (
        $(#[$docs:meta])*
        $name:ident, $what:literal {
            $($(#[doc = $doc:literal])* $key:ident $(as $written:literal)? $(: $shape:expr $(=> $preset:expr)?)?),+ $(,)?
        }
        later { $($later:literal),* $(,)? }
        synonyms { $($word:literal: $meant:literal),* $(,)? }
        $(required { $($required:literal),* $(,)? })?
        $(one_of { $($one:literal),* $(,)? })?
    ) => {
        $(#[$docs])*
        #[derive(Clone, Debug)]
        pub(super) struct $name {
            pub(super) outline: $crate::config::table::Outline,
            $(pub(super) $key: Option<$crate::config::table::Field>,)+
        }

        impl $name {
            /// The keys of the table.
            pub(super) const KEYS: $crate::config::table::Keys = $crate::config::table::Keys {
                what: $what,
                now: &[$($crate::config::table::Key {
                    name: $crate::config::table::name_of!($key $($written)?),
                    doc: &[$($doc),*],
                    shape: $crate::config::table::first!($($shape)?),
                    preset: $crate::config::table::first!($($($preset)?)?),
                }),+],
                later: &[$($later),*],
                synonyms: &[$(($word, $meant)),*],
                required: &[$($($required),*)?],
                one_of: &[$($($one),*)?],
            };

            /// [`Self::KEYS`], for the shape of a key that holds such a table.
            pub(super) fn keys() -> &'static $crate::config::table::Keys {
                &Self::KEYS
            }

            /// The draft that `node` holds, or `None` if it is no table; mistakes are in `report`.
            pub(super) fn read(
                node: &$crate::config::node::Node,
                report: &mut $crate::config::report::Report,
            ) -> Option<$name> {
                let (outline, fields) = $crate::config::table::read_fields(node, $name::keys(), report)?;
                let mut draft = $name { outline, $($key: None),+ };
                for field in fields {
                    match field.key {
                        $($crate::config::table::name_of!($key $($written)?) => draft.$key = Some(field),)+
                        other => unreachable!("`{other}` is no key of {}", $what),
                    }
                }
                Some(draft)
            }
        }
    };
}
pub(super) use table;

/// The name of a key: as it is declared, or, where that is a word of Rust's, as it is written.
macro_rules! name_of {
    ($key:ident) => {
        stringify!($key)
    };
    ($key:ident $written:literal) => {
        $written
    };
}
pub(super) use name_of;

/// What was written, if anything.
macro_rules! first {
    () => {
        None
    };
    ($written:expr) => {
        Some($written)
    };
}
pub(super) use first;

/// The fields of the table that `node` is; the way from a node to a draft.
pub(super) fn read_fields(node: &Node, keys: &Keys, report: &mut Report) -> Option<(Outline, Vec<Field>)> {
    let entries = match &node.value {
        Value::Map(entries) => entries,
        Value::Broken => return None,
        _ => {
            let message = format!("{} is a table of `key: value`, this is {}", keys.what, node.kind());
            let wrong = Wrong::new("type", message).help(format!("its keys: {}", listed(keys.now(), "and")));
            report.push(node.span.clone(), wrong);
            return None;
        }
    };
    let mut outline = Outline::new(node.span.clone());
    let fields: Vec<Option<Field>> =
        entries.iter().map(|entry| read_field(entry, keys, &mut outline, report)).collect();
    outline.faulty = fields.iter().any(Option::is_none);
    Some((outline, fields.into_iter().flatten().collect()))
}

fn read_field(entry: &Entry, keys: &Keys, outline: &mut Outline, report: &mut Report) -> Option<Field> {
    let Some(key) = find(keys.now(), &entry.key) else {
        outline.settled.extend(meant(keys, &entry.key));
        report.push(entry.key_span.clone(), refused(keys, &entry.key));
        return None;
    };
    if matches!(entry.value.value, Value::Broken) {
        outline.settled.push(key);
        return None;
    }
    if entry.value.is_null() {
        outline.settled.push(key);
        let wrong = Wrong::new("no-value", format!("`{key}` has no value"));
        report.push(entry.key_span.clone(), wrong.help(format!("write one, or remove `{key}:`")));
        return None;
    }
    Some(Field { key, key_span: entry.key_span.clone(), value: entry.value.clone() })
}

fn find(mut words: impl Iterator<Item = &'static str>, word: &str) -> Option<&'static str> {
    words.find(|it| *it == word)
}

/// The key that somebody who wrote `key` had in mind.
fn meant(keys: &Keys, key: &str) -> Option<&'static str> {
    let synonym = || keys.synonyms.iter().find(|(word, _)| *word == key).map(|(_, meant)| *meant);
    let all = || keys.now().chain(keys.later.iter().copied());
    find(keys.later.iter().copied(), key).or_else(synonym).or_else(|| nearest(key, all()))
}

fn refused(keys: &Keys, key: &str) -> Wrong {
    if let Some(key) = find(keys.later.iter().copied(), key) {
        return later(key);
    }
    let wrong = Wrong::new("unknown-key", format!("{} has no key {}", keys.what, quoted(key)));
    match meant(keys, key) {
        Some(meant) => wrong.help(format!("did you mean `{meant}`?")),
        None => wrong.help(format!("write {}", listed(keys.now(), "or"))),
    }
}

/// What is said about everything that boathook knows and this version does not do.
pub(super) fn later(what: &str) -> Wrong {
    Wrong::new("later", format!("`{what}` is not in this version of boathook yet"))
        .help("remove it: it would not be obeyed")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::document;
    use super::Report;

    table! {
        /// A table for the tests.
        Boat, "a boat" { name, oars }
        later { "sail" }
        synonyms { "paddles": "oars" }
    }

    fn read(text: &str) -> (Option<Boat>, Vec<String>) {
        let mut report = Report::new(Path::new("c.yaml"), text);
        let node = document::read(text, &mut report).root.expect("the text holds a value");
        let boat = Boat::read(&node, &mut report);
        let told = report
            .diagnostics()
            .iter()
            .map(|it| format!("{} {}", it.message, it.help.as_deref().unwrap_or_default()));
        (boat, told.collect())
    }

    #[test]
    fn known_keys_are_read() {
        let (boat, mistakes) = read("{name: x, oars: 2}");

        let boat = boat.expect("it is a table");
        assert_eq!(boat.name.and_then(|it| it.value.text().map(str::to_owned)).as_deref(), Some("x"));
        assert!(boat.oars.is_some());
        assert_eq!(mistakes, [""; 0]);
    }

    #[test]
    fn other_keys_are_told_from_later_ones_and_slips() {
        let (boat, mistakes) = read("{nam: x, paddles: 2, sail: 1, colour: red}");

        assert_eq!(boat.expect("it is a table").outline.settled, ["name", "oars", "sail"]);
        assert_eq!(mistakes[0], "a boat has no key `nam` did you mean `name`?");
        assert_eq!(mistakes[1], "a boat has no key `paddles` did you mean `oars`?");
        assert!(mistakes[2].starts_with("`sail` is not in this version"), "{}", mistakes[2]);
        assert_eq!(mistakes[3], "a boat has no key `colour` write `name` or `oars`");
    }
}
