//! Pools and addresses as the journal keeps them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Instant;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::kept::{Asker, Kept};
use super::pool::{Pool, Role, Wish};
use super::pools::{Claim, Known, Origin, PoolId, Pools};
use super::subnet::Subnet;
use crate::run::{Holding, HoldingKind};

/// What tells a row of the journal from all others: a pool, or an address of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) pool: PoolId,
    pub(super) address: Option<IpAddr>,
}

/// A pool.
#[derive(Debug, Serialize, Deserialize)]
struct PoolDocument {
    space: String,
    subnet: IpNet,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    range: Option<IpNet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    script: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    script_id: Option<String>,
    made_at: Timestamp,
}

/// An address.
#[derive(Debug, Serialize, Deserialize)]
struct AddressDocument {
    pool: String,
    address: IpAddr,
    #[serde(flatten)]
    state: State,
}

/// What has become of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Held {
        role: Role,
        #[serde(default)]
        asker: Asker,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        doubtful: bool,
    },
    Kept(Kept),
}

impl Row {
    pub(super) fn pool(id: &PoolId) -> Row {
        Row { pool: id.clone(), address: None }
    }

    pub(super) fn address(id: &PoolId, address: IpAddr) -> Row {
        Row { pool: id.clone(), address: Some(address) }
    }

    fn gone(&self) -> Holding {
        match self.address {
            None => Holding::gone(HoldingKind::Pool, &self.pool),
            Some(address) => Holding::gone(HoldingKind::Address, &key(&self.pool, address)),
        }
    }

    /// The row as it is to be now.
    pub(super) fn now(&self, pools: &Pools) -> Holding {
        let Some(known) = pools.get(&self.pool) else { return self.gone() };
        let Some(address) = self.address else {
            return Holding::of(HoldingKind::Pool, &self.pool, &PoolDocument::of(known));
        };
        let state = known.pool.subnet.number(address).and_then(|it| state_of(&known.pool, it));
        let Some(state) = state else { return self.gone() };
        let document = AddressDocument { pool: self.pool.to_string(), address, state };
        Holding::of(HoldingKind::Address, &key(&self.pool, address), &document)
    }

    /// All rows of a pool.
    pub(super) fn all(id: &PoolId, known: &Known) -> Vec<Row> {
        let pool = &known.pool;
        let numbers = pool.held().map(|(it, _)| it).chain(pool.kept().map(|(it, _)| it));
        let addresses = numbers.map(|it| Row::address(id, pool.subnet.address(it)));
        [Row::pool(id)].into_iter().chain(addresses).collect()
    }
}

fn key(id: &str, address: IpAddr) -> String {
    format!("{id} {address}")
}

fn state_of(pool: &Pool, number: u128) -> Option<State> {
    if let Some(held) = pool.is_held(number) {
        return Some(State::Held { role: held.role, asker: held.asker.clone(), doubtful: held.doubtful });
    }
    pool.is_kept(number).cloned().map(State::Kept)
}

impl PoolDocument {
    fn of(known: &Known) -> PoolDocument {
        let origin = known.origin.clone();
        PoolDocument {
            space: known.space.clone(),
            subnet: known.pool.subnet.net(),
            range: known.pool.sub_pool().map(Subnet::net),
            script: origin.as_ref().map(|it| it.script.clone()),
            script_id: origin.and_then(|it| it.id),
            made_at: known.made_at,
        }
    }

    fn known(self, now: Instant) -> Known {
        let id = self.script_id;
        Known {
            space: self.space,
            pool: Pool::new(Subnet::of(self.subnet), self.range.map(Subnet::of)),
            origin: self.script.map(|script| Origin { script, id }),
            made_at: self.made_at,
            claim: Claim::Unknown,
            since: now,
            missing_since: None,
            networks: BTreeSet::new(),
        }
    }
}

