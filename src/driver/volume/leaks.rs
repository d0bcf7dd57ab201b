//! References that nobody will give back.
//!
//! An engine that was killed never unmounts what its containers used, if they had ended by the time that it
//! came back (moby: no `Unmount` is sent for a container found dead, on any of the engines that were
//! recorded). Which container a reference belongs to is not known; but if no container that is up uses the
//! volume, and nobody can just be about to, the reference is left over.

use std::time::Duration;

use super::uses::{Moment, Use, Uses};

/// How long no container that is up may be seen to use a volume before a reference counts as left over,
/// where nothing else tells. A start holds its reference before its container is up, and waits in gates for
/// less than two minutes each; `docker cp` from a stopped container holds one for as long as it copies.
const UNUSED_LIMIT: Duration = Duration::from_secs(15 * 60);

/// What was seen of the engine by one list of its containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// When the list was asked for.
    pub asked_at: Moment,
    /// The process that the engine is, if that is known.
    pub engine: Option<EngineSeen>,
}

/// The process that the engine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineSeen {
    /// Its id.
    pub pid: i32,
    /// For how long the machine was up when it began.
    pub since: Duration,
}

/// The references of a volume that are left over, and since when it is seen unused, if it is.
pub(super) fn leaked(
    uses: &Uses,
    is_used: bool,
    unused_since: Option<Duration>,
    sight: &Sight,
) -> (Vec<String>, Option<Duration>) {
    if is_used || uses.count() == 0 {
        return (Vec::new(), None);
    }
    let unused_since = unused_since.unwrap_or(sight.asked_at.up);
    let is_leaked = |it: &Use| {
        let of_an_engine_before = sight.engine.is_some_and(|engine| it.since.up < engine.since);
        let unused_for = sight.asked_at.up.saturating_sub(unused_since.max(it.since.up));
        it.since.boot != sight.asked_at.boot
            || (it.since.up <= sight.asked_at.up && (of_an_engine_before || unused_for >= UNUSED_LIMIT))
    };
    let leaked = uses.held().filter(|(_, it)| is_leaked(it)).map(|(id, _)| id.to_owned()).collect();
    (leaked, Some(unused_since))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::uses::{Moment, Stage, Use, Uses};
    use super::{EngineSeen, Sight, leaked};

    fn moment(seconds: u64) -> Moment {
        Moment { boot: "b".to_owned(), up: Duration::from_secs(seconds) }
    }

    fn uses(since: &[(&str, u64)]) -> Uses {
        let mut uses = Uses::default();
        for (id, since) in since {
            let mountpoint = Some("/m".into());
            let held = Use { stage: Stage::Held, mountpoint, since: moment(*since), times: 2 };
            uses.put(id, held);
        }
        uses
    }

    fn sight(asked: u64, engine: Option<u64>) -> Sight {
        let engine = engine.map(|it| EngineSeen { pid: 1, since: Duration::from_secs(it) });
        Sight { asked_at: moment(asked), engine }
    }

    #[test]
    fn what_an_engine_before_has_left_is_found_at_once() {
        let uses = uses(&[("old", 10), ("new", 30)]);

        let (found, _) = leaked(&uses, false, None, &sight(40, Some(20)));

        assert_eq!(found, ["old"]);
    }

    #[test]
    fn what_a_container_uses_is_left_alone() {
        let (found, unused) =
            leaked(&uses(&[("old", 10)]), true, Some(Duration::ZERO), &sight(100_000, Some(20)));

        assert_eq!((found.len(), unused), (0, None));
    }

    #[test]
    fn a_start_under_way_keeps_its_reference() {
        let uses = uses(&[("a", 30)]);

        let (found, unused) = leaked(&uses, false, None, &sight(31, Some(20)));
        assert_eq!((found.len(), unused), (0, Some(Duration::from_secs(31))));
        let (found, _) = leaked(&uses, false, unused, &sight(60, None));
        assert_eq!(found.len(), 0);
    }

    #[test]
    fn what_is_unused_for_long_is_left_over_even_of_the_same_engine() {
        let seen = Some(Duration::from_secs(40));

        assert_eq!(leaked(&uses(&[("a", 30)]), false, seen, &sight(40 + 899, None)).0.len(), 0);
        assert_eq!(leaked(&uses(&[("a", 30)]), false, seen, &sight(40 + 900, None)).0, ["a"]);
        let late = uses(&[("a", 800)]);
        assert_eq!(leaked(&late, false, seen, &sight(40 + 900, None)).0.len(), 0);
    }

    #[test]
    fn a_reference_younger_than_the_list_is_not_judged_by_it() {
        let (found, _) = leaked(&uses(&[("a", 50)]), false, None, &sight(40, Some(60)));

        assert_eq!(found.len(), 0);
    }

    #[test]
    fn the_machine_has_been_restarted_since() {
        let mut sight = sight(5, None);
        sight.asked_at.boot = "c".to_owned();

        assert_eq!(leaked(&uses(&[("a", 30)]), false, None, &sight).0, ["a"]);
    }
}
