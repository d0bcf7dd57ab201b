//! Quantities with a unit: spans of time and sizes. A bare number is a mistake: 5 of what?

use std::ops::RangeInclusive;
use std::time::Duration;

use super::node::{Node, Value};
use super::report::{Wrong, quoted};
use super::scalar::wants;
use crate::near::listed;

/// The longest span of time that most keys take: what takes longer is not waited for.
const DURATION_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Units of time, the longest first, in milliseconds.
const TIMES: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Units of size, the largest first, in bytes.
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Whether a span of time may be none at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zero {
    Allowed,
    Refused,
}

/// A span of time: `500ms`, `30s`, `1m30s`.
pub(super) fn duration(node: &Node, zero: Zero) -> Result<Duration, Wrong> {
    match span(node, zero)? {
        Duration::ZERO if zero == Zero::Refused => {
            Err(Wrong::new("zero", "is zero, which leaves no time at all").help("write at least `1ms`"))
        }
        span if span > DURATION_MAX => Err(too_long()),
        span => Ok(span),
    }
}

/// A span of time within `range`, which may go beyond what others take: `12h`, `90d`.
pub(super) fn duration_within(node: &Node, range: RangeInclusive<Duration>) -> Result<Duration, Wrong> {
    let (from, to) = (show_duration(*range.start()), show_duration(*range.end()));
    let bounds =
        |message: String| Wrong::new("range", message).help(format!("write a span from `{from}` to `{to}`"));
    match node.text() {
        Some("off" | "never" | "none" | "no" | "false") => Err(bounds("cannot be turned off".to_owned())),
        _ => match span(node, Zero::Allowed)? {
            span if range.contains(&span) => Ok(span),
            span => Err(bounds(format!("is {}, out of its range", show_duration(span)))),
        },
    }
}

fn span(node: &Node, zero: Zero) -> Result<Duration, Wrong> {
    let text = scalar(node, "a span of time, such as `30s`")?;
    match measure(text, &TIMES) {
        Ok(millis) => Ok(Duration::from_millis(millis)),
        Err(Fault::NoUnit) if text == "0" && zero == Zero::Allowed => Ok(Duration::ZERO),
        Err(fault) => Err(fault.of_time(text)),
    }
}

/// The span of time that `text` says, as a value of the configuration does: `1h30m`.
///
/// # Errors
///
/// What is wrong with it, in words that follow after a name, and how it is written.
pub fn read_duration(text: &str) -> Result<Duration, String> {
    measure(text, &TIMES).map(Duration::from_millis).map_err(|fault| {
        let Wrong { message, help, .. } = fault.of_time(text);
        help.map_or(message.clone(), |help| format!("{message}; {help}"))
    })
}

/// A size in bytes within `range`: `64KiB`, `1MiB`.
pub(super) fn size(node: &Node, range: RangeInclusive<u64>) -> Result<u64, Wrong> {
    let text = scalar(node, "a size, such as `64KiB`")?;
    let bounds = || {
        let (from, to) = (show_size(*range.start()), show_size(*range.end()));
        Wrong::new("range", "is out of its range").help(format!("write a size from `{from}` to `{to}`"))
    };
    match measure(text, &SIZES) {
        Ok(bytes) if range.contains(&bytes) => Ok(bytes),
        Ok(_) | Err(Fault::Overflow) => Err(bounds()),
        Err(fault) => Err(fault.of_size(text)),
    }
}

/// `span` as it would be written.
pub fn show_duration(span: Duration) -> String {
    show(u64::try_from(span.as_millis()).unwrap_or(u64::MAX), &TIMES, "0s")
}

pub(super) fn show_size(bytes: u64) -> String {
    show(bytes, &SIZES, "0B")
}

fn show(mut rest: u64, units: &[(&str, u64)], nothing: &str) -> String {
    let mut shown = String::new();
    for (unit, worth) in units {
        if rest >= *worth {
            shown += &format!("{}{unit}", rest / worth);
            rest %= worth;
        }
    }
    if shown.is_empty() { nothing.to_owned() } else { shown }
}

/// A regular expression for a span of time.
pub(super) fn duration_pattern() -> String {
    pattern(&TIMES)
}

/// A regular expression for a size.
pub(super) fn size_pattern() -> String {
    pattern(&SIZES)
}

/// What [`measure`] reads: the first part has any unit, each further one a smaller one.
fn pattern(units: &[(&str, u64)]) -> String {
    let from = |first: usize| {
        let rest = units[first + 1..].iter().map(|(unit, _)| format!("([0-9]+{unit})?"));
        format!("[0-9]+{}{}", units[first].0, rest.collect::<String>())
    };
    (0..units.len()).map(from).collect::<Vec<_>>().join("|")
}

