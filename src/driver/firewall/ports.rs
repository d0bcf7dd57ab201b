//! Which ports of the host are published by whom.
//!
//! A published port is reserved by a socket that is bound and never listens: a second publisher, ours or
//! anybody's, is told that the port is taken, and who connects to an address that leads nowhere is refused
//! at once. Which port is tried first is pure; the sockets stand around it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;

use super::reservation::{Refusal, reserve};
use super::wanted::{Protocol, Published};

/// From where ports are chosen that nobody has named, where the kernel does not say (as dockerd:
/// `defaultPortRangeStart` in moby, `libnetwork/portallocator/portallocator.go`).
const DYNAMIC_DEFAULT: RangeInclusive<u16> = 49153..=65535;

/// What somebody wants published: one entry of Docker's port map (`com.docker.network.portmap`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRequest {
    /// What is spoken.
    pub protocol: Protocol,
    /// Where it shall be reached. `None`: at every address of those families that the container has one of.
    pub host: Option<IpAddr>,
    /// Which port of the host.
    pub ports: HostPorts,
    /// The addresses of the container, at most one of each family.
    pub container: Vec<IpAddr>,
    /// The container's port.
    pub container_port: u16,
}

/// Which port of the host shall do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPorts {
    /// Any that is free.
    Any,
    /// The first one of these that is free.
    Of(RangeInclusive<u16>),
}

impl HostPorts {
    /// As a port map has it: `HostPort` and `HostPortEnd`, 0 where there is none. `None` if the end comes
    /// before the beginning.
    pub fn from_map(first: u16, last: u16) -> Option<HostPorts> {
        match (first, last) {
            (0, _) => Some(HostPorts::Any),
            (first, 0) => Some(HostPorts::Of(first..=first)),
            (first, last) => (first <= last).then_some(HostPorts::Of(first..=last)),
        }
    }
}

/// The ports that are published, each with its reservation. There is one for the host.
///
/// A holder is whoever publishes: an endpoint's id.
#[derive(Debug)]
pub struct Ports {
    held: BTreeMap<String, Vec<Held>>,
    dynamic: RangeInclusive<u16>,
    /// The last one that was chosen among the dynamic ones: a port that has just been given back is not the
    /// next one that somebody else gets.
    last: u16,
}

/// A port with its reservation.
#[derive(Debug)]
struct Held {
    published: Published,
    /// `None` where the kernel has no such sockets, or somebody took the port while boathook was away.
    _socket: Option<OwnedFd>,
}

/// Why a port is not published.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Somebody has it.
    #[error("{}", taken(host, ports))]
    Taken {
        /// The address on which it was wanted.
        host: IpAddr,
        /// What would have done.
        ports: RangeInclusive<u16>,
    },
    /// No link of the host has the address.
    #[error("{host} is no address of this host")]
    NotHere {
        /// The address on which it was wanted.
        host: IpAddr,
    },
    /// The container has no address of the family.
    #[error("the container has no address that a port on {host} could lead to")]
    NoWay {
        /// The address on which it was wanted.
        host: IpAddr,
    },
    /// The kernel gives no socket.
    #[error("reserve {protocol} port {host}")]
    Reserve {
        /// The protocol.
        protocol: Protocol,
        /// Which.
        host: SocketAddr,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
}

fn taken(host: &IpAddr, ports: &RangeInclusive<u16>) -> String {
    match (ports.start(), ports.end()) {
        (first, last) if first == last => format!("port {first} on {host} is taken"),
        (first, last) => format!("every port from {first} to {last} on {host} is taken"),
    }
}

impl Default for Ports {
    fn default() -> Ports {
        Ports::new()
    }
}

impl Ports {
    /// Nothing is published. Dynamic ports are those of the kernel, as dockerd has them.
    pub fn new() -> Ports {
        let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
        let dynamic = range.ok().and_then(|it| dynamic(&it)).unwrap_or(DYNAMIC_DEFAULT);
        Ports { held: BTreeMap::new(), last: *dynamic.end(), dynamic }
    }

    /// Publishes all that `holder` wants, and nothing else of his: what he has already he keeps, so that the
    /// same call twice has the same answer.
    ///
    /// # Errors
    ///
    /// When one is not to be had. Then nothing has changed.
    pub fn publish(&mut self, holder: &str, requests: &[PortRequest]) -> Result<Vec<Published>, PortError> {
        let mut before = self.held.remove(holder).unwrap_or_default();
        let mut now = Vec::new();
        let mut kept = Vec::new();
        for request in requests {
            if let Some(mut had) = take_fitting(&mut before, request) {
                kept.extend(had.iter().map(|it| it.published));
                now.append(&mut had);
                continue;
            }
            match self.take(request, &now) {
                Ok(mut new) => now.append(&mut new),
                Err(error) => {
                    now.retain(|it| kept.contains(&it.published));
                    before.append(&mut now);
                    self.put(holder, before);
                    return Err(error);
                }
            }
        }
        let published = now.iter().map(|it| it.published).collect();
        self.put(holder, now);
        Ok(published)
    }

