//! A set of numbers, kept as ranges.
//!
//! What is free in a pool is a handful of ranges, however large the pool: a /64 of IPv6 costs as much as
//! a /30. Everything here takes time in the logarithm of their count.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Numbers, as ranges that neither meet nor overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges {
    /// Where each begins, and its last number.
    last_of: BTreeMap<u128, u128>,
}

impl Ranges {
    /// The numbers of `range`; none if it is empty.
    pub(super) fn of(range: RangeInclusive<u128>) -> Ranges {
        let mut ranges = Ranges::default();
        if !range.is_empty() {
            ranges.last_of.insert(*range.start(), *range.end());
        }
        ranges
    }

    /// Takes `number` out. `false`: it was not there.
    pub(super) fn take(&mut self, number: u128) -> bool {
        let Some((first, last)) = self.around(number) else { return false };
        self.last_of.remove(&first);
        if first < number {
            self.last_of.insert(first, number - 1);
        }
        if number < last {
            self.last_of.insert(number + 1, last);
        }
        true
    }

    /// Puts `number` in. `false`: it was there.
    pub(super) fn put(&mut self, number: u128) -> bool {
        if self.around(number).is_some() {
            return false;
        }
        let before = number.checked_sub(1).and_then(|it| self.around(it));
        let after = number.checked_add(1).and_then(|it| self.around(it));
        if let Some((first, _)) = after {
            self.last_of.remove(&first);
        }
        let first = before.map_or(number, |(first, _)| first);
        self.last_of.insert(first, after.map_or(number, |(_, last)| last));
        true
    }

    /// The least number of `range` that is there.
    pub(super) fn first_in(&self, range: RangeInclusive<u128>) -> Option<u128> {
        if range.is_empty() {
            return None;
        }
        if self.around(*range.start()).is_some() {
            return Some(*range.start());
        }
        self.last_of.range(range).next().map(|(first, _)| *first)
    }

    /// The first number at or after `from` within `range`, and else, from the beginning of `range` on.
    pub(super) fn next_in(&self, range: RangeInclusive<u128>, from: u128) -> Option<u128> {
        let (low, high) = (*range.start(), *range.end());
        let from = if range.contains(&from) { from } else { low };
        self.first_in(from..=high).or_else(|| self.first_in(low..=high))
    }

    /// The range that `number` is in.
    fn around(&self, number: u128) -> Option<(u128, u128)> {
        let (first, last) = self.last_of.range(..=number).next_back()?;
        (number <= *last).then_some((*first, *last))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::{Strategy, any, prop_assert_eq, prop_oneof, proptest};

    use super::Ranges;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Take(u128),
        Put(u128),
        Next { low: u128, high: u128, from: u128 },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let number = || (any::<u8>()).prop_map(|it| u128::from(it % 48));
        let step = prop_oneof![
            number().prop_map(Step::Take),
            number().prop_map(Step::Put),
            (number(), number(), number()).prop_map(|(low, high, from)| Step::Next { low, high, from }),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn ranges_hold_what_a_plain_set_holds(steps in steps()) {
            let mut ranges = Ranges::of(4..=40);
            let mut plain: BTreeSet<u128> = (4..=40).collect();
            for step in steps {
                match step {
                    Step::Take(it) => prop_assert_eq!(ranges.take(it), plain.remove(&it)),
                    Step::Put(it) => prop_assert_eq!(ranges.put(it), plain.insert(it)),
                    Step::Next { low, high, from } => {
                        let inside: Vec<u128> = plain.iter().copied().filter(|it| (low..=high).contains(it)).collect();
                        let from = if (low..=high).contains(&from) { from } else { low };
                        let next = inside.iter().find(|it| **it >= from).or(inside.first()).copied();
                        prop_assert_eq!(ranges.next_in(low..=high, from), next);
                    }
                }
                let apart = ranges.last_of.iter().zip(ranges.last_of.iter().skip(1));
                prop_assert_eq!(apart.filter(|((_, last), (first, _))| **last + 1 >= **first).count(), 0);
            }
        }
    }

    #[test]
    fn the_ends_of_all_numbers_can_be_taken_and_put_back() {
        let mut ranges = Ranges::of(0..=u128::MAX);

        assert!(ranges.take(0) && ranges.take(u128::MAX));
        assert_eq!(ranges.first_in(0..=u128::MAX), Some(1));
        assert!(ranges.put(u128::MAX) && ranges.put(0));
        assert_eq!(ranges, Ranges::of(0..=u128::MAX));
    }
}
