//! What is held, compared with what the engine's networks list.
//!
//! An engine that was killed, or that did not reach boathook, gives nothing back that its networks or
//! containers had. What has been missing from its lists for long enough is taken back here. What is asked
//! for just now is in no list yet: nothing counts as missing in a list that was asked for before it was
//! granted, and it has to be missing for longer than a start can take ([`MISSING_MAX`]).

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::time::Instant;

use ipnet::IpNet;
use jiff::Timestamp;
use tracing::info;

use super::documents::Row;
use super::pool::{Held, Role};
use super::pools::{Claim, Known, LOCAL, Origin, PoolId, Pools};
use super::{MISSING_MAX, SWEPT_KEPT};

/// A network as the engine lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkSeen {
    /// Its id.
    pub id: String,
    /// Its subnets.
    pub subnets: Vec<IpNet>,
    /// `None`: its addresses are not ours to give. Else those that it has: of its containers, its gateway,
    /// auxiliary ones; none of it if they could not be looked up.
    pub ours: Option<Result<Vec<IpAddr>, Unseen>>,
}

/// A network was there when all were listed, and could not be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unseen;

/// When a list was asked for, and what the clock shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) asked_at: Instant,
    pub(super) now: Timestamp,
}

/// What was taken back.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Swept {
    pub(super) pools: Vec<PoolId>,
    pub(super) addresses: Vec<(PoolId, IpAddr)>,
    /// The scripts to be told, each with an address of its pool, or of the pool itself.
    pub(super) scripted: Vec<(Origin, PoolId, Option<IpAddr>)>,
    /// The rows that have changed by it.
    pub(super) rows: Vec<Row>,
}

impl Swept {
    /// Says so in the log.
    pub(super) fn tell(&self) {
        for pool in &self.pools {
            info!(pool = &**pool, "a pool that no network of the engine has is free");
        }
        for (pool, address) in &self.addresses {
            info!(pool = &**pool, %address, "an address that no container of the engine has is free");
        }
    }
}

impl Pools {
    /// Takes note of which networks there are, and takes back what none of them has had for long enough.
    pub(super) fn compare(&mut self, seen: &[NetworkSeen], times: Times) -> Swept {
        let mut swept = Swept::default();
        for (id, known) in self.iter_mut() {
            let subnet = known.pool.subnet.net();
            let users = seen
                .iter()
                .filter(|it| it.ours.is_some() && it.subnets.iter().any(|it| it.trunc() == subnet));
            let users: Vec<&NetworkSeen> = users.collect();
            known.networks = users.iter().map(|it| it.id.clone()).collect::<BTreeSet<_>>();
            known.claim = match (users.is_empty(), known.claim) {
                (false, _) => Claim::Made,
                (true, Claim::Unknown) => Claim::None,
                (true, claim) => claim,
            };
            // The tasks of a cluster run on other hosts as well, and its networks are not there before one
            // of their tasks is.
            if known.space != LOCAL {
                continue;
            }
            if users.is_empty() {
                if is_missing(&mut known.missing_since, known.since, times) {
                    swept.pools.push(id.clone());
                }
                continue;
            }
            known.missing_since = None;
            let lists: Result<Vec<&Vec<IpAddr>>, Unseen> = users
                .iter()
                .filter_map(|it| it.ours.as_ref())
                .map(|it| it.as_ref().map_err(|unseen| *unseen))
                .collect();
            // Of a network that cannot be looked up nothing is known.
            if let Ok(lists) = lists {
                let there: HashSet<IpAddr> = lists.into_iter().flatten().copied().collect();
                let gone = known.sweep(&there, times);
                swept.rows.extend(gone.iter().map(|it| Row::address(id, *it)));
                if let Some(origin) = &known.origin {
                    swept.scripted.extend(gone.iter().map(|it| (origin.clone(), id.clone(), Some(*it))));
                }
                swept.addresses.extend(gone.into_iter().map(|it| (id.clone(), it)));
            }
        }
        for id in &swept.pools {
            let known = self.remove(id).expect("it was there just now");
            swept.rows.extend(Row::all(id, &known));
            swept.scripted.extend(known.origin.map(|it| (it, id.clone(), None)));
        }
        swept
    }
}

impl Known {
    /// Takes back the addresses that are not `there`, and have not been for long enough.
    fn sweep(&mut self, there: &HashSet<IpAddr>, times: Times) -> Vec<IpAddr> {
        let subnet = self.pool.subnet;
        let mut gone = Vec::new();
        for (number, held) in self.pool.held_mut() {
            let address = subnet.address(number);
            if there.contains(&address) || held.role == Role::Gateway {
                held.missing_since = None;
            } else if held.is_missing(times) {
                gone.push((number, address));
            }
        }
        let until = times.now + SWEPT_KEPT;
        gone.iter().for_each(|(number, _)| self.pool.sweep(*number, until));
        gone.into_iter().map(|(_, address)| address).collect()
    }
}

impl Held {
    fn is_missing(&mut self, times: Times) -> bool {
        is_missing(&mut self.missing_since, self.since, times)
    }
}

