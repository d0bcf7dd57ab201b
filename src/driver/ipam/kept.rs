//! Addresses that nobody has, kept for whom they were.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Whom an address is for, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    /// What the container's label `boathook.ip.key` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The container's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its hardware address. Docker makes up another one for each start, unless it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
}

/// An address that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// For whom; for nobody if nothing is known of him.
    pub(super) asker: Asker,
    /// Until when.
    pub(super) until: Timestamp,
    /// It was not given back: the engine was found to have nobody there. Whoever has had it may still
    /// give it back.
    #[serde(default)]
    pub(super) swept: bool,
}

/// What is kept in a pool, by address, by whom it is for, and by time.
#[derive(Clone, Debug, Default)]
pub(super) struct Keep {
    kept: BTreeMap<u128, Kept>,
    by_time: BTreeSet<(Timestamp, u128)>,
    /// The latest address of each: `k`, `n` or `m`, and the key, name or hardware address.
    by_asker: HashMap<(char, String), u128>,
}

impl Keep {
    pub(super) fn get(&self, number: u128) -> Option<&Kept> {
        self.kept.get(&number)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u128, &Kept)> {
        self.kept.iter().map(|(number, kept)| (*number, kept))
    }

    pub(super) fn put(&mut self, number: u128, kept: Kept) {
        self.take(number);
        self.by_time.insert((kept.until, number));
        // What nobody has given back is for nobody.
        if !kept.swept {
            self.by_asker.extend(names(&kept.asker).map(|it| (it, number)));
        }
        self.kept.insert(number, kept);
    }

    pub(super) fn take(&mut self, number: u128) -> Option<Kept> {
        let kept = self.kept.remove(&number)?;
        self.by_time.remove(&(kept.until, number));
        for name in names(&kept.asker) {
            if self.by_asker.get(&name) == Some(&number) {
                self.by_asker.remove(&name);
            }
        }
        Some(kept)
    }

    /// The address that is kept for `asker`. Who has a name is not taken for another by a hardware
    /// address.
    pub(super) fn of(&self, asker: &Asker, now: Timestamp) -> Option<u128> {
        let is_known = asker.key.is_some() || asker.name.is_some();
        names(asker).filter(|(kind, _)| *kind != 'm' || !is_known).find_map(|name| {
            let number = *self.by_asker.get(&name)?;
            (self.kept[&number].until > now).then_some(number)
        })
    }

    /// What has been kept long enough at `now`, and of what is more than `max` the first to be.
    pub(super) fn over(&self, now: Timestamp, max: usize) -> Vec<u128> {
        let more = self.kept.len().saturating_sub(max);
        let by_time = self.by_time.iter().enumerate();
        by_time.take_while(|(nth, (until, _))| *nth < more || *until <= now).map(|(_, (_, it))| *it).collect()
    }

    /// Of those in `range` the one that is kept for the shortest time yet. Goes through all that are kept.
    pub(super) fn next_over(&self, range: &RangeInclusive<u128>) -> Option<u128> {
        self.by_time.iter().map(|(_, number)| *number).find(|it| range.contains(it))
    }
}

/// What somebody is known by, the surest first.
fn names(asker: &Asker) -> impl Iterator<Item = (char, String)> + use<> {
    let Asker { key, name, mac } = asker.clone();
    [('k', key), ('n', name), ('m', mac)].into_iter().filter_map(|(kind, it)| Some((kind, it?)))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{Asker, Keep, Kept};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn named(name: &str, mac: &str) -> Asker {
        Asker { key: None, name: Some(name.into()), mac: Some(mac.into()) }
    }

    fn keep(kept: &[(u128, Asker, i64)]) -> Keep {
        let mut keep = Keep::default();
        for (number, asker, until) in kept {
            keep.put(*number, Kept { asker: asker.clone(), until: at(*until), swept: false });
        }
        keep
    }

    #[test]
    fn the_latest_address_of_a_name_is_kept_for_it() {
        let mut keep = keep(&[(7, named("web", "a"), 10), (9, named("web", "b"), 20)]);

        assert_eq!(keep.of(&named("web", "c"), at(0)), Some(9));
        assert_eq!(keep.of(&named("web", "c"), at(20)), None);
        keep.take(9);
        assert_eq!(keep.of(&named("web", "c"), at(0)), None);
        assert_eq!(keep.iter().count(), 1);
    }

    #[test]
    fn a_key_goes_before_a_name_and_both_before_a_hardware_address() {
        let keyed = Asker { key: Some("db".into()), ..named("db-1", "a") };
        let keep = keep(&[(7, keyed, 10), (8, named("db-2", "b"), 10)]);

        assert_eq!(keep.of(&Asker { key: Some("db".into()), ..named("db-2", "c") }, at(0)), Some(7));
        assert_eq!(keep.of(&named("db-2", "a"), at(0)), Some(8));
        assert_eq!(keep.of(&named("db-3", "a"), at(0)), None);
        assert_eq!(keep.of(&Asker { mac: Some("a".into()), ..Asker::default() }, at(0)), Some(7));
        assert_eq!(keep.of(&Asker::default(), at(0)), None);
    }

    #[test]
    fn what_is_over_goes_in_the_order_of_time_and_so_does_what_is_too_much() {
        let keep = keep(&[(7, named("a", ""), 30), (8, named("b", ""), 10), (9, named("c", ""), 20)]);

        assert_eq!(keep.over(at(10), 9), [8]);
        assert_eq!(keep.over(at(0), 1), [8, 9]);
        assert_eq!(keep.next_over(&(9..=20)), Some(9));
    }
}