/// Why a text is no quantity.
#[derive(Debug, PartialEq, Eq)]
enum Fault<'t> {
    NoUnit,
    Negative,
    Fraction,
    Unit(&'t str),
    Order,
    Overflow,
    Nonsense,
}

/// The sum of the parts of `text`, each a whole number and a unit, the larger units first.
fn measure<'t>(text: &'t str, units: &[(&str, u64)]) -> Result<u64, Fault<'t>> {
    let mut rest = text;
    let mut last = u64::MAX;
    let mut sum = 0_u64;
    if text.starts_with('-') {
        return Err(Fault::Negative);
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        if after.starts_with('.') && digits > 0 {
            return Err(Fault::Fraction);
        }
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(letters);
        if number.is_empty() {
            return Err(Fault::Nonsense);
        }
        let worth = match units.iter().find(|(name, _)| *name == unit) {
            Some((_, worth)) => *worth,
            None if unit.is_empty() => return Err(Fault::NoUnit),
            None => return Err(Fault::Unit(unit)),
        };
        if worth >= last {
            return Err(Fault::Order);
        }
        let part = number.parse::<u64>().ok().and_then(|it| it.checked_mul(worth));
        sum = part.and_then(|it| sum.checked_add(it)).ok_or(Fault::Overflow)?;
        (rest, last) = (next, worth);
    }
    if text.is_empty() { Err(Fault::Nonsense) } else { Ok(sum) }
}

impl Fault<'_> {
    fn of_time(&self, text: &str) -> Wrong {
        let units = "the units are `ms`, `s`, `m`, `h` and `d`";
        match self {
            Fault::NoUnit if text.chars().all(|c| c.is_ascii_digit()) => {
                let message = format!("is a number without a unit, write `{text}s` or `{text}ms`");
                Wrong::new("no-unit", message).help(units)
            }
            Fault::NoUnit => {
                Wrong::new("no-unit", format!("ends in a number without a unit: {}", quoted(text)))
                    .help(units)
            }
            Fault::Negative => Wrong::new("range", format!("is negative: {}", quoted(text)))
                .help("write a span of time, such as `30s`"),
            Fault::Fraction => Wrong::new("number", format!("is not a whole number: {}", quoted(text)))
                .help("write `500ms` for half a second, `1m30s` for a minute and a half"),
            Fault::Unit(unit) => unknown_unit(unit, text, time_unit(unit)).help_or(units),
            Fault::Order => Wrong::new("number", format!("is out of order: {}", quoted(text)))
                .help("write each unit once, the longest first, as in `1h30m`"),
            Fault::Overflow => too_long(),
            Fault::Nonsense => not_a(text, "a span of time", "write a number and a unit, such as `30s`"),
        }
    }

    fn of_size(&self, text: &str) -> Wrong {
        let units = "the units are `B`, `KiB`, `MiB` and `GiB`";
        match self {
            Fault::NoUnit => {
                Wrong::new("no-unit", format!("is a number without a unit, write {}", size_guess(text)))
                    .help(units)
            }
            Fault::Unit(unit) => unknown_unit(unit, text, size_unit(unit)).help_or(units),
            _ => not_a(text, "a size", "write a whole number and a unit, such as `64KiB`"),
        }
    }
}

impl Wrong {
    fn help_or(self, help: &str) -> Wrong {
        Wrong { help: self.help.or_else(|| Some(help.to_owned())), ..self }
    }
}

/// The two ways in which a size without a unit may be meant.
fn size_guess(text: &str) -> String {
    match text.parse::<u64>() {
        Ok(bytes) if bytes >= 1024 => format!("`{}`", show_size(bytes)),
        _ => format!("`{text}KiB` or `{text}MiB`"),
    }
}

fn unknown_unit(unit: &str, text: &str, meant: Option<&str>) -> Wrong {
    let wrong =
        Wrong::new("unit", format!("has an unknown unit {} in {}", quoted(unit.trim()), quoted(text)));
    match meant {
        Some(meant) => wrong.help(format!("write `{}`", text.replacen(unit, meant, 1))),
        None => wrong,
    }
}

fn time_unit(unit: &str) -> Option<&'static str> {
    match unit.trim().to_lowercase().as_str() {
        "s" | "sec" | "secs" | "second" | "seconds" => Some("s"),
        "ms" | "msec" | "millis" | "milliseconds" => Some("ms"),
        "m" | "min" | "mins" | "minute" | "minutes" => Some("m"),
        "h" | "hr" | "hour" | "hours" => Some("h"),
        "d" | "day" | "days" => Some("d"),
        _ => None,
    }
}

fn size_unit(unit: &str) -> Option<&'static str> {
    match unit.trim().to_lowercase().as_str() {
        "k" | "kb" | "kib" => Some("KiB"),
        "m" | "mb" | "mib" => Some("MiB"),
        "g" | "gb" | "gib" => Some("GiB"),
        "b" | "byte" | "bytes" => Some("B"),
        _ => None,
    }
}

