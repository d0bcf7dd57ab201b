//! How the demo looks: on a terminal of eighty columns, and without colour when it is none.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process;

use anstyle::{AnsiColor, Style};

/// As many as every terminal has.
const COLUMNS: usize = 80;

/// What is left of a row for what a script printed.
const PRINTED_CHARS_MAX: usize = COLUMNS - "    post_remove  no-privileged  exit 75  100 ms  | ".len();

const HEADING: Style = AnsiColor::Cyan.on_default().bold();
const COMMAND: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const LATER: Style = AnsiColor::Yellow.on_default();

/// One attempt of a hook, or a denial without a process, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The container's name.
    pub(super) container: String,
    /// The point that it had reached.
    pub(super) point: String,
    /// The hook.
    pub(super) hook: String,
    /// `done`, `exit 75`, `denied`, …
    pub(super) outcome: String,
    /// In milliseconds; none where no process ran.
    pub(super) took_ms: Option<u64>,
    /// What it printed.
    pub(super) printed: String,
}

/// Two lines that say what comes next.
pub(super) fn heading(title: &str, text: &str) {
    line(&format!("\n{}", styled(HEADING, title)));
    for each in wrapped(text, COLUMNS) {
        line(&each);
    }
}

/// A command, as it is typed.
pub(super) fn command(text: &str) {
    line(&format!("\n  {} {}", styled(FAINT, "$"), styled(COMMAND, text)));
}

/// What a command printed.
pub(super) fn answer(text: &str) {
    for each in text.lines().flat_map(|it| wrapped(it, COLUMNS - 2)) {
        line(format!("  {each}").trim_end());
    }
}

/// Words of ours where a command's answer stands.
pub(super) fn aside(text: &str) {
    line(&styled(FAINT, &format!("  {text}")));
}

/// What the columns of the rows below are.
pub(super) fn columns() {
    let head = format!("    {:<11}  {:<13}  {:<7}  {:>6}  | printed", "point", "hook", "outcome", "took");
    line(&styled(FAINT, &head));
}

/// What boathook ran.
pub(super) fn row(row: &Row) {
    let Row { container: _, point, hook, outcome, took_ms, printed } = row;
    let took = took_ms.map_or_else(|| "-".to_owned(), |it| format!("{it} ms"));
    let style = match outcome.as_str() {
        "done" => GOOD,
        "exit 75" => LATER,
        _ => BAD,
    };
    let outcome = styled(style, &format!("{outcome:<7}"));
    let printed = clipped(printed, PRINTED_CHARS_MAX);
    line(&format!("    {point:<11}  {hook:<13}  {outcome}  {took:>6}  {} {printed}", styled(FAINT, "|")));
}

/// A sentence about what has been seen.
pub(super) fn note(text: &str) {
    line("");
    for each in wrapped(text, COLUMNS) {
        line(&styled(GOOD, &each));
    }
}

/// What is being waited for.
pub(super) fn progress(text: &str) {
    let text = format!("… {text}");
    for each in wrapped(&text, COLUMNS - 2) {
        line(&styled(FAINT, &format!("  {each}")));
    }
}

fn line(text: &str) {
    let out = writeln!(anstream::stdout(), "{text}").and_then(|()| io::stdout().flush());
    if out.is_err() {
        // Nobody watches any more, and the sandbox ends with us.
        process::exit(1);
    }
}

fn styled(style: Style, text: &(impl Display + ?Sized)) -> String {
    format!("{style}{text}{style:#}")
}

/// One line of at most `columns` characters.
fn clipped(text: &str, columns: usize) -> String {
    let text: String = text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    match text.char_indices().nth(columns) {
        None => text,
        Some(_) => text.chars().take(columns.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// Lines of at most `columns` characters, broken between words. A longer word stays whole.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is a line");
        if last.is_empty() {
            last.push_str(word);
        } else if last.chars().count() + 1 + word.chars().count() <= columns {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
