//! A subnet, and its addresses as numbers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use ipnet::IpNet;

/// A subnet. Its address is the first of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Subnet(IpNet);

impl Subnet {
    /// The subnet that `net` is in; what it says of a host in it does not count.
    pub(super) fn of(net: IpNet) -> Subnet {
        Subnet(net.trunc())
    }

    pub(super) fn net(self) -> IpNet {
        self.0
    }

    pub(super) fn is_v6(self) -> bool {
        matches!(self.0, IpNet::V6(_))
    }

    /// All its numbers.
    pub(super) fn numbers(self) -> RangeInclusive<u128> {
        number(self.0.network())..=number(self.0.broadcast())
    }

    /// The numbers that may be somebody's address: not the network's and the broadcast address of IPv4
    /// (except where there are only two addresses or one, RFC 3021), nor the anycast address of routers
    /// of IPv6 (RFC 4291, 2.6.1).
    pub(super) fn usable(self) -> RangeInclusive<u128> {
        let (first, last) = self.numbers().into_inner();
        let host_bits = self.0.max_prefix_len() - self.0.prefix_len();
        match self.0 {
            _ if host_bits < 2 => first..=last,
            IpNet::V4(_) => first + 1..=last - 1,
            IpNet::V6(_) => first + 1..=last,
        }
    }

    /// `address` as a number, if it is one of these.
    pub(super) fn number(self, address: IpAddr) -> Option<u128> {
        self.0.contains(&address).then(|| number(address))
    }

    /// The address that `number` stands for.
    pub(super) fn address(self, number: u128) -> IpAddr {
        match self.0 {
            IpNet::V4(_) => Ipv4Addr::from(u32::try_from(number).expect("a number of an IPv4 subnet")).into(),
            IpNet::V6(_) => Ipv6Addr::from(number).into(),
        }
    }

    /// The address that `number` stands for, with the length of the prefix.
    pub(super) fn with_prefix(self, number: u128) -> IpNet {
        IpNet::new(self.address(number), self.0.prefix_len()).expect("the length is that of a subnet")
    }

    pub(super) fn overlaps(self, other: Subnet) -> bool {
        self.0.contains(&other.0) || other.0.contains(&self.0)
    }

    pub(super) fn contains(self, other: Subnet) -> bool {
        self.0.contains(&other.0)
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(it) => u32::from(it).into(),
        IpAddr::V6(it) => it.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::Subnet;

    fn usable(text: &str) -> (String, String) {
        let subnet = Subnet::of(text.parse().expect("a subnet"));
        let (first, last) = subnet.usable().into_inner();
        (subnet.address(first).to_string(), subnet.address(last).to_string())
    }

    #[test]
    fn nobody_gets_the_addresses_of_the_network_itself() {
        for (subnet, first, last) in [
            ("10.0.0.77/24", "10.0.0.1", "10.0.0.254"),
            ("10.0.0.0/30", "10.0.0.1", "10.0.0.2"),
            ("10.0.0.0/31", "10.0.0.0", "10.0.0.1"),
            ("10.0.0.7/32", "10.0.0.7", "10.0.0.7"),
            ("0.0.0.0/0", "0.0.0.1", "255.255.255.254"),
            ("fd00::/126", "fd00::1", "fd00::3"),
            ("fd00::/64", "fd00::1", "fd00::ffff:ffff:ffff:ffff"),
            ("fd00::/127", "fd00::", "fd00::1"),
        ] {
            assert_eq!(usable(subnet), (first.into(), last.into()), "{subnet}");
        }
    }

    #[test]
    fn addresses_of_other_subnets_and_of_the_other_kind_have_no_number() {
        let subnet = Subnet::of("10.0.0.0/24".parse().expect("a subnet"));

        let number = subnet.number([10, 0, 0, 9].into()).expect("one of it");
        assert_eq!(subnet.with_prefix(number).to_string(), "10.0.0.9/24");
        assert_eq!(subnet.number([10, 0, 1, 9].into()), None);
        assert_eq!(subnet.number("::ffff:10.0.0.9".parse().expect("an address")), None);
    }
}
