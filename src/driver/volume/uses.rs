//! Who uses a volume: its references, and what a call means for them.
//!
//! Docker mounts a volume for each of its users and names the use by an id that means nothing else: it is
//! neither a container's nor known outside of it. While a use lasts, the same id is mounted again for whoever
//! reaches into the container (`docker cp`), and unmounted again after that (`Setup` and `Cleanup` in moby,
//! `volume/mounts/mounts.go`), so the times of an id are counted. The first use mounts, the last one unmounts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An instant that no change of the clock moves: which boot of the machine, and how long it was up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// The boot's id, as the kernel makes it.
    pub boot: String,
    /// How long the machine has been up, suspended or not.
    pub up: Duration,
}

/// One use of a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// How far it is.
    pub stage: Stage,
    /// Where the volume is mounted, once it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mountpoint: Option<PathBuf>,
    /// Since when; the last time, if it was told more than once.
    pub since: Moment,
    /// How often it was told, and not taken back. Never zero.
    #[serde(default = "once")]
    pub times: u32,
}

fn once() -> u32 {
    1
}

/// How far a use is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// A script has been asked to mount, and has not answered.
    Begun,
    /// It is mounted, and Docker has been told.
    Held,
    /// Docker does not use it any more, but it could not be unmounted.
    Left,
}

/// The uses of one volume, by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses(BTreeMap<String, Use>);

/// What `Mount` has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mounting {
    /// Mount it.
    First,
    /// Nothing but note it: it is mounted there.
    Joins(PathBuf),
    /// Nothing but count: this use is known, and it is mounted there.
    Known(PathBuf),
}

/// What the last `Unmount` of a use has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmounting {
    /// Nothing: no such use is known.
    Unknown,
    /// Forget it: others use it still.
    Leaves,
    /// Unmount it, then forget this use and all that are left over.
    Last,
}

impl Uses {
    /// How many there are that Docker knows of.
    pub fn count(&self) -> usize {
        self.held().count()
    }

    /// Whether there is none, of whatever stage.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where it is mounted, if it is.
    pub fn mountpoint(&self) -> Option<&Path> {
        self.0.values().find_map(|it| it.mountpoint.as_deref())
    }

    /// The ids, in their order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// One of them.
    pub fn get(&self, id: &str) -> Option<&Use> {
        self.0.get(id)
    }

    /// All of them, by id.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Use)> {
        self.0.iter().map(|(id, it)| (id.as_str(), it))
    }

    /// Those that Docker knows of.
    pub fn held(&self) -> impl Iterator<Item = (&str, &Use)> {
        self.all().filter(|(_, it)| it.stage == Stage::Held)
    }

    /// Whether one of them is of this boot of the machine. What was mounted in another is not any more.
    pub fn are_of(&self, boot: &str) -> bool {
        self.0.values().any(|it| it.since.boot == boot)
    }

    /// What a `Mount` by `id` has to do.
    pub fn mounting(&self, id: &str) -> Mounting {
        let held = self.0.get(id).filter(|it| it.stage == Stage::Held);
        match (held.and_then(|it| it.mountpoint.as_ref()), self.mountpoint()) {
            (Some(known), _) => Mounting::Known(known.clone()),
            (None, Some(mounted)) => Mounting::Joins(mounted.to_owned()),
            (None, None) => Mounting::First,
        }
    }

    /// How often the use called `id` was told, and not taken back.
    pub fn times(&self, id: &str) -> u32 {
        self.held().find(|(held, _)| *held == id).map_or(0, |(_, it)| it.times)
    }

    /// What the last `Unmount` by `id` has to do.
    pub fn unmounting(&self, id: &str) -> Unmounting {
        if !self.0.contains_key(id) {
            return Unmounting::Unknown;
        }
        match self.held().any(|(other, _)| other != id) {
            true => Unmounting::Leaves,
            false => Unmounting::Last,
        }
    }

    /// Notes a use.
    pub fn put(&mut self, id: &str, it: Use) {
        self.0.insert(id.to_owned(), it);
    }

    /// Forgets a use.
    pub fn remove(&mut self, id: &str) {
        self.0.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Moment, Mounting, Stage, Unmounting, Use, Uses};

    fn moment() -> Moment {
        Moment { boot: "b".to_owned(), up: Duration::from_secs(1) }
    }

    fn uses(of: &[(&str, Stage)]) -> Uses {
        let mut uses = Uses::default();
        for (id, stage) in of {
            let mountpoint = (*stage != Stage::Begun).then(|| "/m".into());
            uses.put(id, Use { stage: *stage, mountpoint, since: moment(), times: 1 });
        }
        uses
    }

    #[test]
    fn the_first_use_mounts_and_the_others_join_it() {
        assert_eq!(uses(&[]).mounting("a"), Mounting::First);
        assert_eq!(uses(&[("a", Stage::Held)]).mounting("b"), Mounting::Joins("/m".into()));
        assert_eq!(uses(&[("a", Stage::Held)]).mounting("a"), Mounting::Known("/m".into()));
    }

    #[test]
    fn the_last_use_unmounts_once() {
        let two = uses(&[("a", Stage::Held), ("b", Stage::Held)]);

        assert_eq!(two.unmounting("a"), Unmounting::Leaves);
        assert_eq!(two.unmounting("c"), Unmounting::Unknown);
        let mut one = two;
        one.remove("a");
        assert_eq!(one.unmounting("b"), Unmounting::Last);
        one.remove("b");
        assert_eq!(one.unmounting("b"), Unmounting::Unknown);
    }

    #[test]
    fn what_could_not_be_unmounted_is_joined_and_does_not_count() {
        let left = uses(&[("a", Stage::Left)]);

        assert_eq!(left.count(), 0);
        assert_eq!(left.mounting("b"), Mounting::Joins("/m".into()));
        assert_eq!(left.mounting("a"), Mounting::Joins("/m".into()));
        assert_eq!(uses(&[("a", Stage::Left), ("b", Stage::Held)]).unmounting("b"), Unmounting::Last);
    }

    #[test]
    fn a_use_that_was_told_twice_is_one() {
        let mut twice = uses(&[("a", Stage::Held)]);
        twice.put("a", Use { times: 2, ..twice.get("a").cloned().expect("it is there") });

        assert_eq!((twice.count(), twice.times("a")), (1, 2));
        assert_eq!((twice.times("b"), uses(&[("b", Stage::Left)]).times("b")), (0, 0));
    }

    #[test]
    fn a_use_is_read_as_it_was_written() {
        let held = Use { stage: Stage::Held, mountpoint: Some("/m".into()), since: moment(), times: 2 };

        let text = serde_json::to_string(&held).expect("JSON");

        assert_eq!(serde_json::from_str::<Use>(&text).expect("a use"), held);
    }
}
