//! Everything that is wrong with a configuration, each mistake with its place and its fix.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::node::{Span, floor};
use super::snippet::{Paint, Snippet};

/// The longest piece of the file that a message repeats, in characters.
const QUOTED_CHARS_MAX: usize = 60;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file as it was named on the command line.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// The bytes of the text that are meant. Empty: a place between two of them; `0..0`: the file as
    /// a whole.
    pub span: Span,
    /// What is wrong. Printable, one line.
    pub message: String,
    /// The smallest change that mends it.
    pub help: Option<String>,
    /// What kind of mistake it is, one word, the same in every version.
    pub code: &'static str,
}

impl Diagnostic {
    /// Whether `other` says nothing new. A directory that others can write is one mistake, however
    /// many programs lie in it.
    fn tells(&self, other: &Diagnostic) -> bool {
        self == other
            || (self.code == "untrusted" && self.code == other.code && self.message == other.message)
    }
}

/// What is wrong with a value, said without its place: the message goes on after the key's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Wrong {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Wrong {
        Wrong { code, message: message.into(), help: None }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Wrong {
        Wrong { help: Some(help.into()), ..self }
    }
}

/// Everything that is wrong with a file, in its order, and then with files that it names.
#[derive(Clone, Debug)]
pub struct Report {
    file: PathBuf,
    text: String,
    diagnostics: Vec<Diagnostic>,
    /// The texts of other files that mistakes are in.
    elsewhere: BTreeMap<PathBuf, String>,
}

impl Report {
    /// A report on `text`, the content of `file`, without a mistake yet.
    pub(super) fn new(file: &Path, text: &str) -> Report {
        Report {
            file: file.to_owned(),
            text: text.to_owned(),
            diagnostics: Vec::new(),
            elsewhere: BTreeMap::new(),
        }
    }

    /// Every mistake, by place.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// Notes a mistake at `span`, unless it was noted there before: a value that an alias repeats is
    /// read more than once.
    pub(super) fn push(&mut self, span: Span, wrong: Wrong) {
        let diagnostic = diagnostic(&self.file, &self.text, span, wrong);
        self.insert(diagnostic);
    }

    /// Notes a mistake at `span` of another file, `file` with the content `text`, after all mistakes
    /// of this one.
    pub(super) fn push_elsewhere(&mut self, file: &Path, text: &str, span: Span, wrong: Wrong) {
        self.elsewhere.entry(file.to_owned()).or_insert_with(|| text.to_owned());
        self.insert(diagnostic(file, text, span, wrong));
    }

    fn insert(&mut self, diagnostic: Diagnostic) {
        let place = |it: &Diagnostic| {
            let file = (it.file != self.file).then(|| it.file.clone());
            (file, it.span.start, it.code)
        };
        let after = self.diagnostics.partition_point(|it| place(it) <= place(&diagnostic));
        if !self.diagnostics.iter().any(|it| it.tells(&diagnostic)) {
            self.diagnostics.insert(after, diagnostic);
        }
    }

    /// The content of the file that a mistake is in.
    fn text_of(&self, diagnostic: &Diagnostic) -> &str {
        let elsewhere = (diagnostic.file != self.file).then(|| self.elsewhere.get(&diagnostic.file));
        elsewhere.flatten().unwrap_or(&self.text)
    }

    /// Where `earlier` is, for a message about `later`.
    pub(super) fn place_of(&self, earlier: &Span, later: &Span) -> String {
        let line = |span: &Span| position(&self.text, span.start).0;
        match line(earlier) {
            same if same == line(later) => "earlier in this line".to_owned(),
            line => format!("in line {line}"),
        }
    }

    /// The report for a terminal that shows colours.
    pub fn colored(&self) -> impl fmt::Display {
        Shown { report: self, paint: Paint::Color }
    }

    /// The report for programs: an array with one object for each mistake.
    pub fn to_json(&self) -> serde_json::Value {
        #[derive(Serialize)]
        struct Line<'a> {
            file: String,
            line: usize,
            column: usize,
            code: &'a str,
            message: &'a str,
            help: Option<&'a str>,
        }
        self.diagnostics
            .iter()
            .map(|it| Line {
                file: it.file.display().to_string(),
                line: it.line,
                column: it.column,
                code: it.code,
                message: &it.message,
                help: it.help.as_deref(),
            })
            .map(|line| serde_json::to_value(line).expect("text and numbers are JSON"))
            .collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown { report: self, paint: Paint::Plain }.fmt(f)
    }
}

impl std::error::Error for Report {}

struct Shown<'a> {
    report: &'a Report,
    paint: Paint,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shown { report, paint } = self;
        for (nth, diagnostic) in report.diagnostics.iter().enumerate() {
            if nth > 0 {
                writeln!(f)?;
            }
            writeln!(f, "{}", Snippet { diagnostic, text: report.text_of(diagnostic), paint: *paint })?;
        }
        Ok(())
    }
}

fn diagnostic(file: &Path, text: &str, span: Span, wrong: Wrong) -> Diagnostic {
    let (line, column) = position(text, span.start);
    let Wrong { code, message, help } = wrong;
    let (message, help) = (printable(&message), help.as_deref().map(printable));
    Diagnostic { file: file.to_owned(), line, column, span, message, help, code }
}

/// The line and column of a byte, both from 1, the column in characters.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = &text[..floor(text, byte)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// `text` without anything that would move a terminal's cursor.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// A piece of the file for a message: cut if it is long.
pub(super) fn quoted(text: &str) -> String {
    if text.is_empty() {
        return "`\"\"`".to_owned();
    }
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Report, Wrong, position, quoted};

    #[test]
    fn columns_count_characters_and_lines_start_at_one() {
        let text = "a: ü\nbb: x";

        assert_eq!(position(text, 0), (1, 1));
        assert_eq!(position(text, 5), (1, 5));
        assert_eq!(position(text, text.len()), (2, 6));
        assert_eq!(position(text, 4), (1, 4), "inside a character is at its start");
    }

    #[test]
    fn mistakes_are_sorted_by_place_and_none_is_shown_twice() {
        let mut report = Report::new(Path::new("c.yaml"), "one\ntwo\n");
        report.push(4..7, Wrong::new("b", "second"));
        report.push(0..3, Wrong::new("a", "first"));
        report.push(4..7, Wrong::new("b", "second"));

        let messages: Vec<_> = report.diagnostics().iter().map(|it| it.message.as_str()).collect();
        assert_eq!(messages, ["first", "second"]);
    }

    #[test]
    fn a_message_cannot_steer_the_terminal() {
        let mut report = Report::new(Path::new("c.yaml"), "x\u{1b}[2J");
        report.push(0..1, Wrong::new("a", "unknown key `x\u{1b}[2J`"));

        assert!(!report.to_string().contains('\u{1b}'), "{report}");
    }

    #[test]
    fn a_long_piece_of_the_file_is_cut() {
        assert_eq!(quoted("short"), "`short`");
        assert_eq!(quoted(&"ü".repeat(80)), format!("`{}…`", "ü".repeat(60)));
    }
}
