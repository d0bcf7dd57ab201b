//! How often and how soon: the keys of a `retry`, of hooks and of their clean-ups.

use std::time::Duration;

use super::node::Node;
use super::quantity::{self, Zero, show_duration};
use super::report::{Report, Wrong};
use super::scalar;
use super::table::Field;
use crate::hook::Retry;

/// The most attempts: with any pause between them, more is a loop.
pub(super) const ATTEMPTS_MAX: i64 = 1000;

/// A `retry`, as written.
pub(super) struct Attempts<'d> {
    pub(super) max: Option<&'d Field>,
    pub(super) delay: Option<&'d Field>,
    pub(super) max_delay: Option<&'d Field>,
}

impl Attempts<'_> {
    /// What is written, and for the rest `default`; `None` once everything wrong with it is in `report`.
    pub(super) fn or(&self, default: Retry, report: &mut Report) -> Option<Retry> {
        let attempts = report.parse_or(self.max, default.max_attempts, |node| {
            let attempts = scalar::integer(node, 1..=ATTEMPTS_MAX)?;
            Ok(u32::try_from(attempts).expect("the range is far below 2^32"))
        });
        let delay = report.parse_or(self.delay, default.delay, |it| quantity::duration(it, Zero::Allowed));
        let longest = match (self.max_delay, delay) {
            (Some(field), delay) => report.parse(field, |node| longest_pause(node, delay)),
            (None, delay) => delay.map(|it| it.max(default.max_delay)),
        };
        Some(Retry { max_attempts: attempts?, delay: delay?, max_delay: longest? })
    }
}

fn longest_pause(node: &Node, first: Option<Duration>) -> Result<Duration, Wrong> {
    let longest = quantity::duration(node, Zero::Refused)?;
    match first {
        Some(first) if first > longest => {
            let (first, longest) = (show_duration(first), show_duration(longest));
            Err(Wrong::new("range", format!("is {longest}, less than the first `delay` of {first}"))
                .help(format!("write at least `{first}`")))
        }
        _ => Ok(longest),
    }
}
