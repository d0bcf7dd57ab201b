//! From YAML text to a tree of [`Node`]s.
//!
//! Of YAML, what a configuration needs is read: tables, lists, scalars, one document per file. An
//! anchor (`&name`) can be repeated by an alias (`*name`), and each repetition counts against
//! [`NODES_MAX`]. Tags and merge keys (`<<`) are refused: they make a file mean something that it
//! does not show.

use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span as Place, Tag, options};

use super::node::{Entry, Node, Span, Value};
use super::report::{Report, Wrong, quoted};
use super::syntax;

/// The most values of one file, those that aliases repeat included: a few thousand hooks.
const NODES_MAX: usize = 50_000;

/// The deepest nesting: twice what the deepest key needs, and far from what a stack holds.
const DEPTH_MAX: usize = 24;

/// What was read of a file.
#[derive(Debug)]
pub(super) struct Document {
    /// The top of the tree, as far as it was read; `None` where the file holds no value.
    pub(super) root: Option<Node>,
    /// Whether the text was read to its end.
    pub(super) complete: bool,
}

/// Reads `text`, noting in `report` what is not YAML, or not of the kind that is read here.
pub(super) fn read(text: &str, report: &mut Report) -> Document {
    let mut composer = Composer {
        text,
        report,
        open: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        documents: 0,
        root: None,
    };
    let complete = Parser::new_from_str_with_options(text, limits()).all(|next| match next {
        Ok((event, place)) => composer.take(event, place),
        Err(error) => {
            let (span, wrong) = syntax::explain(&error, text, composer.open_bracket());
            composer.report.push(span, wrong);
            false
        }
    });
    composer.close_all();
    Document { root: composer.root, complete }
}

fn limits() -> Options {
    options! {
        emit_unresolved_aliases: true,
        emit_comments: false,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    }
}

/// Builds the tree from the parser's events.
struct Composer<'a> {
    text: &'a str,
    report: &'a mut Report,
    /// The tables and lists that are not closed yet, outermost first.
    open: Vec<Open>,
    /// Complete values by the number of their anchor.
    anchors: HashMap<usize, Node>,
    nodes: usize,
    documents: usize,
    root: Option<Node>,
}

/// A table or list whose end has not been seen.
struct Open {
    span: Span,
    /// The number of its anchor; 0: none.
    anchor: usize,
    /// A tag was refused: what is inside is read, and forgotten.
    refused: bool,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<Key> },
}

/// A key whose value has not been seen.
enum Key {
    Good(String, Span),
    /// Its mistake is reported; its value is read, and forgotten.
    Refused,
}

impl Composer<'_> {
    /// Takes one event; false when reading ends here.
    fn take(&mut self, event: Event<'_>, place: Place) -> bool {
        let span = bytes(&place);
        match event {
            Event::DocumentStart(..) => return self.start_document(span),
            Event::Scalar(text, style, anchor, tag) => {
                let refused = self.refuse_tag(tag.as_deref(), &place);
                let quoted = style != ScalarStyle::Plain;
                let value = Value::Scalar { text: text.into_owned(), quoted };
                let value = if refused { Value::Broken } else { value };
                return self.finish(Node { span, value }, anchor, 1);
            }
            Event::SequenceStart(_, anchor, tag) => {
                let refused = self.refuse_tag(tag.as_deref(), &place);
                self.open.push(Open { span, anchor, refused, content: Content::List(Vec::new()) });
            }
            Event::MappingStart(_, anchor, tag) => {
                let refused = self.refuse_tag(tag.as_deref(), &place);
                let content = Content::Map { entries: Vec::new(), key: None };
                self.open.push(Open { span, anchor, refused, content });
            }
            Event::SequenceEnd | Event::MappingEnd => return self.close(Some(span)),
            Event::Alias(anchor) => return self.repeat(anchor, span),
            Event::UnresolvedAlias(name) => {
                let wrong = Wrong::new(
                    "anchor",
                    format!("there is no anchor `&{name}` above that `*{name}` could repeat"),
                )
                .help(format!("a text that begins with `*` needs quotes: `\"*{name}\"`"));
                self.report.push(span.clone(), wrong);
                return self.finish(Node { span, value: Value::Broken }, 0, 1);
            }
            _ => {}
        }
        true
    }

    fn start_document(&mut self, span: Span) -> bool {
        self.documents += 1;
        if self.documents > 1 {
            let wrong = Wrong::new("documents", "a second document begins here, only one is read")
                .help("remove the `---`, or put this part into a file of its own");
            self.report.push(span, wrong);
        }
        self.documents == 1
    }

    /// Notes a tag, as none is read; true if there is one.
    fn refuse_tag(&mut self, tag: Option<&Tag>, place: &Place) -> bool {
        let Some(tag) = tag else { return false };
        let span = place.tag_span().map_or_else(|| bytes(place), |it| bytes(&it));
        let written = self.text.get(span.clone()).map_or_else(|| tag.to_string(), str::to_owned);
        let wrong =
            Wrong::new("tag", format!("{} is read as a YAML tag, and tags are not read", quoted(&written)))
                .help(format!("remove it; a text that begins with `!` needs quotes: `\"{written}\"`"));
        self.report.push(span, wrong);
        true
    }

    fn repeat(&mut self, anchor: usize, span: Span) -> bool {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            self.report.push(
                span.clone(),
                Wrong::new("anchor", "an alias cannot repeat what it is part of").help("write the value out"),
            );
            return self.finish(Node { span, value: Value::Broken }, 0, 1);
        };
        let size = node.size();
        self.place(node, size, &span)
    }

    /// Ends the innermost table or list. The parser tells where only if the file does.
    fn close(&mut self, end: Option<Span>) -> bool {
        let Some(Open { span, anchor, refused, content }) = self.open.pop() else { return true };
        // A block has no closing bracket: its end is where the next thing begins. Its place is its start.
        let flow = end.filter(|end| matches!(self.text.get(end.clone()), Some("]" | "}")));
        let span = span.start..flow.map_or(span.end, |end| end.end);
        let value = match content {
            _ if refused => Value::Broken,
            Content::List(items) => Value::List(items),
            Content::Map { entries, .. } => Value::Map(entries),
        };
        // Its content is counted already, and so it can be closed where the count has ended the reading.
        self.finish(Node { span, value }, anchor, 0)
    }

    /// Where the innermost table or list begins, if it begins with a bracket.
    fn open_bracket(&self) -> Option<usize> {
        let start = self.open.last()?.span.start;
        self.text[start..].starts_with(['[', '{']).then_some(start)
    }

    fn close_all(&mut self) {
        while !self.open.is_empty() {
            self.close(None);
        }
    }

    fn finish(&mut self, node: Node, anchor: usize, added: usize) -> bool {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let span = node.span.clone();
        self.place(node, added, &span)
    }

    /// Puts a complete value where it belongs; false if with the `added` ones there are too many.
    fn place(&mut self, node: Node, added: usize, at: &Span) -> bool {
        if added > 0 && self.nodes + added > NODES_MAX {
            let wrong = Wrong::new("too-large", format!("the file holds more than {NODES_MAX} values"))
                .help("aliases count each time that they repeat something");
            self.report.push(at.clone(), wrong);
            return false;
        }
        self.nodes += added;
        match self.open.last_mut().map(|it| &mut it.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { entries, key }) => match key.take() {
                None => *key = Some(read_key(node, entries, self.report)),
                Some(Key::Good(key, key_span)) => entries.push(Entry { key, key_span, value: node }),
                Some(Key::Refused) => {}
            },
        }
        true
    }
}