/// What was held when boathook was started, and what of it nothing stands behind any more.
pub(super) fn read(holdings: &[Holding], now: Instant) -> (Pools, Vec<Holding>) {
    let (mut pools, mut unreadable) = (Pools::default(), BTreeSet::new());
    let of = |kind| holdings.iter().filter(move |it| it.kind == kind);
    for holding in of(HoldingKind::Pool) {
        match holding.read::<PoolDocument>() {
            Ok(document) => pools.restore(holding.key.clone(), document.known(now)),
            Err(error) => {
                warn!(pool = &*holding.key, %error, "a pool in the journal cannot be read");
                unreadable.insert(&*holding.key);
            }
        }
    }
    let gave_way = |it: &&Holding| pools.get(&it.key).is_none() && !unreadable.contains(&*it.key);
    let mut stray: Vec<Holding> =
        of(HoldingKind::Pool).filter(gave_way).map(|it| Holding::gone(it.kind, &it.key)).collect();
    for holding in of(HoldingKind::Address) {
        match holding.read::<AddressDocument>() {
            Ok(document) if unreadable.contains(&*document.pool) => {}
            Ok(document) => {
                if !document.restore(&mut pools, now) {
                    stray.push(Holding::gone(holding.kind, &holding.key));
                }
            }
            Err(error) => warn!(address = &*holding.key, %error, "an address in the journal cannot be read"),
        }
    }
    (pools, stray)
}

impl AddressDocument {
    /// `false`: there is no such pool.
    fn restore(self, pools: &mut Pools, now: Instant) -> bool {
        let Ok(known) = pools.get_mut(&self.pool) else { return false };
        let Some(number) = known.pool.subnet.number(self.address) else { return false };
        match self.state {
            State::Held { role, asker, doubtful } => {
                known.pool.restore_held(number, Wish { address: None, role, asker }, doubtful, now);
            }
            State::Kept(kept) => known.pool.restore_kept(number, kept),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use jiff::Timestamp;

    use super::super::kept::Asker;
    use super::super::pool::{Role, Wish};
    use super::super::pools::{Origin, Place, PoolWish, Pools};
    use super::{Row, read};
    use crate::run::Holding;

    fn place(nonce: u32, second: i64) -> Place<'static> {
        let now = Timestamp::from_second(second).expect("in range");
        Place { defaults: &[], taken: &[], nonce, now, at: Instant::now() }
    }

    fn wish(subnet: &str) -> PoolWish {
        PoolWish {
            space: "local".into(),
            subnet: Some(subnet.parse().expect("a subnet")),
            range: None,
            v6: false,
            origin: Some(Origin { script: "dhcp".into(), id: Some("7".into()) }),
        }
    }

    /// A pool with an address that is held and one that is kept, and its rows.
    fn written(nonce: u32, second: i64) -> (Pools, Vec<Holding>) {
        let mut pools = Pools::default();
        let id = pools.grant(wish("10.1.0.0/16"), &place(nonce, second)).expect("a pool").id;
        let pool = &mut pools.get_mut(&id).expect("it is there").pool;
        for name in ["a", "b"] {
            let asker = Asker { name: Some(name.into()), ..Asker::default() };
            let wish = Wish { address: None, role: Role::Endpoint, asker };
            pool.grant(wish, Timestamp::UNIX_EPOCH, Instant::now()).expect("an address");
        }
        let kept = pool.subnet.number([10, 1, 0, 1].into()).expect("one of it");
        assert!(pool.release(kept, Some(Timestamp::MAX)));
        let holdings = pools.rows().iter().map(|it| it.now(&pools)).collect();
        (pools, holdings)
    }

    impl Pools {
        fn rows(&mut self) -> Vec<Row> {
            self.iter_mut().flat_map(|(id, known)| Row::all(id, known)).collect()
        }
    }

    #[test]
    fn what_is_written_is_what_there_was() {
        let (_, holdings) = written(1, 0);

        let (mut pools, stray) = read(&holdings, Instant::now());

        assert_eq!(holdings.len(), 3);
        assert_eq!(stray, []);
        let rows = pools.rows();
        assert_eq!(rows.iter().map(|it| it.now(&pools)).collect::<Vec<_>>(), holdings);
    }

    #[test]
    fn rows_of_what_is_gone_are_taken_out() {
        let (mut pools, _) = written(1, 0);
        let rows = pools.rows();

        pools.remove(&rows[0].pool);

        assert!(rows.iter().all(|it| it.now(&pools).document.is_none()));
    }

    #[test]
    fn the_later_of_two_pools_that_overlap_stays() {
        let ((_, older), (_, newer)) = (written(1, 0), written(2, 1));
        let both: Vec<Holding> = newer.iter().chain(&older).cloned().collect();

        let (mut pools, stray) = read(&both, Instant::now());

        assert_eq!(pools.rows()[0], Row::pool(&newer[0].key));
        let gone: Vec<_> = stray.iter().map(|it| &*it.key).collect();
        assert_eq!(gone, older.iter().map(|it| &*it.key).collect::<Vec<_>>());
    }
}