fn not_a(text: &str, what: &str, help: &str) -> Wrong {
    Wrong::new("number", format!("is not {what}: {}", quoted(text))).help(help)
}

fn too_long() -> Wrong {
    Wrong::new("range", "is longer than 30 days")
        .help(format!("check the unit: {}", listed(["ms", "s", "m", "h", "d"], "or")))
}

fn scalar<'n>(node: &'n Node, what: &str) -> Result<&'n str, Wrong> {
    match &node.value {
        Value::Scalar { .. } if !node.is_null() => Ok(node.text().unwrap_or_default()),
        _ => Err(wants(what, node)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Node, Value, Zero, duration, duration_within, read_duration, show_duration, size};

    fn node(text: &str) -> Node {
        Node { span: 0..0, value: Value::Scalar { text: text.to_owned(), quoted: false } }
    }

    fn millis(text: &str) -> Result<u128, &'static str> {
        duration(&node(text), Zero::Refused).map(|it| it.as_millis()).map_err(|it| it.code)
    }

    #[test]
    fn a_span_of_time_is_numbers_with_units() {
        assert_eq!(millis("250ms"), Ok(250));
        assert_eq!(millis("30s"), Ok(30_000));
        assert_eq!(millis("1h30m"), Ok(5_400_000));
        assert_eq!(millis("1m1ms"), Ok(60_001));
        assert_eq!(millis("1d12h"), Ok(129_600_000));
    }

    #[test]
    fn what_is_wrong_with_a_span_of_time_is_told_apart() {
        for (text, code) in [
            ("5", "no-unit"),
            ("1m30", "no-unit"),
            ("-5s", "range"),
            ("0s", "zero"),
            ("0", "no-unit"),
            ("1.5s", "number"),
            ("30m1h", "number"),
            ("1s1s", "number"),
            ("5 s", "unit"),
            ("5sec", "unit"),
            ("s", "number"),
            ("soon", "number"),
            ("31d", "range"),
            ("1w", "unit"),
            ("99999999999999999999s", "range"),
            ("18446744073709551615h", "range"),
            ("721h", "range"),
        ] {
            assert_eq!(millis(text), Err(code), "{text}");
        }
    }

    #[test]
    fn zero_is_a_span_of_time_only_where_it_means_something() {
        for text in ["0", "0s", "0ms"] {
            assert_eq!(duration(&node(text), Zero::Allowed), Ok(Duration::ZERO), "{text}");
        }
    }

    #[test]
    fn a_span_of_time_may_have_a_range_of_its_own() {
        let range = Duration::from_secs(60)..=Duration::from_secs(90 * 24 * 60 * 60);
        let within = |text| duration_within(&node(text), range.clone()).map_err(|it| it.code);

        assert_eq!(within("90d"), Ok(Duration::from_secs(90 * 24 * 60 * 60)));
        for (text, code) in
            [("59s", "range"), ("0", "range"), ("91d", "range"), ("off", "range"), ("5", "no-unit")]
        {
            assert_eq!(within(text), Err(code), "{text}");
        }
    }

    #[test]
    fn a_wrong_unit_is_mended_in_place() {
        let help = |text| duration(&node(text), Zero::Refused).expect_err("it is wrong").help;

        assert_eq!(help("5 min").as_deref(), Some("write `5m`"));
        assert_eq!(help("5sec").as_deref(), Some("write `5s`"));
    }

    #[test]
    fn a_size_is_a_number_with_a_unit_within_its_range() {
        let bytes = |text: &str| size(&node(text), 1024..=1 << 24).map_err(|it| it.code);

        assert_eq!(bytes("64KiB"), Ok(65_536));
        assert_eq!(bytes("1MiB"), Ok(1 << 20));
        assert_eq!(bytes("65536"), Err("no-unit"));
        assert_eq!(bytes("64kb"), Err("unit"));
        assert_eq!(bytes("1GiB"), Err("range"));
        assert_eq!(bytes("1B"), Err("range"));
        assert_eq!(bytes("99999999999999GiB"), Err("range"));
        assert_eq!(bytes("-1KiB"), Err("number"));
    }

    #[test]
    fn a_span_of_time_may_come_from_elsewhere_than_the_file() {
        assert_eq!(read_duration("1d12h"), Ok(Duration::from_secs(36 * 60 * 60)));
        assert_eq!(
            read_duration("5"),
            Err("is a number without a unit, write `5s` or `5ms`; the units are `ms`, `s`, `m`, `h` and `d`"
                .to_owned())
        );
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for text in ["500ms", "30s", "1m30s", "2h", "30d"] {
            assert_eq!(duration(&node(text), Zero::Refused).map(show_duration), Ok(text.to_owned()));
        }
        assert_eq!(show_duration(Duration::ZERO), "0s");
    }
}
