//! How one mistake is shown: what is wrong, the line it is in, and the fix.
//!
//! ```text
//! config.yaml:7:14: `timeout` is a number without a unit, write `5s` or `5ms` [no-unit]
//!   |
//! 7 |     timeout: 5
//!   |              ^
//! help: the units are ms, s, m and h
//! ```
//!
//! The first line is what editors and `grep` expect. Colour only repeats what the text says.

use std::fmt;

use super::report::Diagnostic;

/// The most of a line that is shown, in characters: what a terminal holds.
const LINE_CHARS_MAX: usize = 110;

const BOLD: &str = "\u{1b}[1m";
const RED: &str = "\u{1b}[31m";
const CYAN: &str = "\u{1b}[36m";
const RESET: &str = "\u{1b}[0m";

/// Whether escape sequences for colours are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Color,
}

impl Paint {
    fn code(self, sequence: &'static str) -> &'static str {
        match self {
            Paint::Plain => "",
            Paint::Color => sequence,
        }
    }
}

/// A mistake with the line it is in.
pub(super) struct Snippet<'a> {
    pub(super) diagnostic: &'a Diagnostic,
    pub(super) text: &'a str,
    pub(super) paint: Paint,
}

impl fmt::Display for Snippet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Snippet { diagnostic: it, paint, .. } = self;
        let (bold, reset) = (paint.code(BOLD), paint.code(RESET));
        write!(f, "{bold}{}:{}:{}:{reset} {}", it.file.display(), it.line, it.column, it.message)?;
        write!(f, " [{}]", it.code)?;
        self.write_line(f)?;
        match &it.help {
            Some(help) => write!(f, "\n{}help:{reset} {help}", paint.code(CYAN)),
            None => Ok(()),
        }
    }
}

impl Snippet<'_> {
    /// The line with a mark below what is meant; nothing where the file as a whole is meant.
    fn write_line(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let it = self.diagnostic;
        let Some(line) = self.text.lines().nth(it.line - 1).filter(|_| it.span != (0..0)) else {
            return Ok(());
        };
        let chars: Vec<char> = line.trim_end().chars().map(shown).collect();
        let start = (it.column - 1).min(chars.len());
        let meant = self.text.get(it.span.clone()).unwrap_or("");
        let width = meant.lines().next().unwrap_or("").trim_end().chars().count();
        let (from, to) = window(chars.len(), start);
        let line: String = chars[from..to].iter().collect();
        let marks = width.clamp(1, (to - start).max(1));
        let (red, reset) = (self.paint.code(RED), self.paint.code(RESET));
        let gutter = it.line.to_string();
        let pad = " ".repeat(gutter.len());
        write!(f, "\n{pad} |\n{gutter} | {line}\n{pad} | ")?;
        write!(f, "{}{red}{}{reset}", " ".repeat(start - from), "^".repeat(marks))
    }
}

/// The part of a line of `len` characters that is shown so that the one at `start` is in it.
fn window(len: usize, start: usize) -> (usize, usize) {
    if len <= LINE_CHARS_MAX {
        return (0, len);
    }
    let from = start.saturating_sub(LINE_CHARS_MAX / 2).min(len - LINE_CHARS_MAX);
    (from, from + LINE_CHARS_MAX)
}

/// One column for one character: a tab as a space, so that the mark stands below what is meant.
fn shown(c: char) -> char {
    match c {
        '\t' => ' ',
        '\u{feff}' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Diagnostic, LINE_CHARS_MAX, Paint, Snippet};

    fn mistake(line: usize, column: usize, span: std::ops::Range<usize>) -> Diagnostic {
        Diagnostic {
            file: PathBuf::from("c.yaml"),
            line,
            column,
            span,
            message: "wrong".to_owned(),
            help: Some("mend it".to_owned()),
            code: "code",
        }
    }

    fn shown(text: &str, diagnostic: &Diagnostic, paint: Paint) -> String {
        Snippet { diagnostic, text, paint }.to_string()
    }

    #[test]
    fn the_mark_stands_below_what_is_meant() {
        let text = "a: 1\n\tkey: five\n";

        let plain = shown(text, &mistake(2, 7, 11..15), Paint::Plain);

        assert_eq!(plain, "c.yaml:2:7: wrong [code]\n  |\n2 |  key: five\n  |       ^^^^\nhelp: mend it");
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let text = "key: five\n";
        let diagnostic = mistake(1, 6, 5..9);

        let mut colored = shown(text, &diagnostic, Paint::Color);
        for code in [super::BOLD, super::RED, super::CYAN, super::RESET] {
            assert!(colored.contains(code));
            colored = colored.replace(code, "");
        }

        assert_eq!(colored, shown(text, &diagnostic, Paint::Plain));
    }

    #[test]
    fn a_long_line_is_cut_around_the_mistake() {
        let text = format!("{}X{}", "a".repeat(500), "b".repeat(500));

        let plain = shown(&text, &mistake(1, 501, 500..501), Paint::Plain);

        let lines: Vec<&str> = plain.lines().collect();
        assert_eq!(lines[2].chars().count(), "1 | ".len() + LINE_CHARS_MAX);
        assert_eq!(lines[2].find('X'), lines[3].find('^'));
    }

    #[test]
    fn what_is_wrong_with_the_whole_file_is_shown_without_a_line() {
        assert_eq!(
            shown("version: 1", &mistake(1, 1, 0..0), Paint::Plain),
            "c.yaml:1:1: wrong [code]\nhelp: mend it"
        );
    }
}
