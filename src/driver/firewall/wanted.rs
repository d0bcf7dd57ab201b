//! What the rules are for: networks, and the ports that are published into them.
//!
//! All of it is data that can be rendered as it is: a name that could be mistaken for something else on
//! the line of a rule cannot be made.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Every network that the host's rules have to know. What is not in here has no rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// In any order; each bridge once.
    pub networks: Vec<Network>,
}

/// A bridge, who may pass it, and what is published behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Need not be there yet: rules match by name.
    pub bridge: Bridge,
    /// At most one of each family is usual, more are fine. A family without a subnet has no rules.
    pub subnets: Vec<Subnet>,
    /// What goes in and out besides the traffic of the bridge itself.
    pub outside: Outside,
    /// Nothing is published into a network that is [`Outside::Closed`], whatever is in here.
    pub published: Vec<Published>,
}

/// What goes in and out of a network besides the traffic of the bridge itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// Nothing: an internal network.
    Closed,
    /// Its containers are seen with their own addresses, and somebody else has to route back to them.
    Routed,
    /// Its containers are seen with the address of the host.
    Masqueraded,
}

/// A port of the host that leads to a port of a container.
///
/// Both addresses are of one family. The host's may be unspecified (`0.0.0.0`, `::`): every address of
/// the host then. No port is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Published {
    /// What is spoken.
    pub protocol: Protocol,
    /// Where it is reached.
    pub host: SocketAddr,
    /// Who is reached.
    pub container: SocketAddr,
}

/// A protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Number 6.
    Tcp,
    /// Number 17.
    Udp,
    /// Number 132.
    Sctp,
}

/// The name of a bridge: at most 15 letters, digits, `_`, `.` and `-`, the first of which is no `-` or `.`.
///
/// The kernel allows more; a `+` at the end, a space or a `!` would mean something else in a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bridge(String);

/// The addresses of a network: the first one of them, and how many of its bits all of them share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet {
    first: IpAddr,
    prefix: u8,
}

/// One of the two protocols that have rules of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    V4,
    V6,
}

/// Longer names are none (`IFNAMSIZ` of the kernel, less the NUL at the end).
const BRIDGE_BYTES_MAX: usize = 15;

/// Why a text is no name of a bridge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` cannot be the name of a bridge: {BRIDGE_BYTES_MAX} letters, digits, `_`, `.`, `-` at most")]
pub struct BridgeError {
    name: String,
}

/// Why a text is no subnet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no subnet, write `10.1.0.0/16` or `fd00:1::/64`")]
pub struct SubnetError {
    text: String,
}

impl Network {
    /// Whether it has addresses of this family.
    pub(super) fn has(&self, family: Family) -> bool {
        self.subnets_of(family).next().is_some()
    }

    pub(super) fn subnets_of(&self, family: Family) -> impl Iterator<Item = &Subnet> {
        self.subnets.iter().filter(move |it| Family::of(it.first) == family)
    }

    /// What is published of this family.
    pub(super) fn published_of(&self, family: Family) -> impl Iterator<Item = &Published> {
        let open = self.outside != Outside::Closed;
        let is_of = move |it: &SocketAddr| Family::of(it.ip()) == family;
        self.published.iter().filter(move |it| open && is_of(&it.host) && is_of(&it.container))
    }
}

impl Published {
    /// Whether the host's own loopback address leads there.
    pub(super) fn is_on_loopback(&self) -> bool {
        self.host.ip().is_loopback() || self.host.ip().is_unspecified()
    }
}

impl Protocol {
    /// The protocol with this number (`Proto` in Docker's port maps), if it has ports that can be published.
    pub fn from_number(number: u8) -> Option<Protocol> {
        match number {
            6 => Some(Protocol::Tcp),
            17 => Some(Protocol::Udp),
            132 => Some(Protocol::Sctp),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        })
    }
}

impl Bridge {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Bridge {
    type Err = BridgeError;

    fn from_str(name: &str) -> Result<Bridge, BridgeError> {
        let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"_.-".contains(&it);
        let is_name = (1..=BRIDGE_BYTES_MAX).contains(&name.len())
            && name.bytes().all(is_plain)
            && !name.starts_with(['-', '.']);
        if is_name { Ok(Bridge(name.to_owned())) } else { Err(BridgeError { name: name.to_owned() }) }
    }
}

impl fmt::Display for Bridge {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Subnet {
    /// The subnet in which `address` is, if all its addresses share `prefix` bits; `None` if an address
    /// has fewer bits.
    pub fn around(address: IpAddr, prefix: u8) -> Option<Subnet> {
        let first = match address {
            IpAddr::V4(it) if prefix <= 32 => {
                let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V4((it.to_bits() & mask).into())
            }
            IpAddr::V6(it) if prefix <= 128 => {
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                IpAddr::V6((it.to_bits() & mask).into())
            }
            _ => return None,
        };
        Some(Subnet { first, prefix })
    }
}

impl FromStr for Subnet {
    type Err = SubnetError;

    /// Reads `ADDRESS/PREFIX`; the address may be any one in the subnet.
    fn from_str(text: &str) -> Result<Subnet, SubnetError> {
        let parts = text.split_once('/');
        let parts = parts.and_then(|(address, prefix)| Some((address.parse().ok()?, prefix.parse().ok()?)));
        parts
            .and_then(|(address, prefix)| Subnet::around(address, prefix))
            .ok_or_else(|| SubnetError { text: text.to_owned() })
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.first, self.prefix)
    }
}

impl Family {
    pub(super) const ALL: [Family; 2] = [Family::V4, Family::V6];

    pub(super) fn of(address: IpAddr) -> Family {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_mean_more_in_a_rule_is_none() {
        for name in ["bh-0123456789ab", "br0", "docker_gwbridge", "eth0.10"] {
            assert_eq!(name.parse::<Bridge>().unwrap().as_str(), name);
        }
        for name in ["", "bh+", "a b", "a\nCOMMIT", "!a", "-j", "..", "a/b", "sixteen-letters-", "bö"] {
            assert!(name.parse::<Bridge>().is_err(), "{name}");
        }
    }

    #[test]
    fn a_subnet_begins_with_its_first_address() {
        for (text, subnet) in [
            ("10.1.2.3/16", "10.1.0.0/16"),
            ("10.1.2.3/32", "10.1.2.3/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("10.255.255.255/1", "0.0.0.0/1"),
            ("fd00:1::5/64", "fd00:1::/64"),
            ("fd00::/0", "::/0"),
        ] {
            assert_eq!(text.parse::<Subnet>().unwrap().to_string(), subnet);
        }
        for text in ["10.0.0.0", "10.0.0.0/33", "fd00::/129", "10.0.0.0/-1", "/8", "ten/8", "10.0.0.0/8/8"] {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
    }

    #[test]
    fn protocols_have_the_numbers_of_port_maps() {
        let named = [6, 17, 132].map(|it| Protocol::from_number(it).unwrap().to_string());

        assert_eq!(named, ["tcp", "udp", "sctp"]);
        assert_eq!(Protocol::from_number(1), None);
    }
}