/// The key that `node` is, unless it stands there already or cannot be one.
fn read_key(node: Node, before: &[Entry], report: &mut Report) -> Key {
    let (wrong, span) = match node {
        Node { value: Value::Broken, .. } => return Key::Refused,
        Node { value: Value::Scalar { text, quoted: false }, span } if text == "<<" => {
            let wrong = Wrong::new("merge-key", "merge keys (`<<`) are not read");
            (wrong.help("write the keys out, or repeat one value with an alias"), span)
        }
        Node { value: Value::Scalar { text, .. }, span } => match before.iter().find(|it| it.key == text) {
            None => return Key::Good(text, span),
            Some(first) => {
                let place = report.place_of(&first.key_span, &span);
                let message = format!("{} is written twice, the first is {place}", quoted(&text));
                (Wrong::new("twice", message).help("keep one of the two"), span)
            }
        },
        Node { span, .. } => {
            let wrong = Wrong::new("key", "a key must be a word, not a list or a table");
            (wrong.help("write `key: value`"), span)
        }
    };
    report.push(span, wrong);
    Key::Refused
}

fn bytes(place: &Place) -> Span {
    let at = |marker: granit_parser::Marker| marker.byte_offset().unwrap_or_default();
    at(place.start)..at(place.end).max(at(place.start))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Document, NODES_MAX, Report, Value, read};

    fn parse(text: &str) -> (Document, Vec<String>) {
        let mut report = Report::new(Path::new("c.yaml"), text);
        let document = read(text, &mut report);
        let messages = report.diagnostics().iter().map(|it| format!("{}:{} {}", it.line, it.column, it.code));
        (document, messages.collect())
    }

    #[test]
    fn every_key_and_value_knows_its_place() {
        let text = "a:\n  - {b: \"c d\", e: [1, 2]}\nf: >\n  g\n";

        let (document, mistakes) = parse(text);

        assert_eq!(mistakes, [""; 0]);
        let root = document.root.expect("a table was written");
        let Value::List(items) = &root.get("a").expect("it has `a`").value else { panic!("`a` is a list") };
        let slice = |span: &std::ops::Range<usize>| &text[span.clone()];
        assert_eq!(slice(&items[0].span), "{b: \"c d\", e: [1, 2]}");
        assert_eq!(slice(&items[0].get("b").expect("it has `b`").span), "\"c d\"");
        assert_eq!(slice(&items[0].get("e").expect("it has `e`").span), "[1, 2]");
    }

    #[test]
    fn an_alias_repeats_what_its_anchor_names() {
        let (document, mistakes) = parse("a: &x [1, 2]\nb: *x\n");

        assert_eq!(mistakes, [""; 0]);
        let root = document.root.expect("a table was written");
        assert_eq!(root.get("a"), root.get("b"));
    }

    #[test]
    fn what_was_read_before_an_error_is_kept() {
        let (document, mistakes) = parse("outage: closed\nhooks:\n  - {name: [x\n");

        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert!(!document.complete);
        let root = document.root.expect("the first line can be read");
        assert_eq!(root.get("outage").and_then(|it| it.text()), Some("closed"));
    }

    #[test]
    fn aliases_cannot_make_a_small_file_large() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x]\n");
        for nth in 1..12 {
            let before = nth - 1;
            text += &format!("a{nth}: &a{nth} [{}]\n", [format!("*a{before}").as_str(); 8].join(", "));
        }

        let (document, mistakes) = parse(&text);

        assert!(mistakes[0].ends_with("too-large"), "{mistakes:?}");
        assert!(document.root.is_some_and(|it| it.size() <= 3 * NODES_MAX));
    }

    #[test]
    fn an_alias_inside_its_own_anchor_is_a_mistake() {
        assert_eq!(parse("a: &x [*x]\n").1, ["1:8 anchor"]);
    }
}