    /// Reserves again what `holder` has published in a life before.
    ///
    /// All of it is his, also what comes back as an error: his container runs, and its rules lead to it.
    pub fn restore(&mut self, holder: &str, published: &[Published]) -> Vec<PortError> {
        let mut errors = Vec::new();
        let reserved = published.iter().map(|published| {
            let socket = reserve(published.protocol, published.host).unwrap_or_else(|refusal| {
                errors.push(refused(refusal, published.protocol, published.host));
                None
            });
            Held { published: *published, _socket: socket }
        });
        let held = reserved.collect();
        self.put(holder, held);
        errors
    }

    /// Gives back all that `holder` has. He need not have anything.
    pub fn withdraw(&mut self, holder: &str) {
        self.held.remove(holder);
    }

    /// What `holder` has.
    pub fn published(&self, holder: &str) -> impl Iterator<Item = Published> {
        self.held.get(holder).into_iter().flatten().map(|it| it.published)
    }

    fn put(&mut self, holder: &str, held: Vec<Held>) {
        if held.is_empty() {
            self.held.remove(holder);
        } else {
            self.held.insert(holder.to_owned(), held);
        }
    }

    /// The same port on each address.
    fn take(&mut self, request: &PortRequest, new: &[Held]) -> Result<Vec<Held>, PortError> {
        let ways = ways(request)?;
        let range = match &request.ports {
            HostPorts::Any => self.dynamic.clone(),
            HostPorts::Of(range) => range.clone(),
        };
        let last = if request.ports == HostPorts::Any { self.last } else { *range.end() };
        for port in after(&range, last) {
            match self.take_one(request.protocol, port, &ways, new) {
                Err(PortError::Taken { .. }) if range.len() > 1 => {}
                Err(error) => return Err(error),
                Ok(held) => {
                    if request.ports == HostPorts::Any {
                        self.last = port;
                    }
                    return Ok(held);
                }
            }
        }
        Err(PortError::Taken { host: ways[0].0, ports: range })
    }

    fn take_one(
        &self,
        protocol: Protocol,
        port: u16,
        ways: &[(IpAddr, SocketAddr)],
        new: &[Held],
    ) -> Result<Vec<Held>, PortError> {
        let take = |(host, container): &(IpAddr, SocketAddr)| {
            let host = SocketAddr::new(*host, port);
            let published = Published { protocol, host, container: *container };
            if self.held.values().flatten().chain(new).any(|it| collide(&it.published, &published)) {
                return Err(refused(Refusal::Taken, protocol, host));
            }
            let socket = reserve(protocol, host).map_err(|it| refused(it, protocol, host))?;
            Ok(Held { published, _socket: socket })
        };
        ways.iter().map(take).collect()
    }
}

/// What of `held` answers `request`, if all of it does.
fn take_fitting(held: &mut Vec<Held>, request: &PortRequest) -> Option<Vec<Held>> {
    let ways = ways(request).ok()?;
    let port = held.iter().find(|it| fits(&it.published, request, &ways))?.published.host.port();
    let is_part = |it: &Held| it.published.host.port() == port && fits(&it.published, request, &ways);
    (held.iter().filter(|it| is_part(it)).count() == ways.len())
        .then(|| held.extract_if(.., |it| is_part(it)).collect())
}

fn fits(published: &Published, request: &PortRequest, ways: &[(IpAddr, SocketAddr)]) -> bool {
    let is_in_range = match &request.ports {
        HostPorts::Any => true,
        HostPorts::Of(range) => range.contains(&published.host.port()),
    };
    is_in_range
        && published.protocol == request.protocol
        && ways.contains(&(published.host.ip(), published.container))
}

/// From which addresses of the host to what.
fn ways(request: &PortRequest) -> Result<Vec<(IpAddr, SocketAddr)>, PortError> {
    let all = request.container.iter().map(|it| {
        let to = SocketAddr::new(*it, request.container_port);
        (request.host.unwrap_or(unspecified(*it)), to)
    });
    let ways: Vec<_> = all.filter(|(from, to)| from.is_ipv4() == to.is_ipv4()).collect();
    let nowhere = || request.host.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    if ways.is_empty() { Err(PortError::NoWay { host: nowhere() }) } else { Ok(ways) }
}

