//! All pools: which subnets there are, and whose they are.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

use ipnet::IpNet;
use jiff::Timestamp;

use super::IpamError;
use super::defaults::{self, DefaultPools};
use super::pool::Pool;
use super::subnet::Subnet;

/// A pool's id, as the engine is told it.
pub(super) type PoolId = Arc<str>;

/// The address space of networks of this host. Those of a cluster are its managers' to give back.
pub(super) const LOCAL: &str = "local";

/// Where the answers for a pool come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// The name of the script.
    pub(super) script: String,
    /// What the script calls the pool, if it has said so.
    pub(super) id: Option<String>,
}

/// A pool that is there.
#[derive(Debug)]
pub(super) struct Known {
    /// The address space that it was asked for in.
    pub(super) space: String,
    pub(super) pool: Pool,
    /// `None`: it is answered for here.
    pub(super) origin: Option<Origin>,
    /// When it was made.
    pub(super) made_at: Timestamp,
    pub(super) claim: Claim,
    /// Since when it is known to this process.
    pub(super) since: Instant,
    /// Since when the engine has been seen to have no network with it.
    pub(super) missing_since: Option<Instant>,
    /// The networks that have been seen to have it.
    pub(super) networks: BTreeSet<String>,
}

/// Whether the engine as it runs now has a network with a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// It has, or is about to. Whoever asks for the pool asks for another network.
    Made,
    /// It has not. Whoever asks for the pool may have it.
    None,
    /// Boathook was started a moment ago, and does not know whether the engine has been as well.
    Unknown,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct PoolWish {
    pub(super) space: String,
    /// `None`: any.
    pub(super) subnet: Option<IpNet>,
    pub(super) range: Option<IpNet>,
    pub(super) v6: bool,
    pub(super) origin: Option<Origin>,
}

/// What is granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PoolGrant {
    pub(super) id: PoolId,
    /// The engine has it already.
    pub(super) again: bool,
}

/// All pools.
#[derive(Debug, Default)]
pub(super) struct Pools {
    pools: BTreeMap<PoolId, Known>,
    /// The pools of each space by their first number. They do not overlap.
    by_first: BTreeMap<(String, bool, u128), PoolId>,
}

impl Pools {
    pub(super) fn is_empty(&self) -> bool {
        self.pools.is_empty()
    }

    pub(super) fn get(&self, id: &str) -> Option<&Known> {
        self.pools.get(id)
    }

