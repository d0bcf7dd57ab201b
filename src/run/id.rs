//! The identity of a run.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The identity of a run, the same over all its attempts: scripts may use it as a key.
///
/// Sixteen characters of Crockford's base 32, in lower case: 48 bits of milliseconds and 32 bits
/// of counter, so that ids sort by the time of planning.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunId(Arc<str>);

impl RunId {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

    fn new(at: Timestamp, count: u32) -> RunId {
        let millis = u128::from(at.as_millisecond().unsigned_abs() & 0xffff_ffff_ffff);
        let bits = (millis << 32) | u128::from(count);
        let digit = |place: u32| RunId::ALPHABET[((bits >> (5 * place)) & 31) as usize] as char;
        RunId((0..16).rev().map(digit).collect::<String>().into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Gives out run ids. One for each daemon; it starts at a random place, so that two daemons one
/// after the other do not give the same id in the same millisecond.
#[derive(Debug)]
pub struct RunIds(AtomicU32);

impl RunIds {
    /// Ids that count on from `start`.
    pub fn from(start: u32) -> RunIds {
        RunIds(AtomicU32::new(start))
    }

    /// The next id.
    pub fn next(&self, at: Timestamp) -> RunId {
        RunId::new(at, self.0.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::RunIds;

    #[test]
    fn ids_sort_by_time_and_differ_within_one_millisecond() {
        let ids = RunIds::from(u32::MAX);
        let (first, second) = (ids.next(Timestamp::UNIX_EPOCH), ids.next(Timestamp::UNIX_EPOCH));
        let later = ids.next(Timestamp::from_millisecond(1).expect("in range"));

        assert_ne!(first, second);
        assert!(first < later && second < later);
        assert_eq!(first.as_str().len(), 16);
    }
}
