//! One pool: who has which address.
//!
//! Decided here, without a clock, a disk or a socket. An address is free, held, or kept for whom it was.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Instant;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::kept::{Asker, Keep, Kept};
use super::ranges::Ranges;
use super::subnet::Subnet;
use super::{AddressError, KEPT_MAX};

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The network's gateway.
    Gateway,
    /// A container.
    Endpoint,
    /// Docker does not say: an auxiliary address, or one that it has had before it was started again.
    Unsaid,
}

/// An address that somebody has.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Held {
    pub(super) role: Role,
    pub(super) asker: Asker,
    /// Somebody before may not have given it back yet, so that it is not known who gives it back.
    pub(super) doubtful: bool,
    /// Since when it is known to this process.
    pub(super) since: Instant,
    /// Since when the engine has been seen to have nobody there.
    pub(super) missing_since: Option<Instant>,
    /// What tells this grant from another of the same address.
    pub(super) turn: u64,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    /// `None`: any.
    pub(super) address: Option<IpAddr>,
    pub(super) role: Role,
    pub(super) asker: Asker,
}

/// An address that is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) number: u128,
    pub(super) turn: u64,
    /// Who asks has it already.
    pub(super) again: bool,
}

/// A subnet, and what has become of its addresses.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) subnet: Subnet,
    /// What addresses are taken from unless one is asked for.
    sub_pool: Option<Subnet>,
    free: Ranges,
    held: BTreeMap<u128, Held>,
    kept: Keep,
    /// Where the search for the next address begins, so that the one that was given back last is
    /// given out last.
    next: u128,
    turns: u64,
}

impl Pool {
    pub(super) fn new(subnet: Subnet, sub_pool: Option<Subnet>) -> Pool {
        let (held, kept) = (BTreeMap::new(), Keep::default());
        Pool { subnet, sub_pool, free: Ranges::of(subnet.usable()), held, kept, next: 0, turns: 0 }
    }

    /// What addresses are taken from unless one is asked for.
    pub(super) fn sub_pool(&self) -> Option<Subnet> {
        self.sub_pool
    }

    pub(super) fn held(&self) -> impl Iterator<Item = (u128, &Held)> {
        self.held.iter().map(|(number, held)| (*number, held))
    }

    pub(super) fn held_mut(&mut self) -> impl Iterator<Item = (u128, &mut Held)> {
        self.held.iter_mut().map(|(number, held)| (*number, held))
    }

    /// Whether somebody has this address. Nobody has none.
    pub(super) fn has(&self, address: Option<IpAddr>) -> bool {
        address.and_then(|it| self.subnet.number(it)).is_some_and(|it| self.held.contains_key(&it))
    }

    pub(super) fn is_held(&self, number: u128) -> Option<&Held> {
        self.held.get(&number)
    }

    pub(super) fn is_kept(&self, number: u128) -> Option<&Kept> {
        self.kept.get(number)
    }

    pub(super) fn kept(&self) -> impl Iterator<Item = (u128, &Kept)> {
        self.kept.iter()
    }

    /// Takes up what was held before boathook was started.
    pub(super) fn restore_held(&mut self, number: u128, wish: Wish, doubtful: bool, now: Instant) {
        if wish.role == Role::Endpoint {
            self.next = self.next.max(number.wrapping_add(1));
        }
        self.hold(number, wish, doubtful, now);
    }

    /// Takes up what was kept before boathook was started.
    pub(super) fn restore_kept(&mut self, number: u128, kept: Kept) {
        if self.free.take(number) {
            self.kept.put(number, kept);
        }
    }

    /// Grants what is wished for.
    pub(super) fn grant(&mut self, wish: Wish, now: Timestamp, at: Instant) -> Result<Grant, AddressError> {
        let number = match wish.address {
            Some(address) => {
                let number = self
                    .subnet
                    .number(address)
                    .ok_or(AddressError::Elsewhere { address, subnet: self.subnet.net() })?;
                if let Some(held) = self.held.get(&number) {
                    return self.grant_again(number, held.role, &wish, at);
                }
                if !self.subnet.usable().contains(&number) {
                    return Err(AddressError::Reserved { address, subnet: self.subnet.net() });
                }
                number
            }
            None => self.choose(&wish, now).ok_or_else(|| AddressError::Exhausted {
                subnet: self.sub_pool.unwrap_or(self.subnet).net(),
                held: self.held.len(),
            })?,
        };
        let doubtful = self.kept.get(number).is_some_and(|it| it.swept);
        // What comes back to whom it was is not the next in turn.
        let is_in_turn = wish.address.is_none() && self.kept.get(number).is_none();
        if is_in_turn && wish.role == Role::Endpoint {
            self.next = number.wrapping_add(1);
        }
        let turn = self.hold(number, wish, doubtful, at);
        Ok(Grant { number, turn, again: false })
    }

