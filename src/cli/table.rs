//! Text in columns, for people.
//!
//! Laying out is a pure function of cells and width. Whoever prints says how wide the terminal is;
//! into a file or a pipe everything is written as it is.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};

use anstyle::{AnsiColor, Style};
use rustix::termios::tcgetwinsize;

/// Between two columns.
const GAP: &str = "  ";

/// What a cell says besides its words. Nothing is said by colour alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tone {
    #[default]
    Plain,
    /// Somebody has to see to it.
    Bad,
    /// It is not over.
    Open,
    /// It matters less.
    Faint,
}

/// One cell: a line of printable text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

/// What becomes of a column where there is no room for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Give {
    /// It stays as it is.
    Nothing,
    /// It is cut, down to so many characters.
    DownTo(usize),
    /// It is left out, before others are cut to their least; the last such column first.
    All,
}

/// Rows of cells, the first of which is the head.
#[derive(Debug)]
pub(super) struct Table {
    gives: Vec<Give>,
    rows: Vec<Vec<Cell>>,
}

impl Cell {
    pub(super) fn new(text: &str, tone: Tone) -> Cell {
        Cell { text: clipped(text, usize::MAX), tone }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::new(&text, Tone::Plain)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::new(text, Tone::Plain)
    }
}

impl Table {
    /// A table with these columns.
    pub(super) fn new(columns: impl IntoIterator<Item = (&'static str, Give)>) -> Table {
        let (head, gives): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let head = head.into_iter().map(|it| Cell::new(it, Tone::Faint)).collect();
        Table { gives, rows: vec![head] }
    }

    pub(super) fn push(&mut self, row: impl IntoIterator<Item = Cell>) {
        self.rows.push(row.into_iter().collect());
    }

    /// The lines, none of which is wider than `width` if that can be.
    pub(super) fn lines(&self, width: Option<usize>) -> String {
        let columns = self.fit(width.unwrap_or(usize::MAX));
        let mut lines = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (nth, (column, width)) in columns.iter().enumerate() {
                let Cell { text, tone } = &row[*column];
                let (text, style) = (clipped(text, *width), style(*tone));
                let is_last = nth + 1 == columns.len();
                let padding = if is_last { 0 } else { width - text.chars().count() + GAP.len() };
                write!(line, "{style}{text}{style:#}{:padding$}", "").expect("text grows");
            }
            lines += line.trim_end();
            lines.push('\n');
        }
        lines
    }

    /// The columns that are shown, by their numbers, and how wide each is.
    fn fit(&self, width: usize) -> Vec<(usize, usize)> {
        let widest = |nth: usize| self.rows.iter().map(|row| row[nth].text.chars().count()).max();
        let mut columns: Vec<(usize, usize)> =
            (0..self.gives.len()).map(|nth| (nth, widest(nth).unwrap_or(0))).collect();
        let least = |(nth, width): (usize, usize)| match self.gives[nth] {
            Give::DownTo(least) => least.min(width),
            Give::Nothing | Give::All => width,
        };
        while total(columns.iter().map(|it| least(*it))) > width {
            let Some(spare) = columns.iter().rposition(|(nth, _)| self.gives[*nth] == Give::All) else {
                break;
            };
            columns.remove(spare);
        }
        // The widest gives first.
        while total(columns.iter().map(|it| it.1)) > width {
            let can_give = columns.iter_mut().filter(|it| it.1 > least(**it));
            let Some((_, widest)) = can_give.max_by_key(|it| it.1) else { break };
            *widest -= 1;
        }
        columns
    }
}

/// The width of a line with columns of these widths.
fn total(widths: impl ExactSizeIterator<Item = usize>) -> usize {
    GAP.len() * widths.len().saturating_sub(1) + widths.sum::<usize>()
}

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Plain => Style::new(),
        Tone::Bad => AnsiColor::Red.on_default(),
        Tone::Open => AnsiColor::Yellow.on_default(),
        Tone::Faint => Style::new().dimmed(),
    }
}

/// How wide the terminal is that standard output goes to, if it goes to one.
pub(super) fn terminal_width() -> Option<usize> {
    let stdout = io::stdout();
    let size = stdout.is_terminal().then(|| tcgetwinsize(&stdout).ok()).flatten()?;
    // A terminal that does not know says 0.
    Some(usize::from(size.ws_col)).filter(|it| *it > 0)
}

/// One line of printable text of at most `chars_max` characters.
pub(super) fn clipped(text: &str, chars_max: usize) -> String {
    let mut clipped = String::new();
    for (nth, c) in text.chars().enumerate() {
        if nth == chars_max {
            clipped.pop();
            clipped.push('…');
            break;
        }
        clipped.push(if c.is_control() { ' ' } else { c });
    }
    clipped
}

#[cfg(test)]
mod tests {
    use super::{Cell, Give, Table, Tone, clipped};

    fn table() -> Table {
        let columns = [Give::Nothing, Give::DownTo(4), Give::All, Give::DownTo(5)];
        let mut table = Table::new(["RUN", "HOOK", "TOOK", "WHY"].into_iter().zip(columns));
        table.push(["06h076y5", "firewall", "12ms", "no route to host"].map(Cell::from));
        table.push(["06h076y6", "net", "-", ""].map(Cell::from));
        table
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_table_is_as_wide_as_what_is_in_it() {
        assert_eq!(
            plain(&table().lines(None)),
            "RUN       HOOK      TOOK  WHY\n\
             06h076y5  firewall  12ms  no route to host\n\
             06h076y6  net       -\n"
        );
    }

    #[test]
    fn where_there_is_no_room_what_is_widest_gives_and_ids_never_do() {
        assert_eq!(
            plain(&table().lines(Some(34))),
            "RUN       HOOK      TOOK  WHY\n\
             06h076y5  firewall  12ms  no rout…\n\
             06h076y6  net       -\n"
        );
    }

    #[test]
    fn what_matters_less_is_left_out_before_the_rest_cannot_be_read() {
        assert_eq!(
            plain(&table().lines(Some(24))),
            "RUN       HOOK    WHY\n06h076y5  firew…  no ro…\n06h076y6  net\n"
        );
        assert_eq!(
            plain(&table().lines(Some(3))),
            "RUN       HOOK  WHY\n06h076y5  fir…  no r…\n06h076y6  net\n"
        );
    }

    #[test]
    fn colour_takes_no_room() {
        let mut table = Table::new([("A", Give::Nothing), ("B", Give::Nothing)]);
        table.push([Cell::new("x", Tone::Bad), Cell::from("y")]);

        let lines = table.lines(None);

        assert!(lines.contains("\u{1b}[31mx"), "{lines:?}");
        assert_eq!(plain(&lines), "A  B\nx  y\n");
    }

    #[test]
    fn a_cell_is_one_short_line() {
        assert_eq!(clipped("a\nb\u{1b}", 10), "a b ");
        assert_eq!(clipped("0123456789", 4), "012…");
    }
}
