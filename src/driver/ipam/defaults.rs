//! Which subnet a network gets that names none.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::subnet::Subnet;

/// A range of addresses that is cut into subnets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultPools {
    /// The whole range.
    pub base: IpNet,
    /// The length of each subnet's prefix, in bits; at least that of `base`.
    pub size: u8,
}

/// The first subnet of these ranges that overlaps with nothing that is taken. Takes time in the logarithm of
/// what is taken, for each of it that is passed by.
pub(super) fn choose(
    pools: &[DefaultPools],
    v6: bool,
    taken: impl IntoIterator<Item = IpNet>,
) -> Option<Subnet> {
    let taken = Taken::of(taken.into_iter().map(Subnet::of).filter(|it| it.is_v6() == v6));
    let of_kind = pools.iter().filter(|it| matches!(it.base, IpNet::V6(_)) == v6);
    of_kind.into_iter().find_map(|it| taken.first_outside(*it))
}

/// Numbers that are taken, in ranges that do not overlap: where each begins, and its last.
struct Taken(BTreeMap<u128, u128>);

impl Taken {
    fn of(subnets: impl Iterator<Item = Subnet>) -> Taken {
        let mut all = BTreeMap::new();
        for subnet in subnets {
            let (first, last) = subnet.numbers().into_inner();
            // Subnets overlap only where one is in the other.
            let around = all.range(..=first).next_back().is_some_and(|(_, it)| *it >= last);
            if !around {
                let inside: Vec<u128> = all.range(first..=last).map(|(it, _)| *it).collect();
                inside.iter().for_each(|it| {
                    all.remove(it);
                });
                all.insert(first, last);
            }
        }
        Taken(all)
    }

    fn first_outside(&self, pools: DefaultPools) -> Option<Subnet> {
        let base = Subnet::of(pools.base);
        let (mut first, end) = base.numbers().into_inner();
        let host_bits = u32::from(pools.base.max_prefix_len() - pools.size);
        let last_of_all = 1_u128.checked_shl(host_bits)?.wrapping_sub(1);
        loop {
            let last = first.checked_add(last_of_all).filter(|it| *it <= end)?;
            match self.0.range(..=last).next_back() {
                Some((_, taken)) if *taken >= first => {
                    // On to the first subnet that begins behind it.
                    first = (taken | last_of_all).checked_add(1)?;
                }
                _ => break,
            }
        }
        Some(Subnet::of(IpNet::new(base.address(first), pools.size).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;
    use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

    use super::{DefaultPools, Subnet, choose};

    fn net(text: &str) -> IpNet {
        text.parse().expect("a subnet")
    }

    fn pools(all: &[(&str, u8)]) -> Vec<DefaultPools> {
        all.iter().map(|(base, size)| DefaultPools { base: net(base), size: *size }).collect()
    }

    fn chosen(all: &[(&str, u8)], v6: bool, taken: &[&str]) -> Option<String> {
        let subnet = choose(&pools(all), v6, taken.iter().map(|it| net(it)));
        subnet.map(|it| it.net().to_string())
    }

    #[test]
    fn the_first_that_meets_nothing_is_chosen() {
        let all = [("10.0.0.0/22", 24), ("fd00::/62", 64), ("10.9.0.0/16", 24)];
        for (v6, taken, subnet) in [
            (false, &[][..], "10.0.0.0/24"),
            (false, &["10.0.0.0/24", "fd00::/64"], "10.0.1.0/24"),
            (false, &["10.0.0.77/32", "10.0.2.0/23"], "10.0.1.0/24"),
            (false, &["10.0.0.0/16", "10.0.1.0/24"], "10.9.0.0/24"),
            (false, &["10.0.0.0/24", "10.0.1.128/25", "10.0.3.0/24"], "10.0.2.0/24"),
            (true, &["10.0.0.0/24", "fd00::/63"], "fd00:0:0:2::/64"),
        ] {
            assert_eq!(chosen(&all, v6, taken).as_deref(), Some(subnet), "{taken:?}");
        }
        assert_eq!(chosen(&all, false, &["0.0.0.0/0"]), None);
        assert_eq!(chosen(&all[..1], true, &[]), None);
    }

    #[test]
    fn the_ends_of_all_addresses_are_no_obstacle() {
        assert_eq!(chosen(&[("255.255.255.0/24", 24)], false, &["255.255.255.0/25"]), None);
        let last = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffc/126";
        assert_eq!(chosen(&[(last, 126)], true, &[last]), None);
        assert_eq!(chosen(&[("0.0.0.0/0", 8)], false, &["0.0.0.0/1"]).as_deref(), Some("128.0.0.0/8"));
    }

    fn taken() -> impl Strategy<Value = Vec<IpNet>> {
        let one = any::<(u8, u8)>().prop_map(|(host, length)| {
            IpNet::new([10, 0, host / 16, host << 4].into(), 18 + length % 15).expect("short enough")
        });
        proptest::collection::vec(one, 0..20)
    }

    proptest! {
        #[test]
        fn it_is_the_one_that_trying_all_finds(taken in taken()) {
            let base = net("10.0.0.0/20");
            let all = base.subnets(26).expect("longer");
            let free = all.into_iter().find(|it| {
                taken.iter().all(|other| !other.contains(it) && !it.contains(&other.trunc()))
            });
            let chosen = choose(&[DefaultPools { base, size: 26 }], false, taken.clone());
            prop_assert_eq!(chosen.map(Subnet::net), free);
            prop_assert!(free.is_none_or(|it| base.contains(&it)));
        }
    }
}
