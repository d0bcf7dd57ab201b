//! Results, for people and for programs.

use std::io::{self, Write as _};

use serde::Serialize;

use super::Figure;

/// One result.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was done.
    work: String,
    /// Who did it.
    candidate: String,
    /// What the floor is; `None` for the floor itself, and for what has none.
    floor: Option<String>,
    unit: Unit,
    /// In `unit`.
    value: f64,
    /// The value of the floor, in `unit`.
    floor_value: Option<f64>,
    /// `value` over `floor_value`.
    ratio: Option<f64>,
    /// The same for processor time.
    processor_ratio: Option<f64>,
    reach: Option<Reach>,
    /// Whether `reach` is met.
    met: Option<bool>,
    /// How far the usual round lies above the best one, as a part of it; the worse of candidate and floor.
    noise: Option<f64>,
    /// How many bytes the candidate has in memory afterwards.
    resident_bytes: Option<u64>,
}

/// What values are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Millionths of a second.
    Microseconds,
    /// Thousandths of a second.
    Milliseconds,
    /// Pieces of work in a second.
    PerSecond,
    /// Millions of bytes.
    Megabytes,
    /// How many.
    Count,
}

/// What the design asks for.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// At most so many times the floor.
    Times(f64),
    /// At least so many times the floor.
    AtLeastTimes(f64),
    /// At most this value.
    Value(f64),
}

impl Row {
    /// A result of rounds, in time or as a rate.
    pub fn of(work: &str, candidate: &str, unit: Unit, figure: &Figure) -> Row {
        let mut row = Row::value(work, candidate, unit, unit.of_seconds(figure.best));
        row.noise = Some(figure.noise());
        row
    }

    /// A result that is one value.
    pub fn value(work: &str, candidate: &str, unit: Unit, value: f64) -> Row {
        Row {
            work: work.to_owned(),
            candidate: candidate.to_owned(),
            floor: None,
            unit,
            value,
            floor_value: None,
            ratio: None,
            processor_ratio: None,
            reach: None,
            met: None,
            noise: None,
            resident_bytes: None,
        }
    }

    /// The result next to its floor, which was measured in the same rounds.
    pub fn against(mut self, floor: &str, floor_figure: &Figure, figure: &Figure) -> Row {
        self.processor_ratio = figure.processor.zip(floor_figure.processor).map(|(it, floor)| it / floor);
        self.noise = Some(figure.noise().max(floor_figure.noise()));
        let value = self.unit.of_seconds(floor_figure.best);
        self.against_value(floor, value)
    }

    /// The result next to one value.
    pub fn against_value(mut self, floor: &str, value: f64) -> Row {
        self.floor = Some(floor.to_owned());
        self.floor_value = Some(value);
        self.ratio = Some(self.value / value);
        self
    }

    /// What the design asks for.
    pub fn reach(mut self, reach: Reach) -> Row {
        self.reach = Some(reach);
        self.met = match (reach, self.ratio) {
            (Reach::Times(most), Some(ratio)) => Some(ratio <= most),
            (Reach::AtLeastTimes(least), Some(ratio)) => Some(ratio >= least),
            (Reach::Value(most), _) => Some(self.value <= most),
            (_, None) => None,
        };
        self
    }

    /// How much memory the candidate holds afterwards.
    pub fn resident(mut self, bytes: u64) -> Row {
        self.resident_bytes = Some(bytes);
        self
    }
}

impl Unit {
    /// A value in this unit for work that takes `seconds`.
    fn of_seconds(self, seconds: f64) -> f64 {
        match self {
            Unit::Microseconds => seconds * 1e6,
            Unit::Milliseconds => seconds * 1e3,
            Unit::PerSecond => 1.0 / seconds,
            Unit::Megabytes | Unit::Count => unreachable!("time is not counted in {self:?}"),
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Unit::Microseconds => format!("{value:.1} µs"),
            Unit::Milliseconds => format!("{value:.2} ms"),
            Unit::PerSecond => format!("{value:.0}/s"),
            Unit::Megabytes => format!("{value:.1} MB"),
            Unit::Count => format!("{value:.0}"),
        }
    }
}

impl Reach {
    fn show(self, unit: Unit) -> String {
        match self {
            Reach::Times(most) => format!("≤ {most:.2}"),
            Reach::AtLeastTimes(least) => format!("≥ {least:.2}"),
            Reach::Value(most) => format!("≤ {}", unit.show(most)),
        }
    }
}

/// The results of a benchmark.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
}

/// The heads of the columns, and whether they hold text.
const COLUMNS: [(&str, bool); 10] = [
    ("work", true),
    ("candidate", true),
    ("value", false),
    ("floor", false),
    ("ratio", false),
    ("cpu ratio", false),
    ("reach", false),
    ("", true),
    ("noise", false),
    ("resident", false),
];

impl Report {
    /// Adds a result.
    pub fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Writes all results to standard output: a JSON array, or a table.
    ///
    /// # Panics
    ///
    /// When nobody reads them.
    pub fn write(&self, json: bool) {
        let text = if json {
            serde_json::to_string_pretty(&self.rows).expect("results are JSON")
        } else {
            self.table()
        };
        writeln!(io::stdout(), "{}", text.trim_end()).expect("write to standard output");
    }

    fn table(&self) -> String {
        let mut lines = vec![COLUMNS.map(|(head, _)| head.to_owned())];
        let mut work = "";
        for row in &self.rows {
            lines.push(row.cells(if row.work == work { "" } else { &row.work }));
            work = &row.work;
        }
        let widths: Vec<_> = (0..COLUMNS.len())
            .map(|column| lines.iter().map(|it| it[column].chars().count()).max().unwrap_or(0))
            .collect();
        let mut table = String::new();
        for line in lines {
            let cells = line.iter().zip(&widths).zip(COLUMNS).map(|((cell, &width), (_, text))| {
                if text { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            table.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            table.push('\n');
        }
        table
    }
}

impl Row {
    fn cells(&self, work: &str) -> [String; COLUMNS.len()] {
        let ratio = |it: Option<f64>| it.map(|it| format!("{it:.2}")).unwrap_or_default();
        let met = match self.met {
            Some(true) => "met",
            Some(false) => "missed",
            None => "",
        };
        [
            work.to_owned(),
            self.candidate.clone(),
            self.unit.show(self.value),
            self.floor_value.map(|it| self.unit.show(it)).unwrap_or_default(),
            ratio(self.ratio),
            ratio(self.processor_ratio),
            self.reach.map(|it| it.show(self.unit)).unwrap_or_default(),
            met.to_owned(),
            self.noise.map(|it| format!("+{:.0} %", it * 100.0)).unwrap_or_default(),
            self.resident_bytes.map(|it| format!("{:.1} MB", it as f64 / 1e6)).unwrap_or_default(),
        ]
    }
}