fn unspecified(like: IpAddr) -> IpAddr {
    if like.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

/// Whether one packet could be for both.
fn collide(one: &Published, other: &Published) -> bool {
    let (here, there) = (one.host.ip(), other.host.ip());
    one.protocol == other.protocol
        && one.host.port() == other.host.port()
        && here.is_ipv4() == there.is_ipv4()
        && (here == there || here.is_unspecified() || there.is_unspecified())
}

/// The ports of `range`, those that come after `last` first.
fn after(range: &RangeInclusive<u16>, last: u16) -> impl Iterator<Item = u16> {
    let (first, end) = (*range.start(), *range.end());
    let later = last.checked_add(1).into_iter().flat_map(move |from| from.max(first)..=end);
    later.chain(first..=last.min(end))
}

/// What `ip_local_port_range` says: the first port and the last, with space between them.
fn dynamic(text: &str) -> Option<RangeInclusive<u16>> {
    let mut numbers = text.split_whitespace().map(str::parse::<u16>);
    let (first, last) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    (0 < first && first <= last).then_some(first..=last)
}

fn refused(refusal: Refusal, protocol: Protocol, host: SocketAddr) -> PortError {
    match refusal {
        Refusal::Taken => PortError::Taken { host: host.ip(), ports: host.port()..=host.port() },
        Refusal::NotHere => PortError::NotHere { host: host.ip() },
        Refusal::Other(source) => PortError::Reserve { protocol, host, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(host: Option<&str>, container: &[&str]) -> PortRequest {
        PortRequest {
            protocol: Protocol::Tcp,
            host: host.map(|it| it.parse().unwrap()),
            ports: HostPorts::Any,
            container: container.iter().map(|it| it.parse().unwrap()).collect(),
            container_port: 80,
        }
    }

    fn tcp(host: &str) -> Published {
        let container = if host.starts_with('[') { "[fd00::2]:80" } else { "10.1.0.2:80" };
        Published {
            protocol: Protocol::Tcp,
            host: host.parse().unwrap(),
            container: container.parse().unwrap(),
        }
    }

    #[test]
    fn each_port_of_a_range_is_tried_once_and_the_last_one_last() {
        assert_eq!(after(&(10..=14), 12).collect::<Vec<_>>(), [13, 14, 10, 11, 12]);
        assert_eq!(after(&(10..=14), 14).collect::<Vec<_>>(), [10, 11, 12, 13, 14]);
        assert_eq!(after(&(80..=80), 80).collect::<Vec<_>>(), [80]);
        assert_eq!(after(&(65534..=65535), 65535).collect::<Vec<_>>(), [65534, 65535]);
        assert_eq!(after(&(10..=11), 40000).collect::<Vec<_>>(), [10, 11]);
        assert_eq!(after(&(10..=11), 1).collect::<Vec<_>>(), [10, 11]);
    }

    #[test]
    fn a_port_map_names_one_port_a_range_or_none() {
        assert_eq!(HostPorts::from_map(0, 0), Some(HostPorts::Any));
        assert_eq!(HostPorts::from_map(80, 0), Some(HostPorts::Of(80..=80)));
        assert_eq!(HostPorts::from_map(80, 80), Some(HostPorts::Of(80..=80)));
        assert_eq!(HostPorts::from_map(80, 90), Some(HostPorts::Of(80..=90)));
        assert_eq!(HostPorts::from_map(90, 80), None);
    }

    #[test]
    fn without_an_address_all_families_of_the_container_are_published() {
        let both = ways(&request(None, &["10.1.0.2", "fd00::2"])).unwrap();
        let hosts: Vec<_> = both.iter().map(|(host, to)| format!("{host} {to}")).collect();
        assert_eq!(hosts, ["0.0.0.0 10.1.0.2:80", ":: [fd00::2]:80"]);

        let one = ways(&request(Some("127.0.0.1"), &["10.1.0.2", "fd00::2"])).unwrap();
        assert_eq!(one.len(), 1);
        let none = ways(&request(Some("::1"), &["10.1.0.2"])).unwrap_err();
        assert_eq!(none.to_string(), "the container has no address that a port on ::1 could lead to");
    }

    #[test]
    fn an_address_collides_with_all_addresses_of_its_family() {
        assert!(collide(&tcp("0.0.0.0:80"), &tcp("127.0.0.1:80")));
        assert!(collide(&tcp("127.0.0.1:80"), &tcp("127.0.0.1:80")));
        assert!(!collide(&tcp("127.0.0.1:80"), &tcp("127.0.0.2:80")));
        assert!(!collide(&tcp("0.0.0.0:80"), &tcp("[::]:80")));
        assert!(!collide(&tcp("0.0.0.0:80"), &tcp("0.0.0.0:81")));
        assert!(!collide(&tcp("0.0.0.0:80"), &Published { protocol: Protocol::Udp, ..tcp("0.0.0.0:80") }));
    }

    #[test]
    fn the_kernels_range_is_read() {
        assert_eq!(dynamic("32768\t60999\n"), Some(32768..=60999));
        assert_eq!(dynamic("0 5"), None);
        assert_eq!(dynamic("9 5"), None);
        assert_eq!(dynamic(""), None);
    }

    #[test]
    fn what_is_taken_is_said_with_its_place() {
        let host = "0.0.0.0".parse().unwrap();

        assert_eq!(PortError::Taken { host, ports: 80..=80 }.to_string(), "port 80 on 0.0.0.0 is taken");
        assert_eq!(
            PortError::Taken { host, ports: 80..=89 }.to_string(),
            "every port from 80 to 89 on 0.0.0.0 is taken"
        );
    }
}