    /// An address that is held is granted to whom it belongs: to the gateway, and to whatever the engine
    /// has had before it was started again, which it does not say. A container that asks for it by
    /// address is another one.
    fn grant_again(
        &mut self,
        number: u128,
        role: Role,
        wish: &Wish,
        at: Instant,
    ) -> Result<Grant, AddressError> {
        let is_same = match wish.role {
            Role::Gateway => role == Role::Gateway,
            Role::Unsaid => role != Role::Gateway,
            Role::Endpoint => false,
        };
        if !is_same {
            return Err(AddressError::InUse { address: self.subnet.address(number) });
        }
        self.turns += 1;
        let held = self.held.get_mut(&number).expect("it is held");
        (held.missing_since, held.since, held.turn) = (None, at, self.turns);
        Ok(Grant { number, turn: self.turns, again: true })
    }

    /// The address for who does not ask for a certain one.
    fn choose(&self, wish: &Wish, now: Timestamp) -> Option<u128> {
        let usable = self.subnet.usable();
        if wish.role == Role::Gateway {
            return self.free.first_in(usable.clone()).or_else(|| self.kept.next_over(&usable));
        }
        let range = self.range();
        let theirs = self.kept.of(&wish.asker, now).filter(|it| range.contains(it));
        theirs
            .or_else(|| self.free.next_in(range.clone(), self.next))
            // Rather than nothing, what is kept for somebody who may never come.
            .or_else(|| self.kept.next_over(&range))
    }

    /// What addresses are taken from.
    fn range(&self) -> RangeInclusive<u128> {
        let usable = self.subnet.usable();
        let Some(part) = self.sub_pool else { return usable };
        let (low, high) = part.numbers().into_inner();
        low.max(*usable.start())..=high.min(*usable.end())
    }

    fn hold(&mut self, number: u128, wish: Wish, doubtful: bool, since: Instant) -> u64 {
        self.free.take(number);
        self.kept.take(number);
        self.turns += 1;
        let Wish { role, asker, .. } = wish;
        let (missing_since, turn) = (None, self.turns);
        self.held.insert(number, Held { role, asker, doubtful, since, missing_since, turn });
        turn
    }

    /// Takes a grant back that nobody has been told of.
    pub(super) fn undo(&mut self, grant: Grant) {
        if !grant.again && self.held.get(&grant.number).is_some_and(|it| it.turn == grant.turn) {
            self.held.remove(&grant.number);
            self.free.put(grant.number);
        }
    }

    /// Takes an address back, to be kept until then for whom it was. `false`: nobody has it, or it is not
    /// known whether it is its holder who gives it back; the comparison with the engine finds out.
    pub(super) fn release(&mut self, number: u128, until: Option<Timestamp>) -> bool {
        if self.held.get(&number).is_none_or(|it| it.doubtful) {
            return false;
        }
        self.free(number, until.map(|until| (until, false)));
        true
    }

    /// Takes back what the engine has been seen to have nobody for. It is not given out until then if
    /// there is any other.
    pub(super) fn sweep(&mut self, number: u128, until: Timestamp) {
        self.free(number, Some((until, true)));
    }

    fn free(&mut self, number: u128, keep: Option<(Timestamp, bool)>) {
        let Some(held) = self.held.remove(&number) else { return };
        match keep {
            Some((until, swept)) => {
                self.kept.put(number, Kept { asker: held.asker, until, swept });
            }
            None => {
                self.free.put(number);
            }
        }
    }

    /// What is kept no longer at `now`: it is free again.
    pub(super) fn forget(&mut self, now: Timestamp) -> Vec<u128> {
        let over = self.kept.over(now, KEPT_MAX);
        for number in &over {
            self.kept.take(*number);
            self.free.put(*number);
        }
        over
    }
}

#[cfg(test)]
mod tests;