/// Whether something that a list lacks has been lacking for long enough.
fn is_missing(missing_since: &mut Option<Instant>, since: Instant, times: Times) -> bool {
    if since >= times.asked_at {
        return false;
    }
    let missing_since = *missing_since.get_or_insert(times.asked_at);
    times.asked_at.saturating_duration_since(missing_since) >= MISSING_MAX
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::{Duration, Instant};

    use jiff::Timestamp;

    use super::super::kept::Asker;
    use super::super::pool::{Role, Wish};
    use super::super::pools::{Claim, LOCAL, Place, PoolId, PoolWish, Pools};
    use super::{NetworkSeen, Swept, Times, Unseen};

    /// A pool with a gateway, 10.1.0.1, and a container, 10.1.0.2, granted at `at`.
    fn pools(space: &str, at: Instant) -> (Pools, PoolId) {
        let mut pools = Pools::default();
        let subnet = Some("10.1.0.0/24".parse().expect("a subnet"));
        let wish = PoolWish { space: space.into(), subnet, range: None, v6: false, origin: None };
        let place = Place { defaults: &[], taken: &[], nonce: 0, now: Timestamp::UNIX_EPOCH, at };
        let id = pools.grant(wish, &place).expect("a pool").id;
        for role in [Role::Gateway, Role::Endpoint] {
            let wish = Wish { address: None, role, asker: Asker::default() };
            let pool = &mut pools.get_mut(&id).expect("it is there").pool;
            pool.grant(wish, Timestamp::UNIX_EPOCH, at).expect("an address");
        }
        (pools, id)
    }

    fn network(addresses: Result<&[&str], Unseen>) -> NetworkSeen {
        let addresses = addresses.map(|it| it.iter().map(|it| address(it)).collect());
        let subnets = vec!["10.1.0.0/24".parse().expect("a subnet")];
        NetworkSeen { id: "n".into(), subnets, ours: Some(addresses) }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    impl Pools {
        fn sees(&mut self, seen: &[NetworkSeen], start: Instant, second: u64) -> Swept {
            let asked_at = start + Duration::from_secs(second);
            let now = Timestamp::UNIX_EPOCH;
            self.compare(seen, Times { asked_at, now })
        }
    }

    #[test]
    fn an_address_that_no_container_has_had_for_long_is_taken_back() {
        let start = Instant::now();
        let (mut pools, id) = pools(LOCAL, start);
        let empty = [network(Ok(&[]))];

        assert_eq!(pools.sees(&empty, start, 60), Swept::default());
        assert_eq!(pools.sees(&empty, start, 239), Swept::default());
        let swept = pools.sees(&empty, start, 240);

        assert_eq!(swept.addresses, [(id.clone(), address("10.1.0.2"))], "the gateway stays");
        assert_eq!((swept.pools.len(), swept.rows.len()), (0, 1));
        assert_eq!(pools.sees(&empty, start, 999), Swept::default(), "once");
    }

    #[test]
    fn what_is_there_or_cannot_be_seen_or_was_just_asked_for_stays() {
        let start = Instant::now();
        let (mut pools, _) = pools(LOCAL, start + Duration::from_secs(100));
        let (there, empty) = ([network(Ok(&["10.1.0.2"]))], [network(Ok(&[]))]);

        for (seen, second) in [
            (&empty, 100),
            (&empty, 300),
            (&there, 400),
            (&empty, 500),
            (&[network(Err(Unseen))], 900),
            (&empty, 600),
        ] {
            assert_eq!(pools.sees(seen, start, second), Swept::default(), "at {second}");
        }
    }

    #[test]
    fn a_pool_that_no_network_has_had_for_long_goes_with_its_addresses() {
        let start = Instant::now();
        let (mut pools, id) = pools(LOCAL, start);
        let theirs = NetworkSeen { ours: None, ..network(Ok(&[])) };

        assert_eq!(pools.sees(&[], start, 1), Swept::default());
        let swept = pools.sees(&[theirs], start, 181);

        assert_eq!((swept.pools, swept.rows.len()), (vec![id], 3));
        assert!(pools.is_empty());
    }

    #[test]
    fn pools_of_a_cluster_are_its_managers_to_give_back() {
        let start = Instant::now();
        let (mut pools, _) = pools("global", start);

        assert_eq!(pools.sees(&[], start, 1), Swept::default());
        assert_eq!(pools.sees(&[], start, 9_999), Swept::default());
    }

    #[test]
    fn whether_the_engine_has_a_pool_is_known_once_it_has_told() {
        let start = Instant::now();
        let (mut pools, id) = pools(LOCAL, start);
        for (seen, before, after) in [
            (vec![network(Ok(&[]))], Claim::Unknown, Claim::Made),
            (vec![], Claim::Unknown, Claim::None),
            // Its network is being made.
            (vec![], Claim::Made, Claim::Made),
        ] {
            pools.get_mut(&id).expect("it is there").claim = before;
            pools.sees(&seen, start, 1);
            assert_eq!(pools.get(&id).expect("it is there").claim, after);
        }
    }

    #[test]
    fn an_engine_that_was_away_begins_anew() {
        let start = Instant::now();
        let (mut pools, _) = pools(LOCAL, start);
        let empty = [network(Ok(&[]))];

        assert_eq!(pools.sees(&empty, start, 60), Swept::default());
        pools.engine_is_away();

        assert_eq!(pools.sees(&empty, start, 300), Swept::default());
        assert_eq!(pools.sees(&empty, start, 480).addresses.len(), 1);
    }
}
