//! Everything that is wrong with a configuration, each mistake with its place and its fix.

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

/// A place in one of the files that a report is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Which file, as [`Report::open`] counts them.
    file: usize,
    span: Span,
}

/// Everything that is wrong with the files of a configuration, file by file in the order in which
/// they are read, and in the order of each file.
#[derive(Clone, Debug)]
pub struct Report {
    /// The files that mistakes are in, in the order in which they were met. Never empty.
    files: Vec<Text>,
    /// Which of them is read now.
    current: usize,
    diagnostics: Vec<Diagnostic>,
}

#[derive(Clone, Debug)]
struct Text {
    file: PathBuf,
    text: String,
}

impl Report {
    /// A report on `text`, the content of `file`, without a mistake yet.
    pub(super) fn new(file: &Path, text: &str) -> Report {
        let text = Text { file: file.to_owned(), text: text.to_owned() };
        Report { files: vec![text], current: 0, diagnostics: Vec::new() }
    }

    /// Goes on with another file: spans are places in its `text` from here on.
    pub(super) fn open(&mut self, file: &Path, text: &str) {
        self.current = self.files.len();
        self.files.push(Text { file: file.to_owned(), text: text.to_owned() });
    }

    /// Every mistake, by file and place.
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
        self.push_at(self.place(span), wrong);
    }

    /// As [`Report::push`], in a file that may have been left since.
    pub(super) fn push_at(&mut self, place: Place, wrong: Wrong) {
        let Place { file, span } = place;
        let Text { file: name, text } = &self.files[file];
        let (line, column) = position(text, span.start);
        let Wrong { code, message, help } = wrong;
        let (message, help) = (printable(&message), help.as_deref().map(printable));
        let diagnostic = Diagnostic { file: name.clone(), line, column, span, message, help, code };
        let order = |it: &Diagnostic| (self.number_of(&it.file), it.span.start, it.code);
        let after = self.diagnostics.partition_point(|it| order(it) <= order(&diagnostic));
        if !self.diagnostics.iter().any(|it| it.tells(&diagnostic)) {
            self.diagnostics.insert(after, diagnostic);
        }
    }

    /// Notes a mistake at `span` of a file that the one that is read now names, with the content
    /// `text`.
    pub(super) fn push_elsewhere(&mut self, file: &Path, text: &str, span: Span, wrong: Wrong) {
        let known = self.files.iter().position(|it| it.file == file);
        let number = known.unwrap_or_else(|| {
            self.files.push(Text { file: file.to_owned(), text: text.to_owned() });
            self.files.len() - 1
        });
        self.push_at(Place { file: number, span }, wrong);
    }

    /// The place of `span` in the file that is read now.
    pub(super) fn place(&self, span: Span) -> Place {
        Place { file: self.current, span }
    }

    fn number_of(&self, file: &Path) -> usize {
        self.files.iter().position(|it| it.file == file).expect("a mistake is in one of the files")
    }

    /// The text of the file that is read now.
    fn text(&self) -> &str {
        &self.files[self.current].text
    }

    /// Where `earlier` is, for a message about `later`.
    pub(super) fn place_of(&self, earlier: &Span, later: &Span) -> String {
        let line = |span: &Span| position(self.text(), span.start).0;
        match line(earlier) {
            same if same == line(later) => "earlier in this line".to_owned(),
            line => format!("in line {line}"),
        }
    }

    /// Where `earlier` is, for a message about `later`, which may be in another file.
    pub(super) fn place_from(&self, earlier: &Place, later: &Place) -> String {
        let Text { file, text } = &self.files[earlier.file];
        let (line, column) = position(text, earlier.span.start);
        let same_line = || position(&self.files[later.file].text, later.span.start).0 == line;
        match earlier.file == later.file {
            true if same_line() => "earlier in this line".to_owned(),
            true => format!("in line {line}"),
            false => format!("at {}:{line}:{column}", file.display()),
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
            let text = &report.files[report.number_of(&diagnostic.file)].text;
            writeln!(f, "{}", Snippet { diagnostic, text, paint: *paint })?;
        }
        Ok(())
    }
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
    fn each_mistake_is_shown_with_the_line_of_its_own_file() {
        let mut report = Report::new(Path::new("c.yaml"), "one\ntwo\n");
        let first = report.place(4..7);
        report.open(Path::new("hooks.d/a.yaml"), "three\n");
        report.push(0..5, Wrong::new("b", "in the second file"));
        report.push_at(first, Wrong::new("a", "in the first file"));

        let shown = report.to_string();
        let (before, after) = shown.split_once("hooks.d/a.yaml:1:1: in the second file").expect("it is told");
        assert!(before.starts_with("c.yaml:2:1: in the first file") && before.contains("2 | two"), "{shown}");
        assert!(after.contains("1 | three"), "{shown}");
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