    /// The pool of `space` that has this very subnet.
    pub(super) fn of(&self, space: &str, subnet: Subnet) -> Option<&PoolId> {
        self.by_first.get(&place_of(space, subnet)).filter(|id| self.pools[*id].pool.subnet == subnet)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Result<&mut Known, IpamError> {
        self.pools.get_mut(id).ok_or_else(|| IpamError::UnknownPool { id: id.to_owned() })
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&PoolId, &mut Known)> {
        self.pools.iter_mut()
    }

    /// Grants what is wished for. `nonce` tells its id from that of any other with its subnet.
    pub(super) fn grant(&mut self, wish: PoolWish, place: &Place<'_>) -> Result<PoolGrant, IpamError> {
        let (subnet, range) = self.settle(&wish, place)?;
        if let Some(other) = self.overlapping(&wish.space, subnet) {
            let id = other.clone();
            let known = self.pools.get_mut(&id).expect("it is in both maps");
            let is_same = known.pool.subnet == subnet
                && known.pool.sub_pool() == range
                && known.origin.as_ref().map(|it| &it.script) == wish.origin.as_ref().map(|it| &it.script);
            // An engine that starts asks for what it had; one that runs does so for another network.
            if !is_same || known.claim == Claim::Made {
                let (subnet, other) = (subnet.net(), known.pool.subnet.net());
                return Err(IpamError::Overlaps { subnet, other });
            }
            (known.claim, known.since, known.missing_since) = (Claim::Made, place.at, None);
            return Ok(PoolGrant { id, again: true });
        }
        let id: PoolId = format!("boathook/{}/{}/{:08x}", wish.space, subnet.net(), place.nonce).into();
        let known = Known {
            space: wish.space,
            pool: Pool::new(subnet, range),
            origin: wish.origin,
            made_at: place.now,
            claim: Claim::Made,
            since: place.at,
            missing_since: None,
            networks: BTreeSet::new(),
        };
        self.put(id.clone(), known);
        Ok(PoolGrant { id, again: false })
    }

    /// The subnet that is granted if nobody has it, and its part that addresses are taken from.
    fn settle(&self, wish: &PoolWish, place: &Place<'_>) -> Result<(Subnet, Option<Subnet>), IpamError> {
        let subnet = match (wish.subnet, wish.range) {
            (Some(subnet), _) => Subnet::of(subnet),
            (None, Some(range)) => return Err(IpamError::RangeAlone { range }),
            (None, None) => {
                let ours = self.pools.values().map(|it| it.pool.subnet.net());
                let taken = ours.chain(place.taken.iter().copied());
                defaults::choose(place.defaults, wish.v6, taken)
                    .ok_or(IpamError::NoDefault { v6: wish.v6 })?
            }
        };
        if subnet.is_v6() != wish.v6 {
            return Err(IpamError::OtherKind { subnet: subnet.net(), v6: wish.v6 });
        }
        if let Some(what) = unfit(subnet.net()) {
            return Err(IpamError::Unfit { subnet: subnet.net(), what });
        }
        let range = wish.range.map(Subnet::of);
        match range {
            Some(range) if !subnet.contains(range) => {
                Err(IpamError::RangeElsewhere { range: range.net(), subnet: subnet.net() })
            }
            _ => Ok((subnet, range)),
        }
    }

    /// Takes up what was there before boathook was started. Of two that overlap the later one stays: that
    /// the other was given back did not come to the disk.
    pub(super) fn restore(&mut self, id: PoolId, known: Known) {
        while let Some(other) = self.overlapping(&known.space, known.pool.subnet).cloned() {
            if self.pools[&other].made_at >= known.made_at {
                return;
            }
            self.remove(&other);
        }
        self.put(id, known);
    }

    fn put(&mut self, id: PoolId, known: Known) {
        self.by_first.insert(place_of(&known.space, known.pool.subnet), id.clone());
        self.pools.insert(id, known);
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Known> {
        let known = self.pools.remove(id)?;
        self.by_first.remove(&place_of(&known.space, known.pool.subnet));
        Some(known)
    }

    /// A pool of `space` that overlaps with `subnet`.
    fn overlapping(&self, space: &str, subnet: Subnet) -> Option<&PoolId> {
        let (first, last) = subnet.numbers().into_inner();
        let key = |number| (space.to_owned(), subnet.is_v6(), number);
        let before = self.by_first.range((Bound::Included(key(0)), Bound::Included(key(first)))).next_back();
        let inside = self.by_first.range((Bound::Included(key(first)), Bound::Included(key(last)))).next();
        let mut near = before.into_iter().chain(inside).map(|(_, id)| id);
        near.find(|id| self.pools[*id].pool.subnet.overlaps(subnet))
    }

    /// Whether it is unknown that the engine has the very subnet of `wish`.
    pub(super) fn is_open(&self, wish: &PoolWish) -> bool {
        let id = wish.subnet.and_then(|it| self.of(&wish.space, Subnet::of(it)));
        id.is_some_and(|id| self.pools[id].claim == Claim::Unknown)
    }

    /// The engine does not tell which networks it has: it starts, and asks for what it had.
    pub(super) fn engine_is_silent(&mut self) {
        let unknown = self.pools.values_mut().filter(|it| it.claim == Claim::Unknown);
        unknown.for_each(|it| it.claim = Claim::None);
    }

    /// The engine is away: when it comes back it may ask for all that it had.
    pub(super) fn engine_is_away(&mut self) {
        for known in self.pools.values_mut() {
            (known.claim, known.missing_since) = (Claim::None, None);
            known.pool.held_mut().for_each(|(_, held)| held.missing_since = None);
        }
    }
}

/// What a new pool is made with.
#[derive(Debug)]
pub(super) struct Place<'a> {
    /// Where subnets are taken from that nobody asks for.
    pub(super) defaults: &'a [DefaultPools],
    /// What they must not overlap with, own pools apart.
    pub(super) taken: &'a [IpNet],
    /// What tells its id from that of any other with its subnet.
    pub(super) nonce: u32,
    pub(super) now: Timestamp,
    pub(super) at: Instant,
}

/// What the addresses of a subnet are, if no container can have them.
fn unfit(subnet: IpNet) -> Option<&'static str> {
    let is = subnet.network();
    let kinds = [
        (is.is_loopback(), "loopback"),
        (is.is_multicast(), "multicast"),
        (is.is_unspecified(), "unspecified"),
    ];
    kinds.into_iter().find_map(|(is_one, what)| is_one.then_some(what))
}

fn place_of(space: &str, subnet: Subnet) -> (String, bool, u128) {
    (space.to_owned(), subnet.is_v6(), *subnet.numbers().start())
}

#[cfg(test)]
mod tests;
